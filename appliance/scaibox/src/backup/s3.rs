//! How does a stream of any length go to, or come from, an S3 object?
//!
//! Up in parts of [`PART`] (multipart: the object appears when all are there, or never), down in
//! ranges of the same size, each of the version that the first one saw. The `objects` crate is for the
//! box's own recordings and gives up after seconds; a backup may cross a slow line.
//!
//! Both are plain `Read` and `Write` and must be used on a blocking thread of the runtime.

use super::BackupError;
use aws_sdk_s3::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    error::DisplayErrorContext,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::{Buf, Bytes};
use objects::Server;
use serde::Deserialize;
use std::{
    io::{self, Read, Write},
    time::Duration,
};
use tokio::runtime::Handle;
use types::Redacted;

/// The file after `--s3-config`; the bucket is in the address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// `https://s3.example.com`; buckets are addressed by path.
    pub endpoint: String,
    #[serde(default = "objects::default_region")]
    pub region: String,
    pub access_key: String,
    pub secret_key: Redacted<String>,
}

/// One object, which may not be there yet.
#[derive(Clone)]
pub struct Object {
    client: Client,
    bucket: String,
    key: String,
    runtime: Handle,
}

impl Object {
    /// Must be called inside the runtime.
    pub fn new(config: &S3Config, bucket: &str, key: &str) -> Self {
        let client = Client::from_conf(client_config(config).build());
        Self { client, bucket: bucket.to_owned(), key: key.to_owned(), runtime: Handle::current() }
    }

    pub fn upload(&self) -> Result<Upload, BackupError> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(&self.key);
        let begun = self.wait("begin", request.send())?;
        let id = begun.upload_id().unwrap_or_default().to_owned();
        Ok(Upload { object: self.clone(), id: Some(id), parts: Vec::new(), buffer: Vec::with_capacity(PART) })
    }

    pub fn download(&self) -> Result<Download, BackupError> {
        let head = self.wait("find", self.client.head_object().bucket(&self.bucket).key(&self.key).send())?;
        let length = head.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        let version = head.e_tag().map(str::to_owned);
        Ok(Download { object: self.clone(), version, length, offset: 0, piece: Bytes::new() })
    }

    fn wait<T, E: std::error::Error>(
        &self,
        verb: &'static str,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BackupError> {
        self.runtime.block_on(request).map_err(|error| BackupError::S3 {
            verb,
            object: format!("{}/{}", self.bucket, self.key),
            cause: DisplayErrorContext(error).to_string(),
        })
    }
}

/// An object in the making; dropped without [`Upload::finish`], nothing of it stays.
pub struct Upload {
    object: Object,
    /// None once it is finished.
    id: Option<String>,
    parts: Vec<CompletedPart>,
    buffer: Vec<u8>,
}

impl Upload {
    pub fn finish(mut self) -> Result<(), BackupError> {
        self.send()?;
        let done = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts))).build();
        let Object { client, bucket, key, .. } = &self.object;
        let request = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(self.id());
        self.object.wait("complete", request.multipart_upload(done).send())?;
        self.id = None;
        Ok(())
    }

    /// The parts are numbered from 1.
    fn send(&mut self) -> Result<(), BackupError> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let body = ByteStream::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART)));
        let Object { client, bucket, key, .. } = &self.object;
        let request = client.upload_part().bucket(bucket).key(key).upload_id(self.id());
        let sent = self.object.wait("store", request.part_number(number).body(body).send())?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag().map(str::to_owned)).build();
        self.parts.push(part);
        Ok(())
    }

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == PART {
            self.send().map_err(io::Error::other)?;
        }
        let taken = bytes.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// A part that is sent cannot grow, so nothing is sent before its time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.id.is_none() {
            return;
        }
        let Object { client, bucket, key, .. } = &self.object;
        let request = client.abort_multipart_upload().bucket(bucket).key(key).upload_id(self.id());
        if let Err(error) = self.object.wait("give up", request.send()) {
            tracing::warn!(%error, "parts of an unfinished backup may be left at the object store");
        }
    }
}

/// An object that is read from its beginning to its end.
pub struct Download {
    object: Object,
    version: Option<String>,
    length: u64,
    offset: u64,
    piece: Bytes,
}

impl Download {
    fn fetch(&mut self) -> Result<(), BackupError> {
        let last = (self.offset + PART as u64).min(self.length) - 1;
        let request = self.object.client.get_object().bucket(&self.object.bucket).key(&self.object.key);
        let request = request.set_if_match(self.version.clone()).range(format!("bytes={}-{last}", self.offset));
        let answer = self.object.wait("read", request.send())?;
        self.piece = self.object.wait("read", answer.body.collect())?.into_bytes();
        self.offset = last + 1;
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.offset < self.length {
            self.fetch().map_err(io::Error::other)?;
        }
        let read = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

fn client_config(config: &S3Config) -> Builder {
    let server = Server {
        endpoint: &config.endpoint,
        region: &config.region,
        access_key: &config.access_key,
        secret_key: &config.secret_key,
    };
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    server.client_config().timeout_config(timeouts).retry_config(RetryConfig::standard().with_max_attempts(5))
}

/// S3 takes 10 000 parts at most: backups of up to 156 GiB.
const PART: usize = 16 << 20;
const CONNECT: Duration = Duration::from_secs(10);
/// One part over a line of half a megabit per second.
const ATTEMPT: Duration = Duration::from_secs(300);
