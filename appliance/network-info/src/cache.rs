//! What did we know before we were started?
//!
//! The last good state, in one file that is replaced as a whole. It counts only in the networks it
//! was found in: a box that was carried elsewhere starts without it.

use daemon::files::{PRIVATE, replace};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use types::network::NetworkState;

/// The file in `state_dir`.
pub struct Cache {
    file: PathBuf,
}

impl Cache {
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { file: folder.join("state.json") })
    }

    /// What was known in the networks that `here` shares.
    pub fn load(&self, here: &crate::local::Local) -> Option<NetworkState> {
        let bytes = fs::read(&self.file).ok()?;
        match serde_json::from_slice::<NetworkState>(&bytes) {
            Ok(state) => Some(state).filter(|state| state.networks == here.networks),
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "the cached state is not readable and ignored");
                None
            }
        }
    }

    /// Failing to keep it is logged; the daemon works without.
    pub fn keep(&self, state: &NetworkState) {
        let kept =
            serde_json::to_vec(state).map_err(io::Error::from).and_then(|json| replace(&self.file, &json, PRIVATE));
        if let Err(error) = kept {
            tracing::warn!(%error, file = %self.file.display(), "the state is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Local;
    use jiff::Timestamp;
    use types::network::{Nat, Source};

    fn state() -> NetworkState {
        NetworkState {
            egress_ip: Some("203.0.113.7".parse().unwrap()),
            egress_ip6: None,
            source: Source::Stun,
            checked_at: Timestamp::UNIX_EPOCH,
            local_addresses: vec!["192.168.1.5".parse().unwrap()],
            networks: vec!["192.168.1.0/24".parse().unwrap()],
            nat: Nat::EndpointIndependent,
            problem: None,
        }
    }

    fn here(network: &str) -> Local {
        Local { addresses: Vec::new(), networks: vec![network.parse().unwrap()] }
    }

    #[test]
    fn a_state_counts_in_its_own_networks_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(cache.load(&here("192.168.1.0/24")), None);
        cache.keep(&state());
        assert_eq!(cache.load(&here("192.168.1.0/24")), Some(state()));
        assert_eq!(cache.load(&here("10.0.0.0/8")), None);
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        fs::write(folder.path().join("state.json"), "{\"egress").unwrap();
        assert_eq!(cache.load(&here("192.168.1.0/24")), None);
    }
}
