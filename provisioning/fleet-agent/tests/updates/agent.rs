//! The whole agent: channel in, root steps out, over its real socket.

use crate::{
    mirror::Mirror,
    root_steps::Host,
    vendor::{Box as BoxOf, Vendor, version},
};
use async_trait::async_trait;
use axum::{Json, Router, routing::get};
use daemon::unix_http::{self, Client};
use fleet_agent::{
    agent::{Agent, Fleet, Handle, Report, State, Status},
    api,
    artefacts::Shelf,
    boot::BootState,
    config::Config,
    root::{self, What},
    units::{RootSteps, StepError, read},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Runs the real root steps on a host made of folders, in place of systemd.
struct Steps(Arc<Host>);

#[async_trait]
impl RootSteps for Steps {
    async fn run(&self, what: &What) -> Result<(), StepError> {
        root::run(&self.0.places, what).await.map_err(|error| StepError::Refused(error.to_string()))
    }

    fn boot_state(&self) -> Result<BootState, StepError> {
        read(&self.0.places.results.join("boot.json"))
    }
}

#[derive(Default)]
struct Ears(Mutex<Vec<Report>>);

impl Fleet for Ears {
    fn report(&self, report: &Report) {
        self.0.lock().push(report.clone());
    }
}

struct Running {
    host: Arc<Host>,
    handle: Handle,
    ears: Arc<Ears>,
    client: Client,
    stop: CancellationToken,
    folder: Arc<TempDir>,
}

/// An agent on a host, with calls that control-api would tell.
async fn start(
    host: &Arc<Host>,
    of_box: &BoxOf,
    mirrors: &[&Mirror],
    calls: u32,
    state: Option<Arc<TempDir>>,
) -> Running {
    let folder = state.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
    let at = |name: &str| folder.path().join(name);
    control_api(at("control.sock"), calls);
    let mut config = Config {
        state_dir: folder.path().to_owned(),
        control_socket: at("control.sock"),
        root_metadata: of_box.root().to_owned(),
        usb: at("usb"),
        ..Config::default()
    };
    config.channel.mirrors = mirrors.iter().map(|mirror| mirror.url.clone()).collect();
    config.window.end = config.window.start; // always open
    let ears = Arc::new(Ears::default());
    let steps = Arc::new(Steps(host.clone()));
    let (agent, handle) = Agent::new(&config, steps, ears.clone(), Shelf::default()).unwrap();
    let socket = unix_http::bind(&at("fleet.sock")).unwrap();
    tokio::spawn(axum::serve(socket, api::router(handle.clone())).into_future());
    let stop = CancellationToken::new();
    tokio::spawn(agent.run(stop.clone()));
    let client = Client::new(at("fleet.sock"));
    Running { host: host.clone(), handle, ears, client, stop, folder }
}

fn control_api(socket: PathBuf, calls: u32) {
    let listener = unix_http::bind(&socket).unwrap();
    let router =
        Router::new().route("/internal/v1/activity", get(move || async move { Json(json!({"active_calls": calls})) }));
    tokio::spawn(axum::serve(listener, router).into_future());
}

impl Running {
    async fn until(&self, what: &str, reached: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.handle.status.clone();
        let found = tokio::time::timeout(Duration::from_secs(30), status.wait_for(reached)).await;
        match found {
            Ok(Ok(status)) => status.clone(),
            _ => panic!("never {what}: {:#?}", self.handle.status.borrow()),
        }
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        self.client.post(path, &body).await.unwrap()
    }

    fn reports(&self) -> Vec<Report> {
        self.ears.0.lock().clone()
    }
}

#[tokio::test]
async fn a_new_version_goes_from_the_channel_to_the_reboot_by_itself() {
    let vendor = Vendor::with(&["7"]).await;
    let (of_box, mirror) = (BoxOf::of(&vendor), Mirror::of(vendor.repository()).await);
    let host = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&host, &of_box, &[&mirror], 0, None).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
    running.until("installed", |_| host.on_esp().contains(&"scaibox_7+3-0.efi".into())).await;
    assert_eq!(running.reports(), [], "nothing is a success before it has proved itself");
}

#[tokio::test]
async fn calls_hold_the_update_back_and_the_status_says_so() {
    let vendor = Vendor::with(&["7"]).await;
    let (of_box, mirror) = (BoxOf::of(&vendor), Mirror::of(vendor.repository()).await);
    let host = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&host, &of_box, &[&mirror], 3, None).await;
    let status = running.until("waiting", |status| status.state == State::Waiting).await;
    assert_eq!(status.waiting_for.as_deref(), Some("waits for 3 calls to end"));
    assert_eq!(host.calls(), Vec::<String>::new());

    let told: Value = running.client.get("/v1/update").await.unwrap();
    assert_eq!(told["state"], "waiting");
    assert_eq!(told["current"], "6");
    assert_eq!(told["available"], json!({"version": "7", "notes": "what is new in 7"}));

    running.ask("/v1/update/apply", json!({"now": true})).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
}

