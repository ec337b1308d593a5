//! Where do tags, branches and Call-IDs come from?

use rand::Rng;

fn random(bytes: usize) -> String {
    let mut rng = rand::rng();
    let octets: Vec<u8> = (0..bytes).map(|_| rng.random()).collect();
    hex::encode(octets)
}

/// A dialog tag: 80 random bits (RFC 3261 asks for 32).
pub fn new_tag() -> String {
    random(10)
}

pub fn new_call_id() -> String {
    random(16)
}

/// The cookie says that the branch is unique in space and time.
pub(crate) fn new_branch() -> String {
    format!("z9hG4bK{}", random(10))
}

pub(crate) fn new_cnonce() -> String {
    random(8)
}

/// A key for this process's life.
pub(crate) fn new_key() -> [u8; 32] {
    rand::rng().random()
}

/// CSeq starts small so that it can grow for years.
pub(crate) fn first_cseq() -> u32 {
    rand::rng().random_range(1..=10_000)
}
