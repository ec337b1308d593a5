//! What is this carrier able to do?
//!
//! Step by step, the way a call goes: [`reach`] finds it and knocks, [`call`] rings a number if one is given and tries
//! what calls need ([`audio`], [`in_call`]). What each step saw becomes a [`log::Log`]; which defect that is and what
//! helps against it is in [`verdict`]. Nothing is kept here: `control-api` stores the report.

mod audio;
mod call;
mod in_call;
mod log;
mod reach;
mod verdict;

use crate::gateway::Gateway;
use log::Log;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use types::probe::{ProbeReport, ProbeRequest};

/// So many carriers are tried out at once; each may hold an RTP port.
pub const AT_ONCE: usize = 2;

const WITHOUT_CALL: Duration = Duration::from_secs(30);
const WITH_CALL: Duration = Duration::from_secs(60);

/// Tries the carrier out; ends in time whatever it does.
pub async fn run(gateway: Arc<Gateway>, request: ProbeRequest) -> ProbeReport {
    let limit = if request.number.is_some() { WITH_CALL } else { WITHOUT_CALL };
    let mut log = Log::new(Instant::now() + limit);
    let address = reach::steps(&gateway, &request, &mut log).await;
    let call = call::steps(&gateway, &request, address, &mut log).await;
    let report = log.report(call);
    tracing::info!(
        probe.outcome = ?report.outcome, probe.defects = ?report.defects, duration_ms = report.took_ms, "a carrier was tried out"
    );
    report
}
