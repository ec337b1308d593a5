//! `scaibox`: see [`scaibox::cli`].

use clap::Parser;
use scaibox::{cli::Cli, commands};
use std::{io::Write, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    daemon::log::init("scaibox");
    match commands::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a stderr there is nobody to tell.
            writeln!(std::io::stderr(), "scaibox: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
