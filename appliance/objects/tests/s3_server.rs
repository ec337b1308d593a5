//! Does the store work against a real S3 server, and what happens when there is none?
//!
//! The first part needs the `minio` binary that `MINIO_BIN` names; `./box test` sets it.

#[path = "support/minio.rs"]
mod minio;

use minio::{ACCESS_KEY, Minio, SECRET_KEY, free_port, minio_binary};
use objects::{ObjectError, S3Config, Store};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use types::Redacted;

fn config(port: u16) -> S3Config {
    S3Config {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".to_owned(),
        bucket: "recordings".to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Redacted(SECRET_KEY.to_owned()),
    }
}

/// Asks again until the server answers; the limit makes a broken one fail the test.
async fn ready(store: &Store) {
    let limit = Instant::now() + Duration::from_secs(30);
    while let Err(error) = store.ensure_bucket().await {
        assert!(Instant::now() < limit, "the server never became ready: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_object_is_stored_read_in_ranges_and_deleted() {
    let Some(binary) = minio_binary() else { return };
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let _minio = Minio::start(&binary, data.path(), port);
    let store = Store::connect(&config(port)).unwrap();
    ready(&store).await;
    store.ensure_bucket().await.expect("a bucket that is there is fine");

    let key = "ten_1/voicemail/vm_1.ogg";
    let body: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    store.put(key, body.clone(), "audio/ogg").await.unwrap();

    assert_eq!(store.get(key).await.unwrap(), body);
    let info = store.head(key).await.unwrap();
    assert_eq!((info.bytes, info.content_type.as_deref()), (100_000, Some("audio/ogg")));
    let (part, total) = store.get_range(key, 10..20).await.unwrap();
    assert_eq!((&part[..], total), (&body[10..20], 100_000));
    let (tail, total) = store.get_range(key, 99_990..200_000).await.unwrap();
    assert_eq!((&tail[..], total), (&body[99_990..], 100_000));
    assert!(matches!(store.get_range(key, 100_000..100_001).await, Err(ObjectError::OutOfRange { .. })));

    store.delete(key).await.unwrap();
    store.delete(key).await.expect("deleting what is gone is fine");
    assert!(matches!(store.get(key).await, Err(ObjectError::NotFound { .. })));
    assert!(matches!(store.head(key).await, Err(ObjectError::NotFound { .. })));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_the_servers_own_words() {
    let Some(binary) = minio_binary() else { return };
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let _minio = Minio::start(&binary, data.path(), port);
    ready(&Store::connect(&config(port)).unwrap()).await;

    let stranger = S3Config { secret_key: Redacted("wrong-secret".to_owned()), ..config(port) };
    let refusal = Store::connect(&stranger).unwrap().put("key", vec![1], "audio/ogg").await.unwrap_err();
    assert!(refusal.to_string().contains("SignatureDoesNotMatch"), "{refusal}");
    assert!(!refusal.is_temporary());
}

#[tokio::test]
async fn a_server_that_is_down_is_noticed_in_seconds_and_named() {
    let store = Store::connect(&config(free_port())).unwrap();
    let started = Instant::now();
    let error = store.put("vm_1.ogg", vec![0; 10], "audio/ogg").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert!(error.is_temporary());
    assert!(error.to_string().contains("`vm_1.ogg`"), "{error}");
}

#[tokio::test]
async fn a_server_that_accepts_and_stays_silent_is_given_up_on() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = Store::connect(&config(silent.local_addr().unwrap().port())).unwrap();
    let started = Instant::now();
    let error = store.get("vm_1.ogg").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(error.is_temporary(), "{error}");
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_at_once() {
    let bad = S3Config { endpoint: "127.0.0.1:9000".to_owned(), ..config(1) };
    assert!(matches!(Store::connect(&bad), Err(ObjectError::BadEndpoint { .. })));
}
