//! When does the kernel change an address, a route or a link?
//!
//! It tells of it over rtnetlink(7). What exactly changed does not matter here: whoever waits looks
//! again. Changes come in bursts, so [`Changes::settled`] waits for quiet, but not for ever.

use futures_util::{Stream, StreamExt};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use std::{io, pin::Pin, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// So long nothing must change before we look.
const QUIET: Duration = Duration::from_millis(500);
/// So long we wait for quiet.
const LONGEST: Duration = Duration::from_secs(3);

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The kernel's news about the network.
pub struct Changes {
    news: Pin<Box<dyn Stream<Item = ()> + Send>>,
    _open: Handle, // the news end with it
}

impl Changes {
    /// Hears of every change from now on. Must be called inside a tokio runtime.
    pub fn watch() -> io::Result<Self> {
        let (connection, handle, messages) = new_multicast_connection(&GROUPS)?;
        tokio::spawn(connection);
        Ok(Self { news: Box::pin(messages.map(drop)), _open: handle })
    }

    /// Returns once something changed and then nothing for a while.
    pub async fn settled(&mut self) {
        self.next().await;
        let end = Instant::now() + LONGEST;
        let quiet = async { while timeout(QUIET, self.next()).await.is_ok() {} };
        let _ = timeout_at(end, quiet).await;
    }

    async fn next(&mut self) {
        if self.news.next().await.is_none() {
            tracing::error!("the kernel tells no more of network changes; only the check interval is left");
            std::future::pending::<()>().await;
        }
    }
}
