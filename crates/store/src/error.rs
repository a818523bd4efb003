//! What a store fails with.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed store operation.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    source: Option<Source>,
}

/// What went wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream's head is not where the caller expected it; read and try again.
    Conflict,
    /// Another process or turn holds the session or the store.
    Busy,
    /// The server that keeps the store does not answer, or takes nobody for the moment.
    Unavailable,
    /// No space, or a file-size limit.
    Full,
    /// The place cannot be created, read or written.
    Io,
    /// The store cannot be written, and no place takes a copy of it to be read.
    NoCopy,
    /// The bytes on disk are not what was written.
    Corrupt,
    /// The store was written by a later version of this program.
    Newer,
    /// The caller asked for something that cannot be: an event out of order, a key of the wrong shape.
    Invalid,
    /// The caller wrote a secret where others would see it.
    Exposed,
}

impl Error {
    /// Returns an error of this kind. `message` is one lower-case phrase without a period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), code: None, source: None }))
    }

    /// Sets the code that a database gives: its SQLSTATE.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns an I/O failure; `what` says what was being done to which file.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::FileTooLarge
            | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Self::new(kind, what).with_source(source)
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the code that a database gave: its SQLSTATE.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns why the system has nothing written, where that is what failed.
    #[cfg(feature = "sled")]
    pub(crate) fn refusal(&self) -> Option<std::io::ErrorKind> {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let why = self.0.source.as_ref()?.downcast_ref::<std::io::Error>()?.kind();
        [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&why).then_some(why)
    }

    /// Tells whether trying again later may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Conflict | ErrorKind::Busy | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
