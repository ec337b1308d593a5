//! What does a banned host get?

use crate::{
    knock::{Port, echoes, silent},
    lab::{BOX, Host, Lab, PATIENCE},
};
use daemon::unix_http::{Bytes, Method, StatusCode, UnixHttpError};
use jiff::Timestamp;
use std::net::IpAddr;
use types::{
    control::Refusal,
    firewall::{Applied, Ban, NewBan, Peers},
};

const MEDIA: [Port; 3] = [Port::Tcp(7881), Port::Udp(7882), Port::Udp(10000)];

async fn ban(lab: &Lab, address: IpAddr, seconds: u32) -> Result<Ban, (u16, String)> {
    let new = NewBan { address, seconds, reason: "scans".into() };
    let refused = |error: UnixHttpError| {
        let (status, refusal) = error.refusal::<Refusal>().unwrap();
        (status.as_u16(), refusal.code)
    };
    lab.client().post("/v1/bans", &new).await.map_err(refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_host_gets_nothing_until_the_ban_is_over() {
    let lab = Lab::guarded().await;
    lab.echo(&MEDIA);
    let call = lab.connect(Host::Stranger, 7881);
    assert!(echoes(&call, PATIENCE));
    let ban = ban(&lab, Host::Stranger.v4(), 4).await.unwrap();
    assert!(silent(&call), "a call that is up ends, too");
    assert!(lab.answers(Host::Stranger.v4(), BOX[0], &MEDIA, &[]).is_empty());
    assert!(lab.state().await.drops["banned"] > 0);
    assert!(lab.opens(Host::Stranger, MEDIA[2]));
    assert!(Timestamp::now() >= ban.until, "it ended early");
    assert_eq!(lab.state().await.bans, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_outlives_new_tables_and_a_restart_and_can_be_lifted() {
    let mut lab = Lab::guarded().await;
    lab.echo(&MEDIA);
    ban(&lab, Host::Stranger.v4(), 3600).await.unwrap();
    ban(&lab, Host::Stranger.v6(), 3600).await.unwrap();
    let nobody: [_; 2] = Default::default();
    lab.client().put::<_, Applied>("/v1/peers", &Peers::default()).await.unwrap();
    assert_eq!(lab.answering(Host::Stranger, &MEDIA, &[]), nobody);
    lab.stop();
    assert_eq!(lab.answering(Host::Stranger, &MEDIA, &[]), nobody, "the table stays without the daemon");
    lab.start().await;
    assert_eq!(lab.answering(Host::Stranger, &MEDIA, &[]), nobody);
    assert_eq!(lab.state().await.bans.len(), 2);
    let path = format!("/v1/bans/{}", Host::Stranger.v4());
    let lifted = lab.client().request(Method::DELETE, &path, Bytes::new()).await.unwrap();
    assert_eq!(lifted.status(), StatusCode::NO_CONTENT);
    assert!(lab.opens(Host::Stranger, MEDIA[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn trunks_and_managers_cannot_be_banned() {
    let lab = Lab::guarded().await;
    assert_eq!(ban(&lab, Host::Trunk.v4(), 60).await.unwrap_err(), (409, "bans_trunk".into()));
    assert_eq!(ban(&lab, Host::Manager.v6(), 60).await.unwrap_err(), (409, "bans_management".into()));
    assert_eq!(ban(&lab, Host::Phone.v4(), 0).await.unwrap_err(), (422, "ban_length".into()));
    assert_eq!(lab.state().await.bans, []);
}
