//! What does the gateway need to know before it binds a socket?

use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// `sip-gateway.toml`; unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub redis: Redis,
    pub livekit: LiveKit,
    pub sip: Sip,
    pub rtp: Rtp,
    /// Without it (and `spool_dir`) LiveKit's trunks and rules alone decide about calls, as with livekit-sip.
    pub control: Option<Control>,
    /// Where events wait until `control-api` has taken them.
    pub spool_dir: Option<PathBuf>,
    #[serde(default)]
    pub observe: Observe,
    /// Seconds that SIGTERM leaves to calls before it ends them. More than systemd (30 s) or `./box run` (10 s) allow a
    /// daemon to end is of no use there. No limit with livekit-sip's configuration.
    #[serde(default = "five")]
    pub drain_s: Option<u32>,
    #[serde(default)]
    pub room_codec: RoomCodec,
    /// Spoken with phones, and with trunks whose `media` lists none; best first.
    #[serde(default = "all_codecs")]
    pub codecs: Vec<Codec>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://host:port/db`
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveKit {
    /// `ws://host:port` of livekit-server.
    pub ws_url: String,
    pub api_key: String,
    pub api_secret: String,
    /// Seconds for which a room that is lost in a call is tried to be joined again, before the call ends.
    #[serde(default = "thirty")]
    pub rejoin_s: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sip {
    pub listen: SocketAddr,
    /// The address in Contact and Via; found for each peer when it is left out (`crate::addresses`).
    pub advertise_ip: Option<IpAddr>,
    #[serde(default = "both")]
    pub transports: Vec<Transport>,
    /// SIP over TLS, both ways; off when left out.
    pub tls: Option<SipTls>,
    /// Networks whose desk phones may register; none when left out.
    #[serde(default)]
    pub phones: Vec<IpNet>,
    /// Say nothing to callers that no trunk lets in.
    #[serde(default)]
    pub hide_inbound_port: bool,
    /// Which program speaks SIP and RTP.
    #[serde(default)]
    pub engine: Engine,
    /// livekit-sip's program, for the engine of this name.
    pub livekit_sip_bin: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This one.
    #[default]
    SipGateway,
    /// LiveKit's own, which the operator has installed; this one looks after it (`crate::engine`).
    LivekitSip,
}

/// Files are PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipTls {
    pub listen: SocketAddr,
    /// Ours, the leaf first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose signatures count for carriers that we dial.
    #[serde(default = "system_trust")]
    pub trust: PathBuf,
    /// What carriers are shown that ask for a certificate when we dial them; nothing when left out.
    pub client: Option<Pair>,
    /// Whoever dials us must show a certificate signed by one of these; anybody may when left out.
    pub client_trust: Option<PathBuf>,
}

/// A certificate, the leaf first, and its key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

pub fn system_trust() -> PathBuf {
    "/etc/ssl/certs/ca-certificates.crt".into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
}

fn both() -> Vec<Transport> {
    vec![Transport::Udp, Transport::Tcp]
}

/// The RTP ports, both ends included; a leg takes an even one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtp {
    pub start: u16,
    pub end: u16,
    /// Where RTP sockets are bound.
    pub ip: IpAddr,
    /// The address in SDP; found for each peer when it is left out.
    pub advertise_ip: Option<IpAddr>,
    /// Seconds without RTP before a call ends, once RTP has flowed.
    #[serde(default = "fifteen")]
    pub media_timeout_s: u32,
    /// Seconds to wait for the first RTP packet.
    #[serde(default = "thirty")]
    pub media_timeout_initial_s: u32,
}

fn five() -> Option<u32> {
    Some(5)
}

fn fifteen() -> u32 {
    15
}

fn thirty() -> u32 {
    30
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// `control-api`'s socket: admission and events.
    pub api_socket: PathBuf,
    /// Ours: leg commands and registrations.
    pub listen_socket: PathBuf,
}

/// Who may look at health and figures, over HTTP: nobody, unless an address is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// For load balancers; livekit-sip's `health_port`.
    pub health_listen: Option<SocketAddr>,
    /// For Prometheus; livekit-sip's `prometheus_port`.
    pub prometheus_listen: Option<SocketAddr>,
    /// Busier than this, 0 to 1, the gateway says that it is under load.
    pub max_cpu_utilization: f64,
}

impl Default for Observe {
    fn default() -> Self {
        Self { health_listen: None, prometheus_listen: None, max_cpu_utilization: 0.9 }
    }
}

/// A codec of phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    Pcmu,
    Pcma,
    G722,
    Opus,
}

/// What costs a room least goes first; Opus is for phones that have nothing else.
fn all_codecs() -> Vec<Codec> {
    vec![Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]
}

/// What the phone's audio is in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomCodec {
    /// The phone's own frames.
    #[default]
    Auto,
    /// Always Opus, as upstream does.
    Opus,
}

