//! Does what is rendered fit the daemons that read it?
//!
//! Everything is prepared in a temporary folder and read by the daemons' own configuration structs.

use first_boot::{here::Here, layout::Layout, prepare::prepare};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

/// The gateway is a program without a library, so its configuration's file is read in here.
#[path = "../../../appliance/sip-gateway/src/config.rs"]
#[allow(dead_code)]
mod sip_gateway;

const EVERY_SETTING: &str = r#"
    name = "Front desk"
    [sip]
    hide_inbound_port = false
    [network]
    stun_servers = ["stun.example:3478"]
    http_echo = ["https://echo.example/"]
    fixed_ip = "203.0.113.5"
    [firewall]
    management = ["10.1.0.0/16"]
    [update]
    channel = "https://updates.example/stable/"
    window = "22:00-04:00"
"#;

struct Bed {
    folder: tempfile::TempDir,
    layout: Layout,
    here: Here,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = Here {
            hostname: "scaibox".into(),
            addresses: vec!["192.168.1.20".parse().unwrap(), "fd00::20".parse().unwrap()],
            version: "7".into(),
            boot_id: "boot-1".into(),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        Self { layout: Layout::new(folder.path()), folder, here }
    }

    fn with_settings(text: &str) -> Self {
        let bed = Self::new();
        fs::create_dir_all(bed.layout.settings().parent().unwrap()).unwrap();
        fs::write(bed.layout.settings(), text).unwrap();
        bed
    }

    fn prepare(&self) -> Vec<&'static str> {
        prepare(&self.layout, &self.here).unwrap().into_iter().collect()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.layout.config().join(file)).unwrap()
    }

    fn load<T: serde::de::DeserializeOwned>(&self, file: &str) -> T {
        daemon::config::load(&self.layout.config().join(file)).unwrap()
    }

    /// Every file below the root, with its mode, what it says and when it was written.
    fn files(&self) -> BTreeMap<String, (u32, Vec<u8>, std::time::SystemTime)> {
        let mut found = BTreeMap::new();
        collect(self.folder.path(), &mut found);
        found
    }

    /// What a person may see of a file: secrets are replaced by their names.
    fn shown(&self, file: &str) -> String {
        let secrets = fs::read_to_string(self.layout.secrets().join("secrets.json")).unwrap();
        let secrets: BTreeMap<String, String> = serde_json::from_str(&secrets).unwrap();
        let offer = fs::read_to_string(self.layout.plain_code()).unwrap();
        let offer: serde_json::Value = serde_json::from_str(&offer).unwrap();
        let mut text = self.text(file);
        for (name, secret) in &secrets {
            text = text.replace(secret, &format!("<{name}>"));
        }
        for name in ["salt", "hash"] {
            text = text.replace(offer["hash"][name].as_str().unwrap(), &format!("<{name}>"));
        }
        text
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<String, (u32, Vec<u8>, std::time::SystemTime)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, meta) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        match meta.is_dir() {
            true => collect(&path, found),
            false => {
                let what = (meta.permissions().mode() & 0o777, fs::read(&path).unwrap(), meta.modified().unwrap());
                found.insert(path.display().to_string(), what);
            }
        }
    }
}

#[test]
fn every_file_is_what_was_agreed_on() {
    let bed = Bed::new();
    bed.prepare();
    for entry in fs::read_dir(bed.layout.config()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        insta::assert_snapshot!(file.clone(), bed.shown(&file));
    }
}

#[test]
fn the_daemons_understand_their_files() {
    for bed in [Bed::new(), Bed::with_settings(EVERY_SETTING)] {
        bed.prepare();
        let api: control_api::config::Config = bed.load("control-api.toml");
        assert!(api.admin.is_none(), "no account exists before the claim");
        assert!(api.livekit.access(|_| None).is_ok());
        bed.load::<sip_gateway::Config>("sip-gateway.toml").check().unwrap();
        let worker: voice_worker::config::Config = bed.load("voice-worker.toml");
        assert_eq!(worker.s3.bucket, api.s3.bucket);
        bed.load::<network_info::config::Config>("network-info.toml").check().unwrap();
        bed.load::<rtp_firewall::config::Config>("rtp-firewall.toml").check().unwrap();
        bed.load::<first_boot::setup::Config>("first-boot.toml");
    }
}

#[test]
fn the_operators_settings_reach_the_daemons() {
    let bed = Bed::with_settings(EVERY_SETTING);
    bed.prepare();
    let network: network_info::config::Config = bed.load("network-info.toml");
    assert_eq!(network.fixed_ip, Some("203.0.113.5".parse().unwrap()));
    assert_eq!(network.http_echo, ["https://echo.example/"]);
    let firewall: rtp_firewall::config::Config = bed.load("rtp-firewall.toml");
    assert_eq!(firewall.management.networks, ["10.1.0.0/16".parse().unwrap()]);
    assert!(!bed.load::<sip_gateway::Config>("sip-gateway.toml").sip.hide_inbound_port);
    assert_eq!(bed.load::<first_boot::setup::Config>("first-boot.toml").name, "Front desk");
}

