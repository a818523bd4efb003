//! How the database is opened: in turn with other processes, and past what a crash may have left behind.

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sled::{Config, Db};

use super::compact;
use super::data::Data;
use super::database::{Database, Failure, engine_error};
use super::mark::Mark;
use super::schema;
use crate::error::{Error, ErrorKind};
use crate::journal::JournalDir;
use crate::journal::disk::{self, Disk};
use crate::notice::{Notice, Observer};

/// How long one process waits for another in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how long it says so.
const SILENCE: Duration = Duration::from_secs(2);
/// The engine's cache, in bytes.
const CACHE: u64 = 32 << 20;
/// How often the engine is asked again while its last owner's lock lingers.
const ATTEMPTS: u32 = 50;

/// Opens the database below `path`, creating what is not there.
pub(super) fn open(
    disk: &Disk,
    path: &Path,
    journal: &JournalDir,
    observer: &Observer,
) -> Result<Database, Error> {
    disk.make_dir(path)?;
    let lock = queue(disk, &path.join("lock"), observer, SILENCE, PATIENCE)?;
    // What a later version left is refused before anything is written.
    schema::refuse_newer(schema::read(path)?)?;
    journal.refuse_newer()?;
    say_who(&lock);
    compact::recover(disk, path)?;
    let dir = path.join("db");
    // The engine makes its directory where it is missing, and leaves it open to everybody.
    disk.make_dir(&dir.join("blobs"))?;
    for snapshot in snapshots(&dir)? {
        if snapshot.extension().is_some_and(|extension| extension == "generating") {
            disk.remove(&snapshot)?;
        }
    }
    let data = Data::open(disk, dir.join("db"), path.join("doubt"))?;
    let mark = Mark::open(disk, &path.join("mark"))?;
    let engine = match start(&dir) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let set_aside = set_snapshots_aside(&dir)?;
            if set_aside.is_empty() {
                return Err(error);
            }
            // The first failure says what is wrong; an engine that asserted may hold its lock for ever.
            let engine = start(&dir).map_err(|_| error)?;
            set_aside.into_iter().for_each(|path| observer(&Notice::SnapshotSetAside { path }));
            engine
        }
        result => result?,
    };
    let database = caught(|| Database::new(engine, data, mark, lock, disk, path));
    let database =
        database.unwrap_or_else(|_| Err(Failure::Refused(inconsistent()))).map_err(
            |failure| match failure {
                Failure::Refused(error) | Failure::Engine(error) => error,
            },
        )?;
    close_to_others(&dir)?;
    disk.sync_dir(&dir)?;
    Ok(database)
}

/// Opens the engine's file as a second descriptor, to sync it.
pub(super) fn data(disk: &Disk, dir: &Path) -> Result<File, Error> {
    let path = dir.join("db");
    disk.open_or_create(&path).map_err(|source| Error::io(format!("cannot open {}", path.display()), source))
}

/// Waits for the lock that keeps other processes out.
fn queue(
    disk: &Disk,
    path: &Path,
    observer: &Observer,
    silence: Duration,
    patience: Duration,
) -> Result<File, Error> {
    let fail = |source| Error::io(format!("cannot open {}", path.display()), source);
    let lock = disk.open_or_create(path).map_err(fail)?;
    match disk.try_lock(path, &lock)? {
        true => Ok(lock),
        false => wait(path, lock, File::lock, observer, silence, patience),
    }
}

/// Shares the lock with others who only read, where it is there and can be opened.
pub(super) fn share(disk: &Disk, path: &Path, observer: &Observer) -> Result<Option<File>, Error> {
    let Ok(lock) = disk.open_to_read(path) else { return Ok(None) };
    match disk.try_lock_shared(path, &lock)? {
        true => Ok(Some(lock)),
        false => wait(path, lock, File::lock_shared, observer, SILENCE, PATIENCE).map(Some),
    }
}

fn wait(
    path: &Path,
    lock: File,
    take: fn(&File) -> io::Result<()>,
    observer: &Observer,
    silence: Duration,
    patience: Duration,
) -> Result<File, Error> {
    // A thread waits where it may wait for ever; the kernel serves those who wait in their order.
    let (taken, wait) = mpsc::channel();
    thread::Builder::new()
        .name("aichat-store-lock".into())
        .spawn(move || {
            let result = take(&lock);
            // Nobody waits any more: the lock goes as the file is dropped.
            let _ = taken.send(result.map(|()| lock));
        })
        .map_err(|source| Error::io("cannot start a thread to wait for the store", source))?;
    let taken = wait.recv_timeout(silence.min(patience)).or_else(|_| {
        observer(&Notice::Waiting { holder: holder(path) });
        wait.recv_timeout(patience.saturating_sub(silence))
    });
    match taken {
        Ok(lock) => lock.map_err(|source| disk::lock_failed(path, source)),
        Err(_) => Err(busy(path)),
    }
}

/// Writes into the lock's file who holds it. Only for messages: who holds the lock is known by the lock.
fn say_who(mut lock: &File) {
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
}

fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn busy(path: &Path) -> Error {
    let who = holder(path).map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
    Error::new(ErrorKind::Busy, format!("the store is held by {who}"))
}

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether the store catches a panic of this thread now, and says in its own words what it means.
pub fn is_caught() -> bool {
    IS_CAUGHT.get()
}

