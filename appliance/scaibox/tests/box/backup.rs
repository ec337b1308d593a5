//! Does a box come back from its backup, whole or not at all?

use crate::support::{Box, Tree, key, lock};
use scaibox::backup::{BackupError, restore::settle, seal::Key, seal::Lock};
use std::{
    fs::{self, File},
    path::PathBuf,
};

const RIGHT: &str = "correct horse battery";

/// What a restore must bring back: everything but what belongs to a machine.
fn portable(tree: Tree) -> Tree {
    let of_the_machine = ["network-info", "fleet-agent", "scaibox/health", "scaibox/secrets/claim.json"];
    let other = ["minio/.minio.sys/tmp", "control-api/scaibox.sqlite"];
    let left_out = |path: &PathBuf| of_the_machine.iter().chain(&other).any(|prefix| path.starts_with(prefix));
    tree.into_iter().filter(|(path, _)| !left_out(path)).collect()
}

/// A backup of a used box, in its own folder.
fn saved() -> (Box, PathBuf) {
    let used = Box::used();
    let file = used.path("box.age");
    used.back_up(&lock(RIGHT), &file).unwrap();
    (used, file)
}

#[tokio::test]
async fn a_fresh_box_becomes_the_one_in_the_backup_byte_for_byte() {
    let (used, file) = saved();
    let fresh = Box::fresh();
    fresh.restore(&file, key(RIGHT), false).await.unwrap();

    assert_eq!(portable(fresh.tree()), portable(used.tree()));
    assert_eq!(fresh.rows(), used.rows());
    let tree = fresh.tree();
    assert!(tree.contains_key(&PathBuf::from("network-info/cache.json")), "what belongs to this machine stays");
    for gone in ["fleet-agent", "scaibox/secrets/claim.json", "scaibox/health", "scaibox-restore"] {
        assert!(!tree.contains_key(&PathBuf::from(gone)), "{gone}");
    }
}

#[tokio::test]
async fn a_backup_of_the_restored_box_holds_the_same_as_the_first_one() {
    let (used, file) = saved();
    let (second, third) = (Box::fresh(), Box::fresh());
    second.restore(&file, key(RIGHT), false).await.unwrap();
    let again = second.path("again.age");
    second.back_up(&lock(RIGHT), &again).unwrap();
    third.restore(&again, key(RIGHT), false).await.unwrap();
    assert_eq!(portable(third.tree()), portable(used.tree()));
    assert_eq!(third.rows(), used.rows());
}

#[tokio::test]
async fn rows_that_are_still_in_the_journal_are_saved_and_calls_go_on_meanwhile() {
    let used = Box::used();
    let writer = used.database();
    used.tenant("ten_2");
    let file = used.path("box.age");
    used.back_up(&lock(RIGHT), &file).unwrap();
    writer.execute("UPDATE tenant SET name = 'later' WHERE id = 'ten_2'", []).unwrap();

    let fresh = Box::fresh();
    fresh.restore(&file, key(RIGHT), false).await.unwrap();
    assert_eq!(fresh.tenants(), ["ten_1", "ten_2"]);
    let name = |from: &Box| -> String {
        from.database().query_row("SELECT name FROM tenant WHERE id = 'ten_2'", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(name(&fresh), "ten_2");
}

#[tokio::test]
async fn a_box_can_make_backups_that_only_its_owner_can_read() {
    let used = Box::used();
    let file = used.path("box.age");
    let (identity, stranger) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    used.back_up(&Lock::Recipient(identity.to_public()), &file).unwrap();

    let fresh = Box::fresh();
    let refused = fresh.restore(&file, Key::Identity(stranger), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::WrongKey), "{refused}");
    fresh.restore(&file, Key::Identity(identity), false).await.unwrap();
    assert_eq!(fresh.tenants(), ["ten_1"]);
}

#[tokio::test]
async fn with_a_wrong_passphrase_nothing_changes() {
    let (_used, file) = saved();
    let fresh = Box::fresh();
    let before = fresh.tree();
    let refused = fresh.restore(&file, key("wrong horse battery"), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::WrongKey), "{refused}");
    assert_eq!(fresh.tree(), before);
}

