//! Does the file have the schema this program expects?
//!
//! Every migration runs once, in order, each in its own transaction. `PRAGMA user_version` counts
//! them and a checksum of each is kept: a file whose history differs from ours is refused untouched.
//!
//! A box that rolls back meets a file from a newer version. Each migration declares the oldest schema
//! whose program can still use the file after it ([`Migration::min_reader`]); a program that is new
//! enough opens the file as it is, any other refuses it. So a change comes in two releases: expand
//! (add, with defaults), and contract (take away) once no box goes back to the release before.

use rusqlite::{Connection, Transaction, params};
use sha2::{Digest, Sha256};

/// One step; the version is its place in the list, counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
    /// The oldest schema whose program can still read and write the file.
    pub min_reader: u32,
}

/// All steps, oldest first. A released one never changes.
pub const ALL: &[Migration] = &[
    Migration { name: "0001_first_call", sql: include_str!("migrations/0001_first_call.sql"), min_reader: 1 },
    Migration { name: "0002_system_tenant", sql: include_str!("migrations/0002_system_tenant.sql"), min_reader: 1 },
    Migration { name: "0003_trunk_card", sql: include_str!("migrations/0003_trunk_card.sql"), min_reader: 1 },
    Migration {
        name: "0004_accept_transfers",
        sql: include_str!("migrations/0004_accept_transfers.sql"),
        min_reader: 1,
    },
];

/// Why the file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "the database has schema {found} and needs a program that knows schema {needed}, this one knows up to {known}: \
         start the version that wrote it"
    )]
    Newer { found: u32, needed: u32, known: u32 },
    #[error("migration `{name}` in the database is not the one in this version")]
    Changed { name: String },
    #[error("migration `{name}` failed")]
    Failed { name: String, source: rusqlite::Error },
    #[error("could not read the migration table")]
    Database(#[from] rusqlite::Error),
}

/// Applies what is missing; a newer file that we may use stays as it is.
pub fn run(conn: &mut Connection, all: &[Migration]) -> Result<(), MigrationError> {
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(all.len()).unwrap_or(u32::MAX);
    if found > known {
        let needed = min_reader_version(conn, found)?;
        if needed > known {
            return Err(MigrationError::Newer { found, needed, known });
        }
        tracing::warn!(found, known, needed, "database_of_a_newer_version");
    }
    check_history(conn, found, all)?;
    for (version, step) in (1u32..).zip(all).skip(found as usize) {
        let tx = conn.transaction()?;
        apply(&tx, version, step).map_err(|source| MigrationError::Failed { name: step.name.into(), source })?;
        tx.commit()?;
    }
    Ok(())
}

/// What the file's newest step, and all before it, ask of a reader; a file that says nothing asks for its own schema.
fn min_reader_version(conn: &Connection, found: u32) -> rusqlite::Result<u32> {
    if !declares_readers(conn)? {
        return Ok(found);
    }
    let sql = "SELECT max(version), max(min_reader_version) FROM schema_migration";
    let (newest, needed): (Option<u32>, Option<u32>) = conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(needed.filter(|_| newest == Some(found)).unwrap_or(found))
}

fn declares_readers(conn: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('schema_migration') WHERE name = 'min_reader_version')";
    conn.query_row(sql, [], |row| row.get(0))
}

/// The steps that both the file and we know must be the same ones.
fn check_history(conn: &Connection, found: u32, all: &[Migration]) -> Result<(), MigrationError> {
    for (version, step) in (1..=found).zip(all) {
        let stored: String =
            conn.query_row("SELECT sha256 FROM schema_migration WHERE version = ?1", [version], |row| row.get(0))?;
        if stored != checksum(step) {
            return Err(MigrationError::Changed { name: step.name.into() });
        }
    }
    Ok(())
}

