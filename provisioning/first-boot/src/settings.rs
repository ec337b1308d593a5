//! What did the operator decide about this box?
//!
//! `/var/lib/scaibox/box.toml`, optional, every key with a default. A file that is wrong never stops
//! the box: the mistake is told loudly, and the settings that were right the last time are used.
//! They lie beside it in `box.toml.good`.

use crate::{files, layout::Layout};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What people call this box.
    pub name: Name,
    pub sip: Sip,
    pub network: Network,
    pub firewall: Firewall,
    pub update: Update,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Name(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// Say nothing to callers that no trunk lets in.
    pub hide_inbound_port: bool,
    /// From where desk phones may register.
    pub phone_networks: Vec<IpNet>,
    /// Which program speaks SIP.
    pub engine: Engine,
    /// livekit-sip's program, which the operator has put into `/var/lib/scaibox/engine`.
    pub livekit_sip_bin: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The box's own.
    #[default]
    SipGateway,
    LivekitSip,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// `host:port`; asked which address the world sees.
    pub stun_servers: Vec<String>,
    /// Pages that answer with the caller's address, where STUN is blocked; `network-info` knows some.
    pub http_echo: Option<Vec<String>>,
    /// The address the world sees, when the operator knows it.
    pub fixed_ip: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Firewall {
    /// Who may reach HTTPS (and SSH while it is open), until somebody changes it on the running box.
    pub management: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Update {
    /// Where new versions are announced; without it the box looks for none.
    pub channel: Option<String>,
    /// When a new version may be started, in the box's local time: `HH:MM-HH:MM`.
    pub window: String,
}

impl Default for Name {
    fn default() -> Self {
        Self("ScaiBox".to_owned())
    }
}

impl Default for Sip {
    fn default() -> Self {
        let engine = Engine::SipGateway;
        Self { hide_inbound_port: true, phone_networks: private(), engine, livekit_sip_bin: None }
    }
}

impl Default for Network {
    fn default() -> Self {
        let stun_servers = ["stun.l.google.com:19302", "stun.cloudflare.com:3478"].map(String::from).to_vec();
        Self { stun_servers, http_echo: None, fixed_ip: None }
    }
}

impl Default for Firewall {
    fn default() -> Self {
        Self { management: private() }
    }
}

/// Private and link-local networks.
fn private() -> Vec<IpNet> {
    let v4 = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([169, 254, 0, 0], 16)];
    let v6 = [([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)];
    let v4 = v4.map(|(address, bits)| IpNet::new_assert(IpAddr::from(address), bits));
    let v6 = v6.map(|(address, bits): ([u16; 8], u8)| IpNet::new_assert(IpAddr::from(address), bits));
    v4.into_iter().chain(v6).collect()
}

impl Default for Update {
    fn default() -> Self {
        Self { channel: None, window: "02:00-05:00".to_owned() }
    }
}

/// Why `box.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("box.toml cannot be read")]
    Unreadable(#[from] io::Error),
    #[error("box.toml: {0}")]
    NotToml(#[from] toml::de::Error),
    #[error("box.toml: {key} is `{value}`: write {fix}")]
    Wrong { key: &'static str, value: String, fix: &'static str },
}

/// The settings in use, and why they are not the ones in `box.toml`.
pub struct Loaded {
    pub settings: Settings,
    pub problem: Option<SettingsError>,
}

/// Never fails: the worst file leads to the settings before it, and without those to the defaults.
pub fn load(layout: &Layout) -> Loaded {
    match files::read(&layout.settings()).map_err(SettingsError::from).and_then(parse) {
        Ok((settings, text)) => {
            keep(layout, &text);
            Loaded { settings, problem: None }
        }
        Err(problem) => {
            tracing::error!(error = %problem, "box_settings_refused: the last good ones are used");
            Loaded { settings: last_good(layout), problem: Some(problem) }
        }
    }
}

/// No file is an empty one.
fn parse(text: Option<String>) -> Result<(Settings, String), SettingsError> {
    let text = text.unwrap_or_default();
    let settings: Settings = toml::from_str(&text)?;
    settings.check()?;
    Ok((settings, text))
}

fn keep(layout: &Layout, text: &str) {
    if let Err(error) = files::write(&layout.good_settings(), text) {
        tracing::error!(%error, "box_settings_not_kept");
    }
}

fn last_good(layout: &Layout) -> Settings {
    let kept = files::read(&layout.good_settings()).ok().flatten();
    parse(kept).map(|(settings, _)| settings).unwrap_or_default()
}

impl Settings {
    /// The first value that cannot work, with its key.
    fn check(&self) -> Result<(), SettingsError> {
        if self.sip.engine == Engine::LivekitSip {
            let path = self.sip.livekit_sip_bin.clone().unwrap_or_default();
            check("sip.livekit_sip_bin", &path.to_string_lossy(), PROGRAM, |_| is_program(&path))?;
        }
        check("name", &self.name.0, "1 to 63 characters on one line", is_name)?;
        for server in &self.network.stun_servers {
            check("network.stun_servers", server, "each server as host:port", is_host_and_port)?;
        }
        for url in self.network.http_echo.iter().flatten() {
            check("network.http_echo", url, "each as a URL that starts with https:// or http://", is_url)?;
        }
        if let Some(ip) = &self.network.fixed_ip {
            check("network.fixed_ip", &ip.to_string(), "the address that others reach the box by", |_| {
                is_reachable(ip)
            })?;
        }
        if let Some(url) = &self.update.channel {
            check("update.channel", url, "a URL that starts with https:// or http://", is_url)?;
        }
        check("update.window", &self.update.window, "two times of day as HH:MM-HH:MM", is_window)?;
        let none = self.firewall.management.is_empty();
        check("firewall.management", "[]", "at least one network, or nobody can reach the box", |_| !none)
    }
}

fn check(
    key: &'static str,
    value: &str,
    fix: &'static str,
    right: impl FnOnce(&str) -> bool,
) -> Result<(), SettingsError> {
    if right(value) { Ok(()) } else { Err(SettingsError::Wrong { key, value: value.to_owned(), fix }) }
}

const PROGRAM: &str = "the whole path of livekit-sip, executable for everybody, or set sip.engine to \"sip-gateway\"";

fn is_program(path: &Path) -> bool {
    let runs = |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o001 != 0;
    path.is_absolute() && path.metadata().is_ok_and(runs)
}

fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn is_host_and_port(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
}

fn is_url(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn is_reachable(ip: &IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

fn is_window(window: &str) -> bool {
    let time = |text: &str| text.len() == 5 && text.parse::<jiff::civil::Time>().is_ok();
    window.split_once('-').is_some_and(|(start, end)| time(start) && time(end) && start != end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Bed {
        _folder: tempfile::TempDir,
        layout: Layout,
    }

    impl Bed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path());
            fs::create_dir_all(layout.settings().parent().unwrap()).unwrap();
            Self { _folder: folder, layout }
        }

        fn load(&self, text: &str) -> Loaded {
            fs::write(self.layout.settings(), text).unwrap();
            load(&self.layout)
        }

        fn problem(&self, text: &str) -> String {
            self.load(text).problem.map(|problem| problem.to_string()).unwrap_or_default()
        }
    }

    #[test]
    fn without_a_file_everything_has_a_default() {
        let loaded = load(&Bed::new().layout);
        assert!(loaded.problem.is_none());
        assert!(loaded.settings.sip.hide_inbound_port);
        assert_eq!(loaded.settings.firewall.management.len(), 6);
        assert_eq!(loaded.settings.sip.phone_networks, loaded.settings.firewall.management);
    }

    #[test]
    fn a_whole_file_is_understood() {
        let text = r#"
            name = "Front desk"
            [sip]
            hide_inbound_port = false
            phone_networks = ["10.2.0.0/16", "203.0.113.9/32"]
            [network]
            stun_servers = ["stun.example:3478"]
            http_echo = ["https://echo.example/"]
            fixed_ip = "203.0.113.5"
            [firewall]
            management = ["10.1.0.0/16"]
            [update]
            channel = "https://updates.example/stable"
            window = "22:00-04:00"
        "#;
        let loaded = Bed::new().load(text);
        assert!(loaded.problem.is_none());
        assert_eq!(loaded.settings.name.0, "Front desk");
        assert_eq!(loaded.settings.network.fixed_ip, Some("203.0.113.5".parse().unwrap()));
    }

    #[test]
    fn a_mistake_names_its_key_and_the_fix() {
        let bed = Bed::new();
        for (text, expected) in [
            ("nmae = \"x\"", "unknown field `nmae`"),
            ("[sip]\nhide_inbound_port = \"no\"", "hide_inbound_port"),
            ("[sip]\nphone_networks = [\"10.0.0.1/33\"]", "phone_networks"),
            ("name = \"\"", "name is ``: write 1 to 63 characters"),
            (
                "[network]\nstun_servers = [\"stun.example\"]",
                "network.stun_servers is `stun.example`: write each server as host:port",
            ),
            ("[network]\nfixed_ip = \"everywhere\"", "fixed_ip"),
            ("[network]\nfixed_ip = \"127.0.0.1\"", "network.fixed_ip is `127.0.0.1`"),
            ("[network]\nhttp_echo = [\"echo\"]", "network.http_echo is `echo`"),
            ("[firewall]\nmanagement = []", "firewall.management is `[]`: write at least one network"),
            ("[update]\nwindow = \"2-5\"", "update.window is `2-5`: write two times of day"),
            ("[update]\nchannel = \"ftp://x\"", "update.channel is `ftp://x`"),
        ] {
            let problem = bed.problem(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn another_engine_needs_its_program() {
        let bed = Bed::new();
        let path = bed.layout.settings().with_file_name("livekit-sip");
        let chosen = format!("[sip]\nengine = \"livekit-sip\"\nlivekit_sip_bin = \"{}\"", path.display());
        assert!(bed.problem("[sip]\nengine = \"asterisk\"").contains("expected `sip-gateway` or `livekit-sip`"));
        let missing = bed.problem("[sip]\nengine = \"livekit-sip\"");
        assert!(missing.contains("sip.livekit_sip_bin is ``: write the whole path of livekit-sip"), "{missing}");
        assert!(bed.problem(&chosen).contains("sip.livekit_sip_bin is `/"), "there is no such file");
        fs::write(&path, "").unwrap();
        assert!(bed.problem(&chosen).contains("executable for everybody"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = bed.load(&chosen).settings;
        assert_eq!((settings.sip.engine, settings.sip.livekit_sip_bin), (Engine::LivekitSip, Some(path)));
    }

    #[test]
    fn a_broken_file_leaves_the_last_good_settings_in_use() {
        let bed = Bed::new();
        bed.load("name = \"Front desk\"");
        let loaded = bed.load("name = ");
        assert_eq!(loaded.settings.name.0, "Front desk");
        assert!(loaded.problem.is_some());
        assert!(bed.load("name = \"Reception\"").problem.is_none());
    }

    #[test]
    fn a_broken_file_that_was_never_right_means_the_defaults() {
        assert_eq!(Bed::new().load("]").settings, Settings::default());
    }
}
