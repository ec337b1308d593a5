//! One call's life: a phone on one side, a room on the other.
//!
//! [`Leg::run`] is the loop: something happens (the phone, the room's audio thread, a command, a
//! timer), [`LegState`] decides, and [`Leg::perform`] does it. [`inbound`] and [`outbound`] build a leg.
//!
//! Audio: `media_thread`. A room that is lost: [`rejoin`]. What SIP looks like: crate `sip`. Holds and digits:
//! [`media_changes`]. PINs: [`lobby`]. What the room may ask: [`rpc`]. REFER: [`transfers`].

mod audience;
pub mod inbound;
mod lobby;
mod media_changes;
mod moving;
pub mod outbound;
mod phone;
mod referral;
mod rejoin;
mod room;
mod rpc;
mod taking_over;
mod transfers;

use crate::{
    gateway::{Gateway, Port},
    leg_state::{Input, LegState, Output},
    legs::{Command, CommandError, What},
    media_thread::{LegHandle, LegMediaEvent},
    participant::{self, attribute_headers, without_numbers},
};
use audience::Audience;
use livekit::{DisconnectReason, proto::SipHeaderOptions, psrpc::Registration};
use lobby::{Lobby, Verdict};
use media::{
    codec::{G711, PhoneCodec},
    dtmf::digit_of_info,
    sdp::{Encryption, LocalMedia, MediaSession},
    sound::Sound,
};
use phone::{Phone, PhoneEvent};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use transfers::{Transfer, Waiting, next_progress};
use types::{
    CorrelationId, ExtensionId,
    control::{Event, LegEnd, LegEndCause, LegState as Shown, LegStats},
};

/// How long the audio thread may take to let go of a leg.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// The longest call that upstream allows.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Upstream's ringing time-out.
pub const RINGING_TIMEOUT: Duration = Duration::from_secs(180);

/// Our side of a leg's audio, received at `address`.
fn local_media(gateway: &Gateway, address: SocketAddr, codecs: Vec<PhoneCodec>, encryption: Encryption) -> LocalMedia {
    let (fingerprint, ice) = (Some(gateway.identity.fingerprint()), Some(participant::ice_credentials as fn() -> _));
    LocalMedia { address, codecs, encryption, fingerprint, ice }
}

/// A running leg.
pub struct Leg {
    gateway: Arc<Gateway>,
    correlation_id: CorrelationId,
    lk_call_id: String,
    state: LegState,
    phone: Phone,
    sdp: MediaSession,
    /// The last answer that came before the call's own.
    early_answer: Option<Vec<u8>>,
    /// Our answer to an inbound offer, sent with the 200; empty when the caller wants our offer.
    answer: Option<Vec<u8>>,
    /// Headers for the 200.
    answer_headers: Vec<(String, String)>,
    /// Attributes that become headers of the 200 and the BYE, as they are then.
    attributes_to_headers: HashMap<String, String>,
    /// The room has ended the call, and has its answer by then.
    hang_up_at: Option<Instant>,
    /// More headers for the BYE.
    bye_headers: Vec<(String, String)>,
    /// Of the phone's INVITE, or its answer to ours.
    remote_headers: Vec<(String, String)>,
    /// Which of an answer's headers become attributes.
    include_headers: SipHeaderOptions,
    /// A caller who has to type a PIN, until it is right.
    lobby: Option<Lobby>,
    /// The control plane's words for a refusal.
    refusal: Option<String>,
    codec: String,
    room: room::RoomLink,
    seat: room::Seat,
    rejoin: livekit::Rejoin,
    audience: Audience,
    media: LegHandle,
    media_events: mpsc::UnboundedReceiver<LegMediaEvent>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Who asked for this outbound leg and is still waiting.
    on_joined: Option<oneshot::Sender<outbound::Outcome>>,
    on_answered: Option<oneshot::Sender<outbound::Outcome>>,
    ringing_event: Option<Event>,
    attributes: HashMap<String, String>,
    /// Digits to send once it is answered.
    digits_after_answer: String,
    /// Those digits are being pressed.
    automation: bool,
    /// The room shall hear that the phone rings.
    dialtone: bool,
    headers_to_attributes: HashMap<String, String>,
    /// Whose desk phone it is, if it is one of ours.
    extension_id: Option<ExtensionId>,
    /// The phone's REFER, until its outcome is known.
    referral: Option<sip::Subscription>,
    transfer: Option<Transfer>,
    stats: LegStats,
    _transfers: Registration,
    port: Port,
}

