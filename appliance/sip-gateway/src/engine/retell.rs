//! How do livekit-sip's own words get into our log?
//!
//! Each line of its two pipes is one event of ours, at the level it had: `scaidial_livekit_sip_call_failed` when a call
//! went wrong, else `scaidial_livekit_sip_log`. What the lines say: [`super::log_line`].

use super::log_line::{Level, Line};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Child,
};

/// A longer line comes in pieces.
const LONGEST: u64 = 64 << 10;

/// Retells until both pipes are closed.
pub fn follow(child: &mut Child) {
    if let Some(pipe) = child.stdout.take() {
        tokio::spawn(read(pipe));
    }
    if let Some(pipe) = child.stderr.take() {
        tokio::spawn(read(pipe));
    }
}

async fn read(pipe: impl AsyncRead + Unpin) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while (&mut pipe).take(LONGEST).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(line.trim_ascii());
        if !text.is_empty() {
            retell(&Line::read(&text));
        }
        line.clear();
    }
}

fn retell(line: &Line) {
    let Line { level, logger, msg, error, lk_call_id, rest } = line;
    let rest = Some(rest).filter(|rest| !rest.is_empty());
    macro_rules! say {
        ($level:ident, $event:literal) => {
            tracing::$level!(msg, logger, error, lk_call_id, rest, $event)
        };
    }
    match level {
        Level::Error if line.is_of_a_failed_call() => say!(error, "scaidial_livekit_sip_call_failed"),
        Level::Error => say!(error, "scaidial_livekit_sip_log"),
        Level::Warn => say!(warn, "scaidial_livekit_sip_log"),
        Level::Info => say!(info, "scaidial_livekit_sip_log"),
        Level::Debug => say!(debug, "scaidial_livekit_sip_log"),
    }
}
