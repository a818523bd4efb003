//! The disk as a store uses it: every operation on files in one place, so that a test can have any of them refused.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Files and directories for one user alone. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Option<Arc<dyn Faults>>);

/// Who may refuse what a disk is asked for. Outside tests there is nobody.
pub(crate) trait Faults: Send + Sync {
    /// Returns why an operation fails, if it does.
    fn meet(&self, op: Op<'_>, path: &Path) -> Result<(), Fault>;
}

/// Why an operation fails.
pub(crate) struct Fault {
    /// How many bytes of a write arrive before.
    pub(crate) written: usize,
    pub(crate) error: io::Error,
}

/// What a disk is asked for.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "read by those who refuse"))]
pub(crate) enum Op<'a> {
    Create,
    Open,
    Read,
    Write(usize),
    Cut,
    Sync(&'a File),
    Lock,
    Inspect,
    Rename,
    Remove,
    List,
    MakeDir,
    SyncDir,
}

impl Disk {
    /// Returns a disk with faults.
    #[cfg(test)]
    pub(crate) fn with(faults: Arc<dyn Faults>) -> Self {
        Self(Some(faults))
    }

    fn meet(&self, op: Op<'_>, path: &Path) -> Result<(), Fault> {
        match &self.0 {
            Some(faults) => faults.meet(op, path),
            None => Ok(()),
        }
    }

    fn ask(&self, op: Op<'_>, path: &Path) -> io::Result<()> {
        self.meet(op, path).map_err(|fault| fault.error)
    }

    /// Creates a file that is not there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.ask(Op::Create, path)?;
        options().create_new(true).open(path)
    }

