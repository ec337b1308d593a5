//! Does a handshake with somebody else's DTLS find the same keys? The phone is OpenSSL's command line, which prints
//! what it exported for SRTP.

use media::dtls::{Fingerprint, Handshake, Identity, Peer};
use media::srtp::{Keys, Suite};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROFILE: &str = "SRTP_AES128_CM_SHA1_80";
/// For anything that ought to happen.
const LIMIT: Duration = Duration::from_secs(60);

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A certificate for the phone, `phone.pem` with its key.
fn certificate(folder: &Path) -> Fingerprint {
    let (key, pem) = (folder.join("key.pem"), folder.join("phone.pem"));
    let (key, pem) = (key.to_str().unwrap(), pem.to_str().unwrap());
    let of_the_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key];
    openssl(&[&["req", "-x509", "-subj", "/CN=phone", "-days", "2", "-out", pem][..], &of_the_key].concat());
    let both = std::fs::read_to_string(pem).unwrap() + &std::fs::read_to_string(key).unwrap();
    std::fs::write(pem, both).unwrap();
    let line = openssl(&["x509", "-in", pem, "-noout", "-fingerprint", "-sha256"]);
    Fingerprint::parse(&format!("sha-256 {}", line.split_once('=').unwrap().1.trim())).unwrap()
}

/// `openssl s_client` or `s_server`; it says what it found on its standard output.
fn phone(folder: &Path, role: &[&str]) -> Child {
    let pem = folder.join("phone.pem");
    let mut command = Command::new("openssl");
    command.args(role).args(["-dtls1_2", "-use_srtp", PROFILE, "-cert"]).arg(&pem).arg("-key").arg(&pem);
    command.args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The octets after `Keying material:`.
fn exported(phone: &mut Child) -> Vec<u8> {
    let lines = BufReader::new(phone.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("Keying material: ")).expect("keying material");
    let digits = line.rsplit(' ').next().unwrap().to_owned();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// Talks until there are keys.
fn shake(socket: &UdpSocket, mut handshake: Handshake, mut to: Option<SocketAddr>) -> Keys {
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (end, mut buffer) = (Instant::now() + LIMIT, [0; 2048]);
    while Instant::now() < end {
        let came = socket.recv_from(&mut buffer).ok();
        to = came.map(|(_, from)| from).or(to);
        let mut send = |record: &[u8]| _ = to.map(|to| socket.send_to(record, to));
        let now = Instant::now();
        let outcome = match came {
            Some((length, _)) => handshake.record(&buffer[..length], now, &mut send),
            None if handshake.due().is_some_and(|due| due <= now) => handshake.tick(now, &mut send),
            None => Ok(None),
        };
        if let Some(keys) = outcome.unwrap() {
            return keys;
        }
    }
    panic!("no keys");
}

/// What either side's key is in the exported octets: both keys, then both salts.
fn assert_same(keys: &Keys, exported: &[u8], we_began: bool) {
    let of = |side: usize| [&exported[16 * side..][..16], &exported[32 + 14 * side..][..14]].concat();
    let (ours, theirs) = if we_began { (of(0), of(1)) } else { (of(1), of(0)) };
    assert_eq!(keys.ours.suite(), Suite::AesCm128HmacSha1_80);
    assert_eq!((keys.ours.secret(), keys.theirs.secret()), (&ours[..], &theirs[..]));
}

#[test]
fn a_phone_that_begins_finds_our_keys() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer { fingerprint: certificate(folder.path()), we_begin: false };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().to_string();
    let mut phone = phone(folder.path(), &["s_client", "-connect", &at]);
    let identity = Identity::generate().unwrap();
    let keys = shake(&socket, Handshake::new(&identity, peer, Instant::now()), None);
    assert_same(&keys, &exported(&mut phone), false);
    phone.kill().unwrap();
    phone.wait().unwrap();
}

#[test]
fn a_phone_that_waits_finds_our_keys() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer { fingerprint: certificate(folder.path()), we_begin: true };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut phone = phone(folder.path(), &["s_server", "-Verify", "1", "-port", &port.to_string()]);
    let identity = Identity::generate().unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let keys = shake(&socket, Handshake::new(&identity, peer, Instant::now()), Some(to));
    assert_same(&keys, &exported(&mut phone), true);
    phone.kill().unwrap();
    phone.wait().unwrap();
}
