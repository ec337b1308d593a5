//! How do transfers go?

use super::{Metrics, dir};
use crate::legs::CommandError;
use std::{borrow::Cow, sync::Arc};
use types::control::Direction;

/// A transfer under way; it is over when this is dropped.
pub struct Transfer {
    metrics: Arc<Metrics>,
    direction: Direction,
}

impl Metrics {
    /// Somebody wants a call transferred.
    pub fn transfer(self: &Arc<Self>, id: &str) -> Transfer {
        let direction = self.direction(id).unwrap_or(Direction::Inbound);
        self.families.transfers.with_label_values(&[dir(direction)]).inc();
        self.families.transfers_active.with_label_values(&[dir(direction)]).inc();
        Transfer { metrics: self.clone(), direction }
    }
}

impl Transfer {
    pub fn succeeded(&self) {
        self.metrics.families.transfers_succeeded.with_label_values(&[dir(self.direction)]).inc();
    }

    pub fn failed(&self, reason: &str) {
        self.metrics.families.transfers_failed.with_label_values(&[dir(self.direction), reason]).inc();
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.metrics.families.transfers_active.with_label_values(&[dir(self.direction)]).dec();
    }
}

/// Why it failed, in upstream's words.
pub fn reason_of(error: &CommandError) -> Cow<'static, str> {
    match error {
        CommandError::NotFound(_) | CommandError::Ended => "not_found".into(),
        CommandError::Invalid(_) => "invalid_argument".into(),
        CommandError::Refused { code, .. } => {
            sip::message::reason_phrase(*code).to_lowercase().replace([' ', '/'], "_").into()
        }
        _ => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_counts_as_active_until_its_outcome_is_known() {
        let metrics = Arc::new(Metrics::new("NE_1").unwrap());
        let active = |metrics: &Metrics| metrics.families.transfers_active.with_label_values(&["in"]).get();
        let transfer = metrics.transfer("SCL_1");
        assert_eq!(active(&metrics), 1);
        transfer.failed(&reason_of(&CommandError::Refused { code: 486, reason: "Busy".into() }));
        drop(transfer);
        assert_eq!(active(&metrics), 0);
        metrics.transfer("SCL_1").succeeded();
        let families = &metrics.families;
        assert_eq!(families.transfers.with_label_values(&["in"]).get(), 2);
        assert_eq!(families.transfers_succeeded.with_label_values(&["in"]).get(), 1);
        assert_eq!(families.transfers_failed.with_label_values(&["in", "busy_here"]).get(), 1);
    }
}
