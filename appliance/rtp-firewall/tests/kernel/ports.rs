//! Which port answers whom?

use crate::{
    knock::Port::{self, Tcp, Udp},
    lab::{HOSTS, Host, Lab},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use types::firewall::SshWindow;

/// Documented ports, their neighbours, and what only the box itself may reach.
const KNOCKED: [Port; 25] = [
    Tcp(22),
    Tcp(80),
    Tcp(443),
    Tcp(444),
    Tcp(5060),
    Tcp(5061),
    Tcp(6379),
    Tcp(7880),
    Tcp(7881),
    Tcp(7882),
    Tcp(7979),
    Tcp(8080),
    Tcp(9000),
    Tcp(10000),
    Udp(53),
    Udp(443),
    Udp(5059),
    Udp(5060),
    Udp(5061),
    Udp(7881),
    Udp(7882),
    Udp(9999),
    Udp(10000),
    Udp(10200),
    Udp(10201),
];

const OPEN_TO_ALL: [Port; 4] = [Tcp(7881), Udp(7882), Udp(10000), Udp(10200)];
const SIP: [Port; 3] = [Tcp(5060), Tcp(5061), Udp(5060)];

fn expected(host: Host, ssh: bool) -> Vec<Port> {
    let mut ports = OPEN_TO_ALL.to_vec();
    match host {
        Host::Manager => ports.push(Tcp(443)),
        Host::Trunk | Host::Phone => ports.extend(SIP),
        Host::Stranger => {}
    }
    if ssh && host == Host::Manager {
        ports.push(Tcp(22));
    }
    ports
}

fn check_all(lab: &Lab, ssh: bool) {
    for host in HOSTS {
        let expected = expected(host, ssh);
        let wanted: BTreeSet<Port> = expected.iter().copied().collect();
        assert_eq!(lab.answering(host, &KNOCKED, &expected), [wanted.clone(), wanted], "{host:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_documented_ports_answer_each_kind_of_host() {
    let lab = Lab::guarded().await;
    lab.echo(&KNOCKED);
    check_all(&lab, false);
    let until = Some(Timestamp::now() + SignedDuration::from_hours(1));
    lab.client().put::<_, SshWindow>("/v1/ssh", &SshWindow { until }).await.unwrap();
    check_all(&lab, true);
    let session = lab.connect(Host::Manager, 22);
    assert!(crate::knock::echoes(&session, crate::lab::PATIENCE));
    lab.client().put::<_, SshWindow>("/v1/ssh", &SshWindow { until: None }).await.unwrap();
    check_all(&lab, false);
    assert!(crate::knock::silent(&session), "closing SSH ends what was open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_gets_no_sign_of_life_from_any_other_tcp_port() {
    let lab = Lab::guarded().await;
    assert_eq!(lab.scan(), [443, 7881], "nobody listens: open ports answer with a reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_firewall_the_same_knocks_get_through() {
    let lab = Lab::unguarded();
    lab.echo(&KNOCKED);
    let all: BTreeSet<Port> = KNOCKED.into();
    assert_eq!(lab.answering(Host::Stranger, &KNOCKED, &KNOCKED), [all.clone(), all]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_floods_sip_is_limited_and_another_is_not() {
    let lab = Lab::guarded().await;
    lab.echo(&[Udp(5060)]);
    let (from, to) = (Host::Phone.v4(), crate::lab::BOX[0]);
    let flood = move || {
        let socket = std::net::UdpSocket::bind((from, 0)).unwrap();
        (0..20_000).for_each(|_| drop(socket.send_to(b"INVITE", (to, 5060))));
    };
    let mut limited = 0;
    for _ in 0..50 {
        lab.in_world(flood);
        limited = lab.state().await.drops["sip_limited"];
        if limited > 0 {
            break;
        }
    }
    assert!(limited > 0, "a million packets and none was too many");
    assert!(lab.opens(Host::Trunk, Udp(5060)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_opens_too_many_connections_is_limited() {
    let lab = Lab::guarded().await;
    lab.echo(&[Tcp(443)]);
    let knocks = vec![Tcp(443); 1000];
    let mut limited = 0;
    for _ in 0..50 {
        lab.answers(Host::Manager.v4(), crate::lab::BOX[0], &knocks, &[]);
        limited = lab.state().await.drops["management_limited"];
        if limited > 0 {
            break;
        }
    }
    assert!(limited > 0, "fifty thousand connections and none was too many");
    assert!(lab.opens(Host::Manager, Tcp(443)), "not for ever");
}
