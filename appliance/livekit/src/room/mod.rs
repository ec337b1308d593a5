//! How does one participant live in a LiveKit room?
//!
//! [`RoomSession`] is the whole life of one participant as a pure state machine: signalling frames,
//! datagrams, commands and the time go in; frames, datagrams, events and the next time to come
//! back out of [`RoomSession::poll_output`]. No socket, no task, no clock, so tests need no server.
//!
//! After every call drain `poll_output` until it says [`Output::Timeout`].
//!
//! A session that has ended may be followed by another ([`Rejoin`], [`RoomSession::after`]).
//!
//! `link` watches the WebSocket, `peer` is the WebRTC connection, `roster` the people, `messages`
//! what the server says. Sockets: `room_client` for a task of its own, or the gateway's threads.

mod data;
mod event;
mod join;
mod link;
mod messages;
mod offers;
mod options;
mod peer;
mod rejoin;
mod roster;
#[cfg(test)]
mod tests;
mod webrtc;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;

pub use event::{
    AudioFrame, AudioPacket, Connect, DatagramBytes, Disconnect, DisconnectReason, Joined, Output, Participant,
    ParticipantKind, RoomError, RoomEvent, SignalClosed, SignalEvent, SignalInput, SubscriptionFailure, Track,
};
pub use options::{AudioCodec, Certificate, JoinOptions, PublishTrack, RoomCodec};
pub use rejoin::{PATIENCE as REJOIN_PATIENCE, Rejoin, RejoinDue, Stay};

use link::{Due, Link};
use offers::Wanted;
use peer::{MediaNews, Peer};
use roster::Roster;

/// Audio that is not connected for longer is given up.
const MEDIA_DEADLINE: Duration = Duration::from_secs(15);
/// After the server closed the media path it normally says why over signalling.
const LEAVE_GRACE: Duration = Duration::from_secs(1);

/// Joining -> Joined <-> Resuming; any of them -> Ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Joining,
    Joined,
    Resuming,
    Ended,
}

/// One participant in one room.
pub struct RoomSession {
    options: JoinOptions,
    /// The newest token: the server refreshes it.
    token: String,
    join_url: String,
    phase: Phase,
    link: Link,
    peer: Peer,
    roster: Roster,
    /// Our own track as the room knows it.
    published: Option<proto::TrackInfo>,
    published_announced: bool,
    /// Requests that wait for signalling.
    held: Vec<Request>,
    /// When audio must be connected, and what to say if it is not.
    media_deadline: Option<(Instant, &'static str)>,
    last_failure: String,
    outputs: VecDeque<Output>,
}

impl RoomSession {
    /// A participant who is about to join. `local` is the address its datagrams leave from.
    pub fn new(
        options: JoinOptions,
        local: SocketAddr,
        certificate: &Certificate,
        now: Instant,
    ) -> Result<Self, RoomError> {
        Self::with_link(options, local, certificate, Link::new(now), now)
    }

    /// The same participant once more, after its session has ended. `local` should be another address: the server
    /// may still take the old one for the old session's.
    pub fn after(
        &self,
        options: JoinOptions,
        local: SocketAddr,
        certificate: &Certificate,
        now: Instant,
    ) -> Result<Self, RoomError> {
        Self::with_link(options, local, certificate, self.link.again(now), now)
    }

    fn with_link(
        options: JoinOptions,
        local: SocketAddr,
        certificate: &Certificate,
        link: Link,
        now: Instant,
    ) -> Result<Self, RoomError> {
        if local.ip().is_unspecified() || local.port() == 0 {
            return Err(RoomError::LocalAddress(local));
        }
        let (peer, offer) = Peer::new(local, certificate, options.published_codec(), now)?;
        let mut session = Self {
            token: options.token.clone(),
            join_url: join::join_url(&options, offer)?,
            phase: Phase::Joining,
            link,
            peer,
            roster: Roster::new(options.subscribe_audio),
            published: None,
            published_announced: false,
            held: Vec::new(),
            media_deadline: None,
            last_failure: String::new(),
            outputs: VecDeque::with_capacity(8),
            options,
        };
        session.run_link(now);
        Ok(session)
    }

