//! How does an answer reach the person, or the program, that asked?
//!
//! Every command makes one value that is both: text by `Display`, JSON by `Serialize`.

use serde::Serialize;
use std::{
    fmt::{self, Display},
    io::{self, Write},
};

/// Prints `report` as text, or as one JSON document.
pub fn show<R: Serialize + Display>(report: &R, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(report)? } else { report.to_string() };
    say(text.trim_end())
}

/// One line on stdout; a reader that closed its pipe has read enough.
pub fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A command that answers with one sentence.
#[derive(Debug, PartialEq, Serialize)]
pub struct Done {
    pub done: String,
}

impl Done {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { done: sentence.into() }
    }
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.done)
    }
}

/// Something a neighbour knows, or why it could not be asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Known<T> {
    Is(T),
    Unknown { problem: String },
}

impl<T> Known<T> {
    pub fn is(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// The value in words, or that and why it is unknown.
    pub fn words(&self, say: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Is(value) => say(value),
            Self::Unknown { problem } => format!("unknown: {problem}"),
        }
    }
}

impl<T, E: Into<anyhow::Error>> From<Result<T, E>> for Known<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Is(value),
            Err(error) => Self::Unknown { problem: format!("{:#}", error.into()) },
        }
    }
}
