//! A gateway that tests can signal, and phones that it can ring.

use livekit::{
    proto::sip::InternalCreateSipParticipantRequest as Request,
    psrpc::{Bus, SipInternal},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    net::{SocketAddr, TcpListener},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpStream, UdpSocket},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// For anything that ought to happen.
const LIMIT: Duration = Duration::from_secs(60);

/// Ours, on ports that the log names.
const OURS: &str = "drain_s = 600\nredis.url = \"redis://127.0.0.1:REDIS/0\"\n\
    livekit = { ws_url = \"ws://127.0.0.1:LIVEKIT\", api_key = \"key\", api_secret = \"secret\" }\n\
    sip.listen = \"127.0.0.1:0\"\nrtp = { start = 10000, end = 60000, ip = \"127.0.0.1\" }\n\
    observe = { health_listen = \"127.0.0.1:0\", prometheus_listen = \"127.0.0.1:0\", max_cpu_utilization = 1.0 }\n";

/// livekit-sip's, which has to name ports.
pub const UPSTREAM: &str = "api_key: key\napi_secret: secret\nws_url: ws://127.0.0.1:LIVEKIT\n\
    redis: {address: '127.0.0.1:REDIS'}\nlisten_ip: 127.0.0.1\nsip_port: FREE1\nhealth_port: FREE2\n\
    prometheus_port: FREE3\nmax_cpu_utilization: 1.0\nuse_external_ip: true\nsip_hostname: sip.example.com\n";

pub struct Bench {
    pub sip: SocketAddr,
    pub health: SocketAddr,
    pub metrics: SocketAddr,
    /// What the gateway has logged so far.
    pub heard: String,
    gateway: Child,
    log: Lines<BufReader<ChildStderr>>,
    redis_port: u16,
    _redis: Child,
    _livekit: TcpListener,
    _folder: TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        Self::configured(".toml", OURS).await
    }

    pub async fn configured(ending: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let livekit = TcpListener::bind("127.0.0.1:0").unwrap();
        let (redis, redis_port) = redis(&folder).await;
        let mut text = text.replace("REDIS", &redis_port.to_string());
        text = text.replace("LIVEKIT", &livekit.local_addr().unwrap().port().to_string());
        for name in ["FREE1", "FREE2", "FREE3"] {
            text = text.replace(name, &free_port().to_string());
        }
        let file = folder.path().join(format!("gateway{ending}"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sip-gateway"));
        command.arg("--config").arg(&file).env_remove("JOURNAL_STREAM").env_remove("SCAIBOX_LOG");
        let mut gateway = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let log = BufReader::new(gateway.stderr.take().unwrap()).lines();
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut bench = Self {
            sip: nowhere,
            health: nowhere,
            metrics: nowhere,
            heard: String::new(),
            gateway,
            log,
            redis_port,
            _redis: redis,
            _livekit: livekit,
            _folder: folder,
        };
        let serves = bench.says("sip-gateway serves").await;
        let address = |name: &str| word_after(&serves, &format!("{name}.listen=")).parse::<SocketAddr>().unwrap();
        (bench.sip, bench.health) = (address("sip"), address("health"));
        bench.metrics = address("prometheus");
        bench
    }

    /// Waits for a line of the log.
    pub async fn says(&mut self, wanted: &str) -> String {
        loop {
            let line = timeout(LIMIT, self.log.next_line()).await.expect(wanted).unwrap();
            let line = line.unwrap_or_else(|| panic!("the gateway ended and did not say: {wanted}\n{}", self.heard));
            self.heard.push_str(&line);
            self.heard.push('\n');
            if line.contains(wanted) {
                return line;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.gateway.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits until it is gone.
    pub async fn ended(&mut self) -> ExitStatus {
        let rest = async { while let Ok(Some(_)) = self.log.next_line().await {} };
        timeout(LIMIT, rest).await.expect("the gateway ends");
        timeout(LIMIT, self.gateway.wait()).await.expect("the gateway ends").unwrap()
    }

    /// Has the gateway dial, as livekit-server does; returns once it has.
    pub async fn dial(&mut self, phone: &Phone) {
        let request = Request {
            sip_call_id: "SCL_test".into(),
            address: phone.0.local_addr().unwrap().to_string(),
            call_to: "100".into(),
            number: "200".into(),
            room_name: "room".into(),
            participant_identity: "sip_100".into(),
            ..Request::default()
        };
        let url = format!("redis://127.0.0.1:{}/0", self.redis_port);
        tokio::spawn(async move {
            let bus = Bus::connect(&url).await.unwrap();
            SipInternal::new(bus).create(&request, LIMIT).await
        });
        self.says("outbound call").await;
    }

    /// The value of the first sample that begins like this or has it after `livekit_sip_`.
    pub async fn figure(&self, name: &str) -> Option<f64> {
        let (_, text) = get(self.metrics).await;
        let sample = text.lines().find(|line| !line.starts_with('#') && line.contains(name))?;
        sample.rsplit(' ').next()?.parse().ok()
    }

    /// Asks for a figure until it is this one.
    pub async fn reaches(&self, name: &str, wanted: f64) {
        let asked = async { while self.figure(name).await != Some(wanted) {} };
        timeout(LIMIT, asked).await.unwrap_or_else(|_| panic!("{name} is not {wanted}"));
    }
}

/// Status and body.
pub async fn get(address: SocketAddr) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (word_after(head, "HTTP/1.0 ").parse().unwrap(), body.to_owned())
}

async fn redis(folder: &TempDir) -> (Child, u16) {
    let port = free_port();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"]).arg(folder.path());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("redis-server must be installed");
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("Ready to accept connections") {
                return;
            }
        }
        panic!("redis-server ended");
    };
    timeout(LIMIT, ready).await.expect("redis-server serves");
    child.stdout = Some(log.into_inner().into_inner()); // closed, it would be a reason to complain
    (child, port)
}

/// Below those that the kernel gives to others, and no other test of this process gets it.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = std::iter::repeat_with(|| std::process::id() * 97 + NEXT.fetch_add(1, Ordering::Relaxed));
    let mut ports = ports.map(|n| 20_000 + (n % 10_000) as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn word_after<'a>(text: &'a str, mark: &str) -> &'a str {
    let rest = text.split_once(mark).unwrap_or_else(|| panic!("no `{mark}` in {text}")).1;
    rest.split_whitespace().next().unwrap()
}

