//! A session, a livekit-server made of one `Rtc`, and the network between them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event, Input, Rtc};

use super::super::*;

const CLIENT: &str = "127.0.0.1:5000";
const SERVER: &str = "127.0.0.1:7882";

pub struct World {
    pub now: Instant,
    pub session: RoomSession,
    pub server: Rtc,
    first_offer: Option<proto::SessionDescription>,
    /// Does the network carry datagrams?
    pub network: bool,
    pub connects: Vec<Connect>,
    pub requests: Vec<Request>,
    pub events: Vec<RoomEvent>,
    pub closed_signals: usize,
    pub server_heard: Vec<RtpPacket>,
    pub server_data: Vec<Vec<u8>>,
}

pub fn options() -> JoinOptions {
    JoinOptions {
        url: "ws://127.0.0.1:7880".to_owned(),
        token: "first token".to_owned(),
        attributes: HashMap::new(),
        publish: Some(PublishTrack {
            name: "phone".to_owned(),
            codec_preference: vec![AudioCodec::Pcmu, AudioCodec::Opus],
        }),
        room_codec: RoomCodec::Auto,
        subscribe_audio: true,
        client_name: "test".to_owned(),
    }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl World {
    pub fn new() -> Self {
        let now = Instant::now();
        let certificate = Certificate::generate().unwrap();
        let session = RoomSession::new(options(), address(CLIENT), &certificate, now).unwrap();
        let mut server = Rtc::builder()
            .clear_codecs()
            .enable_pcmu(true, false)
            .enable_opus(true, false)
            .set_rtp_mode(true)
            .build(now);
        server.add_local_candidate(Candidate::host(address(SERVER), "udp").unwrap());
        let mut world = Self {
            now,
            session,
            server,
            first_offer: None,
            network: true,
            connects: Vec::new(),
            requests: Vec::new(),
            events: Vec::new(),
            closed_signals: 0,
            server_heard: Vec::new(),
            server_data: Vec::new(),
        };
        world.drain();
        world
    }

    /// A world whose session has joined and whose audio is connected.
    pub fn connected() -> Self {
        let mut world = Self::new();
        world.join(vec![]);
        world.answer(&[]);
        world.run(Duration::from_secs(2));
        assert!(world.session.is_media_connected(), "{:?}", world.events);
        world.first_offer = Some(world.last_offer());
        world.clear();
        world
    }

    pub fn clear(&mut self) {
        self.connects.clear();
        self.requests.clear();
        self.events.clear();
    }

    /// The server says something.
    pub fn say(&mut self, message: Response) {
        let frame = proto::SignalResponse { message: Some(message) }.encode_to_vec();
        self.session.handle_signal(&frame, self.now);
        self.drain();
    }

    pub fn join(&mut self, others: Vec<proto::ParticipantInfo>) {
        self.session.handle_signal_open(self.now);
        self.say(Response::Join(proto::JoinResponse {
            participant: Some(person("PA_me", "me", &[])),
            room: Some(proto::Room { name: "room".to_owned(), ..Default::default() }),
            other_participants: others,
            ping_interval: 5,
            ping_timeout: 15,
            ..Default::default()
        }));
    }

    /// The server takes the newest offer and answers with these tracks on the free sections.
    pub fn answer(&mut self, tracks: &[&str]) {
        let offer = self.last_offer();
        let sdp = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
        let answer = self.server.sdp_api().accept_offer(sdp).unwrap();
        let mid_to_track_id =
            receiving_mids(&offer.sdp).into_iter().zip(tracks.iter().map(|it| (*it).to_owned())).collect();
        self.say(Response::Answer(proto::SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer.to_sdp_string(),
            id: offer.id,
            mid_to_track_id,
        }));
    }

    /// The newest offer the session made: over signalling, or in its join request.
    pub fn last_offer(&self) -> proto::SessionDescription {
        let sent = self.requests.iter().rev().find_map(|request| match request {
            Request::Offer(offer) => Some(offer.clone()),
            _ => None,
        });
        let first = || join_request(&self.connects[0].url).publisher_offer.unwrap();
        sent.or_else(|| self.first_offer.clone()).unwrap_or_else(first)
    }

    pub fn offers(&self) -> usize {
        self.requests.iter().filter(|request| matches!(request, Request::Offer(_))).count()
    }

    /// Lets time pass, with every timer and every datagram on the way.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let client = self.drain();
            let server = self.drain_server();
            self.now = client.min(server).max(self.now + Duration::from_millis(1)).min(end);
            self.session.handle_timeout(self.now);
            self.drain();
            self.server.handle_input(Input::Timeout(self.now)).unwrap();
            self.drain_server();
        }
    }

    /// Takes the session's outputs; says when it wants to be woken.
    pub fn drain(&mut self) -> Instant {
        loop {
            match self.session.poll_output() {
                Output::Timeout(at) => return at,
                Output::Connect(connect) => self.connects.push(connect),
                Output::Signal(frame) => {
                    let request = proto::SignalRequest::decode(&*frame).unwrap();
                    self.requests.extend(request.message);
                }
                Output::CloseSignal => self.closed_signals += 1,
                Output::Event(event) => self.events.push(event),
                Output::Datagram { to, data } if self.network && to == address(SERVER) => {
                    let received = Receive::new(Protocol::Udp, address(CLIENT), address(SERVER), &data).unwrap();
                    self.server.handle_input(Input::Receive(self.now, received)).unwrap();
                    self.drain_server();
                }
                Output::Datagram { .. } => {}
            }
        }
    }

    pub fn drain_server(&mut self) -> Instant {
        loop {
            match self.server.poll_output().unwrap() {
                str0m::Output::Timeout(at) => return at,
                str0m::Output::Transmit(sent) if self.network => {
                    self.session.handle_datagram(address(SERVER), &sent.contents, self.now);
                }
                str0m::Output::Transmit(_) => {}
                str0m::Output::Event(Event::RtpPacket(packet)) => self.server_heard.push(packet),
                str0m::Output::Event(Event::ChannelData(data)) => self.server_data.push(data.data),
                str0m::Output::Event(_) => {}
            }
        }
    }
}

