//! How do many requests share one SQLite writer without waiting for one disk flush each?
//!
//! [`Db::write`] sends its function to the writer thread. The thread takes every function that is
//! waiting, runs each in a savepoint of one transaction, commits once (`synchronous=FULL`) and only
//! then answers: a caller that got `Ok` has its row on the disk. [`Db::read`] uses a few read-only
//! connections, which never wait for the writer (WAL).

use crate::{StoreError, error::is_disk_full, migrations};
use parking_lot::Mutex;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot, watch};

pub use rusqlite::{Connection, Transaction};

/// A handle on the database; clones share one writer.
#[derive(Clone)]
pub struct Db {
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    latest_event: watch::Receiver<i64>,
}

type Job = Box<dyn FnOnce(&Transaction<'_>) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Db {
    /// Opens (or creates) the file, brings its schema up to date and starts the writer.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        migrations::run(&mut conn, migrations::ALL)?;
        let (jobs, inbox) = mpsc::channel();
        let (latest, latest_event) = watch::channel(newest_event(&conn));
        std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || write_all(conn, &inbox, &latest))
            .map_err(|_| StoreError::Closed)?;
        let readers =
            Readers { path: path.to_owned(), idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS)) };
        Ok(Self { jobs, readers: Arc::new(readers), latest_event })
    }

    /// Runs `work` in the writer's transaction. `Ok` means it is on the disk; `Err` means that nothing of it is.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let outcome = in_savepoint(tx, work);
            Box::new(move |commit| {
                let outcome = match commit {
                    Ok(()) => outcome,
                    Err(err) => outcome.and(Err(commit_failed(err).into())),
                };
                answer.send(outcome).ok();
            })
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on a read-only connection; it sees everything committed before.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let permit = readers.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let conn = readers.take()?;
            let result = work(&conn);
            readers.idle.lock().push(conn);
            result
        });
        task.await.map_err(|_| StoreError::Panicked)?
    }

    /// The number of the newest committed event; changes wake whoever streams them.
    pub fn latest_event(&self) -> watch::Receiver<i64> {
        self.latest_event.clone()
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        if let Some(conn) = self.idle.lock().pop() {
            return Ok(conn);
        }
        let conn = Connection::open(&self.path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }
}

/// The writer thread: one transaction per batch, until every [`Db`] is gone.
fn write_all(mut conn: Connection, inbox: &mpsc::Receiver<Job>, latest: &watch::Sender<i64>) {
    while let Ok(first) = inbox.recv() {
        let mut answers = Vec::new();
        let committed = run_batch(&mut conn, first, inbox, &mut answers);
        if let Err(err) = &committed {
            tracing::error!(error = %err, "database_commit_failed");
        }
        latest.send_if_modified(|seen| std::mem::replace(seen, newest_event(&conn)) != *seen);
        for answer in answers {
            answer(committed.as_ref().copied());
        }
    }
}

fn run_batch(
    conn: &mut Connection,
    first: Job,
    inbox: &mpsc::Receiver<Job>,
    answers: &mut Vec<Finish>,
) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    answers.push(first(&tx));
    while answers.len() < BATCH
        && let Ok(next) = inbox.try_recv()
    {
        answers.push(next(&tx));
    }
    tx.commit()
}

/// A function that fails takes nothing else of its batch with it.
fn in_savepoint<T, E, F>(tx: &Transaction<'_>, work: F) -> Result<T, E>
where
    F: FnOnce(&Transaction<'_>) -> Result<T, E>,
    E: From<StoreError>,
{
    let run = |sql: &str| tx.execute_batch(sql).map_err(StoreError::Sqlite);
    run("SAVEPOINT job")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
    run(if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" })?;
    result
}

fn commit_failed(err: &rusqlite::Error) -> StoreError {
    StoreError::Commit { text: err.to_string(), disk_full: is_disk_full(err) }
}

fn newest_event(conn: &Connection) -> i64 {
    conn.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'event'", [], |row| row.get(0)).unwrap_or(0)
}

/// Read-only connections; a page of a list takes well under a millisecond.
const READERS: usize = 4;

/// The most functions in one commit: bounds how long the first of them waits.
const BATCH: usize = 64;
