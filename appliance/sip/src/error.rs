//! Why did a SIP action fail?

use crate::tls::CertificateFault;
use std::net::SocketAddr;

/// A refusal by the peer, or the reason why it was never asked.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    #[error("could not bind {addr}")]
    Bind { addr: SocketAddr, source: std::io::Error },
    /// The peer said no. Silence reads as 408.
    #[error("the peer answered {code} {reason}")]
    Refused { code: u16, reason: String },
    #[error("the call is over")]
    Ended,
    #[error("`{0}` is not a usable SIP address")]
    BadAddress(String),
    #[error("`{0}` does not resolve")]
    Unresolved(String),
    #[error("could not reach {addr}")]
    Unreachable { addr: SocketAddr, source: std::io::Error },
    #[error("the peer did not prove by its certificate that it is {name}")]
    NotTrusted { name: String, source: std::io::Error },
    #[error("{0} is switched off here")]
    TransportOff(crate::Transport),
}

impl SipError {
    /// Why a peer's certificate was not taken; none when it was not the certificate.
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        match self {
            SipError::NotTrusted { source, .. } => CertificateFault::of(source),
            _ => None,
        }
    }

    /// The SIP code that says the same to a caller.
    pub fn code(&self) -> u16 {
        match self {
            SipError::Refused { code, .. } => *code,
            SipError::BadAddress(_) => 400,
            SipError::Ended => 481,
            _ => 503,
        }
    }
}
