//! Does a changed public address reach the carriers? The whole way: a router's new address, STUN, the
//! control socket, REGISTER. Hosts are network namespaces, NAT is the kernel's.

#[path = "addresses/bench.rs"]
mod bench;
#[path = "../../network-info/tests/lab/mod.rs"]
mod lab;

use bench::{Bench, Registrar};
use lab::{Lab, Masquerade, eventually};
use std::time::Duration;
use types::network::Addresses;

/// What the issue promises.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_routers_new_address_registers_every_trunk_anew_within_thirty_seconds() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let (first, second) = (Registrar::at(&lab.outside, "203.0.113.10"), Registrar::at(&lab.outside, "203.0.113.11"));
    let near = Registrar::at(&lab.router, "192.168.77.1");
    let bench = Bench::start(&lab).await;
    bench.told("203.0.113.2").await;

    bench.register(&["203.0.113.10", "203.0.113.11", "192.168.77.1"]).await;
    for carrier in [&first, &second] {
        assert_eq!(carrier.contacts().await, ["203.0.113.2:5060"]);
    }
    assert_eq!(near.contacts().await, ["192.168.77.2:5060"], "a registrar on our side of the NAT sees our own address");

    lab.renumber_router("203.0.113.2", "203.0.113.3");
    let both = async { tokio::join!(first.contacts(), second.contacts()) };
    let (at_first, at_second) = tokio::time::timeout(LIMIT, both).await.expect("a REGISTER in 30 seconds");
    let moved = ["203.0.113.3:5060", "203.0.113.2:5060;expires=0"];
    assert_eq!((at_first, at_second), (moved.map(str::to_owned).to_vec(), moved.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_gateway_that_was_started_anew_is_told_again() {
    let lab = Lab::new();
    lab.masquerade(Masquerade::KeepsPorts);
    let mut bench = Bench::start(&lab).await;
    bench.told("203.0.113.2").await;
    bench.restart_gateway(&lab);
    bench.told("203.0.113.2").await;
}

#[tokio::test]
async fn what_is_put_is_what_is_shown() {
    let lab = Lab::new();
    let bench = Bench::without_network_info(&lab).await;
    assert_eq!(bench.gateway.get::<Addresses>("/v1/addresses").await.unwrap(), Addresses::default());
    let told = Addresses {
        egress: Some("203.0.113.77".parse().unwrap()),
        networks: vec!["192.168.77.0/24".parse().unwrap()],
        online: true,
    };
    assert_eq!(bench.gateway.put::<_, Addresses>("/v1/addresses", &told).await.unwrap(), told);
    let shown = eventually("the addresses", async || bench.gateway.get::<Addresses>("/v1/addresses").await.ok()).await;
    assert_eq!(shown, told);
}
