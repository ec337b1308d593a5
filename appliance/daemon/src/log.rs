//! Where do log lines go?
//!
//! To journald when systemd started us (`JOURNAL_STREAM`), else to stderr as `key=value` lines.
//! The level comes from `SCAIBOX_LOG` (tracing's filter syntax, default `info`).

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Libraries that say too much at `info`; rsipstack would log whole messages, credentials included.
const QUIET: [&str; 4] = ["rsipstack", "str0m", "hyper", "aws_smithy_runtime"];

/// Sets up logging for the whole process; `name` is the syslog identifier.
pub fn init(name: &str) {
    let asked = std::env::var("SCAIBOX_LOG").unwrap_or_default();
    let filter = EnvFilter::try_new(directives(&asked)).unwrap_or_else(|_| EnvFilter::new(directives("")));
    let registry = tracing_subscriber::registry().with(filter);
    match journal(name) {
        Some(layer) => registry.with(layer).init(),
        None => registry.with(stderr()).init(),
    }
}

/// What was asked for, with the quiet libraries quiet unless they were named.
fn directives(asked: &str) -> String {
    let mut all = if asked.is_empty() { "info".to_owned() } else { asked.to_owned() };
    for library in QUIET.iter().filter(|library| !asked.contains(**library)) {
        all.push_str(&format!(",{library}=warn"));
    }
    all
}

/// The journal's layer when stderr is connected to it.
fn journal(name: &str) -> Option<tracing_journald::Layer> {
    std::env::var_os("JOURNAL_STREAM")?;
    let layer = tracing_journald::layer().ok()?;
    Some(layer.with_syslog_identifier(name.to_owned()).with_field_prefix(None))
}

fn stderr<S>() -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_a_level_keeps_the_sip_stack_quiet() {
        assert!(directives("info").contains("rsipstack=warn"));
        assert!(directives("").starts_with("info,"));
        assert!(!directives("info,rsipstack=debug").contains("rsipstack=warn"));
    }
}
