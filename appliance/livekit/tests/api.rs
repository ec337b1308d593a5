//! The API wrappers, tokens and webhooks against a real livekit-server.

mod support;

use livekit::{
    api::{Api, ApiError, DispatchRule, InboundTrunk, Join, OutboundTrunk, SipJoin, Tokens, TrunkMedia, Webhooks},
    proto::{SipMediaEncryption, SipTransport},
    protocol::{CreateRoomRequest, participant_info},
};
use std::{collections::BTreeSet, time::Duration};
use support::{KEY, LiveKit, eventually, free_port, seat::Seat, soon, tokens};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use types::{Redacted, TrunkId};

fn inbound(trunk_id: TrunkId, numbers: &[&str]) -> InboundTrunk {
    InboundTrunk {
        trunk_id,
        name: "Carrier".into(),
        numbers: numbers.iter().map(|number| number.to_string()).collect(),
        allowed_addresses: vec!["192.0.2.0/24".into(), "198.51.100.7".into()],
        media: TrunkMedia {
            encryption: SipMediaEncryption::SipMediaEncryptDisable,
            codecs: vec![("PCMU", 8_000), ("G722", 8_000)],
        },
    }
}

fn outbound(trunk_id: TrunkId, password: &str) -> OutboundTrunk {
    OutboundTrunk {
        trunk_id,
        name: "Carrier".into(),
        address: "sip.example.com:5070".into(),
        transport: SipTransport::Tcp,
        numbers: vec!["+31201234567".into()],
        credentials: Some(("user".into(), Redacted(password.into()))),
        media: TrunkMedia { encryption: SipMediaEncryption::SipMediaEncryptRequire, codecs: vec![] },
    }
}

fn rule(trunk_id: TrunkId, inbound_sip_trunk_id: &str) -> DispatchRule {
    DispatchRule {
        trunk_id,
        name: "Carrier".into(),
        inbound_sip_trunk_id: inbound_sip_trunk_id.into(),
        room_prefix: "call-".into(),
        attributes: [("scaibox.tenant_id".to_owned(), "ten_1".to_owned())].into(),
        room_config: None,
    }
}

fn join(room: &str, identity: &str) -> Join {
    Join { room: room.into(), identity: identity.into(), ttl: Duration::from_secs(60), ..Join::default() }
}

