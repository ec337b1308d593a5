//! How does an event survive a restart of its sender or its receiver?
//!
//! Every event is appended to a file (and synced) before it counts as said, then sent in batches
//! over the control socket until the receiver has accepted it. The files of a spool that an earlier
//! process left behind are sent first. A spool is one `instance`; its sequence numbers start at 1.
//!
//! The messages: [`types::control`].

use crate::unix_http::Client;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use types::{
    CorrelationId,
    control::{Envelope, Event, EventBatch, EventsAccepted},
};

const BATCH: usize = 200;
const EVENTS_PATH: &str = "/internal/v1/events";

/// One daemon's outgoing events; cheap to clone.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    instance: String,
    folder: PathBuf,
    state: Mutex<State>,
    more: Notify,
    hurry: Notify,
    sent: Notify,
}

struct State {
    next_seq: u64,
    file: File,
    waiting: Vec<Envelope>,
}

impl Spool {
    /// Opens a fresh spool in `folder`; what earlier instances left there is sent by [`Spool::run`].
    pub fn open(folder: &Path, source: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let instance = CorrelationId::new().to_string();
        let file = OpenOptions::new().create(true).append(true).open(folder.join(format!("{instance}.jsonl")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                source: source.to_owned(),
                instance,
                folder: folder.to_owned(),
                state: Mutex::new(State { next_seq: 1, file, waiting: Vec::new() }),
                more: Notify::new(),
                hurry: Notify::new(),
                sent: Notify::new(),
            }),
        })
    }

    /// The name of this start of the daemon.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// Says `event` now. On a full disk the event is still sent, only not durable; that is logged.
    pub fn append(&self, correlation_id: Option<&CorrelationId>, event: Event) {
        let mut state = self.inner.state.lock();
        let envelope =
            Envelope { seq: state.next_seq, at: Timestamp::now(), correlation_id: correlation_id.cloned(), event };
        state.next_seq += 1;
        if let Err(error) = write_line(&mut state.file, &envelope) {
            tracing::error!(%error, spool = %self.inner.folder.display(), "event is not on disk");
        }
        state.waiting.push(envelope);
        drop(state);
        self.inner.more.notify_one();
    }

    /// The receiver was heard of: what waits for it is sent now, not after the pause.
    pub fn hurry(&self) {
        self.inner.hurry.notify_waiters();
    }

    /// Waits until the receiver has all that was said up to now; false when `limit` passes first.
    pub async fn told(&self, limit: Duration) -> bool {
        let last = self.inner.state.lock().next_seq - 1;
        let told = async {
            loop {
                let sent = self.inner.sent.notified();
                if self.inner.state.lock().waiting.first().is_none_or(|event| event.seq > last) {
                    return;
                }
                sent.await;
            }
        };
        tokio::time::timeout(limit, told).await.is_ok()
    }

    /// Sends until `stop`, then tries once more to send what is left.
    pub async fn run(&self, receiver: Client, stop: CancellationToken) {
        tokio::select! {
            _ = self.send_for_ever(&receiver) => {}
            _ = stop.cancelled() => {}
        }
        let last = receiver.with_limit(Duration::from_secs(1));
        while matches!(self.send_some(&last).await, Ok(true)) {}
    }

    async fn send_for_ever(&self, receiver: &Client) {
        self.send_leftovers(receiver).await;
        let mut back_off = BackOff::new(&self.inner);
        loop {
            match self.send_some(receiver).await {
                Ok(true) => back_off = BackOff::new(&self.inner),
                Ok(false) => self.inner.more.notified().await,
                Err(error) => back_off.wait(&error).await,
            }
        }
    }

    /// One batch; false when nothing waits.
    async fn send_some(&self, receiver: &Client) -> Result<bool, crate::unix_http::UnixHttpError> {
        let events: Vec<_> = self.inner.state.lock().waiting.iter().take(BATCH).cloned().collect();
        if events.is_empty() {
            return Ok(false);
        }
        let through = send(receiver, &self.inner.source, &self.inner.instance, events).await?;
        let mut state = self.inner.state.lock();
        state.waiting.retain(|event| event.seq > through);
        if state.waiting.is_empty() {
            // Everything is stored on the other side: start the file over so that it never grows for ever.
            if let Err(error) = state.file.set_len(0) {
                tracing::warn!(%error, "could not shorten the event spool");
            }
        }
        drop(state);
        self.inner.sent.notify_waiters();
        Ok(true)
    }

    /// Files of earlier instances, oldest first; each is removed once accepted.
    async fn send_leftovers(&self, receiver: &Client) {
        let mut back_off = BackOff::new(&self.inner);
        for path in leftovers(&self.inner.folder, &self.inner.instance) {
            let instance = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let mut events = read_lines(&path);
            while !events.is_empty() {
                let batch = events.iter().take(BATCH).cloned().collect();
                match send(receiver, &self.inner.source, &instance, batch).await {
                    Ok(through) => events.retain(|event| event.seq > through),
                    Err(error) => back_off.wait(&error).await,
                }
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "could not remove a sent event spool");
            }
        }
    }
}

