//! What can be asked of `scaibox`?

use crate::{backup::place::Place, health::decide::Step};
use clap::{ArgGroup, Args, Parser, Subcommand};
use ipnet::IpNet;
use std::{net::IpAddr, path::PathBuf, time::Duration};
use types::ssh::PublicKey;

/// The command line of the box. Run it as root.
#[derive(Debug, Parser)]
#[command(name = "scaibox", disable_version_flag = true, arg_required_else_help = true)]
pub struct Cli {
    /// Answer as one JSON document.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the box's file system lies.
    #[arg(long, global = true, default_value = "/", value_name = "DIR")]
    pub root: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Version, addresses, daemons, health and calls at a glance.
    Status,
    /// Check this version before it is blessed (run once per boot by scaibox-health.service).
    HealthGate(GateArgs),
    /// Look for, install and take back versions.
    #[command(subcommand)]
    Update(UpdateCommand),
    /// Who reaches the box.
    #[command(subcommand)]
    Firewall(FirewallCommand),
    /// A shell for a limited time.
    #[command(subcommand)]
    Ssh(SshCommand),
    /// The code that makes somebody the operator of this box.
    ClaimCode,
    /// Save the box's data, or make this box another one's successor.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Erase everything and restart as new.
    FactoryReset {
        /// Yes, erase everything.
        #[arg(long)]
        yes: bool,
    },
    /// What the API may ask of root (run by scaibox-operator.service).
    Operator,
    /// The version that runs.
    Version,
}

#[derive(Debug, Args)]
pub struct GateArgs {
    /// Seconds for all checks together.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub total: Duration,
    /// Seconds for one check: firewall, api, database, storage or self-call. May be repeated.
    #[arg(long, value_name = "CHECK=SECONDS", value_parser = limit)]
    pub limit: Vec<(Step, Duration)>,
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/lib/scaibox/self-call")]
    pub self_call: PathBuf,
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/lib/systemd/systemd-bless-boot")]
    pub bless_boot: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum UpdateCommand {
    /// What runs, what is available, what failed and why.
    Status,
    /// Ask the channel for news.
    Check,
    /// Install a version, the newest if none is named.
    Apply {
        version: Option<String>,
        /// Wait neither for the maintenance window nor for calls to end.
        #[arg(long)]
        now: bool,
        /// From a stick with the label SCAIBOX.
        #[arg(long, conflicts_with = "source")]
        usb: bool,
        /// From another channel.
        #[arg(long, value_name = "URL")]
        source: Option<String>,
        /// Also when that very version failed before.
        #[arg(long, requires = "version")]
        force: bool,
    },
    /// Restart with the previous version.
    Rollback,
}

#[derive(Debug, Subcommand)]
pub enum FirewallCommand {
    /// Peers, networks, bans and what was dropped.
    State,
    /// Shut an address out for a time.
    Ban {
        address: IpAddr,
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8760))]
        hours: u32,
        #[arg(long, default_value = "banned by the operator")]
        reason: String,
    },
    /// Let it in again.
    Unban { address: IpAddr },
    /// The networks the box is managed from.
    #[command(subcommand)]
    Management(ManagementCommand),
}

#[derive(Debug, Subcommand)]
pub enum ManagementCommand {
    /// Only from these; undone after two minutes unless confirmed.
    Set {
        #[arg(required = true, value_name = "NET")]
        networks: Vec<IpNet>,
    },
    /// Keep the networks that were set.
    Confirm,
}

#[derive(Debug, Subcommand)]
pub enum SshCommand {
    /// For the management networks, at most eight hours.
    Open {
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8))]
        hours: u32,
        /// The public key that may sign in, a line as in an authorized_keys file, in the place of all others.
        #[arg(long)]
        key: Option<PublicKey>,
    },
    /// At once.
    Close,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Save everything into one encrypted file or S3 object; calls go on.
    #[command(group(ArgGroup::new("lock").required(true).args(["passphrase_file", "recipient"])))]
    Create {
        /// A file, or s3://bucket/key.
        #[arg(long, value_name = "PLACE")]
        to: Place,
        /// endpoint, region, access_key and secret_key as TOML.
        #[arg(long, value_name = "FILE")]
        s3_config: Option<PathBuf>,
        /// Its first line is the passphrase.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Who can open it: an age recipient (age1…).
        #[arg(long)]
        recipient: Option<String>,
    },
    /// Make this box the one in the backup. Everything is verified before anything changes.
    #[command(group(ArgGroup::new("key").required(true).args(["passphrase_file", "identity"])))]
    Restore {
        /// A file, or s3://bucket/key.
        from: Place,
        #[arg(long, value_name = "FILE")]
        s3_config: Option<PathBuf>,
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// The age identity that belongs to the recipient.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// Also when this box is claimed: its data is lost.
        #[arg(long)]
        force: bool,
        /// Neither stop nor start daemons: for a disk that no system runs from.
        #[arg(long)]
        no_services: bool,
    },
    /// End what a power cut interrupted (run at each start, before the daemons).
    Settle,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is not a number of seconds"))
}

fn limit(text: &str) -> Result<(Step, Duration), String> {
    let (step, limit) = text.split_once('=').ok_or_else(|| format!("`{text}` is not written CHECK=SECONDS"))?;
    Ok((step.parse()?, seconds(limit)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_limit_names_its_check() {
        let cli = parse("scaibox health-gate --limit api=90 --limit self-call=30").unwrap();
        let Command::HealthGate(gate) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(gate.limit, [(Step::Api, Duration::from_secs(90)), (Step::SelfCall, Duration::from_secs(30))]);
        assert_eq!(gate.total, Duration::from_secs(600));
        assert!(parse("scaibox health-gate --limit sip=9").unwrap_err().contains("it is one of firewall, api"));
        assert!(parse("scaibox health-gate --limit api").unwrap_err().contains("is not written CHECK=SECONDS"));
    }

    #[test]
    fn a_backup_is_never_made_without_encryption() {
        assert!(parse("scaibox backup create --to /mnt/box.age").unwrap_err().contains("--passphrase-file"));
        assert!(parse("scaibox backup create --to /mnt/box.age --recipient age1x").is_ok());
        assert!(parse("scaibox backup create --to /mnt/box.age --recipient age1x --passphrase-file /p").is_err());
    }

    #[test]
    fn ssh_is_open_for_a_working_day_at_most() {
        assert!(parse("scaibox ssh open --hours 8").is_ok());
        assert!(parse("scaibox ssh open --hours 9").is_err());
        assert!(parse("scaibox ssh open").is_err());
    }

    #[test]
    fn an_update_comes_from_one_place() {
        assert!(parse("scaibox update apply 9 --usb --now").is_ok());
        assert!(parse("scaibox update apply --usb --source https://example.com").is_err());
        assert!(parse("scaibox update apply 9 --force").is_ok());
        assert!(parse("scaibox update apply --force").is_err());
    }
}
