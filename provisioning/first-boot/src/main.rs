//! `first-boot prepare | follow | serve | console`: one program, four units.

use clap::{Parser, Subcommand};
use first_boot::{
    console, follow,
    here::{self, Here},
    layout::Layout,
    prepare::prepare,
    setup,
};
use std::path::PathBuf;

/// Makes a fresh box one that somebody owns.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make secrets, certificate, claim code and every daemon's configuration; run again at will.
    Prepare {
        /// Where the box's files lie.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Prepare again whenever addresses or settings change, and start again the daemons that it concerns.
    Follow,
    /// Serve the claim on a Unix socket.
    Serve {
        #[arg(long)]
        config: PathBuf,
    },
    /// Show the box's state on this terminal.
    Console {
        /// Where the box's files lie.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Prepare { root } => prepare_box(&Layout::new(root)),
        Command::Serve { config } => serve(&config),
        Command::Follow => follow_box(),
        Command::Console { root } => show(&Layout::new(root)),
    }
}

fn prepare_box(layout: &Layout) -> anyhow::Result<()> {
    daemon::log::init("first-boot");
    let changed = prepare(layout, &Here::look(layout)?)?;
    tracing::info!(?changed, "box_prepared");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn follow_box() -> anyhow::Result<()> {
    daemon::log::init("first-boot");
    daemon::run_until_signal(|stop| follow::run(Layout::new("/"), stop)).await
}

#[tokio::main(flavor = "current_thread")]
async fn show(layout: &Layout) -> anyhow::Result<()> {
    console::run(layout).await
}

#[tokio::main]
async fn serve(config: &std::path::Path) -> anyhow::Result<()> {
    daemon::log::init("first-boot");
    let config = daemon::config::load(config)?;
    daemon::run_until_signal(|stop| setup::serve(config, here::uptime, stop)).await
}
