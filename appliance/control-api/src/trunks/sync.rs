//! Do LiveKit and the carriers agree with the database?
//!
//! One task, the only one that writes `sync_status`: woken by every change and once a minute for all
//! trunks, so a wiped LiveKit heals. Each pass hands the gateway the whole list of registrations,
//! makes LiveKit's objects what they should be and removes those of trunks that are gone; objects that
//! are not ours are not touched. What it all means is decided in [`super::outcome`].

use super::{
    numbers,
    outcome::{Objects, Obstacle, Registration, settle},
};
use crate::{
    app::{App, LiveKit},
    error::ApiResult,
    fields::split_host_port,
    ready::with_causes,
};
use daemon::unix_http::UnixHttpError;
use jiff::Timestamp;
use livekit::{
    api::{DispatchRule, InboundTrunk, OutboundTrunk, TrunkMedia},
    proto::{SipMediaEncryption, SipTransport as LkTransport},
};
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};
use store::{
    StoreError,
    dids::Did,
    tenants::{self, Tenant},
    trunks::{AuthMode, Codec, MediaEncryption, SipTransport, SyncResult, SyncStatus, Trunk, TrunkSpec},
};
use types::{
    Redacted, TrunkId,
    control::{LookUp, LookedUp, RegistrationSet, RegistrationSpec, RegistrationState, RegistrationView},
};

const PERIOD: Duration = Duration::from_secs(60);
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
const EXPIRES_S: u32 = 300;
/// Rooms of inbound calls are named `call_<caller>_<random>`.
const ROOM_PREFIX: &str = "call";

/// The gateway says that a registration changed. The pass it wakes reads the new state itself.
pub async fn on_registration(app: &App, registration: RegistrationView) {
    tracing::debug!(trunk.id = %registration.trunk_id, state = ?registration.state, "registration_changed");
    app.trunks_changed.notify_one();
}

