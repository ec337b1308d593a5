//! Real servers for the tests beside this folder: Redis and livekit-server, each on a free loopback port.
#![allow(dead_code)]

pub mod seat;

use livekit::api::{Api, Tokens};
use livekit::psrpc::Bus;
use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a secret of at least thirty-two characters";
const START: Duration = Duration::from_secs(30);

/// A child that ends with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Redis {
    pub port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Redis {
    pub fn start() -> Self {
        let mut redis = Self::absent();
        redis.launch();
        redis
    }

    /// A port where Redis will be.
    pub fn absent() -> Self {
        Self { port: free_port(), process: None, dir: TempDir::new().unwrap() }
    }

    pub fn launch(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed");
        self.process = Some(Process(child));
        wait_for_port(self.port);
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub async fn bus(&self) -> Bus {
        Bus::connect(&self.url()).await.unwrap()
    }
}

/// The binary to test against. None, said on stderr: `LIVEKIT_SERVER_BIN` is not set.
pub fn livekit_binary() -> Option<PathBuf> {
    match std::env::var_os("LIVEKIT_SERVER_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "LIVEKIT_SERVER_BIN is {}, where there is no file", path.display());
            Some(path)
        }
        None => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: LIVEKIT_SERVER_BIN is not set");
            None
        }
    }
}

/// livekit-server with a Redis of its own.
pub struct LiveKit {
    pub redis: Redis,
    pub port: u16,
    binary: PathBuf,
    config: PathBuf,
    process: Option<Process>,
}

impl LiveKit {
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// `more` is appended to its configuration.
    pub fn start_with(more: &str) -> Option<Self> {
        let binary = livekit_binary()?;
        let redis = Redis::start();
        let port = free_port();
        let config = redis.dir.path().join("livekit.yaml");
        fs::write(&config, configuration(port, redis.port) + more).unwrap();
        let mut livekit = Self { redis, port, binary, config, process: None };
        livekit.launch();
        Some(livekit)
    }

    pub fn launch(&mut self) {
        let log = fs::File::create(self.config.with_extension("log")).unwrap();
        let child = Command::new(&self.binary)
            .arg("--config")
            .arg(&self.config)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("LIVEKIT_SERVER_BIN must run");
        self.process = Some(Process(child));
        wait_for_port(self.port);
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub fn api(&self) -> Api {
        Api::new(&self.url(), tokens()).unwrap()
    }
}

pub fn tokens() -> Tokens {
    Tokens::new(KEY, SECRET)
}

fn configuration(port: u16, redis_port: u16) -> String {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!(
        "port: {port}
bind_addresses: [127.0.0.1]
redis: {{address: '127.0.0.1:{redis_port}'}}
keys: {{{KEY}: '{SECRET}'}}
logging: {{level: debug}}
rtc:
  udp_port: {udp}
  tcp_port: 0
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces: {{includes: [lo]}}
  ips: {{includes: [127.0.0.0/8]}}
"
    )
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16) {
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < START, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks again until the answer is there.
pub async fn eventually<T, Fut: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> Fut) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < START, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(START, work).await.unwrap_or_else(|_| panic!("{what} took too long"))
}
