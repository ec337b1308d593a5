//! What is answered is on the disk, and only that.

use std::path::Path;
use store::{Db, StoreError, events};
use types::TenantId;

fn count(path: &Path) -> i64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap()
}

async fn tell(db: &Db, kind: &'static str) -> Result<i64, StoreError> {
    db.write(move |tx| events::emit(tx, TenantId::new(), kind, &serde_json::json!({}))).await
}

#[tokio::test]
async fn an_answered_write_is_seen_by_another_connection_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let db = Db::open(&path).unwrap();
    for n in 1..=3 {
        tell(&db, "x").await.unwrap();
        assert_eq!(count(&path), n);
    }
    let mode: String = db
        .read(|conn| Ok::<_, StoreError>(conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn writes_that_wait_together_are_committed_together_and_all_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let db = Db::open(&path).unwrap();
    let many = (0..500).map(|_| {
        tokio::spawn({
            let db = db.clone();
            async move { tell(&db, "x").await }
        })
    });
    let mut ids = Vec::new();
    for one in many.collect::<Vec<_>>() {
        ids.push(one.await.unwrap().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=500).collect::<Vec<_>>());
    assert_eq!((count(&path), *db.latest_event().borrow()), (500, 500));
}

#[tokio::test]
async fn a_write_that_fails_or_panics_takes_nothing_else_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let db = Db::open(&path).unwrap();
    let failing = db.write(|tx| {
        events::emit(tx, TenantId::new(), "lost", &serde_json::json!({}))?;
        Err::<(), _>(StoreError::NotFound { noun: "thing", id: "1".into() })
    });
    let panicking = db.write(|tx| -> Result<(), StoreError> {
        events::emit(tx, TenantId::new(), "lost", &serde_json::json!({}))?;
        panic!("a bug");
    });
    let (failed, panicked, fine) = tokio::join!(failing, panicking, tell(&db, "kept"));
    assert!(matches!(failed, Err(StoreError::NotFound { .. })));
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    assert!(fine.is_ok());
    assert_eq!(count(&path), 1);
}

#[tokio::test]
async fn readers_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("a.sqlite")).unwrap();
    let sneaky = db.read(|conn| Ok::<_, StoreError>(conn.execute("DELETE FROM event", [])?)).await;
    assert!(matches!(sneaky, Err(StoreError::Sqlite(_))));
}

#[tokio::test]
async fn a_file_from_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    drop(Db::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Db::open(&path).map(drop).unwrap_err().to_string();
    assert!(refused.contains("schema 99"), "{refused}");
}
