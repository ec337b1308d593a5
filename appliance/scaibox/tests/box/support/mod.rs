//! Boxes to back up and restore: a root folder each, with the files that a box has.

use rusqlite::Connection;
use scaibox::{
    backup::{
        BackupError, create,
        manifest::Manifest,
        place::{Place, Store},
        restore::{self, Request},
        seal::{Key, Lock},
    },
    places::Places,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub struct Box {
    root: tempfile::TempDir,
    pub places: Places,
}

/// Path below `/var/lib` -> mode and the content's checksum; a folder has none.
pub type Tree = BTreeMap<PathBuf, (u32, Option<String>)>;

impl Box {
    /// As it leaves the first start: own secrets, an empty database.
    pub fn fresh() -> Self {
        let root = tempfile::tempdir().unwrap();
        let places = Places::under(root.path());
        let fresh = Self { root, places };
        fresh.write("scaibox/secrets/secrets.json", 0o600, b"made at the first start");
        fresh.write("scaibox/secrets/claim.json", 0o600, br#"{"code":"ABCDE23456"}"#);
        fresh.write("network-info/cache.json", 0o600, b"here");
        fs::create_dir_all(fresh.places.database().parent().unwrap()).unwrap();
        drop(fresh.database());
        fresh
    }

    /// Claimed and in use.
    pub fn used() -> Self {
        let used = Self::fresh();
        used.write("scaibox/secrets/secrets.json", 0o600, b"of the used box");
        used.write("scaibox/secrets/tls.key", 0o600, b"-----BEGIN PRIVATE KEY-----");
        used.write("scaibox/box.toml", 0o644, b"name = \"Amsterdam\"\n");
        used.write("scaibox/health/failed-6.json", 0o644, b"{}");
        used.write("first-boot/claim.json", 0o600, b"{\"state\":\"claimed\"}");
        used.write("rtp-firewall/state.json", 0o600, b"{\"management\":[]}");
        used.write("voice-worker/spool/vm_1.ogg", 0o640, &recording(6 << 20));
        used.write("sip-gateway/spool/empty.jsonl", 0o640, b"");
        used.write(&format!("minio/recordings/{}/xl.meta", "long/".repeat(60)), 0o644, &recording(300_000));
        used.write("minio/.minio.sys/format.json", 0o644, b"{}");
        used.write("minio/.minio.sys/tmp/half", 0o644, b"half an upload");
        fs::create_dir_all(used.places.state().join("minio/an-empty-bucket")).unwrap();
        used.write("fleet-agent/datastore/timestamp.json", 0o600, b"{}");
        used.tenant("ten_1");
        used
    }

    pub fn write(&self, path: &str, mode: u32, content: &[u8]) {
        let path = self.places.state().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn database(&self) -> Connection {
        let mut conn = Connection::open(self.places.database()).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        store::migrations::run(&mut conn, store::migrations::ALL).unwrap();
        conn
    }

    pub fn tenant(&self, id: &str) {
        let sql = "INSERT INTO tenant (id, name, timezone, created_at, updated_at) VALUES (?1, ?1, 'UTC', '', '')";
        self.database().execute(sql, [id]).unwrap();
    }

    pub fn tenants(&self) -> Vec<String> {
        let conn = self.database();
        let mut statement = conn.prepare("SELECT id FROM tenant ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Every row of every table, and the schema.
    pub fn rows(&self) -> Vec<String> {
        let conn = self.database();
        let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        tables.iter().chain(["sqlite_schema".to_owned()].iter()).flat_map(|table| table_rows(&conn, table)).collect()
    }

    /// Everything in `/var/lib`, SQLite's journals left out.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(&self.places.state(), Path::new(""), &mut tree);
        tree.retain(|path, _| !path.to_string_lossy().contains("sqlite-"));
        tree
    }

    pub fn back_up(&self, lock: &Lock, to: &Path) -> Result<Manifest, BackupError> {
        let store = Store::at(&Place::File(to.to_owned()), None)?;
        let (sink, manifest) = create::create(&self.places, lock, store.write()?)?;
        sink.finish()?;
        Ok(manifest)
    }

    pub async fn restore(&self, from: &Path, key: Key, force: bool) -> Result<Manifest, BackupError> {
        let from = Store::at(&Place::File(from.to_owned()), None)?;
        let request = Request { from, key, force, services: false };
        restore::restore(&self.places, request).await.map_err(|error| error.downcast().unwrap())
    }
}

fn table_rows(conn: &Connection, table: &str) -> Vec<String> {
    // Where SQLite keeps a table inside the file is not its content.
    let columns = if table == "sqlite_schema" { "type, name, tbl_name, sql" } else { "*" };
    let mut statement = conn.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2")).unwrap();
    let width = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| Ok((0..width).map(|n| format!("{:?} ", row.get_ref(n).unwrap())).collect());
    statement
        .query_map([], line)
        .unwrap()
        .map(|row: rusqlite::Result<String>| format!("{table}: {}", row.unwrap()))
        .collect()
}

fn walk(root: &Path, below: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let meta = entry.metadata().unwrap();
        let content = meta.is_file().then(|| hex::encode(Sha256::digest(fs::read(entry.path()).unwrap())));
        tree.insert(path.clone(), (meta.permissions().mode() & 0o7777, content));
        if meta.is_dir() {
            walk(root, &path, tree);
        }
    }
}

/// Bytes that do not compress.
fn recording(bytes: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Cheap to open, for tests only.
pub fn lock(passphrase: &str) -> Lock {
    Lock::Passphrase { passphrase: passphrase.to_owned().into(), work: 4 }
}

pub fn key(passphrase: &str) -> Key {
    Key::Passphrase(passphrase.to_owned().into())
}
