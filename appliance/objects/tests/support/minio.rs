//! A real S3 server for tests. `./box test` names the `minio` binary in `MINIO_BIN`.

use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

pub const ACCESS_KEY: &str = "scaibox-test";
pub const SECRET_KEY: &str = "scaibox-test-secret";

/// A server of its own data folder, gone with the test.
pub struct Minio(Child);

impl Minio {
    pub fn start(binary: &str, data: &Path, port: u16) -> Self {
        let child = Command::new(binary)
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .arg(data)
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("MINIO_BIN is set, so it must name a minio that starts");
        Self(child)
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary to test against. None, said on stderr: `MINIO_BIN` is not set.
pub fn minio_binary() -> Option<String> {
    let binary = std::env::var("MINIO_BIN").ok();
    if binary.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: MINIO_BIN is not set");
    }
    binary
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
