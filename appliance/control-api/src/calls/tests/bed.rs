//! The real router on a real SQLite file, between a scripted gateway socket and a scripted LiveKit
//! (both real HTTP servers that speak the real protocols).

use crate::{
    app::{App, AppState},
    config::Config,
    first_start, internal, ready, router,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, Request, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use livekit_protocol::{SipParticipantInfo, WebhookEvent};
use parking_lot::Mutex;
use prost::Message;
use serde_json::{Value, json};
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};
use store::trunks::{SyncResult, SyncStatus, Trunk};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use types::{
    CorrelationId,
    control::{Envelope, Event, EventBatch, InboundLeg, LegEnd, LegEndCause, LegStats},
};

const KEY: &str = "sk_test_a_key_for_the_first_tenant";
pub const DID: &str = "+31201234567";
pub const CALLER: &str = "+31612345678";

pub struct Bed {
    pub app: App,
    pub gateway: Arc<Peer>,
    pub livekit: Arc<Peer>,
    folder: TempDir,
    seq: Mutex<u64>,
    pub instance: Mutex<String>,
    pub ids: Ids,
}

/// The objects that most stories need.
#[derive(Default)]
pub struct Ids {
    pub user: String,
    pub user_key: String,
    pub extension: String,
    pub did: String,
    pub dialplan: String,
}

/// A neighbour that notes what it is asked and answers what the test wants.
#[derive(Default)]
pub struct Peer {
    asked: Mutex<Vec<(String, Bytes)>>,
    answers: Mutex<HashMap<String, (StatusCode, Vec<u8>)>>,
    news: Notify,
}

impl Peer {
    pub fn answer(&self, path: &str, status: StatusCode, body: impl Into<Vec<u8>>) {
        self.answers.lock().insert(path.to_owned(), (status, body.into()));
    }

    /// Waits for a request to a path that ends so; its body.
    pub async fn asked(&self, path: &str) -> Bytes {
        let found = async {
            loop {
                let news = self.news.notified();
                let known = self.asked.lock().iter().find(|(asked, _)| asked.ends_with(path)).cloned();
                match known {
                    Some((_, body)) => return body,
                    None => news.await,
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), found).await;
        waited.unwrap_or_else(|_| panic!("nobody asked {path}, only {:?}", self.paths()))
    }

    pub fn paths(&self) -> Vec<String> {
        self.asked.lock().iter().map(|(path, _)| path.clone()).collect()
    }

    async fn serve(State(peer): State<Arc<Self>>, method: Method, uri: Uri, body: Bytes) -> Response {
        let path = uri.path().to_owned();
        let answer = peer.answers.lock().get(&path).cloned();
        if method == Method::POST {
            peer.asked.lock().push((path, body));
            peer.news.notify_waiters();
        }
        match answer {
            Some((status, body)) => (status, body).into_response(),
            None => StatusCode::OK.into_response(), // an empty body is Twirp's default message
        }
    }

    fn router(peer: &Arc<Self>) -> Router {
        Router::new().fallback(Self::serve).with_state(peer.clone())
    }
}

impl Bed {
    pub const ADMIN: &str = KEY;

