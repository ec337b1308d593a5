//! How is done what a call wants done?
//!
//! One task per call works through its [`Effect`]s in order, against the gateway's socket and
//! LiveKit's API. What takes long (dialling, transferring) gets a task of its own; what came of it
//! goes back to the call as an input.

use super::{actor::Handle, extension, live::Live, phone};
use crate::app::{App, LiveKit};
use call::{Input, Party};
use daemon::unix_http::UnixHttpError;
use dialplan::Destination;
use livekit::api::Transfer;
use std::time::Duration;
use store::{StoreError, bots::Bot, tenants};
use tokio::sync::mpsc;
use types::{
    BotId, CallId, CorrelationId, DidId, EndReason, ExtensionId, LegId, TenantId, VoicemailId,
    control::{JobMetadata, JobTask, Refusal, Reject, Report, RingBack, VOICE_AGENT},
};

const GREETING: &str = "Nobody can take your call right now. Please leave a message after the tone.";
const LONGEST_MESSAGE_S: u32 = 300;
const SILENCE_S: u32 = 10;

/// Something to do outside of the call's own rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Look(ExtensionId),
    Dial {
        party: Party,
        leg: LegId,
        to: Destination,
        timeout: Duration,
    },
    Bot(BotId),
    Record(Option<ExtensionId>),
    Play(String),
    Answer,
    Refer(Destination),
    Reject {
        code: u16,
        reason: Option<EndReason>,
    },
    /// Puts one party out.
    Drop {
        lk_call_id: Option<String>,
        identity: Option<String>,
    },
    /// A phone that hands its call over hears how it goes.
    Report {
        lk_call_id: String,
        code: u16,
    },
    /// A phone in the room hears ringing instead of it; or the room again.
    RingBack {
        lk_call_id: String,
        on: bool,
    },
    CloseRoom,
}

/// What never changes in a call.
#[derive(Clone)]
pub struct Scene {
    pub app: App,
    pub handle: Handle,
    pub call: CallId,
    pub tenant: TenantId,
    pub correlation_id: CorrelationId,
    pub did: Option<DidId>,
    pub room: String,
    pub caller: String,
    /// The caller's leg: LiveKit's id, if it is a phone, and its identity in the room.
    pub caller_lk: Option<String>,
    pub caller_identity: String,
}

/// Starts the task; it ends with its call.
pub fn spawn(app: &App, live: &Live, handle: Handle) -> mpsc::UnboundedSender<Effect> {
    let caller = live.party(0);
    let scene = Scene {
        app: app.clone(),
        handle,
        call: live.call.id,
        tenant: live.call.tenant_id,
        correlation_id: live.call.correlation_id.clone(),
        did: live.call.did_id,
        room: live.call.room.clone().unwrap_or_default(),
        caller: live.call.caller.clone(),
        caller_lk: caller.and_then(|leg| leg.lk_call_id.clone()),
        caller_identity: caller.and_then(|leg| leg.identity.clone()).unwrap_or_default(),
    };
    let (effects, mut inbox) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(effect) = inbox.recv().await {
            scene.perform(effect).await;
        }
    });
    effects
}

impl Scene {
    async fn perform(&self, effect: Effect) {
        let Some(livekit) = self.app.livekit.clone() else {
            return self.tell(Input::Broken { code: "livekit_not_configured" }).await;
        };
        match effect {
            Effect::Look(id) => self.look(id).await,
            Effect::Dial { party, leg, to, timeout } => {
                let scene = self.clone();
                tokio::spawn(async move { phone::dial(&scene, &livekit, party, leg, to, timeout).await });
            }
            Effect::Bot(bot) => self.dispatch_bot(&livekit, bot).await,
            Effect::Record(extension) => self.record(&livekit, extension).await,
            Effect::Play(text) => {
                self.dispatch(&livekit, VOICE_AGENT, JobTask::PlayMessage { text, voice: None }).await;
            }
            Effect::Answer => self.answer().await,
            Effect::Refer(to) => {
                let scene = self.clone();
                tokio::spawn(async move { scene.refer(&livekit, to).await });
            }
            Effect::Reject { code, reason } => self.reject(code, reason).await,
            Effect::Drop { lk_call_id, identity } => self.put_out(&livekit, lk_call_id, identity).await,
            Effect::Report { lk_call_id, code } => self.report(&lk_call_id, code).await,
            Effect::RingBack { lk_call_id, on } => self.ring_back(&lk_call_id, on).await,
            Effect::CloseRoom => self.close_room(&livekit).await,
        }
    }

    pub async fn tell(&self, input: Input) {
        self.handle.tell(|live| live.input(input)).await;
    }

    async fn look(&self, id: ExtensionId) {
        let tenant = self.tenant;
        let found = self.app.db.read(move |conn| extension::load(conn, tenant, id)).await;
        self.tell(match found {
            Ok(Some(extension)) => Input::Found(Box::new(extension)),
            Ok(None) => Input::NotFound(id),
            Err(error) => {
                self.warn("scaidial_extension_not_read", &error);
                Input::Broken { code: "internal" }
            }
        })
        .await;
    }

    async fn dispatch_bot(&self, livekit: &LiveKit, bot: BotId) {
        let tenant = self.tenant;
        let found = self.app.db.read(move |conn| store::find::<Bot>(conn, tenant, &bot)).await;
        match found {
            Ok(found) if found.spec.enabled => {
                self.dispatch(livekit, &found.spec.agent_name, JobTask::Bot { bot_id: bot }).await;
            }
            Ok(_) | Err(StoreError::NotFound { .. }) => self.tell(Input::Broken { code: "bot_not_found" }).await,
            Err(error) => {
                self.warn("scaidial_bot_not_read", &error);
                self.tell(Input::Broken { code: "internal" }).await;
            }
        }
    }

