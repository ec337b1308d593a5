//! How does livekit-sip keep running, and how does it end?
//!
//! It is started again whenever it ends, after a pause that grows while it keeps dying; killed when its health port
//! has been silent for too long; and given a new configuration when our address changes. Told to end, it lets its calls
//! end for `drain_s`, as our own engine does.

use super::{
    child,
    pulse::{self, Condition, Pulse},
    retell, rooms,
    state::Shared,
    yaml::{self, Moment},
};
use crate::signals::Stop;
use anyhow::Context;
use nix::sys::signal::Signal;
use std::{
    future::pending,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::process::Child;

/// Between two questions.
const PERIOD: Duration = Duration::from_secs(1);
/// Whoever has not answered for so long does nothing else, either.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// After SIGINT, which ends its calls, and for LiveKit to put out whom it has left behind.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Keeps it until `stop`.
pub async fn run(shared: &Shared, program: &Path, stop: &Stop) -> anyhow::Result<()> {
    let (mut pause, mut told) = (Pause::default(), false);
    loop {
        let began = Instant::now();
        let how = match live(shared, program, stop, &mut told).await {
            Ok(how) => how,
            Err(error) => format!("{error:#}"),
        };
        if tokio::time::timeout(LAST_WORDS, rooms::all_gone(shared)).await.is_err() {
            tracing::warn!("livekit-server still believes in legs that are gone: it does not answer");
        }
        if stop.soon.is_cancelled() {
            tracing::info!(how, "scaidial_livekit_sip_ended");
            return Ok(());
        }
        let again = pause.after(began.elapsed());
        shared.condition.send_replace(Condition::Gone(format!("{how}; it is started again")));
        tracing::error!(how, again_ms = u64::try_from(again.as_millis()).ok(), "scaidial_livekit_sip_exited");
        stop.soon.run_until_cancelled(tokio::time::sleep(again)).await;
        if stop.soon.is_cancelled() {
            return Ok(());
        }
    }
}

/// One life of its process; how it ended.
async fn live(shared: &Shared, program: &Path, stop: &Stop, told: &mut bool) -> anyhow::Result<String> {
    let configured = shared.config.observe.health_listen.map(|address| address.port());
    let health_port = match configured {
        Some(port) => port,
        None => pulse::free_port().await?,
    };
    let (pulse, egress) = (Pulse::at(health_port)?, shared.egress());
    let path = write(shared, Moment { health_port, egress })?;
    let mut child = child::start(program, &path).context("cannot start it")?;
    shared.condition.send_replace(Condition::Starting);
    tracing::info!(
        pid = child.id(), program = %program.display(), health.port = health_port, "scaidial_livekit_sip_started"
    );
    retell::follow(&mut child);
    let why = tokio::select! {
        status = child.wait() => return Ok(describe(status)),
        () = watch(shared, &pulse, told) => return killed(&mut child).await,
        () = moved(shared, egress) => "our address is another one now",
        () = stop.soon.cancelled() => "it was told to",
    };
    let status = end(&mut child, shared.config.drain_s, stop).await;
    Ok(format!("{}, because {why}", describe(status)))
}

/// Into the folder of the control socket, for us alone.
fn write(shared: &Shared, moment: Moment) -> anyhow::Result<PathBuf> {
    let socket = shared.config.control.as_ref().map(|control| control.listen_socket.as_path());
    let path = socket.and_then(Path::parent).context("control.listen_socket has no folder")?.join("livekit-sip.yaml");
    let text = yaml::of(&shared.config, moment).to_string();
    daemon::files::replace(&path, text.as_bytes(), daemon::files::PRIVATE)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A configured address stays what it is.
async fn moved(shared: &Shared, from: Option<IpAddr>) {
    match shared.config.sip.advertise_ip {
        Some(_) => pending().await,
        None => shared.moved(from).await,
    }
}

/// Asks how it is, and returns when nothing has come for too long. `told`: systemd knows that we serve.
async fn watch(shared: &Shared, pulse: &Pulse, told: &mut bool) {
    let (mut tick, mut heard) = (tokio::time::interval(PERIOD), Instant::now());
    while heard.elapsed() < LONGEST_SILENCE {
        tick.tick().await;
        let answer = pulse.ask().await;
        if answer.is_ok() {
            heard = Instant::now();
        }
        let before = shared.condition.borrow().clone();
        let now = before.after(&answer);
        if before != now {
            say(&before, &now);
            shared.condition.send_replace(now.clone());
        }
        if now.serves() && !std::mem::replace(told, true) {
            daemon::ready();
        }
    }
}

fn say(before: &Condition, now: &Condition) {
    match now.trouble() {
        None if before.serves() => {}
        None => tracing::info!("scaidial_livekit_sip_ready"),
        Some(trouble) => tracing::warn!(trouble, "scaidial_livekit_sip_unhealthy"),
    }
}

async fn killed(child: &mut Child) -> anyhow::Result<String> {
    child.kill().await.context("cannot kill it")?;
    Ok(format!("killed: its health port was silent for {} s", LONGEST_SILENCE.as_secs()))
}

/// Its calls may end by themselves, then they are ended, then it is.
async fn end(child: &mut Child, drain_s: Option<u32>, stop: &Stop) -> io::Result<ExitStatus> {
    let limit = async {
        match drain_s {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            None => pending().await,
        }
    };
    child::tell(child, Signal::SIGTERM);
    tokio::select! {
        status = child.wait() => return status,
        () = limit => {}
        () = stop.now.cancelled() => {}
    }
    child::tell(child, Signal::SIGINT);
    if let Ok(status) = tokio::time::timeout(LAST_WORDS, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

/// `exit status: 1`, `signal: 9 (SIGKILL)`
fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("could not be waited for: {error}"),
    }
}

/// 250 ms, doubled up to 16 s, back to the start after a life of a minute.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn after(&mut self, life: Duration) -> Duration {
        if life >= Duration::from_secs(60) {
            self.0 = 0;
        }
        let pause = Duration::from_millis(250 << self.0.min(6));
        self.0 += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_while_it_keeps_dying_and_shrinks_after_a_good_life() {
        let mut pause = Pause::default();
        let first = pause.after(Duration::ZERO);
        assert!(pause.after(Duration::ZERO) > first);
        let longest = (0..20).map(|_| pause.after(Duration::ZERO)).last();
        assert_eq!(longest, Some(Duration::from_secs(16)));
        assert_eq!(pause.after(Duration::from_secs(60)), first);
    }
}
