//! Who hears of addresses that try passwords on us?
//!
//! The control plane, which has the firewall keep them away. The gateway itself goes on answering them.

use crate::gateway::Gateway;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use types::control::Event;

/// Reports until the endpoint is gone.
pub async fn report(gateway: Arc<Gateway>, mut offenders: Receiver<sip::Offender>) {
    loop {
        match offenders.recv().await {
            Ok(sip::Offender { address, failures }) => {
                tracing::warn!(peer.ip = %address, failures, "sip_wrong_passwords");
                gateway.spool.append(None, Event::AddressOffended { address, failures });
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "sip_wrong_passwords"),
            Err(RecvError::Closed) => return,
        }
    }
}
