//! Does nft take every table that can follow from a wanted state?
//!
//! Needs nft and the right to ask the kernel (root); nothing is loaded.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rtp_firewall::{config::Ports, desired::Desired, ruleset};
use std::{
    collections::BTreeMap,
    io::Write,
    net::IpAddr,
    process::{Command, Stdio},
};
use types::firewall::{NewBan, Peers};

/// Any networks, many of them next to or inside each other, host bits set or not.
fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    let crowded = (0u32..1024, 22u8..=32).prop_map(|(host, len)| (0xc0a8_0000 + host, len));
    let v4 = prop_oneof![crowded, (any::<u32>(), 0u8..=32)]
        .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new(bits.into(), len).unwrap()));
    let v6 = (any::<u128>(), 0u8..=128).prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new(bits.into(), len).unwrap()));
    let mapped = (any::<u32>(), 96u8..=128)
        .prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new(std::net::Ipv4Addr::from(bits).to_ipv6_mapped(), len).unwrap()));
    prop::collection::vec(prop_oneof![3 => v4, 2 => v6, 1 => mapped], 0..24)
}

fn bans() -> impl Strategy<Value = Vec<(IpAddr, u32)>> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()))
    ];
    prop::collection::vec((address, 1u32..=rtp_firewall::desired::LONGEST_BAN_S), 0..40)
}

fn accepted(transaction: &serde_json::Value) -> Result<(), String> {
    let mut nft = Command::new("nft")
        .args(["-c", "-j", "-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nft: {error}"))?;
    nft.stdin.take().unwrap().write_all(transaction.to_string().as_bytes()).unwrap();
    let output = nft.wait_with_output().unwrap();
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nft_takes_every_table_that_can_be_wanted(
        (trunks, phones, managers, trial) in (networks(), networks(), networks(), networks()),
        bans in bans(),
        ssh in prop::option::of(1i64..8 * 3600),
        passed in 0i64..400 * 24 * 3600,
    ) {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut desired = Desired::new(&managers);
        for (address, seconds) in bans {
            let _ = desired.ban(NewBan { address, seconds, reason: "any".into() }, now);
        }
        desired.set_peers(Peers { trunks, phones }).unwrap();
        let _ = desired.set_management(trial, now);
        desired.set_ssh(ssh.map(|seconds| now + SignedDuration::from_secs(seconds)), now).unwrap();
        let later = now + SignedDuration::from_secs(passed);
        let table = ruleset::transaction(&desired, &Ports::default(), &BTreeMap::new(), later);
        prop_assert_eq!(accepted(&table), Ok(()));
    }
}
