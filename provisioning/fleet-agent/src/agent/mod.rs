//! Who drives an update from the channel to the reboot?
//!
//! One task: look at the boot, read the channel, ask [`decide`] what to do, do it, remember. Every step has a limit and
//! leaves its error in the status; after an error it waits longer each time. A step that is cut off (restart, power
//! loss) is simply decided again.

mod decide;
mod fleet;
mod memory;
mod stage;
mod status;
mod turn;
mod window;

pub use decide::{Rules, Wish};
pub use fleet::{Fleet, Journal};
pub use memory::{FailedVersion, Memory, Report};
pub use status::{Available, Failed, State, Status};
pub use window::Window;

use crate::{
    artefacts::Shelf,
    boot::BootState,
    channel::{Catalogue, Reader},
    config::Config,
    root::What,
    units::RootSteps,
};
use daemon::unix_http::Client;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How often facts that nobody announces (calls, window, blessing) are looked at.
const TICK: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// What the operator can ask for.
#[derive(Debug)]
pub enum Command {
    Check,
    Apply(Wish),
    Rollback,
}

/// What the API needs: the status to read, and a way to ask.
#[derive(Clone)]
pub struct Handle {
    pub status: watch::Receiver<Status>,
    pub commands: mpsc::Sender<Command>,
}

/// The update task.
pub struct Agent {
    reader: Reader,
    rules: Rules,
    mirrors: Vec<Url>,
    usb: PathBuf,
    state_dir: PathBuf,
    machine_id: String,
    check_every: Duration,
    control: Client,
    shelf: Shelf,
    steps: Arc<dyn RootSteps>,
    fleet: Arc<dyn Fleet>,
    memory: Memory,
    boot: Option<BootState>,
    offer: Option<Catalogue>,
    status: watch::Sender<Status>,
    pause: Pause,
    commands: mpsc::Receiver<Command>,
}

/// No step before its end, after an error.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    tries: u32,
}

impl Agent {
    pub fn new(
        config: &Config,
        steps: Arc<dyn RootSteps>,
        fleet: Arc<dyn Fleet>,
        shelf: Shelf,
    ) -> anyhow::Result<(Self, Handle)> {
        let datastore = config.state_dir.join("channel");
        let reader = Reader::new(config.identity(), config.root_metadata.clone(), datastore, config.minimum())?;
        let (sender, commands) = mpsc::channel(8);
        let (status, seen) = watch::channel(Status::default());
        let agent = Self {
            reader,
            rules: config.rules()?,
            mirrors: config.channel.mirrors.clone(),
            usb: config.usb.clone(),
            state_dir: config.state_dir.clone(),
            machine_id: std::fs::read_to_string(&config.machine_id).unwrap_or_default().trim().to_owned(),
            check_every: config.check_every(),
            control: Client::new(&config.control_socket),
            shelf,
            steps,
            fleet,
            memory: Memory::load(&config.state_dir),
            boot: None,
            offer: None,
            status,
            pause: Pause::default(),
            commands,
        };
        Ok((agent, Handle { status: seen, commands: sender }))
    }

    /// Until `stop`; a download that is cut off goes on after the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut next_check = Instant::now();
        loop {
            self.look().await;
            if Instant::now() >= next_check {
                self.check().await;
                next_check = Instant::now() + self.check_every;
            }
            self.advance().await;
            match tokio::time::timeout(TICK, self.commands.recv()).await {
                Ok(Some(command)) => self.obey(command).await,
                Ok(None) => return,
                Err(_) => {}
            }
        }
    }

    /// An operator does not wait for our pauses.
    async fn obey(&mut self, command: Command) {
        self.pause = Pause::default();
        self.status.send_modify(|status| status.problem = None);
        match command {
            Command::Check => self.check().await,
            Command::Apply(wish) => {
                self.memory.wish = Some(wish);
                self.remember();
                self.check().await;
            }
            Command::Rollback => self.root_step(&What::Rollback, State::Rebooting).await.unwrap_or_default(),
        }
    }
}

impl Pause {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// A minute, doubling.
    fn longer(&mut self, now: Instant) {
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.tries);
        self.until = Some(now + pause.min(LONGEST_PAUSE));
        self.tries = (self.tries + 1).min(12);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_each_error_the_pause_doubles_up_to_six_hours() {
        let t0 = Instant::now();
        let mut pause = Pause::default();
        assert!(pause.is_over(t0));
        pause.longer(t0);
        assert!(!pause.is_over(t0 + Duration::from_secs(59)) && pause.is_over(t0 + Duration::from_secs(60)));
        pause.longer(t0);
        assert!(!pause.is_over(t0 + Duration::from_secs(119)) && pause.is_over(t0 + Duration::from_secs(120)));
        for _ in 0..50 {
            pause.longer(t0);
        }
        assert!(pause.is_over(t0 + LONGEST_PAUSE));
    }
}
