//! The services of a SIP gateway against a real livekit-server: trunks and rules by its API, calls by psrpc.

mod support;

use livekit::{
    api::{DispatchRule, InboundTrunk, SipJoin, Transfer, TrunkMedia},
    proto::{
        SipMediaEncryption, SipUri,
        io::{EvaluateSipDispatchRulesRequest, SipCall, SipDispatchResult},
        sip::{InternalCreateSipParticipantResponse, InternalTransferSipParticipantResponse},
    },
    protocol::{CreateSipParticipantRequest, SipCallInfo, SipOutboundConfig},
    psrpc::{ErrorCode, IoInfo, RpcError, SipInternal},
};
use support::{LiveKit, seat::Seat, soon, tokens};
use tokio::sync::mpsc;
use types::TrunkId;

fn inbound(trunk_id: TrunkId) -> InboundTrunk {
    InboundTrunk {
        trunk_id,
        name: "Carrier".into(),
        numbers: vec!["+31201234567".into(), "0201234567".into()],
        allowed_addresses: vec!["127.0.0.0/8".into()],
        media: TrunkMedia {
            encryption: SipMediaEncryption::SipMediaEncryptAllow,
            codecs: vec![("opus", 48_000), ("PCMA", 8_000)],
        },
    }
}

fn rule(trunk_id: TrunkId, inbound_sip_trunk_id: String) -> DispatchRule {
    DispatchRule {
        trunk_id,
        name: "Carrier".into(),
        inbound_sip_trunk_id,
        room_prefix: "call-".into(),
        attributes: [("scaibox.tenant_id".to_owned(), "ten_1".to_owned())].into(),
        room_config: None,
    }
}

fn call(to: &str, from_ip: &str) -> SipCall {
    let uri = |user: &str| Some(SipUri { user: user.into(), host: "127.0.0.1".into(), ..Default::default() });
    SipCall {
        lk_call_id: "SCL_1".into(),
        sip_call_id: "abc@127.0.0.1".into(),
        source_ip: from_ip.into(),
        address: uri(to),
        to: uri(to),
        from: uri("+31612345678"),
        ..Default::default()
    }
}

