//! What goes on in a call, from the first word of the gateway to its CDR.
//!
//! `inbound` (with `desk_phone`) and `outbound` begin calls, `live` holds one, `actor` serialises what happens to it,
//! `effects` and `phone` do what it wants, `ingest` and `webhook` bring the news, `control` is what
//! people do to it, `trace` what they may look at, `attended`, `referral` and `joining` how two calls become one or go to others, `restart` takes up what went
//! on while we were away. The decisions themselves are
//! pure: crates `dialplan` and `call`.

mod actor;
mod attended;
mod control;
mod csv;
mod desk_phone;
mod effects;
mod extension;
mod http;
mod inbound;
pub mod ingest;
mod joining;
mod live;
mod lost_room;
mod outbound;
mod phone;
mod referral;
mod restart;
mod trace;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use http::routes;
pub use inbound::{admit, caller_number};
pub use referral::decide as refer;
pub use restart::{reconcile, start};

use actor::Handle;
use live::Live;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::OnceCell;
use types::CallId;

/// All living calls of the box.
#[derive(Default)]
pub struct Calls {
    index: Mutex<Index>,
    resumed: OnceCell<()>,
    /// Two sources tell of the same inbound call: one at a time.
    beginning: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Index {
    calls: HashMap<CallId, Handle>,
    /// By LiveKit's id of a SIP leg.
    legs: HashMap<String, CallId>,
    rooms: HashMap<String, CallId>,
}

impl Calls {
    pub fn find(&self, id: CallId) -> Option<Handle> {
        self.index.lock().calls.get(&id).cloned()
    }

    pub fn find_by_leg(&self, lk_call_id: &str) -> Option<Handle> {
        let index = self.index.lock();
        index.legs.get(lk_call_id).and_then(|id| index.calls.get(id)).cloned()
    }

    pub fn find_by_room(&self, room: &str) -> Option<Handle> {
        let index = self.index.lock();
        index.rooms.get(room).and_then(|id| index.calls.get(id)).cloned()
    }

    pub fn all(&self) -> Vec<Handle> {
        self.index.lock().calls.values().cloned().collect()
    }

    fn remember(&self, handle: &Handle, live: &Live) {
        let mut index = self.index.lock();
        index.calls.insert(handle.id, handle.clone());
        if let Some(room) = &live.call.room {
            index.rooms.insert(room.clone(), handle.id);
        }
        drop(index);
        self.remember_legs(live);
    }

    fn remember_legs(&self, live: &Live) {
        let mut index = self.index.lock();
        for lk_call_id in live.legs.iter().filter_map(|leg| leg.lk_call_id.as_ref()) {
            if !index.legs.contains_key(lk_call_id) {
                index.legs.insert(lk_call_id.clone(), live.call.id);
            }
        }
    }

    /// A leg that goes over to another call.
    fn forget_leg(&self, lk_call_id: &str) {
        self.index.lock().legs.remove(lk_call_id);
    }

    fn forget(&self, live: &Live) {
        let mut index = self.index.lock();
        index.calls.remove(&live.call.id);
        index.legs.retain(|_, id| *id != live.call.id);
        index.rooms.retain(|_, id| *id != live.call.id);
    }
}
