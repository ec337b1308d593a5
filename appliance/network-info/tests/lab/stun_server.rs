//! A STUN server (RFC 8489): every binding request is answered with the address it came from.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use tokio::task::JoinHandle;

/// Serves until it is dropped.
pub struct StunServer(JoinHandle<()>);

impl StunServer {
    /// At `address` in `namespace`.
    pub fn start(namespace: &str, address: &str) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let socket = super::within(namespace, move || UdpSocket::bind(address).expect("the server's address"));
        socket.set_nonblocking(true).unwrap();
        Self(tokio::spawn(serve(tokio::net::UdpSocket::from_std(socket).unwrap())))
    }
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(socket: tokio::net::UdpSocket) {
    let mut buffer = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        if let Some(answer) = answer(&buffer[..length], from) {
            socket.send_to(&answer, from).await.ok();
        }
    }
}

/// A success with XOR-MAPPED-ADDRESS, for what is a binding request.
fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let ours = request.len() >= 20 && request[..2] == [0, 1] && request[4..8] == [0x21, 0x12, 0xA4, 0x42];
    let key = ours.then(|| &request[4..20])?;
    let octets = match from.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let family = if from.is_ipv4() { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend(from.port().to_be_bytes().iter().zip(key).map(|(byte, key)| byte ^ key));
    value.extend(octets.iter().zip(key).map(|(byte, key)| byte ^ key));
    let length = value.len() as u8;
    let head = [&[1, 1, 0, length + 4][..], key, &[0, 0x20, 0, length]].concat();
    Some([head, value].concat())
}
