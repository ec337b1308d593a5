//! How do audio and data travel between us and livekit-server?
//!
//! [`Peer`] owns the one WebRTC connection: a section we send on, sections we receive on, two
//! data channels. Every change is followed by [`Peer::drain`] until str0m has nothing left, or
//! packets would be lost silently. Which offer is next is decided in `offers`.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use livekit_protocol as proto;
use prost::Message as _;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Rtc, RtcError};

use super::data::data_event;
use super::join::TRACK_CID;
use super::offers::{Offers, Wanted};
use super::webrtc::{codec_of, config, lossy_channel};
use super::{AudioCodec, AudioFrame, AudioPacket, Certificate, Output, RoomError, RoomEvent};

/// Reliable packets written before the channel opens; more are refused.
const MOST_EARLY_PACKETS: usize = 64;
const STREAM_ID: &str = "scaibox";

pub(super) struct Peer {
    rtc: Rtc,
    local: SocketAddr,
    reliable: ChannelId,
    lossy: ChannelId,
    reliable_open: bool,
    /// Reliable packets that wait for the channel.
    early: Vec<Vec<u8>>,
    outgoing: Option<Outgoing>,
    sections: Vec<Section>,
    /// Which section a stream belongs to; a handful, so a search is quicker than a hash.
    streams: Vec<(Ssrc, usize)>,
    offers: Offers,
    timeout: Instant,
    dtls_up: bool,
    connected: bool,
}

/// The section our own track is sent on.
struct Outgoing {
    mid: Mid,
    next_seq: u64,
    /// What livekit-server takes, best first.
    codecs: Vec<(AudioCodec, Pt)>,
}

/// A section to receive audio on; free when it has no track.
struct Section {
    mid: Mid,
    track: Option<Arc<str>>,
}

/// What changed for the connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MediaNews {
    Connected,
    Lost,
    Closed,
}

/// A track that moved onto or off a section.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TrackMove {
    On(Arc<str>),
    Off(Arc<str>),
}

impl Peer {
    /// A connection and its first offer. `codecs` says what is published, best first.
    pub fn new(
        local: SocketAddr,
        certificate: &Certificate,
        publish: Option<AudioCodec>,
        now: Instant,
    ) -> Result<(Self, proto::SessionDescription), RoomError> {
        let mut rtc = config(certificate, publish).build(now);
        let candidate = Candidate::host(local, "udp").map_err(|_| RoomError::LocalAddress(local))?;
        rtc.add_local_candidate(candidate);

        let mut api = rtc.sdp_api();
        let reliable = api.add_channel("_reliable".to_owned());
        let lossy = api.add_channel_with_config(lossy_channel());
        let outgoing = publish.map(|_| {
            let (stream, track) = (Some(STREAM_ID.to_owned()), Some(TRACK_CID.to_owned()));
            Outgoing::new(api.add_media(MediaKind::Audio, Direction::SendOnly, stream, track, None))
        });
        let spare = api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, changes) = api.apply().ok_or(RoomError::NothingToOffer)?;

        let mut offers = Offers::default();
        let first = offers.begin(offer.to_sdp_string(), changes);
        let peer = Self {
            rtc,
            local,
            reliable,
            lossy,
            reliable_open: false,
            early: Vec::new(),
            outgoing,
            sections: vec![Section { mid: spare, track: None }],
            streams: Vec::new(),
            offers,
            timeout: now,
            dtls_up: false,
            connected: false,
        };
        Ok((peer, first))
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn poll_timeout(&self) -> Instant {
        self.timeout
    }

    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    pub fn want(&mut self, wanted: Wanted) {
        self.offers.want(wanted);
    }

    pub fn repeat_offer(&mut self) -> Option<proto::SessionDescription> {
        self.offers.repeat()
    }

    /// The next offer, when one is wanted and none is unanswered.
    pub fn next_offer(&mut self) -> Option<proto::SessionDescription> {
        let wanted = self.offers.take_wanted()?;
        let (sdp, changes) = self.build_offer(wanted)?;
        Some(self.offers.begin(sdp, changes))
    }

