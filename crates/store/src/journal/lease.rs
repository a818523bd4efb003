//! The right to write a session's next turn, as a locked file.

use std::fs::File;
use std::path::PathBuf;

use super::disk::Disk;
use crate::error::Error;
use crate::turn::Lease;

/// A locked file that is removed when the lease ends.
#[derive(Debug)]
pub(super) struct FileLease {
    disk: Disk,
    path: PathBuf,
    _lock: File,
}

impl FileLease {
    /// Takes the lock, or returns `None` where somebody holds it.
    pub(super) fn take(disk: &Disk, path: PathBuf) -> Result<Option<Self>, Error> {
        loop {
            let lock = disk
                .open_or_create(&path)
                .map_err(|source| Error::io(format!("cannot open {}", path.display()), source))?;
            if !disk.try_lock(&path, &lock)? {
                return Ok(None);
            }
            // Its last holder may have removed the name between our open and our lock.
            if disk.names(&path, &lock)? {
                return Ok(Some(Self { disk: disk.clone(), path, _lock: lock }));
            }
        }
    }
}

impl Lease for FileLease {}

impl Drop for FileLease {
    /// Removes the name while the lock is still held, so that it can only be our own.
    fn drop(&mut self) {
        // A name that stays is harmless: the next holder takes the same file.
        let _ = self.disk.remove(&self.path);
    }
}
