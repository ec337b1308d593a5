//! What does an operator tell voice-worker?

use serde::Deserialize;
use std::path::PathBuf;
use types::Redacted;

/// The configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub livekit: LiveKit,
    pub s3: objects::S3Config,
    /// `control-api`'s socket, for events.
    pub control_socket: PathBuf,
    /// Recordings and events that are not delivered yet.
    pub spool_dir: PathBuf,
    #[serde(default)]
    pub speech: Speech,
    /// More jobs at once are refused.
    #[serde(default = "default_max_jobs")]
    pub max_jobs: usize,
    #[serde(default)]
    pub room_codec: RoomCodec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveKit {
    /// `ws://127.0.0.1:7880`
    pub url: String,
    pub api_key: String,
    pub api_secret: Redacted<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speech {
    /// The program, or a path to it.
    #[serde(default = "default_espeak")]
    pub espeak: String,
}

/// Which codec is published: what a phone takes without a transcode, or Opus for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomCodec {
    #[default]
    Auto,
    Opus,
}

impl Default for Speech {
    fn default() -> Self {
        Self { espeak: default_espeak() }
    }
}

fn default_espeak() -> String {
    "espeak-ng".to_owned()
}

fn default_max_jobs() -> usize {
    100
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        control_socket = "/run/scaibox/control.sock"
        spool_dir = "/var/lib/scaibox/spool/voice-worker"
        [livekit]
        url = "ws://127.0.0.1:7880"
        api_key = "key"
        api_secret = "secret"
        [s3]
        endpoint = "http://127.0.0.1:9000"
        region = "us-east-1"
        bucket = "recordings"
        access_key = "access"
        secret_key = "hidden"
        [speech]
        espeak = "/usr/bin/espeak-ng"
    "#;

    #[test]
    fn a_whole_file_is_understood_and_its_secrets_are_not_shown() {
        let config: Config = toml::from_str(FILE).unwrap();
        assert_eq!(config.speech.espeak, "/usr/bin/espeak-ng");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden") && !shown.contains("\"secret\""), "{shown}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Config>(&FILE.replace("[speech]", "[speach]")).is_err());
    }
}
