//! What can go wrong: a day, a condition or a table that cannot be read.

use std::fmt;

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A text is not a day of the calendar.
    Day,
    /// A text does not say when a price holds.
    Condition,
    /// A table is not well-formed, or says something that cannot be.
    Table,
}

/// Something that cannot be read.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<serde_json::Error>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn json(message: impl Into<String>, source: serde_json::Error) -> Self {
        Self { kind: ErrorKind::Table, message: message.into(), source: Some(source) }
    }

    /// Returns what the error is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
