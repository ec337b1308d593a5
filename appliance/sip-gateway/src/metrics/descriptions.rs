//! What do callers offer, and how long are the session descriptions?

use super::{Metrics, dir, outcome::UNKNOWN};
use media::sdp::{Format, SessionDescription};
use std::collections::BTreeSet;
use types::control::Direction;

/// Codecs that get a label value of their own.
const NAMED: [&str; 7] = [
    "PCMU/8000",
    "PCMA/8000",
    "G722/8000",
    "AMR-WB/16000",
    "opus/48000",
    "telephone-event/8000",
    "telephone-event/48000",
];

impl Metrics {
    /// A caller's description: what it can do, not only what was chosen.
    pub fn offer_of_caller(&self, offer: &[u8]) {
        self.offer(offer);
        let Ok(description) = SessionDescription::parse(offer) else { return };
        let (direction, provider) = (dir(Direction::Inbound), UNKNOWN);
        self.families.sdp_parsed.with_label_values(&[direction, provider]).inc();
        for codec in codecs(&description) {
            self.families.codec_offered.with_label_values(&[direction, provider, codec]).inc();
        }
    }

    /// An offer, whoever makes it.
    pub fn offer(&self, offer: &[u8]) {
        self.families.sdp_size.with_label_values(&["offer"]).observe(offer.len() as f64);
    }

    /// An answer, whoever gives it.
    pub fn answer(&self, answer: &[u8]) {
        self.families.sdp_size.with_label_values(&["answer"]).observe(answer.len() as f64);
    }
}

/// Each once.
fn codecs(description: &SessionDescription) -> BTreeSet<&'static str> {
    description.media.iter().filter(|media| media.kind == "audio").flat_map(|media| &media.formats).map(label).collect()
}

fn label(format: &Format) -> &'static str {
    let name = match (&format.map, format.token.as_str()) {
        (Some((name, rate)), _) => format!("{name}/{rate}"),
        (None, "9") => "G722/8000".to_owned(), // needs no rtpmap (RFC 3551)
        (None, _) => String::new(),
    };
    NAMED.into_iter().find(|known| known.eq_ignore_ascii_case(&name)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 9 0 18 3 101\r\na=rtpmap:0 pcmu/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";

    #[test]
    fn every_codec_of_an_offer_counts_once_and_strange_ones_together() {
        let metrics = Metrics::new("NE_1").unwrap();
        metrics.offer_of_caller(OFFER);
        let count = |codec| metrics.families.codec_offered.with_label_values(&["in", "unknown", codec]).get();
        assert_eq!(["G722/8000", "PCMU/8000", "telephone-event/8000", "other"].map(count), [1; 4]);
        assert_eq!(metrics.families.sdp_size.with_label_values(&["offer"]).get_sample_sum(), OFFER.len() as f64);
    }

    #[test]
    fn what_cannot_be_read_has_a_size_and_no_codecs() {
        let metrics = Metrics::new("NE_1").unwrap();
        metrics.offer_of_caller(b"nonsense");
        assert_eq!(metrics.families.sdp_size.with_label_values(&["offer"]).get_sample_count(), 1);
        assert_eq!(metrics.families.sdp_parsed.with_label_values(&["in", "unknown"]).get(), 0);
    }
}
