//! Can an operator lock themselves out?

use crate::{
    knock::{Port, echoes, silent},
    lab::{Host, Lab, PATIENCE},
};
use jiff::{SignedDuration, Timestamp};
use rtp_firewall::{desired::Desired, management::TRIAL};
use types::{
    control::Refusal,
    firewall::{ManagementChange, ManagementNetworks},
};

const HTTPS: Port = Port::Tcp(443);

async fn manage_from(lab: &Lab, host: Host) -> ManagementChange {
    let body = ManagementNetworks { networks: vec![host.v4().into()] };
    lab.client().put("/v1/management", &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_cuts_off_at_once_whoever_is_no_longer_a_manager() {
    let lab = Lab::guarded().await;
    lab.echo(&[HTTPS]);
    let console = lab.connect(Host::Manager, 443);
    assert!(echoes(&console, PATIENCE));
    let change = manage_from(&lab, Host::Phone).await;
    assert!(change.confirm_by.is_some());
    assert!(silent(&console), "an open connection could confirm what locks its owner out");
    assert!(!lab.answers_now(Host::Manager, HTTPS));
    assert!(lab.opens(Host::Phone, HTTPS));
    lab.client().act("/v1/management/confirm").await.unwrap();
    assert!(!lab.answers_now(Host::Manager, HTTPS));
    let again = lab.client().act("/v1/management/confirm").await.unwrap_err().refusal::<Refusal>().unwrap();
    assert_eq!((again.0.as_u16(), again.1.code.as_str()), (409, "nothing_to_confirm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_nobody_confirms_is_taken_back_also_by_the_next_daemon() {
    let mut lab = Lab::unguarded();
    lab.echo(&[HTTPS]);
    let begun = Timestamp::now() + SignedDuration::from_secs(4) - TRIAL;
    let mut desired = Desired::new(&[Host::Manager.v4().into(), Host::Manager.v6().into()]);
    let change = desired.set_management(vec![Host::Phone.v4().into()], begun).unwrap();
    lab.remember(&desired);
    lab.start().await;
    assert!(!lab.answers_now(Host::Manager, HTTPS));
    assert!(lab.opens(Host::Manager, HTTPS));
    assert!(Timestamp::now() >= change.confirm_by.unwrap(), "it was taken back early");
    assert!(!lab.answers_now(Host::Phone, HTTPS));
    assert_eq!(lab.state().await.management.pending, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_right_is_refused_with_the_place() {
    let lab = Lab::guarded().await;
    let body = serde_json::json!({ "networks": ["192.168.7.0/24", "somewhere"] });
    let refused = lab.client().put::<_, ManagementChange>("/v1/management", &body).await.unwrap_err();
    let (status, refusal) = refused.refusal::<Refusal>().unwrap();
    assert_eq!((status.as_u16(), refusal.code.as_str()), (422, "invalid"));
    assert!(refusal.detail.contains("networks[1]"), "{}", refusal.detail);
}
