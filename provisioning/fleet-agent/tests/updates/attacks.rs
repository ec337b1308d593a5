//! U1 to U14: what an attacker on the way, on a mirror or with some of the keys can try.

use crate::{
    mirror::{Mirror, Trick},
    vendor::{Box, UUID, Vendor, document, forge, fresh, version},
};
use fleet_agent::{
    channel::{Catalogue, ChannelError, download::download},
    publish::Expiry,
    release::Release,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{fs, path::Path};
use tough::schema::{Snapshot, Targets, Timestamp as TimestampRole};
use url::Url;

async fn read(of_box: &Box, mirror: &Mirror) -> Result<Catalogue, String> {
    of_box.reader().refresh(std::slice::from_ref(&mirror.url)).await.map_err(|error| error.to_string())
}

async fn refusal(of_box: &Box, mirror: &Mirror) -> String {
    read(of_box, mirror).await.expect_err("must be refused")
}

/// Downloads every file of the version on offer, as the agent does.
async fn fetch(of_box: &Box, mirrors: &[&Mirror], release: &Release) -> Result<(), String> {
    let urls: Vec<Url> = mirrors.iter().map(|mirror| mirror.url.clone()).collect();
    let staging = staging(of_box);
    fs::create_dir_all(&staging).unwrap();
    for file in &release.files {
        let done = download(&of_box.impatient_reader().source, &urls, file, &staging, &|_| {}).await;
        done.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn staging(of_box: &Box) -> std::path::PathBuf {
    of_box.folder.path().join("staging")
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The five files of a release are on the box, whole.
fn is_complete(of_box: &Box, vendor: &Vendor, version: &str) -> bool {
    let release = vendor.folder.path().join(format!("release-{version}"));
    let same = |name: &String| fs::read(staging(of_box).join(name)).ok() == fs::read(release.join(name)).ok();
    let got = files(&staging(of_box));
    got.len() == 5 && got.iter().all(same)
}

#[tokio::test]
async fn an_honest_channel_is_read_and_its_release_downloaded() {
    let vendor = Vendor::with(&["1", "2"]).await;
    let (of_box, mirror) = (Box::of(&vendor), Mirror::of(vendor.repository()).await);
    let offer = read(&of_box, &mirror).await.unwrap();
    assert_eq!(offer.document, document("2"));
    assert_eq!(offer.releases.len(), 2);
    fetch(&of_box, &[&mirror], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
}

#[tokio::test]
async fn u1_a_channel_signed_with_other_keys_is_refused() {
    let (vendor, stranger) = (Vendor::with(&["2"]).await, Vendor::with(&["9"]).await);
    let mirror = Mirror::of(stranger.repository()).await;
    let refused = refusal(&Box::of(&vendor), &mirror).await;
    assert!(refused.contains("ignature threshold"), "{refused}");
}

#[tokio::test]
async fn u2_a_mirror_that_goes_back_to_an_older_state_is_refused() {
    let vendor = Vendor::with(&["1"]).await;
    let old = vendor.snapshot("yesterday");
    vendor.publish("2").await;
    let of_box = Box::of(&vendor);
    read(&of_box, &Mirror::of(vendor.repository()).await).await.unwrap();
    let refused = refusal(&of_box, &Mirror::of(&old).await).await;
    assert!(refused.contains("version 1") && refused.contains("version 2"), "{refused}");
}

#[tokio::test]
async fn u3_a_channel_that_nobody_renewed_is_refused() {
    let vendor = Vendor::new().await;
    let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
    let expired = Expiry { timestamp: Timestamp::from_second(yesterday.as_second()).unwrap(), ..fresh() };
    vendor.publish_as(&document("2"), &expired).await;
    let (of_box, mirror) = (Box::of(&vendor), Mirror::of(vendor.repository()).await);
    let refused = refusal(&of_box, &mirror).await;
    assert!(refused.contains("timestamp metadata is expired"), "{refused}");

    vendor.publisher.refresh(fresh().timestamp).await.unwrap();
    read(&of_box, &mirror).await.unwrap();
}

#[tokio::test]
async fn u4_parts_of_two_states_of_the_channel_are_refused() {
    let vendor = Vendor::with(&["1", "2"]).await;
    let of_box = Box::of(&vendor);
    for (new, old) in [("2.snapshot.json", "1.snapshot.json"), ("2.targets.json", "1.targets.json")] {
        let mirror = Mirror::of(vendor.repository()).await;
        mirror.play(new, Trick::Instead(fs::read(vendor.publisher.metadata().join(old)).unwrap()));
        let refused = refusal(&of_box, &mirror).await;
        assert!(refused.contains("ash mismatch") || refused.contains("exceeded"), "{refused}");
    }
}

#[tokio::test]
async fn u5_endless_metadata_and_endless_files_are_cut_off_and_leave_nothing() {
    let vendor = Vendor::with(&["2"]).await;
    let of_box = Box::of(&vendor);
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json", "2.root.json", "channel.json"] {
        let mirror = Mirror::of(vendor.repository()).await;
        mirror.play(name, Trick::Endless);
        let refused = refusal(&of_box, &mirror).await;
        assert!(refused.contains("exceeded") || refused.contains("longer"), "{name}: {refused}");
    }
    let mirror = Mirror::of(vendor.repository()).await;
    let offer = read(&of_box, &mirror).await.unwrap();
    mirror.play(".efi", Trick::Endless);
    let refused = fetch(&of_box, &[&mirror], &offer.releases[&version("2")]).await.unwrap_err();
    assert!(refused.contains("longer than was signed"), "{refused}");
    assert_eq!(files(&staging(&of_box)), Vec::<String>::new());
}

#[tokio::test]
async fn u6_a_mirror_that_falls_silent_is_given_up_and_the_next_one_goes_on_from_there() {
    let vendor = Vendor::with(&["2"]).await;
    let (of_box, slow, good) =
        (Box::of(&vendor), Mirror::of(vendor.repository()).await, Mirror::of(vendor.repository()).await);
    let offer = read(&of_box, &good).await.unwrap();
    slow.play(".efi", Trick::StallAfter(100));
    fetch(&of_box, &[&slow, &good], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
    let resumed = good.asked(".efi");
    assert!(resumed.len() == 1 && resumed[0] >= 100, "{resumed:?}");

    slow.play("timestamp.json", Trick::StallAfter(10));
    let refused = of_box.impatient_reader().refresh(&[slow.url]).await.unwrap_err().to_string();
    assert!(refused.contains("too slow"), "{refused}");
}

#[tokio::test]
async fn u7_after_a_fast_forward_with_stolen_keys_new_keys_bring_the_box_back() {
    let vendor = Vendor::with(&["1"]).await;
    let of_box = Box::of(&vendor);
    let thief = vendor.snapshot("thief");
    let far = |signed: &mut serde_json::Value| signed["version"] = json!(1_000_000);
    forge::<TimestampRole>(&thief.join("metadata/timestamp.json"), &[vendor.key("timestamp-1.key")], far).await;
    read(&of_box, &Mirror::of(&thief).await).await.unwrap();

    vendor.publish("2").await;
    let honest = Mirror::of(vendor.repository()).await;
    let refused = refusal(&of_box, &honest).await;
    assert!(refused.contains("1000000"), "{refused}");

    vendor.publisher.rotate(fresh().targets, &fresh()).await.unwrap();
    assert_eq!(read(&of_box, &honest).await.unwrap().document.version, version("2"));
}

#[tokio::test]
async fn u8_a_channel_for_another_product_or_other_hardware_is_refused() {
    for (product, hardware) in [("scaibox", "arm64"), ("otherbox", "x86-64")] {
        let vendor = Vendor::new().await;
        let mut other = document("2");
        (other.product, other.hardware) = (product.into(), hardware.into());
        vendor.publish_as(&other, &fresh()).await;
        let refused = refusal(&Box::of(&vendor), &Mirror::of(vendor.repository()).await).await;
        assert!(refused.contains(&format!("is for {product} on {hardware}")), "{refused}");
    }
}

#[tokio::test]
async fn u9_one_stolen_targets_key_of_two_signs_nothing_that_counts() {
    let vendor = Vendor::with(&["1"]).await;
    let thief = vendor.snapshot("thief").join("metadata");
    let stolen = |names: &[&str]| names.iter().map(|name| vendor.key(name)).collect::<Vec<_>>();
    let again = |signed: &mut serde_json::Value| signed["version"] = json!(2);
    let points_to = |file: &'static str| {
        move |signed: &mut serde_json::Value| {
            signed["version"] = json!(2);
            signed["meta"] = json!({file: {"version": 2}});
        }
    };
    for name in ["targets.json", "snapshot.json"] {
        fs::copy(thief.join(format!("1.{name}")), thief.join(format!("2.{name}"))).unwrap();
    }
    forge::<Targets>(&thief.join("2.targets.json"), &stolen(&["targets-1.key"]), again).await;
    forge::<Snapshot>(&thief.join("2.snapshot.json"), &stolen(&["snapshot-1.key"]), points_to("targets.json")).await;
    forge::<TimestampRole>(&thief.join("timestamp.json"), &stolen(&["timestamp-1.key"]), points_to("snapshot.json"))
        .await;
    let mirror = Mirror::of(thief.parent().unwrap()).await;
    let refused = refusal(&Box::of(&vendor), &mirror).await;
    assert!(refused.contains("threshold of 2"), "{refused}");

    // The forgery is good but for the second key: with both it would be taken.
    forge::<Targets>(&thief.join("2.targets.json"), &stolen(&["targets-1.key", "targets-2.key"]), again).await;
    read(&Box::of(&vendor), &mirror).await.unwrap();
}

#[tokio::test]
async fn u10_a_signed_file_that_is_part_of_no_release_is_refused_and_an_unsigned_one_never_read() {
    let vendor = Vendor::with(&["2"]).await;
    fs::write(vendor.repository().join("targets/2/rootkit.efi"), "evil").unwrap();
    let (of_box, mirror) = (Box::of(&vendor), Mirror::of(vendor.repository()).await);
    let offer = read(&of_box, &mirror).await.unwrap();
    fetch(&of_box, &[&mirror], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
    assert_eq!(mirror.asked("rootkit"), Vec::<usize>::new());

    let metadata = vendor.publisher.metadata();
    let both = [vendor.key("targets-1.key"), vendor.key("targets-2.key")];
    forge::<Targets>(&metadata.join("1.targets.json"), &both, |signed| {
        signed["targets"]["2/rootkit.efi"] = signed["targets"]["2/scaibox_2.efi"].clone();
    })
    .await;
    let names =
        |file: &'static str| move |signed: &mut serde_json::Value| signed["meta"] = json!({file: {"version": 1}});
    forge::<Snapshot>(&metadata.join("1.snapshot.json"), &[vendor.key("snapshot-1.key")], names("targets.json")).await;
    let timestamp = metadata.join("timestamp.json");
    forge::<TimestampRole>(&timestamp, &[vendor.key("timestamp-1.key")], names("snapshot.json")).await;
    let refused = refusal(&of_box, &mirror).await;
    assert!(refused.contains("`2/rootkit.efi`, which is part of no release"), "{refused}");
}

#[tokio::test]
async fn u11_a_bad_mirror_does_not_keep_the_good_one_from_working() {
    let vendor = Vendor::with(&["2"]).await;
    let (bad, good) = (Mirror::of(vendor.repository()).await, Mirror::of(vendor.repository()).await);
    bad.play("", Trick::Instead(b"<html>Welcome to the hotel network</html>".to_vec()));
    let of_box = Box::of(&vendor);
    let dead = Url::parse("http://127.0.0.1:1/").unwrap();
    let mirrors = [dead, bad.url.clone(), good.url.clone()];
    let offer = of_box.reader().refresh(&mirrors).await.unwrap();
    fetch(&of_box, &[&bad, &good], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));

    let Err(ChannelError::Refused { refusals }) = of_box.reader().refresh(&mirrors[..2]).await else { panic!() };
    assert_eq!(refusals.len(), 2, "each mirror's reason is told");
}

#[tokio::test]
async fn u11_half_a_file_from_a_lying_mirror_does_not_spoil_the_other_half() {
    let vendor = Vendor::with(&["2"]).await;
    let (bad, good) = (Mirror::of(vendor.repository()).await, Mirror::of(vendor.repository()).await);
    let of_box = Box::of(&vendor);
    let offer = read(&of_box, &good).await.unwrap();
    bad.play(".efi", Trick::Instead(vec![b'x'; 5000])); // shorter than signed: it is kept as a part
    fetch(&of_box, &[&bad, &good], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
    assert_eq!(good.asked(".efi"), [5000, 0], "first it goes on, then it starts over");
}

#[tokio::test]
async fn u12_a_release_with_a_missing_file_is_refused_by_the_channel_and_from_a_stick() {
    let vendor = Vendor::with(&["2"]).await;
    let of_box = Box::of(&vendor);
    let stick = Url::from_directory_path(vendor.repository()).unwrap();
    let offer = of_box.reader().refresh(std::slice::from_ref(&stick)).await.unwrap();
    let release = &offer.releases[&version("2")];
    let verity = release.files.iter().find(|file| file.name.contains("verity")).unwrap();
    fs::remove_file(vendor.repository().join("targets").join(&verity.path)).unwrap();
    fs::create_dir_all(staging(&of_box)).unwrap();
    let done = download(&of_box.reader().source, &[stick], verity, &staging(&of_box), &|_| {}).await;
    let refused = done.unwrap_err().to_string();
    assert!(refused.contains(&verity.name) && refused.contains("does not exist"), "{refused}");

    let folder = vendor.folder.path().join("release-2");
    fs::remove_file(folder.join(format!("scaibox_2.root-verity.{UUID}.raw.gz"))).unwrap();
    let refused = vendor.publisher.publish(&folder, &document("2"), &fresh()).await.unwrap_err().to_string();
    assert!(refused.contains("root-verity partition is missing"), "{refused}");
}

#[tokio::test]
async fn u13_a_box_that_slept_through_three_key_changes_follows_and_never_goes_back() {
    let vendor = Vendor::with(&["1"]).await;
    let of_box = Box::of(&vendor);
    let old = vendor.snapshot("before");
    for _ in 0..3 {
        vendor.publisher.rotate(fresh().targets, &fresh()).await.unwrap();
    }
    vendor.publish("2").await;
    let offer = read(&of_box, &Mirror::of(vendor.repository()).await).await.unwrap();
    assert_eq!(offer.document.version, version("2"));

    // The keys of before are worth nothing any more, although the image was built with them.
    let refused = refusal(&of_box, &Mirror::of(&old).await).await;
    assert!(refused.contains("ignature threshold"), "{refused}");
}

#[tokio::test]
async fn u13_a_new_root_that_the_old_keys_did_not_sign_is_refused() {
    let (vendor, stranger) = (Vendor::with(&["1"]).await, Vendor::with(&["1"]).await);
    stranger.publisher.rotate(fresh().targets, &fresh()).await.unwrap();
    let theirs = stranger.publisher.metadata().join("2.root.json");
    fs::copy(theirs, vendor.publisher.metadata().join("2.root.json")).unwrap();
    let refused = refusal(&Box::of(&vendor), &Mirror::of(vendor.repository()).await).await;
    assert!(refused.contains("ignature threshold"), "{refused}");
}

#[tokio::test]
async fn u14_a_download_that_breaks_off_goes_on_where_it_stopped() {
    let vendor = Vendor::with(&["2"]).await;
    let (of_box, mirror) = (Box::of(&vendor), Mirror::of(vendor.repository()).await);
    let offer = read(&of_box, &mirror).await.unwrap();
    mirror.play(".efi", Trick::BreakOnce(1000));
    mirror.play(".efi", Trick::BreakOnce(500));
    fetch(&of_box, &[&mirror], &offer.releases[&version("2")]).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
    assert_eq!(mirror.asked(".efi"), [0, 1000, 1500]);
}

#[tokio::test]
async fn u14_a_download_goes_on_also_after_a_restart() {
    let vendor = Vendor::with(&["2"]).await;
    let (of_box, slow, good) =
        (Box::of(&vendor), Mirror::of(vendor.repository()).await, Mirror::of(vendor.repository()).await);
    let offer = read(&of_box, &good).await.unwrap();
    slow.play(".efi", Trick::StallAfter(2000));
    let release = &offer.releases[&version("2")];
    fetch(&of_box, &[&slow], release).await.unwrap_err();
    fetch(&of_box, &[&good], release).await.unwrap();
    assert!(is_complete(&of_box, &vendor, "2"));
    let resumed = good.asked(".efi");
    assert!(resumed.len() == 1 && resumed[0] >= 2000, "{resumed:?}");
}
