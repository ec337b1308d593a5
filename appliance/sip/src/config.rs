//! Where does an endpoint listen, and as what does it present itself?

use crate::Advertise;
use std::net::SocketAddr;

#[derive(Debug, Clone)]
pub struct SipConfig {
    /// One address for both transports; port 0 takes a free one.
    pub listen: SocketAddr,
    pub udp: bool,
    pub tcp: bool,
    /// The address that peers are told to come back to.
    pub advertise: Advertise,
    pub user_agent: String,
    /// No 100 Trying before the call is known to be wanted.
    pub hide: bool,
}
