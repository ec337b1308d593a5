//! The gateway and network-info on the box of a lab, and registrars around it.

use crate::lab::{self, Lab, eventually, stun_server::StunServer};
use daemon::unix_http::Client;
use std::{
    net::UdpSocket,
    process::{Child, Stdio},
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use types::{
    TrunkId,
    control::{RegistrationSet, RegistrationSpec, RegistrationView},
    network::Addresses,
};

const STUN: [&str; 2] = ["203.0.113.10:3478", "203.0.113.11:3478"];

/// Ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub struct Bench {
    pub gateway: Client,
    process: Option<Process>,
    _redis: Process,
    _servers: Vec<StunServer>,
    network_info: Option<JoinHandle<anyhow::Result<()>>>,
    stop: CancellationToken,
    folder: TempDir,
}

impl Bench {
    /// The gateway listens on every address and advertises none.
    pub async fn without_network_info(lab: &Lab) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = lab.on_the_box("redis-server");
        redis.args(["--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder.path());
        let redis = redis.stdout(Stdio::null()).spawn().expect("redis-server must be installed");
        let mut bench = Self {
            gateway: Client::new(folder.path().join("gateway.sock")),
            process: None,
            _redis: Process(redis),
            _servers: STUN.iter().map(|address| StunServer::start(&lab.outside, address)).collect(),
            network_info: None,
            stop: CancellationToken::new(),
            folder,
        };
        bench.restart_gateway(lab);
        eventually("the gateway's socket", async || bench.gateway.get::<Addresses>("/v1/addresses").await.ok()).await;
        bench
    }

    pub async fn start(lab: &Lab) -> Self {
        let mut bench = Self::without_network_info(lab).await;
        let (path, file) = (bench.folder.path().display(), bench.folder.path().join("network-info.toml"));
        let text = format!(
            "socket = \"{path}/network-info.sock\"\ngateway_socket = \"{path}/gateway.sock\"\nstate_dir = \"{path}\"\n\
             stun_servers = {STUN:?}\nhttp_echo = []\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = daemon::config::load(&file).unwrap();
        let (namespace, stop) = (lab.inside.clone(), bench.stop.clone());
        bench.network_info = Some(std::thread::spawn(move || {
            lab::within(&namespace, move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(network_info::serve(config, stop))
            })
        }));
        bench
    }

    /// Starts it, once more if need be.
    pub fn restart_gateway(&mut self, lab: &Lab) {
        self.process = None; // dropped first: there is one port
        let file = self.folder.path().join("sip-gateway.toml");
        std::fs::write(&file, configuration(&self.folder)).unwrap();
        let mut command = lab.on_the_box(env!("CARGO_BIN_EXE_sip-gateway"));
        self.process = Some(Process(command.arg("--config").arg(&file).spawn().unwrap()));
    }

    /// Waits until network-info has told the gateway that its address is `egress`.
    pub async fn told(&self, egress: &str) {
        let egress = Some(egress.parse().unwrap());
        eventually("network-info tells the gateway", async || {
            let told: Addresses = self.gateway.get("/v1/addresses").await.ok()?;
            (told.egress == egress && told.online).then_some(())
        })
        .await;
    }

    /// One trunk for each registrar.
    pub async fn register(&self, servers: &[&str]) {
        let spec = |server: &&str| RegistrationSpec {
            trunk_id: TrunkId::new(),
            server: (*server).to_owned(),
            transport: "udp".into(),
            username: "box".into(),
            password: types::Redacted("secret".to_owned()),
            expires_s: 3600,
        };
        let set = RegistrationSet { registrations: servers.iter().map(spec).collect() };
        self.gateway.put::<_, Vec<RegistrationView>>("/v1/registrations", &set).await.unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.network_info.take() {
            thread.join().ok();
        }
    }
}

fn configuration(folder: &TempDir) -> String {
    let path = folder.path().display();
    format!(
        "spool_dir = \"{path}/spool\"
[redis]
url = \"redis://127.0.0.1:6379/0\"
[livekit]
ws_url = \"ws://127.0.0.1:7880\"
api_key = \"key\"
api_secret = \"secret\"
[sip]
listen = \"0.0.0.0:5060\"
[rtp]
start = 10000
end = 10200
ip = \"0.0.0.0\"
[control]
api_socket = \"{path}/nobody\"
listen_socket = \"{path}/gateway.sock\"
"
    )
}

/// Takes every REGISTER, keeping what its Contacts say.
pub struct Registrar(tokio::net::UdpSocket);

impl Registrar {
    pub fn at(namespace: &str, ip: &str) -> Self {
        let place = format!("{ip}:5060");
        let socket = lab::within(namespace, move || UdpSocket::bind(place).unwrap());
        socket.set_nonblocking(true).unwrap();
        Self(tokio::net::UdpSocket::from_std(socket).unwrap())
    }

    /// Answers the next REGISTER; gives its Contacts as `host:port` and what follows the brackets.
    pub async fn contacts(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let arrival = tokio::time::timeout(Duration::from_secs(60), self.0.recv_from(&mut buffer));
        let (length, from) = arrival.await.expect("a REGISTER").unwrap();
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(request.starts_with("REGISTER "), "{request}");
        let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:", "Expires:"];
        let lines: Vec<_> = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name))).collect();
        let answer = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.0.send_to(answer.as_bytes(), from).await.unwrap();
        let contacts = lines.iter().filter_map(|line| line.strip_prefix("Contact: <sip:box@"));
        contacts.map(|contact| contact.replace('>', "")).collect()
    }
}
