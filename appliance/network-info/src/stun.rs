//! What does a STUN server tell us? (RFC 8489)
//!
//! Pure: the bytes of a binding request, and the address in a binding response. Answers of others,
//! broken ones and ones that demand what we do not understand are errors, never addresses.
//!
//! When to send and send again: [`crate::round`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What ties an answer to its request (section 5).
pub type TransactionId = [u8; 12];

/// Why bytes are not the answer we wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    #[error("this is not a STUN message")]
    NotStun,
    #[error("this answers another request")]
    NotOurs,
    #[error("the message is cut off or its lengths are wrong")]
    Broken,
    #[error("the server refused with {0}")]
    Refused(u16),
    #[error("the server demands attribute {0:#06x}, which we do not know")]
    NotUnderstood(u16),
    #[error("there is no address in the answer")]
    NoAddress,
}

const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Ones that a server may add and that change nothing for us: USERNAME, MESSAGE-INTEGRITY, REALM, NONCE,
/// MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH.
const HARMLESS: [u16; 7] = [0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E];

/// A binding request without attributes.
pub fn request(id: &TransactionId) -> [u8; HEADER] {
    let mut message = [0; HEADER];
    message[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    message[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    message[8..].copy_from_slice(id);
    message
}

/// The address that the answer to request `id` says we have.
pub fn mapped_address(message: &[u8], id: &TransactionId) -> Result<SocketAddr, StunError> {
    let (kind, attributes) = split(message, id)?;
    let attributes = attributes.collect::<Result<Vec<_>, _>>()?;
    let value_of = |wanted| attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    if kind == BINDING_ERROR {
        return Err(value_of(ERROR_CODE).and_then(error_code).map_or(StunError::Broken, StunError::Refused));
    }
    if let Some((kind, _)) = attributes.iter().find(|(kind, _)| !is_understood(*kind)) {
        return Err(StunError::NotUnderstood(*kind));
    }
    if let Some(value) = value_of(XOR_MAPPED_ADDRESS) {
        return address(value).map(|address| xored(address, id));
    }
    // Servers of RFC 3489 know no other.
    value_of(MAPPED_ADDRESS).map_or(Err(StunError::NoAddress), address)
}

/// Kind and attributes of a message that may answer `id`.
fn split<'a>(message: &'a [u8], id: &TransactionId) -> Result<(u16, Attributes<'a>), StunError> {
    let (Some(kind), Some(length), Some(cookie)) = (u16_at(message, 0), u16_at(message, 2), u32_at(message, 4)) else {
        return Err(StunError::NotStun);
    };
    if message.len() < HEADER || cookie != COOKIE || kind & 0xC000 != 0 {
        return Err(StunError::NotStun);
    }
    if message[8..HEADER] != id[..] || !matches!(kind, BINDING_SUCCESS | BINDING_ERROR) {
        return Err(StunError::NotOurs);
    }
    if length % 4 != 0 || message.len() != HEADER + usize::from(length) {
        return Err(StunError::Broken);
    }
    Ok((kind, Attributes(&message[HEADER..])))
}

/// Type and value of each attribute; values are padded to four bytes (section 14).
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), StunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        let (Some(kind), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) else {
            return Some(Err(StunError::Broken));
        };
        let length = usize::from(length);
        let padded = length.next_multiple_of(4);
        let (Some(value), Some(more)) = (rest.get(4..4 + length), rest.get(4 + padded..)) else {
            return Some(Err(StunError::Broken));
        };
        self.0 = more;
        Some(Ok((kind, value)))
    }
}

/// From 0x8000 on, attributes may be ignored.
fn is_understood(kind: u16) -> bool {
    kind >= 0x8000 || matches!(kind, MAPPED_ADDRESS | XOR_MAPPED_ADDRESS) || HARMLESS.contains(&kind)
}

/// Section 14.1.
fn address(value: &[u8]) -> Result<SocketAddr, StunError> {
    let (Some(&family), Some(port)) = (value.get(1), u16_at(value, 2)) else { return Err(StunError::Broken) };
    let octets = &value[4..];
    let ip: IpAddr = match (family, octets.len()) {
        (1, 4) => <[u8; 4]>::try_from(octets).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from).into(),
        (2, 16) => <[u8; 16]>::try_from(octets).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from).into(),
        _ => return Err(StunError::Broken),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Section 14.2: hidden from routers that rewrite addresses wherever they see them.
fn xored(address: SocketAddr, id: &TransactionId) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) ^ COOKIE).into()),
        IpAddr::V6(ip) => {
            let key = id.iter().fold(u128::from(COOKIE), |key, byte| key << 8 | u128::from(*byte));
            IpAddr::V6((u128::from(ip) ^ key).into())
        }
    };
    SocketAddr::new(ip, address.port() ^ (COOKIE >> 16) as u16)
}

/// Section 14.8: class (3 to 6) and number (0 to 99).
fn error_code(value: &[u8]) -> Option<u16> {
    let (class, number) = (value.get(2)? & 0x07, *value.get(3)?);
    ((3..=6).contains(&class) && number < 100).then(|| u16::from(class) * 100 + u16::from(number))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
