//! Which files make a release, and is this one complete?
//!
//! In the channel the files of version V are named `V/FILE`; FILE is one of exactly five: the kernel image, the root
//! and verity partitions, and `SHA256SUMS` with its GPG signature. Anything else in a channel is refused: a file that
//! nobody asked for has no business on a box. `channel.json` says which version is current.

use crate::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the document that says what the channel offers.
pub const DOCUMENT: &str = "channel.json";
pub const SUMS: &str = "SHA256SUMS";
pub const SUMS_SIGNATURE: &str = "SHA256SUMS.gpg";

/// `channel.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub product: String,
    pub hardware: String,
    /// The version that boxes should have.
    pub version: Version,
    #[serde(default)]
    pub notes: String,
    /// The oldest version that can go to `version` directly; older boxes take this one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<Version>,
    /// How many of a hundred boxes take it by themselves.
    #[serde(default = "everybody")]
    pub percent: u8,
}

fn everybody() -> u8 {
    100
}

/// A file as the signed metadata describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its own name, as systemd-sysupdate sees it.
    pub name: String,
    /// Its place below `targets/` of a mirror.
    pub path: String,
    pub length: u64,
    pub sha256: [u8; 32],
}

/// All files of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    pub version: Version,
    pub files: Vec<File>,
}

/// Why a channel's list of files is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ReleaseError {
    #[error("the channel lists `{0}`, which is part of no release")]
    Extra(String),
    #[error("version {version} is incomplete: its {missing} is missing")]
    Incomplete { version: Version, missing: &'static str },
    #[error("version {version} has more than one {twice}")]
    Ambiguous { version: Version, twice: &'static str },
}

/// The parts, in the order in which they are told.
const PARTS: [&str; 5] = ["kernel image (.efi)", "root partition", "root-verity partition", SUMS, SUMS_SIGNATURE];

/// Sorts a channel's files into complete releases. `named` is (target name, file).
pub fn releases(
    product: &str,
    named: impl IntoIterator<Item = (String, File)>,
) -> Result<BTreeMap<Version, Release>, ReleaseError> {
    let mut found: BTreeMap<Version, BTreeMap<usize, File>> = BTreeMap::new();
    for (name, file) in named.into_iter().filter(|(name, _)| name != DOCUMENT) {
        let (version, part) = place(product, &name).ok_or(ReleaseError::Extra(name))?;
        if found.entry(version.clone()).or_default().insert(part, file).is_some() {
            return Err(ReleaseError::Ambiguous { version, twice: PARTS[part] });
        }
    }
    found.into_iter().map(|(version, parts)| Ok((version.clone(), complete(version, parts)?))).collect()
}

fn complete(version: Version, parts: BTreeMap<usize, File>) -> Result<Release, ReleaseError> {
    match (0..PARTS.len()).find(|part| !parts.contains_key(part)) {
        Some(part) => Err(ReleaseError::Incomplete { version, missing: PARTS[part] }),
        None => Ok(Release { version, files: parts.into_values().collect() }),
    }
}

/// The version and the part that a target name stands for.
fn place(product: &str, name: &str) -> Option<(Version, usize)> {
    let (version, file) = name.split_once('/')?;
    let version: Version = version.parse().ok()?;
    Some((version.clone(), part(product, &version, file)?))
}

fn part(product: &str, version: &Version, file: &str) -> Option<usize> {
    match file {
        SUMS => return Some(3),
        SUMS_SIGNATURE => return Some(4),
        _ => {}
    }
    let rest = file.strip_prefix(&format!("{product}_{version}."))?;
    if rest == "efi" {
        return Some(0);
    }
    let (kind, uuid) = rest.strip_suffix(".raw.gz")?.split_once('.')?;
    match kind {
        "root" if is_uuid(uuid) => Some(1),
        "root-verity" if is_uuid(uuid) => Some(2),
        _ => None,
    }
}

fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    digits == 32 && matches!(dashes, 0 | 4) && text.len() == digits + dashes
}

/// Does a file name belong to a release of this version? For the publisher.
pub fn belongs(product: &str, version: &Version, file: &str) -> bool {
    part(product, version, file).is_some()
}

