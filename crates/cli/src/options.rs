//! Model options: `-o key=value`.

use aichat_engine::{Error, read_options};
use aichat_providers::Options;

use crate::failure::Failure;
use crate::talk::Talk;

/// Reads options; a name that is not in the vocabulary is passed to the provider as it is, with a note.
///
/// # Errors
/// Fails with kind `usage` where a value is not what its option takes.
pub(crate) fn parse(pairs: &[(String, String)], talk: &Talk) -> Result<Options, Failure> {
    let (options, passed) = read_options(pairs).map_err(|error| wrong(&error))?;
    passed.iter().for_each(|name| talk.note(&format!("{name} is passed to the provider as it is")));
    Ok(options)
}

/// Says of a wrong value where it is from.
pub(crate) fn wrong(error: &Error) -> Failure {
    Failure::new(error.kind(), format!("-o {error}"))
}
