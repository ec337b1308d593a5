//! How do a phone and we find keys that nobody else has? By a DTLS handshake on the port of the audio, between the
//! owners of certificates that SDP vouches for (RFC 5763, RFC 5764).
//!
//! [`Identity`] is our certificate, [`Peer`] what SDP says of the phone's, [`Handshake`] the conversation of one leg.
//! Certificates are those of browsers and of current phones (ECDSA on P-256 or P-384), and the hash is SHA-256; a phone
//! that shows an RSA certificate gets no keys. Records are told from RTP by their first octet ([`is_dtls`]).

use crate::srtp::{Key, Keys, Suite};
use dimpl::{Config, Dtls, DtlsCertificate, KeyingMaterial, Output, SrtpProfile, certificate};
use std::sync::Arc;
use std::time::Instant;

/// No record and no certificate of a phone is longer.
const LONGEST: usize = 2048;

/// Is this datagram of a handshake? (RFC 5764 section 5.1.2)
pub fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (20..64).contains(first))
}

/// The SHA-256 of a certificate (RFC 8122).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// `sha-256 4A:AD:…`; none for another hash, of which SDP may list several.
    pub fn parse(value: &str) -> Option<Fingerprint> {
        let (hash, octets) = value.trim().split_once(' ')?;
        let octets: Option<Vec<u8>> = octets.trim().split(':').map(octet).collect();
        hash.eq_ignore_ascii_case("sha-256").then_some(Fingerprint(octets?.try_into().ok()?))
    }

    /// As it is written in SDP.
    pub fn value(&self) -> String {
        format!("sha-256 {}", certificate::format_fingerprint(&self.0))
    }

    fn of(certificate: &[u8]) -> Option<Fingerprint> {
        Some(Fingerprint(certificate::calculate_fingerprint(certificate).try_into().ok()?))
    }
}

fn octet(digits: &str) -> Option<u8> {
    let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    two.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Whom a leg shakes hands with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub fingerprint: Fingerprint,
    /// We say hello; otherwise the phone does.
    pub we_begin: bool,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum DtlsError {
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    #[error("the handshake failed: {0}")]
    Handshake(#[from] dimpl::Error),
    #[error("the certificate is not the one that SDP names")]
    Stranger,
    #[error("the phone cannot do SRTP")]
    NoKeys,
}

/// Our certificate. Making one costs milliseconds, a clone nothing.
#[derive(Clone)]
pub struct Identity {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
}

impl Identity {
    pub fn generate() -> Result<Identity, DtlsError> {
        let certificate = certificate::generate_self_signed_certificate()
            .map_err(|error| DtlsError::Certificate(error.to_string()))?;
        let fingerprint = Fingerprint::of(&certificate.certificate).ok_or(DtlsError::Stranger)?;
        Ok(Identity { config: Arc::new(Config::builder().build()?), certificate, fingerprint })
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// The handshake of one leg. Whatever it sends goes to where the phone's records come from.
pub struct Handshake {
    dtls: Dtls,
    peer: Peer,
    /// When [`Handshake::tick`] has something to do.
    due: Option<Instant>,
    /// Whether the certificate is the promised one, once it was shown.
    proven: Option<bool>,
    keys: Option<Keys>,
}

impl Handshake {
    /// It begins with the first [`Handshake::tick`], or with the phone's first record.
    pub fn new(identity: &Identity, peer: Peer, now: Instant) -> Handshake {
        let mut dtls = Dtls::new_12(identity.config.clone(), identity.certificate.clone(), now);
        dtls.set_active(peer.we_begin);
        Handshake { dtls, peer, due: Some(now), proven: None, keys: None }
    }

    /// Is it with whom the new description names?
    pub fn is_with(&self, peer: &Peer) -> bool {
        self.peer.fingerprint == peer.fingerprint
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes a record of the phone's. The keys come once.
    pub fn record(
        &mut self,
        record: &[u8],
        now: Instant,
        send: &mut impl FnMut(&[u8]),
    ) -> Result<Option<Keys>, DtlsError> {
        self.dtls.handle_timeout(now)?;
        self.drain(send);
        self.dtls.handle_packet(record)?;
        self.drain(send);
        self.finish()
    }

    /// Says hello, or repeats what got lost.
    pub fn tick(&mut self, now: Instant, send: &mut impl FnMut(&[u8])) -> Result<Option<Keys>, DtlsError> {
        self.due = None;
        self.dtls.handle_timeout(now)?;
        self.drain(send);
        self.finish()
    }

    fn drain(&mut self, send: &mut impl FnMut(&[u8])) {
        let mut buffer = [0; LONGEST];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(record) => send(record),
                Output::PeerCert(der) => self.proven = Some(Fingerprint::of(der) == Some(self.peer.fingerprint)),
                Output::KeyingMaterial(material, profile) => {
                    self.keys = keys(&material, profile, self.peer.we_begin);
                }
                Output::Timeout(at) => {
                    self.due = Some(at);
                    return;
                }
                Output::BufferTooSmall { .. } => {
                    self.proven = Some(false);
                    return;
                }
                _ => {}
            }
        }
    }

    fn finish(&mut self) -> Result<Option<Keys>, DtlsError> {
        match (self.keys.take(), self.proven) {
            (_, Some(false)) => Err(DtlsError::Stranger),
            (Some(keys), Some(true)) => Ok(Some(keys)),
            (Some(_), None) => Err(DtlsError::Stranger),
            (None, _) => Ok(None),
        }
    }
}

/// Client key, server key, client salt, server salt (RFC 5764 section 4.2).
fn keys(material: &KeyingMaterial, profile: SrtpProfile, we_begin: bool) -> Option<Keys> {
    let (suite, length) = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => (Suite::AesCm128HmacSha1_80, 16),
        SrtpProfile::AEAD_AES_128_GCM => (Suite::AeadAes128Gcm, 16),
        SrtpProfile::AEAD_AES_256_GCM => (Suite::AeadAes256Gcm, 32),
        _ => return None,
    };
    let (masters, salts) = material.split_at_checked(2 * length)?;
    let salt = suite.secret_length() - length;
    let of = |side: usize| {
        let salt = salts.get(side * salt..(side + 1) * salt)?;
        Key::new(suite, [&masters[side * length..(side + 1) * length], salt].concat())
    };
    let (client, server) = (of(0)?, of(1)?);
    let (ours, theirs) = if we_begin { (client, server) } else { (server, client) };
    Some(Keys { ours, theirs })
}

#[cfg(test)]
mod tests;
