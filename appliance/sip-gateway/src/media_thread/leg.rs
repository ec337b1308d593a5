//! How do a phone's packets get into the room, and the room's to the phone?
//!
//! A [`Leg`] joins the two halves: `media::phone` knows the phone, `RoomSession` the room. Here are
//! only the sockets, the order of things and the reports. Before it has a room, a leg plays sounds and reports keys.

mod checks;
mod handshake;
mod room;

use super::packets::Packets;
use super::room_tone::RoomTone;
use super::rtcp::{Rtcp, Side};
use super::stats;
use super::{AddError, LegMediaEvent, LegOrder, NewLeg};
use livekit::{Certificate, Disconnect, Output, RoomEvent, RoomSession};
use media::codec::{Codec, G711, LONGEST_PACKET, PhoneCodec};
use media::cover::Cover;
use media::dtls::{Handshake, Identity, is_dtls};
use media::dtmf::{InBand, event_of};
use media::ice::{Ice, is_stun};
use media::phone::{FromPhone, Heard, InOrder, PhoneAudio, StreamStart, ToPhone, ToRoom};
use media::rtcp::is_rtcp;
use media::sdp::Negotiated;
use room::publish;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use types::control::LegStats;

/// How often figures are reported.
const REPORT: Duration = Duration::from_secs(5);
/// How often the time-out is looked at.
const WATCH: Duration = Duration::from_millis(500);

/// One leg on its media thread.
pub struct Leg {
    rtp: UdpSocket,
    room_socket: UdpSocket,
    certificate: Certificate,
    /// None until it is known which room it is.
    session: Option<RoomSession>,
    /// When the session wants to be woken.
    wake: Option<Instant>,
    events: UnboundedSender<LegMediaEvent>,
    from_phone: FromPhone,
    in_order: InOrder,
    to_room: ToRoom,
    to_phone: ToPhone,
    /// What the room hears in the phone's place.
    tone: Option<RoomTone>,
    /// Keys are being pressed for the phone.
    presses: bool,
    /// Of the phone's side.
    cover: Cover,
    identity: Identity,
    /// Where keys come from, if SDP does not tell them.
    handshake: Option<Handshake>,
    /// How a phone in a browser finds us.
    ice: Option<Ice>,
    rtcp: Rtcp,
    /// What was agreed on last.
    codec: Option<PhoneCodec>,
    keys_by_rtp: bool,
    /// For a phone that agreed to no events, until it tells a key otherwise.
    in_band: Option<InBand>,
    packets: Packets,
    timed_out: bool,
    watch_at: Instant,
    report_at: Instant,
}

impl Leg {
    pub(super) fn new(new: NewLeg) -> Result<Leg, AddError> {
        let now = Instant::now();
        new.phone.rtp.set_nonblocking(true)?;
        new.phone.rtcp.set_nonblocking(true)?;
        new.room_socket.set_nonblocking(true)?;
        // The lower half of the sequence numbers: a peer that misses our first packets must not miss a wrap (RFC 3711 3.3.1).
        let sequence = rand::random::<u16>() >> 1;
        let start = StreamStart { ssrc: rand::random(), sequence, timestamp: rand::random() };
        let mut leg = Leg {
            certificate: new.certificate,
            session: None,
            rtp: new.phone.rtp,
            room_socket: new.room_socket,
            wake: None,
            events: new.events,
            from_phone: FromPhone::new(new.source, new.timeouts),
            in_order: InOrder::default(),
            to_room: ToRoom::new(Codec::G711(G711::Pcmu), rand::random())?,
            to_phone: ToPhone::new(start),
            tone: None,
            presses: false,
            cover: Cover::default(),
            identity: new.identity,
            handshake: None,
            ice: None,
            rtcp: Rtcp::new(new.phone.rtcp, start.ssrc, now),
            codec: None,
            keys_by_rtp: false,
            in_band: None,
            packets: Packets::default(),
            timed_out: false,
            watch_at: now + WATCH,
            report_at: now + REPORT,
        };
        if let Some(options) = new.options {
            leg.join(options, now)?;
        }
        Ok(leg)
    }

    pub fn rtp(&self) -> &UdpSocket {
        &self.rtp
    }

    pub fn rtcp(&self) -> &UdpSocket {
        self.rtcp.socket()
    }

    pub fn room_socket(&self) -> &UdpSocket {
        &self.room_socket
    }