    fn build_offer(&mut self, wanted: Wanted) -> Option<(String, SdpPendingOffer)> {
        let mut api = self.rtc.sdp_api();
        for section in &self.sections {
            api.set_direction(section.mid, Direction::RecvOnly);
        }
        let mut audios = wanted.audios;
        if wanted.ice_restart {
            api.ice_restart(true);
        }
        if audios == 0 && !api.has_changes() {
            // An offer without a change is not made, so turn a free section off and on again.
            match self.sections.iter().find(|section| section.track.is_none()) {
                Some(free) => {
                    api.set_direction(free.mid, Direction::Inactive);
                    api.set_direction(free.mid, Direction::RecvOnly);
                }
                None => audios = 1,
            }
        }
        for _ in 0..audios {
            let mid = api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
            self.sections.push(Section { mid, track: None });
        }
        let (offer, changes) = api.apply()?;
        Some((offer.to_sdp_string(), changes))
    }

    /// Takes over an answer and says which tracks moved. An answer to an older offer moves none.
    pub fn accept_answer(&mut self, answer: &proto::SessionDescription) -> Result<Vec<TrackMove>, RoomError> {
        let Some(changes) = self.offers.finish(answer) else {
            return Ok(Vec::new());
        };
        let sdp = SdpAnswer::from_sdp_string(&answer.sdp)?;
        self.rtc.sdp_api().accept_answer(changes, sdp)?;
        self.streams.clear();
        self.learn_codecs();
        Ok(self.move_tracks(&answer.mid_to_track_id))
    }

    fn move_tracks(&mut self, tracks: &HashMap<String, String>) -> Vec<TrackMove> {
        let mut moves = Vec::new();
        for section in &mut self.sections {
            let now = tracks.get(&*section.mid).map(String::as_str);
            if section.track.as_deref() == now {
                continue;
            }
            moves.extend(section.track.take().map(TrackMove::Off));
            section.track = now.map(Arc::from);
            moves.extend(section.track.clone().map(TrackMove::On));
        }
        moves.sort_by_key(|change| matches!(change, TrackMove::On(_)));
        moves
    }

    fn learn_codecs(&mut self) {
        let Some(outgoing) = &mut self.outgoing else { return };
        let Some(media) = self.rtc.media(outgoing.mid) else { return };
        let known = |pt: &Pt| Some((codec_of(&self.rtc, *pt)?, *pt));
        outgoing.codecs = media.remote_pts().iter().filter_map(known).collect();
    }

    /// What livekit-server takes from us, once it has answered.
    pub fn published_codecs(&self) -> impl Iterator<Item = AudioCodec> {
        self.outgoing.iter().flat_map(|outgoing| &outgoing.codecs).map(|(codec, _)| *codec)
    }

    /// A candidate of the server. Only UDP is of use to us.
    pub fn add_candidate(&mut self, candidate: &str) -> Result<(), RoomError> {
        let parsed = Candidate::from_sdp_string(candidate).map_err(|_| RoomError::Candidate(candidate.to_owned()))?;
        if parsed.proto() == Protocol::Udp {
            self.rtc.add_remote_candidate(parsed);
        }
        Ok(())
    }

