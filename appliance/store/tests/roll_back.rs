//! After an update the box may go back: does the version before still work on the database of the newer one?

use rusqlite::Connection;
use std::path::Path;
use store::{
    Db, Page, StoreError,
    migrations::{self, ALL, Migration, MigrationError},
    tenants::{self, TenantSpec},
};

/// What a release after this one could bring without shutting this one out.
const EXPAND: Migration = Migration {
    name: "9001_expand",
    sql: "ALTER TABLE tenant ADD COLUMN motto TEXT NOT NULL DEFAULT 'none'; CREATE TABLE motto (x TEXT) STRICT;",
    min_reader: ALL.len() as u32,
};

/// And what only the release after that may bring.
const CONTRACT: Migration = Migration {
    name: "9002_contract",
    sql: "ALTER TABLE tenant DROP COLUMN voicemail_transcripts;",
    min_reader: ALL.len() as u32 + 1,
};

fn write_with(path: &Path, all: &[Migration]) {
    migrations::run(&mut Connection::open(path).unwrap(), all).unwrap();
}

fn tenant(name: &str) -> TenantSpec {
    TenantSpec {
        name: name.into(),
        country_code: None,
        timezone: "UTC".into(),
        voicemail_greeting: None,
        voicemail_transcripts: false,
    }
}

/// Everything that was ever created, in one text.
fn schema(path: &Path) -> String {
    let sql = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)";
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn names(db: &Db) -> Vec<String> {
    let page = Page { limit: 10, after: None };
    let all = db.read(move |conn| tenants::list(conn, None, &page)).await.unwrap();
    all.into_iter().map(|tenant| tenant.spec.name).collect()
}

#[tokio::test]
async fn this_program_reads_and_writes_what_a_newer_one_declared_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let newer = [ALL, &[EXPAND]].concat();
    write_with(&path, &newer);
    Connection::open(&path).unwrap().execute_batch("INSERT INTO motto VALUES ('kept')").unwrap();

    let db = Db::open(&path).unwrap();
    db.write(|tx| tenants::insert(tx, &tenant("after the roll-back"))).await.unwrap();
    assert_eq!(names(&db).await, ["after the roll-back"]);
    drop(db);

    write_with(&path, &newer);
    let conn = Connection::open(&path).unwrap();
    let motto: String = conn.query_row("SELECT motto FROM tenant", [], |row| row.get(0)).unwrap();
    let kept: String = conn.query_row("SELECT x FROM motto", [], |row| row.get(0)).unwrap();
    assert_eq!((motto.as_str(), kept.as_str()), ("none", "kept"));
}

#[test]
fn this_program_refuses_what_a_newer_one_changed_under_it_and_says_which_version_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    write_with(&path, &[ALL, &[EXPAND, CONTRACT]].concat());
    let before = schema(&path);
    let refused = Db::open(&path).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Migration(MigrationError::Newer { .. })), "{refused}");
    assert!(refused.to_string().contains("start the version that wrote it"), "{refused}");
    assert_eq!(schema(&path), before);
}

/// The program of the schema before this one: its own migrations, and the statements it uses.
#[tokio::test]
async fn the_previous_schemas_program_still_works_on_the_database_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let db = Db::open(&path).unwrap();
    db.write(|tx| tenants::insert(tx, &tenant("before the roll-back"))).await.unwrap();
    drop(db);

    let mut previous = Connection::open(&path).unwrap();
    migrations::run(&mut previous, &ALL[..ALL.len() - 1]).unwrap();
    let insert = "INSERT INTO tenant (id, name, timezone, voicemail_transcripts, created_at, updated_at)
                  VALUES (?1, 'after the roll-back', 'UTC', 0, ?2, ?2)";
    previous.execute(insert, [types::TenantId::new().to_string(), "2026-11-21T10:00:00.000Z".into()]).unwrap();
    drop(previous);

    let db = Db::open(&path).unwrap();
    let mut found = names(&db).await;
    found.sort();
    assert_eq!(found, ["after the roll-back", "before the roll-back"]);
}

#[tokio::test]
async fn the_boxs_own_tenant_is_no_customer() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("a.sqlite")).unwrap();
    let own = db.write(tenants::system).await.unwrap();
    assert_eq!(db.write(tenants::system).await.unwrap(), own);
    assert!(db.read(tenants::none_yet).await.unwrap());
    assert_eq!(names(&db).await, Vec::<String>::new());
    let hidden = db.read(move |conn| tenants::find_customer(conn, own.id)).await;
    assert!(matches!(hidden, Err(StoreError::NotFound { .. })));
}