fn dial() -> CreateSipParticipantRequest {
    CreateSipParticipantRequest {
        trunk: Some(SipOutboundConfig { hostname: "127.0.0.1:5099".into(), ..Default::default() }),
        sip_number: "+31201234567".into(),
        sip_call_to: "+31612345678".into(),
        room_name: "call-1".into(),
        participant_identity: "leg_1".into(),
        wait_until_answered: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn an_inbound_call_finds_its_trunk_and_a_room_of_its_own() {
    let Some(livekit) = LiveKit::start() else { return };
    let (api, trunk) = (livekit.api(), TrunkId::new());
    let inbound_id = api.ensure_inbound_trunk(&inbound(trunk)).await.unwrap().unwrap();
    let rule_id = api.ensure_dispatch_rule(&rule(trunk, inbound_id.clone())).await.unwrap();
    let io = IoInfo::new(livekit.redis.bus().await);

    let auth = io.trunk_authentication(call("0201234567", "127.0.0.1")).await.unwrap();
    assert_eq!((auth.sip_trunk_id.as_str(), auth.password.as_str()), (inbound_id.as_str(), ""));

    let request = EvaluateSipDispatchRulesRequest::new(call("0201234567", "127.0.0.1"), inbound_id);
    let answer = io.evaluate_dispatch_rules(&request).await.unwrap();
    assert_eq!(answer.outcome(), SipDispatchResult::Accept);
    assert!(answer.room_name.starts_with("call-_+31612345678_"), "{}", answer.room_name);
    assert_eq!(answer.participant_identity, "sip_+31612345678");
    assert_eq!(answer.sip_dispatch_rule_id, rule_id);
    assert_eq!(answer.participant_attributes["scaibox.tenant_id"], "ten_1");
    assert_eq!(answer.participant_attributes["sip.callID"], "SCL_1");
    assert!(answer.participant_metadata.contains(&trunk.to_string()));
    assert_eq!(answer.media.unwrap().encryption, Some(SipMediaEncryption::SipMediaEncryptAllow.into()));
}

#[tokio::test]
async fn a_call_that_no_trunk_takes_is_dropped() {
    let Some(livekit) = LiveKit::start() else { return };
    livekit.api().ensure_inbound_trunk(&inbound(TrunkId::new())).await.unwrap();
    let io = IoInfo::new(livekit.redis.bus().await);
    for stranger in [call("0201234567", "192.0.2.1"), call("0209999999", "127.0.0.1")] {
        let auth = io.trunk_authentication(stranger.clone()).await.unwrap();
        assert_eq!(auth.sip_trunk_id, "");
        let answer = io.evaluate_dispatch_rules(&EvaluateSipDispatchRulesRequest::new(stranger, "")).await.unwrap();
        assert_eq!(answer.outcome(), SipDispatchResult::Drop);
    }
}

#[tokio::test]
async fn the_state_of_a_call_can_be_reported() {
    let Some(livekit) = LiveKit::start() else { return };
    let io = IoInfo::new(livekit.redis.bus().await);
    let state = SipCallInfo { call_id: "SCL_1".into(), ..Default::default() };
    assert_eq!(io.update_sip_call_state(state).await, Ok(()));
}

#[tokio::test]
async fn a_request_that_livekit_server_rejects_comes_back_with_its_words() {
    let Some(livekit) = LiveKit::start() else { return };
    let io = IoInfo::new(livekit.redis.bus().await);
    let error = io.trunk_authentication(call("1", "not an address")).await.unwrap_err();
    assert!(error.message.contains("not an address"), "{error}");
}

#[tokio::test]
async fn an_outbound_call_reaches_the_gateway_with_what_it_needs() {
    let Some(livekit) = LiveKit::start() else { return };
    let (asked, mut requests) = mpsc::unbounded_channel();
    let _gateway = SipInternal::new(livekit.redis.bus().await)
        .serve_create(move |request, _| {
            asked.send(request.clone()).unwrap();
            let (sip_call_id, identity) = (request.sip_call_id, request.participant_identity);
            async move {
                Ok(InternalCreateSipParticipantResponse {
                    participant_id: "PA_1".into(),
                    participant_identity: identity,
                    sip_call_id,
                })
            }
        })
        .await;
    let answer = livekit.api().create_sip_participant(&dial()).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert_eq!((answer.participant_id.as_str(), answer.participant_identity.as_str()), ("PA_1", "leg_1"));
    assert_eq!(answer.sip_call_id, request.sip_call_id);
    assert!(request.sip_call_id.starts_with("SCL_"));
    assert_eq!((request.address.as_str(), request.call_to.as_str()), ("127.0.0.1:5099", "+31612345678"));
    assert_eq!((request.number.as_str(), request.room_name.as_str()), ("+31201234567", "call-1"));
    assert_eq!(request.participant_attributes["sip.callID"], request.sip_call_id);
    assert!(request.wait_until_answered);
}

#[tokio::test]
async fn a_busy_callee_is_told_to_who_asked_for_the_call() {
    let Some(livekit) = LiveKit::start() else { return };
    let _gateway = SipInternal::new(livekit.redis.bus().await)
        .serve_create(|_, _| async {
            Err(RpcError::from_sip(486, "Busy Here").with_code(ErrorCode::FailedPrecondition))
        })
        .await;
    let error = livekit.api().create_sip_participant(&dial()).await.unwrap_err();
    assert_eq!(error.sip_status(), Some((486, "Busy Here")));
    assert_eq!(error.refusal().unwrap().code, "failed_precondition");
}

#[tokio::test]
async fn without_a_gateway_a_call_is_unavailable() {
    let Some(livekit) = LiveKit::start() else { return };
    let error = livekit.api().create_sip_participant(&dial()).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().code, "unavailable");
    assert_eq!(error.sip_status(), None);
}

#[tokio::test]
async fn a_transfer_reaches_the_gateway_that_has_the_call() {
    let Some(livekit) = LiveKit::start() else { return };
    let sip = SipInternal::new(livekit.redis.bus().await);
    let _transfers = sip
        .serve_transfer("SCL_held", |request, _| async move {
            match request.transfer_to.as_str() {
                "tel:+31600000000" => Ok(InternalTransferSipParticipantResponse::default()),
                _ => Err(RpcError::from_sip(603, "Decline")),
            }
        })
        .await;
    let token = tokens()
        .sip_participant(&SipJoin {
            room: "call-1".into(),
            identity: "sip_1".into(),
            attributes: [("sip.callID".to_owned(), "SCL_held".to_owned())].into(),
            ..Default::default()
        })
        .unwrap();
    let _phone = soon("the join", Seat::take(&livekit.url(), &token)).await;

    let to =
        |to: &str| Transfer { room: "call-1".into(), identity: "sip_1".into(), to: to.into(), ..Default::default() };
    livekit.api().transfer_sip_participant(&to("tel:+31600000000")).await.unwrap();
    let refused = livekit.api().transfer_sip_participant(&to("tel:+31611111111")).await.unwrap_err();
    assert_eq!(refused.sip_status(), Some((603, "Decline")));
}
