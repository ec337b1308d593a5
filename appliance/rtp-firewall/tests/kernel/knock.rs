//! Hosts knock at ports of the box, and the box echoes what gets through.

use crate::lab::{BOX, Host, Lab, PATIENCE};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};
use tokio::{net::TcpSocket, task::JoinSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Tcp(u16),
    Udp(u16),
}

/// How long a port that should be silent is listened to. An open one answers in microseconds.
const SILENCE: Duration = Duration::from_secs(1);

impl Lab {
    /// Something listens on all of these, whatever the firewall thinks of it.
    pub fn echo(&self, ports: &[Port]) {
        let ports = ports.to_vec();
        self.in_box(move || ports.into_iter().for_each(echo));
    }

    /// Which of the ports answer this host over IPv4 and over IPv6? `expected` ones get all the time they need.
    pub fn answering(&self, host: Host, ports: &[Port], expected: &[Port]) -> [BTreeSet<Port>; 2] {
        let at = |source, target| self.answers(source, target, ports, expected);
        [at(host.v4(), BOX[0]), at(host.v6(), BOX[1])]
    }

    pub fn answers(&self, source: IpAddr, target: IpAddr, ports: &[Port], expected: &[Port]) -> BTreeSet<Port> {
        let knocks: Vec<_> =
            ports.iter().map(|port| (*port, if expected.contains(port) { PATIENCE } else { SILENCE })).collect();
        self.in_world(move || run(knock_at_all(source, target, knocks)))
    }

    /// Does this one port answer over IPv4? Use [`Self::opens`] where it must.
    pub fn answers_now(&self, host: Host, port: Port) -> bool {
        !self.answers(host.v4(), BOX[0], &[port], &[]).is_empty()
    }

    /// Waits until the port answers over IPv4.
    pub fn opens(&self, host: Host, port: Port) -> bool {
        !self.answers(host.v4(), BOX[0], &[port], &[port]).is_empty()
    }

    /// A connection over IPv4 on which the box echoes.
    pub fn connect(&self, host: Host, port: u16) -> TcpStream {
        self.in_world(move || {
            run(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::new(host.v4(), 0)).unwrap();
                let stream = socket.connect(SocketAddr::new(BOX[0], port)).await.unwrap().into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                stream
            })
        })
    }

    /// Every TCP port that says anything at all, be it a reset.
    pub fn scan(&self) -> Vec<u16> {
        self.in_world(|| {
            let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most).unwrap();
            let at_once = (most as usize / 2).min(16_384);
            let all: Vec<u16> = (1..=u16::MAX).collect();
            all.chunks(at_once).flat_map(|ports| run(scan(ports.to_vec()))).collect()
        })
    }
}

/// Does the box echo on this connection within the time?
pub fn echoes(mut stream: &TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read(&mut [0; 16]).is_ok_and(|length| length > 0)
}

pub fn silent(stream: &TcpStream) -> bool {
    !echoes(stream, SILENCE)
}

fn echo(port: Port) {
    match port {
        Port::Udp(port) => {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
            std::thread::spawn(move || {
                let mut packet = [0; 64];
                while let Ok((length, from)) = socket.recv_from(&mut packet) {
                    let _ = socket.send_to(&packet[..length], from);
                }
            });
        }
        Port::Tcp(port) => {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
                }
            });
        }
    }
}

async fn knock_at_all(source: IpAddr, target: IpAddr, knocks: Vec<(Port, Duration)>) -> BTreeSet<Port> {
    let mut tasks = JoinSet::new();
    for (port, limit) in knocks {
        tasks.spawn(async move {
            tokio::time::timeout(limit, knock(source, target, port))
                .await
                .is_ok_and(|answered| answered)
                .then_some(port)
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn knock(source: IpAddr, target: IpAddr, port: Port) -> bool {
    match port {
        Port::Tcp(port) => {
            let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
            socket.bind(SocketAddr::new(source, 0)).unwrap();
            socket.connect(SocketAddr::new(target, port)).await.is_ok()
        }
        Port::Udp(port) => {
            let socket = tokio::net::UdpSocket::bind(SocketAddr::new(source, 0)).await.unwrap();
            socket.connect(SocketAddr::new(target, port)).await.unwrap();
            let mut again = tokio::time::interval(Duration::from_millis(100));
            let mut answer = [0; 16];
            loop {
                tokio::select! {
                    _ = again.tick() => drop(socket.send(b"x").await),
                    received = socket.recv(&mut answer) => return received.is_ok(),
                }
            }
        }
    }
}

async fn scan(ports: Vec<u16>) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for port in ports {
        tasks.spawn(async move {
            let connected = tokio::time::timeout(SILENCE, tokio::net::TcpStream::connect((BOX[0], port))).await;
            let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
            connected.is_ok_and(|outcome| outcome.as_ref().err().is_none_or(refused)).then_some(port)
        });
    }
    let mut answering: Vec<u16> = tasks.join_all().await.into_iter().flatten().collect();
    answering.sort_unstable();
    answering
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
