//! Where does a backup go to, or come from?
//!
//! A file path or `s3://bucket/key`. A file appears under its name when it is complete, and never
//! takes the place of another one.

use super::{
    BackupError,
    s3::{Download, Object, S3Config, Upload},
};
use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

/// What the operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    S3 { bucket: String, key: String },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(object) = text.strip_prefix("s3://") else { return Ok(Self::File(text.into())) };
        match object.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self::S3 { bucket: bucket.into(), key: key.into() })
            }
            _ => Err("an S3 object is written s3://bucket/key".into()),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

/// A place whose server is known. Made inside the runtime, used on a blocking thread.
pub enum Store {
    File(PathBuf),
    S3(Object),
}

impl Store {
    pub fn at(place: &Place, s3: Option<&S3Config>) -> Result<Self, BackupError> {
        match (place, s3) {
            (Place::File(path), _) => Ok(Self::File(path.clone())),
            (Place::S3 { bucket, key }, Some(config)) => Ok(Self::S3(Object::new(config, bucket, key))),
            (Place::S3 { .. }, None) => {
                let problem = "needs --s3-config FILE with endpoint, access_key and secret_key".to_owned();
                Err(BackupError::BadKey { key: place.to_string(), problem })
            }
        }
    }

    pub fn write(&self) -> Result<Sink, BackupError> {
        match self {
            Self::File(path) => Sink::beside(path),
            Self::S3(object) => object.upload().map(Sink::S3),
        }
    }

    pub fn read(&self) -> Result<BufReader<Source>, BackupError> {
        let source = match self {
            Self::File(path) => Source::File(File::open(path).map_err(BackupError::io("read", path))?),
            Self::S3(object) => Source::S3(object.download()?),
        };
        Ok(BufReader::with_capacity(BUFFER, source))
    }
}

/// A backup that is being written.
pub enum Sink {
    File { file: tempfile::NamedTempFile, target: PathBuf },
    S3(Upload),
}

impl Sink {
    fn beside(target: &Path) -> Result<Self, BackupError> {
        if target.exists() {
            return Err(BackupError::io("write", target)(io::ErrorKind::AlreadyExists.into()));
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".scaibox-").suffix(".part").tempfile_in(folder);
        Ok(Self::File { file: file.map_err(BackupError::io("write", target))?, target: target.to_owned() })
    }

    /// Complete and on the disk, under its name.
    pub fn finish(self) -> Result<(), BackupError> {
        match self {
            Self::S3(upload) => upload.finish(),
            Self::File { file, target } => {
                file.as_file().sync_all().map_err(BackupError::io("write", &target))?;
                let kept = file.persist_noclobber(&target).map_err(|error| error.error).map(drop);
                let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
                let synced =
                    kept.and_then(|()| File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()));
                synced.map_err(BackupError::io("write", &target))
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::S3(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::S3(upload) => upload.flush(),
        }
    }
}

/// A backup that is being read.
pub enum Source {
    File(File),
    S3(Download),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::S3(download) => download.read(buffer),
        }
    }
}

/// The file after `--s3-config`, which holds a secret.
pub fn read_s3_config(path: &Path) -> Result<S3Config, BackupError> {
    let text = fs::read_to_string(path).map_err(BackupError::io("read", path))?;
    let bad = |error: toml::de::Error| BackupError::BadKey {
        key: path.display().to_string(),
        problem: error.message().to_owned(),
    };
    toml::from_str(&text).map_err(bad)
}

const BUFFER: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_bucket_and_a_key() {
        assert_eq!("/mnt/usb/box.age".parse(), Ok(Place::File("/mnt/usb/box.age".into())));
        let object = Place::S3 { bucket: "backups".into(), key: "amsterdam/box.age".into() };
        assert_eq!("s3://backups/amsterdam/box.age".parse(), Ok(object.clone()));
        assert_eq!(object.to_string(), "s3://backups/amsterdam/box.age");
        for bad in ["s3://", "s3://backups", "s3://backups/", "s3:///key"] {
            assert_eq!(bad.parse::<Place>(), Err("an S3 object is written s3://bucket/key".into()), "{bad}");
        }
    }

    #[test]
    fn an_unfinished_backup_leaves_no_file_and_a_finished_one_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("box.age");
        drop(Sink::beside(&target).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut sink = Sink::beside(&target).unwrap();
        sink.write_all(b"sealed").unwrap();
        sink.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"sealed");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_older_backup_is_never_overwritten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Sink::beside(file.path()), Err(BackupError::Io { .. })));
    }
}
