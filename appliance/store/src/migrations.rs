//! Does the file have the schema this program expects?
//!
//! Every migration runs once, in order, each in its own transaction. `PRAGMA user_version` counts
//! them and a checksum of each is kept: a file from a newer version, or one whose history differs
//! from ours, is refused untouched.

use rusqlite::{Connection, Transaction, params};
use sha2::{Digest, Sha256};

/// One step; the version is its place in the list, counted from 1.
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
}

/// All steps, oldest first. A released one never changes.
pub const ALL: &[Migration] =
    &[Migration { name: "0001_first_call", sql: include_str!("migrations/0001_first_call.sql") }];

/// Why the file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("the database has schema {found}, this version knows up to {known}: start the version that wrote it")]
    Newer { found: usize, known: usize },
    #[error("migration `{name}` in the database is not the one in this version")]
    Changed { name: String },
    #[error("migration `{name}` failed")]
    Failed { name: String, source: rusqlite::Error },
    #[error("could not read the migration table")]
    Database(#[from] rusqlite::Error),
}

/// Applies what is missing.
pub fn run(conn: &mut Connection, all: &[Migration]) -> Result<(), MigrationError> {
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = version as usize;
    if found > all.len() {
        return Err(MigrationError::Newer { found, known: all.len() });
    }
    check_history(conn, &all[..found])?;
    for (version, step) in (1u32..).zip(all).skip(found) {
        let tx = conn.transaction()?;
        apply(&tx, version, step).map_err(|source| MigrationError::Failed { name: step.name.into(), source })?;
        tx.commit()?;
    }
    Ok(())
}

fn check_history(conn: &Connection, applied: &[Migration]) -> Result<(), MigrationError> {
    for (version, step) in (1u32..).zip(applied) {
        let stored: String =
            conn.query_row("SELECT sha256 FROM schema_migration WHERE version = ?1", [version], |row| row.get(0))?;
        if stored != checksum(step) {
            return Err(MigrationError::Changed { name: step.name.into() });
        }
    }
    Ok(())
}

fn apply(tx: &Transaction<'_>, version: u32, step: &Migration) -> rusqlite::Result<()> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migration (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL
         ) STRICT;",
    )?;
    tx.execute_batch(step.sql)?;
    tx.execute(
        "INSERT INTO schema_migration (version, name, sha256) VALUES (?1, ?2, ?3)",
        params![version, step.name, checksum(step)],
    )?;
    tx.pragma_update(None, "user_version", version)
}

fn checksum(step: &Migration) -> String {
    hex::encode(Sha256::digest(step.sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { name: "one", sql: "CREATE TABLE a (x)" };
    const TWO: Migration = Migration { name: "two", sql: "CREATE TABLE b (x)" };

    fn tables(conn: &Connection) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 's%' ORDER BY name";
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn each_migration_runs_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE]).unwrap();
        run(&mut conn, &[ONE, TWO]).unwrap();
        run(&mut conn, &[ONE, TWO]).unwrap();
        assert_eq!(tables(&conn), ["a", "b"]);
    }

    #[test]
    fn a_file_from_a_newer_version_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE, TWO]).unwrap();
        let refused = run(&mut conn, &[ONE]).unwrap_err();
        assert!(matches!(refused, MigrationError::Newer { found: 2, known: 1 }));
        assert_eq!(tables(&conn), ["a", "b"]);
    }

    #[test]
    fn a_file_with_another_history_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE]).unwrap();
        let other = Migration { name: "one", sql: "CREATE TABLE a (y)" };
        assert!(matches!(run(&mut conn, &[other]), Err(MigrationError::Changed { .. })));
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut conn = Connection::open_in_memory().unwrap();
        let broken = Migration { name: "two", sql: "CREATE TABLE b (x); NONSENSE" };
        assert!(run(&mut conn, &[ONE, broken]).is_err());
        assert_eq!(tables(&conn), ["a"]);
        run(&mut conn, &[ONE, TWO]).unwrap();
    }
}
