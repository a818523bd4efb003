//! The engine's file on a descriptor of our own, because its flush is no sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::journal::disk::Disk;

/// How much is written anew at once, in bytes.
const CHUNK: usize = 1 << 20;

/// The file that holds the log. It is opened before the engine's first write, so that a failure to write any of it
/// is reported here.
pub(super) struct Data {
    disk: Disk,
    path: PathBuf,
    file: File,
    /// Is there after a failed sync: the kernel may call pages clean that never reached the disk, for whoever syncs
    /// next.
    doubt: PathBuf,
}

impl Data {
    /// Opens the file, created where it is not there, before the engine does. What is in it is durable afterwards:
    /// nothing is believed that only the page cache knows.
    pub(super) fn open(disk: &Disk, path: PathBuf, doubt: PathBuf) -> Result<Self, Error> {
        let mut file = disk
            .open_or_create(&path)
            .map_err(|source| Error::io(format!("cannot open {}", path.display()), source))?;
        let doubted = disk.exists(&doubt)?;
        if doubted {
            rewrite(disk, &path, &mut file).map_err(|source| Error::io("cannot write the log", source))?;
        }
        let data = Self { disk: disk.clone(), path, file, doubt };
        data.sync()?;
        if doubted {
            data.disk.remove(&data.doubt)?;
        }
        Ok(data)
    }

    /// Makes what the engine has flushed survive a loss of power.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.disk.sync(&self.path, &self.file).map_err(|source| {
            // It need not be durable: after a loss of power the disk is all there is.
            let _ = self.disk.open_or_create(&self.doubt);
            Error::io("cannot sync the log", source)
        })
    }
}

/// Writes every byte of a file over itself, so that the next sync has them to write.
fn rewrite(disk: &Disk, path: &Path, file: &mut File) -> io::Result<()> {
    let (mut chunk, mut at) = (vec![0; CHUNK], 0);
    loop {
        let read = file.read_at(&mut chunk, at)?;
        if read == 0 {
            return Ok(());
        }
        disk.write(path, file, &chunk[..read])?;
        at += read as u64;
    }
}
