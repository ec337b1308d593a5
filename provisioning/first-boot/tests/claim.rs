//! Can a fresh box be claimed, once, by whoever reads the code on its screen?
//!
//! Everything is real and in one process: `prepare` made the box, `first-boot` serves the claim, and
//! `control-api` passes it on from its public side and makes the account.

use control_api::app::AppState;
use daemon::unix_http::{Bytes, Client, Method, bind};
use first_boot::{
    claim::{desk::LIFETIME, offer},
    console::look::{State, look},
    here::{Here, Uptime},
    layout::Layout,
    prepare::prepare,
    setup,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a long enough password";

struct Bed {
    folder: tempfile::TempDir,
    layout: Layout,
    config: setup::Config,
    code: String,
    uptime: Uptime,
}

// The machine that runs this test may have been up for longer than a code is good.
fn an_hour() -> anyhow::Result<Duration> {
    Ok(Duration::from_secs(60 * 60))
}

fn a_day() -> anyhow::Result<Duration> {
    Ok(LIFETIME)
}

impl Bed {
    /// A box that was prepared and runs nothing yet.
    fn prepared() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        prepare(&layout, &Here::look(&layout).unwrap()).unwrap();
        fs::create_dir_all(folder.path().join("var/lib/first-boot")).unwrap();
        let rendered: setup::Config = daemon::config::load(&layout.config().join("first-boot.toml")).unwrap();
        let config = setup::Config {
            socket: folder.path().join("setup.sock"),
            control_socket: folder.path().join("control.sock"),
            state_dir: folder.path().join("var/lib/first-boot"),
            ..rendered
        };
        let code = offer::load(&layout).unwrap().code.to_string();
        Self { folder, layout, config, code, uptime: an_hour }
    }

    async fn running() -> Self {
        let bed = Self::prepared();
        bed.run_control_api();
        bed.run_first_boot().await;
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run_control_api(&self) {
        let config = json!({
            "http_listen": "127.0.0.1:0",
            "public_url": "https://127.0.0.1",
            "control_socket": self.path("control.sock"),
            "gateway_socket": self.path("gateway.sock"),
            "setup_socket": self.path("setup.sock"),
            "database": self.path("scaibox.sqlite"),
            "s3": { "endpoint": "http://127.0.0.1:9", "bucket": "recordings", "access_key": "a", "secret_key": "b" },
            "sip": { "host": "127.0.0.1", "port": 5060 },
            "rtp": { "start": 10000, "end": 10200 },
        });
        let app = AppState::open(serde_json::from_value(config).unwrap(), CancellationToken::new()).unwrap();
        let (control, public) = (bind(&self.path("control.sock")).unwrap(), bind(&self.path("api.sock")).unwrap());
        tokio::spawn(axum::serve(control, control_api::internal::router(app.clone())).into_future());
        tokio::spawn(axum::serve(public, control_api::router::router(app)).into_future());
    }

    /// Returns what stops it, once it listens.
    async fn run_first_boot(&self) -> CancellationToken {
        let _ = fs::remove_file(&self.config.socket);
        let stop = CancellationToken::new();
        tokio::spawn(setup::serve(self.config.clone(), self.uptime, stop.clone()));
        while !self.config.socket.exists() {
            tokio::task::yield_now().await;
        }
        stop
    }

    /// Over the API, as a browser would.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.ask_at("api.sock", method, path, body).await
    }

    async fn ask_at(&self, socket: &str, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let response = Client::new(self.path(socket)).request(method, path, body).await.unwrap();
        let retry_after = response.headers().get("retry-after").map(|s| s.to_str().unwrap().parse().unwrap());
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        Answer { status, retry_after, kind, body: serde_json::from_slice(response.body()).unwrap_or_default() }
    }

    async fn claim(&self, code: &str) -> Answer {
        let body = json!({ "code": code, "email": "Boss@example.com", "password": PASSWORD, "name": "The Boss" });
        self.ask(Method::POST, "/v1/setup/claim", body).await
    }

    async fn setup(&self) -> Answer {
        self.ask_at("setup.sock", Method::GET, "/v1/setup", Value::Null).await
    }

    async fn screen(&self) -> State {
        look(&self.layout, &Client::new(self.path("control.sock")), (self.uptime)().unwrap()).await.unwrap().state
    }
}

struct Answer {
    status: u16,
    retry_after: Option<u64>,
    kind: Option<String>,
    body: Value,
}

impl Answer {
    fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.kind.as_deref(), Some("application/problem+json"));
        (self.status, self.body["code"].as_str().unwrap())
    }
}

#[tokio::test]
async fn whoever_reads_the_code_on_the_screen_becomes_the_operator() {
    let bed = Bed::running().await;
    let before = bed.ask(Method::GET, "/v1/setup", Value::Null).await.body;
    assert_eq!((&before["state"], &before["name"]), (&json!("unclaimed"), &json!("ScaiBox")));
    let State::Unclaimed { code } = bed.screen().await else { panic!("the screen shows no code") };

    assert_eq!(bed.claim(&code.to_lowercase()).await.status, 201);

    let session = json!({ "email": "boss@example.com", "password": PASSWORD });
    assert_eq!(bed.ask(Method::POST, "/v1/session", session).await.status, 201);
    assert_eq!(bed.screen().await, State::Claimed);
}

