//! What if another program speaks SIP and RTP here: LiveKit's own livekit-sip?
//!
//! With `sip.engine = "livekit-sip"` this process is its keeper ([`keeper`]): it writes its configuration ([`yaml`]),
//! starts and ends it ([`child`]), asks whether it is well ([`pulse`]) and retells what it logs ([`log_line`],
//! [`retell`]). Calls go past us; which there are is read from LiveKit's rooms ([`rooms`], [`legs`]), and the control
//! plane hears of them as it does with our own engine. What livekit-sip cannot do is refused ([`control`]).

pub mod child;
mod control;
mod keeper;
mod legs;
mod log_line;
mod pulse;
mod retell;
mod rooms;
mod state;
mod yaml;

use crate::{config::Config, signals::Stop};
use anyhow::Context;
use daemon::{spool::Spool, unix_http};
use state::Shared;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use types::control::Event;

/// Keeps livekit-sip until `stop`, lets its calls end, and says the last events.
pub async fn keep(config: Config, stop: Stop) -> anyhow::Result<()> {
    let control = config.control.clone().context("control is missing")?;
    let program = config.sip.livekit_sip_bin.clone().context("sip.livekit_sip_bin is missing")?;
    child::check(&program)?;
    let spool = Spool::open(config.spool_dir.as_deref().context("spool_dir is missing")?, "sip-gateway")?;
    spool.append(None, Event::Started { legs: Vec::new() });
    let shared = Arc::new(Shared::new(config, spool.clone())?);
    let ended = CancellationToken::new();
    let telling = tokio::spawn({
        let (api, ended) = (unix_http::Client::new(&control.api_socket), ended.clone());
        async move { spool.run(api, ended).await }
    });
    let looking = tokio::spawn(rooms::watch(shared.clone(), ended.clone()));
    let serving = tokio::spawn(control::serve(shared.clone(), control.listen_socket, ended.clone()));
    tokio::select! {
        kept = keeper::run(&shared, &program, &stop) => kept?, // in this task: `child` says why
        broken = serving => anyhow::bail!("the control socket closed: {broken:?}"),
    }
    ended.cancel();
    looking.await?;
    telling.await?;
    Ok(())
}