/// Runs until the daemon stops.
pub async fn run(app: App) {
    let mut asked = HashMap::new();
    loop {
        let next = pass(&app, &mut asked).await.unwrap_or_else(|err| {
            tracing::error!(code = err.code(), "trunk_sync_pass_failed");
            PERIOD
        });
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.trunks_changed.notified() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// A trunk with all that its sync needs from the database.
struct Job {
    trunk: Trunk,
    dids: Vec<Did>,
    tenant: Tenant,
}

/// Syncs what is due; answers when to come again. `asked` remembers for which revision a carrier was
/// asked out of turn, so that one resync asks once.
async fn pass(app: &App, asked: &mut HashMap<TrunkId, i64>) -> ApiResult<Duration> {
    let jobs = load(app).await?;
    let views = register(app, &jobs).await;
    forget_the_gone(app, &jobs).await;
    let mut next = PERIOD;
    for job in &jobs {
        let registration = registration_of(app, &job.trunk, &views, asked).await;
        if !due(&job.trunk, &registration, Timestamp::now()) {
            next = next.min(wait_for(job.trunk.next_sync_at));
            continue;
        }
        let objects = ensure(app, job).await;
        let result = settle(&job.trunk, objects, registration, Timestamp::now());
        next = next.min(wait_for(result.next_sync_at));
        store_result(app, &job.trunk, result).await?;
    }
    app.peers_changed.notify_one();
    app.health_due.notify_one();
    asked.retain(|trunk, _| jobs.iter().any(|job| job.trunk.id == *trunk));
    Ok(next)
}

async fn load(app: &App) -> Result<Vec<Job>, StoreError> {
    let read = |conn: &store::Connection| {
        let trunks = store::trunks::all(conn)?;
        let job = |trunk: Trunk| {
            let dids = store::dids::on_trunk(conn, trunk.id)?;
            let tenant = tenants::find(conn, trunk.tenant_id)?;
            Ok(Job { trunk, dids, tenant })
        };
        let mut jobs = trunks.into_iter().map(job).collect::<Result<Vec<_>, StoreError>>()?;
        // The self-call's goes first: whether the box is well must not depend on a carrier's DNS.
        jobs.sort_by_key(|job| !job.tenant.system);
        Ok(jobs)
    };
    app.db.read(read).await
}

/// A failed trunk rests until its next try, unless somebody asked or the carrier's word is a new one.
fn due(trunk: &Trunk, registration: &Registration, now: Timestamp) -> bool {
    let resting = trunk.sync_status == SyncStatus::Error && trunk.next_sync_at.is_some_and(|at| at > now);
    let news = matches!(registration, Registration::Known(view) if trunk.registration.as_ref() != Some(view));
    !resting || news
}

fn wait_for(next: Option<Timestamp>) -> Duration {
    let left = next.map(|at| at.duration_since(Timestamp::now()));
    let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or(PERIOD);
    left.clamp(Duration::from_millis(500), PERIOD)
}

/// Hands the gateway every registration that should be; what it knows of each comes back.
async fn register(app: &App, jobs: &[Job]) -> Result<Vec<RegistrationView>, Obstacle> {
    let registrations = jobs.iter().filter_map(|job| registration_spec(&job.trunk)).collect();
    let answer = app.gateway.put("/v1/registrations", &RegistrationSet { registrations }).await;
    answer.map_err(|err| Obstacle {
        error: with_causes("sip-gateway does not answer", &err),
        hint: "see whether sip-gateway runs; it is tried again by itself",
    })
}

fn registration_spec(trunk: &Trunk) -> Option<RegistrationSpec> {
    let spec = &trunk.spec;
    let wanted = spec.enabled && spec.register && spec.auth_mode == AuthMode::Credentials;
    wanted.then(|| RegistrationSpec {
        trunk_id: trunk.id,
        server: spec.sip_server_address.clone(),
        transport: spec.sip_transport.as_str().to_owned(),
        username: spec.sip_auth_username.clone().unwrap_or_default(),
        password: Redacted(spec.sip_auth_password.clone().unwrap_or_default()),
        expires_s: EXPIRES_S,
    })
}

/// What the carrier says; one that refused is asked again when the trunk was changed or a resync asked for.
async fn registration_of(
    app: &App,
    trunk: &Trunk,
    views: &Result<Vec<RegistrationView>, Obstacle>,
    asked: &mut HashMap<TrunkId, i64>,
) -> Registration {
    if registration_spec(trunk).is_none() {
        return Registration::NotWanted;
    }
    let views = match views {
        Ok(views) => views,
        Err(obstacle) => return Registration::Unknown(obstacle.clone()),
    };
    let Some(view) = views.iter().find(|view| view.trunk_id == trunk.id) else {
        return Registration::Underway(None);
    };
    let refused_before = trunk.registration.as_ref() == Some(view) && view.state == RegistrationState::Failed;
    let asks = trunk.sync_status == SyncStatus::Pending && refused_before;
    if asks && asked.insert(trunk.id, trunk.revision) != Some(trunk.revision) {
        app.gateway.act(&format!("/v1/registrations/{}/refresh", trunk.id)).await.ok();
        return Registration::Underway(Some(view.clone()));
    }
    if asks {
        return Registration::Underway(Some(view.clone()));
    }
    Registration::Known(view.clone())
}

/// Takes away LiveKit's objects of trunks that we no longer have, or that are switched off.
async fn forget_the_gone(app: &App, jobs: &[Job]) {
    let Some(livekit) = &app.livekit else { return };
    let kept: BTreeSet<_> = jobs.iter().filter(|job| job.trunk.spec.enabled).map(|job| job.trunk.id).collect();
    let Ok(there) = livekit.api.trunks_with_objects().await else { return };
    for trunk in there.difference(&kept) {
        if let Err(err) = remove_objects(livekit, *trunk).await {
            tracing::warn!(trunk.id = %trunk, error = %err, "trunk_objects_not_removed");
        }
    }
}

async fn remove_objects(livekit: &LiveKit, trunk: TrunkId) -> Result<(), livekit::api::ApiError> {
    livekit.api.delete_dispatch_rule(trunk).await?;
    livekit.api.delete_inbound_trunk(trunk).await?;
    livekit.api.delete_outbound_trunk(trunk).await
}

/// Makes LiveKit's side what it should be.
async fn ensure(app: &App, job: &Job) -> Result<Objects, Obstacle> {
    if !job.trunk.spec.enabled {
        return Ok(Objects::default());
    }
    let resolved = resolve(app, &job.trunk).await?;
    let livekit = app.livekit.as_ref().ok_or_else(|| Obstacle {
        error: app.livekit_missing.clone().unwrap_or_default(),
        hint: "set the LiveKit settings and start control-api again",
    })?;
    ensure_objects(livekit, job, resolved).await.map_err(|err| Obstacle {
        error: with_causes("livekit-server", &err),
        hint: "see whether livekit-server and Redis run; it is tried again by itself",
    })
}

async fn ensure_objects(
    livekit: &LiveKit,
    job: &Job,
    resolved: Vec<String>,
) -> Result<Objects, livekit::api::ApiError> {
    let outbound = livekit.api.ensure_outbound_trunk(&outbound(job)).await?;
    let inbound = livekit.api.ensure_inbound_trunk(&inbound(job, &resolved)).await?;
    let rule = match &inbound {
        Some(inbound) => Some(livekit.api.ensure_dispatch_rule(&rule(&job.trunk, inbound)).await?),
        None => livekit.api.delete_dispatch_rule(job.trunk.id).await.map(|()| None)?,
    };
    Ok(Objects { outbound: Some(outbound), inbound, rule, resolved })
}

/// Credentials go here, never to the inbound side: there they would challenge the carrier's calls.
fn outbound(job: &Job) -> OutboundTrunk {
    let spec = &job.trunk.spec;
    let numbers: Vec<_> = job.dids.iter().map(|did| did.spec.number.as_str().to_owned()).collect();
    OutboundTrunk {
        trunk_id: job.trunk.id,
        name: spec.name.clone(),
        address: spec.sip_server_address.clone(),
        transport: match spec.sip_transport {
            SipTransport::Udp => LkTransport::Udp,
            SipTransport::Tcp => LkTransport::Tcp,
            SipTransport::Tls => LkTransport::Tls,
        },
        // LiveKit wants one; `*` leaves it to the call.
        numbers: if numbers.is_empty() { vec!["*".into()] } else { numbers },
        credentials: spec.sip_auth_username.clone().zip(spec.sip_auth_password.clone().map(Redacted)),
        media: media(spec),
    }
}

/// By address alone: the carrier's own, and what `allowed_addresses` adds.
fn inbound(job: &Job, resolved: &[String]) -> InboundTrunk {
    let spec = &job.trunk.spec;
    let addresses: BTreeSet<_> = spec.allowed_addresses.iter().chain(resolved).cloned().collect();
    InboundTrunk {
        trunk_id: job.trunk.id,
        name: spec.name.clone(),
        numbers: numbers::all(&job.dids, spec.number_format, job.tenant.spec.country_code.as_deref()),
        allowed_addresses: addresses.into_iter().collect(),
        media: media(spec),
    }
}

fn rule(trunk: &Trunk, inbound: &str) -> DispatchRule {
    DispatchRule {
        trunk_id: trunk.id,
        name: trunk.spec.name.clone(),
        inbound_sip_trunk_id: inbound.to_owned(),
        room_prefix: ROOM_PREFIX.into(),
        attributes: HashMap::from([(livekit::api::METADATA_KEY.to_owned(), trunk.id.to_string())]),
        room_config: None,
    }
}

fn media(spec: &TrunkSpec) -> TrunkMedia {
    let name = |codec: &Codec| match codec {
        Codec::Pcmu => ("PCMU", 8_000),
        Codec::Pcma => ("PCMA", 8_000),
        Codec::G722 => ("G722", 8_000),
        Codec::Opus => ("opus", 48_000),
    };
    TrunkMedia { encryption: encryption(spec.media_encryption), codecs: spec.codecs.iter().map(name).collect() }
}

fn encryption(wanted: MediaEncryption) -> SipMediaEncryption {
    match wanted {
        MediaEncryption::Disable => SipMediaEncryption::SipMediaEncryptDisable,
        MediaEncryption::Allow => SipMediaEncryption::SipMediaEncryptAllow,
        MediaEncryption::Require => SipMediaEncryption::SipMediaEncryptRequire,
    }
}

/// The addresses behind the server's name, asked for anew on every pass: those that SRV records lead the gateway to, and
/// the name's own. While the gateway is away those that are known stay.
async fn resolve(app: &App, trunk: &Trunk) -> Result<Vec<String>, Obstacle> {
    let (host, _) = split_host_port(&trunk.spec.sip_server_address);
    let (sent_to, own) = tokio::join!(called(app, &trunk.spec), own_addresses(host));
    let mut addresses: BTreeSet<_> = sent_to.unwrap_or_else(|| trunk.resolved_addresses.clone()).into_iter().collect();
    addresses.extend(own.iter().flatten().map(ToString::to_string));
    match own {
        Err(why) if addresses.is_empty() => Err(Obstacle {
            error: format!("503 {host} does not resolve: {why}"),
            hint: "check the spelling of sip_server_address and the box's DNS",
        }),
        _ => Ok(addresses.into_iter().collect()),
    }
}

/// Where the gateway sends requests, nowhere if its engine cannot tell; `None` while it is away.
async fn called(app: &App, spec: &TrunkSpec) -> Option<Vec<String>> {
    let request = LookUp { server: spec.sip_server_address.clone(), transport: spec.sip_transport.as_str().to_owned() };
    match app.gateway.with_limit(RESOLVE_LIMIT).post::<_, LookedUp>("/v1/look-up", &request).await {
        Ok(found) => Some(found.addresses.iter().map(ToString::to_string).collect()),
        Err(UnixHttpError::Refused { .. }) => Some(Vec::new()),
        Err(_) => None,
    }
}

async fn own_addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    let lookup = tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host, 0))).await;
    let found = lookup.map_err(|_| "no answer in time".to_owned())?.map_err(|err| err.to_string())?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Writes what came out, and tells whoever listens when it is news.
async fn store_result(app: &App, trunk: &Trunk, result: SyncResult) -> Result<(), StoreError> {
    let news = trunk.sync_status != result.status || trunk.sync_last_error != result.error;
    if news && let Some(error) = &result.error {
        tracing::warn!(trunk.id = %trunk.id, error, hint = result.hint, attempts = result.attempts, "scaidial_trunk_sync_failed");
    }
    let (id, tenant, revision) = (trunk.id, trunk.tenant_id, trunk.revision);
    app.db
        .write(move |tx| {
            let stored = store::trunks::mark_synced(tx, id, revision, &result)?;
            if stored && news {
                let kind = match result.status {
                    SyncStatus::Synced => "trunk.synced",
                    SyncStatus::Pending => "trunk.pending",
                    SyncStatus::Error => "trunk.sync_failed",
                };
                let data = json!({
                    "id": id, "sync_status": result.status, "sync_last_error": result.error, "sync_hint": result.hint,
                });
                store::events::emit(tx, tenant, kind, &data)?;
            }
            Ok(())
        })
        .await
}
