//! Does the daemon find out where it stands, behind real NAT, and does it notice when that changes?

mod lab;

use daemon::unix_http::Client;
use lab::{Lab, Masquerade, eventually, sh, stun_server::StunServer};
use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Child,
};
use tempfile::TempDir;
use types::network::{Nat, NetworkState, Source};

const STUN: [&str; 3] = ["203.0.113.10:3478", "203.0.113.11:3478", "[2001:db8:113::10]:3478"];
/// So rarely that only a change of the network can be the reason for another look.
const HARDLY_EVER: &str = "check_interval_s = 86400";

/// The daemon on the box of a lab.
struct Daemon {
    process: Child,
    client: Client,
    folder: TempDir,
}

impl Daemon {
    fn start(lab: &Lab, more: &str) -> Self {
        Self::start_in(lab, more, tempfile::tempdir().unwrap())
    }

    fn start_in(lab: &Lab, more: &str, folder: TempDir) -> Self {
        let (path, config) = (folder.path().display(), folder.path().join("config.toml"));
        let stun = if more.contains("stun_servers") { String::new() } else { format!("stun_servers = {STUN:?}\n") };
        let echo = if more.contains("http_echo") { "" } else { "http_echo = []\n" };
        let text = format!(
            "socket = \"{path}/socket\"\ngateway_socket = \"{path}/nobody\"\nstate_dir = \"{path}/state\"\n{stun}{echo}{more}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = lab.on_the_box(env!("CARGO_BIN_EXE_network-info"));
        let process = command.arg("--config").arg(&config).spawn().unwrap();
        Self { process, client: Client::new(folder.path().join("socket")), folder }
    }

    async fn state(&self) -> Option<NetworkState> {
        self.client.get("/v1/network-info").await.ok()
    }

    /// The first state of which `wanted` is true.
    async fn until(&self, what: &str, wanted: impl Fn(&NetworkState) -> bool) -> NetworkState {
        eventually(what, async || self.state().await.filter(&wanted)).await
    }

    async fn checked(&self) -> NetworkState {
        self.until("the first check", |state| state.source != Source::None).await
    }

    /// A link that just came up may carry IPv4 a moment earlier than IPv6.
    async fn checked_over_both(&self) -> NetworkState {
        self.until("both families", |state| state.egress_ip.is_some() && state.egress_ip6.is_some()).await
    }

    /// Ends the daemon, keeping its folder.
    fn stop(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn servers(lab: &Lab) -> Vec<StunServer> {
    STUN.iter().map(|address| StunServer::start(&lab.outside, address)).collect()
}

fn text(ip: Option<std::net::IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_box_that_is_not_hidden_has_no_nat() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    let state = Daemon::start(&lab, "").checked_over_both().await;
    assert_eq!((state.source, state.nat, state.problem), (Source::Stun, Nat::None, None));
    assert_eq!(text(state.egress_ip), "192.168.77.2");
    assert_eq!(text(state.egress_ip6), "2001:db8:77::2");
}

#[tokio::test]
async fn a_router_that_keeps_ports_is_seen_through_and_its_address_found() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let _servers = servers(&lab);
    let state = Daemon::start(&lab, "").checked_over_both().await;
    assert_eq!((state.source, state.nat, state.problem), (Source::Stun, Nat::EndpointIndependent, None));
    assert_eq!(text(state.egress_ip), "203.0.113.2");
    assert_eq!(text(state.egress_ip6), "2001:db8:77::2", "IPv6 is routed, not translated");
    let networks: Vec<_> = state.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.168.77.0/24", "2001:db8:77::/64"]);
    assert_eq!(state.local_addresses.len(), 2);
}

#[tokio::test]
async fn a_router_with_other_ports_for_each_destination_is_a_problem_that_is_told() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::RandomPorts);
    let _servers = servers(&lab);
    let state = Daemon::start(&lab, "").checked().await;
    assert_eq!((state.source, state.nat), (Source::Stun, Nat::AddressDependent));
    assert_eq!(text(state.egress_ip), "203.0.113.2");
    assert!(state.problem.unwrap().contains("forward the SIP and RTP ports"));
}

#[tokio::test]
async fn a_new_address_of_the_router_is_found_though_nobody_announces_it() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let _servers = servers(&lab);
    let daemon = Daemon::start(&lab, "check_interval_s = 5");
    assert_eq!(text(daemon.checked().await.egress_ip), "203.0.113.2");
    lab.renumber_router("203.0.113.2", "203.0.113.3");
    daemon.until("the router's new address", |state| text(state.egress_ip) == "203.0.113.3").await;
}

#[tokio::test]
async fn our_own_new_address_and_a_lost_route_are_noticed_when_they_happen() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let _servers = servers(&lab);
    let daemon = Daemon::start(&lab, HARDLY_EVER);
    let first = daemon.checked().await;

    sh(&format!("ip -n {} address add 192.168.77.3/24 dev eth0", lab.inside));
    let has_new = |state: &NetworkState| state.local_addresses.contains(&"192.168.77.3".parse().unwrap());
    daemon.until("a check with the new address", |state| has_new(state) && state.checked_at > first.checked_at).await;

    sh(&format!("ip -n {0} route del default && ip -n {0} -6 route del default", lab.inside));
    let offline = daemon.until("the lost route", |state| state.source == Source::None).await;
    assert_eq!((offline.egress_ip, offline.egress_ip6), (None, None));
    assert!(offline.problem.unwrap().contains("default gateway"));

    sh(&format!("ip -n {} route add default via 192.168.77.1", lab.inside));
    let back = daemon.until("the internet", |state| state.source == Source::Stun).await;
    assert_eq!((text(back.egress_ip).as_str(), back.problem), ("203.0.113.2", None));
}

#[tokio::test]
async fn a_restart_without_internet_begins_with_what_was_known() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let online = servers(&lab);
    let daemon = Daemon::start(&lab, "");
    let known = daemon.checked().await;
    drop(online);

    let again = Daemon::start_in(&lab, "", daemon.stop());
    let state = again.until("an answer", |_| true).await;
    assert_eq!(state, known);
}

#[tokio::test]
async fn where_udp_is_closed_a_web_page_tells_the_address() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let listener = lab::within(&lab.outside, || TcpListener::bind("203.0.113.10:80").unwrap());
    std::thread::spawn(move || echo(listener));
    let daemon = Daemon::start(&lab, "http_echo = [\"http://203.0.113.10/ip\"]");
    let state = daemon.checked().await;
    assert_eq!((state.source, state.nat), (Source::Http, Nat::Unknown));
    assert_eq!(text(state.egress_ip), "203.0.113.2");
}

/// Answers every request with the caller's address.
fn echo(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let body = format!("{{\"ip\": \"{}\"}}", stream.peer_addr().unwrap().ip());
        let asked = stream.read(&mut [0; 4096]).unwrap();
        assert!(asked > 0);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
    }
}

#[tokio::test]
async fn asking_for_a_check_gives_a_state_that_is_newer() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    let daemon = Daemon::start(&lab, HARDLY_EVER);
    let before = daemon.checked().await;
    let after: NetworkState = daemon.client.post("/v1/check", &()).await.unwrap();
    assert!(after.checked_at > before.checked_at);
    assert_eq!(after.egress_ip, before.egress_ip);
}
