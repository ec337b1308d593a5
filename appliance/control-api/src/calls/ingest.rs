//! What do the gateway and voice-worker tell, and has it been taken in already?
//!
//! Events come in order with a number per spool and are repeated until they are accepted; everything
//! here may be done twice. An event is accepted once its consequences are stored.

use super::{inbound, live};
use crate::app::App;
use call::Input;
use jiff::Timestamp;
use serde_json::json;
use store::{Connection, StoreError, Transaction, extensions::Extension, legs};
use types::{
    CallId, CorrelationId, EndReason, UserId,
    control::{Envelope, Event, EventBatch, EventsAccepted, LegEnd, RecordedVoicemail},
};

pub const GATEWAY: &str = "sip-gateway";

/// Takes a batch in; `through` is how far the spool need not come again.
pub async fn take(app: &App, batch: EventBatch) -> Result<EventsAccepted, StoreError> {
    super::restart::resume_once(app).await?;
    let (source, instance) = (batch.source.clone(), batch.instance.clone());
    let mut through = app.db.read(move |conn| store::calls::ingested(conn, &source, &instance)).await?;
    let before = through;
    for envelope in batch.events {
        if envelope.seq > through {
            through = envelope.seq;
            take_one(app, &batch.source, envelope).await?;
        }
    }
    if through > before {
        let (source, instance) = (batch.source, batch.instance);
        app.db.write(move |tx| store::calls::mark_ingested(tx, &source, &instance, through)).await?;
    }
    Ok(EventsAccepted { through })
}

async fn take_one(app: &App, source: &str, envelope: Envelope) -> Result<(), StoreError> {
    let correlation_id = envelope.correlation_id.unwrap_or_else(CorrelationId::new);
    match envelope.event {
        Event::Started { legs } if source == GATEWAY => gateway_started(app, legs).await,
        Event::Started { .. } => Ok(()),
        Event::InboundRefused { leg, outcome, sip_code, detail } => {
            let arrival = inbound::Arrival { correlation_id, leg, room: None, identity: None };
            inbound::refused(app, arrival, outcome, sip_code, detail).await
        }
        Event::InboundRinging { leg, room, identity, .. } => {
            let arrival = inbound::Arrival { correlation_id, leg, room: Some(room), identity: Some(identity) };
            inbound::begin(app, arrival).await
        }
        Event::OutboundDialing { lk_call_id, sip_call_id, room, identity, .. } => {
            if let Some(handle) = app.calls.find_by_room(&room) {
                let dialling = move |live: &mut live::Live| {
                    if let Some(party) = live.leg_by_identity(&identity).map(|leg| leg.party) {
                        live.dialling(party, lk_call_id, Some(sip_call_id), None);
                    }
                };
                handle.tell(dialling).await;
            }
            Ok(())
        }
        Event::OutboundRinging { lk_call_id } => on_leg(app, lk_call_id, live::Live::leg_ringing).await,
        Event::LegAnswered { lk_call_id, codec } => {
            on_leg(app, lk_call_id, move |live, leg| live.leg_answered(leg, codec)).await
        }
        Event::LegTakenOver { lk_call_id, sip_call_id, from } => {
            on_leg(app, lk_call_id, move |live, leg| live.leg_taken_over(leg, sip_call_id, from)).await
        }
        Event::LegHeld { lk_call_id, .. } => on_leg(app, lk_call_id, |live, leg| live.leg_held(leg, true)).await,
        Event::LegUnheld { lk_call_id, .. } => on_leg(app, lk_call_id, |live, leg| live.leg_held(leg, false)).await,
        Event::LegEnded { lk_call_id, end } => leg_ended(app, lk_call_id, end).await,
        Event::RegistrationChanged { registration } => {
            crate::trunks::sync::on_registration(app, registration).await;
            Ok(())
        }
        Event::AddressOffended { address, failures } => {
            tokio::spawn(crate::bans::ban(app.clone(), address, failures));
            Ok(())
        }
        Event::JobStarted { call_id, .. } => on_call(app, call_id, live::Live::job_started).await,
        Event::VoicemailRecorded { voicemail } => voicemail_recorded(app, voicemail, correlation_id).await,
        Event::MessagePlayed { call_id } => on_call(app, call_id, |live| live.input(Input::MessagePlayed)).await,
        Event::JobFailed { call_id, task, detail } => {
            tracing::warn!(correlation_id = %correlation_id, call.id = %call_id, task, detail, "scaidial_job_failed");
            on_call(app, call_id, |live| live.input(Input::JobFailed)).await
        }
    }
}

