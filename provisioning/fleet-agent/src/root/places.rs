//! Where does the root part find things? Fixed on a box; a folder of its own in tests.

use super::RootError;
use daemon::files::{PUBLIC, replace};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Paths and programs that a root step uses.
#[derive(Clone, Debug)]
pub struct Places {
    pub product: String,
    pub os_release: PathBuf,
    /// Where the ESP may be mounted; the first with `EFI/Linux` counts.
    pub esp: Vec<PathBuf>,
    pub health: PathBuf,
    pub partitions: PathBuf,
    pub results: PathBuf,
    pub bless_boot: PathBuf,
    pub sysupdate: PathBuf,
    pub systemctl: PathBuf,
}

impl Places {
    pub fn of_this_box() -> Self {
        Self {
            product: "scaibox".into(),
            os_release: "/usr/lib/os-release".into(),
            esp: vec!["/efi".into(), "/boot".into()],
            health: "/var/lib/scaibox/health".into(),
            partitions: "/dev/disk/by-partlabel".into(),
            results: "/run/scaibox-update".into(),
            bless_boot: "/usr/lib/systemd/systemd-bless-boot".into(),
            sysupdate: "/usr/lib/systemd/systemd-sysupdate".into(),
            systemctl: "/usr/bin/systemctl".into(),
        }
    }

    /// Held while a step runs.
    pub(super) fn lock(&self) -> Result<fs::File, RootError> {
        fs::create_dir_all(&self.results).map_err(at(&self.results))?;
        let path = self.results.join("lock");
        let file = fs::File::create(&path).map_err(at(&path))?;
        file.try_lock().map_err(|_| RootError::Busy)?;
        Ok(file)
    }

    /// Writes a result for the agent, all at once and readable by everybody.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), RootError> {
        let path = self.results.join(name);
        let json = serde_json::to_vec(value).map_err(|error| at(&path)(error.into()))?;
        replace(&path, &json, PUBLIC).map_err(at(&path))
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> RootError + '_ {
    move |source| RootError::File { path: path.to_owned(), source }
}
