//! Is there a moment without a table?

use crate::lab::{BOX, Host, Lab};
use std::{
    net::{Ipv6Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use types::firewall::{Applied, Peers};

const CLOSED: u16 = 9999;
const OPEN: u16 = 10000;
const SWAPS: u32 = 60;

/// Counts what arrives at a port of the box.
fn arrivals(lab: &Lab, port: u16) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let arrived = count.clone();
    lab.in_box(move || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
        std::thread::spawn(move || {
            while socket.recv(&mut [0; 16]).is_ok() {
                arrived.fetch_add(1, Relaxed);
            }
        });
    });
    count
}

/// A stranger sends to both ports without a pause.
fn hammer(lab: &Lab) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    lab.in_world(move || {
        let socket = UdpSocket::bind((Host::Stranger.v4(), 0)).unwrap();
        std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                let _ = socket.send_to(b"x", (BOX[0], CLOSED));
                let _ = socket.send_to(b"x", (BOX[0], OPEN));
            }
        });
    });
    stop
}

#[tokio::test(flavor = "multi_thread")]
async fn swapping_tables_never_opens_a_port_from_early_boot_on() {
    let mut lab = Lab::unguarded();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hardening/nftables/base.nft");
    assert!(lab.nft(&["-f", base]).status.success());
    let (closed, open) = (arrivals(&lab, CLOSED), arrivals(&lab, OPEN));
    let stop = hammer(&lab);
    lab.start().await;
    for number in 0..SWAPS {
        let peers = Peers { trunks: vec![], phones: vec![format!("198.51.100.{number}/32").parse().unwrap()] };
        lab.client().put::<_, Applied>("/v1/peers", &peers).await.unwrap();
    }
    let state = lab.state().await;
    stop.store(true, Relaxed);
    assert_eq!(closed.load(Relaxed), 0);
    assert!(open.load(Relaxed) > 0, "the stranger sent nothing");
    assert!(state.loaded && state.drops["unwanted"] > u64::from(SWAPS), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_early_boot_closes_all_and_goes_when_ours_comes() {
    let mut lab = Lab::unguarded();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hardening/nftables/base.nft");
    assert!(lab.nft(&["-f", base]).status.success());
    assert_eq!(lab.scan(), [] as [u16; 0]);
    lab.start().await;
    assert_eq!(lab.scan(), [443, 7881]);
    assert!(lab.nft(&["-f", base]).status.success(), "somebody loads it again");
    assert!(!lab.state().await.loaded);
    let healed = async { while !lab.state().await.loaded {} };
    tokio::time::timeout(crate::lab::PATIENCE, healed).await.unwrap();
    assert!(!lab.nft(&["list", "table", "inet", "scaibox_base"]).status.success());
}
