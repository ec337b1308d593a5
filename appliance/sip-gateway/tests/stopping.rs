//! What becomes of calls when the gateway is told to stop, and what may be seen of it from outside?
//!
//! The real program and a Redis; LiveKit takes connections and says nothing, so that an outbound call rings for as
//! long as its phone likes.

#[path = "stopping/bench.rs"]
mod bench;

use bench::{Bench, Phone, UPSTREAM, get};
use nix::sys::signal::Signal;

#[tokio::test]
async fn after_sigterm_a_phone_rings_on_new_calls_are_refused_and_the_last_end_is_the_gateways() {
    let (mut bench, phone) = (Bench::start().await, Phone::new().await);
    bench.dial(&phone).await;
    let invite = phone.request("INVITE").await;
    phone.answer(&invite, "180 Ringing").await;
    assert_eq!(get(bench.health).await, (200, "OK".to_owned()));
    assert_eq!(bench.figure("calls_active{dir=\"out\"").await, Some(1.0));
    assert_eq!(bench.figure("livekit_sip_available").await, Some(1.0));

    bench.signal(Signal::SIGTERM);
    bench.says("no new calls are taken").await;
    assert_eq!(get(bench.health).await, (503, "Stopped".to_owned()));
    assert_eq!(bench.figure("livekit_sip_available").await, Some(0.0));
    let caller = Phone::new().await;
    caller.invite(bench.sip).await;
    assert_eq!(caller.final_status().await, 503);
    bench.reaches("invite_error{dir=\"in\"", 1.0).await; // counted once the answer is sent

    phone.answer(&invite, "486 Busy Here").await;
    phone.request("ACK").await;
    assert!(bench.ended().await.success());
}

#[tokio::test]
async fn sigint_ends_calls_also_when_they_were_allowed_to_go_on() {
    for before in [None, Some(Signal::SIGQUIT)] {
        let (mut bench, phone) = (Bench::start().await, Phone::new().await);
        bench.dial(&phone).await;
        let invite = phone.request("INVITE").await;
        phone.answer(&invite, "180 Ringing").await;
        if let Some(signal) = before {
            bench.signal(signal);
            bench.says("no new calls are taken").await;
        }
        bench.signal(Signal::SIGINT);
        let cancel = phone.request("CANCEL").await;
        phone.answer(&cancel, "200 OK").await;
        phone.answer(&invite, "487 Request Terminated").await;
        assert!(bench.ended().await.success());
    }
}

#[tokio::test]
async fn without_calls_every_signal_ends_it_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGINT] {
        let mut bench = Bench::start().await;
        bench.signal(signal);
        assert!(bench.ended().await.success(), "{signal}");
    }
}

#[tokio::test]
async fn livekit_sips_own_configuration_starts_the_gateway() {
    let mut bench = Bench::configured(".yaml", UPSTREAM).await;
    assert_eq!(get(bench.health).await, (200, "OK".to_owned()));
    let (status, figures) = get(bench.metrics).await;
    assert!(status == 200 && figures.contains("\nlivekit_sip_available{node_id="), "{figures}");
    assert!(bench.heard.contains("keys=\"sip_hostname, use_external_ip\""), "{}", bench.heard);
    bench.signal(Signal::SIGTERM);
    assert!(bench.ended().await.success());
}
