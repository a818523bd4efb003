//! Names that people give to sessions, branches and documents.

use crate::error::Error;

/// Longest name, in bytes.
const MAX: usize = 200;

/// Refuses what cannot be a name. `of` says whose name it is, and what `ids` begin with would be taken for one.
///
/// # Errors
/// Fails with kind `input`.
pub(crate) fn check(of: &str, name: &str, ids: &[&str]) -> Result<(), Error> {
    let why = if name.trim().is_empty() || name != name.trim() {
        "a name has no blanks at its ends and is not empty"
    } else if name.len() > MAX {
        "it is longer than 200 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds control characters"
    } else if ids.iter().any(|id| name.starts_with(id)) {
        "it looks like an id"
    } else {
        return Ok(());
    };
    Err(refused(of, name, why))
}

/// Returns the error for a name that cannot be given.
pub(crate) fn refused(of: &str, name: &str, why: &str) -> Error {
    let shown: String = name.chars().take(MAX).collect();
    Error::input(format!("{of} cannot be named {shown:?}: {why}"))
}
