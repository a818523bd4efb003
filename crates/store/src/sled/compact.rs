//! Compaction: the log is written anew beside the old one and takes its place, so that nothing of what was replaced
//! or removed is left in any file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use blake3::Hash;
use sled::{Batch, Db, Tree};

use super::blobs::Blobs;
use super::database::{Database, Failure};
use super::open;
use super::value;
use crate::error::{Error, ErrorKind};
use crate::journal::disk::Disk;

/// The log.
const LOG: &str = "db";
/// The log that is being written to take its place.
const FRESH: &str = "db.new";
/// The log whose place was taken.
const OLD: &str = "db.old";
/// Every directory in which a log may be found.
pub(super) const DIRECTORIES: [&str; 3] = [LOG, FRESH, OLD];
/// How many bytes of keys and values are written at once.
const BATCH_BYTES: usize = 1 << 17;

/// Writes the log anew, puts it in the place of the old one, and removes that one and every large value that no
/// entry refers to. Takes over the database with the lock that keeps other processes out, and lets go of both.
///
/// # Errors
/// Fails with `full`, `io`, `corrupt` or `newer`; until the new log is whole the old one stays.
pub(super) fn compact(disk: &Disk, path: &Path, values: &Blobs, database: Database) -> Result<(), Error> {
    let written = catch_unwind(AssertUnwindSafe(|| write(disk, path, &database)));
    let written = written.unwrap_or_else(|_| Err(Failure::Engine(open::inconsistent())));
    let used = match written {
        Ok(used) => used,
        Err(Failure::Refused(error) | Failure::Engine(error)) => {
            // If that fails as well, whoever opens the store next tries again.
            let _ = remove(&path.join(FRESH));
            return Err(error);
        }
    };
    let _lock = database.close();
    retire(disk, path)?;
    install(disk, path)?;
    remove(&path.join(OLD))?;
    values.keep_only(&used)
}

/// Finishes or undoes a compaction that a process did not live to end. To be called under the store's lock, before
/// the log is opened.
///
/// # Errors
/// Fails with `io`, and with `corrupt` where there are logs that no compaction leaves side by side.
pub(super) fn recover(disk: &Disk, path: &Path) -> Result<(), Error> {
    let there = |name| disk.exists(&path.join(name));
    match [there(LOG)?, there(FRESH)?, there(OLD)?] {
        // The new log may not be whole.
        [true, true, false] => remove(&path.join(FRESH)),
        [true, false, true] => remove(&path.join(OLD)),
        // It is whole: the old one gave way to it.
        [false, true, true] => {
            install(disk, path)?;
            remove(&path.join(OLD))
        }
        [false, false, true] => rename(disk, path, OLD, LOG),
        [true, true, true] => {
            let message = format!(
                "{LOG}, {FRESH} and {OLD} are all in {}; move the one that is not the store's log elsewhere",
                path.display()
            );
            Err(Error::new(ErrorKind::Corrupt, message))
        }
        [_, _, false] => Ok(()),
    }
}

/// Writes the new log; it is whole and durable when this returns. Tells which large values it refers to.
fn write(disk: &Disk, path: &Path, database: &Database) -> Result<HashSet<Hash>, Failure> {
    let dir = path.join(FRESH);
    remove(&dir)?;
    disk.make_dir(&dir.join("blobs"))?;
    // Opened before the engine's first write, so that a failure to write any of it is reported here.
    let data = open::data(disk, &dir)?;
    let mut used = HashSet::new();
    let mut written = Vec::new();
    let engine = open::start(&dir)?;
    for name in database.engine().tree_names() {
        let (from, to) = (database.engine().open_tree(&name)?, engine.open_tree(&name)?);
        written.push((name, copy(&from, &to, &mut used)?));
    }
    close(engine, &data)?;
    // What counts is what the disk gives back.
    let engine = open::start(&dir)?;
    for (name, sum) in written {
        if Sum::of(&engine.open_tree(name)?)? != sum {
            let message = "the new log is not what the old one is, which stays";
            return Err(Failure::Refused(Error::new(ErrorKind::Corrupt, message)));
        }
    }
    close(engine, &data)?;
    open::close_to_others(&dir)?;
    for path in open::files(&dir)? {
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|source| Error::io(format!("cannot sync {}", path.display()), source))?;
    }
    disk.sync_dir(&dir)?;
    disk.sync_dir(path)?;
    Ok(used)
}

fn close(engine: Db, data: &File) -> Result<(), Failure> {
    engine.flush()?;
    drop(engine);
    data.sync_all().map_err(|source| Failure::Engine(Error::io("cannot sync the new log", source)))
}