    /// The next thing to do. [`Output::Timeout`] means: nothing until then.
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Timeout(self.poll_timeout()),
        }
    }

    /// The newest token: the server sends a fresh one every few minutes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// True after [`RoomEvent::Disconnected`].
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Everybody else in the room.
    pub fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.roster.participants()
    }

    /// The sid of our own track, once the room knows it.
    pub fn published_track_sid(&self) -> Option<&str> {
        self.published.as_ref().map(|track| track.sid.as_str())
    }

    /// Can audio be sent now?
    pub fn is_media_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// An event of the WebSocket that [`Output::Connect`] asked for; older ones are ignored.
    pub fn handle_signal_event(&mut self, event: SignalEvent, now: Instant) {
        if event.attempt != self.link.attempt() {
            return;
        }
        match event.what {
            SignalInput::Opened => self.handle_signal_open(now),
            SignalInput::Frame(frame) => self.handle_signal(&frame, now),
            SignalInput::Closed(closed) => self.handle_signal_closed(closed, now),
        }
    }

    /// The WebSocket is open; the server speaks first.
    pub fn handle_signal_open(&mut self, now: Instant) {
        self.link.heard(now);
    }

    /// A binary frame of the WebSocket.
    pub fn handle_signal(&mut self, frame: &[u8], now: Instant) {
        if self.has_ended() || self.link.is_waiting() {
            return;
        }
        self.link.heard(now);
        match proto::SignalResponse::decode(frame) {
            Ok(response) => self.handle_message(response.message, now),
            Err(error) => tracing::warn!(%error, "a signalling message could not be read"),
        }
        self.settle(now);
        self.send_next_offer();
        self.settle(now);
    }

    /// The WebSocket is gone, or never came up.
    pub fn handle_signal_closed(&mut self, closed: SignalClosed, now: Instant) {
        if self.has_ended() || self.link.is_waiting() {
            return;
        }
        if let Some(status @ 400..=499) = closed.http_status {
            let can_rejoin = self.phase == Phase::Resuming;
            self.end(Disconnect::Refused { status, message: closed.message }, can_rejoin);
            return;
        }
        self.lose_link(closed.message, now);
        self.run_link(now);
    }

    /// A datagram that arrived at the local address.
    pub fn handle_datagram(&mut self, from: SocketAddr, data: &[u8], now: Instant) {
        if self.has_ended() {
            return;
        }
        self.peer.handle_datagram(from, data, now);
        self.settle(now);
    }

    /// To be called at the time of [`Output::Timeout`]; earlier is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.has_ended() {
            return;
        }
        self.run_link(now);
        if now >= self.peer.poll_timeout() {
            if let Err(error) = self.peer.handle_timeout(now) {
                return self.end(Disconnect::Media(error.to_string()), true);
            }
            self.settle(now);
        }
        if let Some((_, why)) = self.media_deadline.filter(|(at, _)| now >= *at) {
            self.end(Disconnect::Media(why.to_owned()), true);
        }
    }

    /// Publishes a frame. The session numbers the packets; the caller keeps the RTP time.
    pub fn send_audio(&mut self, frame: AudioFrame<'_>, now: Instant) -> Result<(), RoomError> {
        let sent = self.peer.send_audio(&frame, now);
        self.settle(now);
        sent
    }

    /// Tells everybody that a key was pressed.
    pub fn send_dtmf(&mut self, code: u32, digit: &str, now: Instant) -> Result<(), RoomError> {
        self.send_packet(data::dtmf_packet(code, digit), true, now)
    }

    /// Sends data to everybody, or to the identities in `to`.
    pub fn send_data(
        &mut self,
        topic: &str,
        payload: &[u8],
        reliable: bool,
        to: &[String],
        now: Instant,
    ) -> Result<(), RoomError> {
        self.send_packet(data::user_packet(topic, payload, to), reliable, now)
    }

    /// Sends any data packet.
    pub fn send_packet(&mut self, packet: proto::DataPacket, reliable: bool, now: Instant) -> Result<(), RoomError> {
        if self.has_ended() {
            return Err(RoomError::Ended);
        }
        let sent = self.peer.send_data(&packet, reliable);
        if let Err(error) = self.peer.handle_timeout(now) {
            self.end(Disconnect::Media(error.to_string()), true);
        }
        self.settle(now);
        sent
    }

    /// Sets our own attributes; an empty value deletes one.
    pub fn set_attributes(&mut self, attributes: HashMap<String, String>) {
        let update = proto::UpdateParticipantMetadata { attributes, ..Default::default() };
        self.request(Request::UpdateMetadata(update));
    }

    /// Chooses one track, over what `subscribe_audio` says.
    pub fn set_subscribed(&mut self, track_sid: &str, subscribe: bool) {
        if self.roster.set_subscribed(track_sid, subscribe) {
            self.subscribe(vec![track_sid.to_owned()], subscribe);
        }
    }

    /// Leaves the room. The reason is what the others are told.
    pub fn leave(&mut self, reason: DisconnectReason) {
        if self.has_ended() {
            return;
        }
        let leave = proto::LeaveRequest { reason: reason.into(), ..Default::default() };
        if self.link.is_live() {
            self.push_signal(Request::Leave(leave));
        }
        self.end(Disconnect::Left, false);
    }
}