pub fn join_request(url: &str) -> proto::JoinRequest {
    let (_, encoded) = url.split_once("?join_request=").unwrap();
    let wrapped = base64::engine::general_purpose::URL_SAFE.decode(encoded).unwrap();
    let wrapped = proto::WrappedJoinRequest::decode(&*wrapped).unwrap();
    proto::JoinRequest::decode(&*wrapped.join_request).unwrap()
}

/// The mids of the sections an offer wants to receive on.
pub fn receiving_mids(sdp: &str) -> Vec<String> {
    let receiving = |section: &&str| section.contains("a=recvonly");
    let mid = |section: &str| section.split_once("a=mid:").map(|(_, rest)| rest.lines().next().unwrap().to_owned());
    sdp.split("\r\nm=").skip(1).filter(receiving).filter_map(mid).collect()
}

pub fn person(sid: &str, identity: &str, audio_tracks: &[&str]) -> proto::ParticipantInfo {
    let tracks = audio_tracks.iter().map(|sid| proto::TrackInfo {
        sid: (*sid).to_owned(),
        r#type: proto::TrackType::Audio.into(),
        ..Default::default()
    });
    proto::ParticipantInfo {
        sid: sid.to_owned(),
        identity: identity.to_owned(),
        state: proto::participant_info::State::Active.into(),
        tracks: tracks.collect(),
        version: 1,
        ..Default::default()
    }
}

pub fn frame(payload: &[u8], rtp_time: u32) -> AudioFrame<'_> {
    AudioFrame { codec: AudioCodec::Pcmu, payload, rtp_time, marker: false, level: Some(30) }
}
