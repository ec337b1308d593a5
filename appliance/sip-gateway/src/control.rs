//! What may the control plane ask of the gateway?
//!
//! The Unix socket described in [`types::control`]: health, legs, their commands and traces, registrations, desk phones,
//! and our addresses as `network-info` finds them ([`types::network`]).

use crate::{
    gateway::Gateway,
    legs::{CommandError, What},
};
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use types::{
    ExtensionId, TrunkId,
    control::{
        Dtmf, GatewayHealth, LegView, LookUp, LookedUp, Move, OptionsAnswer, OptionsRequest, PhoneAccount,
        PhoneContact, PhoneSet, Refusal, RegistrationSet, RegistrationView, Reject, Report, RingBack,
    },
    network::Addresses,
    probe::{ProbeReport, ProbeRequest},
    trace::LegTrace,
};

type App = State<Arc<Gateway>>;

/// Serves until `stop`, if there is a control plane.
pub async fn serve(gateway: Arc<Gateway>, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(control) = &gateway.config.control else {
        stop.cancelled().await;
        return Ok(());
    };
    let socket = control.listen_socket.clone();
    listen(&socket, router(gateway), stop).await
}

/// Serves `router` on the socket until `stop`.
pub async fn listen(socket: &std::path::Path, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = daemon::unix_http::bind(socket)?;
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/legs", get(legs))
        .route("/v1/legs/{id}/answer", post(answer))
        .route("/v1/legs/{id}/reject", post(reject))
        .route("/v1/legs/{id}/hangup", post(hang_up))
        .route("/v1/legs/{id}/hold", post(hold))
        .route("/v1/legs/{id}/unhold", post(unhold))
        .route("/v1/legs/{id}/dtmf", post(dtmf))
        .route("/v1/legs/{id}/report", post(report))
        .route("/v1/legs/{id}/ring-back", post(ring_back))
        .route("/v1/legs/{id}/move", post(move_leg))
        .route("/v1/legs/{id}/trace", get(trace))
        .route("/v1/registrations", get(registrations).put(set_registrations))
        .route("/v1/registrations/{trunk}/refresh", post(refresh))
        .route("/v1/phones", put(set_phones))
        .route("/v1/phones/{extension}", get(phones))
        .route("/v1/options", post(options))
        .route("/v1/look-up", post(look_up))
        .route("/v1/probe", post(probe))
        .route("/v1/addresses", get(addresses).put(set_addresses))
        .layer(middleware::from_fn_with_state(gateway.clone(), hurry))
        .with_state(gateway)
}

/// Whoever asks is there: after an outage it hears what was hung up before it hears from LiveKit who left.
async fn hurry(State(gateway): App, request: Request, next: Next) -> Response {
    gateway.spool.hurry();
    next.run(request).await
}

async fn health(State(gateway): App) -> Json<GatewayHealth> {
    Json(gateway.health())
}

async fn legs(State(gateway): App) -> Json<Vec<LegView>> {
    Json(gateway.legs.views())
}

async fn answer(State(gateway): App, Path(id): Path<String>) -> Outcome {
    gateway.legs.command(&id, What::Answer).await.into()
}

async fn reject(State(gateway): App, Path(id): Path<String>, Json(body): Json<Reject>) -> Outcome {
    if !(300..=699).contains(&body.code) {
        return Outcome(Err(CommandError::Invalid(format!("code: {} is not in 300 to 699", body.code))));
    }
    gateway.legs.command(&id, What::Reject { code: body.code, reason: body.reason }).await.into()
}

async fn hang_up(State(gateway): App, Path(id): Path<String>) -> Outcome {
    gateway.legs.command(&id, What::HangUp).await.into()
}

async fn hold(State(gateway): App, Path(id): Path<String>) -> Outcome {
    gateway.legs.command(&id, What::Hold).await.into()
}

async fn unhold(State(gateway): App, Path(id): Path<String>) -> Outcome {
    gateway.legs.command(&id, What::Unhold).await.into()
}

async fn dtmf(State(gateway): App, Path(id): Path<String>, Json(body): Json<Dtmf>) -> Outcome {
    let fine = |c: char| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D');
    if body.digits.is_empty() || !body.digits.chars().all(fine) {
        return Outcome(Err(CommandError::Invalid("digits: only 0-9, *, #, A-D".into())));
    }
    gateway.legs.command(&id, What::Digits(body.digits)).await.into()
}

async fn report(State(gateway): App, Path(id): Path<String>, Json(body): Json<Report>) -> Outcome {
    gateway.legs.command(&id, What::Report(body.code)).await.into()
}

async fn ring_back(State(gateway): App, Path(id): Path<String>, Json(body): Json<RingBack>) -> Outcome {
    gateway.legs.command(&id, What::RingBack(body.on)).await.into()
}

async fn move_leg(State(gateway): App, Path(id): Path<String>, Json(Move { room, identity }): Json<Move>) -> Outcome {
    gateway.legs.command(&id, What::Move { room, identity }).await.into()
}

async fn trace(State(gateway): App, Path(id): Path<String>) -> Result<Json<LegTrace>, NotKept> {
    gateway.traces.find(&id).map(Json).ok_or(NotKept(id))
}

