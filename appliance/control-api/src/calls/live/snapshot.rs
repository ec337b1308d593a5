//! A call as it is written.

use serde_json::Value;
use store::{StoreError, Transaction, calls::Call, legs::Leg};
use types::UserId;

/// An event for the tenant's stream.
pub(super) struct News {
    pub kind: String,
    pub user: Option<UserId>,
    pub data: Value,
}

/// A call as it is to be written.
pub struct Snapshot {
    pub(super) call: Call,
    pub(super) legs: Vec<Leg>,
    pub(super) news: Vec<News>,
}

impl Snapshot {
    /// Rows, events and, once it has ended, the CDR: all or nothing.
    pub fn write(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        store::calls::put(tx, &self.call, &self.legs)?;
        store::calls::finish(tx, &self.call, &self.legs)?;
        for News { kind, user, data } in &self.news {
            match user {
                Some(user) => store::events::emit_to(tx, self.call.tenant_id, *user, kind, data)?,
                None => store::events::emit(tx, self.call.tenant_id, kind, data)?,
            };
        }
        Ok(())
    }
}
