//! What does livekit-sip's own configuration ask of us?
//!
//! Its YAML keys (its contract, section 8) become a [`Config`] without a control plane: trunks and dispatch rules alone
//! decide about calls. Keys of upstream's that we have no use for are accepted and named ([`keys`]); keys that nobody
//! knows are refused, as they are in our TOML.

mod codecs;
mod keys;
#[cfg(test)]
mod tests;
mod values;

use crate::config::{self, Config, LiveKit, Observe, Redis as RedisUrl, RoomCodec, Rtp, Sip, SipTls, Transport};
use codecs::Switches;
use keys::Rest;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::Url;
use values::{Lasting, PortRange, filled, seconds, set};

/// Why livekit-sip's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("not the YAML of livekit-sip")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    #[error("neither livekit-sip nor this gateway knows the key `{0}`")]
    UnknownKey(String),
    #[error("{key} is missing: {remedy}")]
    Missing { key: &'static str, remedy: &'static str },
    #[error("{key}: {why}")]
    Unusable { key: &'static str, why: String },
}

/// A configuration, and the keys that did not find their way into it.
#[derive(Debug)]
pub struct Read {
    pub config: Config,
    pub without_effect: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    redis: Option<Redis>,
    api_key: Option<String>,
    api_secret: Option<String>,
    ws_url: Option<String>,
    health_port: Option<u16>,
    prometheus_port: Option<u16>,
    max_cpu_utilization: Option<f64>,
    sip_port: Option<u16>,
    sip_port_listen: Option<u16>,
    tls: Option<Tls>,
    listen_ip: Option<String>,
    media_listen_ip: Option<String>,
    nat_1_to_1_ip: Option<String>,
    media_nat_1_to_1_ip: Option<String>,
    rtp_port: Option<PortRange>,
    media_timeout: Option<Lasting>,
    media_timeout_initial: Option<Lasting>,
    hide_inbound_port: Option<bool>,
    codecs: Option<Switches>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Redis {
    address: Option<String>,
    username: Option<String>,
    password: Option<String>,
    db: Option<u32>,
    use_tls: Option<bool>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tls {
    port: Option<u16>,
    port_listen: Option<u16>,
    certs: Vec<Certificate>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    cert_file: std::path::PathBuf,
    key_file: std::path::PathBuf,
}

/// Reads YAML; `variable` looks up an environment variable.
pub fn read(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Read, UpstreamError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| UpstreamError::Yaml(Box::new(error)))?;
    let without_effect = file.without_effect()?;
    Ok(Read { config: file.config(variable)?, without_effect })
}

impl File {
    /// Known keys that ask for something we do not do.
    fn without_effect(&self) -> Result<Vec<String>, UpstreamError> {
        let mut names = keys::sort("", &self.rest, &keys::TOP)?;
        names.extend(codecs::without_effect(&self.codecs));
        if let Some(redis) = &self.redis {
            names.extend(keys::sort("redis.", &redis.rest, &keys::REDIS)?);
        }
        if set(self.sip_port).is_some_and(|told| told != self.sip_port()) {
            names.push("sip_port".to_owned()); // we tell peers the port that we listen on
        }
        if let Some(tls) = &self.tls {
            names.extend(tls.without_effect()?);
        }
        Ok(names)
    }

    fn config(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, UpstreamError> {
        let given = |value: &Option<String>, key, name: &'static str, remedy| {
            filled(value).or_else(|| variable(name)).ok_or(UpstreamError::Missing { key, remedy })
        };
        let livekit = LiveKit {
            ws_url: given(&self.ws_url, "ws_url", "LIVEKIT_WS_URL", "set it or LIVEKIT_WS_URL")?,
            api_key: given(&self.api_key, "api_key", "LIVEKIT_API_KEY", "set it or LIVEKIT_API_KEY")?,
            api_secret: given(&self.api_secret, "api_secret", "LIVEKIT_API_SECRET", "set it or LIVEKIT_API_SECRET")?,
            rejoin_s: 30,
        };
        Ok(Config {
            redis: RedisUrl { url: self.redis_url()? },
            livekit,
            sip: self.sip()?,
            rtp: self.rtp()?,
            observe: self.observe(),
            control: None,
            spool_dir: None,
            drain_s: None,
            room_codec: RoomCodec::Opus,
            codecs: codecs::spoken(&self.codecs)?,
        })
    }