    /// A box with a user, an extension of theirs, a synced trunk, a DID and a dialplan that rings the extension.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (gateway, livekit) = (Arc::<Peer>::default(), Arc::<Peer>::default());
        let socket = UnixListener::bind(folder.path().join("gateway.sock")).unwrap();
        tokio::spawn(axum::serve(socket, Peer::router(&gateway)).into_future());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Peer::router(&livekit)).into_future());
        let sip = SipParticipantInfo { sip_call_id: "SCL_out".into(), ..Default::default() };
        livekit.answer("/twirp/livekit.SIP/CreateSIPParticipant", StatusCode::OK, sip.encode_to_vec());
        let app = open(folder.path(), &url);
        first_start::claim(&app).await.unwrap();
        super::super::start(&app).await.unwrap();
        app.readiness.set(ready::State::Ready);
        let mut bed = Self {
            app,
            gateway,
            livekit,
            folder,
            seq: Mutex::new(0),
            instance: Mutex::new("one".into()),
            ids: Ids::default(),
        };
        bed.gateway_has(&[]);
        bed.furnish(&url).await;
        bed
    }

    async fn furnish(&mut self, _url: &str) {
        let user = json!({"email": "anna@example.org", "name": "Anna", "role": "user", "password": "correct horse"});
        self.ids.user = self.create("/v1/users", user).await;
        let key = json!({"name": "anna", "role": "user", "user_id": self.ids.user});
        let (_, key) = self.call(Method::POST, "/v1/keys", key).await;
        self.ids.user_key = key["secret"].as_str().or(key["key"].as_str()).unwrap_or_default().to_owned();
        let extension = json!({
            "number": "100", "name": "Anna", "type": "wave", "user_id": self.ids.user, "timeout_action": "hangup",
        });
        self.ids.extension = self.create("/v1/extensions", extension).await;
        let trunk = json!({"name": "carrier", "sip_server_address": "sip.example.org", "auth_mode": "ip"});
        let trunk = self.create("/v1/trunks", trunk).await;
        let action = json!({"extension_id": self.ids.extension});
        let plan = json!({"name": "main", "rules": [rule("ring_extension", action)]});
        self.ids.dialplan = self.create("/v1/dialplans", plan).await;
        let did = json!({"number": DID, "trunk_id": trunk, "dialplan_id": self.ids.dialplan});
        self.ids.did = self.create("/v1/dids", did).await;
        self.sync_trunk(SyncStatus::Synced).await;
    }

    pub async fn sync_trunk(&self, status: SyncStatus) {
        let synced = status == SyncStatus::Synced;
        let result = SyncResult {
            status,
            error: None,
            hint: None,
            attempts: 0,
            next_sync_at: None,
            sip_trunk_id: synced.then(|| "ST_out".into()),
            lk_inbound_trunk_id: Some("ST_in".into()),
            lk_dispatch_rule_id: Some("SDR_1".into()),
            resolved_addresses: Vec::new(),
            registration: None,
        };
        let write = move |tx: &store::Transaction<'_>| {
            for trunk in store::trunks::all(tx)? {
                let Trunk { id, revision, .. } = trunk;
                store::trunks::mark_synced(tx, id, revision, &result)?;
            }
            Ok::<_, store::StoreError>(())
        };
        self.app.db.write(write).await.unwrap();
    }

    /// Replaces the dialplan's rules by one that always matches.
    pub async fn route(&self, action: &str, params: Value) {
        let rules = json!({ "rules": [rule(action, params)] });
        self.rules(rules).await;
    }

    pub async fn rules(&self, rules: Value) {
        let (status, body) = self.call(Method::PATCH, &format!("/v1/dialplans/{}", self.ids.dialplan), rules).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    async fn create(&self, path: &str, body: Value) -> String {
        let (status, body) = self.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, body).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.call_as(KEY, method, path, body).await
    }

    pub async fn call_as(&self, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) });
        let response = self.send(request.unwrap()).await;
        read(response).await
    }

    pub async fn send(&self, request: Request<Body>) -> Response {
        router::router(self.app.clone()).oneshot(request).await.unwrap()
    }

    /// What the gateway would say over the control socket.
    pub async fn internal(&self, path: &str, body: Value) -> Value {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let (status, body) = read(internal::router(self.app.clone()).oneshot(request).await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// What `fleet-agent` asks before it restarts the box.
    pub async fn active_calls(&self) -> u64 {
        let request = Request::get("/internal/v1/activity").body(Body::empty()).unwrap();
        let (_, body) = read(internal::router(self.app.clone()).oneshot(request).await.unwrap()).await;
        body["active_calls"].as_u64().unwrap()
    }

    pub async fn admit(&self, leg: &InboundLeg) -> Value {
        self.internal("/internal/v1/admission", json!({ "correlation_id": CorrelationId::new(), "leg": leg })).await
    }

    pub async fn event(&self, event: Event) {
        let seq = {
            let mut seq = self.seq.lock();
            *seq += 1;
            *seq
        };
        self.event_again(seq, event).await;
    }

    pub async fn event_again(&self, seq: u64, event: Event) {
        let envelope =
            Envelope { seq, at: jiff::Timestamp::now(), correlation_id: Some(CorrelationId::adopt("story-1")), event };
        let batch =
            EventBatch { source: "sip-gateway".into(), instance: self.instance.lock().clone(), events: vec![envelope] };
        let accepted = self.internal("/internal/v1/events", json!(batch)).await;
        assert!(accepted["through"].as_u64().unwrap() >= seq);
    }

    /// The caller rings: admitted, in a room, ringing. The call's id.
    pub async fn ring(&self) -> String {
        let leg = leg("SCL_in");
        assert_eq!(self.admit(&leg).await["decision"], "continue");
        self.event(ringing(leg)).await;
        self.calls().await[0]["id"].as_str().unwrap().to_owned()
    }

    pub async fn calls(&self) -> Vec<Value> {
        self.get("/v1/calls").await["items"].as_array().unwrap().clone()
    }

    pub async fn find(&self, id: &str) -> Value {
        self.get(&format!("/v1/calls/{id}")).await
    }

    /// Waits until the call has ended.
    pub async fn ended(&self, id: &str) -> Value {
        let mut latest = self.app.db.latest_event();
        let end = async {
            loop {
                let call = self.find(id).await;
                if call["state"] == "ended" {
                    return call;
                }
                latest.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("the call ends")
    }

    pub async fn answered(&self, lk_call_id: &str) {
        self.event(Event::LegAnswered { lk_call_id: lk_call_id.into(), codec: "PCMU".into() }).await;
    }

    pub async fn leg_ended(&self, lk_call_id: &str, cause: LegEndCause, sip_code: Option<u16>) {
        let stats = LegStats {
            packets_in: 500,
            packets_out: 500,
            lost: 5,
            jitter_ms: 2.0,
            mos: Some(4.2),
            ..LegStats::default()
        };
        let end = LegEnd { cause, sip_code, detail: String::new(), stats };
        self.event(Event::LegEnded { lk_call_id: lk_call_id.into(), end }).await;
    }

    /// A webhook as livekit-server signs it.
    pub async fn webhook(&self, event: &WebhookEvent) -> StatusCode {
        let body = serde_json::to_string(event).unwrap();
        let token = livekit_api::access_token::AccessToken::with_api_key("devkey", SECRET);
        let digest =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, <sha2::Sha256 as sha2::Digest>::digest(&body));
        let token = token.with_sha256(&digest).to_jwt().unwrap();
        let request = Request::post("/internal/livekit/webhook").header("authorization", token);
        self.send(request.body(Body::from(body)).unwrap()).await.status()
    }

    pub fn gateway_has(&self, legs: &[&str]) {
        let leg = |id: &&str| {
            json!({ "lk_call_id": id, "sip_call_id": "x", "correlation_id": "story-1", "direction": "inbound",
                    "room": "room-1", "identity": "sip_caller", "state": "active", "codec": "PCMU" })
        };
        let legs: Vec<_> = legs.iter().map(leg).collect();
        self.gateway.answer("/v1/legs", StatusCode::OK, json!(legs).to_string());
        let health = json!({ "instance": *self.instance.lock(), "version": "1", "legs": legs.len(),
                             "rtp_ports_free": 10, "bus_connected": true });
        self.gateway.answer("/v1/health", StatusCode::OK, health.to_string());
    }

    /// Stops this control-api and starts another on the same file.
    pub async fn restart(&mut self) {
        self.app.stop.cancel();
        let url = self.app.livekit.as_ref().unwrap().access.url.clone();
        self.app = open(self.folder.path(), &url);
        super::super::start(&self.app).await.unwrap();
        self.app.readiness.set(ready::State::Ready);
    }

    pub async fn count(&self, table: &'static str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let count =
            move |conn: &store::Connection| Ok::<_, store::StoreError>(conn.query_row(&sql, [], |row| row.get(0))?);
        self.app.db.read(count).await.unwrap()
    }
}

const SECRET: &str = "a secret of at least thirty-two characters";

fn open(folder: &Path, livekit: &str) -> App {
    let path = |name: &str| folder.join(name).display().to_string();
    let config = json!({
        "http_listen": "127.0.0.1:0", "public_url": "http://127.0.0.1", "control_socket": path("control.sock"),
        "gateway_socket": path("gateway.sock"), "database": path("db.sqlite"),
        "livekit": {"url": livekit, "public_url": "wss://box.example", "api_key": "devkey", "api_secret": SECRET},
        "s3": {"endpoint": "http://127.0.0.1:1", "bucket": "b", "access_key": "a", "secret_key": "s"},
        "admin": {"email": "admin@example.org", "password": "a long password", "api_key": KEY},
        "sip": {"host": "127.0.0.1", "port": 5060}, "rtp": {"start": 10000, "end": 10200},
    });
    let config: Config = serde_json::from_value(config).unwrap();
    AppState::open(config, CancellationToken::new()).unwrap()
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn rule(action: &str, params: Value) -> Value {
    json!({"match_type": "always", "match_params": {}, "action_type": action, "action_params": params})
}

pub fn leg(lk_call_id: &str) -> InboundLeg {
    InboundLeg {
        lk_call_id: lk_call_id.into(),
        sip_call_id: format!("{lk_call_id}@phone"),
        lk_trunk_id: Some("ST_in".into()),
        from: CALLER.into(),
        to: "0031201234567".into(),
        source: "192.0.2.7:5060".into(),
        transport: "udp".into(),
        extension_id: None,
    }
}

pub fn ringing(leg: InboundLeg) -> Event {
    Event::InboundRinging { leg, room: "room-1".into(), identity: "sip_caller".into(), dispatch_rule_id: None }
}

/// A JSON body that a neighbour was sent.
pub fn json_of(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}
