//! What is heard on a call, and does what we say come back?
//!
//! One RTP socket with the two halves of `media::phone`, so that a probe hears and speaks as any call of the box does.

use crate::{
    gateway::{Gateway, Port, PortError},
    media_thread::PhoneSockets,
};
use media::{
    codec::{Codec, FRAME, FRAME_TIME, G711, PhoneCodec, RATE},
    cover::{Cover, Secrecy},
    phone::{FromPhone, Heard, MediaTimeouts, PhoneAudio, SourcePolicy, StreamStart, ToPhone},
    playout::RoomPacket,
    sdp::Negotiated,
    tone_code::ToneCode,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use tokio::{
    net::UdpSocket,
    time::{Duration, interval, timeout},
};

/// More sound than any step of a probe listens to.
const LONGEST: usize = 60 * RATE as usize;

/// A call's audio.
pub struct Line {
    socket: UdpSocket,
    pub port: Port,
    from: FromPhone,
    to: ToPhone,
    cover: Cover,
    codec: G711,
    track: Arc<str>,
    sequence: u64,
    heard: Heap,
}

/// What came so far.
#[derive(Default)]
pub struct Heap {
    pub packets: u64,
    /// Samples per packet, of the last one.
    pub frame: usize,
    pub samples: Vec<i16>,
    pub keys: String,
    /// Everybody who sent anything.
    pub sources: BTreeSet<SocketAddr>,
}

impl Line {
    /// Hears what comes from where the answer says, or from `peer` if nothing can come from there.
    pub fn open(gateway: &Gateway, peer: IpAddr) -> Result<Line, PortError> {
        let (PhoneSockets { rtp, .. }, port) = gateway.phone_sockets()?;
        let address = SocketAddr::new(gateway.config.rtp.ip, port.number);
        let socket = rtp.set_nonblocking(true).and_then(|()| UdpSocket::from_std(rtp));
        let start =
            StreamStart { ssrc: rand::random(), sequence: rand::random::<u16>() >> 1, timestamp: rand::random() };
        Ok(Line {
            socket: socket.map_err(|error| PortError::Bind(address, error))?,
            port,
            from: FromPhone::new(SourcePolicy::Peer(peer), MediaTimeouts::default()),
            to: ToPhone::new(start),
            cover: Cover::default(),
            codec: G711::Pcmu,
            track: "probe".into(),
            sequence: 0,
            heard: Heap::default(),
        })
    }

    pub fn negotiated(&mut self, agreed: &Negotiated) {
        let now = Instant::now();
        if let PhoneCodec::G711(law) = agreed.codec {
            self.codec = law; // the only ones that are offered
        }
        self.from.negotiated(agreed, now);
        self.to.negotiated(agreed, now);
        match &agreed.srtp {
            Some(Secrecy::Told(keys)) => self.cover.renew(Some(keys.clone())),
            Some(Secrecy::Handshake(_)) => self.cover = Cover::Waiting, // never offered
            None => self.cover.renew(None),
        }
    }

    pub fn heard(&self) -> &Heap {
        &self.heard
    }

    pub fn press(&mut self, digit: &str) {
        self.to.press(digit, Instant::now());
    }

    /// Says `samples` and then nothing, and listens, until it is `enough` or the time is over.
    pub async fn say(&mut self, samples: &[i16], limit: Duration, enough: impl Fn(&Heap) -> bool) {
        let work = async {
            let (mut frames, mut clock) = (samples.chunks(FRAME), interval(FRAME_TIME));
            let mut buffer = [0; 2048];
            while !enough(&self.heard) {
                tokio::select! {
                    _ = clock.tick() => self.speak(frames.next()).await,
                    Ok((length, from)) = self.socket.recv_from(&mut buffer) => self.hear(&buffer[..length], from),
                }
            }
        };
        timeout(limit, work).await.ok();
    }

    async fn speak(&mut self, frame: Option<&[i16]>) {
        let (now, mut packets) = (Instant::now(), Vec::new());
        let Some(to) = self.from.destination() else { return };
        let mut send = |packet: &[u8]| packets.push(packet.to_vec());
        if let Some(samples) = frame {
            let mut payload = vec![0; samples.len()];
            self.codec.encode(samples, &mut payload);
            let timestamp = (self.sequence as u32).wrapping_mul(FRAME as u32);
            let (codec, sequence) = (Codec::G711(self.codec), self.sequence);
            self.sequence += 1;
            let packet = RoomPacket { codec, sequence, timestamp, payload: payload.into() };
            self.to.room_packet(&self.track, packet, now, &mut send);
        }
        self.to.tick(now, &mut send);
        for packet in packets {
            self.send(&packet, to).await;
        }
    }

    /// Nothing leaves in the clear where encryption was agreed on; a lost packet is only lost.
    async fn send(&mut self, packet: &[u8], to: SocketAddr) {
        if let Some(sealed) = self.cover.seal(packet) {
            self.socket.send_to(sealed.as_ref(), to).await.ok();
        }
    }

    fn hear(&mut self, datagram: &[u8], from: SocketAddr) {
        self.heard.sources.insert(from);
        let Some(opened) = self.cover.open(datagram) else { return };
        match self.from.datagram(opened.as_ref(), from, Instant::now()) {
            Heard::Audio(PhoneAudio { codec: PhoneCodec::G711(law), payload, .. }) => self.heard.take(law, payload),
            Heard::Key(digit) => self.heard.keys.push(digit),
            Heard::Audio(_) | Heard::Nothing => {}
        }
    }
}

impl Heap {
    fn take(&mut self, codec: G711, payload: &[u8]) {
        self.packets += 1;
        self.frame = payload.len();
        let before = self.samples.len();
        if before < LONGEST {
            self.samples.resize(before + payload.len(), 0);
            codec.decode(payload, &mut self.samples[before..]);
        }
    }

    /// Did the tones come back? Asked of every 25th packet, for it takes a while to say.
    pub fn holds(&self, code: &ToneCode) -> bool {
        self.packets.is_multiple_of(25) && self.is(code)
    }

    pub fn is(&self, code: &ToneCode) -> bool {
        ToneCode::read(&self.samples, RATE) == *code
    }

    /// Of the last packet, in milliseconds.
    pub fn ptime(&self) -> usize {
        self.frame * 1_000 / RATE as usize
    }
}
