//! Who wants the messages of a channel?

use std::{collections::HashMap, sync::Arc};

/// Takes a payload; must not block.
pub type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The channels we want, each with one taker. `link` subscribes to what stands here.
#[derive(Default)]
pub struct Routes {
    sinks: HashMap<String, (u64, Sink)>,
    last_owner: u64,
}

impl Routes {
    /// A key for [`insert`](Self::insert) and [`remove`](Self::remove).
    pub fn new_owner(&mut self) -> u64 {
        self.last_owner += 1;
        self.last_owner
    }

    /// The newest taker of a channel replaces the one before.
    pub fn insert(&mut self, channel: String, owner: u64, sink: Sink) {
        self.sinks.insert(channel, (owner, sink));
    }

    /// Removes a channel if it still belongs to `owner`.
    pub fn remove(&mut self, channel: &str, owner: u64) {
        if self.sinks.get(channel).is_some_and(|(current, _)| *current == owner) {
            self.sinks.remove(channel);
        }
    }

    pub fn wants(&self, channel: &str) -> bool {
        self.sinks.contains_key(channel)
    }

    pub fn channels(&self) -> Vec<String> {
        self.sinks.keys().cloned().collect()
    }

    pub fn sink(&self, channel: &str) -> Option<Sink> {
        self.sinks.get(channel).map(|(_, sink)| sink.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_owner_cannot_take_a_channel_from_the_new_one() {
        let mut routes = Routes::default();
        let (old, new) = (routes.new_owner(), routes.new_owner());
        routes.insert("a".into(), old, Arc::new(|_| ()));
        routes.insert("a".into(), new, Arc::new(|_| ()));

        routes.remove("a", old);
        assert!(routes.wants("a"));
        routes.remove("a", new);
        assert!(!routes.wants("a"));
    }
}
