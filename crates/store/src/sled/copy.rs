//! A private copy of a store that cannot be written, to be read instead of it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::scratch::Scratch;
use super::{Inner, Sled, compact, open, schema};
use crate::error::{Error, ErrorKind};
use crate::journal::disk::{Disk, is_absent};

/// How often a copy is made anew because somebody wrote meanwhile.
const ATTEMPTS: usize = 5;
/// Files beside the log. The mark comes before the log: it may count too few commits, and never too many.
const FILES: [&str; 3] = ["ledger", "schema", "mark"];

/// Makes a copy in the first of `places` that has room for it, and opens it. It is removed with the last clone of what
/// is returned. Large values and blobs are read where they are.
///
/// # Errors
/// Fails with `no copy` where no place takes it, with `io` where the store cannot be read, with `busy` where somebody
/// writes for too long, and as opening a store does.
pub(super) fn copy(from: &Inner, places: &[PathBuf]) -> Result<Sled, Error> {
    schema::refuse_newer(schema::read(&from.path)?)?;
    from.journal.refuse_newer()?;
    let _lock = open::share(&from.disk, &from.path.join("lock"), &from.observer)?;
    let mut failed = None;
    for place in places {
        match attempt(from, place) {
            // That there is no room says more than that there is no such place.
            Err(Trouble::Place(error))
                if failed.as_ref().is_some_and(|it: &Error| it.kind() == ErrorKind::Full) =>
            {
                drop(error);
            }
            Err(Trouble::Place(error)) => failed = Some(error),
            Err(Trouble::Store(error)) => return Err(error),
            Ok(copy) => return Ok(copy),
        }
    }
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    let size = files(&from.disk, &from.path)?.iter().map(|file| file.length).sum::<u64>().div_ceil(1_000_000);
    let what = format!(
        "the store in {} cannot be written, and a copy of it, of {size} MB, cannot be made in {}",
        from.path.display(),
        if places.is_empty() { "any place".to_owned() } else { places.join(" or ") }
    );
    let error = Error::new(ErrorKind::NoCopy, what);
    Err(match failed.as_ref().and_then(Error::refusal) {
        Some(why) => error.with_source(io::Error::from(why)),
        None => error,
    })
}

/// What a store that is a copy goes along with.
#[expect(dead_code, reason = "held for the effect of dropping it")]
pub(super) struct Copy {
    scratch: Scratch,
    /// The journals of turns that were being written, locked as the originals were.
    running: Vec<File>,
}

/// Why there is no copy.
enum Trouble {
    /// This place does not take one.
    Place(Error),
    /// The store cannot be read.
    Store(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        // Nothing that is read takes room.
        if error.kind() == ErrorKind::Full { Self::Place(error) } else { Self::Store(error) }
    }
}

fn attempt(from: &Inner, place: &Path) -> Result<Sled, Trouble> {
    for _ in 0..ATTEMPTS {
        let scratch = Scratch::make(place).map_err(|source| {
            Trouble::Place(Error::io(format!("cannot make a directory in {}", place.display()), source))
        })?;
        let before = files(&from.disk, &from.path)?;
        let path = scratch.path().to_owned();
        // Turns before the log: one that is folded in between is in both, and counts once.
        let running = from.journal.copy_to(&path.join("journal"))?;
        for file in &before {
            transfer(&from.disk, &file.path, &from.path, &path)?;
        }
        if files(&from.disk, &from.path)? != before {
            continue;
        }
        // What is set aside of a copy concerns nobody.
        let this = Inner::on(from.disk.clone(), path, Arc::new(|_| {}));
        let copy = Sled(Arc::new(Inner {
            values: this.values.over(&from.values),
            blobs: this.blobs.over(&from.blobs),
            copy: Some(Copy { scratch, running }),
            ..this
        }));
        copy.0.with(|_, _| Ok(()))?;
        return Ok(copy);
    }
    Err(Trouble::Store(Error::new(
        ErrorKind::Busy,
        "the store was written again and again while it was copied",
    )))
}

/// A file as it is at a moment.
#[derive(PartialEq, Eq)]
struct Found {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

/// Lists what a copy is made of besides journals, in the order in which it is copied.
fn files(disk: &Disk, path: &Path) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for name in FILES.into_iter().chain(compact::DIRECTORIES) {
        list(disk, path.join(name), &mut found)?;
    }
    Ok(found)
}

fn list(disk: &Disk, path: PathBuf, found: &mut Vec<Found>) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".generating") || name.starts_with("damaged-snap.") {
        return Ok(());
    }
    let fail = |source| Error::io(format!("cannot read {}", path.display()), source);
    let about = match fs::metadata(&path) {
        Err(error) if is_absent(&error) => return Ok(()),
        about => about.map_err(fail)?,
    };
    if about.is_dir() {
        let mut paths = disk.list(&path).map_err(fail)?;
        paths.sort_unstable();
        return paths.into_iter().try_for_each(|path| list(disk, path, found));
    }
    found.push(Found { length: about.len(), modified: about.modified().ok(), path });
    Ok(())
}

/// Copies a file from below one directory to below another. One that is gone will be missed.
fn transfer(disk: &Disk, path: &Path, from: &Path, to: &Path) -> Result<(), Error> {
    let fail = |source| Error::io(format!("cannot copy {}", path.display()), source);
    let mut file = match disk.open_to_read(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        opened => opened.map_err(fail)?,
    };
    let copy = to.join(path.strip_prefix(from).unwrap_or(path));
    if let Some(dir) = copy.parent() {
        disk.make_dir(dir)?;
    }
    let mut copy = disk.create(&copy).map_err(fail)?;
    io::copy(&mut file, &mut copy).map(drop).map_err(fail)
}