#[tokio::test]
async fn a_claimed_box_cannot_be_claimed_again_and_its_code_is_forgotten() {
    let bed = Bed::running().await;
    assert_eq!(bed.claim(&bed.code).await.status, 201);
    assert_eq!(bed.claim(&bed.code).await.refusal(), (404, "setup_done"));
    assert_eq!(bed.setup().await.body["state"], "claimed");

    prepare(&bed.layout, &Here::look(&bed.layout).unwrap()).unwrap();
    assert!(!bed.layout.plain_code().exists());
    let config: setup::Config = daemon::config::load(&bed.layout.config().join("first-boot.toml")).unwrap();
    assert!(config.code.is_none());
}

#[tokio::test]
async fn two_people_who_type_the_code_at_once_are_one_owner_and_one_refusal() {
    let bed = Bed::running().await;
    let (one, two) = tokio::join!(bed.claim(&bed.code), bed.claim(&bed.code));
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert!(matches!(statuses, [201, 404 | 409]), "{statuses:?}");
}

#[tokio::test]
async fn wrong_codes_are_refused_and_from_the_fifth_on_everybody_waits() {
    let bed = Bed::running().await;
    for _ in 0..5 {
        assert_eq!(bed.claim("ZZZZZ-ZZZZZ").await.refusal(), (403, "wrong_claim_code"));
    }
    let wait = bed.claim(&bed.code).await;
    assert_eq!(wait.refusal(), (429, "too_many_tries"));
    assert!((1..=10).contains(&wait.retry_after.unwrap()));
}

#[tokio::test]
async fn a_restart_of_the_daemon_does_not_end_the_wait() {
    let bed = Bed::prepared();
    bed.run_control_api();
    let stop = bed.run_first_boot().await;
    for _ in 0..5 {
        bed.claim("ZZZZZ-ZZZZZ").await;
    }
    stop.cancel();
    bed.run_first_boot().await;
    assert_eq!(bed.claim(&bed.code).await.refusal(), (429, "too_many_tries"));
}

#[tokio::test]
async fn a_day_after_the_start_neither_the_screen_nor_the_box_knows_the_code() {
    let bed = Bed { uptime: a_day, ..Bed::prepared() };
    bed.run_control_api();
    bed.run_first_boot().await;
    assert_eq!(bed.claim(&bed.code).await.refusal(), (410, "claim_code_expired"));
    assert_eq!(bed.screen().await, State::CodeExpired);
}

#[tokio::test]
async fn every_wrong_field_is_named_and_is_no_try() {
    let bed = Bed::running().await;
    for _ in 0..9 {
        let body = json!({ "code": "12345", "email": "boss", "password": "short", "name": "" });
        let answer = bed.ask(Method::POST, "/v1/setup/claim", body).await;
        assert_eq!(answer.refusal(), (422, "invalid"));
        let fields: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["code", "email", "password", "name"]);
    }
    assert_eq!(bed.claim(&bed.code).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_not_ours_is_refused() {
    let bed = Bed::running().await;
    for body in [json!([]), json!({ "pin": "1234" }), Value::Null] {
        assert_eq!(bed.ask_at("setup.sock", Method::POST, "/v1/setup/claim", body).await.refusal(), (422, "invalid"));
    }
}

#[tokio::test]
async fn what_only_control_api_finds_wrong_is_passed_on_and_the_code_stays_good() {
    let bed = Bed::running().await;
    let body = json!({ "code": bed.code, "email": "boss@example.com", "password": format!("{PASSWORD}\u{7}") });
    let answer = bed.ask(Method::POST, "/v1/setup/claim", body).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("password")));
    assert_eq!(bed.claim(&bed.code).await.status, 201);
}

#[tokio::test]
async fn without_control_api_the_claim_says_try_again() {
    let bed = Bed::prepared();
    bed.run_first_boot().await;
    let body = json!({ "code": bed.code, "email": "boss@example.com", "password": PASSWORD });
    let answer = bed.ask_at("setup.sock", Method::POST, "/v1/setup/claim", body).await;
    assert_eq!(answer.refusal(), (503, "not_ready"));
    assert_eq!(answer.retry_after, Some(5));
    assert_eq!(bed.screen().await, State::Starting);
}

#[tokio::test]
async fn a_box_whose_data_was_restored_learns_that_it_is_claimed() {
    let bed = Bed::running().await;
    assert_eq!(bed.claim(&bed.code).await.status, 201);
    let restored = setup::Config { socket: bed.path("later.sock"), state_dir: bed.path(""), ..bed.config.clone() };
    tokio::spawn(setup::serve(restored, an_hour, CancellationToken::new()));
    let marker = bed.path("claim.json");
    while !fs::read_to_string(&marker).is_ok_and(|text| text.contains("claimed")) {
        tokio::task::yield_now().await;
    }
}