fn copy(from: &Tree, to: &Tree, used: &mut HashSet<Hash>) -> Result<Sum, Failure> {
    let mut sum = Sum::default();
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for entry in from {
        let (key, value) = entry?;
        used.extend(value::large(&value)?);
        sum.add(&key, &value);
        bytes += key.len() + value.len();
        batch.insert(key, value);
        if bytes >= BATCH_BYTES {
            to.apply_batch(std::mem::take(&mut batch))?;
            to.flush()?;
            bytes = 0;
        }
    }
    to.apply_batch(batch)?;
    Ok(sum)
}

/// How many entries a tree has, and the hash of them all.
#[derive(Default)]
struct Sum {
    entries: u64,
    hasher: blake3::Hasher,
}

impl Sum {
    fn of(tree: &Tree) -> Result<Self, Failure> {
        let mut sum = Self::default();
        for entry in tree {
            let (key, value) = entry?;
            sum.add(&key, &value);
        }
        Ok(sum)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        for bytes in [key, value] {
            self.hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
        }
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.hasher.finalize() == other.hasher.finalize()
    }
}

/// Moves the log out of its place.
fn retire(disk: &Disk, path: &Path) -> Result<(), Error> {
    rename(disk, path, LOG, OLD)
}

/// Moves the new log to its place.
fn install(disk: &Disk, path: &Path) -> Result<(), Error> {
    rename(disk, path, FRESH, LOG)
}

fn rename(disk: &Disk, path: &Path, from: &str, to: &str) -> Result<(), Error> {
    disk.rename(&path.join(from), &path.join(to)).map_err(|source| {
        Error::io(format!("cannot rename {} to {to}", path.join(from).display()), source)
    })?;
    disk.sync_dir(path)
}

/// Removes a directory with what is in it; one that is not there is fine.
fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", dir.display()), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sled;
    use super::*;
    use crate::store::{Expect, Row, Store, Unit};
    use aichat_message::{EventId, SessionId};

    const EVENTS: u64 = 400;

    fn stream() -> SessionId {
        SessionId::from_bits([1; 10])
    }

    fn rows() -> Vec<Row> {
        let row = |seq: u64| {
            let mut bits = [7; 10];
            bits[..8].copy_from_slice(&seq.to_be_bytes());
            let bytes = vec![b'x'; if seq == 3 { 50_000 } else { 100 }];
            Row { seq, id: EventId::from_bits(bits), hash: vec![seq as u8], bytes }
        };
        (1..=EVENTS).map(row).collect()
    }

    async fn filled(path: &Path) -> Sled {
        let store = Sled::at(path);
        let unit = Unit { events: rows(), ..Unit::new(stream(), Expect::New) };
        store.commit(vec![unit]).await.unwrap();
        store
    }

    fn logs(path: &Path) -> Vec<&'static str> {
        [LOG, FRESH, OLD].into_iter().filter(|name| path.join(name).exists()).collect()
    }

    /// Whatever a compaction was doing when it ended, the store is whole, and so is it after one more compaction.
    #[tokio::test]
    async fn a_compaction_may_end_anywhere() {
        for steps in 0..=5 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path();
            let store = filled(path).await;
            let database = store.0.database.write().unwrap().take().unwrap();
            if steps >= 1 {
                assert!(write(&Disk::default(), path, &database).is_ok());
            } else {
                fs::create_dir_all(path.join(FRESH).join("blobs")).unwrap();
                fs::write(path.join(FRESH).join("db"), b"half a log").unwrap();
            }
            drop(database.close());
            if steps >= 2 {
                retire(&Disk::default(), path).unwrap();
            }
            if steps >= 3 {
                install(&Disk::default(), path).unwrap();
            }
            if steps == 4 {
                fs::remove_file(path.join(OLD).join("conf")).unwrap();
            }
            if steps >= 5 {
                remove(&path.join(OLD)).unwrap();
            }
            let expected: &[&str] = match steps {
                0 | 1 => &[LOG, FRESH],
                2 => &[FRESH, OLD],
                3 | 4 => &[LOG, OLD],
                _ => &[LOG],
            };
            assert_eq!(logs(path), expected);
            let again = Sled::at(path);
            assert!(again.events(&stream(), 1, 1000).await.unwrap() == rows(), "after {steps} steps");
            assert_eq!(logs(path), [LOG]);
            again.compact().await.unwrap();
            assert!(again.events(&stream(), 1, 1000).await.unwrap() == rows(), "after {steps} steps");
        }
    }

    #[tokio::test]
    async fn three_logs_are_one_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        filled(path).await.release().await.unwrap();
        for name in [FRESH, OLD] {
            fs::create_dir(path.join(name)).unwrap();
        }
        let error = Sled::at(path).head(&stream()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(logs(path), [LOG, FRESH, OLD]);
        fs::remove_dir(path.join(FRESH)).unwrap();
        assert_eq!(Sled::at(path).head(&stream()).await.unwrap().unwrap().seq, EVENTS);
    }
}