enum Happened {
    Phone(PhoneEvent),
    Media(Option<LegMediaEvent>),
    Command(Option<Command>),
    Refer(Option<sip::ReferProgress>),
    Verdict(Option<Verdict>),
    Tick,
}

impl Leg {
    /// Runs the leg to its end and reports it.
    pub async fn run(mut self) {
        loop {
            if let Some(end) = self.perform().await {
                self.close(end).await;
                return;
            }
            match self.next().await {
                Happened::Phone(event) => self.on_phone(event).await,
                Happened::Media(Some(event)) => self.on_media(event),
                Happened::Media(None) => self.input(Input::RoomLost),
                Happened::Command(Some(command)) => self.on_command(command).await,
                Happened::Command(None) => self.input(Input::HangUp),
                Happened::Refer(progress) => self.on_refer(progress),
                Happened::Verdict(verdict) => self.on_verdict(verdict),
                Happened::Tick => {
                    self.on_tick();
                    self.keep_room().await;
                }
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let door = self.lobby.as_ref().and_then(|lobby| lobby.pin.next_tick());
        let ticks = [self.state.next_tick(), door, self.hang_up_at, self.rejoin.poll_timeout()];
        let tick = ticks.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
        tokio::select! {
            biased;
            event = self.phone.next() => Happened::Phone(event),
            event = self.media_events.recv() => Happened::Media(event),
            command = self.commands.recv() => Happened::Command(command),
            progress = next_progress(&mut self.transfer) => Happened::Refer(progress),
            verdict = next_verdict(&mut self.lobby) => Happened::Verdict(verdict),
            _ = tokio::time::sleep_until(tick.into()) => Happened::Tick,
        }
    }

    fn on_tick(&mut self) {
        self.input(Input::Tick);
        if self.hang_up_at.is_some_and(|at| Instant::now() >= at) {
            self.hang_up_at = None;
            self.input(Input::HangUp);
        }
        self.lobby.iter_mut().for_each(|lobby| lobby.pin.tick(Instant::now()));
        self.at_the_door();
    }

    fn input(&mut self, input: Input) {
        self.state.handle(input, Instant::now());
    }

    /// Does what the state wants; gives the end once it is reached.
    async fn perform(&mut self) -> Option<(LegEndCause, Option<u16>)> {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::SendRinging => self.phone.ringing().await,
                Output::Answer => self.answer_caller().await,
                Output::Reject { code } => self.phone.reject(code, self.refusal.as_deref()).await,
                Output::Cancel => self.phone.cancel(),
                Output::HangUp => self.hang_up(),
                Output::LeaveRoom(cause, sip_code) => self.media.leave(farewell(cause, sip_code)),
                Output::Status(status) => self.set_status(status),
                Output::ReportRinging => self.report_ringing(),
                Output::ReportAnswered => self.report_answered(),
                Output::ReportHeld { by_peer } => self.report_hold(true, by_peer),
                Output::ReportUnheld { by_peer } => self.report_hold(false, by_peer),
                Output::Ended { cause, sip_code } => return Some((cause, sip_code)),
            }
        }
        None
    }

