//! Which folders make up the box's state, and in which order are they read?
//!
//! Calls go on while a backup is made, so the order matters: what is on its way somewhere is read
//! before the place it goes to. A spooled event or recording that arrives meanwhile is then in the
//! backup twice, which is harmless, and never in neither place. Objects come after the database, so
//! every row finds its recording.

use std::path::Path;

/// A folder in `/var/lib`, named like the daemon and the user it belongs to.
#[derive(Debug)]
pub struct Part {
    pub name: &'static str,
    /// The user whose files these are.
    pub owner: &'static str,
    /// Left out: paths below the folder, whole folders included.
    skip: &'static [&'static str],
}

impl Part {
    const fn of(name: &'static str) -> Self {
        Self { name, owner: name, skip: &[] }
    }

    pub fn skips(&self, below: &Path) -> bool {
        self.skip.iter().any(|path| below == Path::new(path))
    }
}

/// Where the database lies in the archive, and in `/var/lib`.
pub const DATABASE: &str = "control-api/scaibox.sqlite";

/// The part that holds the database: a copy of it is added, never the live file.
pub const CONTROL_API: &str = "control-api";

pub const PARTS: &[Part] = &[
    Part::of("sip-gateway"),
    Part::of("voice-worker"),
    Part::of("rtp-firewall"),
    Part::of("first-boot"),
    // The claim code is of one start of one machine, health and failed versions are of one disk.
    Part { name: "scaibox", owner: "root", skip: &["secrets/claim.json", "health"] },
    Part {
        name: CONTROL_API,
        owner: CONTROL_API,
        skip: &["scaibox.sqlite", "scaibox.sqlite-wal", "scaibox.sqlite-shm", "scaibox.sqlite-journal"],
    },
    // Uploads that were not finished when the copy was made never will be.
    Part { name: "minio", owner: "minio", skip: &[".minio.sys/tmp", ".minio.sys/multipart"] },
];

/// The part whose name is the first step of an archive path.
pub fn part_of(path: &Path) -> Option<&'static Part> {
    let first = path.components().next()?.as_os_str();
    PARTS.iter().find(|part| first == part.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> usize {
        PARTS.iter().position(|part| part.name == name).unwrap()
    }

    #[test]
    fn what_is_on_its_way_is_read_before_the_place_it_goes_to() {
        assert!(place("sip-gateway") < place("control-api"));
        assert!(place("voice-worker") < place("control-api"));
        assert!(place("voice-worker") < place("minio"));
        assert!(place("control-api") < place("minio"));
    }

    #[test]
    fn a_live_database_file_is_never_copied() {
        let part = &PARTS[place("control-api")];
        assert!(part.skips(Path::new("scaibox.sqlite")) && part.skips(Path::new("scaibox.sqlite-wal")));
        assert!(!part.skips(Path::new("greeting.wav")));
    }

    #[test]
    fn a_path_belongs_to_the_part_it_begins_with() {
        assert_eq!(part_of(Path::new("minio/recordings/a")).map(|part| part.name), Some("minio"));
        assert!(part_of(Path::new("fleet-agent/datastore")).is_none());
    }
}
