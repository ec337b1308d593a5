//! Where does everything lie on the box?
//!
//! All paths start at a root, `/` on a running box: tests, and a look at a mounted disk, use another.

use std::path::{Path, PathBuf};

/// The root and all that hangs from it.
#[derive(Clone, Debug)]
pub struct Places(PathBuf);

impl Places {
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Where every daemon keeps its state, one folder each.
    pub fn state(&self) -> PathBuf {
        self.0.join("var/lib")
    }

    /// A restore that is under way: see `backup::swap`.
    pub fn restore(&self) -> PathBuf {
        self.state().join("scaibox-restore")
    }

    pub fn database(&self) -> PathBuf {
        self.state().join("control-api/scaibox.sqlite")
    }

    pub fn secrets(&self) -> PathBuf {
        self.state().join("scaibox/secrets")
    }

    pub fn claim(&self) -> PathBuf {
        self.secrets().join("claim.json")
    }

    pub fn health(&self) -> PathBuf {
        self.state().join("scaibox/health")
    }

    /// Who may sign in over SSH, while it is open.
    pub fn ssh_keys(&self) -> PathBuf {
        self.state().join("scaibox/ssh/authorized_keys")
    }

    pub fn efivars(&self) -> PathBuf {
        self.0.join("sys/firmware/efi/efivars")
    }

    /// A daemon's control socket.
    pub fn socket(&self, daemon: &str, name: &str) -> PathBuf {
        self.0.join("run").join(daemon).join(name).with_extension("sock")
    }

    pub fn machine_id(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.0.join("etc/machine-id")).ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// The version of the image that runs; that of this program where there is no image.
    pub fn version(&self) -> String {
        ["usr/lib/os-release", "etc/os-release"]
            .iter()
            .filter_map(|file| std::fs::read_to_string(self.0.join(file)).ok())
            .find_map(|text| image_version(&text))
            .unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
    }

    pub fn root(&self) -> &Path {
        &self.0
    }
}

/// `IMAGE_VERSION="1.2"` of os-release(5), with or without quotes.
fn image_version(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_version_is_read_with_and_without_quotes() {
        assert_eq!(image_version("ID=scaibox\nIMAGE_VERSION=7\n").as_deref(), Some("7"));
        assert_eq!(image_version("IMAGE_VERSION=\"2026.11.1\"\n").as_deref(), Some("2026.11.1"));
        assert_eq!(image_version("VERSION=7\n"), None);
    }

    #[test]
    fn a_socket_is_named_after_its_daemon() {
        let path = Places::under("/").socket("rtp-firewall", "firewall");
        assert_eq!(path, Path::new("/run/rtp-firewall/firewall.sock"));
    }
}
