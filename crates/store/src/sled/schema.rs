//! The version of the store as a whole, in a file of its own, so that a later version is refused before anything of
//! it is opened.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::journal::disk::Disk;

/// The version of the trees as a whole.
pub(super) const SCHEMA: u64 = 5;
/// The last version whose projections must be made anew, because there are others now.
pub(super) const STALE_SCHEMA: u64 = 4;

/// The file that holds the version, in digits and a line break.
const NAME: &str = "schema";

/// Returns what the file says; stores of version 1 have none.
pub(super) fn read(path: &Path) -> Result<Option<u64>, Error> {
    let path = path.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(schema) => Ok(Some(schema)),
            // The log itself has the number as well.
            Err(_) => Ok(None),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(Error::io(format!("cannot read {}", path.display()), error)),
    }
}

/// Refuses what a later version wrote.
pub(super) fn refuse_newer(schema: Option<u64>) -> Result<(), Error> {
    match schema {
        Some(schema) if schema > SCHEMA => {
            let message = format!(
                "the store was written by a later version of this program (schema {schema}, and this one knows {SCHEMA}); use that version"
            );
            Err(Error::new(ErrorKind::Newer, message))
        }
        _ => Ok(()),
    }
}

/// Makes the file say the version of this program; durable when it returns.
pub(super) fn write(disk: &Disk, path: &Path) -> Result<(), Error> {
    if read(path)? == Some(SCHEMA) {
        return Ok(());
    }
    let fresh = path.join(format!("{NAME}.tmp"));
    disk.remove(&fresh)?;
    let written = disk.create(&fresh).and_then(|mut file| {
        disk.write(&fresh, &mut file, format!("{SCHEMA}\n").as_bytes())?;
        disk.sync(&fresh, &file)?;
        disk.rename(&fresh, &path.join(NAME))
    });
    written.map_err(|source| {
        // It only takes space.
        let _ = disk.remove(&fresh);
        Error::io(format!("cannot write {}", path.join(NAME).display()), source)
    })?;
    disk.sync_dir(path)
}