/// A socket that speaks just enough SIP.
pub struct Phone(UdpSocket);

impl Phone {
    pub async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    /// Waits for a request of this method; the rest is let go by.
    pub async fn request(&self, method: &str) -> String {
        self.message(|text| text.starts_with(&format!("{method} "))).await
    }

    /// Answers with the request's own headers and our tag, to where its topmost Via says.
    pub async fn answer(&self, request: &str, status: &str) {
        let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let mut lines: Vec<_> = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name))).collect();
        let to = lines.iter().find(|line| line.starts_with("To:")).map(|line| format!("{line};tag=phone")).unwrap();
        lines.retain(|line| !line.starts_with("To:"));
        let answer = format!("SIP/2.0 {status}\r\n{}\r\n{to}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        let peer = word_after(request, "Via: SIP/2.0/UDP ").split(';').next().unwrap().to_owned();
        self.0.send_to(answer.as_bytes(), peer).await.unwrap();
    }

    pub async fn invite(&self, gateway: SocketAddr) {
        let me = self.0.local_addr().unwrap();
        let invite = format!(
            "INVITE sip:100@{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:200@{me}>;tag=1\r\nTo: <sip:100@{gateway}>\r\nCall-ID: 1@{me}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:200@{me}>\r\nContent-Length: 0\r\n\r\n"
        );
        self.0.send_to(invite.as_bytes(), gateway).await.unwrap();
    }

    pub async fn final_status(&self) -> u16 {
        let code = |text: &str| text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        code(&self.message(|text| code(text).is_some_and(|code| code >= 200)).await).unwrap()
    }

    async fn message(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = timeout(LIMIT, self.0.recv(&mut buffer)).await.expect("a message").unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if wanted(&text) {
                return text;
            }
        }
    }
}
