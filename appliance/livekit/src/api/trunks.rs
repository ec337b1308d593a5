//! What a trunk of ours is at LiveKit: an inbound trunk with its rule, and an outbound trunk.

use super::{Api, ApiError, object::Object, ours};
use crate::proto::{RoomConfiguration, SipCodec, SipMediaConfig, SipMediaEncryption, SipTransport};
use livekit_protocol::{
    SipDispatchRule, SipDispatchRuleIndividual, SipDispatchRuleInfo, SipInboundTrunkInfo, SipOutboundTrunkInfo,
    sip_dispatch_rule::Rule,
};
use std::collections::{BTreeSet, HashMap};
use types::{Redacted, TrunkId};

/// Lets calls in, by the number they dial and the address they come from.
#[derive(Clone, Debug)]
pub struct InboundTrunk {
    pub trunk_id: TrunkId,
    pub name: String,
    /// Every spelling in which the carrier may deliver the trunk's numbers.
    pub numbers: Vec<String>,
    /// Addresses and networks; an empty list lets everybody in.
    pub allowed_addresses: Vec<String>,
    pub media: TrunkMedia,
}

/// Carries calls out.
#[derive(Clone, Debug)]
pub struct OutboundTrunk {
    pub trunk_id: TrunkId,
    pub name: String,
    /// Host or address, perhaps with a port; no `sip:`.
    pub address: String,
    pub transport: SipTransport,
    /// What we may call from; needs at least one, or each call must name its own.
    pub numbers: Vec<String>,
    pub credentials: Option<(String, Redacted<String>)>,
    pub media: TrunkMedia,
}

/// How calls of a trunk sound.
#[derive(Clone, Debug)]
pub struct TrunkMedia {
    pub encryption: SipMediaEncryption,
    /// RTP names of codecs and their clocks in hertz, best first; no others are spoken. An empty list leaves it to the
    /// gateway. LiveKit keeps the list as it is; livekit-sip passes over what it does not speak, as Opus.
    pub codecs: Vec<(&'static str, u32)>,
}

/// Gives every call of an inbound trunk a room of its own, `<room_prefix>_<caller>_<random>`.
#[derive(Clone, Debug)]
pub struct DispatchRule {
    pub trunk_id: TrunkId,
    pub name: String,
    /// What [`Api::ensure_inbound_trunk`] answered.
    pub inbound_sip_trunk_id: String,
    pub room_prefix: String,
    /// Given to the callers' participants, beside the metadata that names the trunk.
    pub attributes: HashMap<String, String>,
    pub room_config: Option<RoomConfiguration>,
}

impl Api {
    /// Answers LiveKit's id. A trunk without numbers has no inbound trunk (LiveKit lets only one be
    /// without): it is deleted then.
    pub async fn ensure_inbound_trunk(&self, trunk: &InboundTrunk) -> Result<Option<String>, ApiError> {
        if trunk.numbers.is_empty() {
            self.delete_inbound_trunk(trunk.trunk_id).await?;
            return Ok(None);
        }
        self.ensure(trunk.trunk_id, inbound(trunk)).await.map(Some)
    }

    /// Answers LiveKit's id, which calls through this trunk name.
    pub async fn ensure_outbound_trunk(&self, trunk: &OutboundTrunk) -> Result<String, ApiError> {
        self.ensure(trunk.trunk_id, outbound(trunk)).await
    }

    /// Answers LiveKit's id.
    pub async fn ensure_dispatch_rule(&self, rule: &DispatchRule) -> Result<String, ApiError> {
        self.ensure(rule.trunk_id, individual(rule)).await
    }

    pub async fn delete_inbound_trunk(&self, trunk: TrunkId) -> Result<(), ApiError> {
        self.delete::<SipInboundTrunkInfo>(trunk).await
    }

    pub async fn delete_outbound_trunk(&self, trunk: TrunkId) -> Result<(), ApiError> {
        self.delete::<SipOutboundTrunkInfo>(trunk).await
    }

    pub async fn delete_dispatch_rule(&self, trunk: TrunkId) -> Result<(), ApiError> {
        self.delete::<SipDispatchRuleInfo>(trunk).await
    }

