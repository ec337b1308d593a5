//! How do the STUN requests of a round leave, and their answers arrive?
//!
//! One UDP socket for IPv4 and one for IPv6: all servers of a family see the same port of ours, so
//! their answers can be compared. What to send when: [`crate::round`].

use crate::round::{Mapping, Round};
use futures_util::future::join_all;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;

/// How long a name may take to resolve.
const LOOK_UP: Duration = Duration::from_secs(5);

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    Answers(Vec<Mapping>),
    /// None of the names resolves.
    NoNames,
    /// No packet could leave.
    NoRoute,
    Silence,
}

/// Asks all of `servers` (`host:port`).
pub async fn ask(servers: &[String]) -> Asked {
    let found = look_up(servers).await;
    if found.is_empty() {
        return Asked::NoNames;
    }
    let mut round = Round::new(found.into_iter().map(|server| (server, rand::random())), Instant::now());
    if let Err(error) = run(&mut round).await {
        tracing::warn!(%error, "no socket for STUN");
        return Asked::NoRoute;
    }
    match round.mappings() {
        [] if round.nothing_left() => Asked::NoRoute,
        [] => Asked::Silence,
        mappings => Asked::Answers(mappings.to_vec()),
    }
}

/// One address of each family for each name.
async fn look_up(servers: &[String]) -> Vec<SocketAddr> {
    let look_ups = servers.iter().map(|server| async move {
        match tokio::time::timeout(LOOK_UP, tokio::net::lookup_host(server)).await {
            Ok(Ok(found)) => found.map(|address| (address.is_ipv4(), address)).collect(),
            _ => BTreeMap::new(),
        }
    });
    let mut found: Vec<_> = join_all(look_ups).await.into_iter().flat_map(BTreeMap::into_values).collect();
    found.sort();
    found.dedup();
    found
}

async fn run(round: &mut Round) -> io::Result<()> {
    let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await.ok(); // the kernel may have none
    let (mut buffer4, mut buffer6) = ([0; 1500], [0; 1500]);
    loop {
        send_due(round, &v4, v6.as_ref()).await;
        let Some(wake) = round.next_wakeup(Instant::now()) else { return Ok(()) };
        tokio::select! {
            Ok((length, from)) = v4.recv_from(&mut buffer4) => round.handle(from, &buffer4[..length], Instant::now()),
            Ok((length, from)) = receive(v6.as_ref(), &mut buffer6) => round.handle(from, &buffer6[..length], Instant::now()),
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

async fn send_due(round: &mut Round, v4: &UdpSocket, v6: Option<&UdpSocket>) {
    while let Some((server, bytes)) = round.poll_send(Instant::now()) {
        let sent = match (server.ip(), v6) {
            (IpAddr::V4(_), _) => v4.send_to(&bytes, server).await,
            (IpAddr::V6(_), Some(v6)) => v6.send_to(&bytes, server).await,
            (IpAddr::V6(_), None) => Err(io::ErrorKind::NetworkUnreachable.into()),
        };
        if let Err(error) = sent {
            tracing::debug!(stun.server = %server, %error, "a STUN request cannot leave");
            round.no_way_to(server);
        }
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}