impl RoomSession {
    fn poll_timeout(&self) -> Instant {
        let deadline = self.media_deadline.map(|(at, _)| at);
        let own = [self.link.poll_timeout(), deadline].into_iter().flatten();
        own.fold(self.peer.poll_timeout(), Instant::min)
    }

    /// Takes what the WebRTC connection has to say.
    fn settle(&mut self, now: Instant) {
        let news = match self.peer.drain(&mut self.outputs) {
            Ok(news) => news,
            Err(error) => return self.end(Disconnect::Media(error.to_string()), true),
        };
        for change in news {
            self.handle_media(change, now);
        }
    }

    fn handle_media(&mut self, change: MediaNews, now: Instant) {
        match change {
            MediaNews::Connected => {
                self.media_deadline = None;
                self.event(RoomEvent::MediaConnected);
            }
            MediaNews::Lost => {
                self.media_deadline = Some((now + MEDIA_DEADLINE, "the server was not reached again"));
                self.event(RoomEvent::MediaLost);
                self.restart_signal("media was lost", now);
            }
            MediaNews::Closed => {
                self.media_deadline = Some((now + LEAVE_GRACE, "the server closed the connection"));
            }
        }
    }

    /// Does what the link is due for.
    fn run_link(&mut self, now: Instant) {
        while let Some(due) = self.link.handle_timeout(now) {
            match due {
                Due::Connect(attempt) => self.connect(attempt),
                Due::Ping(ping) => self.push_signal(Request::PingReq(ping)),
                Due::Silent => self.restart_signal("the server is silent", now),
                Due::GiveUp => {
                    let why = std::mem::take(&mut self.last_failure);
                    let can_rejoin = self.phase == Phase::Resuming;
                    return self.end(Disconnect::Unreachable(why), can_rejoin);
                }
            }
        }
    }

    fn connect(&mut self, attempt: u32) {
        let url = match self.phase {
            Phase::Joining => Ok(self.join_url.clone()),
            _ => {
                let reason = proto::ReconnectReason::RrSignalDisconnected;
                join::resume_url(&self.options, self.roster.own_sid(), reason)
            }
        };
        match url {
            Ok(url) => {
                let connect = Connect { attempt, url, token: self.token.clone() };
                self.outputs.push_back(Output::Connect(connect));
            }
            Err(error) => self.end(Disconnect::Unreachable(error.to_string()), false),
        }
    }

    /// Closes the WebSocket and goes on as if it had been lost.
    fn restart_signal(&mut self, why: &str, now: Instant) {
        if self.link.is_waiting() {
            return;
        }
        self.outputs.push_back(Output::CloseSignal);
        self.lose_link(why.to_owned(), now);
    }

    fn lose_link(&mut self, why: String, now: Instant) {
        self.last_failure = why;
        self.link.lost(now);
        if self.phase == Phase::Joined {
            self.phase = Phase::Resuming;
            self.event(RoomEvent::Resuming);
        }
    }

    /// Sends a request now, or as soon as signalling is back.
    fn request(&mut self, request: Request) {
        if self.link.is_live() {
            self.push_signal(request);
        } else if !self.has_ended() {
            self.held.push(request);
        }
    }

    fn push_signal(&mut self, request: Request) {
        let request = proto::SignalRequest { message: Some(request) };
        self.outputs.push_back(Output::Signal(request.encode_to_vec()));
    }

    fn subscribe(&mut self, track_sids: Vec<String>, subscribe: bool) {
        if !track_sids.is_empty() {
            let update = proto::UpdateSubscription { track_sids, subscribe, ..Default::default() };
            self.request(Request::Subscription(update));
        }
    }

    fn want_offer(&mut self, wanted: Wanted) {
        self.peer.want(wanted);
        self.send_next_offer();
    }

    fn send_next_offer(&mut self) {
        if !self.link.is_live() {
            return;
        }
        if let Some(offer) = self.peer.next_offer() {
            self.push_signal(Request::Offer(offer));
        }
    }

    fn event(&mut self, event: RoomEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn end(&mut self, reason: Disconnect, can_rejoin: bool) {
        if self.has_ended() {
            return;
        }
        self.phase = Phase::Ended;
        self.media_deadline = None;
        self.link.close();
        self.peer.close();
        if let Err(error) = self.peer.drain(&mut self.outputs) {
            tracing::debug!(%error, "the last datagrams were not sent");
        }
        self.outputs.push_back(Output::CloseSignal);
        self.event(RoomEvent::Disconnected { reason, can_rejoin });
    }
}
