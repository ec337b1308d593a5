use super::*;
use std::path::Path;

const SHORT: &str =
    "api_key: key\napi_secret: secret\nws_url: ws://127.0.0.1:7880\nredis:\n  address: localhost:6379\n";

fn of(more: &str) -> Result<Read, UpstreamError> {
    read(&format!("{SHORT}{more}"), |_| None)
}

fn config(more: &str) -> Config {
    let config = of(more).unwrap().config;
    config.check().unwrap();
    config
}

fn refused(more: &str) -> String {
    of(more).unwrap_err().to_string()
}

#[test]
fn the_shortest_file_listens_where_upstream_does_and_drains_for_as_long_as_calls_last() {
    let config = config("");
    assert_eq!(config.redis.url, "redis://localhost:6379/0");
    assert_eq!(config.sip.listen.to_string(), "0.0.0.0:5060");
    assert_eq!((config.rtp.start, config.rtp.end), (10000, 20000));
    assert_eq!((config.rtp.media_timeout_s, config.rtp.media_timeout_initial_s), (15, 30));
    assert!(config.sip.tls.is_none() && config.control.is_none() && config.drain_s.is_none());
    assert!(config.observe.health_listen.is_none() && config.observe.prometheus_listen.is_none());
    assert_eq!(config.room_codec, RoomCodec::Opus);
}

#[test]
fn every_key_that_we_use_ends_where_it_belongs() {
    let config = config(
        "health_port: 8080\nprometheus_port: 6789\nmax_cpu_utilization: 0.5\nsip_port_listen: 5070\n\
         listen_ip: 192.0.2.5\nmedia_listen_ip: 192.0.2.6\nnat_1_to_1_ip: 203.0.113.1\nmedia_nat_1_to_1_ip: 203.0.113.2\n\
         rtp_port: {start: 30000, end: 30100}\nmedia_timeout: 1m30s\nmedia_timeout_initial: 5000000000\n\
         hide_inbound_port: true\ntls:\n  port: 5062\n  certs:\n  - cert_file: /a.crt\n    key_file: /a.key\n",
    );
    assert_eq!(config.observe.health_listen.unwrap().to_string(), "0.0.0.0:8080");
    assert_eq!(config.observe.prometheus_listen.unwrap().to_string(), "0.0.0.0:6789");
    assert_eq!(config.observe.max_cpu_utilization, 0.5);
    assert_eq!(config.sip.listen.to_string(), "192.0.2.5:5070");
    assert_eq!(config.sip.advertise_ip.unwrap().to_string(), "203.0.113.1");
    assert_eq!(config.rtp.ip.to_string(), "192.0.2.6");
    assert_eq!(config.rtp.advertise_ip.unwrap().to_string(), "203.0.113.2");
    assert_eq!((config.rtp.start, config.rtp.end), (30000, 30100));
    assert_eq!((config.rtp.media_timeout_s, config.rtp.media_timeout_initial_s), (90, 5));
    assert!(config.sip.hide_inbound_port);
    let tls = config.sip.tls.unwrap();
    assert_eq!(tls.listen.to_string(), "192.0.2.5:5062");
    assert_eq!((tls.certificate.as_path(), tls.key.as_path()), (Path::new("/a.crt"), Path::new("/a.key")));
}

#[test]
fn a_range_of_ports_may_be_one_word() {
    let rtp = config("rtp_port: 30000-30100\n").rtp;
    assert_eq!((rtp.start, rtp.end), (30000, 30100));
    assert!(of("rtp_port: many\n").is_err());
}

#[test]
fn keys_without_effect_are_named_when_they_ask_for_something() {
    let read = of("use_external_ip: true\naudio_dtmf: false\nsip_ringing_interval: 1s\nlogging: {level: debug}\n\
                   sip_port: 5060\nsip_port_listen: 5070\ntls: {min_version: tls1.3, certs: [{cert_file: /a, key_file: /b}]}\n");
    assert_eq!(read.unwrap().without_effect, ["logging", "use_external_ip", "sip_port", "tls.min_version"]);
}

#[test]
fn a_key_that_nobody_knows_is_refused_by_name() {
    assert!(refused("sip_prot: 5060\n").contains("`sip_prot`"));
    assert!(refused("tls: {prot: 5061}\n").contains("`tls.prot`"));
    let redis = SHORT.replace("  address", "  adress");
    assert!(read(&redis, |_| None).unwrap_err().to_string().contains("`redis.adress`"));
}

#[test]
fn credentials_may_come_from_the_environment_and_the_file_goes_first() {
    let variable = |name: &str| Some(format!("of {name}"));
    let config = read("api_key: mine\nredis: {address: 'r:1'}\n", variable).unwrap().config;
    assert_eq!(config.livekit.api_key, "mine");
    assert_eq!(config.livekit.api_secret, "of LIVEKIT_API_SECRET");
    assert_eq!(config.livekit.ws_url, "of LIVEKIT_WS_URL");
    let missing = read("redis: {address: 'r:1'}\n", |_| None).unwrap_err().to_string();
    assert_eq!(missing, "ws_url is missing: set it or LIVEKIT_WS_URL");
}

#[test]
fn a_redis_password_may_hold_anything() {
    let config = config("  username: a:b\n  password: 'p@ss/wörd'\n  db: 3\n");
    assert_eq!(config.redis.url, "redis://a%3Ab:p%40ss%2Fw%C3%B6rd@localhost:6379/3");
}

#[test]
fn a_password_is_never_sent_in_the_clear_where_tls_was_asked_for() {
    assert!(refused("  use_tls: true\n").starts_with("redis.use_tls: "));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let without_redis = "api_key: k\napi_secret: s\nws_url: w\n";
    assert!(read(without_redis, |_| None).unwrap_err().to_string().starts_with("redis is missing"));
    let sentinel = format!("{without_redis}redis: {{sentinel_addresses: [a]}}\n");
    assert!(read(&sentinel, |_| None).unwrap_err().to_string().starts_with("redis.address is missing"));
    assert_eq!(refused("listen_ip: eth0\n"), "listen_ip: `eth0` is no IP address");
    assert_eq!(refused("media_timeout: soon\n"), "media_timeout: `soon` is no duration; try 15s");
    assert!(refused("tls: {port: 5061}\n").starts_with("tls.certs is missing"));
}
