//! Audio and data between a session and a server of our own, in memory.

use std::time::Duration;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::rtp::RtpWrite;

use super::super::*;
use super::world::{World, frame, person, receiving_mids};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A session subscribed to `TR_a`; returns the section the server sends it on.
fn subscribed() -> (World, String) {
    let mut world = World::connected();
    world.say(Response::Update(proto::ParticipantUpdate { participants: vec![person("PA_1", "anna", &["TR_a"])] }));
    world.say(Response::MediaSectionsRequirement(proto::MediaSectionsRequirement::default()));
    let mid = receiving_mids(&world.last_offer().sdp).remove(0);
    world.answer(&["TR_a"]);
    world.clear();
    (world, mid)
}

fn server_speaks(world: &mut World, mid: &str, payload_type: u8, seq: u64, payload: &[u8]) {
    let now = world.now;
    let mut direct = world.server.direct_api();
    let stream = direct.stream_tx_by_mid(mid.into(), None).unwrap();
    stream.write_rtp(RtpWrite::new(payload_type.into(), seq.into(), 160 * seq as u32, now, payload));
    world.run(Duration::from_millis(20));
}

fn audio(world: &World) -> Vec<&AudioPacket> {
    let events = world.events.iter();
    events.filter_map(|event| if let RoomEvent::Audio(packet) = event { Some(packet) } else { None }).collect()
}

#[test]
fn frames_are_sent_numbered_with_their_level_and_time() {
    let mut world = World::connected();
    for n in 0..10u32 {
        world.session.send_audio(frame(&[n as u8; 160], n * 160), world.now).unwrap();
        world.run(Duration::from_millis(20));
    }
    assert_eq!(world.server_heard.len(), 10);
    for (n, pair) in world.server_heard.windows(2).enumerate() {
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1);
        assert_eq!(pair[0].header.timestamp, n as u32 * 160);
        assert_eq!(*pair[0].payload, [n as u8; 160]);
        assert_eq!(pair[0].header.ext_vals.audio_level, Some(-30));
    }
}

#[test]
fn audio_is_told_apart_by_track_and_codec() {
    let (mut world, mid) = subscribed();
    server_speaks(&mut world, &mid, 0, 1, &[1; 160]);
    server_speaks(&mut world, &mid, 111, 2, &[2; 60]);
    let heard = audio(&world);
    assert_eq!(heard.len(), 2, "{:?}", world.events);
    assert_eq!((&*heard[0].track_sid, heard[0].codec), ("TR_a", AudioCodec::Pcmu));
    assert_eq!((heard[1].codec, heard[1].rtp_time), (AudioCodec::Opus, 320));
    assert_eq!((heard[0].seq, heard[1].seq), (1, 2));
}

#[test]
fn audio_before_the_connection_and_in_a_codec_nobody_agreed_on_is_an_error() {
    let mut world = World::new();
    world.join(vec![]);
    let early = world.session.send_audio(frame(&[0; 160], 0), world.now);
    assert!(matches!(early, Err(RoomError::MediaNotConnected)));

    let mut world = World::connected();
    let pcma = AudioFrame { codec: AudioCodec::Pcma, ..frame(&[0; 160], 0) };
    let sent = world.session.send_audio(pcma, world.now);
    assert!(matches!(sent, Err(RoomError::CodecNotNegotiated(AudioCodec::Pcma))));
}

#[test]
fn a_connection_that_never_comes_up_ends_the_session() {
    let mut world = World::new();
    world.network = false;
    world.join(vec![]);
    world.answer(&[]);
    world.run(secs(14));
    assert!(!world.session.has_ended());
    world.run(secs(2));
    let Some(RoomEvent::Disconnected { reason: Disconnect::Media(_), can_rejoin: true }) = world.events.last() else {
        panic!("{:?}", world.events)
    };
}

#[test]
fn a_broken_path_is_resumed_with_an_ice_restart() {
    let (mut world, mid) = subscribed();
    let before = ufrag(&world.last_offer().sdp);
    world.network = false;
    while !world.events.contains(&RoomEvent::MediaLost) {
        world.run(Duration::from_millis(500));
        world.say(Response::PongResp(proto::Pong::default()));
    }
    assert!(world.events.contains(&RoomEvent::Resuming));
    world.network = true;
    world.requests.clear();
    world.say(Response::Reconnect(proto::ReconnectResponse::default()));
    assert_ne!(ufrag(&world.last_offer().sdp), before, "the offer restarts ICE");
    world.answer(&["TR_a"]);
    world.run(secs(3));
    assert!(world.session.is_media_connected(), "{:?}", world.events);
    assert_eq!(world.events.iter().filter(|it| **it == RoomEvent::MediaConnected).count(), 1);
    world.events.clear();
    server_speaks(&mut world, &mid, 0, 7, &[7; 160]);
    assert_eq!(audio(&world).len(), 1);
    world.session.send_audio(frame(&[1; 160], 0), world.now).unwrap();
    world.run(secs(1));
    assert_eq!(world.server_heard.len(), 1);
}

#[test]
fn a_digit_sent_early_waits_for_its_channel() {
    let mut world = World::new();
    world.session.send_dtmf(5, "5", world.now).unwrap();
    world.join(vec![]);
    world.answer(&[]);
    world.run(secs(2));
    let data = std::mem::take(&mut world.server_data);
    let packet = proto::DataPacket::decode(&*data[0]).unwrap();
    let digit = proto::SipDtmf { code: 5, digit: "5".to_owned() };
    assert_eq!(packet.value, Some(proto::data_packet::Value::SipDtmf(digit)));
    assert_eq!(data.len(), 1);
}

#[test]
fn a_track_that_is_dropped_is_no_longer_heard() {
    let (mut world, mid) = subscribed();
    world.session.set_subscribed("TR_a", false);
    world.drain();
    assert!(matches!(&world.requests[..], [Request::Subscription(it)] if !it.subscribe));
    world.say(Response::MediaSectionsRequirement(proto::MediaSectionsRequirement::default()));
    world.answer(&[]);
    world.events.clear();
    server_speaks(&mut world, &mid, 0, 1, &[1; 160]);
    assert!(audio(&world).is_empty());
}

fn ufrag(sdp: &str) -> String {
    let (_, rest) = sdp.split_once("a=ice-ufrag:").unwrap();
    rest.lines().next().unwrap().to_owned()
}
