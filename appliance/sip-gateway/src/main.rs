//! SIP and RTP on one side, LiveKit rooms on the other.
//!
//! Table of contents: [`config`], our [`addresses`], what all calls share ([`gateway`]), calls that come ([`inbound`]),
//! calls that livekit-server asks for ([`outbound`]), transfers ([`transfer`]), one call's life
//! ([`leg`], decided in [`leg_state`]), its [`pin`] and [`prompts`], its audio ([`media_thread`]), carriers ([`registrations`])
//! and what they can do ([`probe`]), what the control plane may ask ([`control`]) and hears ([`events`], [`offenders`]),
//! what others may look at ([`observe`]), what was said ([`trace`]), and
//! the end ([`signals`]). livekit-sip's own configuration is understood, too ([`upstream_config`]), and livekit-sip
//! itself may do all this in our place ([`engine`]).

mod addresses;
mod config;
mod config_source;
mod control;
mod cpu;
mod engine;
mod events;
mod gateway;
mod health;
mod inbound;
mod leg;
mod leg_state;
mod legs;
mod media_thread;
mod metrics;
mod observe;
mod offenders;
mod outbound;
mod participant;
mod pin;
mod probe;
mod prompts;
mod registrations;
mod signals;
mod trace;
mod transfer;
mod upstream_config;

use addresses::AddressBook;
use anyhow::Context;
use config::{Config, Transport};
use cpu::CpuLoad;
use daemon::{spool::Spool, unix_http};
use events::Events;
use gateway::Gateway;
use legs::Legs;
use livekit::{
    Certificate,
    api::Tokens,
    psrpc::{Bus, IoInfo, SipInternal},
};
use media::ports::PortPool;
use media_thread::MediaPool;
use metrics::Metrics;
use observe::Windows;
use parking_lot::Mutex;
use registrations::Registrations;
use signals::Stop;
use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trace::Traces;
use types::{CorrelationId, control::Event};

fn main() -> ExitCode {
    if let Some(failed) = engine::child::become_it() {
        return failed;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    daemon::log::init("sip-gateway");
    let config = config_source::load()?;
    let stop = Stop::on_signals()?;
    match config.sip.engine {
        config::Engine::SipGateway => serve(config, stop).await,
        config::Engine::LivekitSip => engine::keep(config, stop).await,
    }
}

/// Serves until `stop`, lets calls end as far as it wants, ends what is left and says the last events.
async fn serve(config: Config, stop: Stop) -> anyhow::Result<()> {
    let ended = CancellationToken::new(); // after the last leg
    let windows = Windows::open(&config.observe).await?;
    let (gateway, calls) = start(config, &ended).await?;
    let [health, metrics] = windows.addresses().map(|address| address.map(tracing::field::display));
    windows.serve(&gateway, &ended);
    let spool = tokio::spawn({
        let (gateway, ended) = (gateway.clone(), ended.clone());
        async move { gateway.spool.run(gateway.api.clone(), ended).await }
    });
    gateway.spool.append(None, Event::Started { legs: Vec::new() });
    let offenders = offenders::report(gateway.clone(), gateway.endpoint.offenders());
    tokio::spawn(ended.clone().run_until_cancelled_owned(offenders));
    let dialing = outbound::serve(&gateway).await;
    let control = tokio::spawn(control::serve(gateway.clone(), ended.clone()));
    let inbound = tokio::spawn(inbound::serve(gateway.clone(), calls, ended.clone()));
    daemon::ready();
    let sip = gateway.endpoint.local_addr();
    tracing::info!(sip.listen = %sip, health.listen = health, prometheus.listen = metrics, "sip-gateway serves");
    tokio::select! {
        _ = stop.soon.cancelled() => {}
        broken = control => anyhow::bail!("the control socket closed: {broken:?}"),
    }
    gateway.stopping.store(true, Ordering::Relaxed);
    dialing.close().await;
    end_calls(&gateway, &stop).await;
    gateway.registrations.close().await;
    ended.cancel();
    inbound.await?;
    spool.await?;
    Ok(())
}

/// How long calls that were not in the register yet may take to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Carriers find us until the last call is over: they may have something to say about it.
async fn end_calls(gateway: &Gateway, stop: &Stop) {
    let limit = gateway.config.drain_s;
    tracing::info!(calls = gateway.legs.len(), limit_s = limit, "no new calls are taken; those that are up may end");
    stop.let_end(&gateway.calls, limit.map(|s| Duration::from_secs(s.into()))).await;
    gateway.legs.stop_all().await;
    if tokio::time::timeout(LAST_WORDS, gateway.calls.wait()).await.is_err() {
        tracing::warn!("calls that were being set up are left behind");
    }
}

fn tls(config: &config::SipTls) -> Result<sip::tls::Tls, sip::tls::TlsError> {
    let files = sip::tls::TlsFiles {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        trust: config.trust.clone(),
        client: config.client.clone().map(|client| (client.certificate, client.key)),
        client_trust: config.client_trust.clone(),
    };
    sip::tls::Tls::load(config.listen, &files)
}

async fn start(
    config: Config,
    ended: &CancellationToken,
) -> anyhow::Result<(Arc<Gateway>, mpsc::Receiver<sip::InboundCall>)> {
    let addresses = Arc::new(AddressBook::new(&config));
    let advertised = addresses.clone();
    let traces = Arc::new(Traces::new(config.control.is_some()));
    let seeing = traces.clone();
    let (endpoint, calls) = sip::Endpoint::bind(
        sip::SipConfig {
            listen: config.sip.listen,
            udp: config.sip.transports.contains(&Transport::Udp),
            tcp: config.sip.transports.contains(&Transport::Tcp),
            tls: config.sip.tls.as_ref().map(tls).transpose().context("sip.tls")?,
            advertise: sip::Advertise::new(move |peer| advertised.sip_towards(peer)),
            user_agent: format!("ScaiBox sip-gateway/{}", env!("CARGO_PKG_VERSION")),
            phones: config.sip.phones.clone(),
            hide: config.sip.hide_inbound_port,
            tap: sip::Tap::new(move |seen| seeing.saw(seen)),
        },
        ended.clone(),
    )
    .await?;
    let bus = Bus::connect(&config.redis.url).await.context("redis.url")?;
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let spool = config.spool_dir.as_deref().map(|dir| Spool::open(dir, "sip-gateway")).transpose();
    let spool = spool.context("spool_dir")?;
    let instance = spool.as_ref().map_or_else(|| CorrelationId::new().to_string(), |spool| spool.instance().to_owned());
    let metrics = Arc::new(Metrics::new(&format!("NE_{instance}"))?);
    let gateway = Gateway {
        io: IoInfo::new(bus.clone()),
        rpc: SipInternal::new(bus.clone()),
        bus,
        addresses,
        endpoint,
        media: MediaPool::start(threads),
        certificate: Certificate::generate()?,
        identity: media::dtls::Identity::generate()?,
        tokens: Tokens::new(&config.livekit.api_key, &config.livekit.api_secret),
        legs: Legs::default(),
        registrations: Registrations::default(),
        traces,
        spool: Events::new(spool, metrics.clone(), instance),
        metrics,
        cpu: Arc::new(CpuLoad::default()),
        api: config.control.as_ref().map(|control| unix_http::Client::new(&control.api_socket)),
        ports: Arc::new(Mutex::new(PortPool::new(config.rtp.start, config.rtp.end))),
        calls: TaskTracker::new(),
        stopping: AtomicBool::new(false),
        probes: Semaphore::new(probe::AT_ONCE),
        config,
    };
    Ok((Arc::new(gateway), calls))
}
