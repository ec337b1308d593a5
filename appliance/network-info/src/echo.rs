//! Which address does a web page see us at?
//!
//! The way around STUN where UDP is closed. A page answers with the bare address or with
//! `{"ip": "…"}`; the first page that answers is believed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);
/// An address needs less; more is another page.
const LONGEST: usize = 4096;

/// What the pages saw, over IPv4 and over IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Echoed {
    pub v4: Option<IpAddr>,
    pub v6: Option<IpAddr>,
}

/// Asks over both families at once.
pub async fn ask(pages: &[String]) -> Option<Echoed> {
    let (v4, v6) = tokio::join!(first(pages, Ipv4Addr::UNSPECIFIED.into()), first(pages, Ipv6Addr::UNSPECIFIED.into()));
    (v4.is_some() || v6.is_some()).then_some(Echoed { v4, v6 })
}

/// The first page that sees an address of the family of `from`.
async fn first(pages: &[String], from: IpAddr) -> Option<IpAddr> {
    let client = reqwest::Client::builder().local_address(from).timeout(PATIENCE).no_proxy().build().ok()?;
    for page in pages {
        match fetch(&client, page).await {
            Ok(body) => match parse(&body).filter(|ip| ip.is_ipv4() == from.is_ipv4()) {
                Some(ip) => return Some(ip),
                None => tracing::debug!(url = page, "the page does not answer with an address"),
            },
            Err(error) => tracing::debug!(url = page, %error, "the page does not answer"),
        }
    }
    None
}

async fn fetch(client: &reqwest::Client, page: &str) -> reqwest::Result<Vec<u8>> {
    let mut answer = client.get(page).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(more) = answer.chunk().await? {
        body.extend_from_slice(&more);
        if body.len() > LONGEST {
            break; // parse() will refuse it
        }
    }
    Ok(body)
}

/// A bare address, or the field `ip` of a JSON object.
fn parse(body: &[u8]) -> Option<IpAddr> {
    #[derive(serde::Deserialize)]
    struct Answer {
        ip: IpAddr,
    }
    if body.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    text.parse().ok().or_else(|| serde_json::from_str::<Answer>(text).ok().map(|answer| answer.ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_and_a_json_object_are_read_and_nothing_else() {
        let ip: IpAddr = "203.0.113.7".parse().unwrap();
        assert_eq!(parse(b"203.0.113.7\n"), Some(ip));
        assert_eq!(parse(br#"{"ip": "203.0.113.7", "country": "NL"}"#), Some(ip));
        assert_eq!(parse(b"2001:db8::1"), Some("2001:db8::1".parse().unwrap()));
        for other in [&b"<html>203.0.113.7</html>"[..], b"", b"\xff\xfe", br#"{"ip": 7}"#, &[b' '; LONGEST + 1]] {
            assert_eq!(parse(other), None, "{:?}", String::from_utf8_lossy(other));
        }
    }
}