impl Config {
    /// The first thing that cannot work, named by its key.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.rtp.start < self.rtp.end,
            "rtp.start ({}) must be below rtp.end ({})",
            self.rtp.start,
            self.rtp.end
        );
        anyhow::ensure!(
            self.control.is_some() == self.spool_dir.is_some(),
            "control and spool_dir belong together: set both, or neither to run without a control plane"
        );
        let share = self.observe.max_cpu_utilization;
        anyhow::ensure!(
            share > 0.0 && share <= 1.0,
            "observe.max_cpu_utilization ({share}) must be above 0, at most 1"
        );
        anyhow::ensure!(
            !self.codecs.is_empty(),
            "codecs is empty: name \"pcmu\", \"pcma\", \"g722\" or \"opus\", best first"
        );
        anyhow::ensure!(!self.sip.transports.is_empty(), "sip.transports is empty: name \"udp\" or \"tcp\"");
        if self.sip.engine == Engine::LivekitSip {
            self.check_livekit_sip()?;
        }
        for (key, ip) in [("sip", self.sip.advertise_ip), ("rtp", self.rtp.advertise_ip)] {
            anyhow::ensure!(
                ip.is_none_or(|ip| !ip.is_unspecified()),
                "{key}.advertise_ip is a wildcard: set an address that phones can reach, or leave it out"
            );
        }
        Ok(())
    }

    fn check_livekit_sip(&self) -> anyhow::Result<()> {
        let program = self.sip.livekit_sip_bin.as_deref().ok_or_else(|| {
            anyhow::anyhow!(
                "sip.livekit_sip_bin is missing: name livekit-sip's program, or set sip.engine to \"sip-gateway\""
            )
        })?;
        let shown = program.display();
        anyhow::ensure!(program.is_absolute(), "sip.livekit_sip_bin ({shown}) must be an absolute path");
        anyhow::ensure!(
            self.control.is_some(),
            "sip.engine \"livekit-sip\" needs control and spool_dir: without a control plane start livekit-sip by itself"
        );
        let listen = self.sip.listen;
        anyhow::ensure!(listen.is_ipv4(), "sip.listen ({listen}) must be an IPv4 address: livekit-sip knows no other");
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const GOOD: &str = r#"
        spool_dir = "/tmp/spool"
        [redis]
        url = "redis://127.0.0.1:6379/0"
        [livekit]
        ws_url = "ws://127.0.0.1:7880"
        api_key = "key"
        api_secret = "secret"
        [sip]
        listen = "127.0.0.1:5060"
        [rtp]
        start = 10000
        end = 10200
        ip = "127.0.0.1"
        [control]
        api_socket = "run/control.sock"
        listen_socket = "run/gateway.sock"
    "#;

    #[test]
    fn a_short_file_is_enough() {
        let config: Config = toml_of(GOOD).unwrap();
        config.check().unwrap();
        assert_eq!(config.room_codec, RoomCodec::Auto);
        assert_eq!(config.codecs, [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]);
    }

    #[test]
    fn a_wildcard_may_be_listened_on_but_not_advertised() {
        let listening = GOOD.replace("127.0.0.1:5060", "0.0.0.0:5060");
        toml_of(&listening).unwrap().check().unwrap();
        let advertised = listening.replace("[rtp]", "advertise_ip = \"0.0.0.0\"\n[rtp]");
        let refused = toml_of(&advertised).unwrap().check().unwrap_err().to_string();
        assert!(refused.contains("sip.advertise_ip"), "{refused}");
    }

    #[test]
    fn another_engine_is_named_with_its_program() {
        let with = |keys: &str| GOOD.replace("[rtp]", &format!("{keys}\n[rtp]"));
        let refused = |keys: &str| toml_of(&with(keys)).unwrap().check().unwrap_err().to_string();
        let livekit_sip = |path: &str| format!("engine = \"livekit-sip\"\nlivekit_sip_bin = \"{path}\"");
        toml_of(&with(&livekit_sip("/opt/livekit-sip"))).unwrap().check().unwrap();
        assert!(refused("engine = \"livekit-sip\"").starts_with("sip.livekit_sip_bin is missing: name "));
        assert!(refused(&livekit_sip("livekit-sip")).contains("must be an absolute path"));
        let unknown = format!("{:#}", toml_of(&with("engine = \"asterisk\"")).unwrap_err());
        assert!(unknown.contains("asterisk") && unknown.contains("`sip-gateway` or `livekit-sip`"), "{unknown}");
    }

    #[test]
    fn without_a_control_plane_there_is_no_spool_either() {
        let alone = GOOD.replace("spool_dir = \"/tmp/spool\"", "").split("[control]").next().unwrap().to_owned();
        toml_of(&alone).unwrap().check().unwrap();
        let half = toml_of(&GOOD.replace("spool_dir = \"/tmp/spool\"", "")).unwrap().check().unwrap_err();
        assert!(half.to_string().contains("control and spool_dir"), "{half}");
    }

    #[test]
    fn a_load_that_no_processor_reaches_is_refused() {
        let config = toml_of(&format!("{GOOD}\n[observe]\nmax_cpu_utilization = 90\n")).unwrap();
        assert!(config.check().unwrap_err().to_string().contains("observe.max_cpu_utilization"));
    }

    #[test]
    fn codecs_are_named_best_first_and_at_least_one() {
        let config = toml_of(&format!("codecs = [\"g722\", \"pcma\"]\n{GOOD}")).unwrap();
        assert_eq!(config.codecs, [Codec::G722, Codec::Pcma]);
        assert!(toml_of(&format!("codecs = [\"g729\"]\n{GOOD}")).is_err());
        let none = toml_of(&format!("codecs = []\n{GOOD}")).unwrap().check().unwrap_err();
        assert!(none.to_string().starts_with("codecs is empty"), "{none}");
    }

    #[test]
    fn an_empty_port_range_is_refused() {
        let config = toml_of(&GOOD.replace("end = 10200", "end = 10000")).unwrap();
        assert!(config.check().unwrap_err().to_string().contains("rtp.start"));
    }

    pub fn toml_of(text: &str) -> Result<Config, daemon::config::ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        daemon::config::load(file.path())
    }
}
