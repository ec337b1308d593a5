//! Which formats of an audio line do we know, and by which numbers?
//!
//! G.711 and G.722 have payload types of their own; Opus and keys are numbered by whoever offers them. A number must mean
//! the same as long as the dialog lives (RFC 3264 section 8.3.2), so [`Numbers`] remembers those of the other side and
//! gives way where it has used one of ours for something else.

use super::{Format, MediaDescription};
use crate::codec::{Codec, PhoneCodec};

const EVENTS: &str = "telephone-event";
/// Payload types that have no meaning of their own (RFC 3551 section 6).
const DYNAMIC: std::ops::Range<u8> = 96..128;

/// telephone-event under one number (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFormat {
    pub payload_type: u8,
    /// Ticks of its clock for one tick at 8 kHz.
    pub clock_factor: u32,
}

/// The numbers of one dialog.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    opus: u8,
    /// telephone-event at 8 kHz, and at the clock of Opus.
    events: [u8; 2],
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers { opus: 111, events: [101, 102] }
    }
}

impl Numbers {
    /// For an offer of ours.
    pub fn codec(&self, codec: PhoneCodec) -> (u8, PhoneCodec) {
        (codec.payload_type().unwrap_or(self.opus), codec)
    }

    /// For an offer of ours with these codecs: keys count as the sound does that they are pressed in (RFC 4733 section
    /// 2.1), and at 8 kHz in any case, for many phones know only that.
    pub fn events(&self, codecs: &[(u8, PhoneCodec)]) -> Vec<EventFormat> {
        let fast = codecs.iter().any(|(_, codec)| *codec == PhoneCodec::Opus);
        let formats = self.events.iter().zip(factors()).take(if fast { 2 } else { 1 });
        formats.map(|(payload_type, clock_factor)| EventFormat { payload_type: *payload_type, clock_factor }).collect()
    }

    /// From now on, what the other side calls so in its offer is called so by us, too.
    pub fn learn(&mut self, media: &MediaDescription) {
        let mut taken: Vec<u8> = media.formats.iter().filter_map(Format::payload_type).collect();
        let ([plain, fast], [events, fast_events]) = (factors(), &mut self.events);
        for (ours, name, factor) in
            [(&mut self.opus, PhoneCodec::Opus.name(), fast), (events, EVENTS, plain), (fast_events, EVENTS, fast)]
        {
            let free = |number: &u8| !taken.contains(number);
            *ours = named(media, name, factor)
                .or(Some(*ours).filter(free))
                .or_else(|| DYNAMIC.into_iter().find(free))
                .unwrap_or(*ours);
            taken.push(*ours);
        }
    }
}

fn factors() -> [u32; 2] {
    [1, Codec::Opus.clock_factor()]
}

/// The codecs of a line that we know, in its order.
pub(super) fn known(media: &MediaDescription) -> Vec<(u8, PhoneCodec)> {
    let codec = |format: &Format| {
        let (name, _) = format.map.as_ref()?;
        PhoneCodec::named(name).filter(|codec| format.is(codec.name(), codec.clock_factor()))
    };
    media.formats.iter().filter_map(|format| Some((format.payload_type()?, codec(format)?))).collect()
}

/// Its telephone-events; what fits `codec` best goes first.
pub(super) fn events(media: &MediaDescription, codec: PhoneCodec) -> Vec<EventFormat> {
    let mut factors = factors();
    factors.sort_by_key(|factor| *factor != codec.clock_factor());
    let format = |clock_factor| {
        let payload_type = named(media, EVENTS, clock_factor)?;
        Some(EventFormat { payload_type, clock_factor })
    };
    factors.into_iter().filter_map(format).collect()
}

/// Comfort noise, where the codec's clock is that of RFC 3389's.
pub(super) fn noise(media: &MediaDescription, codec: PhoneCodec) -> Option<u8> {
    named(media, "CN", codec.clock_factor())
}

fn named(media: &MediaDescription, name: &str, clock_factor: u32) -> Option<u8> {
    media.formats.iter().find(|format| format.is(name, clock_factor))?.payload_type()
}
