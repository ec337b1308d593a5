//! What works while the call is up: audio, hold, digits, transfer.
//!
//! Nobody is ever transferred: `Allow` says whether REFER is taken, and where a carrier says nothing, REFER names a host
//! that no resolver may know (`.invalid`, RFC 6761), so that no call can come of it.

use super::{
    audio::Line,
    call::Taken,
    log::{Log, Seen},
};
use media::{
    sdp::{Direction, MediaSession, SessionDescription},
    tone_code::ToneCode,
};
use rand::Rng;
use sip::{Dialog, DialogEvent, ReinviteAnswer, SipError, header};
use std::{net::IpAddr, time::Duration};
use tokio::sync::mpsc;
use types::{
    network::is_hidden_behind,
    probe::{
        Defect,
        ProbeStepName::{self, *},
    },
};

/// Three seconds of tones and the way back.
const TONES: Duration = Duration::from_secs(5);
/// Two re-INVITEs and audio again.
const HOLD: Duration = Duration::from_secs(12);
const AGAIN: Duration = Duration::from_secs(2);
const KEY: Duration = Duration::from_millis(800);
const ANSWER: Duration = Duration::from_secs(5);
/// The key that means least to whoever answers.
const DIGIT: &str = "#";
/// A name that leads nowhere.
const NOBODY: &str = "sip:probe@probe.invalid";

/// A call that is up.
pub struct Talk {
    dialog: Dialog,
    events: mpsc::Receiver<DialogEvent>,
    line: Line,
    sdp: MediaSession,
    answer: Vec<u8>,
    /// What the carrier takes, if it says so.
    allow: Option<Vec<String>>,
    /// Where SIP comes from.
    peer: IpAddr,
    dropped: bool,
}

