//! Whose SIP may the firewall let in? Told to `rtp-firewall` on every change and once a minute.
//!
//! Carriers are what trunks allow and what their server names resolved to; phones are the hosts of
//! desk phones, and the networks that others may register from.

use crate::{app::App, fields::split_host_port, keep_told::KeepTold, ready::with_causes};
use daemon::unix_http::Client;
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use store::{
    Connection, StoreError,
    extensions::{self, Extension},
    trunks::{self, Trunk},
};
use types::firewall::{Applied, Peers};

const PERIOD: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(5);
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// Runs until the daemon stops; a box without a firewall of its own has nobody to tell.
pub async fn run(app: App) {
    let Some(firewall) = &app.firewall else { return };
    let mut telling = KeepTold::new("rtp-firewall", PERIOD, RETRY);
    while telling.rest(&app, &app.peers_changed, tell(&app, firewall).await).await {}
}

async fn tell(app: &App, firewall: &Client) -> Result<(), String> {
    let read = |conn: &Connection| Ok::<_, StoreError>((trunks::all(conn)?, extensions::desk_phones(conn)?));
    let (trunks, phones) = app.db.read(read).await.map_err(|error| error.to_string())?;
    let mut networks = resolve(hosts(&phones)).await;
    networks.extend(registrable(&phones, &app.config.phone_networks));
    let peers = Peers { trunks: carriers(&trunks), phones: networks };
    let applied: Result<Applied, _> = firewall.put("/v1/peers", &peers).await;
    applied.map(drop).map_err(|error| with_causes("rtp-firewall", &error))
}

/// Loopback needs no hole.
fn carriers(trunks: &[Trunk]) -> Vec<IpNet> {
    let enabled = trunks.iter().filter(|trunk| trunk.spec.enabled);
    let texts = enabled.flat_map(|trunk| {
        let server = split_host_port(&trunk.spec.sip_server_address).0;
        trunk.spec.allowed_addresses.iter().chain(&trunk.resolved_addresses).map(String::as_str).chain([server])
    });
    let networks: BTreeSet<_> = texts.filter_map(network).filter(|network| !network.addr().is_loopback()).collect();
    networks.into_iter().collect()
}

/// A network, or one address; a name is neither.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().map(|network| network.trunc()).or_else(address)
}

/// Where the desk phones with a SIP URI are: `phone.lan` of `sip:100@phone.lan:5060;transport=udp`.
fn hosts(phones: &[Extension]) -> BTreeSet<String> {
    let uris = phones.iter().filter_map(|phone| phone.spec.target.as_deref());
    let places = uris.filter_map(|uri| uri.split_once('@')).map(|(_, place)| place.split(';').next().unwrap_or(place));
    places.map(|place| split_host_port(place).0.to_owned()).collect()
}

/// Where phones may register from, as soon as there is one that may.
fn registrable(phones: &[Extension], networks: &[IpNet]) -> Vec<IpNet> {
    let registers = |phone: &Extension| phone.spec.target.is_none() && phone.spec.sip_username.is_some();
    if phones.iter().any(registers) { networks.to_vec() } else { Vec::new() }
}

async fn resolve(hosts: BTreeSet<String>) -> Vec<IpNet> {
    let mut networks = BTreeSet::new();
    for host in hosts {
        match network(&host) {
            Some(known) => drop(networks.insert(known)),
            None => networks.extend(look_up(&host).await),
        }
    }
    networks.into_iter().filter(|network| !network.addr().is_loopback()).collect()
}

/// A name that does not resolve now is asked again in a minute.
async fn look_up(host: &str) -> Vec<IpNet> {
    let lookup = tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host, 0))).await;
    match lookup {
        Ok(Ok(found)) => found.map(|address| address.ip().into()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_names_are_not() {
        let read = |text| network(text).map(|network| network.to_string());
        assert_eq!(read("192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(read("192.0.2.7/24").as_deref(), Some("192.0.2.0/24"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("2001:db8::1/128"));
        assert_eq!(read("sip.example.org"), None);
    }
}
