//! What is `control-api` told by its configuration file?
//!
//! The LiveKit settings may also come from the environment, under the names the platform uses; a box
//! without them starts, serves what it can and says what is missing.

use ipnet::IpNet;
use objects::S3Config;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};
use types::Redacted;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http_listen: SocketAddr,
    /// The same API for everybody outside of the box.
    pub https: Option<HttpsConfig>,
    /// Where browsers reach us, without a path.
    pub public_url: String,
    pub control_socket: PathBuf,
    pub gateway_socket: PathBuf,
    /// The neighbours that an appliance has and a box run from source has not.
    pub network_info_socket: Option<PathBuf>,
    pub firewall_socket: Option<PathBuf>,
    pub setup_socket: Option<PathBuf>,
    pub fleet_socket: Option<PathBuf>,
    pub operator_socket: Option<PathBuf>,
    pub database: PathBuf,
    #[serde(default)]
    pub livekit: LiveKitConfig,
    pub s3: S3Config,
    /// Claims a box whose database is empty.
    pub admin: Option<AdminConfig>,
    pub sip: SipConfig,
    pub rtp: RtpConfig,
    /// From where the gateway lets desk phones register; the firewall is told once there are some.
    #[serde(default)]
    pub phone_networks: Vec<IpNet>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsConfig {
    pub listen: SocketAddr,
    /// PEM, the box's own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveKitConfig {
    /// For us: `ws://` or `http://`, on loopback.
    pub url: Option<String>,
    /// For browsers, when it is another one.
    pub public_url: Option<String>,
    pub api_key: Option<String>,
    pub api_secret: Option<Redacted<String>>,
    #[serde(default)]
    pub ports: LiveKitPorts,
}

/// What livekit-server listens on, for the network page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveKitPorts {
    pub udp: Option<u16>,
    pub tcp: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    pub email: String,
    pub password: Redacted<String>,
    /// An API key of the first tenant, to be accepted as it is written here.
    pub api_key: Option<Redacted<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipConfig {
    pub host: String,
    pub port: u16,
    pub tls_port: Option<u16>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtpConfig {
    pub start: u16,
    pub end: u16,
}

impl RtpConfig {
    /// Each leg needs an even port and the odd one after it.
    pub fn legs(self) -> u32 {
        let first = u32::from(self.start).next_multiple_of(2);
        (u32::from(self.end) + 1).saturating_sub(first) / 2
    }
}

/// Everything needed to talk to livekit-server.
#[derive(Clone, Debug)]
pub struct LiveKitAccess {
    pub url: String,
    pub public_url: String,
    pub api_key: String,
    pub api_secret: Redacted<String>,
}

impl LiveKitConfig {
    /// The settings, or which of them is missing.
    pub fn access(&self, env: impl Fn(&str) -> Option<String>) -> Result<LiveKitAccess, String> {
        let pick = |ours: Option<&String>, key: &str, name: &str| {
            let theirs = || env(name).filter(|value| !value.is_empty());
            ours.cloned().or_else(theirs).ok_or_else(|| format!("no LiveKit settings: set livekit.{key} or {name}"))
        };
        let secret = self.api_secret.as_ref().map(Redacted::expose);
        let url = pick(self.url.as_ref(), "url", "SCAIBOT_VOICE_LIVEKIT_URL")?;
        Ok(LiveKitAccess {
            public_url: self.public_url.clone().unwrap_or_else(|| url.clone()),
            url,
            api_key: pick(self.api_key.as_ref(), "api_key", "SCAIBOT_VOICE_LIVEKIT_API_KEY")?,
            api_secret: Redacted(pick(secret, "api_secret", "SCAIBOT_VOICE_LIVEKIT_API_SECRET")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_range_carries_a_hundred_legs() {
        assert_eq!(RtpConfig { start: 10000, end: 10200 }.legs(), 100);
        assert_eq!(RtpConfig { start: 10001, end: 10005 }.legs(), 2);
        assert_eq!(RtpConfig { start: 10, end: 9 }.legs(), 0);
    }

    #[test]
    fn livekit_settings_may_come_from_the_environment() {
        let config = LiveKitConfig { url: Some("ws://here".into()), ..LiveKitConfig::default() };
        let access = config.access(|name| Some(name.to_lowercase())).unwrap();
        assert_eq!((access.url.as_str(), access.api_key.as_str()), ("ws://here", "scaibot_voice_livekit_api_key"));
        let missing = LiveKitConfig::default().access(|_| None).unwrap_err();
        assert!(missing.contains("SCAIBOT_VOICE_LIVEKIT_URL"), "{missing}");
    }
}
