use super::*;
use jiff::SignedDuration;
use types::firewall::{NewBan, Peers};

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A box in use: a carrier, phones in both families, a ban in both.
fn in_use() -> Desired {
    let mut desired = Desired::new(&nets(&["192.168.0.0/16", "fe80::/10"]));
    let trunks = nets(&["203.0.113.0/28", "203.0.113.5/32", "2001:db8:5::/64"]);
    desired.set_peers(Peers { trunks, phones: nets(&["192.168.7.0/24"]) }).unwrap();
    for address in ["198.51.100.66", "2001:db8:bad::1"] {
        let ban = NewBan { address: address.parse().unwrap(), seconds: 600, reason: "scans".into() };
        desired.ban(ban, now()).unwrap();
    }
    desired
}

fn table(desired: &Desired, now: Timestamp) -> Value {
    transaction(desired, &Ports::default(), &BTreeMap::new(), now)
}

/// Everything the transaction adds of one kind.
fn added(transaction: &Value, kind: &str) -> Vec<Value> {
    let all = transaction["nftables"].as_array().unwrap();
    all.iter().filter_map(|step| step["add"].get(kind).cloned()).collect()
}

fn elements(transaction: &Value, set: &str) -> Value {
    added(transaction, "set").into_iter().find(|found| found["name"] == set).unwrap()["elem"].clone()
}

fn input_rules(transaction: &Value) -> Vec<String> {
    let rules = added(transaction, "rule").into_iter().filter(|rule| rule["chain"] == "input");
    rules.map(|rule| rule["expr"].to_string()).collect()
}

#[test]
fn a_new_box_lets_nobody_send_sip() {
    insta::assert_json_snapshot!(table(&Desired::new(&nets(&["10.0.0.0/8", "fe80::/10"])), now()));
}

#[test]
fn a_box_in_use() {
    insta::assert_json_snapshot!(table(&in_use(), now()));
}

#[test]
fn the_old_tables_go_in_the_same_transaction() {
    let steps = table(&in_use(), now())["nftables"].as_array().unwrap()[..5].to_vec();
    let verbs: Vec<_> = steps.iter().map(|step| step.as_object().unwrap().keys().next().unwrap().clone()).collect();
    assert_eq!(verbs, ["add", "delete", "add", "add", "delete"]);
    assert_eq!(steps[1]["delete"]["table"]["name"], "scaibox");
    assert_eq!(steps[4]["delete"]["table"]["name"], "scaibox_base");
}

#[test]
fn bans_come_before_everything_but_loopback() {
    let rules = input_rules(&table(&in_use(), now()));
    assert!(rules[0].contains("lo"), "{}", rules[0]);
    assert!(rules[1].contains("@banned_v4") && rules[2].contains("@banned_v6"));
}

#[test]
fn the_last_rule_drops_without_the_policy() {
    let rules = input_rules(&table(&in_use(), now()));
    assert_eq!(rules.last().unwrap(), r#"[{"counter":"unwanted"},{"drop":null}]"#);
}

#[test]
fn a_ban_keeps_its_end_when_the_table_is_loaded_again() {
    let later = now() + SignedDuration::from_millis(599_500);
    let banned = elements(&table(&in_use(), later), "banned_v4");
    assert_eq!(banned, json!([{ "elem": { "val": "198.51.100.66", "timeout": 1 } }]));
    assert_eq!(elements(&table(&in_use(), now() + SignedDuration::from_secs(600)), "banned_v4"), Value::Null);
}

#[test]
fn networks_on_trial_are_in_force() {
    let mut desired = in_use();
    desired.set_management(nets(&["192.168.7.0/24"]), now()).unwrap();
    let managers = elements(&table(&desired, now()), "management_v4");
    assert_eq!(managers, json!([{ "prefix": { "addr": "192.168.7.0", "len": 24 } }]));
}

#[test]
fn ssh_is_dropped_before_answers_until_it_is_open() {
    let mut desired = in_use();
    let ssh = |desired: &Desired, now| {
        let rules = input_rules(&table(desired, now));
        rules.into_iter().find(|rule| rule.contains(r#""right":22}"#)).unwrap()
    };
    assert!(ssh(&desired, now()).contains("ssh_closed"));
    let until = now() + SignedDuration::from_secs(60);
    desired.set_ssh(Some(until), now()).unwrap();
    assert!(ssh(&desired, now()).contains("management"));
    assert!(ssh(&desired, until).contains("ssh_closed"));
}

#[test]
fn counters_go_on_where_they_were() {
    let counted = BTreeMap::from([("banned".to_owned(), Count { packets: 7, bytes: 700 })]);
    let table = transaction(&in_use(), &Ports::default(), &counted, now());
    let counters = added(&table, "counter");
    let banned = counters.iter().find(|counter| counter["name"] == "banned").unwrap();
    assert_eq!((&banned["packets"], &banned["bytes"]), (&json!(7), &json!(700)));
    assert_eq!(counters.len(), DROPS.len());
}
