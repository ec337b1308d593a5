//! How is the next start told something that outlives this one?
//!
//! By an EFI variable, a file in efivarfs: four bytes of attributes, then the value, in one write.
//! systemd reads its variables as UTF-16 text. The kernel marks variables immutable, so that nobody
//! removes one by accident; the mark of one that is there already is taken off first.

use anyhow::{Context, bail};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

/// systemd's own namespace for EFI variables.
pub const SYSTEMD: &str = "8cf2644b-4b0b-428f-9387-6d876050dc67";

/// Sets `name` to `text` for good, and reads it back: firmware does not always keep its word.
pub fn set_text(efivars: &Path, name: &str, vendor: &str, text: &str) -> anyhow::Result<()> {
    if !efivars.is_dir() {
        bail!("this machine was not started by EFI ({} is not there)", efivars.display());
    }
    let path = efivars.join(format!("{name}-{vendor}"));
    let content = content(text);
    make_mutable(&path);
    write(&path, &content).with_context(|| format!("the firmware did not take {}", path.display()))?;
    let kept = fs::read(&path).with_context(|| format!("could not read {} back", path.display()))?;
    if kept != content {
        bail!("the firmware kept something else in {}", path.display());
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    // efivarfs wants the whole variable at once: no truncation before, no second write.
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    if file.write(content)? != content.len() {
        return Err(std::io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// A variable that is not there, or a file system without marks, needs nothing.
fn make_mutable(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    if let Ok(flags) = ioctl_getflags(&file)
        && flags.contains(IFlags::IMMUTABLE)
        && let Err(error) = ioctl_setflags(&file, flags - IFlags::IMMUTABLE)
    {
        tracing::warn!(%error, path = %path.display(), "an EFI variable stays immutable");
    }
}

fn content(text: &str) -> Vec<u8> {
    let attributes = NON_VOLATILE | BOOT_SERVICE_ACCESS | RUNTIME_ACCESS;
    let value = text.encode_utf16().flat_map(u16::to_le_bytes);
    attributes.to_le_bytes().into_iter().chain(value).collect()
}

const NON_VOLATILE: u32 = 1;
const BOOT_SERVICE_ACCESS: u32 = 2;
const RUNTIME_ACCESS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_attributes_and_utf16_text() {
        let efivars = tempfile::tempdir().unwrap();
        set_text(efivars.path(), "FactoryReset", SYSTEMD, "yes").unwrap();
        let path = efivars.path().join("FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67");
        assert_eq!(fs::read(path).unwrap(), [7, 0, 0, 0, b'y', 0, b'e', 0, b's', 0]);
    }

    #[test]
    fn setting_it_twice_is_fine() {
        let efivars = tempfile::tempdir().unwrap();
        set_text(efivars.path(), "FactoryReset", SYSTEMD, "yes").unwrap();
        set_text(efivars.path(), "FactoryReset", SYSTEMD, "yes").unwrap();
    }

    #[test]
    fn firmware_that_keeps_something_else_is_noticed() {
        let efivars = tempfile::tempdir().unwrap();
        let path = efivars.path().join(format!("FactoryReset-{SYSTEMD}"));
        fs::write(path, [7, 0, 0, 0, b'n', 0, b'o', 0, b't', 0, b'y', 0, b'e', 0, b't', 0]).unwrap();
        let text = set_text(efivars.path(), "FactoryReset", SYSTEMD, "yes").unwrap_err().to_string();
        assert!(text.starts_with("the firmware kept something else"), "{text}");
    }

    #[test]
    fn a_machine_without_efi_says_so() {
        let text = set_text(Path::new("/nowhere"), "FactoryReset", SYSTEMD, "yes").unwrap_err().to_string();
        assert_eq!(text, "this machine was not started by EFI (/nowhere is not there)");
    }
}
