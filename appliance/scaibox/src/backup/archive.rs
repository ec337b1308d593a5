//! What lies inside the encryption?
//!
//! A tar of folders and regular files, compressed with zstd: `manifest.json`, the parts, and
//! `checksums.json`. Owners are not kept: the users of another version may have other numbers, so
//! each part goes to the user of its name.

use super::{
    BackupError,
    manifest::{CHECKSUMS, Checksum, MANIFEST, Manifest},
    seal::{Key, Lock},
};
use age::stream::{StreamReader, StreamWriter};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};
use tar::{EntryType, Header};

/// Mode and time of a file or folder, as they were on the box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meta {
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: u64,
}

/// Writes one backup into `W`.
pub struct Writer<W: Write> {
    tar: tar::Builder<zstd::Encoder<'static, StreamWriter<W>>>,
    sums: Vec<Checksum>,
}

impl<W: Write> Writer<W> {
    pub fn begin(output: W, lock: &Lock, manifest: &Manifest) -> Result<Self, BackupError> {
        let mut zstd = zstd::Encoder::new(lock.close(output)?, LEVEL).map_err(unwritten)?;
        zstd.include_checksum(true).map_err(unwritten)?;
        let mut writer = Self { tar: tar::Builder::new(zstd), sums: Vec::new() };
        writer.json(MANIFEST, manifest)?;
        Ok(writer)
    }

    pub fn folder(&mut self, path: &Path, meta: Meta) -> Result<(), BackupError> {
        self.tar.append_data(&mut header(EntryType::Directory, 0, meta), path, io::empty()).map_err(unwritten)
    }

    /// Exactly `bytes` of `source`, which must have that many.
    pub fn file(&mut self, path: &Path, source: impl Read, bytes: u64, meta: Meta) -> Result<(), BackupError> {
        let mut source = Hashing { inner: source.take(bytes), sha256: Sha256::new(), bytes: 0 };
        let mut header = header(EntryType::Regular, bytes, meta);
        self.tar.append_data(&mut header, path, &mut source).map_err(unwritten)?;
        if source.bytes != bytes {
            return Err(unwritten(io::Error::other(format!("{} became shorter while it was read", path.display()))));
        }
        self.sums.push(source.checksum(path));
        Ok(())
    }

    /// Ends the archive and the encryption; the output is still to be flushed.
    pub fn finish(mut self) -> Result<W, BackupError> {
        let sums = std::mem::take(&mut self.sums);
        self.json(CHECKSUMS, &sums)?;
        let zstd = self.tar.into_inner().map_err(unwritten)?;
        zstd.finish().and_then(StreamWriter::finish).map_err(unwritten)
    }

    fn json<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), BackupError> {
        let text = serde_json::to_vec(value).map_err(|error| unwritten(error.into()))?;
        let mut header = header(EntryType::Regular, text.len() as u64, Meta { mode: 0o600, modified: 0 });
        self.tar.append_data(&mut header, name, &text[..]).map_err(unwritten)
    }
}

/// The tar inside a backup; what follows its end must be read too ([`drain`]).
pub type Reader<R> = tar::Archive<zstd::Decoder<'static, BufReader<StreamReader<R>>>>;

pub fn open<R: BufRead>(input: R, key: &Key) -> Result<Reader<R>, BackupError> {
    let zstd = zstd::Decoder::new(key.open(input)?).map_err(BackupError::damaged)?;
    Ok(tar::Archive::new(zstd))
}

/// Reads to the very end, where age proves that nothing was cut off.
pub fn drain<R: BufRead>(archive: Reader<R>) -> Result<(), BackupError> {
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map(drop).map_err(BackupError::damaged)
}

/// Counts and sums what is read through it.
pub struct Hashing<R> {
    pub inner: R,
    pub sha256: Sha256,
    pub bytes: u64,
}

impl<R> Hashing<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }

    pub fn checksum(self, path: &Path) -> Checksum {
        let path = path.to_string_lossy().into_owned();
        Checksum { path, bytes: self.bytes, sha256: hex::encode(self.sha256.finalize()) }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn header(kind: EntryType, bytes: u64, meta: Meta) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(meta.mode);
    header.set_mtime(meta.modified);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn unwritten(source: io::Error) -> BackupError {
    BackupError::Io { verb: "write", what: "the backup".into(), source }
}

/// Recordings do not compress; the database does, and this level costs next to nothing.
const LEVEL: i32 = 3;
