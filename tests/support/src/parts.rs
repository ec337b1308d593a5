//! What runs in a box, in which order, and how is each part told what it needs?

use crate::{
    args::Args,
    certificate::Certificate,
    config,
    data::DataDir,
    ports::{HOST, Ports},
    probe::Probe,
    secrets::Secrets,
};
use anyhow::Context;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// A part's name: the same in logs, in `pids`, in `run/hold/` and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Name {
    Redis,
    Minio,
    #[value(name = "livekit-server", alias = "livekit")]
    LivekitServer,
    SipGateway,
    ControlApi,
    VoiceWorker,
}

impl Name {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Minio => "minio",
            Self::LivekitServer => "livekit-server",
            Self::SipGateway => "sip-gateway",
            Self::ControlApi => "control-api",
            Self::VoiceWorker => "voice-worker",
        }
    }
}

/// A process to keep running.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: Name,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(&'static str, String)>,
    pub probe: Probe,
    /// It starts when these are ready.
    pub after: &'static [Name],
    /// livekit-server waits for its guests after one SIGTERM and goes at the second.
    pub second_sigterm: Option<Duration>,
}

/// What the parts' configuration is made from.
pub struct Plan<'a> {
    pub args: &'a Args,
    pub data: &'a DataDir,
    pub ports: &'a Ports,
    pub secrets: &'a Secrets,
}

impl Plan<'_> {
    /// Every part with its configuration written, in starting order.
    pub fn parts(&self) -> anyhow::Result<Vec<Part>> {
        let tls = Certificate::make(self.data)?;
        Ok(vec![
            self.redis()?,
            self.minio()?,
            self.livekit()?,
            self.daemon(Name::SipGateway, config::sip_gateway(self, &tls))?,
            self.daemon(Name::ControlApi, config::control_api(self))?,
            self.daemon(Name::VoiceWorker, config::voice_worker(self))?,
        ])
    }

    fn redis(&self) -> anyhow::Result<Part> {
        let file = self.data.write("config/redis.conf", &config::redis(self))?;
        Ok(Part {
            name: Name::Redis,
            program: named_by("REDIS_SERVER_BIN", "redis-server"),
            args: vec![file.into()],
            env: vec![],
            probe: Probe::Redis(self.ports.redis()),
            after: &[],
            second_sigterm: None,
        })
    }

    fn minio(&self) -> anyhow::Result<Part> {
        let address = format!("{HOST}:{}", self.ports.s3());
        Ok(Part {
            name: Name::Minio,
            program: named_by("MINIO_BIN", "minio"),
            args: ["server", "--quiet", "--address", &address]
                .map(OsString::from)
                .into_iter()
                .chain([self.data.join("objects").into()])
                .collect(),
            env: vec![
                ("MINIO_ROOT_USER", self.secrets.s3_access_key.clone()),
                ("MINIO_ROOT_PASSWORD", self.secrets.s3_secret_key.clone()),
                ("MINIO_BROWSER", "off".to_owned()),
                ("MINIO_UPDATE", "off".to_owned()),
            ],
            probe: Probe::Http(self.ports.s3_url()),
            after: &[],
            second_sigterm: None,
        })
    }

    fn livekit(&self) -> anyhow::Result<Part> {
        let file = self.data.write("config/livekit-server.yaml", &config::livekit(self).to_string())?;
        Ok(Part {
            name: Name::LivekitServer,
            program: named_by("LIVEKIT_SERVER_BIN", "livekit-server"),
            args: vec!["--config".into(), file.into()],
            env: vec![],
            probe: Probe::Http(format!("http://{HOST}:{}/", self.ports.livekit())),
            after: &[Name::Redis],
            second_sigterm: Some(Duration::from_millis(500)),
        })
    }

    /// One of ours: `--config FILE`, and it says when it is ready.
    fn daemon(&self, name: Name, config: serde_json::Value) -> anyhow::Result<Part> {
        let file = self.data.write(&format!("config/{}.toml", name.as_str()), &toml::to_string(&config)?)?;
        let socket = self.data.socket(&format!("notify-{}", name.as_str()));
        Ok(Part {
            name,
            program: our_program(name.as_str())?,
            args: vec!["--config".into(), file.into()],
            env: vec![("NOTIFY_SOCKET", text_of(&socket)?)],
            probe: Probe::Notify(socket),
            after: &[Name::Redis, Name::Minio, Name::LivekitServer],
            second_sigterm: None,
        })
    }
}

pub fn text_of(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

fn named_by(variable: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| otherwise.into(), Into::into)
}

/// Our programs lie beside this one.
fn our_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is not built: cargo build --bins", path.display());
    Ok(path)
}
