//! `self-call --control SOCKET`: exit status 0 when the box took its own call, 1 with the step that failed.

use clap::Parser;
use self_call::{control::Control, report::Report, story};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Calls the box itself and listens to what was recorded.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The control socket of control-api.
    #[arg(long, default_value = "/run/control-api/control.sock")]
    control: PathBuf,
    /// One JSON object at the end instead of a line for each step.
    #[arg(long)]
    json: bool,
    /// How long all of it may take.
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(20..=3600))]
    limit: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut report = Report::new(args.json);
    let limit = Duration::from_secs(args.limit.into());
    let outcome = story::run(&Control::new(args.control), limit, &mut report).await;
    report.close(&outcome);
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