async fn send(
    receiver: &Client,
    source: &str,
    instance: &str,
    events: Vec<Envelope>,
) -> Result<u64, crate::unix_http::UnixHttpError> {
    let batch = EventBatch { source: source.to_owned(), instance: instance.to_owned(), events };
    let accepted: EventsAccepted = receiver.post(EVENTS_PATH, &batch).await?;
    Ok(accepted.through)
}

fn write_line(file: &mut File, envelope: &Envelope) -> io::Result<()> {
    let mut line = serde_json::to_vec(envelope)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()
}

/// A torn last line (power loss) was never said, so it is left out.
fn read_lines(path: &Path) -> Vec<Envelope> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    BufReader::new(file).lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect()
}

fn leftovers(folder: &Path, ours: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != ours))
        .collect();
    files.sort(); // instances are ULIDs: their order is their age
    files
}

/// 100 ms, doubling to 5 s, and from the start again after [`Spool::hurry`]; says so once per outage.
struct BackOff<'a> {
    spool: &'a Inner,
    told: bool,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl<'a> BackOff<'a> {
    fn new(spool: &'a Inner) -> Self {
        Self { spool, told: false, pause: FIRST_PAUSE }
    }

    async fn wait(&mut self, error: &crate::unix_http::UnixHttpError) {
        if !self.told {
            tracing::warn!(%error, source = self.spool.source, "events wait: the receiver does not take them");
            self.told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause) => self.pause = (self.pause * 2).min(LONGEST_PAUSE),
            () = self.spool.hurry.notified() => self.pause = FIRST_PAUSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_on_disk_before_anybody_has_taken_it() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "sip-gateway").unwrap();
        spool.append(None, Event::Started { legs: vec![] });
        let file = folder.path().join(format!("{}.jsonl", spool.instance()));
        assert_eq!(read_lines(&file).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_grow_until_the_receiver_is_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "sip-gateway").unwrap();
        let error = serde_json::from_str::<u8>("").unwrap_err().into();
        let mut back_off = BackOff::new(&spool.inner);
        let mut waited = Vec::new();
        for hurry in [false, false, false, true, false] {
            let began = tokio::time::Instant::now();
            let call = async {
                if hurry {
                    spool.hurry()
                }
            };
            tokio::join!(back_off.wait(&error), call);
            waited.push(began.elapsed().as_millis());
        }
        assert_eq!(waited, [100, 200, 400, 0, 100]);
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "sip-gateway").unwrap();
        spool.append(None, Event::OutboundRinging { lk_call_id: "SCL_1".into() });
        let path = folder.path().join(format!("{}.jsonl", spool.instance()));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":2,").unwrap();
        assert_eq!(read_lines(&path).iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_an_earlier_instance_left_is_found_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "a.jsonl", "c.jsonl", "note.txt"] {
            File::create(folder.path().join(name)).unwrap();
        }
        let found = leftovers(folder.path(), "c");
        let names: Vec<_> = found.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.jsonl", "b.jsonl"]);
    }
}
