//! Where does an endpoint listen, and as what does it present itself?

use crate::{Advertise, Tap, tls::Tls};
use ipnet::IpNet;
use std::net::SocketAddr;

#[derive(Clone)]
pub struct SipConfig {
    /// One address for both transports; port 0 takes a free one.
    pub listen: SocketAddr,
    pub udp: bool,
    pub tcp: bool,
    /// With an address of its own; without it we neither take nor place calls by TLS.
    pub tls: Option<Tls>,
    /// The address that peers are told to come back to.
    pub advertise: Advertise,
    pub user_agent: String,
    /// From where desk phones may register; nowhere when empty.
    pub phones: Vec<IpNet>,
    /// No 100 Trying before the call is known to be wanted.
    pub hide: bool,
    /// Sees all messages.
    pub tap: Tap,
}
