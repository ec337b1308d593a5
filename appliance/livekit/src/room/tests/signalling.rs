//! What a session does with the messages of livekit-server, and without them.

use std::time::Duration;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;

use super::super::*;
use super::world::{World, address, join_request, options, person, receiving_mids};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn subscriptions(world: &World) -> Vec<(Vec<String>, bool)> {
    let subscription = |request: &Request| match request {
        Request::Subscription(it) => Some((it.track_sids.clone(), it.subscribe)),
        _ => None,
    };
    world.requests.iter().filter_map(subscription).collect()
}

fn closed(http_status: Option<u16>) -> SignalClosed {
    SignalClosed { http_status, message: "gone".to_owned() }
}

fn sections(num_audios: u32) -> Response {
    Response::MediaSectionsRequirement(proto::MediaSectionsRequirement { num_audios, num_videos: 0 })
}

#[test]
fn a_session_starts_with_one_join_request_that_carries_the_offer() {
    let world = World::new();
    assert_eq!(world.connects.len(), 1);
    assert_eq!(world.connects[0].token, "first token");
    let offer = join_request(&world.connects[0].url).publisher_offer.unwrap();
    assert_eq!((offer.id, offer.r#type.as_str()), (1, "offer"));
    assert!(offer.sdp.contains("UDP/TLS/RTP/SAVPF 0 8 111"), "{}", offer.sdp);
    assert!(offer.sdp.contains("m=application"));
    assert!(offer.sdp.contains("a=msid:scaibox microphone"));
    assert_eq!(receiving_mids(&offer.sdp).len(), 1, "one section to receive on is ready");
}

#[test]
fn a_local_address_without_a_host_or_port_is_refused() {
    let certificate = Certificate::generate().unwrap();
    for local in ["0.0.0.0:5000", "127.0.0.1:0"] {
        let session = RoomSession::new(options(), address(local), &certificate, Instant::now());
        assert!(matches!(session, Err(RoomError::LocalAddress(_))));
    }
}

#[test]
fn joining_tells_who_is_there_and_subscribes_to_their_audio() {
    let mut world = World::new();
    world.join(vec![person("PA_1", "anna", &["TR_a"])]);
    let [RoomEvent::Joined(joined)] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!((joined.participant_sid.as_str(), joined.room_name.as_str()), ("PA_me", "room"));
    assert_eq!(joined.others[0].identity, "anna");
    assert_eq!(subscriptions(&world), [(vec!["TR_a".to_owned()], true)]);

    let update = proto::ParticipantUpdate { participants: vec![person("PA_2", "ben", &["TR_b"])] };
    world.say(Response::Update(update));
    assert!(matches!(&world.events[1], RoomEvent::ParticipantJoined(who) if who.identity == "ben"));
    assert_eq!(subscriptions(&world)[1], (vec!["TR_b".to_owned()], true));
}

#[test]
fn what_is_asked_before_the_join_is_sent_after_it() {
    let mut world = World::new();
    world.session.set_attributes([("sip.callStatus".to_owned(), "ringing".to_owned())].into());
    world.drain();
    assert!(world.requests.is_empty());
    world.join(vec![]);
    assert!(matches!(&world.requests[..], [Request::UpdateMetadata(update)] if update.attributes.len() == 1));
}

#[test]
fn a_subscribed_track_is_announced_when_the_answer_maps_it() {
    let mut world = World::connected();
    world.say(Response::Update(proto::ParticipantUpdate { participants: vec![person("PA_1", "anna", &["TR_a"])] }));
    world.say(sections(0));
    assert_eq!(world.offers(), 1, "an unchanged offer is made again");
    world.answer(&["TR_a"]);
    let (track_sid, participant_identity) = ("TR_a".to_owned(), "anna".to_owned());
    let on =
        RoomEvent::TrackSubscribed { track_sid: track_sid.clone(), participant_identity: participant_identity.clone() };
    assert_eq!(world.events.last(), Some(&on));

    world.say(sections(0));
    world.answer(&[]);
    let off = RoomEvent::TrackUnsubscribed { track_sid, participant_identity };
    assert_eq!(world.events.last(), Some(&off));
}

#[test]
fn an_offer_waits_for_the_answer_before_it() {
    let mut world = World::new();
    world.join(vec![]);
    world.say(sections(1));
    world.say(sections(1));
    assert_eq!(world.offers(), 0, "the first offer is not answered yet");
    world.answer(&[]);
    assert_eq!(world.offers(), 1);
    let offer = world.last_offer();
    assert_eq!((offer.id, receiving_mids(&offer.sdp).len()), (2, 3));
}

#[test]
fn our_track_is_announced_with_the_codec_that_was_negotiated() {
    let mut world = World::new();
    world.join(vec![]);
    world.say(Response::TrackPublished(proto::TrackPublishedResponse {
        cid: "microphone".to_owned(),
        track: Some(proto::TrackInfo { sid: "TR_me".to_owned(), ..Default::default() }),
    }));
    world.answer(&[]);
    let published = RoomEvent::TrackPublished { track_sid: "TR_me".to_owned(), codec: AudioCodec::Pcmu };
    assert_eq!(world.events.iter().filter(|event| **event == published).count(), 1);
    assert_eq!(world.session.published_track_sid(), Some("TR_me"));
}

#[test]
fn a_lost_link_is_resumed_with_the_newest_token_and_what_we_had() {
    let mut world = World::connected();
    world.say(Response::RefreshToken("second token".to_owned()));
    world.say(Response::Update(proto::ParticipantUpdate { participants: vec![person("PA_1", "anna", &["TR_a"])] }));
    world.session.handle_signal_closed(closed(None), world.now);
    world.drain();
    assert_eq!(world.events.last(), Some(&RoomEvent::Resuming));
    let connect = world.connects.last().unwrap();
    assert_eq!((connect.attempt, connect.token.as_str()), (2, "second token"));
    let request = join_request(&connect.url);
    assert!(request.reconnect);
    assert_eq!(request.participant_sid, "PA_me");

    world.requests.clear();
    world.session.set_subscribed("TR_v", true);
    world.say(Response::Reconnect(proto::ReconnectResponse::default()));
    let [Request::SyncState(state), Request::Offer(offer), Request::Subscription(_)] = &world.requests[..] else {
        panic!("{:?}", world.requests)
    };
    assert_eq!(state.subscription.as_ref().unwrap().track_sids, ["TR_a", "TR_v"]);
    assert_eq!(state.offer.as_ref().unwrap().id, 1);
    assert_eq!(state.answer.as_ref().unwrap().id, 1);
    assert_eq!(offer.id, 2);
    assert_eq!(world.events.last(), Some(&RoomEvent::Resumed));
    assert!(world.session.is_media_connected());
}

#[test]
fn an_offer_whose_answer_was_lost_is_repeated_after_the_resume() {
    let mut world = World::connected();
    world.say(sections(1));
    let unanswered = world.last_offer();
    world.session.handle_signal_closed(closed(None), world.now);
    world.drain();
    world.say(Response::Reconnect(proto::ReconnectResponse::default()));
    let repeated = world.last_offer();
    assert_eq!((repeated.id, &repeated.sdp), (3, &unanswered.sdp));
    world.answer(&["TR_a"]);
    assert_eq!(world.last_offer().id, 4, "then the offer of the resume itself");
    world.answer(&["TR_a"]);
    assert!(!world.session.has_ended());
}

#[test]
fn events_of_an_older_socket_do_not_count() {
    let mut world = World::connected();
    world.session.handle_signal_closed(closed(None), world.now);
    world.drain();
    let stale = SignalEvent { attempt: 1, what: SignalInput::Closed(closed(None)) };
    world.session.handle_signal_event(stale, world.now);
    world.drain();
    assert_eq!(world.connects.len(), 1, "the new attempt goes on");
}

#[test]
fn a_silent_server_is_pinged_and_then_left() {
    let mut world = World::connected();
    world.run(secs(14));
    let pings = world.requests.iter().filter(|request| matches!(request, Request::PingReq(_)));
    assert_eq!(pings.count(), 2);
    world.run(secs(2));
    assert!(world.events.contains(&RoomEvent::Resuming));
    assert_eq!(world.closed_signals, 1);
    assert!(world.session.is_media_connected(), "audio goes on");
}

#[test]
fn a_refused_join_ends_at_once_and_an_unreachable_server_after_a_while() {
    let mut world = World::new();
    world.session.handle_signal_closed(closed(Some(401)), world.now);
    world.drain();
    let [RoomEvent::Disconnected { reason, can_rejoin: false }] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(reason, &Disconnect::Refused { status: 401, message: "gone".to_owned() });

    let mut world = World::new();
    while !world.session.has_ended() {
        world.session.handle_signal_closed(closed(Some(503)), world.now);
        world.run(Duration::from_millis(100));
    }
    let reason = Disconnect::Unreachable("gone".to_owned());
    assert_eq!(world.events.last(), Some(&RoomEvent::Disconnected { reason, can_rejoin: false }));
    assert!((5..12).contains(&world.connects.len()), "{}", world.connects.len());
}

#[test]
fn the_server_can_end_a_session_for_good_or_for_a_new_join() {
    use proto::leave_request::Action;

    for (action, can_rejoin) in [(Action::Disconnect, false), (Action::Reconnect, true)] {
        let mut world = World::connected();
        world.say(Response::Leave(proto::LeaveRequest {
            action: action.into(),
            reason: proto::DisconnectReason::RoomDeleted.into(),
            ..Default::default()
        }));
        let reason = Disconnect::Server(DisconnectReason::RoomDeleted);
        assert_eq!(world.events.last(), Some(&RoomEvent::Disconnected { reason, can_rejoin }));
        world.say(sections(1));
        world.session.leave(DisconnectReason::ClientInitiated);
        world.drain();
        assert_eq!(world.events.len(), 1, "nothing comes after the end");
    }
}

#[test]
fn a_server_that_wants_a_resume_gets_one() {
    let mut world = World::connected();
    world.say(Response::Leave(proto::LeaveRequest {
        action: proto::leave_request::Action::Resume.into(),
        ..Default::default()
    }));
    assert_eq!(world.events, [RoomEvent::Resuming]);
    assert_eq!(world.connects.len(), 1);
}

#[test]
fn leaving_says_why_and_closes_the_socket() {
    let mut world = World::connected();
    world.session.leave(DisconnectReason::UserUnavailable);
    world.drain();
    let [Request::Leave(leave)] = &world.requests[..] else { panic!("{:?}", world.requests) };
    assert_eq!(leave.reason(), proto::DisconnectReason::UserUnavailable);
    assert_eq!(world.closed_signals, 1);
    let reason = Disconnect::Left;
    assert_eq!(world.events, [RoomEvent::Disconnected { reason, can_rejoin: false }]);
    assert!(world.session.send_dtmf(1, "1", world.now).is_err());
}

#[test]
fn a_codec_the_server_cannot_give_is_reported() {
    let mut world = World::connected();
    world.say(Response::SubscriptionResponse(proto::SubscriptionResponse {
        track_sid: "TR_a".to_owned(),
        err: proto::SubscriptionError::SeCodecUnsupported.into(),
    }));
    let (track_sid, reason) = ("TR_a".to_owned(), SubscriptionFailure::Codec);
    assert_eq!(world.events, [RoomEvent::SubscriptionFailed { track_sid, reason }]);
}

#[test]
fn garbage_on_the_socket_changes_nothing() {
    let mut world = World::connected();
    world.session.handle_signal(&[0xff; 40], world.now);
    world.session.handle_datagram(address("127.0.0.1:9"), &[0x80; 3], world.now);
    world.session.handle_datagram(address("127.0.0.1:7882"), &[22; 60], world.now);
    world.run(secs(1));
    assert!(world.events.is_empty());
    assert!(world.session.is_media_connected());
}

#[test]
fn a_session_after_another_joins_anew_and_does_not_hear_the_old_socket() {
    let mut world = World::connected();
    world.say(Response::Leave(proto::LeaveRequest {
        reason: DisconnectReason::StateMismatch.into(),
        action: proto::leave_request::Action::Reconnect.into(),
        ..Default::default()
    }));
    assert!(world.session.has_ended());
    let certificate = Certificate::generate().unwrap();
    let again = JoinOptions { token: "second token".to_owned(), ..options() };
    world.session = world.session.after(again, address("127.0.0.1:5002"), &certificate, world.now).unwrap();
    world.clear();
    world.drain();
    let [connect] = &world.connects[..] else { panic!("{:?}", world.connects) };
    assert_eq!((connect.attempt, connect.token.as_str()), (2, "second token"));
    assert!(!join_request(&connect.url).reconnect);
    assert_eq!(join_request(&connect.url).add_track_requests.len(), 1, "the track is published again");
    let late = SignalEvent { attempt: 1, what: SignalInput::Closed(closed(None)) };
    world.session.handle_signal_event(late, world.now);
    world.join(vec![person("PA_1", "anna", &["TR_a"])]);
    assert!(matches!(&world.events[..], [RoomEvent::Joined(_)]), "{:?}", world.events);
    assert_eq!(subscriptions(&world), [(vec!["TR_a".to_owned()], true)]);
}
