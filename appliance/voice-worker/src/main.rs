//! The program: configuration, logging, then [`voice_worker::worker::Worker`] until a signal.

use voice_worker::config::Config;
use voice_worker::worker::Worker;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::log::init("voice-worker");
    let config: Config = daemon::config::load(&daemon::config::path_from_args()?)?;
    let worker = Worker::new(config)?;
    daemon::run_until_signal(|stop| worker.run(daemon::ready, stop)).await
}
