//! What does the agent need to know?

use crate::{
    agent::{Rules, Window},
    channel::{Identity, source::Minimum},
};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

/// `fleet-agent.toml`; every value has a default, and without mirrors only a USB stick brings updates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Our socket.
    pub socket: PathBuf,
    pub state_dir: PathBuf,
    /// control-api's socket, which knows how many calls there are.
    pub control_socket: PathBuf,
    /// Where systemd-sysupdate finds the files; `systemd/sysupdate/*.transfer` name it too.
    pub artefacts: SocketAddr,
    /// Where root steps leave their results.
    pub results: PathBuf,
    /// The root of trust that came with the image.
    pub root_metadata: PathBuf,
    /// Where a stick labelled SCAIBOX is mounted.
    pub usb: PathBuf,
    pub machine_id: PathBuf,
    pub product: String,
    pub hardware: String,
    pub channel: Channel,
    pub window: WindowConfig,
}

/// Where updates come from, and when to take them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channel {
    /// Tried in order.
    pub mirrors: Vec<Url>,
    /// Take new versions without being asked.
    pub automatic: bool,
    pub check_every_minutes: u64,
    pub min_bytes_per_second: u64,
}

/// The time of day for updates that nobody asked for; equal times mean always.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowConfig {
    /// "HH:MM"; an end before the start is on the next day.
    pub start: jiff::civil::Time,
    pub end: jiff::civil::Time,
    /// IANA name or UTC.
    pub timezone: String,
    /// After so long an update in an open window no longer waits for calls to end.
    pub calls_limit_minutes: u64,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("channel.mirrors: {0} is neither http://, https:// nor file://")]
    Mirror(Url),
    #[error("window.timezone: `{0}` is no time zone; write an IANA name as Europe/Amsterdam, or UTC")]
    TimeZone(String),
    #[error("channel.check_every_minutes must be at least 1")]
    CheckEvery,
    #[error("artefacts: {0} is not a loopback address; anybody could read or race it")]
    Artefacts(SocketAddr),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: "/run/fleet-agent/fleet.sock".into(),
            state_dir: "/var/lib/fleet-agent".into(),
            control_socket: "/run/control-api/control.sock".into(),
            artefacts: SocketAddr::from(([127, 0, 0, 1], 7979)),
            results: "/run/scaibox-update".into(),
            root_metadata: "/usr/share/scaibox/update/root.json".into(),
            usb: "/run/scaibox-usb".into(),
            machine_id: "/etc/machine-id".into(),
            product: "scaibox".into(),
            hardware: "x86-64".into(),
            channel: Channel::default(),
            window: WindowConfig::default(),
        }
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self { mirrors: vec![], automatic: true, check_every_minutes: 60, min_bytes_per_second: 1000 }
    }
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            start: jiff::civil::time(2, 0, 0, 0),
            end: jiff::civil::time(5, 0, 0, 0),
            timezone: "UTC".into(),
            calls_limit_minutes: 24 * 60,
        }
    }
}

impl Config {
    /// Refuses what could only fail later.
    pub fn check(&self) -> Result<(), ConfigError> {
        for mirror in &self.channel.mirrors {
            if !matches!(mirror.scheme(), "http" | "https" | "file") {
                return Err(ConfigError::Mirror(mirror.clone()));
            }
        }
        if self.channel.check_every_minutes == 0 {
            return Err(ConfigError::CheckEvery);
        }
        if !self.artefacts.ip().is_loopback() {
            return Err(ConfigError::Artefacts(self.artefacts));
        }
        self.rules().map(drop)
    }

    pub fn rules(&self) -> Result<Rules, ConfigError> {
        let zone = &self.window.timezone;
        let zone = jiff::tz::TimeZone::get(zone).map_err(|_| ConfigError::TimeZone(zone.clone()))?;
        Ok(Rules {
            automatic: self.channel.automatic,
            window: Window { start: self.window.start, end: self.window.end, zone },
            calls_limit: Duration::from_secs(60 * self.window.calls_limit_minutes),
        })
    }

    pub fn identity(&self) -> Identity {
        Identity { product: self.product.clone(), hardware: self.hardware.clone() }
    }

    pub fn minimum(&self) -> Minimum {
        Minimum { bytes_per_second: self.channel.min_bytes_per_second, ..Minimum::default() }
    }

    pub fn check_every(&self) -> Duration {
        Duration::from_secs(60 * self.channel.check_every_minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let config: Config = daemon::config::load(file.path()).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_a_box_that_updates_from_usb_only() {
        let config = load("").unwrap();
        assert!(config.channel.mirrors.is_empty());
        assert_eq!(config.artefacts.to_string(), "127.0.0.1:7979");
    }

    #[test]
    fn mirrors_and_a_window_in_local_time_are_read() {
        let config = load(
            "[channel]\nmirrors = [\"https://updates.example.com/stable/\"]\n\
             [window]\nstart = \"23:00\"\nend = \"04:30\"\ntimezone = \"Europe/Amsterdam\"\n",
        );
        assert_eq!(config.unwrap().window.end, jiff::civil::time(4, 30, 0, 0));
    }

    #[test]
    fn a_wrong_value_is_refused_by_its_name() {
        let refused = |text: &str| load(text).unwrap_err();
        assert!(refused("[channel]\nmirrors = [\"ftp://x/\"]\n").contains("channel.mirrors"));
        assert!(refused("[window]\ntimezone = \"Mars/Base\"\n").contains("window.timezone"));
        assert!(refused("[channel]\ncheck_every_minutes = 0\n").contains("channel.check_every_minutes"));
        assert!(refused("artefacts = \"0.0.0.0:7979\"\n").contains("artefacts"));
        assert!(refused("[channel]\nmirror = []\n").contains("mirror"));
    }
}
