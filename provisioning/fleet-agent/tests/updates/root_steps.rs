//! The root part on an ESP that is a folder; systemd's programs are scripts that say what systemd says.

use crate::vendor::version;
use fleet_agent::{
    boot::BootState,
    root::{Outcome, Places, RootError, What, run},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A box that runs a version, with kernel images on its ESP.
pub struct Host {
    pub folder: TempDir,
    pub places: Places,
}

impl Host {
    pub fn running(version: &str, images: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["boot/EFI/Linux", "health", "partitions", "results"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("os-release"), format!("ID=scaibox\nIMAGE_VERSION=\"{version}\"\n")).unwrap();
        let places = Places {
            product: "scaibox".into(),
            os_release: at("os-release"),
            esp: vec![at("efi"), at("boot")],
            health: at("health"),
            partitions: at("partitions"),
            results: at("results"),
            bless_boot: at("bless-boot"),
            sysupdate: at("sysupdate"),
            systemctl: at("systemctl"),
        };
        let host = Self { folder, places };
        host.images(images);
        host.bless("clean");
        // As systemd-sysupdate leaves it: the new kernel image with its tries, and the older of two others gone.
        host.script("sysupdate", "echo \"$@\" >> CALLS; touch ESP/scaibox_$2+3-0.efi");
        host.script("systemctl", "echo \"$@\" >> CALLS");
        host
    }

    pub fn bless(&self, status: &str) {
        self.script("bless-boot", &format!("echo {status}"));
    }

    pub fn images(&self, images: &[&str]) {
        for image in images {
            fs::write(self.esp().join(image), "kernel").unwrap();
        }
    }

    pub fn script(&self, name: &str, body: &str) {
        let body = body.replace("CALLS", &self.path("calls")).replace("ESP", &self.path("boot/EFI/Linux"));
        let path = self.folder.path().join(name);
        let draft = self.folder.path().join(format!(".{name}"));
        fs::write(&draft, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(draft, path).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn esp(&self) -> PathBuf {
        self.folder.path().join("boot/EFI/Linux")
    }

    /// What systemd's programs were asked to do.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn on_esp(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.esp()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn failed(&self, version: &str, reason: &str) {
        let json = format!(
            "{{\"version\":\"{version}\",\"at\":\"2030-01-01T00:00:00Z\",\"step\":\"self-call\",\"reason\":\"{reason}\"}}"
        );
        fs::write(self.places.health.join(format!("failed-{version}.json")), json).unwrap();
    }

    async fn step(&self, what: &str) -> Result<(), RootError> {
        run(&self.places, &what.parse::<What>().unwrap()).await
    }

    async fn refusal(&self, what: &str) -> String {
        let refused = self.step(what).await.expect_err("must be refused").to_string();
        let told: Outcome = read(&self.places.results.join("last.json"));
        assert_eq!(told, Outcome { what: what.into(), error: Some(refused.clone()) }, "the agent can read why");
        refused
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_newer_version_is_handed_to_sysupdate_and_waits_for_its_boot() {
    let host = Host::running("6", &["scaibox_6.efi"]);
    host.step("7").await.unwrap();
    assert_eq!(host.calls(), ["update 7"]);
    let state: BootState = read(&host.places.results.join("boot.json"));
    assert_eq!(state.waiting(), Some(&version("7")));
}

#[tokio::test]
async fn an_older_or_equal_version_is_never_installed_not_even_by_force() {
    let host = Host::running("6", &["scaibox_6.efi"]);
    for what in ["6", "5", "force-6", "force-5.9"] {
        let refused = host.refusal(what).await;
        assert!(refused.contains("is not newer than 6"), "{refused}");
    }
    assert_eq!(host.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_installed_before_the_running_version_has_proved_itself() {
    let host = Host::running("6", &["scaibox_5.efi", "scaibox_6+2-1.efi"]);
    for status in ["indeterminate", "bad"] {
        host.bless(status);
        let refused = host.refusal("7").await;
        assert!(refused.contains(status), "{refused}");
    }
    assert_eq!(host.calls(), Vec::<String>::new());
    host.bless("good");
    host.step("7").await.unwrap();
}

#[tokio::test]
async fn a_version_that_failed_is_only_installed_again_by_force_and_without_its_old_traces() {
    let host = Host::running("6", &["scaibox_6.efi", "scaibox_7+0-3.efi"]);
    host.failed("7", "no tone");
    let refused = host.refusal("7").await;
    assert!(refused.contains("no tone"), "{refused}");

    host.step("force-7").await.unwrap();
    assert_eq!(host.on_esp(), ["scaibox_6.efi", "scaibox_7+3-0.efi"]);
    assert!(!host.places.health.join("failed-7.json").exists());
}

#[tokio::test]
async fn what_sysupdate_says_about_a_bad_signature_reaches_the_agent() {
    let host = Host::running("6", &["scaibox_6.efi"]);
    host.script("sysupdate", "echo 'DOWNLOAD INVALID: Signature verification failed.' >&2; exit 1");
    let refused = host.refusal("7").await;
    assert!(refused.contains("Signature verification failed"), "{refused}");
}

#[tokio::test]
async fn an_install_that_left_no_kernel_image_is_no_success() {
    let host = Host::running("6", &["scaibox_6.efi"]);
    host.script("sysupdate", "exit 0");
    let refused = host.refusal("7").await;
    assert!(refused.contains("does not wait on the ESP"), "{refused}");
}

#[tokio::test]
async fn a_roll_back_takes_the_tries_of_the_running_version_and_reboots() {
    let host = Host::running("7", &["scaibox_6.efi", "scaibox_7.efi"]);
    fs::write(host.places.partitions.join("scaibox_6"), "").unwrap();
    host.step("rollback").await.unwrap();
    assert_eq!(host.on_esp(), ["scaibox_6.efi", "scaibox_7+0-1.efi"]);
    assert_eq!(host.calls(), ["reboot"]);
    let state: BootState = read(&host.places.results.join("boot.json"));
    assert_eq!(state.failures[0].step, "rollback");
}

#[tokio::test]
async fn a_roll_back_without_a_good_older_version_changes_nothing() {
    for images in
        [&["scaibox_7.efi"][..], &["scaibox_7.efi", "scaibox_6+0-3.efi"], &["scaibox_7.efi", "scaibox_8+3-0.efi"]]
    {
        let host = Host::running("7", images);
        let refused = host.refusal("rollback").await;
        assert!(refused.contains("no older version"), "{refused}");
        assert_eq!(host.on_esp().len(), images.len());
        assert_eq!(host.calls(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_roll_back_to_a_version_whose_root_partition_is_gone_is_refused() {
    let host = Host::running("7", &["scaibox_6.efi", "scaibox_7.efi"]);
    let refused = host.refusal("rollback").await;
    assert!(refused.contains("root partition") && refused.contains("gone"), "{refused}");
    assert_eq!(host.on_esp(), ["scaibox_6.efi", "scaibox_7.efi"]);
}

#[tokio::test]
async fn a_box_whose_esp_is_not_mounted_says_so() {
    let host = Host::running("6", &[]);
    fs::remove_dir_all(host.folder.path().join("boot")).unwrap();
    let refused = host.refusal("7").await;
    assert!(refused.contains("ESP is not mounted"), "{refused}");
}

#[test]
fn only_the_five_kinds_of_steps_can_be_named() {
    for name in ["look", "reboot", "rollback", "7", "force-7.1"] {
        assert_eq!(name.parse::<What>().unwrap().to_string(), name);
    }
    for name in ["", "--help", "7 8", "force-", "force-look", "../7", "7;reboot"] {
        assert!(name.parse::<What>().is_err(), "{name}");
    }
}