fn apply(tx: &Transaction<'_>, version: u32, step: &Migration) -> rusqlite::Result<()> {
    keep_book(tx)?;
    tx.execute_batch(step.sql)?;
    tx.execute(
        "INSERT INTO schema_migration (version, name, sha256, min_reader_version) VALUES (?1, ?2, ?3, ?4)",
        params![version, step.name, checksum(step), step.min_reader],
    )?;
    tx.pragma_update(None, "user_version", version)
}

/// The table of the steps; the first release's had no `min_reader_version`.
fn keep_book(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migration (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL
         ) STRICT;",
    )?;
    if declares_readers(tx)? {
        return Ok(());
    }
    tx.execute_batch("ALTER TABLE schema_migration ADD COLUMN min_reader_version INTEGER NOT NULL DEFAULT 1")
}

fn checksum(step: &Migration) -> String {
    hex::encode(Sha256::digest(step.sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { name: "one", sql: "CREATE TABLE a (x)", min_reader: 1 };
    /// Contracts: who knows only `ONE` cannot use the file.
    const TWO: Migration = Migration { name: "two", sql: "CREATE TABLE b (x)", min_reader: 2 };
    /// Expands: who knows `ONE` can go on.
    const WIDER: Migration = Migration { name: "wider", sql: "ALTER TABLE a ADD COLUMN y DEFAULT 7", min_reader: 1 };

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
    fn a_newer_file_that_needs_more_than_we_know_is_refused_untouched() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE, TWO]).unwrap();
        let refused = run(&mut conn, &[ONE]).unwrap_err();
        assert!(matches!(refused, MigrationError::Newer { found: 2, needed: 2, known: 1 }));
        assert_eq!(tables(&conn), ["a", "b"]);
    }

    #[test]
    fn a_file_with_another_history_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE]).unwrap();
        let other = Migration { sql: "CREATE TABLE a (y)", ..ONE };
        assert!(matches!(run(&mut conn, &[other]), Err(MigrationError::Changed { .. })));
    }

    #[test]
    fn a_newer_file_that_declares_us_as_readers_is_used_and_taken_up_again_by_its_own_version() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE, WIDER]).unwrap();
        run(&mut conn, &[ONE]).unwrap();
        conn.execute("INSERT INTO a (x) VALUES (1)", []).unwrap();
        run(&mut conn, &[ONE, WIDER]).unwrap();
        let row: (i64, i64) = conn.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (1, 7));
    }

    #[test]
    fn one_step_that_takes_something_away_shuts_out_readers_that_a_later_step_would_let_in() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE, TWO, WIDER]).unwrap();
        let refused = run(&mut conn, &[ONE]).unwrap_err();
        assert!(matches!(refused, MigrationError::Newer { found: 3, needed: 2, known: 1 }));
        run(&mut conn, &[ONE, TWO]).unwrap();
    }

    #[test]
    fn a_newer_file_with_another_history_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[ONE, WIDER]).unwrap();
        let other = Migration { sql: "CREATE TABLE a (z)", ..ONE };
        assert!(matches!(run(&mut conn, &[other]), Err(MigrationError::Changed { .. })));
    }

    #[test]
    fn a_file_of_the_first_release_which_declared_nothing_is_brought_up_to_date() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT;
             CREATE TABLE a (x); PRAGMA user_version = 1;",
        )
        .unwrap();
        conn.execute("INSERT INTO schema_migration VALUES (1, 'one', ?1)", [checksum(&ONE)]).unwrap();
        run(&mut conn, &[ONE, WIDER]).unwrap();
        run(&mut conn, &[ONE]).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut conn = Connection::open_in_memory().unwrap();
        let broken = Migration { name: "two", sql: "CREATE TABLE b (x); NONSENSE", min_reader: 2 };
        assert!(run(&mut conn, &[ONE, broken]).is_err());
        assert_eq!(tables(&conn), ["a"]);
        run(&mut conn, &[ONE, TWO]).unwrap();
    }
}