    async fn record(&self, livekit: &LiveKit, extension: Option<ExtensionId>) {
        let tenant = self.tenant;
        let greeting = self
            .app
            .db
            .read(move |conn| tenants::find(conn, tenant))
            .await
            .ok()
            .and_then(|tenant| tenant.spec.voicemail_greeting);
        let voicemail_id = VoicemailId::new();
        let task = JobTask::Voicemail {
            voicemail_id,
            extension_id: extension,
            greeting: greeting.unwrap_or_else(|| GREETING.to_owned()),
            voice: None,
            object_key: format!("voicemail/{tenant}/{voicemail_id}.ogg"),
            max_s: LONGEST_MESSAGE_S,
            silence_s: SILENCE_S,
        };
        self.dispatch(livekit, VOICE_AGENT, task).await;
    }

    async fn dispatch(&self, livekit: &LiveKit, agent: &str, task: JobTask) {
        let (caller_identity, caller) = self.caller_now().await;
        let job = JobMetadata {
            call_id: self.call,
            tenant_id: self.tenant,
            correlation_id: self.correlation_id.clone(),
            caller_identity,
            caller,
            task,
        };
        let metadata = serde_json::to_string(&job).unwrap_or_default();
        // When it fails nobody joins, and the call's own deadline says so.
        if let Err(error) = livekit.api.create_dispatch(&self.room, agent, &metadata).await {
            self.warn("scaidial_dispatch_failed", &error);
        }
    }

    async fn answer(&self) {
        if let Err(error) = self.gateway("answer").await {
            self.warn("scaidial_answer_failed", &error);
            self.tell(Input::Broken { code: "caller_not_answered" }).await;
        }
    }

    async fn refer(&self, livekit: &LiveKit, to: Destination) {
        let transfer = Transfer {
            room: self.room.clone(),
            identity: self.caller_identity.clone(),
            to: to.to_uri(),
            ..Transfer::default()
        };
        let input = match livekit.api.transfer_sip_participant(&transfer).await {
            Ok(()) => Input::ReferAccepted,
            Err(error) => {
                self.warn("scaidial_forward_refused", &error);
                Input::ReferRejected { code: error.sip_status().map(|(code, _)| code) }
            }
        };
        self.tell(input).await;
    }

    async fn reject(&self, code: u16, reason: Option<EndReason>) {
        let Some(lk_call_id) = &self.caller_lk else { return };
        let body = Reject { code, reason: reason.map(|reason| reason.as_str().to_owned()) };
        let path = format!("/v1/legs/{lk_call_id}/reject");
        if let Err(error) = self.app.gateway.act_with(&path, &body).await {
            self.shrug("scaidial_reject_failed", &error);
        }
    }

    async fn put_out(&self, livekit: &LiveKit, lk_call_id: Option<String>, identity: Option<String>) {
        if let Some(lk_call_id) = lk_call_id {
            if let Err(error) = self.app.gateway.act(&format!("/v1/legs/{lk_call_id}/hangup")).await {
                self.shrug("scaidial_hangup_failed", &error);
            }
        } else if let Some(identity) = identity
            && let Err(error) = livekit.api.remove_participant(&self.room, &identity).await
        {
            self.warn("scaidial_participant_not_removed", &error);
        }
    }

    async fn report(&self, lk_call_id: &str, code: u16) {
        let path = format!("/v1/legs/{lk_call_id}/report");
        if let Err(error) = self.app.gateway.act_with(&path, &Report { code }).await {
            self.shrug("scaidial_report_failed", &error);
        }
    }

    async fn ring_back(&self, lk_call_id: &str, on: bool) {
        let path = format!("/v1/legs/{lk_call_id}/ring-back");
        if let Err(error) = self.app.gateway.act_with(&path, &RingBack { on }).await {
            self.shrug("scaidial_ring_back_failed", &error);
        }
    }

    /// Who is the caller now, in the room and to others? After a hand-over it may be another than at first.
    pub async fn caller_now(&self) -> (String, String) {
        let found = self.handle.tell(|live| {
            let leg = live.party(0);
            let of = |part: fn(&store::legs::Leg) -> Option<String>| leg.and_then(part);
            (of(|leg| leg.identity.clone()), of(|leg| leg.address.clone()).filter(|_| live.handed_over()))
        });
        let (identity, address) = found.await.unwrap_or_default();
        (identity.unwrap_or_else(|| self.caller_identity.clone()), address.unwrap_or_else(|| self.caller.clone()))
    }

    /// Only rooms of our calls come here.
    pub async fn close_room(&self, livekit: &LiveKit) {
        if self.room.is_empty() {
            return;
        }
        if let Err(error) = livekit.api.delete_room(&self.room).await {
            self.warn("scaidial_room_not_deleted", &error);
        }
    }

    async fn gateway(&self, command: &str) -> Result<(), UnixHttpError> {
        let lk_call_id = self.caller_lk.as_deref().unwrap_or_default();
        self.app.gateway.act(&format!("/v1/legs/{lk_call_id}/{command}")).await
    }

    pub fn warn(&self, event: &'static str, error: &dyn std::error::Error) {
        let error = crate::ready::with_causes("", error);
        tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.call, error, "{event}");
    }

    /// A leg that is gone already is what we wanted.
    fn shrug(&self, event: &'static str, error: &UnixHttpError) {
        if error.refusal::<Refusal>().is_none() {
            self.warn(event, error);
        }
    }
}
