//! How does restored data take the place of the old, whatever happens in between?
//!
//! By renames on one file system, written down before the first of them: `scaibox-restore/plan.json`
//! says which parts move and in which direction. Every move can be repeated, so [`settle`], which
//! runs at each start before the daemons do, ends what a power cut interrupted: forwards when the
//! plan says so, back when the new data did not work. Without a plan nothing was moved yet, and what
//! was unpacked is thrown away.
//!
//! `scaibox-restore/`: `new` (to be moved in), `old` (moved out), `plan.json`.

use super::{BackupError, stage};
use crate::places::Places;
use daemon::files;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A restore whose new data is staged.
pub struct Swap {
    state: PathBuf,
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    In,
    Out,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    way: Way,
    parts: Vec<String>,
}

impl Swap {
    pub fn at(places: &Places) -> Self {
        Self { state: places.state(), folder: places.restore() }
    }

    /// Where the new data is to be unpacked.
    pub fn new_data(&self) -> PathBuf {
        self.folder.join("new")
    }

    /// Puts the new data in its place; the old is kept.
    pub fn move_in(&self) -> Result<(), BackupError> {
        stage::sync(&self.folder)?;
        let plan = Plan { way: Way::In, parts: stage::parts_in(&self.new_data()) };
        self.write(&plan)?;
        self.carry_out(&plan)
    }

    /// Puts the old data back.
    pub fn move_out(&self) -> Result<(), BackupError> {
        let Some(plan) = self.plan()? else { return Ok(()) };
        let plan = Plan { way: Way::Out, ..plan };
        self.write(&plan)?;
        self.carry_out(&plan)
    }

    /// The data in place stays; the other is removed.
    pub fn forget(&self) -> Result<(), BackupError> {
        stage::sync(&self.state)?;
        // The plan goes last: until then an interrupted removal is taken up again.
        for name in ["new", "old"] {
            stage::remove(&self.folder.join(name))?;
        }
        stage::remove(&self.folder)
    }

    fn carry_out(&self, plan: &Plan) -> Result<(), BackupError> {
        let old = self.folder.join("old");
        fs::create_dir_all(&old).map_err(BackupError::io("make", &old))?;
        for part in &plan.parts {
            let (live, new, old) = (self.state.join(part), self.new_data().join(part), old.join(part));
            match plan.way {
                Way::In => put_in(&live, &new, &old)?,
                Way::Out => put_back(&live, &new, &old)?,
            }
        }
        stage::sync(&self.state)
    }

    fn plan(&self) -> Result<Option<Plan>, BackupError> {
        let path = self.folder.join(PLAN);
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|error| BackupError::io("read", &path)(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackupError::io("read", &path)(error)),
        }
    }

    fn write(&self, plan: &Plan) -> Result<(), BackupError> {
        let path = self.folder.join(PLAN);
        let text = serde_json::to_vec(plan).map_err(|error| BackupError::io("write", &path)(error.into()))?;
        stage::sync(&self.folder)?; // what is to be moved in comes before the word that it is there
        files::replace(&path, &text, files::PRIVATE).map_err(BackupError::io("write", &path))
    }
}

/// Ends a restore that was interrupted; true when there was one whose data is now in place.
pub fn settle(places: &Places) -> Result<bool, BackupError> {
    let swap = Swap::at(places);
    let plan = swap.plan()?;
    if let Some(plan) = &plan {
        swap.carry_out(plan)?;
    }
    if places.restore().exists() {
        swap.forget()?;
    }
    Ok(plan.is_some_and(|plan| plan.way == Way::In))
}

/// The new data goes in, unless it has gone in already.
fn put_in(live: &Path, new: &Path, old: &Path) -> Result<(), BackupError> {
    if new.exists() { exchange(live, new, old) } else { Ok(()) }
}

/// The old data goes back. A part that the box did not have before is not there afterwards either.
fn put_back(live: &Path, new: &Path, old: &Path) -> Result<(), BackupError> {
    if old.exists() {
        return exchange(live, old, new);
    }
    if live.exists() && !new.exists() {
        fs::rename(live, new).map_err(BackupError::io("move", live))?;
    }
    Ok(())
}

/// A folder that a starting daemon made after the first move was interrupted goes aside too.
fn exchange(live: &Path, incoming: &Path, aside: &Path) -> Result<(), BackupError> {
    if live.exists() {
        fs::rename(live, free(aside)).map_err(BackupError::io("move", live))?;
    }
    fs::rename(incoming, live).map_err(BackupError::io("move", incoming))
}

