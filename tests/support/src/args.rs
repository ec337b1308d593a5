//! What can be asked of `box-run`?

use crate::parts::Name;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Start a whole ScaiBox on loopback and keep it running until Ctrl-C or SIGTERM.
#[derive(Debug, Parser)]
pub struct Args {
    /// Print one line of JSON on stdout when ready, and nothing else.
    #[arg(long)]
    pub json: bool,

    /// Use the ports from N on: N API, N+1 SIP, N+2 Redis, N+3 and N+4 LiveKit, N+5 S3, N+100 to N+300 RTP.
    /// Without it the first free block from 18000 on is taken.
    #[arg(long, value_name = "N")]
    pub port_base: Option<u16>,

    /// Keep everything here; without it a temporary folder is used and removed at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Do not start these parts until `DIR/run/hold/PART` is removed.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub without: Vec<Name>,

    /// Make the demo number also with --json, or never.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub demo: Demo,

    /// What a phone's audio is in the room.
    #[arg(long, value_name = "CODEC", default_value = "auto", value_parser = ["auto", "opus"])]
    pub room_codec: String,

    /// Which program speaks SIP; livekit-sip is the one that LIVEKIT_SIP_BIN names.
    #[arg(long, value_name = "ENGINE", default_value = "sip-gateway", value_parser = ["sip-gateway", "livekit-sip"])]
    pub engine: String,

    /// Seconds for which calls wait for a LiveKit that is gone.
    #[arg(long, value_name = "S", default_value = "30")]
    pub rejoin: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Demo {
    /// For a person, not for a program.
    Auto,
    Always,
    Never,
}

impl Args {
    pub fn wants_demo(&self) -> bool {
        match self.demo {
            Demo::Auto => !self.json,
            Demo::Always => true,
            Demo::Never => false,
        }
    }
}