    fn redis_url(&self) -> Result<String, UpstreamError> {
        let missing =
            UpstreamError::Missing { key: "redis.address", remedy: "set it to host:port of one Redis server" };
        let redis = self
            .redis
            .as_ref()
            .ok_or(UpstreamError::Missing { key: "redis", remedy: "livekit-server and the gateway meet there" })?;
        if redis.use_tls == Some(true) {
            let why = "this gateway speaks no TLS with Redis: use a tunnel, or set it to false";
            return Err(unusable("redis.use_tls", why));
        }
        let address = filled(&redis.address).ok_or(missing)?;
        let mut url = Url::parse(&format!("redis://{address}")).map_err(|error| unusable("redis.address", error))?;
        let credentials = url
            .set_username(redis.username.as_deref().unwrap_or_default())
            .and_then(|()| url.set_password(filled(&redis.password).as_deref()));
        credentials.map_err(|()| unusable("redis.address", "has no host"))?;
        url.set_path(&redis.db.unwrap_or_default().to_string());
        Ok(url.into())
    }

    fn sip(&self) -> Result<Sip, UpstreamError> {
        let ip = self.listen_ip()?;
        Ok(Sip {
            listen: SocketAddr::new(ip, self.sip_port()),
            advertise_ip: ip_of("nat_1_to_1_ip", &self.nat_1_to_1_ip)?,
            transports: vec![Transport::Udp, Transport::Tcp],
            tls: self.tls.as_ref().map(|tls| tls.listening_on(ip)).transpose()?,
            phones: Vec::new(),
            hide_inbound_port: self.hide_inbound_port.unwrap_or_default(),
            engine: config::Engine::SipGateway,
            livekit_sip_bin: None,
        })
    }

    fn sip_port(&self) -> u16 {
        set(self.sip_port_listen).or(set(self.sip_port)).unwrap_or(5060)
    }

    fn listen_ip(&self) -> Result<IpAddr, UpstreamError> {
        Ok(ip_of("listen_ip", &self.listen_ip)?.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
    }

    fn rtp(&self) -> Result<Rtp, UpstreamError> {
        let ports = self.rtp_port.unwrap_or_default();
        let media_ip = ip_of("media_nat_1_to_1_ip", &self.media_nat_1_to_1_ip)?;
        Ok(Rtp {
            start: set(ports.start).unwrap_or(10000),
            end: set(ports.end).unwrap_or(20000),
            ip: ip_of("media_listen_ip", &self.media_listen_ip)?.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            advertise_ip: media_ip.or(ip_of("nat_1_to_1_ip", &self.nat_1_to_1_ip)?),
            media_timeout_s: seconds("media_timeout", &self.media_timeout, 15)?,
            media_timeout_initial_s: seconds("media_timeout_initial", &self.media_timeout_initial, 30)?,
        })
    }

    fn observe(&self) -> Observe {
        let everywhere = |port| Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), set(port)?));
        let default = Observe::default();
        Observe {
            health_listen: everywhere(self.health_port),
            prometheus_listen: everywhere(self.prometheus_port),
            max_cpu_utilization: self
                .max_cpu_utilization
                .filter(|share| *share > 0.0 && *share <= 1.0)
                .unwrap_or(default.max_cpu_utilization),
        }
    }
}

impl Tls {
    fn listen_port(&self) -> u16 {
        set(self.port_listen).or(set(self.port)).unwrap_or(5061)
    }

    fn without_effect(&self) -> Result<Vec<String>, UpstreamError> {
        let mut names = keys::sort("tls.", &self.rest, &keys::TLS)?;
        if set(self.port).is_some_and(|told| told != self.listen_port()) {
            names.push("tls.port".to_owned());
        }
        if self.certs.len() > 1 {
            names.push("tls.certs (all but the first)".to_owned());
        }
        Ok(names)
    }

    fn listening_on(&self, ip: IpAddr) -> Result<SipTls, UpstreamError> {
        let first = self.certs.first();
        let first = first.ok_or(UpstreamError::Missing { key: "tls.certs", remedy: "name cert_file and key_file" })?;
        let (listen, certificate) = (SocketAddr::new(ip, self.listen_port()), first.cert_file.clone());
        let (key, trust) = (first.key_file.clone(), config::system_trust());
        Ok(SipTls { listen, certificate, key, trust, client: None, client_trust: None })
    }
}

fn ip_of(key: &'static str, text: &Option<String>) -> Result<Option<IpAddr>, UpstreamError> {
    let address = |text: String| text.parse().map_err(|_| unusable(key, format!("`{text}` is no IP address")));
    filled(text).map(address).transpose()
}

fn unusable(key: &'static str, why: impl ToString) -> UpstreamError {
    UpstreamError::Unusable { key, why: why.to_string() }
}
