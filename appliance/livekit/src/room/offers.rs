//! Which offer is under way, and which comes next?
//!
//! We are always the offerer, and only one offer may be unanswered. What is wanted meanwhile is
//! merged and offered after the answer. Building the SDP is `peer`'s part.

use std::collections::HashMap;

use livekit_protocol as proto;
use str0m::change::SdpPendingOffer;

/// What the next offer should bring.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// This many more sections to receive audio on.
    pub audios: u32,
    pub ice_restart: bool,
}

#[derive(Default)]
pub(super) struct Offers {
    last_id: u32,
    pending: Option<Pending>,
    wanted: Option<Wanted>,
    last_offer: Option<proto::SessionDescription>,
    last_answer: Option<proto::SessionDescription>,
}

struct Pending {
    id: u32,
    changes: SdpPendingOffer,
}

impl Offers {
    /// Asks for one more offer; several wishes become one.
    pub fn want(&mut self, more: Wanted) {
        let wanted = self.wanted.get_or_insert_default();
        wanted.audios += more.audios;
        wanted.ice_restart |= more.ice_restart;
    }

    /// What to offer now, when nothing is unanswered.
    pub fn take_wanted(&mut self) -> Option<Wanted> {
        if self.pending.is_some() {
            return None;
        }
        self.wanted.take()
    }

    /// Remembers an offer made from `changes` and gives it its number.
    pub fn begin(&mut self, sdp: String, changes: SdpPendingOffer) -> proto::SessionDescription {
        self.last_id += 1;
        self.pending = Some(Pending { id: self.last_id, changes });
        let offer = description("offer", sdp, self.last_id);
        self.last_offer = Some(offer.clone());
        offer
    }

    /// The unanswered offer once more, under a new number: its answer was lost with the socket.
    pub fn repeat(&mut self) -> Option<proto::SessionDescription> {
        let pending = self.pending.as_mut()?;
        let offer = self.last_offer.as_mut()?;
        self.last_id += 1;
        pending.id = self.last_id;
        offer.id = self.last_id;
        Some(offer.clone())
    }

    /// The changes this answer belongs to; none when it answers an older offer.
    pub fn finish(&mut self, answer: &proto::SessionDescription) -> Option<SdpPendingOffer> {
        let pending = self.pending.take_if(|pending| answer.id == 0 || answer.id == pending.id)?;
        self.last_answer = Some(answer.clone());
        Some(pending.changes)
    }

    pub fn last_offer(&self) -> Option<&proto::SessionDescription> {
        self.last_offer.as_ref()
    }

    pub fn last_answer(&self) -> Option<&proto::SessionDescription> {
        self.last_answer.as_ref()
    }
}

fn description(kind: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: kind.to_owned(), sdp, id, mid_to_track_id: HashMap::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use str0m::Rtc;
    use str0m::media::{Direction, MediaKind};

    use super::*;

    fn changes() -> SdpPendingOffer {
        let mut rtc = Rtc::new(Instant::now());
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.apply().expect("an offer").1
    }

    fn answer(id: u32) -> proto::SessionDescription {
        description("answer", String::new(), id)
    }

    #[test]
    fn wishes_wait_for_the_answer_and_become_one_offer() {
        let mut offers = Offers::default();
        assert_eq!(offers.begin("one".to_owned(), changes()).id, 1);
        offers.want(Wanted { audios: 1, ice_restart: false });
        offers.want(Wanted { audios: 1, ice_restart: true });
        offers.want(Wanted::default());
        assert_eq!(offers.take_wanted(), None, "one offer at a time");

        assert!(offers.finish(&answer(1)).is_some());
        assert_eq!(offers.take_wanted(), Some(Wanted { audios: 2, ice_restart: true }));
        assert_eq!(offers.take_wanted(), None);
    }

    #[test]
    fn a_repeated_offer_has_a_new_number_and_the_late_answer_is_ignored() {
        let mut offers = Offers::default();
        offers.begin("one".to_owned(), changes());
        let repeated = offers.repeat().expect("an offer is pending");
        assert_eq!((repeated.id, repeated.sdp.as_str()), (2, "one"));
        assert!(offers.finish(&answer(1)).is_none());
        assert!(offers.finish(&answer(2)).is_some());
        assert_eq!(offers.repeat(), None);
        assert_eq!(offers.last_answer().map(|answer| answer.id), Some(2));
    }
}
