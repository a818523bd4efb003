//! Bytes kept under their hash, one file each: the large values of the log, and the caller's blobs.
//!
//! Values of the log are text, and are compressed where that makes them smaller. A file is named by the hash of what
//! was put, so that whoever reads it can tell which of the two it holds.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::Hash;

use crate::error::{Error, ErrorKind};
use crate::journal::disk::Disk;
use crate::store::Blob;

/// How hard to compress: harder takes several times as long and saves less than a tenth.
const LEVEL: i32 = 3;
/// A directory of files that are named by what is in them.
pub(super) struct Blobs {
    disk: Disk,
    dir: PathBuf,
    compress: bool,
    /// Where more of them are, which are only read.
    below: Option<PathBuf>,
}

/// Tells whether a file is named as a blob is.
fn is_hash(name: &str) -> bool {
    crate::admit::check_hash(name).is_ok()
}

/// Returns what was put of what is in a file, unless that is damaged.
fn whole(hash: &Hash, bytes: Vec<u8>) -> Option<Vec<u8>> {
    if blake3::hash(&bytes) == *hash {
        return Some(bytes);
    }
    let bytes = zstd::stream::decode_all(&bytes[..]).ok()?;
    (blake3::hash(&bytes) == *hash).then_some(bytes)
}

/// Tells the unfinished files of one process apart.
static UNFINISHED: AtomicU64 = AtomicU64::new(0);

impl Blobs {
    /// Names the directory of bytes that are kept as they are; touches nothing.
    pub(super) fn at(disk: Disk, dir: PathBuf) -> Self {
        Self { disk, dir, compress: false, below: None }
    }

    /// Names the directory of bytes that are compressed; touches nothing.
    pub(super) fn compressed(disk: Disk, dir: PathBuf) -> Self {
        Self { disk, dir, compress: true, below: None }
    }

    /// Has those of another directory as well, which is never written.
    pub(super) fn over(self, other: &Self) -> Self {
        Self { below: Some(other.dir.clone()), ..self }
    }

