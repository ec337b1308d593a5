//! How are objects put, read and deleted?
//!
//! Every call gives up after [`CALL`] at the latest, tries included, so a server that is down is
//! noticed in seconds; whoever must not lose data keeps its own copy until `put` has succeeded.

use crate::{ObjectError, S3Config, Server};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;

/// One bucket of one S3 server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    bucket: String,
    region: String,
}

/// What the server knows of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub bytes: u64,
    pub content_type: Option<String>,
}

impl Store {
    /// Prepares a client; the server is first talked to by the first call, so it may still be starting.
    pub fn connect(config: &S3Config) -> Result<Self, ObjectError> {
        if !["http://", "https://"].iter().any(|scheme| config.endpoint.starts_with(scheme)) {
            return Err(ObjectError::BadEndpoint { endpoint: config.endpoint.clone() });
        }
        Ok(Self {
            client: Client::from_conf(client_config(config).build()),
            bucket: config.bucket.clone(),
            region: config.region.clone(),
        })
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Creates the bucket unless it is there.
    pub async fn ensure_bucket(&self) -> Result<(), ObjectError> {
        let found = self.client.head_bucket().bucket(&self.bucket).send().await;
        match found.map_err(|e| ObjectError::from_sdk("find the bucket", &self.bucket, e)) {
            Ok(_) => Ok(()),
            Err(e) if e.is_not_found() => self.create_bucket().await,
            Err(e) => Err(e),
        }
    }

    /// Stores `bytes` under `key`, replacing what was there.
    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>, content_type: &str) -> Result<(), ObjectError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes.into()))
            .send()
            .await
            .map(drop)
            .map_err(|e| ObjectError::from_sdk("store", key, e))
    }

    /// The whole object.
    pub async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let answer = request.send().await.map_err(|e| ObjectError::from_sdk("read", key, e))?;
        read_body(key, answer.body).await
    }

    /// The bytes of `range` (its end is excluded; what lies past the object's end is left out) and
    /// the length of the whole object.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<(Bytes, u64), ObjectError> {
        let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
            return Err(ObjectError::OutOfRange { key: key.to_owned() });
        };
        let wanted = format!("bytes={}-{last}", range.start);
        let request = self.client.get_object().bucket(&self.bucket).key(key).range(wanted);
        let answer = request.send().await.map_err(|e| ObjectError::from_sdk("read", key, e))?;
        let total = answer.content_range().and_then(total_length);
        let body = read_body(key, answer.body).await?;
        let total = total.unwrap_or(body.len() as u64);
        Ok((body, total))
    }

    /// Size and type of an object.
    pub async fn head(&self, key: &str) -> Result<ObjectInfo, ObjectError> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let answer = request.send().await.map_err(|e| ObjectError::from_sdk("look up", key, e))?;
        Ok(ObjectInfo {
            bytes: answer.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            content_type: answer.content_type().map(str::to_owned),
        })
    }

    /// Removes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let gone = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        match gone.map_err(|e| ObjectError::from_sdk("delete", key, e)) {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    /// Two daemons may create it at the same moment: the second is told so and is content.
    async fn create_bucket(&self) -> Result<(), ObjectError> {
        let place = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let request = self.client.create_bucket().bucket(&self.bucket);
        let made = request.set_create_bucket_configuration(place).send().await;
        match made.map_err(|e| ObjectError::from_sdk("create the bucket", &self.bucket, e)) {
            Err(e) if e.code() != Some("BucketAlreadyOwnedByYou") => Err(e),
            _ => Ok(()),
        }
    }
}

fn client_config(config: &S3Config) -> Builder {
    let server = Server {
        endpoint: &config.endpoint,
        region: &config.region,
        access_key: &config.access_key,
        secret_key: &config.secret_key,
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(CALL)
        .build();
    server
        .client_config()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(200)))
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(ATTEMPT).build())
}

async fn read_body(key: &str, body: ByteStream) -> Result<Bytes, ObjectError> {
    let whole = body.collect().await.map_err(|e| ObjectError::from_body("read", key, e))?;
    Ok(whole.into_bytes())
}

/// `bytes 0-99/1234` -> 1234
fn total_length(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(5);
const CALL: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_length_is_what_follows_the_slash() {
        assert_eq!(total_length("bytes 0-99/1234"), Some(1234));
        assert_eq!(total_length("bytes 0-99/*"), None);
    }
}
