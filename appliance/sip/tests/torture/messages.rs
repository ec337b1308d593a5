//! Where do the octets of a torture message come from, and how do they go on a wire?

use crate::table::{Rfc, Row, TORTURE, TORTURE_IPV6};
use std::fs;
use std::path::PathBuf;

/// Each row with its message.
pub fn messages(rfc: &Rfc) -> impl Iterator<Item = (&'static Row, Vec<u8>)> {
    let folder = folder(rfc);
    rfc.rows.iter().map(move |row| {
        let path = folder.join(format!("{}.dat", row.name));
        (row, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    })
}

/// Both RFCs.
pub fn all_messages() -> impl Iterator<Item = (&'static Row, Vec<u8>)> {
    messages(&TORTURE).chain(messages(&TORTURE_IPV6))
}

pub fn folder(rfc: &Rfc) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(rfc.folder)
}

/// With `rport` in the topmost Via (RFC 3581), as every phone writes it: without it the answer to a datagram goes to
/// port 5060, which is not ours. Nothing else changes.
pub fn with_rport(message: &[u8]) -> Vec<u8> {
    let end = end_of_topmost_via(message);
    [&message[..end], b";rport", &message[end..]].concat()
}

/// Where the first entry of the first Via field ends, over folded lines.
fn end_of_topmost_via(message: &[u8]) -> usize {
    let mut at = 0;
    let mut inside = false;
    for line in message.split_inclusive(|b| *b == b'\n') {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if inside && !folded {
            return at - b"\r\n".len();
        }
        inside |= is_via(line);
        if let Some(comma) = line.iter().position(|b| *b == b',').filter(|_| inside) {
            return at + comma;
        }
        at += line.len();
    }
    panic!("a message without a Via")
}

fn is_via(line: &[u8]) -> bool {
    let name = line.split(|b| *b == b':').next().unwrap_or_default();
    let name = name.trim_ascii().to_ascii_lowercase();
    name == b"via" || name == b"v"
}
