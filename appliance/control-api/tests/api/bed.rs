//! A box without neighbours: the router, its database in a folder of its own, and an admin's key.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use control_api::{
    app::{App, AppState},
    config::Config,
    first_start, internal, router,
};
use serde_json::{Value, json};
use store::{
    calls::{Call, CallKind, CallState},
    legs::Direction,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use types::{CallId, CorrelationId, TenantId};

pub const EMAIL: &str = "admin@example.com";
pub const PASSWORD: &str = "a long enough password";
pub const KEY: &str = "sbx_test_0123456789abcdef0123";

pub struct Bed {
    pub app: App,
    pub folder: TempDir,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Bed {
    pub async fn new() -> Self {
        Self::with_config(json!({})).await
    }

    /// With other settings than the usual ones; null takes one away. Sockets lie in the box's folder.
    pub async fn with_config(changes: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = AppState::open(config(&folder, changes), CancellationToken::new()).unwrap();
        first_start::claim(&app).await.unwrap();
        Self { router: router::router(app.clone()), app, folder }
    }

    /// A neighbour of ours that answers at `name` in the box's folder.
    pub fn neighbour(&self, name: &str, router: Router) {
        let listener = daemon::unix_http::bind(&self.folder.path().join(name)).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// What another daemon asks over the control socket.
    pub async fn internal(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        answer(internal::router(self.app.clone()).oneshot(request).await.unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        answer(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// Asks with a key.
    pub async fn with(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.with(KEY, Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.with(KEY, Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.with(KEY, Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.with(KEY, Method::DELETE, path, Value::Null).await
    }

    /// Makes one and answers its id.
    pub async fn make(&self, path: &str, body: Value) -> String {
        let made = self.post(path, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.id()
    }

    pub async fn trunk(&self, name: &str) -> String {
        self.make("/v1/trunks", trunk(name)).await
    }

    /// An API key with this role.
    pub async fn key(&self, role: &str, more: Value) -> String {
        let mut body = json!({ "name": format!("{role} key"), "role": role });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let made = self.post("/v1/keys", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.body["secret"].as_str().unwrap().to_owned()
    }

    /// The session cookie and CSRF token of whoever signs in.
    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        self.send(Request::post("/v1/session").body(Body::from(body)).unwrap()).await
    }

    /// Another tenant with an admin key of its own.
    pub async fn other_tenant(&self) -> String {
        let cookie = self.operator().await;
        let tenant = self.by_operator(&cookie, "/v1/tenants", None, json!({ "name": "Other" })).await.id();
        let key = json!({ "name": "theirs", "role": "admin" });
        let made = self.by_operator(&cookie, "/v1/keys", Some(&tenant), key).await;
        made.body["secret"].as_str().unwrap().to_owned()
    }

    /// An API key that may do what the operator may.
    pub async fn operator_key(&self) -> String {
        let key = json!({ "name": "operator key", "role": "operator" });
        let made = self.by_operator(&self.operator().await, "/v1/keys", None, key).await;
        made.body["secret"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned()
    }

    /// The operator's cookie and CSRF token.
    pub async fn operator(&self) -> (String, String) {
        let session = self.sign_in(EMAIL, PASSWORD).await;
        (session.cookie(), session.body["csrf_token"].as_str().unwrap().to_owned())
    }

    pub async fn by_operator(
        &self,
        (cookie, csrf): &(String, String),
        path: &str,
        tenant: Option<&str>,
        body: Value,
    ) -> Answer {
        let mut request = Request::post(path).header(header::COOKIE, cookie).header("x-csrf-token", csrf);
        if let Some(tenant) = tenant {
            request = request.header("scaibox-tenant", tenant);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

impl Answer {
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn cookie(&self) -> String {
        let line = self.headers[header::SET_COOKIE].to_str().unwrap();
        line.split(';').next().unwrap().to_owned()
    }

    /// The wrong fields and their codes.
    pub fn wrong(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().unwrap();
        let line = |error: &Value| format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap());
        errors.iter().map(line).collect()
    }

    /// Status and body with what differs from run to run taken out.
    pub fn snapshot(&self) -> Value {
        json!({ "status": self.status.as_u16(), "body": steady(&self.body) })
    }
}

async fn answer(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

/// A trunk that needs nothing to be stored.
pub fn trunk(name: &str) -> Value {
    json!({ "name": name, "sip_server_address": "192.0.2.1", "auth_mode": "ip" })
}

/// Ids become their prefix, times and correlation ids a word.
fn steady(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), if name == "correlation_id" { json!("<id>") } else { steady(value) }))
            .collect(),
        Value::Array(items) => items.iter().map(steady).collect(),
        Value::String(text) => json!(text.split(' ').map(steady_word).collect::<Vec<_>>().join(" ")),
        other => other.clone(),
    }
}

fn steady_word(word: &str) -> String {
    if word.parse::<jiff::Timestamp>().is_ok() {
        return "<time>".into();
    }
    match word.split_once('_') {
        Some((prefix, ulid)) if ulid.len() == 26 && ulid.starts_with('0') => format!("<{prefix}>"),
        _ => word.to_owned(),
    }
}

/// Neighbours that nobody answers for.
fn config(folder: &TempDir, changes: Value) -> Config {
    let path = |name: &str| folder.path().join(name);
    let mut config = json!({
        "http_listen": "127.0.0.1:0",
        "public_url": "http://127.0.0.1",
        "control_socket": path("control.sock"),
        "gateway_socket": path("gateway.sock"),
        "database": path("scaibox.sqlite"),
        "livekit": { "url": "ws://127.0.0.1:9", "api_key": "key", "api_secret": "a secret of thirty-two characters" },
        "s3": { "endpoint": "http://127.0.0.1:9", "bucket": "recordings", "access_key": "a", "secret_key": "b" },
        "admin": { "email": EMAIL, "password": PASSWORD, "api_key": KEY },
        "sip": { "host": "127.0.0.1", "port": 5060 },
        "rtp": { "start": 10000, "end": 10200 },
    });
    for (key, value) in changes.as_object().unwrap() {
        let socket = key.ends_with("_socket").then(|| json!(path(value.as_str().unwrap())));
        config[key] = socket.unwrap_or_else(|| value.clone());
    }
    serde_json::from_value(config).unwrap()
}

/// A phone call that is over; nobody took it.
pub fn ended_call(tenant: TenantId) -> Call {
    Call {
        id: CallId::new(),
        tenant_id: tenant,
        kind: CallKind::Phone,
        direction: Direction::Inbound,
        trunk_id: None,
        did_id: None,
        caller: "+31612345678".into(),
        callee: "+31201234567".into(),
        from_extension_id: None,
        extension_id: None,
        user_id: None,
        dialplan_id: None,
        matched_rule_id: None,
        state: CallState::Ended,
        started_at: "2026-03-02T10:00:00Z".parse().unwrap(),
        answered_at: None,
        ended_at: None,
        end_reason: None,
        end_code: None,
        sip_code: None,
        room: None,
        correlation_id: CorrelationId::new(),
        trace: None,
        machine: None,
    }
}
