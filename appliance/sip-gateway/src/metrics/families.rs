//! Which figures are there?
//!
//! As livekit-sip names them (its contract, section 8); all have the label `node_id`.

use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result, core::Collector,
};

/// Seconds that setting up a call takes.
const SHORT: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 180.0];
/// Seconds that a call takes.
const LONG: [f64; 9] = [1.0, 10.0, 60.0, 600.0, 1800.0, 3600.0, 21600.0, 43200.0, 86400.0];
/// Bytes of a session description.
const SIZES: [f64; 7] = [100.0, 250.0, 500.0, 750.0, 1000.0, 1250.0, 1500.0];

/// One field for each name.
pub struct Families {
    pub invite_requests: IntCounterVec,
    pub invite_accepted: IntCounterVec,
    pub invite_error: IntCounterVec,
    pub calls_active: IntGaugeVec,
    pub calls_terminated: IntCounterVec,
    pub packets: IntCounterVec,
    pub session: HistogramVec,
    pub call: HistogramVec,
    pub check: HistogramVec,
    pub join: HistogramVec,
    pub stage: HistogramVec,
    pub sdp_size: HistogramVec,
    pub sdp_parsed: IntCounterVec,
    pub codec_offered: IntCounterVec,
    pub transfers: IntCounterVec,
    pub transfers_succeeded: IntCounterVec,
    pub transfers_failed: IntCounterVec,
    pub transfers_active: IntGaugeVec,
    pub available: IntGauge,
    pub cpu_load: Gauge,
}

impl Families {
    pub fn register(registry: &Registry, node: &str) -> Result<Self> {
        let maker = Maker { registry, node };
        Ok(Self {
            invite_requests: maker.counters("invite_requests", "INVITEs that came or were sent", &["dir"])?,
            invite_accepted: maker.counters(
                "invite_accepted",
                "INVITEs that a trunk let in, or that a phone answered",
                &["dir", "to"],
            )?,
            invite_error: maker.counters("invite_error", "INVITEs that were refused", &["dir", "to", "reason"])?,
            calls_active: maker.gauges("calls_active", "Calls that are up or being set up", &["dir", "to"])?,
            calls_terminated: maker.counters(
                "calls_terminated",
                "Calls that ended, and whose doing it was",
                &["dir", "to", "result", "reason"],
            )?,
            packets: maker.counters(
                "packets_rtp",
                "RTP packets from and to phones",
                &["dir", "to", "op", "payload"],
            )?,
            session: maker.seconds("dur_session_sec", "From INVITE to the end", &["dir"], &LONG)?,
            call: maker.seconds("dur_call_sec", "From the joined room to the end", &["dir"], &LONG)?,
            check: maker.seconds("dur_check_sec", "From INVITE until its trunk is known", &["dir"], &SHORT)?,
            join: maker.seconds(
                "dur_join_sec",
                "From INVITE to the joined room (in) or the answer (out)",
                &["dir"],
                &SHORT,
            )?,
            stage: maker.seconds("stage_dur_sec", "Stages of a call", &["dir", "stage"], &SHORT)?,
            sdp_size: maker.histogram("sdp_size_bytes", "Sizes of session descriptions", &["type"], &SIZES)?,
            sdp_parsed: maker.counters("sdp_parsed_total", "Offers of callers that were read", &["dir", "provider"])?,
            codec_offered: maker.counters(
                "codec_offered_total",
                "Offers of callers that named a codec",
                &["dir", "provider", "codec"],
            )?,
            transfers: maker.counters("transfers_total", "Transfers that were asked for", &["dir"])?,
            transfers_succeeded: maker.counters("transfers_succeeded_total", "Transfers that worked", &["dir"])?,
            transfers_failed: maker.counters("transfers_failed_total", "Transfers that failed", &["dir", "reason"])?,
            transfers_active: maker.gauges("transfers_active", "Transfers under way", &["dir"])?,
            available: maker.kept(IntGauge::with_opts(maker.named("available", "Whether new calls are taken"))?)?,
            cpu_load: maker.cpu_load()?,
        })
    }
}

struct Maker<'a> {
    registry: &'a Registry,
    node: &'a str,
}

impl Maker<'_> {
    fn named(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("livekit").subsystem("sip").const_label("node_id", self.node)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.kept(IntCounterVec::new(self.named(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.kept(IntGaugeVec::new(self.named(name, help), labels)?)
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec> {
        self.histogram(name, &format!("{help}, in seconds"), labels, buckets)
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec> {
        let opts = HistogramOpts::from(self.named(name, help)).buckets(buckets.to_vec());
        self.kept(HistogramVec::new(opts, labels)?)
    }

    fn cpu_load(&self) -> Result<Gauge> {
        let opts = Opts::new("cpu_load", "How busy the processors are, 0 to 1").namespace("livekit").subsystem("node");
        self.kept(Gauge::with_opts(opts.const_label("node_id", self.node).const_label("node_type", "SIP"))?)
    }

    fn kept<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}
