//! Which of our addresses is a peer told to come back to?
//!
//! A phone in the office and a carrier on the internet reach the same box at different addresses.
//! The owner of the endpoint decides, by the peer's address.

use std::net::IpAddr;
use std::sync::Arc;

/// Our address as a peer has to see it, in Contact and Via.
#[derive(Clone)]
pub struct Advertise(Arc<dyn Fn(IpAddr) -> IpAddr + Send + Sync>);

impl Advertise {
    /// `choose` is asked for every message, with the address it goes to.
    pub fn new(choose: impl Fn(IpAddr) -> IpAddr + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(crate) fn towards(&self, peer: IpAddr) -> IpAddr {
        (self.0)(peer)
    }
}

/// The same for everybody.
impl From<IpAddr> for Advertise {
    fn from(ip: IpAddr) -> Self {
        Self::new(move |_| ip)
    }
}

impl std::fmt::Debug for Advertise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Advertise")
    }
}