async fn on_leg<F>(app: &App, lk_call_id: String, work: F) -> Result<(), StoreError>
where
    F: FnOnce(&mut live::Live, &str) + Send + 'static,
{
    if let Some(handle) = app.calls.find_by_leg(&lk_call_id) {
        handle.tell(move |live| work(live, &lk_call_id)).await;
    }
    Ok(()) // others are LiveKit's own calls
}

async fn on_call<F>(app: &App, call: CallId, work: F) -> Result<(), StoreError>
where
    F: FnOnce(&mut live::Live) + Send + 'static,
{
    if let Some(handle) = app.calls.find(call) {
        handle.tell(work).await;
    }
    Ok(())
}

/// The last word on a leg; when its call is over already, only the row is completed.
async fn leg_ended(app: &App, lk_call_id: String, end: LegEnd) -> Result<(), StoreError> {
    if let Some(handle) = app.calls.find_by_leg(&lk_call_id) {
        let (leg, end) = (lk_call_id.clone(), end.clone());
        if handle.tell(move |live| live.leg_ended(&leg, &end)).await.is_some() {
            return Ok(());
        }
    }
    app.db
        .write(move |tx| {
            let Some(mut leg) = legs::find_by_lk(tx, &lk_call_id)? else { return Ok(()) };
            live::end_leg(&mut leg, &end);
            leg.state = legs::LegState::Ended;
            leg.ended_at.get_or_insert_with(Timestamp::now);
            let Some(tenant) = leg.tenant_id else { return Ok(()) };
            legs::put(tx, tenant, &leg)
        })
        .await
}

async fn voicemail_recorded(
    app: &App,
    voicemail: RecordedVoicemail,
    correlation_id: CorrelationId,
) -> Result<(), StoreError> {
    let call = voicemail.call_id;
    app.db
        .write(move |tx| {
            let new = store::voicemails::record(tx, &voicemail)?;
            store::calls::amend_to_voicemail(tx, voicemail.call_id)?;
            tell_of_voicemail(tx, &voicemail, new, &correlation_id)
        })
        .await?;
    on_call(app, call, |live| live.input(Input::VoicemailRecorded)).await
}

fn tell_of_voicemail(
    tx: &Transaction<'_>,
    voicemail: &RecordedVoicemail,
    new: bool,
    correlation_id: &CorrelationId,
) -> Result<(), StoreError> {
    let kind = if new { "voicemail.received" } else { "voicemail.stored" };
    let data = json!({
        "voicemail_id": voicemail.voicemail_id, "call_id": voicemail.call_id, "extension_id": voicemail.extension_id,
        "caller": voicemail.caller, "duration_s": voicemail.duration_ms as f64 / 1000.0, "stored": voicemail.stored,
        "correlation_id": correlation_id,
    });
    match owner(tx, voicemail)? {
        Some(user) => store::events::emit_to(tx, voicemail.tenant_id, user, kind, &data)?,
        None => store::events::emit(tx, voicemail.tenant_id, kind, &data)?,
    };
    Ok(())
}

fn owner(conn: &Connection, voicemail: &RecordedVoicemail) -> Result<Option<UserId>, StoreError> {
    let Some(extension) = voicemail.extension_id else { return Ok(None) };
    match store::find::<Extension>(conn, voicemail.tenant_id, &extension) {
        Ok(extension) => Ok(extension.spec.user_id),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(err) => Err(err),
    }
}

/// A new start of the gateway: the legs it does not have are gone, and it has to be told of trunks and phones.
async fn gateway_started(app: &App, legs: Vec<String>) -> Result<(), StoreError> {
    app.trunks_changed.notify_one();
    app.phones_changed.notify_one();
    for handle in app.calls.all() {
        let legs = legs.clone();
        handle.tell(move |live| super::restart::end_missing(live, &legs, EndReason::GatewayRestart)).await;
    }
    Ok(())
}