/// Does something in which the engine may assert.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    let before = IS_CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(before);
    done
}

/// Starts the engine, asking again while its last owner's lock lingers.
pub(super) fn start(dir: &Path) -> Result<Db, Error> {
    for attempt in 1.. {
        let config = Config::new().path(dir).cache_capacity(CACHE).flush_every_ms(None);
        match caught(|| config.open()) {
            Ok(Ok(engine)) => return Ok(engine),
            Ok(Err(sled::Error::Io(error))) if error.to_string().starts_with("could not acquire lock") => {
                if attempt == ATTEMPTS {
                    return Err(
                        Error::new(ErrorKind::Busy, "the log is held by another process").with_source(error)
                    );
                }
                // Process ids differ, so that two who wait do not keep step.
                let jitter = u64::from(std::process::id().wrapping_mul(attempt) % 7);
                thread::sleep(Duration::from_millis(5 + jitter));
            }
            Ok(Err(error)) => return Err(engine_error(error)),
            Err(_) => return Err(inconsistent()),
        }
    }
    unreachable!("the loop ends with its last attempt")
}

/// The engine asserts where what it reads does not fit together.
pub(super) fn inconsistent() -> Error {
    Error::new(ErrorKind::Corrupt, "the log's pages do not fit together")
}

/// Lists the engine's snapshots, finished or not.
fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_snapshot = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("snap."))
    };
    Ok(files(dir)?.into_iter().filter(is_snapshot).collect())
}

pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
    entries.map_err(|source| Error::io(format!("cannot list {}", dir.display()), source))
}

/// Lists the snapshots that were moved out of the engine's sight.
pub(super) fn snapshots_set_aside(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_aside = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("damaged-snap."))
    };
    Ok(files(dir)?.into_iter().filter(is_aside).collect())
}

/// Moves snapshots out of the engine's sight, which then reads its whole log. Returns where they are.
fn set_snapshots_aside(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut moved = Vec::new();
    for path in snapshots(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = dir.join(format!("damaged-{name}"));
        fs::rename(&path, &aside)
            .map_err(|source| Error::io(format!("cannot set {} aside", path.display()), source))?;
        moved.push(aside);
    }
    Ok(moved)
}

/// Takes the engine's files away from everybody but their owner.
pub(super) fn close_to_others(dir: &Path) -> Result<(), Error> {
    for path in files(dir)? {
        let fail = |source| Error::io(format!("cannot protect {}", path.display()), source);
        let found = fs::metadata(&path).map_err(fail)?;
        if found.is_file() && found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(fail)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn who_waits_says_so_and_gives_up_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notices = Arc::clone(&heard);
        let observer: Observer = Arc::new(move |notice| notices.lock().unwrap().push(notice.clone()));
        let disk = Disk::default();
        let held = queue(&disk, &path, &observer, Duration::ZERO, Duration::ZERO).unwrap();
        say_who(&held);
        let error =
            queue(&disk, &path, &observer, Duration::from_millis(5), Duration::from_millis(20)).unwrap_err();
        let own = std::process::id();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Busy, format!("the store is held by process {own}"))
        );
        assert_eq!(*heard.lock().unwrap(), [Notice::Waiting { holder: Some(own) }]);
        drop(held);
        queue(&disk, &path, &observer, Duration::from_secs(20), Duration::from_secs(20)).unwrap();
        assert_eq!(heard.lock().unwrap().len(), 1);
    }

    fn journal(dir: &tempfile::TempDir, observer: &Observer) -> JournalDir {
        JournalDir::at(Disk::default(), dir.path().join("journal"), Arc::clone(observer))
    }

    #[test]
    fn a_later_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let silent: Observer = Arc::new(|_| {});
        drop(open(&Disk::default(), dir.path(), &journal(&dir, &silent), &silent).unwrap());
        let raw = || start(&dir.path().join("db")).unwrap();
        let later = super::super::value::number(u64::MAX);
        raw().open_tree("meta").unwrap().insert("schema", later.as_slice()).unwrap();
        let error = open(&Disk::default(), dir.path(), &journal(&dir, &silent), &silent).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Newer, "{error:?}");
        assert_eq!(raw().open_tree("meta").unwrap().get("schema").unwrap().unwrap(), later.as_slice());
    }

    #[test]
    fn a_log_that_lost_its_end_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let silent: Observer = Arc::new(|_| {});
        drop(open(&Disk::default(), dir.path(), &journal(&dir, &silent), &silent).unwrap());
        Mark::open(&Disk::default(), &dir.path().join("mark")).unwrap().set(3);
        let error = open(&Disk::default(), dir.path(), &journal(&dir, &silent), &silent).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.to_string(), "the log is damaged: it ends after 0 of 3 commits");
    }

    #[test]
    fn panics_are_known_to_be_caught_for_as_long_as_they_are() {
        assert_eq!(caught(is_caught).ok(), Some(true));
        assert!(!is_caught());
        assert!(caught(|| assert!(!is_caught(), "this one is caught")).is_err());
        assert!(!is_caught());
    }
}