    /// A datagram from the network. What cannot be for us is dropped.
    pub fn handle_datagram(&mut self, from: SocketAddr, data: &[u8], now: Instant) {
        let Ok(received) = Receive::new(Protocol::Udp, from, self.local, data) else { return };
        let input = Input::Receive(now, received);
        if !self.rtc.accepts(&input) {
            return;
        }
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%error, "a datagram could not be used");
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now))
    }

    pub fn send_audio(&mut self, frame: &AudioFrame<'_>, now: Instant) -> Result<(), RoomError> {
        let outgoing = self.outgoing.as_mut().ok_or(RoomError::NothingPublished)?;
        if !self.connected {
            return Err(RoomError::MediaNotConnected);
        }
        let refused = RoomError::CodecNotNegotiated(frame.codec);
        let pt = outgoing.payload_type(frame.codec).ok_or(refused)?;
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(outgoing.mid, None).ok_or(RoomError::NothingPublished)?;
        let levels = ExtensionValues {
            audio_level: frame.level.map(|level| -i8::try_from(level).unwrap_or(i8::MAX)),
            voice_activity: frame.level.map(|level| level < 100),
            ..Default::default()
        };
        let packet = RtpWrite::new(pt, outgoing.next_seq.into(), frame.rtp_time, now, frame.payload);
        stream.write_rtp(packet.marker(frame.marker).ext_vals(levels));
        outgoing.next_seq += 1;
        Ok(self.rtc.handle_input(Input::Timeout(now))?)
    }

    /// Writes a data packet. A reliable one waits for its channel, a lossy one does not.
    pub fn send_data(&mut self, packet: &proto::DataPacket, reliable: bool) -> Result<(), RoomError> {
        let bytes = packet.encode_to_vec();
        if !reliable {
            return self.write(self.lossy, &bytes);
        }
        if self.reliable_open {
            return self.write(self.reliable, &bytes);
        }
        if self.early.len() >= MOST_EARLY_PACKETS {
            return Err(RoomError::DataChannelFull);
        }
        self.early.push(bytes);
        Ok(())
    }

    fn write(&mut self, channel: ChannelId, bytes: &[u8]) -> Result<(), RoomError> {
        let mut channel = self.rtc.channel(channel).ok_or(RoomError::DataChannelClosed)?;
        if channel.write(true, bytes)? { Ok(()) } else { Err(RoomError::DataChannelFull) }
    }

    /// Says goodbye to the server; `drain` then brings the last datagrams.
    pub fn close(&mut self) {
        self.connected = false;
        if let Err(error) = self.rtc.close() {
            tracing::debug!(%error, "the WebRTC connection was not closed cleanly");
        }
    }

    /// Moves everything str0m has to say to `out`. To be called after every change.
    pub fn drain(&mut self, out: &mut VecDeque<Output>) -> Result<Vec<MediaNews>, RtcError> {
        let mut news = Vec::new();
        loop {
            match self.rtc.poll_output()? {
                str0m::Output::Timeout(at) => {
                    self.timeout = at;
                    return Ok(news);
                }
                str0m::Output::Transmit(sent) => {
                    out.push_back(Output::Datagram { to: sent.destination, data: sent.contents });
                }
                str0m::Output::Event(event) => news.extend(self.handle_event(event, out)),
            }
        }
    }

    fn handle_event(&mut self, event: Event, out: &mut VecDeque<Output>) -> Option<MediaNews> {
        match event {
            Event::RtpPacket(packet) => {
                out.extend(self.audio(packet).map(RoomEvent::Audio).map(Output::Event));
                None
            }
            Event::ChannelData(data) => {
                out.extend(data_event(&data.data).map(Output::Event));
                None
            }
            Event::ChannelOpen(id, _) => {
                self.channel_opened(id);
                None
            }
            Event::Connected => {
                self.dtls_up = true;
                self.set_connected(true)
            }
            Event::IceConnectionStateChange(state) if state.is_disconnected() => self.set_connected(false),
            Event::IceConnectionStateChange(state) if state.is_connected() && self.dtls_up => self.set_connected(true),
            Event::Closed => {
                self.connected = false;
                Some(MediaNews::Closed)
            }
            _ => None,
        }
    }

    fn set_connected(&mut self, connected: bool) -> Option<MediaNews> {
        if self.connected == connected {
            return None;
        }
        self.connected = connected;
        Some(if connected { MediaNews::Connected } else { MediaNews::Lost })
    }

    fn channel_opened(&mut self, id: ChannelId) {
        if id != self.reliable {
            return;
        }
        self.reliable_open = true;
        for bytes in std::mem::take(&mut self.early) {
            if let Err(error) = self.write(id, &bytes) {
                tracing::warn!(%error, "a data packet was dropped");
            }
        }
    }

    fn audio(&mut self, packet: RtpPacket) -> Option<AudioPacket> {
        if packet.payload.is_empty() {
            return None;
        }
        let section = self.section_of(packet.header.ssrc)?;
        Some(AudioPacket {
            track_sid: self.sections[section].track.clone()?,
            codec: codec_of(&self.rtc, packet.header.payload_type)?,
            payload: packet.payload,
            seq: *packet.seq_no,
            rtp_time: packet.header.timestamp,
            marker: packet.header.marker,
            received_at: packet.timestamp,
        })
    }

    fn section_of(&mut self, ssrc: Ssrc) -> Option<usize> {
        if let Some((_, section)) = self.streams.iter().find(|(known, _)| *known == ssrc) {
            return Some(*section);
        }
        let mid = self.rtc.direct_api().stream_rx(&ssrc)?.mid();
        let section = self.sections.iter().position(|section| section.mid == mid)?;
        self.streams.push((ssrc, section));
        Some(section)
    }
}

impl Outgoing {
    fn new(mid: Mid) -> Self {
        // A first number far from the wrap, so that both ends agree on the SRTP rollover counter.
        let next_seq = u64::from(rand::random::<u16>() >> 1);
        Self { mid, next_seq, codecs: Vec::new() }
    }

    fn payload_type(&self, codec: AudioCodec) -> Option<Pt> {
        self.codecs.iter().find(|(known, _)| *known == codec).map(|(_, pt)| *pt)
    }
}