    /// Keeps bytes; durable when it returns.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Hash, Error> {
        let hash = blake3::hash(bytes);
        self.disk.make_dir(&self.dir)?;
        // One that is there but damaged is written anew.
        if !matches!(self.get(&hash), Ok(Some(_))) {
            let smaller = self.compress.then(|| zstd::bulk::compress(bytes, LEVEL).ok()).flatten();
            let smaller = smaller.filter(|smaller| smaller.len() < bytes.len());
            self.write(&hash, smaller.as_deref().unwrap_or(bytes))?;
        }
        // One that is there may be another process's, on its way to this same line.
        self.disk.sync_dir(&self.dir)?;
        Ok(hash)
    }

    /// Returns the bytes of a hash.
    pub(super) fn get(&self, hash: &Hash) -> Result<Option<Vec<u8>>, Error> {
        match self.read(hash) {
            Ok(bytes) => match whole(hash, bytes) {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Error::new(ErrorKind::Corrupt, format!("blob {hash} is damaged"))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot read blob {hash}"), error)),
        }
    }

    fn read(&self, hash: &Hash) -> io::Result<Vec<u8>> {
        let read = |dir: &Path| {
            let path = dir.join(hash.to_hex().as_str());
            self.disk.open_to_read(&path).and_then(|mut file| self.disk.read(&path, &mut file))
        };
        match (read(&self.dir), &self.below) {
            (Err(error), Some(below)) if error.kind() == io::ErrorKind::NotFound => read(below),
            (done, _) => done,
        }
    }

    /// Lists what is kept, in the order of the hashes.
    pub(super) fn list(&self) -> Result<Vec<Blob>, Error> {
        let mut blobs = Vec::new();
        let below = self.below.as_deref().map(|below| self.paths_in(below)).transpose()?;
        for path in self.paths()?.into_iter().chain(below.unwrap_or_default()) {
            let Some(hash) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_hash(name))
            else {
                continue;
            };
            match self.disk.length(&path) {
                Ok(size) => blobs.push(Blob { hash: hash.to_owned(), size }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::io(format!("cannot inspect {}", path.display()), error));
                }
            }
        }
        blobs.sort_unstable_by(|a, b| a.hash.cmp(&b.hash));
        blobs.dedup_by(|a, b| a.hash == b.hash);
        Ok(blobs)
    }

    /// Removes the bytes of a hash, and tells whether there were any.
    pub(super) fn remove(&self, hash: &str) -> Result<bool, Error> {
        let path = self.dir.join(hash);
        let there = self.disk.exists(&path)?;
        self.disk.remove(&path)?;
        Ok(there)
    }

    /// Removes every file of a blob but those of `used`, finished or not; nobody may be writing one.
    pub(super) fn keep_only(&self, used: &HashSet<Hash>) -> Result<(), Error> {
        self.clear_unfinished()?;
        for Blob { hash, .. } in self.list()? {
            let is_used = Hash::from_hex(&hash).is_ok_and(|hash| used.contains(&hash));
            if !is_used {
                self.remove(&hash)?;
            }
        }
        Ok(())
    }

    /// Removes what was begun and never finished; nobody may be writing.
    pub(super) fn clear_unfinished(&self) -> Result<(), Error> {
        for path in self.paths()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(".tmp") && name.get(..64).is_some_and(is_hash) {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        self.paths_in(&self.dir)
    }

    fn paths_in(&self, dir: &Path) -> Result<Vec<PathBuf>, Error> {
        match self.disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            paths => paths.map_err(|source| Error::io(format!("cannot list {}", dir.display()), source)),
        }
    }

    /// Opens the file whose lock those share who rely on blobs, and which is held alone by who removes some.
    pub(super) fn lock_file(&self) -> Result<(PathBuf, File), Error> {
        self.disk.make_dir(&self.dir)?;
        let path = self.dir.join("lock");
        match self.disk.open_or_create(&path) {
            Ok(lock) => Ok((path, lock)),
            Err(source) => Err(Error::io(format!("cannot open {}", path.display()), source)),
        }
    }

    fn write(&self, hash: &Hash, bytes: &[u8]) -> Result<(), Error> {
        let number = UNFINISHED.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.dir.join(format!("{hash}-{}-{number}.tmp", std::process::id()));
        // The leftover of a process that had our number before us.
        self.disk.remove(&unfinished)?;
        let written = self.disk.create(&unfinished).and_then(|mut file| {
            self.disk.write(&unfinished, &mut file, bytes)?;
            self.disk.sync(&unfinished, &file)?;
            self.disk.rename(&unfinished, &self.dir.join(hash.to_hex().as_str()))
        });
        written.map_err(|source| {
            // It only takes space.
            let _ = self.disk.remove(&unfinished);
            Error::io(format!("cannot write blob {hash}"), source)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(blobs: &Blobs, bytes: &[u8]) -> (Hash, Vec<u8>) {
        let hash = blobs.put(bytes).unwrap();
        let file = fs::read(blobs.dir.join(hash.to_hex().as_str())).unwrap();
        assert_eq!(blobs.get(&hash).unwrap().unwrap(), bytes);
        (hash, file)
    }

    #[test]
    fn text_is_compressed_and_what_would_not_be_smaller_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::compressed(Disk::default(), dir.path().join("blobs"));
        let text = "what was said was said before; ".repeat(500);
        let (_, file) = put(&blobs, text.as_bytes());
        assert!(file.len() < text.len() / 10, "{}", file.len());
        let mut noise = vec![0; 9_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(put(&blobs, &noise).1, noise);
        // What is compressed already is a value like others.
        assert_eq!(put(&blobs, &file).1, file);
    }

    #[test]
    fn what_an_earlier_version_left_is_read_and_the_callers_bytes_are_kept_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let plain = Blobs::at(Disk::default(), dir.path().join("blobs"));
        let text = "said once and again, ".repeat(400).into_bytes();
        let (hash, file) = put(&plain, &text);
        assert_eq!(file, text);
        let blobs = Blobs::compressed(Disk::default(), dir.path().join("blobs"));
        assert_eq!(blobs.get(&hash).unwrap().unwrap(), text);
    }

    #[test]
    fn damage_to_a_compressed_file_is_found_and_mended_by_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::compressed(Disk::default(), dir.path().join("blobs"));
        let text = (0..2_000).map(|n| n.to_string()).collect::<String>().into_bytes();
        let (hash, file) = put(&blobs, &text);
        let path = dir.path().join("blobs").join(hash.to_hex().as_str());
        let mut flipped = file.clone();
        flipped[file.len() / 2] ^= 1;
        let other = zstd::bulk::compress(b"another text", LEVEL).unwrap();
        for damaged in [&file[..file.len() / 2], &file[..3], &[], &flipped, &other] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(blobs.get(&hash).unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(put(&blobs, &text).1, file);
        }
    }
}
