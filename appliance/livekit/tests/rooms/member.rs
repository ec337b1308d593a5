//! A participant whose events a test waits for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::time::Duration;

use livekit::api::{Join, SipJoin};
use livekit::room_client::{OwnedFrame, RoomClient};
use livekit::{AudioCodec, AudioPacket, Certificate, JoinOptions, PublishTrack, RoomCodec, RoomEvent};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::support::tokens;

const PATIENCE: Duration = Duration::from_secs(20);
/// Of every frame a member sends; the server's own silence starts otherwise.
pub const FIRST_BYTE: u8 = 0xd5;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub struct Member {
    pub client: RoomClient,
    events: mpsc::Receiver<RoomEvent>,
    /// Audio heard so far, whatever was waited for.
    pub heard: Vec<AudioPacket>,
    others: Vec<RoomEvent>,
    rtp_time: u32,
    sent: u32,
}

impl Member {
    pub async fn join(options: JoinOptions) -> Self {
        let (client, events) = RoomClient::join(options, LOOPBACK, certificate()).await.unwrap();
        Self { client, events, heard: Vec::new(), others: Vec::new(), rtp_time: 1000, sent: 0 }
    }

    /// The first event that `pick` wants, among those nobody asked for yet. Audio is kept.
    pub async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&RoomEvent) -> Option<T>) -> T {
        for (index, event) in self.others.iter().enumerate() {
            if let Some(picked) = pick(event) {
                self.others.remove(index);
                return picked;
            }
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Ok(Some(event)) = timeout_at(deadline, self.events.recv()).await else {
                panic!("{what} did not happen, only {:?}", self.others);
            };
            if is_silence(&event) {
                continue;
            }
            let picked = pick(&event);
            match event {
                RoomEvent::Audio(packet) => self.heard.push(packet),
                other if picked.is_none() => self.others.push(other),
                _ => {}
            }
            if let Some(picked) = picked {
                return picked;
            }
        }
    }

    pub async fn until_event(&mut self, wanted: &RoomEvent) {
        self.until(&format!("{wanted:?}"), |event| (event == wanted).then_some(())).await;
    }

    pub async fn until_published(&mut self) -> (String, AudioCodec) {
        self.until("publishing", |event| match event {
            RoomEvent::TrackPublished { track_sid, codec } => Some((track_sid.clone(), *codec)),
            _ => None,
        })
        .await
    }

    pub async fn until_subscribed_to(&mut self, identity: &str) -> String {
        self.until(&format!("a track of {identity}"), |event| match event {
            RoomEvent::TrackSubscribed { track_sid, participant_identity } if participant_identity == identity => {
                Some(track_sid.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for the frame another member sent last.
    pub async fn until_heard(&mut self, other: &Member) {
        let last = other.sent - 1;
        if self.heard.last().is_none_or(|packet| number(packet) < last) {
            self.until(&format!("frame {last}"), |event| match event {
                RoomEvent::Audio(packet) if number(packet) >= last => Some(()),
                _ => None,
            })
            .await;
        }
    }

    /// Sends one numbered frame of 20 ms.
    pub fn speak(&mut self, codec: AudioCodec) {
        let length = if codec == AudioCodec::Opus { 60 } else { 160 };
        let mut payload = vec![FIRST_BYTE; length];
        payload[1..5].copy_from_slice(&self.sent.to_be_bytes());
        let frame = OwnedFrame { codec, payload, rtp_time: self.rtp_time, marker: self.sent == 0, level: Some(20) };
        self.client.send_audio(frame);
        self.sent += 1;
        self.rtp_time += codec.clock_rate() / 50;
    }

    /// Takes what has arrived and is not looked at yet.
    pub fn collect(&mut self) -> Vec<RoomEvent> {
        let mut others = std::mem::take(&mut self.others);
        while let Ok(event) = self.events.try_recv() {
            match event {
                silence if is_silence(&silence) => {}
                RoomEvent::Audio(packet) => self.heard.push(packet),
                other => others.push(other),
            }
        }
        others
    }

    /// The numbers of the frames heard, in order of arrival.
    pub fn numbers(&self) -> Vec<u32> {
        self.heard.iter().map(number).collect()
    }
}

fn is_silence(event: &RoomEvent) -> bool {
    matches!(event, RoomEvent::Audio(packet) if packet.payload[0] != FIRST_BYTE)
}

fn number(packet: &AudioPacket) -> u32 {
    u32::from_be_bytes(packet.payload[1..5].try_into().unwrap())
}

/// A phone that publishes PCMU.
pub fn phone(url: &str, room: &str, identity: &str) -> JoinOptions {
    let attributes: HashMap<_, _> = [("sip.callStatus".to_owned(), "ringing".to_owned())].into();
    let join = SipJoin { room: room.to_owned(), identity: identity.to_owned(), ..Default::default() };
    let token = tokens().sip_participant(&join).unwrap();
    JoinOptions { attributes, ..options(url, token, identity, &[AudioCodec::Pcmu, AudioCodec::Opus]) }
}

/// Somebody who publishes Opus.
pub fn browser(url: &str, room: &str, identity: &str) -> JoinOptions {
    let join = Join {
        room: room.to_owned(),
        identity: identity.to_owned(),
        ttl: Duration::from_secs(600),
        ..Default::default()
    };
    options(url, tokens().join(&join).unwrap(), identity, &[AudioCodec::Opus])
}

fn options(url: &str, token: String, identity: &str, codecs: &[AudioCodec]) -> JoinOptions {
    let track = PublishTrack { name: identity.to_owned(), codec_preference: codecs.to_vec() };
    JoinOptions {
        url: url.to_owned(),
        token,
        attributes: HashMap::new(),
        publish: Some(track),
        room_codec: RoomCodec::Auto,
        subscribe_audio: true,
        client_name: "a test".to_owned(),
    }
}

pub fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Certificate::generate().unwrap())
}
