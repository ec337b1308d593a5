//! Two participants of ours in a room of a real livekit-server.

mod leaky;
mod member;
mod proxy;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use livekit::{AudioCodec, Disconnect, DisconnectReason, ParticipantKind, RoomCodec, RoomEvent};

use leaky::Leaky;
use member::{Member, browser, phone};
use proxy::Proxy;
use support::LiveKit;

const PCMU: AudioCodec = AudioCodec::Pcmu;
const OPUS: AudioCodec = AudioCodec::Opus;
const FRAME: Duration = Duration::from_millis(20);

/// Both talk for this many frames; a frame that does not arrive would be missing in `numbers`.
async fn talk(a: &mut Member, a_codec: AudioCodec, b: &mut Member, b_codec: AudioCodec, frames: u32) {
    let mut clock = tokio::time::interval(FRAME);
    for _ in 0..frames {
        clock.tick().await;
        a.speak(a_codec);
        b.speak(b_codec);
    }
}

/// The SIP participant's call status, as `member` sees it.
async fn until_status(member: &mut Member, wanted: &str) {
    let is = |event: &RoomEvent| match event {
        RoomEvent::ParticipantUpdated(who) => who.attributes.get("sip.callStatus").is_some_and(|it| it == wanted),
        _ => false,
    };
    member.until(wanted, |event| is(event).then_some(())).await;
}