#[test]
fn the_gateway_is_told_which_engine_speaks_sip() {
    let bed = Bed::with_settings("[sip]\nengine = \"livekit-sip\"\nlivekit_sip_bin = \"/bin/sh\"");
    bed.prepare();
    let gateway: sip_gateway::Config = bed.load("sip-gateway.toml");
    gateway.check().unwrap();
    assert_eq!(gateway.sip.engine, sip_gateway::Engine::LivekitSip);
    assert_eq!(gateway.sip.livekit_sip_bin.as_deref(), Some(Path::new("/bin/sh")));
}

#[test]
fn all_of_them_agree_about_ports() {
    let bed = Bed::new();
    bed.prepare();
    let firewall: rtp_firewall::config::Config = bed.load("rtp-firewall.toml");
    assert_eq!(firewall.ports, rtp_firewall::config::Ports::default());
    let api: control_api::config::Config = bed.load("control-api.toml");
    assert_eq!((api.livekit.ports.udp, api.livekit.ports.tcp), (Some(7882), Some(7881)));
    let gateway: sip_gateway::Config = bed.load("sip-gateway.toml");
    assert_eq!((gateway.rtp.start, gateway.rtp.end, gateway.sip.listen.port()), (10000, 10200, 5060));
    assert_eq!((api.rtp.start, api.rtp.end, api.sip.port), (10000, 10200, 5060));
}

#[test]
fn a_second_run_changes_nothing() {
    let bed = Bed::new();
    assert_eq!(bed.prepare().len(), 10, "every daemon is told something");
    let before = bed.files();
    assert!(bed.prepare().is_empty());
    assert!(bed.files() == before);
}

#[test]
fn only_root_may_read_what_was_made() {
    let bed = Bed::new();
    bed.prepare();
    for folder in [bed.layout.secrets(), bed.layout.config()] {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    assert!(bed.files().iter().all(|(_, (mode, ..))| *mode == 0o600));
}

#[test]
fn a_run_that_was_cut_short_is_finished_by_the_next() {
    let whole = Bed::new();
    whole.prepare();
    let names: Vec<String> = whole.files().into_keys().collect();
    for cut in &names {
        fs::remove_file(cut).unwrap();
        whole.prepare();
        assert_eq!(whole.files().into_keys().collect::<Vec<_>>(), names, "after the loss of {cut}");
        assert!(whole.prepare().is_empty());
    }
}

#[test]
fn a_new_address_concerns_only_those_who_use_it() {
    let mut bed = Bed::new();
    bed.prepare();
    bed.here.addresses = vec!["192.168.1.21".parse().unwrap()];
    assert_eq!(bed.prepare(), ["control-api", "first-boot", "livekit-server", "sip-gateway"]);
}

#[test]
fn livekit_is_given_a_node_address_only_while_the_box_has_none() {
    let mut bed = Bed::new();
    bed.prepare();
    assert!(!bed.text("livekit-server.yaml").contains("node_ip"));
    bed.here.addresses = vec!["169.254.7.7".parse().unwrap()];
    bed.prepare();
    assert!(bed.text("livekit-server.yaml").contains(r#""node_ip": "127.0.0.1""#));
}

#[test]
fn the_next_start_shows_another_code_until_the_box_is_claimed() {
    let mut bed = Bed::new();
    bed.prepare();
    let first = fs::read_to_string(bed.layout.plain_code()).unwrap();
    bed.here.boot_id = "boot-2".into();
    assert_eq!(bed.prepare(), ["first-boot"]);
    assert_ne!(fs::read_to_string(bed.layout.plain_code()).unwrap(), first);

    fs::create_dir_all(bed.layout.claim_state().parent().unwrap()).unwrap();
    fs::write(bed.layout.claim_state(), r#"{"state":"claimed","at":"2026-03-01T12:00:00Z"}"#).unwrap();
    assert_eq!(bed.prepare(), ["first-boot"]);
    assert!(!bed.layout.plain_code().exists());
    assert!(bed.load::<first_boot::setup::Config>("first-boot.toml").code.is_none());
}

#[test]
fn a_broken_box_toml_is_told_and_does_not_stop_the_box() {
    let bed = Bed::with_settings("name = \"Front desk\"");
    bed.prepare();
    fs::write(bed.layout.settings(), "nmae = \"Reception\"").unwrap();
    assert!(bed.prepare().is_empty());
    assert!(fs::read_to_string(bed.layout.settings_problem()).unwrap().contains("nmae"));
    assert_eq!(bed.load::<first_boot::setup::Config>("first-boot.toml").name, "Front desk");

    fs::write(bed.layout.settings(), "name = \"Reception\"").unwrap();
    bed.prepare();
    assert!(!bed.layout.settings_problem().exists());
}
