//! Who can open a backup?
//!
//! Whoever knows the passphrase (age's scrypt), or holds the X25519 identity that belongs to a
//! recipient. With a recipient the box can make backups that it cannot read itself. The file is plain
//! age: `age --decrypt` opens it on any machine, and what comes out is a tar.zst.

use super::BackupError;
use age::{DecryptError, Decryptor, Encryptor, secrecy::SecretString, stream, x25519};
use std::{
    fs,
    io::{self, BufRead, Write},
    path::Path,
};

/// Closes a backup.
pub enum Lock {
    Passphrase { passphrase: SecretString, work: u8 },
    Recipient(x25519::Recipient),
}

/// Opens one.
pub enum Key {
    Passphrase(SecretString),
    Identity(x25519::Identity),
}

impl Lock {
    pub fn from_passphrase_file(path: &Path) -> Result<Self, BackupError> {
        let passphrase = first_line(path)?;
        if passphrase.chars().count() < SHORTEST {
            let problem = format!("a passphrase of a backup has at least {SHORTEST} characters");
            return Err(BackupError::BadKey { key: path.display().to_string(), problem });
        }
        Ok(Self::Passphrase { passphrase: passphrase.into(), work: WORK })
    }

    pub fn from_recipient(text: &str) -> Result<Self, BackupError> {
        let bad = |problem: &str| BackupError::BadKey { key: text.to_owned(), problem: problem.to_owned() };
        text.parse().map(Self::Recipient).map_err(|_| bad("not an age recipient, which begins with `age1`"))
    }

    /// Everything written to the answer is encrypted; its `finish` must be called.
    pub fn close<W: Write>(&self, output: W) -> Result<stream::StreamWriter<W>, BackupError> {
        let encryptor = match self {
            Self::Passphrase { passphrase, work } => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(*work);
                Encryptor::with_recipients(std::iter::once(&recipient as _))
            }
            Self::Recipient(recipient) => Encryptor::with_recipients(std::iter::once(recipient as _)),
        };
        let encryptor = encryptor.map_err(BackupError::damaged)?;
        encryptor.wrap_output(output).map_err(BackupError::io("write", Path::new("the backup")))
    }
}

impl Key {
    pub fn from_passphrase_file(path: &Path) -> Result<Self, BackupError> {
        Ok(Self::Passphrase(first_line(path)?.into()))
    }

    /// A file as `age-keygen` writes it.
    pub fn from_identity_file(path: &Path) -> Result<Self, BackupError> {
        let text = fs::read_to_string(path).map_err(BackupError::io("read", path))?;
        let identity = text.lines().find_map(|line| line.trim().parse().ok());
        let problem = "holds no age identity, which begins with `AGE-SECRET-KEY-1`".to_owned();
        identity.map(Self::Identity).ok_or_else(|| BackupError::BadKey { key: path.display().to_string(), problem })
    }

    /// What comes out was authenticated, piece by piece.
    pub fn open<R: BufRead>(&self, input: R) -> Result<stream::StreamReader<R>, BackupError> {
        let decryptor = Decryptor::new_buffered(input).map_err(refused)?;
        let opened = match self {
            Self::Passphrase(passphrase) => {
                let mut identity = age::scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MOST_WORK);
                decryptor.decrypt(std::iter::once(&identity as _))
            }
            Self::Identity(identity) => decryptor.decrypt(std::iter::once(identity as _)),
        };
        opened.map_err(refused)
    }
}

fn refused(error: DecryptError) -> BackupError {
    match error {
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => {
            BackupError::WrongKey
        }
        DecryptError::Io(error) if error.kind() != io::ErrorKind::InvalidData => BackupError::damaged(error),
        DecryptError::InvalidHeader | DecryptError::UnknownFormat | DecryptError::Io(_) => BackupError::NotABackup,
        other => BackupError::damaged(other),
    }
}

/// A text file ends with a line break that nobody means as part of the passphrase.
fn first_line(path: &Path) -> Result<String, BackupError> {
    let text = fs::read_to_string(path).map_err(BackupError::io("read", path))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

const SHORTEST: usize = 12;

/// 2^18 rounds, 256 MiB for about a second: what age itself chooses.
const WORK: u8 = 18;

/// A file that asks for more is an attack on our memory, not a backup.
const MOST_WORK: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_passphrase_that_is_too_short_is_refused_and_not_shown() {
        let short = file("hunter2\n");
        let text = Lock::from_passphrase_file(short.path()).err().unwrap().to_string();
        assert!(text.ends_with("a passphrase of a backup has at least 12 characters"), "{text}");
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn what_is_no_recipient_or_identity_is_refused() {
        assert!(matches!(Lock::from_recipient("age1nonsense"), Err(BackupError::BadKey { .. })));
        let nothing = file("# created: today\n");
        assert!(matches!(Key::from_identity_file(nothing.path()), Err(BackupError::BadKey { .. })));
    }

    #[test]
    fn a_file_that_is_not_encrypted_is_no_backup() {
        let key = Key::Passphrase("a long passphrase".to_owned().into());
        let tar_gz = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, b'\n', b'\n', b'x', b'\n'];
        assert!(matches!(key.open(&tar_gz[..]), Err(BackupError::NotABackup)));
    }
}