    /// Does what it is told; false when that was to leave.
    pub fn obey(&mut self, order: LegOrder, now: Instant) -> bool {
        match order {
            LegOrder::Join(options) => {
                if let Err(error) = self.join(*options, now) {
                    let reason = Disconnect::Media(error.to_string());
                    self.report(LegMediaEvent::Room(RoomEvent::Disconnected { reason, can_rejoin: false }));
                }
            }
            LegOrder::Signal(event) => self.in_room(|room| room.handle_signal_event(event, now)),
            LegOrder::Negotiated(agreed) => self.negotiated(&agreed, now),
            LegOrder::Press(digits) => self.press(&digits, now),
            LegOrder::Play(sound) => self.to_phone.play(sound, now),
            LegOrder::Tone(sound) => self.tone = Some(RoomTone::new(sound, now)),
            // A phone that tells its keys both ways is heard once.
            LegOrder::Told(digit) if !self.keys_by_rtp => {
                self.in_band = None;
                self.key(digit, now);
            }
            LegOrder::Told(_) => {}
            LegOrder::Attributes(attributes) => self.in_room(|room| room.set_attributes(attributes)),
            LegOrder::Packet(packet) => self.in_room(|room| {
                if let Err(error) = room.send_packet(*packet, true, now) {
                    tracing::warn!(%error, "the room was not told");
                }
            }),
            LegOrder::Rejoin(again) => self.rejoin(*again, now),
            LegOrder::Move(again, moved) => drop(moved.send(self.move_to(*again, now))),
            LegOrder::Leave(reason) => {
                self.in_room(|room| room.leave(reason));
                self.flush(now);
                return false;
            }
        }
        self.flush(now);
        true
    }

    /// A datagram at the RTP port.
    pub fn handle_phone(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        if is_rtcp(datagram) {
            let (rtcp, side) = self.reports(now);
            return rtcp.handle(datagram, from, true, side);
        }
        if is_dtls(datagram) {
            return self.shake_hands(datagram, from, now);
        }
        if is_stun(datagram) {
            return self.answer_check(datagram, from, now);
        }
        let before = self.from_phone.figures().packets;
        let Some(opened) = self.cover.open(datagram) else { return };
        let datagram = opened.as_ref();
        match self.from_phone.datagram(datagram, from, now) {
            Heard::Nothing => {}
            Heard::Audio(audio) => {
                let keys = self.in_band.as_mut().map(|ear| tones_in(ear, &audio)).unwrap_or_default();
                if let Some(session) = &mut self.session {
                    let pass = &mut |audio: &PhoneAudio<'_>| publish(&mut self.to_room, session, audio, now);
                    self.in_order.packet(&audio, now, pass);
                    self.flush(now);
                }
                keys.chars().for_each(|digit| self.key(digit, now));
            }
            Heard::Key(digit) => {
                self.keys_by_rtp = true;
                self.key(digit, now);
            }
        }
        if self.from_phone.figures().packets > before {
            self.packets.received(datagram);
            self.packets.heads.received(datagram, from);
            if before == 0 {
                self.report(LegMediaEvent::FirstRtp);
            }
        }
    }

    /// A datagram at the RTCP port.
    pub fn handle_reports(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        let (rtcp, side) = self.reports(now);
        rtcp.handle(datagram, from, false, side);
    }

    /// A datagram at the room's port.
    pub fn handle_room(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        self.in_room(|room| room.handle_datagram(from, datagram, now));
        self.flush(now);
    }

    /// Once per sweep: whatever has become due.
    pub fn tick(&mut self, now: Instant) {
        if self.wake.is_some_and(|wake| now >= wake) {
            self.in_room(|room| room.handle_timeout(now));
            self.flush(now);
        }
        if self.in_order.due().is_some_and(|due| now >= due) {
            self.go_on_in_order(now);
        }
        self.play_to_room(now);
        if self.to_phone.due().is_some_and(|due| now >= due)
            && let Some(to) = self.from_phone.destination()
        {
            self.to_phone.tick(now, &mut sender(&self.rtp, to, &mut self.cover, &mut self.packets));
        }
        if self.handshake.as_ref().and_then(Handshake::due).is_some_and(|due| now >= due) {
            self.go_on_shaking_hands(now);
        }
        if self.presses && !self.to_phone.presses() {
            self.presses = false;
            self.report(LegMediaEvent::DigitsPressed);
        }
        if self.rtcp.is_due(now) {
            let (rtcp, side) = self.reports(now);
            rtcp.report(side);
        }
        if now >= self.watch_at {
            self.watch_at = now + WATCH;
            self.watch(now);
        }
    }

