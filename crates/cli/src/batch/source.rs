//! Where the lines of a batch come from: a file, which is read twice, or standard input.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use aichat_engine::InputLines;
use aichat_message::ErrorKind;

use crate::failure::Failure;

/// Opens a file, or standard input where it is `-`.
///
/// # Errors
/// Fails with kind `input` where it cannot be read.
pub(crate) fn open(path: &Path) -> Result<InputLines, Failure> {
    if path == Path::new("-") {
        return Ok(InputLines::of(BufReader::new(io::stdin()), "standard input"));
    }
    let file =
        File::open(path).map_err(|error| Failure::file(ErrorKind::Input, "cannot read", path, &error))?;
    if file.metadata().is_ok_and(|about| about.is_dir()) {
        return Err(Failure::new(ErrorKind::Input, format!("{} is a directory", path.display())));
    }
    Ok(InputLines::of(BufReader::with_capacity(1 << 16, file), path.display().to_string()))
}
