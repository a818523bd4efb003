//! What the engine fails with: one kind for every cause, and what to tell the person.

use std::fmt;
use std::io;
use std::time::Duration;

use aichat_message::{ErrorKind, SessionId};
use aichat_providers::Obstacle;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed engine operation, or the failure that ended a turn.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
    reason: Option<Reason>,
    hint: Option<String>,
    source: Option<Source>,
}

/// What exactly went wrong, where whoever tells it may know a way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Another turn of the session is in flight, beside which a fork could go on.
    InFlight,
    /// A budget is set, and what the model costs is not known.
    Unpriced,
    /// The provider's address is wrong.
    Address,
    /// The database lets nobody in with this user and password.
    Login,
    /// The store cannot be written, and there is no room for a copy of it to be read.
    NoCopy,
}

impl Error {
    /// Returns an error of this kind. `message` is one lower-case phrase without a period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            status: None,
            code: None,
            request_id: None,
            provider: None,
            model: None,
            retryable: kind.is_retryable() || kind == ErrorKind::Busy,
            retry_after: None,
            reason: None,
            hint: None,
            source: None,
        }))
    }

    /// Adds what would help, in one lower-case phrase.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Returns the error of a turn that another one of its session keeps out.
    pub(crate) fn in_flight(session: &SessionId) -> Self {
        let what = format!("another turn of session {session} is in flight");
        Self::new(ErrorKind::Busy, what).with_reason(Reason::InFlight)
    }

    /// Says what exactly went wrong.
    pub(crate) fn with_reason(mut self, reason: Reason) -> Self {
        self.0.reason = Some(reason);
        self
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// Says what the models before it failed with.
    pub(crate) fn after(mut self, mut earlier: Vec<String>) -> Self {
        earlier.push(self.0.message);
        self.0.message = earlier.join("; ");
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Tells whether the store could be read and not be written.
    pub(crate) fn is_unwritable(&self) -> bool {
        use aichat_store::ErrorKind::{Full, Io, NoCopy};
        let store = self.0.source.as_deref().and_then(|source| source.downcast_ref::<aichat_store::Error>());
        store.is_some_and(|e| matches!(e.kind(), Full | Io | NoCopy))
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what exactly went wrong, where that is worth telling apart.
    pub fn reason(&self) -> Option<Reason> {
        self.0.reason
    }

    /// Returns the HTTP status, where a provider gave one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the provider's own code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the provider's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the provider that was asked, where one was.
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// Returns the model that was asked, where one was.
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// Returns what would help, where whoever failed knows it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Tells whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns how long the provider asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
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
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<aichat_providers::Error> for Error {
    fn from(error: aichat_providers::Error) -> Self {
        Self(Box::new(Inner {
            kind: error.kind(),
            message: error.to_string(),
            status: error.status(),
            code: error.code().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            provider: error.provider().map(str::to_owned),
            model: error.model().map(str::to_owned),
            retryable: error.is_retryable(),
            retry_after: error.retry_after(),
            reason: (error.obstacle() == Some(Obstacle::Address)).then_some(Reason::Address),
            hint: None,
            source: Some(error.into()),
        }))
    }
}

impl From<aichat_store::Error> for Error {
    fn from(error: aichat_store::Error) -> Self {
        let kind = match error.kind() {
            aichat_store::ErrorKind::Busy => ErrorKind::Busy,
            _ => ErrorKind::Store,
        };
        let message = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let retryable =
            matches!(error.kind(), aichat_store::ErrorKind::Busy | aichat_store::ErrorKind::Unavailable);
        // The class of codes with which a database lets nobody in.
        let is_shut_out = error.code().is_some_and(|code| code.starts_with("28"));
        let reason = match error.kind() {
            aichat_store::ErrorKind::NoCopy => Some(Reason::NoCopy),
            _ => is_shut_out.then_some(Reason::Login),
        };
        let mut this = Self::new(kind, message).with_source(error);
        this.0.retryable = retryable;
        this.0.reason = reason;
        this
    }
}

impl From<aichat_events::Error> for Error {
    fn from(error: aichat_events::Error) -> Self {
        Self::new(ErrorKind::Store, format!("a damaged event: {error}")).with_source(error)
    }
}

/// Returns an I/O error as a lower-case phrase, without the number the operating system gives it.
pub fn phrase(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown failure".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_become_lower_case_phrases() {
        let error = io::Error::from_raw_os_error(28);
        assert_eq!(phrase(&error), "no space left on device");
    }
}
