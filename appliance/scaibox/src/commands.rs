//! Who answers which command?

use crate::{
    backup::{create, manifest::Manifest, place, place::Store, restore, seal::Key, seal::Lock},
    claim,
    cli::{BackupCommand, Cli, Command, FirewallCommand, GateArgs, ManagementCommand, SshCommand, UpdateCommand},
    factory_reset, firewall,
    health::{self, Gate, decide::Limits},
    neighbours::Neighbours,
    operator,
    places::Places,
    report::{Done, show},
    ssh, status,
    update::{self, Apply},
};
use anyhow::bail;
use std::path::PathBuf;

pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let places = Places::under(&cli.root);
    match cli.command {
        Command::Status => show(&status::status(&places).await, cli.json),
        Command::HealthGate(args) => health::gate(&places, gate(args)).await,
        Command::Update(command) => updates(&Neighbours::at(&places), command, cli.json).await,
        Command::Firewall(command) => walls(&Neighbours::at(&places), command, cli.json).await,
        Command::Ssh(command) => show(&shell(&places, command).await?, cli.json),
        Command::ClaimCode => show(&claim::code(&places)?, cli.json),
        Command::Backup(command) => show(&backups(&places, command).await?, cli.json),
        Command::FactoryReset { yes } => show(&factory_reset::reset(&places, yes).await?, cli.json),
        Command::Operator => daemon::run_until_signal(|stop| operator::serve(places, stop)).await,
        Command::Version => show(&Done::new(places.version()), cli.json),
    }
}

fn gate(args: GateArgs) -> Gate {
    let limits = Limits { total: args.total, own: args.limit };
    Gate { limits, self_call: args.self_call, bless_boot: args.bless_boot }
}

async fn updates(neighbours: &Neighbours, command: UpdateCommand, json: bool) -> anyhow::Result<()> {
    match command {
        UpdateCommand::Status => show(&update::state(neighbours).await?, json),
        UpdateCommand::Check => show(&update::check(neighbours).await?, json),
        UpdateCommand::Apply { version, now, usb, source, force } => {
            let source = if usb { Some("usb".to_owned()) } else { source };
            show(&update::apply(neighbours, &Apply { version, source, now, force }).await?, json)
        }
        UpdateCommand::Rollback => show(&update::roll_back(neighbours).await?, json),
    }
}

async fn shell(places: &Places, command: SshCommand) -> anyhow::Result<Done> {
    match command {
        SshCommand::Open { hours, key } => {
            let until = ssh::open(places, hours, key).await?;
            Ok(Done::new(format!("SSH is open for the management networks until {until}")))
        }
        SshCommand::Close => {
            ssh::close(&Neighbours::at(places)).await?;
            Ok(Done::new("SSH is closed"))
        }
    }
}

async fn walls(neighbours: &Neighbours, command: FirewallCommand, json: bool) -> anyhow::Result<()> {
    use {FirewallCommand as F, ManagementCommand as M};
    match command {
        F::State => show(&firewall::state(neighbours).await?, json),
        F::Ban { address, hours, reason } => {
            show(&firewall::ban(neighbours, address, hours * 3600, reason).await?, json)
        }
        F::Unban { address } => show(&firewall::unban(neighbours, address).await?, json),
        F::Management(M::Set { networks }) => show(&firewall::set_management(neighbours, networks).await?, json),
        F::Management(M::Confirm) => show(&firewall::confirm_management(neighbours).await?, json),
    }
}

async fn backups(places: &Places, command: BackupCommand) -> anyhow::Result<Done> {
    match command {
        BackupCommand::Create { to, s3_config, passphrase_file, recipient } => {
            let store = Store::at(&to, s3(s3_config)?.as_ref())?;
            let manifest = save(places.clone(), store, lock(passphrase_file, recipient)?).await?;
            Ok(Done::new(format!("version {}, schema {}, is saved in {to}", manifest.version, manifest.schema_version)))
        }
        BackupCommand::Restore { from, s3_config, passphrase_file, identity, force, no_services } => {
            let key = key(passphrase_file, identity)?;
            let store = Store::at(&from, s3(s3_config)?.as_ref())?;
            let request = restore::Request { from: store, key, force, services: !no_services };
            let Manifest { created_at, version, .. } = restore::restore(places, request).await?;
            Ok(Done::new(format!("this is now the box of {} (version {version})", firewall::second(created_at))))
        }
        BackupCommand::Settle => Ok(Done::new(match restore::settle(places)? {
            true => "an interrupted restore was completed",
            false => "nothing was left to be done",
        })),
    }
}

/// Compressing and encrypting block, so they have a thread of their own.
async fn save(places: Places, store: Store, lock: Lock) -> anyhow::Result<Manifest> {
    let work = move || {
        let (sink, manifest) = create::create(&places, &lock, store.write()?)?;
        sink.finish()?;
        anyhow::Ok(manifest)
    };
    tokio::task::spawn_blocking(work).await?
}

fn s3(config: Option<PathBuf>) -> anyhow::Result<Option<crate::backup::s3::S3Config>> {
    Ok(config.map(|path| place::read_s3_config(&path)).transpose()?)
}

fn lock(passphrase_file: Option<PathBuf>, recipient: Option<String>) -> anyhow::Result<Lock> {
    match (passphrase_file, recipient) {
        (Some(path), _) => Ok(Lock::from_passphrase_file(&path)?),
        (None, Some(recipient)) => Ok(Lock::from_recipient(&recipient)?),
        (None, None) => bail!("a backup needs --passphrase-file or --recipient"),
    }
}

fn key(passphrase_file: Option<PathBuf>, identity: Option<PathBuf>) -> anyhow::Result<Key> {
    match (passphrase_file, identity) {
        (Some(path), _) => Ok(Key::from_passphrase_file(&path)?),
        (None, Some(path)) => Ok(Key::from_identity_file(&path)?),
        (None, None) => bail!("a restore needs --passphrase-file or --identity"),
    }
}
