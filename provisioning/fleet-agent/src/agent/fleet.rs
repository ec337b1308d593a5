//! Who hears how updates went?
//!
//! The seam for a fleet server: whoever implements [`Fleet`] is told each outcome once. Until then it is the journal.

use super::memory::Report;

/// Told about outcomes, never asked for decisions.
pub trait Fleet: Send + Sync {
    fn report(&self, report: &Report);
}

/// Writes reports to the log.
pub struct Journal;

impl Fleet for Journal {
    fn report(&self, report: &Report) {
        match report {
            Report::Succeeded { version } => tracing::info!(update.version = %version, "update succeeded"),
            Report::Failed { version, reason } => {
                tracing::error!(update.version = %version, reason, "update failed");
            }
            Report::ChannelRefused { reason } => tracing::error!(reason, "the update channel is refused"),
        }
    }
}
