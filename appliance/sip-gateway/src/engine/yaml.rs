//! What is livekit-sip told to be?
//!
//! Its keys (its contract, section 8), from our own configuration. JSON is YAML.

use crate::config::{Codec, Config, SipTls};
use serde_json::{Value, json};
use std::net::IpAddr;
use url::Url;

/// What changes from start to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Where its health is asked for.
    pub health_port: u16,
    /// How the internet sees this machine, when nothing else is configured.
    pub egress: Option<IpAddr>,
}

/// The whole configuration. It holds secrets.
pub fn of(config: &Config, moment: Moment) -> Value {
    let egress = moment.egress.filter(IpAddr::is_ipv4);
    // It has one answer for everybody; left alone it takes the first interface's address, whatever it listens on.
    let sip_ip = config.sip.advertise_ip.or(egress).or(one(config.sip.listen.ip()));
    let media_ip = config.rtp.advertise_ip.or(config.sip.advertise_ip).or(egress).or(one(config.rtp.ip)).or(sip_ip);
    let mut all = json!({
        "redis": redis(&config.redis.url),
        "api_key": config.livekit.api_key,
        "api_secret": config.livekit.api_secret,
        "ws_url": config.livekit.ws_url,
        "health_port": moment.health_port,
        "sip_port": config.sip.listen.port(),
        "listen_ip": config.sip.listen.ip(),
        "hide_inbound_port": config.sip.hide_inbound_port,
        "rtp_port": { "start": config.rtp.start, "end": config.rtp.end },
        "media_timeout": format!("{}s", config.rtp.media_timeout_s),
        "media_timeout_initial": format!("{}s", config.rtp.media_timeout_initial_s),
        "max_cpu_utilization": config.observe.max_cpu_utilization,
        "codecs": codecs(&config.codecs),
        "logging": { "level": "info", "json": true },
    });
    let optional = [
        ("prometheus_port", config.observe.prometheus_listen.map(|address| json!(address.port()))),
        ("nat_1_to_1_ip", sip_ip.map(|ip| json!(ip))),
        ("media_nat_1_to_1_ip", media_ip.map(|ip| json!(ip))),
        ("tls", config.sip.tls.as_ref().map(tls)),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            all[key] = value;
        }
    }
    all
}

fn one(bound: IpAddr) -> Option<IpAddr> {
    (!bound.is_unspecified()).then_some(bound)
}

/// `redis://user:password@host:port/db` in livekit-sip's keys; what is no URL is an address.
fn redis(url: &str) -> Value {
    let Ok(url) = Url::parse(url) else { return json!({ "address": url }) };
    let address = format!("{}:{}", url.host_str().unwrap_or("127.0.0.1"), url.port().unwrap_or(6379));
    let db: u32 = url.path().trim_start_matches('/').parse().unwrap_or_default();
    json!({
        "address": address, "username": url.username(), "password": url.password().unwrap_or_default(), "db": db,
    })
}

/// Named as SDP does. It has an order of its own; which codecs there are is ours to say.
fn codecs(wanted: &[Codec]) -> Value {
    json!({
        "PCMU/8000": wanted.contains(&Codec::Pcmu),
        "PCMA/8000": wanted.contains(&Codec::Pcma),
        "G722/8000": wanted.contains(&Codec::G722),
    })
}

fn tls(tls: &SipTls) -> Value {
    json!({ "port": tls.listen.port(), "certs": [{ "cert_file": tls.certificate, "key_file": tls.key }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::tests::toml_of, upstream_config};

    const OURS: &str = r#"
        spool_dir = "/tmp/spool"
        codecs = ["pcma"]
        [redis]
        url = "redis://:s%40fe@127.0.0.1:6400/2"
        [livekit]
        ws_url = "ws://127.0.0.1:7880"
        api_key = "key"
        api_secret = "secret"
        [sip]
        listen = "127.0.0.1:5070"
        engine = "livekit-sip"
        livekit_sip_bin = "/opt/livekit-sip"
        [sip.tls]
        listen = "127.0.0.1:5071"
        certificate = "/c.pem"
        key = "/k.pem"
        [rtp]
        start = 10000
        end = 10200
        ip = "127.0.0.1"
        media_timeout_s = 20
        [control]
        api_socket = "run/control.sock"
        listen_socket = "run/gateway.sock"
    "#;

    fn written(egress: Option<&str>, listen: &str) -> Value {
        let config = toml_of(&OURS.replace("127.0.0.1:5070", listen)).unwrap();
        config.check().unwrap();
        of(&config, Moment { health_port: 8081, egress: egress.map(|ip| ip.parse().unwrap()) })
    }

    /// This gateway reads livekit-sip's keys, too, and refuses those that livekit-sip does not know.
    #[test]
    fn what_is_written_reads_back_as_what_was_meant() {
        let read = upstream_config::read(&written(None, "127.0.0.1:5070").to_string(), |_| None).unwrap();
        assert_eq!(read.without_effect, ["logging"]);
        let (ours, theirs) = (toml_of(OURS).unwrap(), read.config);
        theirs.check().unwrap();
        assert_eq!(theirs.redis.url, ours.redis.url);
        assert_eq!(theirs.livekit.ws_url, ours.livekit.ws_url);
        assert_eq!((theirs.livekit.api_key, theirs.livekit.api_secret), ("key".into(), "secret".into()));
        assert_eq!(theirs.sip.listen, ours.sip.listen);
        assert_eq!((theirs.rtp.start, theirs.rtp.end, theirs.rtp.media_timeout_s), (10000, 10200, 20));
        assert_eq!(theirs.codecs, ours.codecs);
        assert_eq!(theirs.observe.health_listen.unwrap().port(), 8081);
        let (tls, meant) = (theirs.sip.tls.unwrap(), ours.sip.tls.unwrap());
        assert_eq!((tls.listen, tls.certificate, tls.key), (meant.listen, meant.certificate, meant.key));
    }

    #[test]
    fn everybody_is_told_the_address_that_the_internet_sees_or_else_the_one_that_is_listened_on() {
        let told = |egress, listen| written(egress, listen).get("nat_1_to_1_ip").cloned();
        assert_eq!(told(Some("203.0.113.7"), "127.0.0.1:5070"), Some("203.0.113.7".into()));
        assert_eq!(told(None, "127.0.0.1:5070"), Some("127.0.0.1".into()));
        assert_eq!(told(Some("203.0.113.7"), "0.0.0.0:5070"), Some("203.0.113.7".into()));
        assert_eq!(told(Some("2001:db8::7"), "0.0.0.0:5070"), None, "it knows IPv4 only");
        assert_eq!(written(Some("203.0.113.7"), "0.0.0.0:5070")["media_nat_1_to_1_ip"], "203.0.113.7");
    }
}
