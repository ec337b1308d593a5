//! How does somebody claim this box over HTTP?
//!
//! `control-api` passes `/v1/setup` on to our socket. [`http`] reads and answers, [`clerk`] checks the
//! code and lets `control-api` make the account, [`problem`] is what a refusal looks like.

mod clerk;
mod http;
mod problem;

use crate::{claim::code::CodeHash, here::Uptime};
use clerk::Clerk;
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// `first-boot.toml`; unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub socket: PathBuf,
    /// `control-api`'s socket: it makes the account.
    pub control_socket: PathBuf,
    pub state_dir: PathBuf,
    pub name: String,
    pub version: String,
    /// The page that asks for the code.
    pub claim_url: Option<String>,
    /// Left out once the box is claimed.
    pub code: Option<CodeHash>,
}

/// Answers until `stop`, also on a claimed box.
pub async fn serve(config: Config, uptime: Uptime, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = daemon::unix_http::bind(&config.socket)?;
    let clerk = Arc::new(Clerk::new(config, uptime));
    let watch = tokio::spawn(clerk::learn_of_a_claim(clerk.clone(), stop.clone()));
    daemon::ready();
    axum::serve(listener, http::router(clerk)).with_graceful_shutdown(stop.cancelled_owned()).await?;
    watch.await?;
    Ok(())
}
