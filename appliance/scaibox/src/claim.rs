//! Which code makes somebody the operator of this box?
//!
//! `first-boot` keeps it in plain text for root alone while nobody has claimed the box.

use crate::places::Places;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::{fmt, fs, io};

#[derive(Debug, PartialEq, Serialize)]
pub struct ClaimCode {
    pub code: String,
}

/// Ten letters, kept without the dash that makes them readable.
#[derive(Deserialize)]
struct Offer {
    code: String,
}

pub fn code(places: &Places) -> anyhow::Result<ClaimCode> {
    let path = places.claim();
    match fs::read_to_string(&path) {
        Ok(text) => {
            let offer: Offer = serde_json::from_str(&text).with_context(|| format!("{} is broken", path.display()))?;
            Ok(ClaimCode { code: in_groups(&offer.code) })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("there is no claim code: the box is claimed, or its first start is not finished")
        }
        Err(error) => Err(error).with_context(|| format!("could not read {}: run this as root", path.display())),
    }
}

fn in_groups(code: &str) -> String {
    match code.split_at_checked(5) {
        Some((left, right)) if !code.contains('-') && !right.is_empty() => format!("{left}-{right}"),
        _ => code.to_owned(),
    }
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_shown_as_the_screen_shows_it() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::under(root.path());
        fs::create_dir_all(places.secrets()).unwrap();
        fs::write(places.claim(), r#"{"code":"ABCDE23456","hash":{"salt":"s","hash":"h"},"boot_id":"b"}"#).unwrap();
        assert_eq!(code(&places).unwrap().to_string(), "ABCDE-23456");
    }

    #[test]
    fn a_box_without_a_code_says_why() {
        let root = tempfile::tempdir().unwrap();
        let text = code(&Places::under(root.path())).unwrap_err().to_string();
        assert!(text.contains("the box is claimed"), "{text}");
    }
}