fn free(path: &Path) -> PathBuf {
    let mut free = path.to_owned();
    while free.exists() {
        free.add_extension("again");
    }
    free
}

const PLAN: &str = "plan.json";

#[cfg(test)]
mod tests {
    use super::*;

    struct Disk {
        _root: tempfile::TempDir,
        places: Places,
    }

    /// Two parts with old data, one that the box never had; new data for all three.
    fn disk() -> Disk {
        let root = tempfile::tempdir().unwrap();
        let places = Places::under(root.path());
        for (folder, text) in [
            ("scaibox", "old"),
            ("minio", "old"),
            ("scaibox-restore/new/scaibox", "new"),
            ("scaibox-restore/new/minio", "new"),
            ("scaibox-restore/new/voice-worker", "new"),
        ] {
            let folder = places.state().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("data"), text).unwrap();
        }
        Disk { _root: root, places }
    }

    impl Disk {
        fn data(&self, part: &str) -> Option<String> {
            fs::read_to_string(self.places.state().join(part).join("data")).ok()
        }

        fn all(&self) -> [Option<String>; 3] {
            ["scaibox", "minio", "voice-worker"].map(|part| self.data(part))
        }
    }

    fn new_data() -> [Option<String>; 3] {
        [Some("new".into()), Some("new".into()), Some("new".into())]
    }

    fn old_data() -> [Option<String>; 3] {
        [Some("old".into()), Some("old".into()), None]
    }

    #[test]
    fn the_new_data_moves_in_and_the_old_is_kept_until_it_is_forgotten() {
        let disk = disk();
        let swap = Swap::at(&disk.places);
        swap.move_in().unwrap();
        assert_eq!(disk.all(), new_data());
        assert_eq!(disk.data("scaibox-restore/old/scaibox").as_deref(), Some("old"));
        swap.forget().unwrap();
        assert!(!disk.places.restore().exists());
        assert_eq!(disk.all(), new_data());
    }

    #[test]
    fn data_that_does_not_work_is_moved_out_again() {
        let disk = disk();
        let swap = Swap::at(&disk.places);
        swap.move_in().unwrap();
        swap.move_out().unwrap();
        assert_eq!(disk.all(), old_data());
    }

    #[test]
    fn what_was_only_unpacked_is_thrown_away_at_the_next_start() {
        let disk = disk();
        assert!(!settle(&disk.places).unwrap());
        assert_eq!(disk.all(), old_data());
        assert!(!disk.places.restore().exists());
    }

    /// Undoes the last `undone` of the four or five renames: the disk as a power cut leaves it.
    fn interrupted(undone: usize) -> Disk {
        let disk = disk();
        Swap::at(&disk.places).move_in().unwrap();
        let (state, restore) = (disk.places.state(), disk.places.restore());
        let mut moves = Vec::new();
        for part in stage::parts_in(&state) {
            if restore.join("old").join(&part).exists() {
                moves.push((state.join(&part), restore.join("old").join(&part)));
            }
            moves.push((restore.join("new").join(&part), state.join(&part)));
        }
        for (from, to) in moves.into_iter().rev().take(undone) {
            fs::rename(to, from).unwrap();
        }
        disk
    }

    #[test]
    fn a_power_cut_between_any_two_moves_is_made_good_at_the_next_start() {
        for undone in 0..=5 {
            let disk = interrupted(undone);
            assert!(settle(&disk.places).unwrap());
            assert_eq!(disk.all(), new_data(), "{undone} moves were missing");
            assert!(!disk.places.restore().exists());
            assert!(!settle(&disk.places).unwrap(), "nothing is left to be done");
        }
    }

    #[test]
    fn a_power_cut_on_the_way_back_is_made_good_too() {
        for undone in 0..=5 {
            let disk = interrupted(undone);
            let swap = Swap::at(&disk.places);
            swap.move_out().unwrap();
            assert!(!settle(&disk.places).unwrap());
            assert_eq!(disk.all(), old_data(), "{undone} moves were missing");
        }
    }

    #[test]
    fn an_empty_folder_that_a_starting_system_made_does_not_stand_in_the_way() {
        let disk = interrupted(1);
        fs::create_dir_all(disk.places.state().join("minio")).unwrap();
        assert!(settle(&disk.places).unwrap());
        assert_eq!(disk.all(), new_data());
    }
}