    /// Opens a file, which is created where it is not there.
    pub(crate) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        self.ask(Op::Create, path)?;
        options().create(true).truncate(false).open(path)
    }

    /// Opens a file that is there.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        self.ask(Op::Open, path)?;
        options().open(path)
    }

    /// Opens a file to read it, which works where nothing can be written.
    pub(crate) fn open_to_read(&self, path: &Path) -> io::Result<File> {
        self.ask(Op::Open, path)?;
        File::open(path)
    }

    /// Reads the rest of a file.
    pub(crate) fn read(&self, path: &Path, file: &mut impl Read) -> io::Result<Vec<u8>> {
        self.ask(Op::Read, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of the bytes, or some of them before it fails.
    pub(crate) fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        match self.meet(Op::Write(bytes.len()), path) {
            Ok(()) => file.write_all(bytes),
            Err(fault) => file.write_all(&bytes[..fault.written]).and(Err(fault.error)),
        }
    }

    /// Cuts a file off after so many bytes.
    pub(crate) fn cut(&self, path: &Path, file: &File, length: u64) -> io::Result<()> {
        self.ask(Op::Cut, path)?;
        file.set_len(length)
    }

    /// Makes the bytes of a file survive a loss of power.
    pub(crate) fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        match &self.0 {
            // Whoever plays the disk decides what survives.
            Some(faults) => faults.meet(Op::Sync(file), path).map_err(|fault| fault.error),
            None => file.sync_data(),
        }
    }

    /// Gives a file another name, which then names no other.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Op::Rename, from)?;
        fs::rename(from, to)
    }

    /// Returns the length of a file.
    pub(crate) fn length(&self, path: &Path) -> io::Result<u64> {
        self.ask(Op::Inspect, path)?;
        Ok(fs::metadata(path)?.len())
    }

    /// Tells whether a path names anything.
    pub(crate) fn exists(&self, path: &Path) -> Result<bool, Error> {
        self.ask(Op::Inspect, path)
            .and_then(|()| path.try_exists())
            .map_err(|source| Error::io(format!("cannot inspect {}", path.display()), source))
    }

    /// Returns the paths in a directory, in no order.
    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.ask(Op::List, dir)?;
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Creates a directory and those above it; durable when it returns.
    pub(crate) fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        let fail = |source| Error::io(format!("cannot create the directory {}", dir.display()), source);
        match self.ask(Op::Inspect, dir).and_then(|()| fs::metadata(dir)) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => return Err(no_directory(dir)),
            // The latter where something above it is a file; whoever makes that one finds out which.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(fail(error)),
        }
        let above = match dir.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        self.make_dir(above)?;
        match self.ask(Op::MakeDir, dir).and_then(|()| DirBuilder::new().mode(0o700).create(dir)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
            _ => {}
        }
        if !dir.is_dir() {
            return Err(no_directory(dir));
        }
        // One that stayed would be found by the next call and taken for durable.
        self.sync_dir(above).inspect_err(|_| drop(fs::remove_dir(dir)))
    }

    /// Makes the names in a directory survive a loss of power.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        let synced = match &self.0 {
            Some(faults) => faults.meet(Op::SyncDir, dir).map_err(|fault| fault.error),
            None => File::open(dir).and_then(|dir| dir.sync_all()),
        };
        synced.map_err(|source| Error::io(format!("cannot sync the directory {}", dir.display()), source))
    }

    /// Removes a file; one that is not there is fine.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.ask(Op::Remove, path).and_then(|()| fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format!("cannot remove {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether a path still names this open file.
    pub(crate) fn names(&self, path: &Path, file: &File) -> Result<bool, Error> {
        let fail = |source| Error::io(format!("cannot inspect {}", path.display()), source);
        let named = match self.ask(Op::Inspect, path).and_then(|()| fs::metadata(path)) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(fail(error)),
        };
        let open = file.metadata().map_err(fail)?;
        Ok(named.ino() == open.ino() && named.dev() == open.dev())
    }

    /// Takes a file's lock if nobody holds it.
    pub(crate) fn try_lock(&self, path: &Path, file: &File) -> Result<bool, Error> {
        locked(path, self.ask(Op::Lock, path).map_err(TryLockError::Error).and_then(|()| file.try_lock()))
    }

    /// Shares a file's lock if nobody holds it alone.
    pub(crate) fn try_lock_shared(&self, path: &Path, file: &File) -> Result<bool, Error> {
        let asked = self.ask(Op::Lock, path).map_err(TryLockError::Error);
        locked(path, asked.and_then(|()| file.try_lock_shared()))
    }

    /// Tells whether nobody holds a file's lock. It shares the lock for an instant, so that two who ask do not
    /// take each other for its holder.
    pub(crate) fn is_free(&self, path: &Path, file: &File) -> Result<bool, Error> {
        let free = self.try_lock_shared(path, file)?;
        if free {
            file.unlock().map_err(|source| lock_failed(path, source))?;
        }
        Ok(free)
    }

    /// Creates a file that is not there and takes its lock.
    ///
    /// Somebody who clears up may take the file for a dead writer's between its creation and our lock, and remove
    /// it; then it is created once more.
    ///
    /// # Errors
    /// Returns the failure to create it as it came, for the caller to judge.
    pub(crate) fn create_locked(&self, path: &Path) -> Result<io::Result<File>, Error> {
        loop {
            let file = match self.create(path) {
                Ok(file) => file,
                Err(error) => return Ok(Err(error)),
            };
            // Where it cannot be locked, nothing is left behind.
            if self.lock_new(path, &file).inspect_err(|_| drop(self.remove(path)))? {
                return Ok(Ok(file));
            }
        }
    }

    /// Locks a file that was just created; tells whether it still has its name.
    fn lock_new(&self, path: &Path, file: &File) -> Result<bool, Error> {
        while !self.try_lock(path, file)? {
            if !self.names(path, file)? {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.names(path, file)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Tells whether something is not there, or something above it is none of a directory.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn no_directory(dir: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("{} is not a directory", dir.display()))
}

fn locked(path: &Path, result: Result<(), TryLockError>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(lock_failed(path, source)),
    }
}

/// Returns the error for a lock that cannot be taken by anybody.
pub(crate) fn lock_failed(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::Unsupported => Error::new(
            ErrorKind::Io,
            format!("the file system of {} has no file locks; the store needs a local disk", path.display()),
        )
        .with_source(source),
        _ => Error::io(format!("cannot lock {}", path.display()), source),
    }
}
