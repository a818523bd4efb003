//! Files and directories of the journal: created for one user, locked, and known by what the path names.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Returns the options every file of a store is opened with: read and write, for its owner alone.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Creates a directory for its owner alone, and those above it; durable when it returns.
pub(crate) fn make_dir(dir: &Path) -> Result<(), Error> {
    let fail = |source| Error::io(format!("cannot create the directory {}", dir.display()), source);
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(Error::new(ErrorKind::Io, format!("{} is not a directory", dir.display()))),
        // The latter where something above it is a file; whoever makes that one finds out which.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => return Err(fail(error)),
    }
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_dir(above)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
        _ => {}
    }
    match dir.is_dir() {
        true => sync_dir(above),
        false => Err(Error::new(ErrorKind::Io, format!("{} is not a directory", dir.display()))),
    }
}

/// Makes the names in a directory survive a loss of power.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| Error::io(format!("cannot sync the directory {}", dir.display()), source))
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Tells whether a path still names this open file.
pub(crate) fn names(path: &Path, file: &File) -> Result<bool, Error> {
    let fail = |source| Error::io(format!("cannot inspect {}", path.display()), source);
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(fail(error)),
    };
    let open = file.metadata().map_err(fail)?;
    Ok(named.ino() == open.ino() && named.dev() == open.dev())
}

/// Takes a file's lock if nobody holds it.
pub(crate) fn try_lock(path: &Path, file: &File) -> Result<bool, Error> {
    locked(path, file.try_lock())
}

/// Tells whether nobody holds a file's lock. It shares the lock for an instant, so that two who ask do not
/// take each other for its holder.
pub(crate) fn is_free(path: &Path, file: &File) -> Result<bool, Error> {
    let free = locked(path, file.try_lock_shared())?;
    if free {
        file.unlock().map_err(|source| lock_failed(path, source))?;
    }
    Ok(free)
}

/// Creates a file that is not there and takes its lock.
///
/// Somebody who clears up may take the file for a dead writer's between its creation and our lock, and remove it;
/// then it is created once more.
///
/// # Errors
/// Returns the failure to create it as it came, for the caller to judge.
pub(crate) fn create_locked(path: &Path) -> Result<io::Result<File>, Error> {
    loop {
        let file = match options().create_new(true).open(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        // Where there are no locks at all, nothing is left behind.
        let mut locked = try_lock(path, &file).inspect_err(|_| drop(remove(path)))?;
        while !locked && names(path, &file)? {
            std::thread::sleep(Duration::from_millis(1));
            locked = try_lock(path, &file)?;
        }
        if locked && names(path, &file)? {
            return Ok(Ok(file));
        }
    }
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
