//! Where is the gateway's configuration, and in whose words?
//!
//! `--config FILE` names our TOML, or livekit-sip's YAML if it ends in `.yaml` or `.yml`. As upstream has it, the YAML
//! itself may be in `--config-body` or `SIP_CONFIG_BODY`, and `SIP_CONFIG_FILE` may name the file.
//!
//! What the keys mean: [`crate::config`] and [`crate::upstream_config`].

use crate::{config::Config, upstream_config};
use anyhow::Context;
use std::{
    env,
    path::{Path, PathBuf},
};

/// The configuration, checked.
pub fn load() -> anyhow::Result<Config> {
    let config = match argument("--config-body").or_else(|| variable("SIP_CONFIG_BODY")) {
        Some(body) => upstream(&body).context("the configuration's body")?,
        None => of_file(&path()?)?,
    };
    config.check()?;
    Ok(config)
}

fn path() -> anyhow::Result<PathBuf> {
    match daemon::config::path_from_args() {
        Ok(path) => Ok(path),
        Err(missing) => variable("SIP_CONFIG_FILE").map(PathBuf::from).ok_or_else(|| missing.into()),
    }
}

fn of_file(path: &Path) -> anyhow::Result<Config> {
    if !path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
        return Ok(daemon::config::load(path)?);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    upstream(&text).with_context(|| path.display().to_string())
}

fn upstream(text: &str) -> anyhow::Result<Config> {
    let read = upstream_config::read(text, variable)?;
    if !read.without_effect.is_empty() {
        let keys = read.without_effect.join(", ");
        tracing::warn!(keys, "keys of livekit-sip that have no effect here");
    }
    Ok(read.config)
}

/// The word after `name` on the command line, or after its `=`.
fn argument(name: &str) -> Option<String> {
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.strip_prefix(name) {
            Some("") => return args.next(),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ending: &str, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_ending_says_whose_words_they_are() {
        let yaml = "api_key: key\napi_secret: secret\nws_url: ws://127.0.0.1:7880\nredis:\n  address: 127.0.0.1:6379\n";
        assert!(of_file(file(".yml", yaml).path()).unwrap().control.is_none());
        assert!(of_file(file(".toml", yaml).path()).is_err());
        let missing = of_file(Path::new("/nowhere/x.yaml")).unwrap_err().to_string();
        assert_eq!(missing, "cannot read /nowhere/x.yaml");
    }

    #[test]
    fn a_refused_file_is_named() {
        let refused = of_file(file(".yaml", "sip_prot: 5060\n").path()).unwrap_err();
        let text = format!("{refused:#}");
        assert!(text.contains(".yaml") && text.contains("`sip_prot`"), "{text}");
    }
}