    /// Does all the session wants done.
    pub fn flush(&mut self, now: Instant) {
        while let Some(session) = &mut self.session {
            match session.poll_output() {
                Output::Timeout(at) => {
                    self.wake = Some(at);
                    return;
                }
                // A full socket buffer drops a packet, as the network would.
                Output::Datagram { to, data } => _ = self.room_socket.send_to(&data, to),
                Output::Event(RoomEvent::Audio(packet)) => self.room_audio(packet, now),
                Output::Event(event) => self.room_event(event, now),
                Output::Connect(connect) => self.report(LegMediaEvent::Connect(connect)),
                Output::Signal(frame) => self.report(LegMediaEvent::Signal(frame)),
                Output::CloseSignal => self.report(LegMediaEvent::CloseSignal),
            }
        }
    }

    /// The last words. The sockets go first, so that whoever hears them can have the port.
    pub fn close(mut self: Box<Self>) {
        let (farewell, side) = self.reports(Instant::now());
        farewell.goodbye(side);
        self.report_heads();
        let (stats, counts) = (self.stats(), self.packets.take());
        let Leg { events, rtp, rtcp, room_socket, .. } = *self;
        drop((rtp, rtcp, room_socket));
        let _ = events.send(LegMediaEvent::Packets(counts));
        let _ = events.send(LegMediaEvent::Stats(stats));
        let _ = events.send(LegMediaEvent::Closed);
    }

    fn press(&mut self, digits: &str, now: Instant) {
        self.to_phone.press(digits, now);
        self.presses = true;
    }

    fn negotiated(&mut self, agreed: &Negotiated, now: Instant) {
        self.tone = None;
        self.ice.clone_from(&agreed.ice);
        self.from_phone.negotiated(agreed, now);
        self.to_phone.negotiated(agreed, now);
        self.packets.negotiated(agreed);
        self.agree_on_secrecy(agreed.srtp.as_ref(), now);
        let told = !agreed.dtmf.is_empty() || self.keys_by_rtp;
        self.in_band = self.in_band.take().or_else(|| Some(InBand::default())).filter(|_| !told);
        self.rtcp.begin(now);
        self.codec = Some(agreed.codec);
        self.timed_out = false;
    }

    /// The reports, and what they need of the rest.
    fn reports(&mut self, now: Instant) -> (&mut Rtcp, Side<'_>) {
        let (sent, cover) = (self.to_phone.sent(now), &mut self.cover);
        (&mut self.rtcp, Side { phone: &mut self.from_phone, cover, rtp: &self.rtp, sent, now })
    }

    fn key(&mut self, digit: char, now: Instant) {
        let code = event_of(digit).unwrap_or_default().into();
        self.in_room(|room| {
            if let Err(error) = room.send_dtmf(code, digit.encode_utf8(&mut [0; 4]), now) {
                tracing::warn!(%error, "a key could not be told to the room");
            }
        });
        self.flush(now);
        self.report(LegMediaEvent::PhoneDigit(digit));
    }

    fn report_heads(&mut self) {
        let heads = self.packets.take_heads();
        if !heads.is_empty() {
            self.report(LegMediaEvent::Heads(heads));
        }
    }

    fn watch(&mut self, now: Instant) {
        self.report_heads();
        if now >= self.report_at {
            self.report_at = now + REPORT;
            self.report(LegMediaEvent::Stats(self.stats()));
            let counts = self.packets.take();
            self.report(LegMediaEvent::Packets(counts));
        }
        if !self.timed_out && self.from_phone.silent_too_long(now) {
            self.timed_out = true;
            self.report(LegMediaEvent::MediaTimeout);
        }
    }

    fn stats(&self) -> LegStats {
        let sent = self.to_phone.sent(Instant::now());
        stats::of(self.codec, self.from_phone.figures(), sent.packets, self.rtcp.reports())
    }

    /// Nobody listens to a leg that is being torn down.
    fn report(&self, event: LegMediaEvent) {
        let _ = self.events.send(event);
    }
}

/// The keys that a phone says with its own voice. G.722 and Opus are for phones that know better.
fn tones_in(ear: &mut InBand, audio: &PhoneAudio<'_>) -> String {
    let (mut pcm, mut keys) = ([0; LONGEST_PACKET], String::new());
    if let PhoneCodec::G711(law) = audio.codec {
        let length = law.decode(audio.payload, &mut pcm);
        ear.hear(&pcm[..length], &mut |key| keys.push(key));
    }
    keys
}

/// Nothing leaves in the clear where encryption was agreed on.
fn sender(rtp: &UdpSocket, to: SocketAddr, cover: &mut Cover, packets: &mut Packets) -> impl FnMut(&[u8]) {
    move |packet| {
        if let Some(sealed) = cover.seal(packet) {
            packets.sent(packet);
            packets.heads.sent(packet, to);
            _ = rtp.send_to(sealed.as_ref(), to);
        }
    }
}