async fn updates(livekit: &LiveKit, hash: &str) -> Vec<(String, Vec<u8>)> {
    let client = redis::Client::open(livekit.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut all: Vec<(String, Vec<u8>)> = redis::cmd("HGETALL").arg(hash).query_async(&mut connection).await.unwrap();
    all.sort();
    all
}

#[tokio::test]
async fn what_is_as_it_should_be_is_left_alone_and_what_is_not_is_replaced_in_place() {
    let Some(livekit) = LiveKit::start() else { return };
    let (api, trunk) = (livekit.api(), TrunkId::new());
    let numbers = ["+31201234567", "0031201234567", "31201234567", "0201234567"];
    let id = api.ensure_inbound_trunk(&inbound(trunk, &numbers)).await.unwrap().unwrap();
    let outbound_id = api.ensure_outbound_trunk(&outbound(trunk, "hush")).await.unwrap();
    let rule_id = api.ensure_dispatch_rule(&rule(trunk, &id)).await.unwrap();
    let hashes = ["sip_inbound_trunk", "sip_outbound_trunk", "sip_dispatch_rule"];
    let mut before = Vec::new();
    for hash in hashes {
        before.push(updates(&livekit, hash).await);
    }

    assert_eq!(api.ensure_inbound_trunk(&inbound(trunk, &numbers)).await.unwrap(), Some(id.clone()));
    assert_eq!(api.ensure_outbound_trunk(&outbound(trunk, "hush")).await.unwrap(), outbound_id);
    assert_eq!(api.ensure_dispatch_rule(&rule(trunk, &id)).await.unwrap(), rule_id);
    for (hash, before) in hashes.into_iter().zip(&before) {
        assert_eq!(&updates(&livekit, hash).await, before, "{hash} was written again");
    }

    assert_eq!(api.ensure_inbound_trunk(&inbound(trunk, &numbers[..1])).await.unwrap(), Some(id));
    assert_eq!(api.ensure_outbound_trunk(&outbound(trunk, "changed")).await.unwrap(), outbound_id);
    for (hash, before) in hashes.into_iter().zip(&before).take(2) {
        let now = updates(&livekit, hash).await;
        assert_eq!(now.len(), 1);
        assert_ne!(&now, before, "{hash} was not written");
    }
}

#[tokio::test]
async fn a_trunk_without_numbers_has_no_inbound_trunk() {
    let Some(livekit) = LiveKit::start() else { return };
    let (api, trunk) = (livekit.api(), TrunkId::new());
    api.ensure_inbound_trunk(&inbound(trunk, &["+31201234567"])).await.unwrap();
    assert_eq!(api.ensure_inbound_trunk(&inbound(trunk, &[])).await.unwrap(), None);
    assert_eq!(api.trunks_with_objects().await.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn one_trunk_s_objects_go_and_the_others_stay() {
    let Some(livekit) = LiveKit::start() else { return };
    let (api, mine, other) = (livekit.api(), TrunkId::new(), TrunkId::new());
    for (trunk, number) in [(mine, "+31201111111"), (other, "+31202222222")] {
        let id = api.ensure_inbound_trunk(&inbound(trunk, &[number])).await.unwrap().unwrap();
        api.ensure_outbound_trunk(&outbound(trunk, "hush")).await.unwrap();
        api.ensure_dispatch_rule(&rule(trunk, &id)).await.unwrap();
    }
    assert_eq!(api.trunks_with_objects().await.unwrap(), BTreeSet::from([mine, other]));

    for _ in 0..2 {
        api.delete_dispatch_rule(mine).await.unwrap();
        api.delete_outbound_trunk(mine).await.unwrap();
        api.delete_inbound_trunk(mine).await.unwrap();
    }
    assert_eq!(api.trunks_with_objects().await.unwrap(), BTreeSet::from([other]));
    assert_eq!(updates(&livekit, "sip_dispatch_rule").await.len(), 1);
}

#[tokio::test]
async fn a_refusal_has_livekit_s_own_words() {
    let Some(livekit) = LiveKit::start() else { return };
    let api = livekit.api();
    api.ensure_inbound_trunk(&inbound(TrunkId::new(), &["+31201234567"])).await.unwrap();
    let conflict = api.ensure_inbound_trunk(&inbound(TrunkId::new(), &["+31201234567"])).await.unwrap_err();
    let refusal = conflict.refusal().unwrap();
    assert!(refusal.message.contains("Conflicting inbound SIP Trunks"), "{refusal:?}");

    let stranger = Api::new(&livekit.url(), Tokens::new(KEY, "another secret of thirty-two characters")).unwrap();
    assert_eq!(stranger.list_rooms(&[]).await.unwrap_err().refusal().unwrap().code, "unauthenticated");
}

#[tokio::test]
async fn an_absent_livekit_server_is_unreachable() {
    let api = Api::new(&format!("ws://127.0.0.1:{}", free_port()), tokens()).unwrap();
    assert!(matches!(api.list_rooms(&[]).await, Err(ApiError::Unreachable(_))));
}

#[tokio::test]
async fn whoever_has_a_token_is_in_the_room_until_removed() {
    let Some(livekit) = LiveKit::start() else { return };
    let api = livekit.api();
    let browser = Join { name: "Anna".into(), metadata: "{}".into(), ..join("room-1", "usr_1") };
    let seat = soon("the join", Seat::take(&livekit.url(), &tokens().join(&browser).unwrap())).await;
    assert_eq!(seat.join.participant.as_ref().unwrap().name, "Anna");

    let found = eventually("the join", || async { api.find_participant("room-1", "usr_1").await.unwrap() }).await;
    assert_eq!(found.kind(), participant_info::Kind::Standard);
    assert_eq!(api.list_participants("room-1").await.unwrap().len(), 1);

    api.remove_participant("room-1", "usr_1").await.unwrap();
    assert_eq!(api.find_participant("room-1", "usr_1").await.unwrap(), None);
    api.remove_participant("room-1", "usr_1").await.unwrap();
}

#[tokio::test]
async fn a_phone_is_a_participant_of_kind_sip() {
    let Some(livekit) = LiveKit::start() else { return };
    let phone = SipJoin {
        room: "call-1".into(),
        identity: "sip_1".into(),
        attributes: [("sip.callID".to_owned(), "SCL_1".to_owned())].into(),
        ..Default::default()
    };
    let seat = soon("the join", Seat::take(&livekit.url(), &tokens().sip_participant(&phone).unwrap())).await;
    let participant = seat.join.participant.unwrap();
    assert_eq!(participant.kind(), participant_info::Kind::Sip);
    assert_eq!(participant.attributes["sip.callID"], "SCL_1");
    assert!(participant.permission.unwrap().can_update_metadata);
}

#[tokio::test]
async fn rooms_come_and_go() {
    let Some(livekit) = LiveKit::start() else { return };
    let api = livekit.api();
    let room =
        CreateRoomRequest { name: "room-1".into(), metadata: "m".into(), empty_timeout: 60, ..Default::default() };
    assert_eq!(api.create_room(&room).await.unwrap().metadata, "m");
    assert_eq!(api.list_rooms(&["room-1".into(), "room-2".into()]).await.unwrap().len(), 1);

    api.delete_room("room-1").await.unwrap();
    api.delete_room("room-1").await.unwrap();
    assert!(api.list_rooms(&[]).await.unwrap().is_empty());
    assert!(api.list_participants("room-1").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_is_believed_only_with_livekit_s_signature() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let webhook = format!("webhook: {{api_key: {KEY}, urls: ['http://{address}/hook']}}\n");
    let Some(livekit) = LiveKit::start_with(&webhook) else { return };
    let room = CreateRoomRequest { name: "room-1".into(), ..Default::default() };
    livekit.api().create_room(&room).await.unwrap();

    let (mut peer, _) = soon("the webhook", listener.accept()).await.unwrap();
    let (authorization, body) = soon("the webhook", http_request(&mut peer)).await;
    let event = Webhooks::new(&tokens()).verify(&body, &authorization).unwrap();
    assert_eq!((event.event.as_str(), event.room.unwrap().name.as_str()), ("room_started", "room-1"));

    let forged = body.replace("room-1", "room-2");
    assert!(Webhooks::new(&tokens()).verify(&forged, &authorization).is_err());
    assert!(Webhooks::new(&Tokens::new(KEY, "another secret")).verify(&body, &authorization).is_err());
}

/// The Authorization header and the body of one request, answered with 200.
async fn http_request(peer: &mut TcpStream) -> (String, String) {
    let mut text = String::new();
    let (head, length) = loop {
        if let Some(end) = text.find("\r\n\r\n") {
            break (text[..end].to_owned(), end + 4 + header(&text, "content-length").parse::<usize>().unwrap());
        }
        read_more(peer, &mut text).await;
    };
    while text.len() < length {
        read_more(peer, &mut text).await;
    }
    peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    (header(&head, "authorization"), text[head.len() + 4..].to_owned())
}

async fn read_more(peer: &mut TcpStream, text: &mut String) {
    let mut buffer = [0; 4096];
    let count = peer.read(&mut buffer).await.unwrap();
    assert_ne!(count, 0, "the request ended early: {text}");
    text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
}