/// From the first frame on nothing is missing, doubled or out of order.
fn assert_unbroken(member: &Member, at_least: usize) {
    let numbers = member.numbers();
    assert!(numbers.len() >= at_least, "only {} frames: {numbers:?}", numbers.len());
    let expected: Vec<u32> = (numbers[0]..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_and_a_browser_hear_each_other_in_their_own_codecs() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut anna = Member::join(phone(&livekit.url(), "r", "anna")).await;
    assert_eq!(anna.until_published().await.1, PCMU);
    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    let joined = ben.until("joining", |event| match event {
        RoomEvent::Joined(joined) => Some(joined.clone()),
        _ => None,
    });
    let joined = joined.await;
    assert_eq!((joined.identity.as_str(), joined.room_name.as_str()), ("ben", "r"));
    assert_eq!(joined.others.len(), 1);
    assert_eq!(joined.others[0].kind, ParticipantKind::Sip);
    assert_eq!(joined.others[0].attributes["sip.callStatus"], "ringing");
    let (mut published, mut subscribed) = (None, None); // in either order
    let both = ben.until("publishing and a track of anna", |event| {
        match event {
            RoomEvent::TrackPublished { codec, .. } => published = Some(*codec),
            RoomEvent::TrackSubscribed { track_sid, .. } => subscribed = Some(track_sid.clone()),
            _ => {}
        }
        published.zip(subscribed.clone())
    });
    let (codec, anna_track) = both.await;
    assert_eq!(codec, OPUS);

    let ben_track = anna.until_subscribed_to("ben").await;
    talk(&mut anna, PCMU, &mut ben, OPUS, 150).await;
    anna.until_heard(&ben).await;
    ben.until_heard(&anna).await;

    assert_unbroken(&ben, 140);
    assert_unbroken(&anna, 140);
    assert!(ben.heard.iter().all(|it| it.codec == PCMU && *it.track_sid == *anna_track));
    assert!(anna.heard.iter().all(|it| it.codec == OPUS && *it.track_sid == *ben_track));
    assert!(ben.heard.iter().all(|packet| packet.payload.len() == 160));
    let times: Vec<u32> = ben.heard.iter().map(|packet| packet.rtp_time).collect();
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 160), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_digits_and_data_reach_the_others() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut anna = Member::join(phone(&livekit.url(), "r", "anna")).await;
    anna.client.send_dtmf(5, "5");
    anna.until_event(&RoomEvent::MediaConnected).await;
    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    ben.until_subscribed_to("anna").await;
    anna.until("ben", |event| matches!(event, RoomEvent::ParticipantJoined(_)).then_some(())).await;
    anna.until_subscribed_to("ben").await;

    anna.client.set_attributes([("sip.callStatus".to_owned(), "active".to_owned())].into());
    until_status(&mut ben, "active").await;

    anna.client.send_dtmf(11, "#");
    let pound = RoomEvent::Dtmf { code: 11, digit: "#".to_owned(), from: "anna".to_owned() };
    ben.until_event(&pound).await;
    ben.client.send_data("notes", b"hello".to_vec(), true, vec!["anna".to_owned()]);
    let (topic, from) = ("notes".to_owned(), "ben".to_owned());
    anna.until_event(&RoomEvent::Data { topic, payload: b"hello".to_vec(), from }).await;

    ben.client.leave(DisconnectReason::UserRejected);
    ben.until_event(&RoomEvent::Disconnected { reason: Disconnect::Left, can_rejoin: false }).await;
    let why = anna.until("ben's end", |event| match event {
        RoomEvent::ParticipantLeft(who) => Some(who.left_because),
        _ => None,
    });
    assert_eq!(why.await, DisconnectReason::UserRejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_goes_on_while_signalling_is_lost_and_resumed() {
    let Some(livekit) = LiveKit::start() else { return };
    let proxy = Proxy::start(livekit.port).await;
    let mut anna = Member::join(phone(&proxy.url(), "r", "anna")).await;
    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    ben.until_subscribed_to("anna").await;
    anna.until_subscribed_to("ben").await;
    talk(&mut anna, PCMU, &mut ben, OPUS, 25).await;

    proxy.set_open(false);
    proxy.cut();
    anna.until_event(&RoomEvent::Resuming).await;
    anna.client.set_attributes([("sip.callStatus".to_owned(), "hold".to_owned())].into());
    talk(&mut anna, PCMU, &mut ben, OPUS, 50).await;
    let mut chris = Member::join(browser(&livekit.url(), "r", "chris")).await;
    chris.until_published().await;
    proxy.set_open(true);
    anna.until_event(&RoomEvent::Resumed).await;
    until_status(&mut ben, "hold").await;
    anna.until_subscribed_to("chris").await;
    talk(&mut anna, PCMU, &mut ben, OPUS, 50).await;
    anna.until_heard(&ben).await;
    ben.until_heard(&anna).await;
    let news = [anna.collect(), ben.collect()].concat();
    assert!(news.iter().all(|event| !matches!(event, RoomEvent::MediaLost)), "{news:?}");
    assert_unbroken(&ben, 115);
    assert_unbroken(&anna, 115);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_people_come_and_go_and_everybody_is_heard() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut anna = Member::join(phone(&livekit.url(), "r", "anna")).await;
    anna.until_event(&RoomEvent::MediaConnected).await;
    let mut others = Vec::new();
    for number in 0..6 {
        others.push(Member::join(browser(&livekit.url(), "r", &format!("guest {number}"))).await);
    }
    let mut subscribed = std::collections::BTreeSet::new();
    while subscribed.len() < 6 {
        let track = anna.until("six tracks", |event| match event {
            RoomEvent::TrackSubscribed { track_sid, .. } => Some(track_sid.clone()),
            _ => None,
        });
        subscribed.insert(track.await);
    }
    for other in &others[..3] {
        other.client.leave(DisconnectReason::ClientInitiated);
    }
    for _ in 0..3 {
        anna.until("an end", |event| matches!(event, RoomEvent::TrackUnsubscribed { .. }).then_some(())).await;
    }
    let mut late = Member::join(browser(&livekit.url(), "r", "late")).await;
    let late_track = anna.until_subscribed_to("late").await;
    anna.collect();
    anna.heard.clear();
    let mut clock = tokio::time::interval(FRAME);
    for _ in 0..50 {
        clock.tick().await;
        late.speak(OPUS);
        others[4].speak(OPUS);
    }
    anna.until_heard(&late).await;
    let late_frames = anna.heard.iter().filter(|packet| *packet.track_sid == *late_track).count();
    assert!((40..=50).contains(&late_frames), "{late_frames}");
    assert!((75..=100).contains(&anna.heard.len()), "{}", anna.heard.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn room_codec_opus_publishes_opus_for_a_phone_too() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut options = phone(&livekit.url(), "r", "anna");
    options.room_codec = RoomCodec::Opus;
    let mut anna = Member::join(options).await;
    assert_eq!(anna.until_published().await.1, OPUS);
    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    ben.until_subscribed_to("anna").await;
    anna.until_subscribed_to("ben").await;
    talk(&mut anna, OPUS, &mut ben, OPUS, 50).await;
    ben.until_heard(&anna).await;
    assert!(ben.heard.iter().all(|packet| packet.codec == OPUS));
    assert_unbroken(&ben, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_and_a_closed_room_says_so() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut options = phone(&livekit.url(), "r", "anna");
    options.token.push('x');
    let mut anna = Member::join(options).await;
    let status = anna.until("the refusal", |event| match event {
        RoomEvent::Disconnected { reason: Disconnect::Refused { status, .. }, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status.await, 401);

    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    ben.until_event(&RoomEvent::MediaConnected).await;
    livekit.api().delete_room("r").await.unwrap();
    let reason = Disconnect::Server(DisconnectReason::RoomDeleted);
    ben.until_event(&RoomEvent::Disconnected { reason, can_rejoin: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_means_a_new_join() {
    let Some(mut livekit) = LiveKit::start() else { return };
    let mut anna = Member::join(phone(&livekit.url(), "r", "anna")).await;
    anna.until_event(&RoomEvent::MediaConnected).await;
    livekit.kill();
    anna.until_event(&RoomEvent::Resuming).await;
    livekit.launch();
    let can_rejoin = anna.until("the end", |event| match event {
        RoomEvent::Disconnected { can_rejoin, .. } => Some(*can_rejoin),
        _ => None,
    });
    assert!(can_rejoin.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_was_broken_carries_audio_again_after_an_ice_restart() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut anna = Leaky::join(phone(&livekit.url(), "r", "anna"));
    let mut ben = Member::join(browser(&livekit.url(), "r", "ben")).await;
    ben.until_subscribed_to("anna").await;
    ben.until("audio", |event| matches!(event, RoomEvent::Audio(_)).then_some(())).await;

    anna.set_network(false);
    anna.until(RoomEvent::MediaLost).await;
    anna.set_network(true);
    anna.until(RoomEvent::MediaConnected).await;
    ben.collect();
    ben.until("audio again", |event| matches!(event, RoomEvent::Audio(_)).then_some(())).await;
    let (late, early) = (ben.heard.last().unwrap(), &ben.heard[0]);
    assert_eq!(late.track_sid, early.track_sid, "it is the same track");
}