impl Talk {
    pub fn new(taken: Taken, line: Line, sdp: MediaSession, peer: IpAddr) -> Talk {
        let Taken { dialog, events, headers, sdp: answer } = taken;
        let said =
            headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("allow")).map(|(_, value)| value.as_str());
        let allow = header::list(said);
        let allow = (!allow.is_empty()).then_some(allow);
        Talk { dialog, events, line, sdp, answer, allow, peer, dropped: false }
    }

    /// Tries everything and hangs up.
    pub async fn steps(mut self, log: &mut Log) {
        if self.agree(log) {
            self.step(log, Audio, "a code of five tones", TONES).await;
            self.step(log, Hold, "re-INVITE with sendonly, then with sendrecv", HOLD).await;
            self.step(log, Dtmf, format!("the key {DIGIT}"), ANSWER + KEY).await;
            let sent = if self.allow.is_some() { String::new() } else { format!("REFER to {NOBODY}") };
            self.step(log, Refer, sent, ANSWER).await;
        }
        self.look_back(log);
        self.dialog.bye(None, &[]).await;
    }

    async fn step(&mut self, log: &mut Log, name: ProbeStepName, sent: impl Into<String>, limit: Duration) {
        let work = async {
            let mut seen = match name {
                Audio => self.audio().await,
                Hold => self.hold().await,
                Dtmf => self.digit().await,
                _ => self.refer().await,
            };
            self.hear_events();
            if self.dropped {
                seen.saw += "; then it hung up";
                seen.defects.push(Defect::CallDropped);
            }
            seen
        };
        log.step(name, sent, limit + Duration::from_secs(1), work).await;
        if self.dropped {
            log.stop("the carrier hung up");
        }
    }

    /// Takes the answer's session description; without one there is nothing to try.
    fn agree(&mut self, log: &mut Log) -> bool {
        match self.sdp.apply_answer(&self.answer) {
            Ok(agreed) => {
                self.line.negotiated(&agreed);
                let encrypted = if agreed.srtp.is_some() { ", encrypted" } else { "" };
                log.detail(Call, &format!("{}{encrypted}, audio at {}", agreed.codec.name(), agreed.remote));
                if is_hidden_behind(agreed.remote.ip(), self.peer) {
                    log.add(Call, &format!("its SIP is at {}", self.peer), Defect::PrivateAddressInSdp);
                }
                true
            }
            Err(error) => {
                log.add(Call, &error.to_string(), Defect::AnswerUnusable);
                log.stop("the answer cannot be used");
                false
            }
        }
    }

    async fn audio(&mut self) -> Seen {
        let code = ToneCode::draw(|n| rand::rng().random_range(0..n));
        self.line.say(&code.samples(), TONES, |heard| heard.holds(&code)).await;
        let heard = self.line.heard();
        if heard.packets == 0 {
            return match heard.sources.first() {
                None => Seen::wrong("no packet", Defect::NoAudio),
                Some(other) => Seen::wrong(format!("packets from {other} only"), Defect::AudioFromElsewhere),
            };
        }
        let packets = format!("{} packets of {} ms", heard.packets, heard.ptime());
        let mut seen = match heard.is(&code) {
            true => Seen::fine(format!("{packets}; {code} came back: audio goes both ways")),
            false => Seen::doubtful(
                format!("{packets}; {code} did not come back"),
                "audio arrives; the number of an echo test would prove both ways",
            ),
        };
        if heard.ptime() != 20 || said_ptime(&self.answer).is_some_and(|ptime| ptime != 20) {
            seen.defects.push(Defect::OddPtime);
        }
        seen
    }

    async fn hold(&mut self) -> Seen {
        let before = self.line.heard().packets;
        let answered = match self.reoffer(true).await {
            Ok(direction) => direction,
            Err(seen) => return seen,
        };
        if let Err(mut seen) = self.reoffer(false).await {
            seen.saw = format!("{} to sendonly; {} to sendrecv", answered.name(), seen.saw);
            return seen;
        }
        let held = self.line.heard().packets;
        self.line.say(&[], AGAIN, |heard| heard.packets > held + 5).await;
        let mut seen = match answered {
            Direction::RecvOnly | Direction::Inactive => Seen::fine(answered.name()),
            _ => Seen::wrong(answered.name(), Defect::HoldIgnored),
        };
        if before > 0 && self.line.heard().packets == held {
            seen.saw += ", and no audio afterwards";
            seen.defects.push(Defect::NoAudioAfterHold);
        }
        seen
    }

    /// Our re-INVITE; what the carrier says that it does now.
    async fn reoffer(&mut self, hold: bool) -> Result<Direction, Seen> {
        self.sdp.hold(hold);
        let refused = |saw: String| Seen::wrong(saw, Defect::HoldRefused);
        match self.dialog.reinvite(self.sdp.offer()).await {
            Err(SipError::Refused { code, reason }) => Err(refused(format!("{code} {reason}"))),
            Err(error) => Err(refused(error.to_string())),
            Ok(answer) => {
                let agreed = self.sdp.apply_answer(&answer).map_err(|error| refused(error.to_string()))?;
                self.line.negotiated(&agreed);
                Ok(direction(&answer))
            }
        }
    }

    async fn digit(&mut self) -> Seen {
        if let Some(number) = self.sdp.negotiated().and_then(|agreed| Some(agreed.dtmf.first()?.payload_type)) {
            self.line.press(DIGIT);
            self.line.say(&[], KEY, |heard| heard.keys.contains(DIGIT)).await;
            let echo = if self.line.heard().keys.contains(DIGIT) { "; the key came back" } else { "" };
            return Seen::fine(format!("telephone-event is payload type {number}{echo}"));
        }
        let body = format!("Signal={DIGIT}\r\nDuration=160\r\n");
        let told = match self.dialog.info("application/dtmf-relay", body.into()).await {
            Ok(()) => "INFO is taken".to_owned(),
            Err(error) => format!("INFO is not taken: {error}"),
        };
        Seen::wrong(format!("no telephone-event in its answer; {told}"), Defect::NoTelephoneEvent)
    }

    async fn refer(&mut self) -> Seen {
        if let Some(allow) = &self.allow {
            let saw = format!("Allow: {}", allow.join(", "));
            return match allow.iter().any(|method| method.eq_ignore_ascii_case("REFER")) {
                true => Seen::fine(saw),
                false => Seen::wrong(saw, Defect::NoRefer),
            };
        }
        match self.dialog.refer(NOBODY, &[]).await {
            Ok(_) => Seen::fine("REFER is taken"),
            Err(error) => Seen::wrong(error.to_string(), Defect::NoRefer),
        }
    }

    /// What the carrier wanted meanwhile.
    fn hear_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                DialogEvent::Terminated { .. } => self.dropped = true,
                DialogEvent::Reinvite { sdp: Some(offer), answer } => {
                    if let Ok((agreed, sdp)) = self.sdp.answer(&offer) {
                        self.line.negotiated(&agreed);
                        answer.send(ReinviteAnswer { code: 200, sdp: Some(sdp) }).ok();
                    }
                }
                _ => {}
            }
        }
    }

    /// What only shows after a while.
    fn look_back(&self, log: &mut Log) {
        let odd = self.dialog.oddities();
        if odd.other_answers > 0 {
            log.add(Call, &format!("{} more answers, each hung up", odd.other_answers), Defect::AnswerForked);
        }
        if odd.contact_unusable {
            log.add(Call, "nothing that goes to its Contact arrives", Defect::ContactUnreachable);
        } else if odd.answer_repeats > 0 {
            log.add(Call, &format!("its 200 was repeated {} times", odd.answer_repeats), Defect::AckLost);
        }
    }
}

fn direction(answer: &[u8]) -> Direction {
    let read = SessionDescription::parse(answer).ok();
    read.and_then(|sdp| sdp.media.first().map(|audio| sdp.direction_of(audio))).unwrap_or_default()
}

fn said_ptime(answer: &[u8]) -> Option<u32> {
    SessionDescription::parse(answer).ok()?.media.first()?.ptime
}