    /// Every trunk of ours that has anything at LiveKit, also one that we have since deleted.
    pub async fn trunks_with_objects(&self) -> Result<BTreeSet<TrunkId>, ApiError> {
        fn owners<T: Object>(objects: Vec<T>) -> impl Iterator<Item = TrunkId> {
            objects.into_iter().filter_map(|object| ours::trunk_of(object.metadata()))
        }
        let mut trunks: BTreeSet<_> = owners(SipInboundTrunkInfo::list(self).await?).collect();
        trunks.extend(owners(SipOutboundTrunkInfo::list(self).await?));
        trunks.extend(owners(SipDispatchRuleInfo::list(self).await?));
        Ok(trunks)
    }
}

fn inbound(trunk: &InboundTrunk) -> SipInboundTrunkInfo {
    SipInboundTrunkInfo {
        name: trunk.name.clone(),
        metadata: ours::metadata(trunk.trunk_id),
        numbers: trunk.numbers.clone(),
        allowed_addresses: trunk.allowed_addresses.clone(),
        media: media(&trunk.media),
        ..Default::default()
    }
}

fn outbound(trunk: &OutboundTrunk) -> SipOutboundTrunkInfo {
    let (auth_username, auth_password) =
        trunk.credentials.clone().unwrap_or_else(|| (String::new(), Redacted(String::new())));
    SipOutboundTrunkInfo {
        name: trunk.name.clone(),
        metadata: ours::metadata(trunk.trunk_id),
        address: trunk.address.clone(),
        transport: trunk.transport.into(),
        numbers: trunk.numbers.clone(),
        auth_username,
        auth_password: auth_password.0,
        media: media(&trunk.media),
        ..Default::default()
    }
}

fn individual(rule: &DispatchRule) -> SipDispatchRuleInfo {
    let room = SipDispatchRuleIndividual { room_prefix: rule.room_prefix.clone(), ..Default::default() };
    SipDispatchRuleInfo {
        name: rule.name.clone(),
        metadata: ours::metadata(rule.trunk_id),
        rule: Some(SipDispatchRule { rule: Some(Rule::DispatchRuleIndividual(room)) }),
        trunk_ids: vec![rule.inbound_sip_trunk_id.clone()],
        attributes: rule.attributes.clone(),
        room_config: rule.room_config.clone(),
        ..Default::default()
    }
}

fn media(media: &TrunkMedia) -> Option<SipMediaConfig> {
    let codec = |(name, rate): &(&str, u32)| SipCodec { name: (*name).to_owned(), rate: *rate };
    Some(SipMediaConfig {
        only_listed_codecs: !media.codecs.is_empty(),
        codecs: media.codecs.iter().map(codec).collect(),
        encryption: Some(media.encryption.into()),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_livekit_adds_to_an_object_is_no_difference() {
        let trunk = InboundTrunk {
            trunk_id: TrunkId::new(),
            name: "Carrier".into(),
            numbers: vec!["+31201234567".into(), "0201234567".into()],
            allowed_addresses: vec!["192.0.2.0/24".into()],
            media: TrunkMedia {
                encryption: SipMediaEncryption::SipMediaEncryptAllow,
                codecs: vec![("PCMA", 8_000), ("opus", 48_000)],
            },
        };
        let sent = inbound(&trunk);
        let stored =
            SipInboundTrunkInfo { sip_trunk_id: "ST_1".into(), created_at: Some(Default::default()), ..sent.clone() };
        assert_eq!(stored.into_sent(), sent);
        let other = TrunkMedia { codecs: vec![("opus", 48_000), ("PCMA", 8_000)], ..trunk.media.clone() };
        assert_ne!(inbound(&InboundTrunk { media: other, ..trunk.clone() }), sent, "the order of codecs counts");
        assert_ne!(inbound(&InboundTrunk { numbers: vec![], ..trunk }), sent);
    }

    #[test]
    fn a_rule_is_for_its_own_trunk_alone() {
        let rule = individual(&DispatchRule {
            trunk_id: TrunkId::new(),
            name: "Carrier".into(),
            inbound_sip_trunk_id: "ST_1".into(),
            room_prefix: "call-".into(),
            attributes: HashMap::new(),
            room_config: None,
        });
        assert_eq!(rule.trunk_ids, ["ST_1"]);
    }

    #[test]
    fn a_password_stays_out_of_logs() {
        let trunk = OutboundTrunk {
            trunk_id: TrunkId::new(),
            name: "Carrier".into(),
            address: "sip.example.com".into(),
            transport: SipTransport::Udp,
            numbers: vec![],
            credentials: Some(("user".into(), Redacted("hush".into()))),
            media: TrunkMedia { encryption: SipMediaEncryption::SipMediaEncryptDisable, codecs: vec![] },
        };
        assert!(!format!("{trunk:?}").contains("hush"));
        assert_eq!(outbound(&trunk).auth_password, "hush");
    }
}
