//! How does the daemon start, mend and end?

use crate::lab::{Lab, PATIENCE};
use types::firewall::{Applied, Peers};

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_ready_has_loaded_its_table() {
    let mut lab = Lab::unguarded();
    lab.start().await;
    assert!(lab.nft(&["list", "chain", "inet", "scaibox", "input"]).status.success());
    let state = lab.state().await;
    assert!(state.loaded, "{state:?}");
    assert_eq!(state.problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_cannot_load_its_table_ends_with_the_reason() {
    let lab = Lab::unguarded();
    let output = lab.start_in_vain("/nowhere/nft");
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("the firewall could not be loaded") && words.contains("/nowhere/nft"), "{words}");
    assert!(!lab.path("firewall.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_removed_or_opened_comes_back() {
    let lab = Lab::guarded().await;
    let attacks: [&[&str]; 3] = [
        &["delete", "table", "inet", "scaibox"],
        &["insert", "rule", "inet", "scaibox", "input", "accept"],
        &["flush", "set", "inet", "scaibox", "trunk_peers_v4"],
    ];
    for attack in attacks {
        assert!(lab.nft(attack).status.success());
        let state = lab.state().await;
        assert!(!state.loaded && state.problem.is_some(), "{attack:?}: {state:?}");
        let healed = async { while !lab.state().await.loaded {} };
        tokio::time::timeout(PATIENCE, healed).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_stays_when_the_daemon_ends_and_the_next_one_goes_on_with_its_state() {
    let mut lab = Lab::guarded().await;
    let before = lab.state().await;
    lab.stop();
    assert!(lab.nft(&["list", "table", "inet", "scaibox"]).status.success());
    lab.start().await;
    let after = lab.state().await;
    assert_eq!((after.generation, after.peers), (before.generation, before.peers));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_peers_again_change_nothing() {
    let lab = Lab::guarded().await;
    let before = lab.state().await;
    let applied: Applied = lab.client().put("/v1/peers", &before.peers).await.unwrap();
    assert_eq!(applied.generation, before.generation);
    let applied: Applied = lab.client().put("/v1/peers", &Peers::default()).await.unwrap();
    assert_eq!(applied.generation, before.generation + 1);
}
