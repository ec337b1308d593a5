//! The call as the box's own phone sees it: ring, listen for the beep, leave a message, hang up.

use crate::{
    beep::Beep,
    control,
    line::{Line, Speaker},
};
use media::{
    codec::{FRAME, PhoneCodec, level},
    sdp::{Encryption, LocalMedia, MediaSession},
    tone_code::ToneCode,
};
use sip::{Dialog, DialogEvent, Endpoint, OutboundCall, OutboundEvent, OutboundInvite, SipConfig, Tap, Transport};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

const NAME: &str = "self-call";

/// An answered call; hangs up with [`Call::hang_up`], and its sockets close with it.
pub struct Call {
    dialog: Dialog,
    events: mpsc::Receiver<DialogEvent>,
    line: Line,
    speaker: Speaker,
    _endpoint: DropGuard,
}

impl Call {
    /// Rings and waits until somebody answers.
    pub async fn dial(to: &control::Line, limit: Duration) -> Result<Self, String> {
        let host: IpAddr = to.host.parse().map_err(|_| format!("`{}` is not an address", to.host))?;
        let (endpoint, guard) = endpoint(host).await?;
        let line = Line::open(host).await.map_err(|error| format!("no socket for sound: {error}"))?;
        let address = line.address().map_err(|error| error.to_string())?;
        let local = LocalMedia {
            address,
            codecs: vec![PhoneCodec::PCMU],
            encryption: Encryption::Off,
            fingerprint: None,
            ice: None,
        };
        let mut media = MediaSession::new(local, rand::random::<u32>().into());
        let invite = invite(to, endpoint.local_addr(), media.offer());
        let call = endpoint.invite(invite).await.map_err(|error| error.to_string())?;
        let (dialog, events, answer) = answered(call, limit).await?;
        let agreed = media.apply_answer(&answer).map_err(|error| format!("the answer's sound: {error}"))?;
        let speaker = line.speak_to(agreed.remote);
        Ok(Self { dialog, events, line, speaker, _endpoint: guard })
    }

    pub fn id(&self) -> &str {
        self.dialog.call_id()
    }

    /// Listens until the beep is over; says what came instead when the call ends before.
    pub async fn hear_beep(&mut self, heard: &mut Heard) -> Result<(), String> {
        let mut beep = Beep::default();
        loop {
            let sound = tokio::select! {
                sound = self.line.hear() => sound.map_err(|error| format!("no sound: {error}"))?,
                () = gone(&mut self.events) => return Err(format!("the box hung up after {heard}")),
            };
            heard.note(&sound);
            if sound.chunks(FRAME).any(|frame| beep.over(frame)) {
                return Ok(());
            }
        }
    }

    pub async fn leave(&mut self, code: &ToneCode) -> Result<(), String> {
        let samples = code.samples();
        tokio::select! {
            said = self.speaker.say(&samples) => said.map_err(|error| error.to_string()),
            () = gone(&mut self.events) => Err("the box hung up before the message was over".into()),
        }
    }

    /// BYE; waits for its answer.
    pub async fn hang_up(self) {
        self.dialog.bye(None, &[]).await;
    }
}

/// What has been heard so far.
#[derive(Debug, Default)]
pub struct Heard {
    samples: usize,
    quietest_db: Option<u8>,
}

impl Heard {
    fn note(&mut self, sound: &[i16]) {
        self.samples += sound.len();
        let level = level(sound);
        self.quietest_db = Some(self.quietest_db.map_or(level, |loudest| loudest.min(level)));
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.quietest_db {
            None => f.write_str("no sound at all"),
            Some(db) => write!(f, "{:.1} s of sound, at most {db} dB below full scale", self.samples as f64 / 8_000.0),
        }
    }
}

async fn endpoint(host: IpAddr) -> Result<(Endpoint, DropGuard), String> {
    let config = SipConfig {
        listen: SocketAddr::new(host, 0),
        udp: true,
        tcp: false,
        tls: None,
        advertise: host.into(),
        user_agent: format!("ScaiBox {NAME}"),
        phones: Vec::new(),
        hide: false,
        tap: Tap::default(),
    };
    let stop = CancellationToken::new();
    let bound = Endpoint::bind(config, stop.clone()).await;
    let (endpoint, _) = bound.map_err(|error| format!("no SIP socket on {host}: {error}"))?;
    Ok((endpoint, stop.drop_guard()))
}

fn invite(to: &control::Line, from: SocketAddr, offer: Vec<u8>) -> OutboundInvite {
    let target = format!("sip:{}@{}", to.number, SocketAddrText(&to.host, to.port));
    OutboundInvite {
        from: format!("<sip:{NAME}@{from}>"),
        to: format!("<{target}>"),
        request_uri: target,
        transport: Some(Transport::Udp),
        sdp: Some(offer),
        ..OutboundInvite::default()
    }
}

/// `host:port`, with brackets around an IPv6 address.
struct SocketAddrText<'a>(&'a str, u16);

impl std::fmt::Display for SocketAddrText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]:{}", self.0, self.1),
            false => write!(f, "{}:{}", self.0, self.1),
        }
    }
}

type Answer = (Dialog, mpsc::Receiver<DialogEvent>, Vec<u8>);

/// Says how far it came when nobody answers in time.
async fn answered(mut call: OutboundCall, limit: Duration) -> Result<Answer, String> {
    let until = Instant::now() + limit;
    let mut late = "sip-gateway does not answer";
    while let Ok(Some(event)) = timeout_at(until, call.next()).await {
        match event {
            OutboundEvent::Progress { .. } => late = "it rang, and voicemail did not answer",
            OutboundEvent::Answered { dialog, events, sdp, .. } => {
                return Ok((dialog, events, sdp.ok_or("answered without a session description")?));
            }
            OutboundEvent::Failed { code: 408, .. } => break,
            OutboundEvent::Failed { code, reason, .. } => return Err(format!("refused with {code} {reason}")),
        }
    }
    Err(format!("{late} within {} s", limit.as_secs()))
}

/// Returns when the box has hung up; what else it asks for is refused by leaving it unanswered.
async fn gone(events: &mut mpsc::Receiver<DialogEvent>) {
    while let Some(event) = events.recv().await {
        if matches!(event, DialogEvent::Terminated { .. }) {
            return;
        }
    }
}