#[tokio::test]
async fn a_backup_that_was_cut_short_anywhere_changes_nothing() {
    let (_used, file) = saved();
    let length = fs::metadata(&file).unwrap().len();
    let fresh = Box::fresh();
    let before = fresh.tree();
    for keep in [0, 10, 150, 300, length / 2, length - 65_536, length - 17, length - 1] {
        let cut = fresh.path("cut.age");
        fs::copy(&file, &cut).unwrap();
        File::options().write(true).open(&cut).unwrap().set_len(keep).unwrap();
        let refused = fresh.restore(&cut, key(RIGHT), false).await.unwrap_err();
        let expected = matches!(refused, BackupError::Damaged { .. } | BackupError::NotABackup);
        assert!(expected, "{keep} of {length} bytes: {refused}");
        assert_eq!(fresh.tree(), before, "{keep} of {length} bytes");
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_changes_nothing() {
    let (_used, file) = saved();
    let good = fs::read(&file).unwrap();
    let fresh = Box::fresh();
    let before = fresh.tree();
    for at in [0, 30, 90, 200, 1_000, good.len() / 3, good.len() - 70_000, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let flipped = fresh.path("flipped.age");
        fs::write(&flipped, bytes).unwrap();
        let refused = fresh.restore(&flipped, key(RIGHT), false).await;
        assert!(refused.is_err(), "byte {at} of {}", good.len());
        assert_eq!(fresh.tree(), before, "byte {at} of {}", good.len());
    }
}

#[tokio::test]
async fn bytes_after_the_end_are_no_part_of_a_backup() {
    let (_used, file) = saved();
    let fresh = Box::fresh();
    let longer = fresh.path("longer.age");
    fs::write(&longer, [fs::read(&file).unwrap(), b"more".to_vec()].concat()).unwrap();
    assert!(fresh.restore(&longer, key(RIGHT), false).await.is_err());
}

/// Makes the database look as if a version with schema 99 had written it.
fn from_the_future(used: &Box, min_reader_version: u32) {
    let conn = used.database();
    let sql = "INSERT INTO schema_migration (version, name, sha256, min_reader_version) VALUES (99, 'future', '', ?1)";
    conn.execute(sql, [min_reader_version]).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
}

#[tokio::test]
async fn a_backup_whose_schema_is_too_new_is_refused_by_what_it_needs() {
    let used = Box::used();
    from_the_future(&used, 98);
    let file = used.path("box.age");
    used.back_up(&lock(RIGHT), &file).unwrap();

    let fresh = Box::fresh();
    let before = fresh.tree();
    let refused = fresh.restore(&file, key(RIGHT), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::Newer { needed: 98, .. }), "{refused}");
    assert_eq!(fresh.tree(), before);
}

#[tokio::test]
async fn a_newer_backup_that_we_may_read_is_restored() {
    let used = Box::used();
    from_the_future(&used, 1);
    let file = used.path("box.age");
    let manifest = used.back_up(&lock(RIGHT), &file).unwrap();
    assert_eq!((manifest.schema_version, manifest.min_reader_version), (99, 1));

    let fresh = Box::fresh();
    fresh.restore(&file, key(RIGHT), false).await.unwrap();
    assert_eq!(fresh.tenants(), ["ten_1"]);
}

#[tokio::test]
async fn a_claimed_box_is_replaced_only_by_force() {
    let (_used, file) = saved();
    let claimed = Box::fresh();
    claimed.tenant("ten_9");
    let before = claimed.tree();
    let refused = claimed.restore(&file, key(RIGHT), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::Claimed), "{refused}");
    assert_eq!(claimed.tree(), before);
    claimed.restore(&file, key(RIGHT), true).await.unwrap();
    assert_eq!(claimed.tenants(), ["ten_1"]);
}

#[test]
fn without_a_database_there_is_nothing_to_back_up() {
    let used = Box::used();
    fs::remove_file(used.places.database()).unwrap();
    let file = used.path("box.age");
    assert!(matches!(used.back_up(&lock(RIGHT), &file), Err(BackupError::Nothing { .. })));
    assert!(!file.exists());
}

#[test]
fn a_backup_leaves_nothing_behind_and_shows_no_secret() {
    let used = Box::used();
    let before = used.tree();
    let file = used.path("box.age");
    used.back_up(&lock(RIGHT), &file).unwrap();
    assert_eq!(used.tree(), before);
    let bytes = fs::read(&file).unwrap();
    for secret in ["PRIVATE KEY", "of the used box", "ten_1", "manifest.json"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn what_a_killed_backup_left_behind_goes_at_the_next_start() {
    let used = Box::used();
    let before = used.tree();
    used.write("scaibox-backup-Ab3/copy.sqlite", 0o600, b"a copy of the database");
    assert!(!settle(&used.places).unwrap());
    assert_eq!(used.tree(), before);
}
