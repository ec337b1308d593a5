//! How is a database copied while it is written to, and how is a copy judged?

use super::{BackupError, manifest};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// What the file says about its schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schema {
    pub version: u32,
    pub min_reader_version: u32,
}

/// Opens the live database for reading; the writer is not disturbed.
pub fn open_live(path: &Path) -> Result<Connection, BackupError> {
    if !path.exists() {
        return Err(BackupError::Nothing { database: path.display().to_string() });
    }
    // Not read-only: the last one to close a WAL database must be able to tidy up.
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

pub fn schema(conn: &Connection) -> Result<Schema, BackupError> {
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let declares =
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('schema_migration') WHERE name = 'min_reader_version')";
    if !conn.query_row(declares, [], |row| row.get::<_, bool>(0))? {
        return Ok(Schema { version, min_reader_version: version });
    }
    let needed = "SELECT max(min_reader_version) FROM schema_migration";
    let needed: Option<u32> = conn.query_row(needed, [], |row| row.get(0))?;
    Ok(Schema { version, min_reader_version: needed.unwrap_or(version) })
}

/// One consistent moment of the database, as a file of its own.
pub fn copy(conn: &Connection, to: &Path) -> Result<(), BackupError> {
    conn.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map(drop).map_err(BackupError::Database)
}

/// True when somebody has claimed the box whose database this is.
pub fn is_claimed(path: &Path) -> Result<bool, BackupError> {
    if !path.exists() {
        return Ok(false);
    }
    store::tenants::none_yet(&open_live(path)?).map(|none| !none).map_err(BackupError::Unusable)
}

/// Is the copy whole, and one that this version can use? By the store's own rule: it is brought up to
/// date here, where a failure changes nothing, rather than at the next start.
pub fn verify(path: &Path) -> Result<(), BackupError> {
    let mut conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let found: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(BackupError::damaged(format!("its database is not whole: {found}")));
    }
    store::migrations::run(&mut conn, store::migrations::ALL).map_err(|error| match error {
        store::migrations::MigrationError::Newer { needed, .. } => {
            BackupError::Newer { version: "a newer one".into(), needed, known: manifest::known_schema() }
        }
        other => BackupError::Unusable(other.into()),
    })
}

const BUSY: std::time::Duration = std::time::Duration::from_secs(30);
