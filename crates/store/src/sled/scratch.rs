//! A private directory that goes with its owner, or, where that was killed, with the next one that is made beside it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the names of these directories begin with.
const PREFIX: &str = "aichat-copy-";
/// How many names are tried: others may have taken some.
const NAMES: u32 = 1_000;

/// The directory, removed when this is dropped. Who holds its lock is alive.
pub(super) struct Scratch {
    path: PathBuf,
    lock: File,
}

impl Scratch {
    /// Makes an empty directory below `place`, and removes those of this user there whose owners are gone.
    pub(super) fn make(place: &Path) -> io::Result<Self> {
        for number in 0..NAMES {
            let path = place.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Somebody who clears up may be faster than this lock.
            if let Some(lock) = own(&path)? {
                let this = Self { path, lock };
                this.clear_others(place);
                return Ok(this);
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what was left behind; where that fails, it only takes space.
    fn clear_others(&self, place: &Path) {
        let Ok(ours) = self.lock.metadata().map(|made| made.uid()) else { return };
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
                && fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir() && it.uid() == ours);
            if is_one && let Ok(Some(_lock)) = own(&path) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Takes the lock of a directory, unless somebody has it or the directory is gone.
fn own(path: &Path) -> io::Result<Option<File>> {
    let dir = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let is_named = || {
        let (named, open) = (fs::metadata(path).ok()?, dir.metadata().ok()?);
        (named.ino() == open.ino() && named.dev() == open.dev()).then_some(())
    };
    match dir.try_lock() {
        Ok(()) => Ok(is_named().map(|()| dir)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_dead_owner_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let dead = place.path().join(format!("{PREFIX}1-0"));
        fs::create_dir_all(dead.join("db")).unwrap();
        fs::write(dead.join("db/db"), "left").unwrap();
        fs::create_dir(place.path().join("other")).unwrap();
        fs::write(place.path().join(format!("{PREFIX}file")), "").unwrap();
        std::os::unix::fs::symlink(place.path().join("other"), place.path().join(format!("{PREFIX}link")))
            .unwrap();
        let first = Scratch::make(place.path()).unwrap();
        assert!(!dead.exists());
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(first.path().join("file"), "").unwrap();
        let second = Scratch::make(place.path()).unwrap();
        assert!(first.path().join("file").exists() && second.path().exists());
        drop((first, second));
        assert_eq!(names(place.path()), [format!("{PREFIX}file"), format!("{PREFIX}link"), "other".into()]);
    }

    #[test]
    fn many_at_once_have_one_each() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let scratch = Scratch::make(place.path()).unwrap();
                        fs::write(scratch.path().join("file"), "mine").unwrap();
                        std::thread::yield_now();
                        assert!(scratch.path().join("file").exists());
                    }
                });
            }
        });
        assert_eq!(names(place.path()), [] as [String; 0]);
    }
}
