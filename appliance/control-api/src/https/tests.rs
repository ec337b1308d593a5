//! A real listener and a real client, which trusts only the certificate that it was given.

use super::*;
use axum::routing::get;
use std::{fs, future::Future, path::Path};
use tempfile::TempDir;

/// Writes a fresh pair; the certificate, for clients to trust.
fn write_pair(folder: &Path) -> reqwest::Certificate {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), pair.cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap()
}

fn files(folder: &Path) -> HttpsConfig {
    HttpsConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    }
}

fn client(trusted: reqwest::Certificate) -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap()
}

struct Bed {
    folder: TempDir,
    trusted: reqwest::Certificate,
    https: Https,
}

async fn bed() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_pair(folder.path());
    let https = Https::bind(files(folder.path())).await.unwrap();
    Bed { folder, trusted, https }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("within twenty seconds")
}

#[tokio::test]
async fn answers_come_over_tls_and_tell_browsers_to_stay_with_it() {
    let Bed { trusted, https, folder: _folder } = bed().await;
    let url = format!("https://localhost:{}/", https.address.port());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(https.serve(hello(), stop.clone()));
    let answer = soon(client(trusted).get(&url).send()).await.unwrap();
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.text().await.unwrap(), "hello");
    let plain = soon(reqwest::get(url.replace("https", "http"))).await;
    assert!(plain.is_err(), "plain HTTP was answered");
    stop.cancel();
    soon(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_open_ones_stay() {
    let Bed { folder, trusted, mut https } = bed().await;
    let url = format!("https://localhost:{}/", https.address.port());
    let stop = CancellationToken::new();
    let old = client(trusted);
    let mut certificate = Certificate::load(files(folder.path())).await.unwrap();
    certificate.tls = https.certificate.tls.clone();
    https.certificate.files.certificate = folder.path().join("elsewhere"); // only the test renews
    tokio::spawn(https.serve(hello(), stop.clone()));
    soon(old.get(&url).send()).await.unwrap().text().await.unwrap();

    assert!(!certificate.renew().await.unwrap());
    let renewed = write_pair(folder.path());
    assert!(certificate.renew().await.unwrap());
    soon(client(renewed).get(&url).send()).await.unwrap();
    soon(old.get(&url).send()).await.expect("the open connection goes on");
    stop.cancel();
}

#[tokio::test]
async fn a_pair_that_does_not_fit_is_not_taken_and_the_old_one_serves_on() {
    let Bed { folder, trusted, https } = bed().await;
    let url = format!("https://localhost:{}/", https.address.port());
    let stop = CancellationToken::new();
    let mut certificate = Certificate::load(files(folder.path())).await.unwrap();
    certificate.tls = https.certificate.tls.clone();
    let key = fs::read(folder.path().join("tls.key")).unwrap();
    write_pair(folder.path());
    fs::write(folder.path().join("tls.key"), key).unwrap();
    let refused = format!("{:#}", certificate.renew().await.unwrap_err());
    assert!(refused.contains("https.key"), "{refused}");
    tokio::spawn(https.serve(hello(), stop.clone()));
    soon(client(trusted).get(&url).send()).await.unwrap();
    stop.cancel();
}

#[tokio::test]
async fn a_missing_file_is_named_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let refused = format!("{:#}", Https::bind(files(folder.path())).await.map(drop).unwrap_err());
    assert!(refused.contains("https.certificate") && refused.contains("tls.crt"), "{refused}");
}
