//! Who may do what: LiveKit's access tokens.

use super::twirp::Grants;
use crate::proto::RoomConfiguration;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use livekit_api::access_token::{Claims, VideoGrants};
use sha2::Sha256;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use types::Redacted;

const API_TTL: Duration = Duration::from_secs(60);
const WORKER_TTL: Duration = Duration::from_secs(600);
const SIP_TTL: Duration = Duration::from_secs(24 * 3600);

/// The attributes that a SIP participant's token carries; the others follow at the join.
const SIP_TOKEN_ATTRIBUTES: [&str; 5] =
    ["sip.callID", "sip.trunkID", "sip.ruleID", "sip.trunkPhoneNumber", "sip.phoneNumber"];

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the LiveKit API key or secret is empty")]
    NoKey,
    #[error("a token to join needs a room and an identity")]
    NoRoom,
    #[error("could not write the claims")]
    Json(#[from] serde_json::Error),
}

/// Signs tokens with LiveKit's API key.
#[derive(Clone, Debug)]
pub struct Tokens {
    api_key: String,
    api_secret: Redacted<String>,
}

/// Somebody who joins a room: a browser, a recorder.
#[derive(Clone, Debug, Default)]
pub struct Join {
    pub room: String,
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: HashMap<String, String>,
    /// How long the token is good for joining; keep it short.
    pub ttl: Duration,
    /// Not seen by the others.
    pub hidden: bool,
    /// Listens only.
    pub silent: bool,
}

/// A phone that joins a room.
#[derive(Clone, Debug, Default)]
pub struct SipJoin {
    pub room: String,
    pub identity: String,
    pub name: String,
    pub metadata: String,
    /// All of them; the token takes the ones that belong into it.
    pub attributes: HashMap<String, String>,
    /// Both from the dispatch rule: so that its agents get dispatched.
    pub room_preset: String,
    pub room_config: Option<RoomConfiguration>,
}

impl Tokens {
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Self {
        Self { api_key: api_key.into(), api_secret: Redacted(api_secret.into()) }
    }

    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    pub(super) fn api_secret(&self) -> &str {
        self.api_secret.expose()
    }

    /// For somebody who joins a room.
    pub fn join(&self, join: &Join) -> Result<String, TokenError> {
        let video = VideoGrants {
            can_publish: Some(!join.silent),
            can_publish_data: Some(!join.silent),
            hidden: join.hidden,
            ..joining(&join.room, &join.identity)?
        };
        let claims = Claims {
            sub: join.identity.clone(),
            name: join.name.clone(),
            metadata: join.metadata.clone(),
            attributes: join.attributes.clone(),
            video,
            ..self.claims(join.ttl)
        };
        self.sign(&claims, "")
    }

    /// For the participant that stands for a phone.
    pub fn sip_participant(&self, join: &SipJoin) -> Result<String, TokenError> {
        let mut attributes = join.attributes.clone();
        attributes.retain(|key, _| SIP_TOKEN_ATTRIBUTES.contains(&key.as_str()));
        let claims = Claims {
            sub: join.identity.clone(),
            name: join.name.clone(),
            kind: "sip".to_owned(),
            metadata: join.metadata.clone(),
            attributes,
            video: VideoGrants { can_update_own_metadata: Some(true), ..joining(&join.room, &join.identity)? },
            room_config: join.room_config.clone(),
            ..self.claims(SIP_TTL)
        };
        self.sign(&claims, &join.room_preset)
    }

    /// For an agent worker's connection.
    pub fn agent_worker(&self) -> Result<String, TokenError> {
        let video = VideoGrants { agent: true, ..VideoGrants::default() };
        self.sign(&Claims { video, ..self.claims(WORKER_TTL) }, "")
    }

    /// For one call of the API.
    pub(super) fn api(&self, grants: Grants) -> Result<String, TokenError> {
        self.sign(&Claims { video: grants.video, sip: grants.sip, ..self.claims(API_TTL) }, "")
    }

    fn claims(&self, ttl: Duration) -> Claims {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = |at: Duration| usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        Claims { iss: self.api_key.clone(), nbf: seconds(now), exp: seconds(now + ttl), ..Claims::default() }
    }

