//! What does a person see, and what a program?

use crate::support::Box;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn scaibox(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scaibox"));
    command.arg("--root").arg(root).args(args).env_remove("JOURNAL_STREAM").output().unwrap()
}

/// Standard output of a command that must succeed.
fn answer(root: &Path, args: &[&str]) -> String {
    let output = scaibox(root, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail.
fn refusal(root: &Path, args: &[&str]) -> String {
    let output = scaibox(root, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_version_is_the_images() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("usr/lib")).unwrap();
    fs::write(root.path().join("usr/lib/os-release"), "IMAGE_VERSION=7\n").unwrap();
    assert_eq!(answer(root.path(), &["version"]), "7\n");
    assert_eq!(answer(root.path(), &["version", "--json"]), "{\n  \"done\": \"7\"\n}\n");
}

#[test]
fn the_claim_code_is_shown_until_there_is_none() {
    let fresh = Box::fresh();
    assert_eq!(answer(&fresh.path(""), &["claim-code"]), "ABCDE-23456\n");
    assert_eq!(answer(&fresh.path(""), &["--json", "claim-code"]), "{\n  \"code\": \"ABCDE-23456\"\n}\n");
    fs::remove_file(fresh.places.claim()).unwrap();
    let text = refusal(&fresh.path(""), &["claim-code"]);
    assert_eq!(text, "scaibox: there is no claim code: the box is claimed, or its first start is not finished\n");
}

#[test]
fn a_daemon_that_does_not_answer_is_named() {
    let root = tempfile::tempdir().unwrap();
    for (args, daemon) in [
        (&["firewall", "state"][..], "rtp-firewall"),
        (&["firewall", "unban", "198.51.100.9"], "rtp-firewall"),
        (&["firewall", "management", "confirm"], "rtp-firewall"),
        (&["update", "status"], "fleet-agent"),
        (&["update", "apply", "9", "--now"], "fleet-agent"),
    ] {
        let expected = format!("scaibox: {daemon} does not answer (see `journalctl -u {daemon}`)\n");
        assert_eq!(refusal(root.path(), args), expected);
    }
}

#[test]
fn the_status_is_told_even_when_nobody_answers() {
    let root = tempfile::tempdir().unwrap();
    let status: serde_json::Value = serde_json::from_str(&answer(root.path(), &["status", "--json"])).unwrap();
    let problem = |field: &str| status[field]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem("claimed").starts_with("control-api does not answer"), "{status}");
    assert!(problem("update").starts_with("fleet-agent does not answer"), "{status}");
    assert_eq!(status["health"], serde_json::Value::Null);
}

#[test]
fn the_health_gate_fails_remembers_why_and_never_restarts_a_machine_that_does_not_count_boots() {
    let root = tempfile::tempdir().unwrap();
    let args = ["health-gate", "--total", "2", "--limit", "firewall=1", "--bless-boot", "/nowhere/systemd-bless-boot"];
    let output = scaibox(root.path(), &args);
    assert_eq!(output.status.code(), Some(1));
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.starts_with("health: firewall FAILED after "), "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");

    let health = root.path().join("var/lib/scaibox/health");
    let json =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&fs::read(health.join(name)).unwrap()).unwrap() };
    let last = json("last.json");
    assert_eq!((&last["healthy"], &last["blessing"]), (&false.into(), &"unknown".into()));
    let failed = json(&format!("failed-{}.json", env!("CARGO_PKG_VERSION")));
    assert_eq!(failed["step"], "firewall");
    assert!(failed["reason"].as_str().unwrap().starts_with("rtp-firewall does not answer"), "{failed}");
}

#[test]
fn a_backup_and_a_restore_are_two_commands() {
    let (used, fresh) = (Box::used(), Box::fresh());
    let (file, identity_file) = (used.path("box.age"), used.path("identity.txt"));
    let identity = age::x25519::Identity::generate();
    use age::secrecy::ExposeSecret;
    fs::write(&identity_file, format!("# created: today\n{}\n", identity.to_string().expose_secret())).unwrap();
    let (file, identity_file) = (file.to_str().unwrap(), identity_file.to_str().unwrap());
    let recipient = identity.to_public().to_string();

    let made = answer(&used.path(""), &["backup", "create", "--to", file, "--recipient", &recipient]);
    assert_eq!(made, format!("version {}, schema {}, is saved in {file}\n", env!("CARGO_PKG_VERSION"), schema()));
    let again = refusal(&used.path(""), &["backup", "create", "--to", file, "--recipient", &recipient]);
    assert!(again.starts_with(&format!("scaibox: could not write {file}: ")), "{again}");

    let restore = ["backup", "restore", file, "--identity", identity_file, "--no-services"];
    let restored = answer(&fresh.path(""), &restore);
    assert!(restored.starts_with("this is now the box of 20"), "{restored}");
    assert_eq!(fresh.tenants(), ["ten_1"]);
    let claimed = refusal(&fresh.path(""), &restore);
    assert!(claimed.contains("add --force if that is what you want"), "{claimed}");
    assert_eq!(answer(&fresh.path(""), &["backup", "settle"]), "nothing was left to be done\n");
}

#[test]
fn a_place_that_needs_more_says_what() {
    let used = Box::used();
    let text = refusal(&used.path(""), &["backup", "create", "--to", "s3://bucket/key", "--recipient", RECIPIENT]);
    let expected = "scaibox: s3://bucket/key: needs --s3-config FILE with endpoint, access_key and secret_key\n";
    assert_eq!(text, expected);
}

#[test]
fn a_factory_reset_needs_a_yes() {
    let used = Box::used();
    let text = refusal(&used.path(""), &["factory-reset"]);
    assert!(text.contains("add --yes if that is what you want"), "{text}");
    assert_eq!(used.tenants(), ["ten_1"]);
}

fn schema() -> usize {
    store::migrations::ALL.len()
}

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