    async fn on_phone(&mut self, event: PhoneEvent) {
        match event {
            PhoneEvent::Cancelled => self.input(Input::PeerCancelled),
            PhoneEvent::Rings { headers, sdp } => {
                self.map_headers(&headers);
                self.play_dialtone(); // until the other network has something to say
                if let Some(sdp) = sdp {
                    self.on_early_media(sdp);
                }
                self.input(Input::PeerRings);
            }
            PhoneEvent::Answered { sdp, headers, remote_tag } => self.on_answered(sdp, &headers, remote_tag),
            PhoneEvent::Refused { code, reason } => {
                tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, sip.code = code, reason, "the phone refused");
                self.input(Input::PeerRefused { code });
            }
            PhoneEvent::LateAnswer { sdp } => self.on_late_answer(&sdp),
            PhoneEvent::Reinvite { sdp, answer } => self.on_reinvite(sdp, answer),
            PhoneEvent::Info { content_type, body } => match digit_of_info(&content_type, &body) {
                Some(digit) => self.media.told_digit(digit),
                None => tracing::debug!(call.id = %self.lk_call_id, content_type, "INFO is taken and not used"),
            },
            PhoneEvent::RefreshDue => self.refresh().await,
            PhoneEvent::Lost => self.input(Input::MediaTimedOut),
            PhoneEvent::Refer { to, subscription, answer } => self.on_referral(to, subscription, answer).await,
            PhoneEvent::HungUp => self.on_hung_up(),
        }
    }

    async fn on_command(&mut self, command: Command) {
        let Command { what, done } = command;
        let active = self.state.is_active();
        let outcome = match what {
            What::Answer if active => Err(CommandError::AlreadyAnswered),
            What::Reject { .. } if active => Err(CommandError::AlreadyAnswered),
            What::Hold | What::Unhold | What::Digits(_) | What::RingBack(_) | What::Transfer { .. } if !active => {
                Err(CommandError::NotAnswered)
            }
            What::Answer => self.obey(Input::Answer),
            What::Reject { code, reason } => {
                self.refusal = reason;
                self.obey(Input::Reject { code })
            }
            What::HangUp => self.obey(Input::HangUp),
            What::Stop => self.obey(Input::Stopping),
            What::Hold => self.hold(true).await,
            What::Unhold => self.hold(false).await,
            What::Digits(digits) => {
                self.media.send_digits(digits);
                Ok(())
            }
            What::Move { room, identity } if active => self.move_to(room, identity).await,
            What::Move { .. } => Err(CommandError::NotAnswered),
            What::TakeOver(wish) => self.be_taken_over(*wish).await,
            What::RingBack(on) => {
                self.media.play(on.then(Sound::ringing));
                Ok(())
            }
            What::Report(code) => self.on_report(code),
            What::GiveUpTransfer => {
                self.give_up_transfer();
                Ok(())
            }
            What::Transfer { to, headers, dialtone, heard } => {
                return self.start_transfer(to, headers, dialtone, Waiting { done, heard }).await;
            }
        };
        done.send(outcome).ok();
    }

    fn obey(&mut self, input: Input) -> Result<(), CommandError> {
        self.input(input);
        Ok(())
    }

    /// Waits for the audio thread to let go, then says the last event.
    async fn close(mut self, (cause, sip_code): (LegEndCause, Option<u16>)) {
        self.gateway.legs.update(&self.lk_call_id, |view| view.state = Shown::Ended);
        self.tell_waiting(cause, sip_code);
        let closed = async {
            while let Some(event) = self.media_events.recv().await {
                match event {
                    LegMediaEvent::Signal(frame) => self.room.send(frame), // the farewell
                    LegMediaEvent::Closed => return,
                    figures => self.on_figures(figures),
                }
            }
        };
        if tokio::time::timeout(CLOSE_LIMIT, closed).await.is_err() {
            tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, "the audio thread is slow to let go");
        }
        tracing::info!(
            correlation_id = %self.correlation_id, call.id = %self.lk_call_id, ?cause, sip.code = sip_code,
            packets.r#in = self.stats.packets_in, packets.lost = self.stats.lost, "leg ended"
        );
        let end = LegEnd { cause, sip_code, detail: String::new(), stats: self.stats.clone() };
        let ended = Event::LegEnded { lk_call_id: self.lk_call_id.clone(), end };
        let event = self.refused_at_the_door(cause).unwrap_or(ended);
        self.report(event);
        self.phone.finished().await;
        self.gateway.legs.leave(&self.lk_call_id);
    }

    fn hang_up(&mut self) {
        let mut headers = attribute_headers(&self.attributes_to_headers, &self.attributes);
        headers.append(&mut self.bye_headers);
        self.phone.hang_up(self.state.bye_reason(), headers);
    }

    /// Those who may not know who calls are not told by headers either.
    fn hide_numbers(&mut self, hidden: bool) {
        if hidden {
            self.remote_headers = without_numbers(&self.remote_headers);
        }
    }

    fn play_dialtone(&mut self) {
        if std::mem::take(&mut self.dialtone) {
            self.media.play_to_room(Sound::ringing());
        }
    }

    fn report(&self, event: Event) {
        self.gateway.spool.append(Some(&self.correlation_id), event);
    }

    fn report_ringing(&mut self) {
        self.gateway.legs.update(&self.lk_call_id, |view| view.state = Shown::Ringing);
        if let Some(event) = self.ringing_event.take() {
            self.report(event);
        }
    }

    fn report_answered(&mut self) {
        let codec = self.codec.clone();
        self.gateway.legs.update(&self.lk_call_id, |view| {
            view.state = Shown::Active;
            view.codec = Some(codec.clone());
        });
        self.report(Event::LegAnswered { lk_call_id: self.lk_call_id.clone(), codec });
        self.tell_answered();
        if !self.digits_after_answer.is_empty() {
            self.media.send_digits(std::mem::take(&mut self.digits_after_answer));
        }
    }

    /// An outbound leg may be answered before its room is joined; the asker wants both.
    fn tell_answered(&mut self) {
        let sid = &self.room.participant_sid;
        if self.state.is_active()
            && !sid.is_empty()
            && let Some(waiting) = self.on_answered.take()
        {
            waiting.send(Ok(sid.clone())).ok();
        }
    }

    fn set_status(&mut self, status: &str) {
        // It is active once its digits are pressed.
        self.automation = status == "active" && !self.digits_after_answer.is_empty();
        let status = if self.automation { "automation" } else { status };
        self.attributes.insert("sip.callStatus".into(), status.into());
        self.media.set_attributes(HashMap::from([("sip.callStatus".into(), status.into())]));
    }

    /// Headers of an answer become the attributes that the trunk names.
    fn map_headers(&mut self, headers: &[(String, String)]) {
        let mut mapped = crate::participant::shown_headers(self.include_headers, headers);
        mapped.extend(crate::participant::mapped_headers(&self.headers_to_attributes, headers));
        if !mapped.is_empty() {
            self.attributes.extend(mapped.clone());
            self.media.set_attributes(mapped);
        }
    }
}

/// Why the participant goes, for those who stay. LiveKit knows a word only for phones that were never answered.
fn farewell(cause: LegEndCause, sip_code: Option<u16>) -> DisconnectReason {
    match (cause, sip_code) {
        (LegEndCause::Rejected, Some(408 | 480)) | (LegEndCause::RingTimeout, _) => DisconnectReason::UserUnavailable,
        (LegEndCause::Rejected, Some(_)) => DisconnectReason::UserRejected,
        _ => DisconnectReason::ClientInitiated,
    }
}

async fn next_verdict(lobby: &mut Option<Lobby>) -> Option<Verdict> {
    match lobby {
        Some(lobby) => lobby.verdict().await,
        None => std::future::pending().await,
    }
}

/// The phone's codec as it goes into the room: G.711 and Opus as they are, G.722, which it does not know, as Opus.
fn room_codec(codec: PhoneCodec) -> livekit::AudioCodec {
    match codec {
        PhoneCodec::G711(G711::Pcmu) => livekit::AudioCodec::Pcmu,
        PhoneCodec::G711(G711::Pcma) => livekit::AudioCodec::Pcma,
        PhoneCodec::G722 | PhoneCodec::Opus => livekit::AudioCodec::Opus,
    }
}