#[tokio::test]
async fn success_is_reported_after_the_new_version_was_blessed_and_not_before() {
    let vendor = Vendor::with(&["7"]).await;
    let (of_box, mirror) = (BoxOf::of(&vendor), Mirror::of(vendor.repository()).await);
    let before = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&before, &of_box, &[&mirror], 0, None).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
    running.until("settled", |_| before.calls().contains(&"reboot".into())).await;
    running.stop.cancel();

    let after = Arc::new(Host::running("7", &["scaibox_6.efi", "scaibox_7+2-1.efi"]));
    after.bless("indeterminate");
    let state = running.folder.clone();
    let second = start(&after, &of_box, &[&mirror], 0, Some(state.clone())).await;
    second.until("looked at", |status| status.current == Some(version("7")) && status.last_check.is_some()).await;
    assert_eq!(second.reports(), []);
    second.stop.cancel();

    after.bless("good");
    let third = start(&after, &of_box, &[&mirror], 0, Some(state)).await;
    let status = third.until("blessed", |status| status.blessed).await;
    assert_eq!(third.reports(), [Report::Succeeded { version: version("7") }]);
    assert_eq!(status.previous, Some(version("6")));
}

#[tokio::test]
async fn a_version_that_fell_back_is_reported_shown_and_not_taken_again() {
    let vendor = Vendor::with(&["7"]).await;
    let (of_box, mirror) = (BoxOf::of(&vendor), Mirror::of(vendor.repository()).await);
    let host = Arc::new(Host::running("6", &["scaibox_6.efi", "scaibox_7+0-3.efi"]));
    let running = start(&host, &of_box, &[&mirror], 0, None).await;
    let status = running.until("checked", |status| status.waiting_for.is_some()).await;
    assert_eq!(status.failed[0].version, version("7"));
    assert!(status.waiting_for.unwrap().contains("failed on this box"));
    assert!(matches!(&running.reports()[..], [Report::Failed { .. }]));
    assert_eq!(mirror.asked(".efi"), Vec::<usize>::new());

    running.ask("/v1/update/apply", json!({"version": "7", "force": true})).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
    assert!(host.calls().contains(&"update 7".into()));
}

#[tokio::test]
async fn a_refused_channel_is_reported_once_and_shown() {
    let (vendor, stranger) = (Vendor::with(&["7"]).await, Vendor::with(&["9"]).await);
    let (of_box, mirror) = (BoxOf::of(&vendor), Mirror::of(stranger.repository()).await);
    let host = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&host, &of_box, &[&mirror], 0, None).await;
    let status = running.until("failed", |status| status.state == State::Failed).await;
    assert!(status.problem.unwrap().contains("is refused"));
    assert!(matches!(&running.reports()[..], [Report::ChannelRefused { .. }]));
    assert_eq!(host.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_box_without_a_network_takes_its_update_from_a_stick() {
    let vendor = Vendor::with(&["7"]).await;
    let of_box = BoxOf::of(&vendor);
    let host = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&host, &of_box, &[], 0, None).await;
    running.until("idle", |status| status.current.is_some()).await;
    fs::rename(vendor.repository(), running.folder.path().join("usb")).unwrap();
    running.ask("/v1/update/apply", json!({"source": "usb", "now": true})).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
    assert!(running.host.calls().contains(&"update 7".into()));
}

#[tokio::test]
async fn what_cannot_be_wished_for_is_refused_with_the_field() {
    let vendor = Vendor::with(&["7"]).await;
    let host = Arc::new(Host::running("6", &["scaibox_6.efi"]));
    let running = start(&host, &BoxOf::of(&vendor), &[], 0, None).await;
    running.until("looked at", |status| status.current.is_some()).await;
    for (path, body, field) in [
        ("/v1/update/apply", json!({"force": true}), "force"),
        ("/v1/update/apply", json!({"source": "ftp://x"}), "source"),
        ("/v1/update/apply", json!({"version": "latest"}), "version"),
        ("/v1/update/rollback", json!({}), "no_previous"),
    ] {
        let refused = running.client.post::<_, Value>(path, &body).await.unwrap_err().to_string();
        assert!(refused.contains(field), "{refused}");
    }
}

#[tokio::test]
async fn the_operator_can_go_back_to_the_version_before() {
    let vendor = Vendor::with(&["7"]).await;
    let host = Arc::new(Host::running("7", &["scaibox_6.efi", "scaibox_7.efi"]));
    fs::write(host.places.partitions.join("scaibox_6"), "").unwrap();
    let running = start(&host, &BoxOf::of(&vendor), &[], 0, None).await;
    running.until("looked at", |status| status.previous == Some(version("6"))).await;
    running.ask("/v1/update/rollback", json!({})).await;
    running.until("rebooting", |status| status.state == State::Rebooting).await;
    running.until("renamed", |status| status.previous.is_some() && host.calls() == ["reboot"]).await;
    assert_eq!(host.on_esp(), ["scaibox_6.efi", "scaibox_7+0-1.efi"]);
}

#[test]
fn a_mirror_url_keeps_its_folder() {
    let config: Config = serde_json::from_value(json!({"channel": {"mirrors": ["https://x.example/a/b/"]}})).unwrap();
    assert_eq!(config.channel.mirrors, [Url::parse("https://x.example/a/b/").unwrap()]);
}