/// Do `SHA256SUMS` (what root trusts) and the channel (what the agent trusts) speak of the same three files?
pub fn check_sums(release: &Release, sums: &str) -> Result<(), SumsError> {
    let mut listed = BTreeMap::new();
    for line in sums.lines() {
        let (hash, name) = line.split_once(' ').ok_or_else(|| SumsError::Unreadable(line.to_owned()))?;
        listed.insert(name.trim_start_matches([' ', '*']).to_owned(), hash.to_ascii_lowercase());
    }
    for file in release.files.iter().filter(|file| !matches!(file.name.as_str(), SUMS | SUMS_SIGNATURE)) {
        if listed.remove(&file.name) != Some(hex::encode(file.sha256)) {
            return Err(SumsError::Differs(file.name.clone()));
        }
    }
    listed.into_keys().next().map_or(Ok(()), |name| Err(SumsError::Extra(name)))
}

/// Why a release's own list of checksums is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SumsError {
    #[error("SHA256SUMS has a line that is none: `{0}`")]
    Unreadable(String),
    #[error("SHA256SUMS and the channel disagree about {0}")]
    Differs(String),
    #[error("SHA256SUMS lists {0}, which is not in the release")]
    Extra(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "d5b1c3a2d5b1c3a2d5b1c3a2d5b1c3a2";

    fn names(version: &str) -> Vec<String> {
        vec![
            format!("{version}/scaibox_{version}.efi"),
            format!("{version}/scaibox_{version}.root.{UUID}.raw.gz"),
            format!("{version}/scaibox_{version}.root-verity.{UUID}.raw.gz"),
            format!("{version}/SHA256SUMS"),
            format!("{version}/SHA256SUMS.gpg"),
        ]
    }

    fn sorted(names: Vec<String>) -> Result<BTreeMap<Version, Release>, ReleaseError> {
        let file = |name: &String| File { name: name.clone(), path: name.clone(), length: 1, sha256: [0; 32] };
        releases("scaibox", names.iter().map(|name| (name.clone(), file(name))))
    }

    #[test]
    fn five_files_make_a_release_and_several_may_be_offered() {
        let mut all = names("1.2");
        all.extend(names("2"));
        all.push(DOCUMENT.into());
        let found: Vec<_> = sorted(all).unwrap().into_keys().map(|version| version.to_string()).collect();
        assert_eq!(found, ["1.2", "2"]);
    }

    #[test]
    fn a_release_without_one_of_its_five_files_is_refused_by_name() {
        for (index, missing) in PARTS.into_iter().enumerate() {
            let mut some = names("2");
            some.remove(index);
            assert_eq!(sorted(some), Err(ReleaseError::Incomplete { version: "2".parse().unwrap(), missing }));
        }
    }

    #[test]
    fn a_file_that_is_part_of_no_release_is_refused() {
        let strangers = [
            "2/authorized_keys",
            "2/scaibox_3.efi",
            "2/other_2.efi",
            "2/../scaibox_2.efi",
            "scaibox_2.efi",
            "2/scaibox_2.root.zz.raw.gz",
            "02/SHA256SUMS",
        ];
        for stranger in strangers {
            let mut all = names("2");
            all.push(stranger.into());
            assert_eq!(sorted(all), Err(ReleaseError::Extra(stranger.into())));
        }
    }

    #[test]
    fn two_root_partitions_in_one_release_are_refused() {
        let mut all = names("2");
        all.push(format!("2/scaibox_2.root.{}.raw.gz", UUID.replace('d', "e")));
        let version = "2".parse().unwrap();
        assert_eq!(sorted(all), Err(ReleaseError::Ambiguous { version, twice: "root partition" }));
    }

    #[test]
    fn checksums_that_differ_from_the_channel_or_name_more_are_refused() {
        let file = |name: &str, byte| File { name: name.into(), path: name.into(), length: 1, sha256: [byte; 32] };
        let release = Release { version: "2".parse().unwrap(), files: vec![file("a.efi", 1), file(SUMS, 9)] };
        let good = format!("{}  a.efi\n", "01".repeat(32));
        assert_eq!(check_sums(&release, &good), Ok(()));
        assert_eq!(check_sums(&release, &good.replace("01", "02")), Err(SumsError::Differs("a.efi".into())));
        assert_eq!(check_sums(&release, ""), Err(SumsError::Differs("a.efi".into())));
        let more = format!("{good}{}  b.efi\n", "01".repeat(32));
        assert_eq!(check_sums(&release, &more), Err(SumsError::Extra("b.efi".into())));
    }
}
