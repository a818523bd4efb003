//! What a provider or its transport fails with: kind, who, status, request id, and what had arrived by then.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use aichat_message::{ErrorKind, Message, Usage};

use crate::redaction::Redactor;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed call. Boxed inside, so that a `Result` stays small.
pub struct Error(Box<Inner>);

#[derive(Default)]
struct Inner {
    kind: Option<ErrorKind>,
    message: String,
    provider: Option<String>,
    model: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    retryable: Option<bool>,
    timeout: Option<Timeout>,
    obstacle: Option<Obstacle>,
    partial: Option<Message>,
    usage: Option<Usage>,
    raw_body: Option<String>,
    rate_limits: Vec<(String, String)>,
    source: Option<Source>,
}

/// Which wait took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Timeout {
    /// The connection was not made in time.
    Connect,
    /// No status and headers, or no first byte of the body, in time.
    FirstByte,
    /// The stream stood still, or only kept itself alive.
    Idle,
}

/// What kept an exchange from taking place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// The provider's address is wrong, so that nobody is asked.
    Address,
    /// The host's name cannot be resolved.
    Name,
    /// Nobody listens at the port.
    Refused,
    /// The network does not lead there.
    Unreachable,
    /// The connection was reset or closed.
    Reset,
    /// The server's certificate is not trusted.
    Certificate,
    /// TLS cannot be agreed on.
    Tls,
    /// What answers does not speak HTTP.
    NotHttp,
    /// A proxy on the way refuses.
    Proxy,
}

impl Obstacle {
    /// Returns the obstacle as a phrase.
    #[cfg(feature = "http")]
    pub(crate) const fn phrase(self) -> &'static str {
        match self {
            Self::Address => "the address is wrong",
            Self::Name => "the host's name cannot be resolved",
            Self::Refused => "the connection was refused; is the server running?",
            Self::Unreachable => "the network cannot reach the host",
            Self::Reset => "the connection was reset",
            Self::Certificate => "the server's certificate is not trusted",
            Self::Tls => "tls cannot be agreed on",
            Self::NotHttp => "the answer is not http",
            Self::Proxy => "the proxy refuses",
        }
    }
}

impl Error {
    /// Returns an error of this kind. `message` is one lower-case phrase without a period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind: Some(kind), message: message.into(), ..Inner::default() }))
    }

    /// Returns an error for something this provider or model cannot do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Returns an error for a wait that took `after`.
    pub fn timed_out(which: Timeout, after: Duration) -> Self {
        let what = match which {
            Timeout::Connect => "no connection",
            Timeout::FirstByte => "no answer",
            Timeout::Idle => "the stream stood still",
        };
        let mut error = Self::new(ErrorKind::Timeout, format!("{what} for {} s", after.as_secs_f64()));
        error.0.timeout = Some(which);
        error
    }

    /// Returns an error for an answer that was kept alive for `after` and did not come.
    pub(crate) fn kept_alive(after: Duration) -> Self {
        let mut error =
            Self::new(ErrorKind::Timeout, format!("nothing but keep-alives for {} s", after.as_secs_f64()));
        error.0.timeout = Some(Timeout::Idle);
        error
    }

    /// Says which wait took too long, as a recording tells it.
    #[must_use]
    pub(crate) fn with_timeout(mut self, which: Option<Timeout>) -> Self {
        self.0.timeout = which;
        self
    }

    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.0.message = message;
        self
    }

    /// Says what kept the exchange from taking place.
    #[must_use]
    pub fn with_obstacle(mut self, obstacle: Obstacle) -> Self {
        self.0.obstacle = Some(obstacle);
        self
    }

    /// Names the provider, unless one is named.
    #[must_use]
    pub fn with_provider(mut self, name: &str) -> Self {
        self.0.provider.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Names the model, unless one is named.
    #[must_use]
    pub fn with_model(mut self, model: &str) -> Self {
        self.0.model.get_or_insert_with(|| model.to_owned());
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the provider's own code or type.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the provider's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id.or(self.0.request_id);
        self
    }

    /// Sets how long the provider asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Says whether a retry may help, against what the kind alone would say.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// Adds what had arrived before the failure.
    #[must_use]
    pub fn with_partial(mut self, partial: Option<Message>, usage: Option<Usage>) -> Self {
        self.0.partial = partial.or(self.0.partial);
        self.0.usage = usage.or(self.0.usage);
        self
    }

    /// Adds the response body, bounded and redacted by the caller.
    #[must_use]
    pub fn with_raw_body(mut self, body: String) -> Self {
        self.0.raw_body = Some(body);
        self
    }

    /// Adds the response headers about rate limits, in order: lower-case name, value.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: Vec<(String, String)>) -> Self {
        self.0.rate_limits = limits;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Takes secrets out of every text that came from outside.
    #[must_use]
    pub(crate) fn redact(mut self, redactor: &Redactor) -> Self {
        let redact = |text: &mut String| *text = redactor.text(std::mem::take(text));
        let e = &mut *self.0;
        redact(&mut e.message);
        e.rate_limits.iter_mut().for_each(|(_, value)| redact(value));
        [&mut e.code, &mut e.request_id, &mut e.raw_body].into_iter().flatten().for_each(redact);
        self
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind.unwrap_or(ErrorKind::Server)
    }

    /// Returns the phrase that says what went wrong, without provider, status and id.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the provider's name.
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// Returns the model asked for.
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the provider's own code or type.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the provider's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns how long the provider asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Tells whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or_else(|| self.kind().is_retryable())
    }

    /// Returns which wait took too long.
    pub fn timeout(&self) -> Option<Timeout> {
        self.0.timeout
    }

    /// Returns what kept the exchange from taking place, where the transport knows it.
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.0.obstacle
    }

    /// Returns the message as far as it had arrived.
    pub fn partial(&self) -> Option<&Message> {
        self.0.partial.as_ref()
    }

    /// Returns the token counts as far as they had arrived.
    pub fn usage(&self) -> Option<&Usage> {
        self.0.usage.as_ref()
    }

    /// Returns the response headers about rate limits, in order: lower-case name, value.
    pub fn rate_limits(&self) -> &[(String, String)] {
        &self.0.rate_limits
    }

    /// Returns the beginning of the response body, redacted.
    pub fn raw_body(&self) -> Option<&str> {
        self.0.raw_body.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.0;
        match (&e.provider, &e.model) {
            (Some(provider), Some(model)) => write!(f, "{provider}/{model}: ")?,
            (Some(provider), None) => write!(f, "{provider}: ")?,
            _ => {}
        }
        f.write_str(&e.message)?;
        let mut facts = Vec::new();
        facts.extend(e.status.map(|status| format!("status {status}")));
        facts.extend(e.code.as_ref().map(|code| format!("code {code}")));
        facts.extend(e.request_id.as_ref().map(|id| format!("request {id}")));
        match facts.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", facts.join(", ")),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("text", &self.to_string())
            .field("retryable", &self.is_retryable())
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
