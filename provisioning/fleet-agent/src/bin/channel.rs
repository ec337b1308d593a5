//! `channel`: makes the signed channel that boxes read. Runs where the release keys are, never on a box.

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use fleet_agent::{
    publish::{Expiry, Publisher, first_root, in_days, make_keys},
    release::Document,
    version::Version,
};
use jiff::Timestamp;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Makes and renews a signed update channel")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make the keys and the first root; metadata/1.root.json goes into the image as root.json
    Init {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        days: Days,
    },
    /// Add a release and make it the current one
    Publish {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        days: Days,
        #[command(flatten)]
        release: Release,
    },
    /// Promise for some more days that the channel is current (needs only the timestamp key)
    Refresh {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        days: Days,
    },
    /// Replace every key; boxes follow, however many replacements they missed
    Rotate {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        days: Days,
    },
}

#[derive(Args)]
struct Place {
    /// The channel's folder, which web servers and USB sticks carry as it is
    #[arg(long)]
    repository: PathBuf,
    /// The folder of the signing keys
    #[arg(long)]
    keys: PathBuf,
}

#[derive(Args)]
struct Days {
    /// For how many days the list of releases holds
    #[arg(long, default_value_t = 180)]
    days: u32,
    /// For how many days "this is current" holds: a mirror can hide a new release for as long
    #[arg(long, default_value_t = 14)]
    current_days: u32,
    /// For how many days the root holds
    #[arg(long, default_value_t = 3650)]
    root_days: u32,
}

#[derive(Args)]
struct Release {
    /// The folder with the update set of one version
    #[arg(long)]
    release: PathBuf,
    #[arg(long)]
    version: Version,
    #[arg(long, default_value = "scaibox")]
    product: String,
    #[arg(long, default_value = "x86-64")]
    hardware: String,
    /// What a person should know before taking it
    #[arg(long, default_value = "")]
    notes: String,
    /// The oldest version that can go to it directly
    #[arg(long)]
    min_version: Option<Version>,
    /// How many of a hundred boxes take it by themselves
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Init { place, days } => init(&place, &days).await,
        Verb::Publish { place, days, release } => publish(&place, &days, release).await,
        Verb::Refresh { place, days } => {
            Ok(publisher(place).refresh(in_days(Timestamp::now(), days.current_days)).await?)
        }
        Verb::Rotate { place, days } => {
            let now = Timestamp::now();
            Ok(publisher(place).rotate(in_days(now, days.root_days), &days.expiry(now)).await?)
        }
    }
}

async fn init(place: &Place, days: &Days) -> anyhow::Result<()> {
    let metadata = place.repository.join("metadata");
    if metadata.join("1.root.json").exists() {
        bail!("{} is a channel already", place.repository.display());
    }
    make_keys(&place.keys)?;
    let root = first_root(&place.keys, &metadata, in_days(Timestamp::now(), days.root_days)).await?;
    println!("{}", root.display());
    Ok(())
}

async fn publish(place: &Place, days: &Days, release: Release) -> anyhow::Result<()> {
    let document = Document {
        product: release.product,
        hardware: release.hardware,
        version: release.version,
        notes: release.notes,
        min_version: release.min_version,
        percent: release.percent,
    };
    let publisher = Publisher { repository: place.repository.clone(), keys: place.keys.clone() };
    let expiry = days.expiry(Timestamp::now());
    let done = publisher.publish(&release.release, &document, &expiry).await;
    done.with_context(|| format!("version {} is not published", document.version))
}

fn publisher(place: Place) -> Publisher {
    Publisher { repository: place.repository, keys: place.keys }
}

impl Days {
    fn expiry(&self, now: Timestamp) -> Expiry {
        Expiry::from_now(now, self.days, self.current_days)
    }
}
