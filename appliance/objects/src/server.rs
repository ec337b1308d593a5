//! What must every client of an S3 server be told?
//!
//! Where it is, who asks, and that it need not be Amazon's. How long to wait is for each user to say.

use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use types::Redacted;

/// An S3 server and the keys to it.
pub struct Server<'a> {
    /// `http://` or `https://`; buckets are addressed by path.
    pub endpoint: &'a str,
    pub region: &'a str,
    pub access_key: &'a str,
    pub secret_key: &'a Redacted<String>,
}

impl Server<'_> {
    /// Checksums only where the API demands them: servers other than Amazon's often lack the newer ones.
    pub fn client_config(&self) -> Builder {
        let credentials = Credentials::new(self.access_key, self.secret_key.expose(), None, None, "scaibox");
        Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.endpoint)
            .region(Region::new(self.region.to_owned()))
            .credentials_provider(credentials)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
    }
}
