//! How are the daemons asked?
//!
//! Over their Unix sockets, as root. A refusal is shown in the daemon's own words; a socket that is
//! not there, or may not be opened, is explained.

use crate::places::Places;
use anyhow::{Context, anyhow};
use daemon::unix_http::{Bytes, Client, StatusCode, UnixHttpError};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, path::Path};
use tokio::net::TcpStream;

/// The daemons this program talks to.
pub struct Neighbours {
    pub control_api: Client,
    pub network_info: Client,
    pub rtp_firewall: Client,
    pub fleet_agent: Client,
}

impl Neighbours {
    pub fn at(places: &Places) -> Self {
        Self {
            control_api: Client::new(places.socket("control-api", "control")),
            network_info: Client::new(places.socket("network-info", "network-info")),
            rtp_firewall: Client::new(places.socket("rtp-firewall", "firewall")),
            fleet_agent: Client::new(places.socket("fleet-agent", "fleet")),
        }
    }
}

/// The error as a person wants to read it.
pub fn explain(error: UnixHttpError) -> anyhow::Error {
    match error {
        UnixHttpError::Refused { status, body, .. } => anyhow!(own_words(status, &body)),
        UnixHttpError::Unreachable { socket, source } => unreachable(&socket, source),
        other => other.into(),
    }
}

/// `GET` from a server on loopback that speaks plain HTTP.
pub async fn get_loopback(address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody answers on {address}"))?;
    exchange(stream, path).await
}

async fn exchange(stream: TcpStream, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Full::<Bytes>::default())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn unreachable(socket: &Path, source: std::io::Error) -> anyhow::Error {
    let daemon = socket.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => anyhow!("no permission to talk to {daemon}: run this as root"),
        _ => anyhow!("{daemon} does not answer (see `journalctl -u {daemon}`)"),
    }
}

/// What a problem document, or any of its smaller relatives, says.
fn own_words(status: StatusCode, body: &str) -> String {
    let fields: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let said = ["detail", "error", "problem", "message", "title"].iter().find_map(|field| fields[field].as_str());
    let hint = fields["hint"].as_str().map(|hint| format!(" ({hint})")).unwrap_or_default();
    match said {
        Some(said) => format!("{said}{hint}"),
        None if body.trim().is_empty() => format!("refused: {status}"),
        None => format!("refused: {status}: {}", body.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_daemons_own_words() {
        let body = r#"{"code":"not_blessed","detail":"this version has not proved itself yet","hint":"try later"}"#;
        assert_eq!(own_words(StatusCode::CONFLICT, body), "this version has not proved itself yet (try later)");
        assert_eq!(own_words(StatusCode::CONFLICT, "busy\n"), "refused: 409 Conflict: busy");
        assert_eq!(own_words(StatusCode::BAD_GATEWAY, ""), "refused: 502 Bad Gateway");
    }

    #[tokio::test]
    async fn a_daemon_that_is_down_is_named_with_the_place_to_look() {
        let root = tempfile::tempdir().unwrap();
        let neighbours = Neighbours::at(&Places::under(root.path()));
        let error = neighbours.rtp_firewall.get::<serde_json::Value>("/v1/state").await.unwrap_err();
        let text = explain(error).to_string();
        assert_eq!(text, "rtp-firewall does not answer (see `journalctl -u rtp-firewall`)");
    }
}
