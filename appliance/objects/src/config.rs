//! How is the S3 server reached?

use serde::Deserialize;
use types::Redacted;

/// The `[s3]` table of a daemon's configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// `http://127.0.0.1:9000` or an `https://` URL; buckets are addressed by path.
    pub endpoint: String,
    #[serde(default = "default_region")]
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: Redacted<String>,
}

/// What MinIO and most others call themselves when nobody chose a region.
pub fn default_region() -> String {
    "us-east-1".to_owned()
}
