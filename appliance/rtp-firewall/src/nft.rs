//! How does a table get into the kernel, and back out as JSON?
//!
//! By the tool `nft`, which is what an operator would look with too. A transaction is checked first and
//! then loaded in one step: the kernel takes all of it or nothing.

use crate::observed::Observed;
use serde_json::Value;
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command};

/// A healthy nft needs some hundredths of a second.
const LIMIT: Duration = Duration::from_secs(30);

/// Why the kernel's table could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    #[error("could not run {program}: {source}")]
    NotRun { program: PathBuf, source: std::io::Error },
    #[error("nft {what}: {words}")]
    Refused { what: &'static str, words: String },
    #[error("nft did not answer in {LIMIT:?}")]
    TimedOut,
    #[error("nft answered something else than JSON: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// The tool.
#[derive(Clone, Debug)]
pub struct Nft {
    program: PathBuf,
}

impl Nft {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Checks the transaction, then loads it.
    pub async fn apply(&self, transaction: &Value) -> Result<(), NftError> {
        let json = serde_json::to_vec(transaction)?;
        self.run("refused the table", &["-c", "-j", "-f", "-"], &json).await?;
        self.run("could not load the table", &["-j", "-f", "-"], &json).await?;
        Ok(())
    }

    /// What the kernel holds now.
    pub async fn observe(&self) -> Result<Observed, NftError> {
        let listing = self.run("could not list the tables", &["-j", "list", "ruleset", "inet"], b"").await?;
        Ok(Observed::read(&serde_json::from_slice(&listing)?))
    }

    async fn run(&self, what: &'static str, args: &[&str], input: &[u8]) -> Result<Vec<u8>, NftError> {
        let output = tokio::time::timeout(LIMIT, self.exchange(args, input))
            .await
            .map_err(|_| NftError::TimedOut)?
            .map_err(|source| NftError::NotRun { program: self.program.clone(), source })?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(NftError::Refused { what, words: first_words(&output.stderr) }),
        }
    }

    async fn exchange(&self, args: &[&str], input: &[u8]) -> std::io::Result<std::process::Output> {
        let mut child = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // it may have refused and gone before it read everything; its words are on stderr then
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    }
}

/// The first line that says something.
fn first_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it gave no reason").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_named() {
        let error = Nft::new("/nowhere/nft").apply(&json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "could not run /nowhere/nft: No such file or directory (os error 2)");
    }

    #[tokio::test]
    async fn a_refusal_carries_the_words_of_nft() {
        let error = Nft::new("nft").apply(&json!({ "nftables": [{ "add": { "tabel": {} } }] })).await.unwrap_err();
        assert!(error.to_string().starts_with("nft refused the table: "), "{error}");
        assert!(error.to_string().contains("Unknown object"), "{error}");
    }
}
