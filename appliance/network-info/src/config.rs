//! Whom does network-info ask, how often, and where does it answer?

use serde::Deserialize;
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// `network-info.toml`; unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Ours: who wants to know asks here.
    pub socket: PathBuf,
    /// `sip-gateway`'s, which is told what changed.
    pub gateway_socket: PathBuf,
    /// Where the last good answer is kept.
    pub state_dir: PathBuf,
    /// `host:port` each; two that answer are needed to tell the kind of NAT. Empty: STUN is not used.
    #[serde(default = "public_stun_servers")]
    pub stun_servers: Vec<String>,
    /// Pages that answer with the caller's address, asked when no STUN server answers.
    #[serde(default = "public_echoes")]
    pub http_echo: Vec<String>,
    /// The operator knows better: nobody is asked.
    pub fixed_ip: Option<IpAddr>,
    /// A router's new address is not announced to us, so we look.
    #[serde(default = "fifteen")]
    pub check_interval_s: u32,
}

fn public_stun_servers() -> Vec<String> {
    ["stun.cloudflare.com:3478", "stun.sipgate.net:3478", "stun.nextcloud.com:3478"].map(String::from).into()
}

fn public_echoes() -> Vec<String> {
    ["https://icanhazip.com", "https://api.ipify.org?format=json"].map(String::from).into()
}

fn fifteen() -> u32 {
    15
}

impl Config {
    /// The first thing that cannot work, named by its key.
    pub fn check(&self) -> anyhow::Result<()> {
        for server in &self.stun_servers {
            anyhow::ensure!(
                is_place(server),
                "stun_servers: `{server}` is not host:port, such as stun.example.org:3478"
            );
        }
        for page in &self.http_echo {
            let fine = reqwest::Url::parse(page).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            anyhow::ensure!(fine, "http_echo: `{page}` is not an http:// or https:// address");
        }
        if let Some(ip) = self.fixed_ip {
            anyhow::ensure!(
                !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast(),
                "fixed_ip: {ip} is not an address that others can reach: set the router's public address"
            );
        }
        anyhow::ensure!(
            (5..=86_400).contains(&self.check_interval_s),
            "check_interval_s: {} is not between 5 and 86400",
            self.check_interval_s
        );
        Ok(())
    }

    pub fn check_interval(&self) -> Duration {
        Duration::from_secs(self.check_interval_s.into())
    }
}

/// `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
fn is_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = r#"
        socket = "/run/network-info/network-info.sock"
        gateway_socket = "/run/sip-gateway/gateway.sock"
        state_dir = "/var/lib/network-info"
    "#;

    fn of(more: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{SHORT}{more}")).unwrap();
        daemon::config::load(file.path()).unwrap()
    }

    #[test]
    fn a_short_file_asks_public_servers() {
        let config = of("");
        config.check().unwrap();
        assert!(config.stun_servers.len() >= 2, "two are needed to tell the kind of NAT");
        assert_eq!(config.check_interval(), Duration::from_secs(15));
    }

    #[test]
    fn what_cannot_work_is_named_by_its_key() {
        for (more, key) in [
            ("stun_servers = [\"stun.example.org\"]", "stun_servers"),
            ("stun_servers = [\"stun.example.org:0\"]", "stun_servers"),
            ("http_echo = [\"ftp://example.org\"]", "http_echo"),
            ("fixed_ip = \"127.0.0.1\"", "fixed_ip"),
            ("check_interval_s = 1", "check_interval_s"),
        ] {
            let refused = of(more).check().unwrap_err().to_string();
            assert!(refused.starts_with(key), "{more}: {refused}");
        }
        of("stun_servers = [\"[2001:db8::1]:3478\", \"192.0.2.1:3478\"]").check().unwrap();
    }
}
