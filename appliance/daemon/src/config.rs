//! Where does a daemon's configuration come from, and is it right?
//!
//! One TOML file named by `--config FILE`; unknown keys are refused by the daemon's own struct
//! (`#[serde(deny_unknown_fields)]`), and the error names file, line and key. Checked before any socket is bound.

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Why a daemon could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("no configuration: start it with `{program} --config FILE`")]
    Missing { program: String },
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Invalid { path: PathBuf, source: Box<toml::de::Error> },
}

/// The file after `--config` on the command line.
pub fn path_from_args() -> Result<PathBuf, ConfigError> {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    while let Some(arg) = args.next() {
        if let Some(path) = arg.strip_prefix("--config=") {
            return Ok(path.into());
        }
        if arg == "--config" {
            return args.next().map(PathBuf::from).ok_or(ConfigError::Missing { program });
        }
    }
    Err(ConfigError::Missing { program })
}

/// Reads and checks one TOML file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Invalid { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        port: u16,
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port = 1\nprot = 2\n").unwrap();
        let text = load::<Sample>(file.path()).unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("prot"), "{text}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let text = load::<Sample>(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
        assert_eq!(text, "cannot read /nowhere/x.toml");
    }
}