/// Its trace has given way, or there never was one.
struct NotKept(String);

impl IntoResponse for NotKept {
    fn into_response(self) -> Response {
        let body = Refusal { code: "trace_gone".into(), detail: format!("nothing is kept of leg {}", self.0) };
        (StatusCode::NOT_FOUND, Json(body)).into_response()
    }
}

async fn registrations(State(gateway): App) -> Json<Vec<RegistrationView>> {
    Json(gateway.registrations.views())
}

async fn set_registrations(State(gateway): App, Json(set): Json<RegistrationSet>) -> Json<Vec<RegistrationView>> {
    gateway.registrations.replace(&gateway, set.registrations);
    Json(gateway.registrations.views())
}

async fn refresh(State(gateway): App, Path(trunk): Path<TrunkId>) -> StatusCode {
    match gateway.registrations.refresh(trunk) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}

/// Answers how many may register.
async fn set_phones(State(gateway): App, Json(set): Json<PhoneSet>) -> Json<usize> {
    let count = set.phones.len();
    let account = |phone: PhoneAccount| sip::Account {
        key: phone.extension_id.to_string(),
        user: phone.username,
        password: phone.password.expose().clone(),
    };
    gateway.endpoint.set_accounts(set.phones.into_iter().map(account).collect());
    Json(count)
}

async fn phones(State(gateway): App, Path(extension): Path<ExtensionId>) -> Json<Vec<PhoneContact>> {
    let now = Timestamp::now();
    let view = |contact: sip::Contact| PhoneContact {
        uri: contact.uri,
        source: contact.source.to_string(),
        transport: contact.transport.name().to_lowercase(),
        user_agent: contact.user_agent,
        expires_at: now + contact.expires_in,
    };
    Json(gateway.endpoint.contacts(&extension.to_string()).into_iter().map(view).collect())
}

/// A carrier that takes longer is of no use for calls.
const OPTIONS_LIMIT: Duration = Duration::from_secs(5);

async fn look_up(State(gateway): App, Json(request): Json<LookUp>) -> Json<LookedUp> {
    let transport = sip::Transport::named(&request.transport).unwrap_or_default();
    let places = gateway.endpoint.places(&request.server, transport).await.unwrap_or_default();
    Json(LookedUp { addresses: places.iter().map(|place| place.ip()).collect() })
}

async fn options(State(gateway): App, Json(request): Json<OptionsRequest>) -> Json<OptionsAnswer> {
    let transport = sip::Transport::named(&request.transport).unwrap_or_default();
    let asked = tokio::time::timeout(OPTIONS_LIMIT, gateway.endpoint.options(&request.server, transport)).await;
    let silent = |code, reason| OptionsAnswer { answered: false, code, reason };
    Json(match asked {
        Ok(Ok(answer)) => OptionsAnswer { answered: true, code: answer.code, reason: answer.reason },
        Ok(Err(error)) => silent(error.code(), format!("{:#}", anyhow::Error::from(error))),
        Err(_) => silent(408, format!("no answer in {} s", OPTIONS_LIMIT.as_secs())),
    })
}

/// It goes on to its end when whoever asked does not wait: a call of it must be hung up.
async fn probe(State(gateway): App, Json(request): Json<ProbeRequest>) -> Result<Json<ProbeReport>, Busy> {
    if gateway.is_stopping() {
        return Err(Busy("the gateway is stopping"));
    }
    let (tracked, running) = (gateway.clone(), gateway.clone());
    let work = async move {
        let Ok(_place) = running.probes.try_acquire() else { return None };
        Some(crate::probe::run(running.clone(), request).await)
    };
    let report = tracked.calls.spawn(work).await.ok().flatten();
    report.map(Json).ok_or(Busy("other carriers are being tried out"))
}

/// 503, come again.
struct Busy(&'static str);

impl IntoResponse for Busy {
    fn into_response(self) -> Response {
        let body = Refusal { code: "probe_busy".into(), detail: self.0.into() };
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    }
}

async fn addresses(State(gateway): App) -> Json<Addresses> {
    Json(gateway.addresses.told())
}

async fn set_addresses(State(gateway): App, Json(told): Json<Addresses>) -> Json<Addresses> {
    if gateway.addresses.learn(told.clone()) {
        tracing::info!(egress.ip = ?told.egress, "our addresses changed: all trunks register anew");
        gateway.registrations.refresh_all();
    }
    Json(told)
}

/// 204, or a [`Refusal`] with the status that fits.
struct Outcome(Result<(), CommandError>);

impl From<Result<(), CommandError>> for Outcome {
    fn from(result: Result<(), CommandError>) -> Self {
        Self(result)
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let Err(error) = self.0 else { return StatusCode::NO_CONTENT.into_response() };
        let status = match error {
            CommandError::NotFound(_) => StatusCode::NOT_FOUND,
            CommandError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            CommandError::Refused { .. } => StatusCode::BAD_GATEWAY,
            _ => StatusCode::CONFLICT,
        };
        let body: Refusal = error.refusal();
        (status, Json(body)).into_response()
    }
}
