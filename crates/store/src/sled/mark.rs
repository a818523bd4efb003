//! How many commits are durable, kept beside the log, so that a log that lost its end is found out.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::journal::disk::Disk;

/// A count and its checksum in a file of 12 bytes. It is written after what it counts is durable, and never
/// synced itself: after a loss of power it may count too few, which proves less and accuses nobody.
pub(super) struct Mark {
    file: File,
    commits: AtomicU64,
}

impl Mark {
    /// Opens the mark; one that cannot be read counts nothing.
    pub(super) fn open(disk: &Disk, path: &Path) -> Result<Self, Error> {
        let file = disk
            .open_or_create(path)
            .map_err(|source| Error::io(format!("cannot open {}", path.display()), source))?;
        let mut bytes = [0; 12];
        let read = file.read_exact_at(&mut bytes, 0);
        let commits = read.ok().and_then(|()| decode(bytes)).unwrap_or(0);
        Ok(Self { file, commits: AtomicU64::new(commits) })
    }

    /// Reads how many commits are durable where a log may be open elsewhere; `None` where there is no mark, or one that
    /// cannot be read.
    pub(super) fn peek(path: &Path) -> Option<u64> {
        let mut bytes = [0; 12];
        File::open(path).ok()?.read_exact_at(&mut bytes, 0).ok()?;
        decode(bytes)
    }

    /// Returns how many commits the log must hold.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Notes that so many commits are durable.
    pub(super) fn set(&self, commits: u64) {
        self.commits.store(commits, Ordering::Relaxed);
        // An old mark proves less, and is right.
        let _ = self.file.write_all_at(&encode(commits), 0);
    }
}

fn encode(commits: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&commits.to_be_bytes());
    bytes[8..].copy_from_slice(&crc32fast::hash(&commits.to_be_bytes()).to_be_bytes());
    bytes
}

fn decode(bytes: [u8; 12]) -> Option<u64> {
    let (commits, _) = bytes.split_first_chunk::<8>()?;
    let commits = u64::from_be_bytes(*commits);
    (encode(commits) == bytes).then_some(commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_damaged_one_counts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        assert_eq!(Mark::open(&Disk::default(), &path).unwrap().commits(), 0);
        Mark::open(&Disk::default(), &path).unwrap().set(70_000);
        assert_eq!(Mark::open(&Disk::default(), &path).unwrap().commits(), 70_000);
        assert_eq!(Mark::peek(&path), Some(70_000));
        std::fs::write(&path, [9; 12]).unwrap();
        assert_eq!((Mark::peek(&path), Mark::peek(dir.path())), (None, None));
        assert_eq!(Mark::open(&Disk::default(), &path).unwrap().commits(), 0);
    }
}
