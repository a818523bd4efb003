//! What survives a loss of power: bytes up to the last sync of their file, names up to the last of their directory.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::journal::disk::Op;

/// A file, whatever it is called.
type Inode = (u64, u64);

/// What a directory held: files by their inodes, and directories.
type Names = BTreeMap<OsString, Option<Inode>>;

/// What has been synced below a directory, and what may have reached the disk without.
pub(super) struct Power {
    root: PathBuf,
    /// What each directory held when it was synced, and after each change since.
    names: HashMap<PathBuf, Vec<Names>>,
    /// The bytes of each file when it was synced. It is kept open, so that no other gets its inode.
    bytes: HashMap<Inode, (File, Vec<u8>)>,
    /// Files whose sync failed, and how many bytes were written to them since: the next sync writes no others.
    unsynced: HashMap<Inode, u64>,
}

/// How much the disk had done beyond what it was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    /// Nothing.
    None,
    /// Names were written, and the length of files, but no bytes.
    Names,
    /// Half of the changes of names, and half of the bytes.
    Half,
    /// Everything.
    All,
}

pub(super) const LUCK: [Luck; 4] = [Luck::None, Luck::Names, Luck::Half, Luck::All];

/// Directories, and files with their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Survivors(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Survivors {
    /// Writes them to another directory.
    pub(super) fn write(&self, to: &Path) {
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir(to.join(path)).unwrap(),
                Some(bytes) => fs::write(to.join(path), bytes).unwrap(),
            }
        }
    }
}

impl Power {
    /// Takes what is in a directory for synced.
    pub(super) fn of(root: &Path) -> Self {
        let names = HashMap::from([(root.to_owned(), vec![list(root)])]);
        Self { root: root.to_owned(), names, bytes: HashMap::new(), unsynced: HashMap::new() }
    }

    /// Notes an operation that is about to be done.
    pub(super) fn note(&mut self, op: Op<'_>, path: &Path) {
        match op {
            Op::Sync(file) => {
                let of = inode(&file.metadata().unwrap());
                // Opened anew: a clone would share the lock, and hold it.
                match File::open(path) {
                    Ok(_) if self.unsynced.get(&of).is_some_and(|written| *written < length(file)) => {}
                    Ok(open) if inode(&open.metadata().unwrap()) == of => {
                        let bytes = contents(&open);
                        self.unsynced.remove(&of);
                        self.bytes.insert(of, (open, bytes));
                    }
                    // What lost its name survives nothing.
                    _ => drop(self.bytes.remove(&of)),
                }
            }
            Op::SyncDir => {
                self.names.insert(path.to_owned(), vec![list(path)]);
            }
            Op::MakeDir => {
                self.before_change(path);
                self.names.insert(path.to_owned(), vec![Names::new()]);
            }
            Op::Create | Op::Rename | Op::Remove => self.before_change(path),
            Op::Write(length) => {
                let of = fs::metadata(path).ok().map(|found| inode(&found));
                if let Some(written) = of.and_then(|of| self.unsynced.get_mut(&of)) {
                    *written += length as u64;
                }
            }
            Op::Open | Op::Read | Op::Cut | Op::Lock | Op::Inspect | Op::List => {}
        }
    }

    /// Notes an operation that fails.
    pub(super) fn note_failure(&mut self, op: Op<'_>) {
        if let Op::Sync(file) = op {
            self.unsynced.insert(inode(&file.metadata().unwrap()), 0);
        }
    }

    fn before_change(&mut self, path: &Path) {
        let dir = path.parent().unwrap();
        if let Some(states) = self.names.get_mut(dir) {
            let now = list(dir);
            if states.last() != Some(&now) {
                states.push(now);
            }
        }
    }

    /// Returns what is left after a loss of power in this instant.
    pub(super) fn survivors(&self, luck: Luck) -> Survivors {
        let mut left = Survivors::default();
        self.gather(&self.root, luck, &mut left);
        left
    }

    fn gather(&self, from: &Path, luck: Luck, left: &mut Survivors) {
        let now = list(from);
        let names = match (self.names.get(from), luck) {
            // The engine makes its own files durable.
            _ if from.ends_with("db") => &now,
            (Some(states), Luck::None) => &states[0],
            (Some(states), Luck::Half) => &states[states.len() / 2],
            (None, _) | (_, Luck::Names | Luck::All) => &now,
        };
        for (name, inode) in names {
            let from = from.join(name);
            let below = from.strip_prefix(&self.root).unwrap().to_owned();
            match inode {
                None => {
                    left.0.insert(below, None);
                    self.gather(&from, luck, left);
                }
                Some(inode) => drop(left.0.insert(below, Some(self.bytes_of(*inode, &from, luck)))),
            }
        }
    }

    fn bytes_of(&self, file: Inode, path: &Path, luck: Luck) -> Vec<u8> {
        let (now, synced) = match self.bytes.get(&file) {
            Some((open, synced)) => (contents(open), synced.as_slice()),
            // Never synced. If it is gone by now, nobody knows what it held.
            None => (fs::read(path).unwrap_or_default(), &[][..]),
        };
        let in_engine = path.parent().is_some_and(|dir| dir.ends_with("db"));
        // The mark counts what is durable and is written after it; the log is not written at its end only.
        let whole = path.ends_with("mark") && luck == Luck::Names || in_engine && !path.ends_with("db");
        if whole || luck == Luck::All {
            return now;
        }
        if in_engine || !now.starts_with(synced) {
            return synced.to_vec();
        }
        let mut bytes = synced.to_vec();
        match luck {
            Luck::None => {}
            Luck::Names => bytes.resize(now.len(), 0),
            Luck::Half => bytes.extend_from_slice(&now[synced.len()..][..(now.len() - synced.len()) / 2]),
            Luck::All => unreachable!("everything is returned above"),
        }
        bytes
    }
}

fn list(dir: &Path) -> Names {
    let Ok(entries) = fs::read_dir(dir) else { return Names::new() };
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        // A file that is removed meanwhile was listed too early.
        let found = entry.metadata().ok()?;
        Some((entry.file_name(), found.is_file().then(|| inode(&found))))
    };
    entries.filter_map(entry).collect()
}

fn length(file: &File) -> u64 {
    file.metadata().unwrap().len()
}

fn inode(found: &fs::Metadata) -> Inode {
    (found.dev(), found.ino())
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; length(file) as usize];
    let mut read = 0;
    // It may be cut meanwhile.
    while let Ok(count @ 1..) = file.read_at(&mut bytes[read..], read as u64) {
        read += count;
    }
    bytes.truncate(read);
    bytes
}
