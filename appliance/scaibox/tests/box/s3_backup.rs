//! Does a backup go to a real S3 server and come back?
//!
//! Needs the `minio` binary that `MINIO_BIN` names; `./box test` sets it.

use crate::{
    minio::{ACCESS_KEY, Minio, SECRET_KEY, free_port, minio_binary},
    support::{Box, key, lock},
};
use scaibox::backup::{
    BackupError,
    place::{Place, Store},
    restore::{self, Request},
    s3::{Object, S3Config},
};
use std::{
    io::{Read, Write},
    path::Path,
    time::{Duration, Instant},
};

/// A server with a bucket for backups, and how to reach it.
struct Shelf {
    _server: Minio,
    config: S3Config,
}

impl Shelf {
    fn start(binary: &str, data: &Path) -> Self {
        std::fs::create_dir_all(data.join("backups")).unwrap();
        let port = free_port();
        let server = Minio::start(binary, data, port);
        let text = format!(
            "endpoint = \"http://127.0.0.1:{port}\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\""
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Self { _server: server, config: scaibox::backup::place::read_s3_config(file.path()).unwrap() }
    }

    /// Asks again until the server answers; the limit makes a broken one fail the test.
    async fn ready(&self) {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let object = Object::new(&self.config, "backups", "probe");
            match tokio::task::spawn_blocking(move || object.upload().map(drop)).await.unwrap() {
                Ok(()) => return,
                Err(error) => assert!(Instant::now() < limit, "the server never became ready: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn store(&self, key: &str) -> Store {
        let place = Place::S3 { bucket: "backups".into(), key: key.into() };
        Store::at(&place, Some(&self.config)).unwrap()
    }
}

#[tokio::test]
async fn a_box_comes_back_from_an_object_of_several_parts() {
    let Some(binary) = minio_binary() else { return };
    let data = tempfile::tempdir().unwrap();
    let minio = Shelf::start(&binary, data.path());
    minio.ready().await;
    let used = Box::used();
    let noise: Vec<u8> = (0..40_000_000u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37) as u8).collect();
    used.write("minio/recordings/long.ogg", 0o644, &noise);

    let (places, store) = (used.places.clone(), minio.store("amsterdam/box.age"));
    let save = move || {
        let (sink, _) = scaibox::backup::create::create(&places, &lock("correct horse battery"), store.write()?)?;
        sink.finish()
    };
    tokio::task::spawn_blocking(save).await.unwrap().unwrap();

    let fresh = Box::fresh();
    let from = minio.store("amsterdam/box.age");
    let request = Request { from, key: key("correct horse battery"), force: false, services: false };
    restore::restore(&fresh.places, request).await.unwrap();
    assert_eq!(fresh.tenants(), ["ten_1"]);
    let restored = std::fs::read(fresh.places.state().join("minio/recordings/long.ogg")).unwrap();
    assert!(restored == noise, "the recording differs");
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_object() {
    let Some(binary) = minio_binary() else { return };
    let data = tempfile::tempdir().unwrap();
    let minio = Shelf::start(&binary, data.path());
    minio.ready().await;
    let object = Object::new(&minio.config, "backups", "half");
    let work = move || {
        let mut upload = object.upload().unwrap();
        upload.write_all(&vec![7; 20 << 20]).unwrap();
        drop(upload);
        object.download().map(drop).unwrap_err()
    };
    let error = tokio::task::spawn_blocking(work).await.unwrap();
    assert!(error.to_string().starts_with("could not find s3://backups/half"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_is_named_and_nothing_changes() {
    let port = free_port();
    let config = S3Config {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".into(),
        access_key: "key".into(),
        secret_key: types::Redacted("secret".into()),
    };
    let place = Place::S3 { bucket: "backups".into(), key: "box.age".into() };
    let fresh = Box::fresh();
    let before = fresh.tree();
    let from = Store::at(&place, Some(&config)).unwrap();
    let request = Request { from, key: key("correct horse battery"), force: false, services: false };
    let error = restore::restore(&fresh.places, request).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(BackupError::S3 { .. })), "{error}");
    assert!(error.to_string().contains("s3://backups/box.age"), "{error}");
    assert_eq!(fresh.tree(), before);
}

#[tokio::test]
async fn an_object_is_read_in_pieces_of_any_size() {
    let Some(binary) = minio_binary() else { return };
    let data = tempfile::tempdir().unwrap();
    let minio = Shelf::start(&binary, data.path());
    minio.ready().await;
    let object = Object::new(&minio.config, "backups", "bytes");
    let work = move || {
        let bytes: Vec<u8> = (0..(16 << 20) + 5).map(|n: u32| n as u8).collect();
        let mut upload = object.upload().unwrap();
        upload.write_all(&bytes).unwrap();
        upload.finish().unwrap();
        let mut read = Vec::new();
        object.download().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}
