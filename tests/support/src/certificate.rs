//! Whom do SIP phones find by TLS? `127.0.0.1`, for whoever trusts this box's own authority.

use crate::{data::DataDir, ports::HOST};
use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;

/// Files in PEM.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub trust: PathBuf,
}

impl Certificate {
    /// Made anew at each start; nothing outside of the box remembers it.
    pub fn make(data: &DataDir) -> anyhow::Result<Self> {
        let mut authority = CertificateParams::new(vec![])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec![HOST.to_owned()])?
            .signed_by(&key, &Issuer::from_params(&authority, &authority_key))
            .context("no certificate for SIP over TLS")?;
        Ok(Self {
            certificate: data.write("config/sip-tls.crt", &leaf.pem())?,
            key: data.write("config/sip-tls.key", &key.serialize_pem())?,
            trust: data.write("config/sip-trust.crt", &authority.self_signed(&authority_key)?.pem())?,
        })
    }
}