    /// A JWT, HS256. `livekit-api` would sign it too, but knows no room preset.
    fn sign(&self, claims: &Claims, room_preset: &str) -> Result<String, TokenError> {
        let mac = Hmac::<Sha256>::new_from_slice(self.api_secret().as_bytes());
        let (Ok(mut mac), false) = (mac, self.api_key.is_empty() || self.api_secret().is_empty()) else {
            return Err(TokenError::NoKey);
        };
        let mut claims = serde_json::to_value(claims)?;
        if !room_preset.is_empty() {
            claims["roomPreset"] = room_preset.into();
        }
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        mac.update(signed.as_bytes());
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }
}

fn joining(room: &str, identity: &str) -> Result<VideoGrants, TokenError> {
    if room.is_empty() || identity.is_empty() {
        return Err(TokenError::NoRoom);
    }
    Ok(VideoGrants {
        room_join: true,
        room: room.to_owned(),
        can_publish: Some(true),
        can_subscribe: Some(true),
        can_publish_data: Some(true),
        ..VideoGrants::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_api::access_token::TokenVerifier;
    use livekit_protocol::RoomAgentDispatch;

    fn tokens() -> Tokens {
        Tokens::new("key", "a secret of thirty-two characters")
    }

    fn verified(token: &str) -> Claims {
        TokenVerifier::with_api_key("key", "a secret of thirty-two characters").verify(token).unwrap()
    }

    fn raw(token: &str) -> serde_json::Value {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn a_browser_may_join_its_room_for_a_short_while() {
        let join =
            Join { room: "call-1".into(), identity: "usr_1".into(), ttl: Duration::from_secs(120), ..Join::default() };
        let claims = verified(&tokens().join(&join).unwrap());
        assert_eq!((claims.sub.as_str(), claims.video.room.as_str()), ("usr_1", "call-1"));
        assert!(claims.video.room_join && !claims.video.room_admin && !claims.video.hidden);
        assert_eq!(claims.exp - claims.nbf, 120);
    }

    #[test]
    fn a_listener_may_not_publish() {
        let join = Join {
            room: "r".into(),
            identity: "i".into(),
            ttl: Duration::from_secs(9),
            silent: true,
            ..Join::default()
        };
        let video = verified(&tokens().join(&join).unwrap()).video;
        assert_eq!(
            (video.can_publish, video.can_publish_data, video.can_subscribe),
            (Some(false), Some(false), Some(true))
        );
    }

    #[test]
    fn a_phone_joins_as_kind_sip_and_carries_only_the_attributes_of_a_token() {
        let attributes =
            [("sip.callID", "SCL_1"), ("sip.phoneNumber", "+31201234567"), ("sip.hostname", "example.com")];
        let join = SipJoin {
            room: "call-1".into(),
            identity: "sip_+31201234567".into(),
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..SipJoin::default()
        };
        let claims = verified(&tokens().sip_participant(&join).unwrap());
        assert_eq!((claims.kind.as_str(), claims.exp - claims.nbf), ("sip", 24 * 3600));
        assert_eq!(claims.video.can_update_own_metadata, Some(true));
        assert_eq!(claims.attributes.len(), 2);
        assert!(!claims.attributes.contains_key("sip.hostname"));
    }

    #[test]
    fn the_room_configuration_of_a_rule_is_in_the_token() {
        let agent = RoomAgentDispatch { agent_name: "voice".into(), ..Default::default() };
        let room_config = Some(RoomConfiguration { agents: vec![agent], ..Default::default() });
        let join = SipJoin {
            room: "r".into(),
            identity: "i".into(),
            room_preset: "loud".into(),
            room_config: room_config.clone(),
            ..SipJoin::default()
        };
        let token = tokens().sip_participant(&join).unwrap();
        assert_eq!(verified(&token).room_config, room_config);
        assert_eq!(raw(&token)["roomPreset"], "loud");
        assert_eq!(raw(&token)["roomConfig"]["agents"][0]["agentName"], "voice");
    }

    #[test]
    fn a_token_without_a_room_or_a_key_is_not_signed() {
        assert!(matches!(tokens().join(&Join::default()), Err(TokenError::NoRoom)));
        assert!(matches!(Tokens::new("key", "").agent_worker(), Err(TokenError::NoKey)));
    }

    #[test]
    fn the_secret_stays_out_of_logs() {
        assert!(!format!("{:?}", tokens()).contains("thirty-two"));
    }
}
