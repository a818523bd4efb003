//! A transport that answers from recorded exchanges.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use aichat_message::ErrorKind;

use crate::error::Error;
use crate::exchange::{Exchange, How, Sent, hash};
use crate::passing::Extent;
use crate::redaction::Redactor;
use crate::redaction::of_request;
use crate::transport::{HttpRequest, HttpResponse, Transport};

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// Without waiting.
    #[default]
    Instant,
    /// As it was.
    Recorded,
    /// As it was, times this factor; 0.1 is ten times as fast.
    Scaled(f64),
}

/// A transport that plays recorded exchanges, in their order, with their pieces.
///
/// A request must be the one recorded: method, path with query and body, after the redaction that the recording
/// had; of a body that was not kept the hash must be the same. Host and headers are not compared. An answer that the caller had let go of, or whose recording broke off,
/// ends in a transport error where the recording does, so that nobody takes it for whole. Of a transport that failed
/// the kind and the words come again; what was in its way, and how long it asked to wait, is not recorded.
///
/// Times are the runtime's, so that a test may pause them.
///
/// ```
/// use std::error::Error;
/// use aichat_providers::{Diverged, Replay, Transport};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let recorded = r#"[{"request":{"v":1,"method":"POST","path":"/v1/chat","body":"hello"}}]"#;
/// let replay = Replay::new(serde_json::from_str::<Vec<_>>(recorded)?);
/// let other = http::Request::post("http://h/v1/chat").body(bytes::Bytes::from_static(b"help!"))?;
/// let error = replay.send(other).await.err().ok_or("it must not match")?;
/// assert_eq!(error.message(), "request 1 differs from the recording in its body, at byte 3");
/// assert!(error.source().is_some_and(|source| source.is::<Diverged>()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Replay {
    exchanges: Vec<Exchange>,
    next: Mutex<usize>,
    pace: Pace,
    redactor: Option<Redactor>,
}

/// Where a request left its recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// The number of the request, from 1.
    pub request: usize,
    /// What differs first.
    pub difference: Difference,
}

/// What differs between a request and its recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The recording ends before it.
    NotRecorded,
    /// The method.
    Method {
        /// As recorded.
        recorded: String,
        /// As sent.
        sent: String,
    },
    /// The path or its query.
    Path {
        /// As recorded.
        recorded: String,
        /// As sent, redacted.
        sent: String,
    },
    /// The body.
    Body {
        /// The first byte that differs, counted from 0 after redaction.
        at: usize,
    },
    /// The body, of which only the hash was recorded.
    BodyHash,
}

impl Diverged {
    /// Returns the first difference.
    fn find(request: usize, recorded: Option<&Sent>, sent: &Sent) -> Option<Self> {
        let pair = |recorded: &str, sent: &str| (recorded.to_owned(), sent.to_owned());
        let difference = match recorded {
            None => Difference::NotRecorded,
            Some(known) if known.method != sent.method => {
                let (recorded, sent) = pair(&known.method, &sent.method);
                Difference::Method { recorded, sent }
            }
            Some(known) if known.path != sent.path => {
                let (recorded, sent) = pair(&known.path, &sent.path);
                Difference::Path { recorded, sent }
            }
            Some(Sent { body: Some(known), .. }) if sent.body.as_ref().is_some_and(|body| body != known) => {
                let body = sent.body.iter().flat_map(|body| body.iter());
                Difference::Body { at: known.iter().zip(body).take_while(|(a, b)| a == b).count() }
            }
            Some(Sent { body: None, body_hash: Some(known), .. })
                if sent.body_hash.as_ref() != Some(known) =>
            {
                Difference::BodyHash
            }
            Some(_) => return None,
        };
        Some(Self { request, difference })
    }
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.request;
        match &self.difference {
            Difference::NotRecorded => write!(f, "request {number} is not in the recording"),
            Difference::Method { .. } => {
                write!(f, "request {number} differs from the recording in its method")
            }
            Difference::Path { .. } => write!(f, "request {number} differs from the recording in its path"),
            Difference::BodyHash => write!(f, "request {number} differs from the recording in its body"),
            Difference::Body { at } => {
                write!(f, "request {number} differs from the recording in its body, at byte {at}")
            }
        }
    }
}

impl std::error::Error for Diverged {}

impl Replay {
    /// Returns a transport that plays these exchanges without waiting.
    pub fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let exchanges = exchanges.into_iter().collect();
        Self { exchanges, next: Mutex::new(0), pace: Pace::Instant, redactor: None }
    }

    /// Sets how fast to play.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Sets the redactor that the recording had.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor: Some(redactor), ..self }
    }

    /// Returns how many exchanges were not asked for yet.
    pub fn remaining(&self) -> usize {
        self.exchanges.len() - *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the exchange that this request must be.
    fn take(&self, request: &HttpRequest) -> Result<&Exchange, Diverged> {
        let redactor = of_request(self.redactor.clone(), request.headers());
        let sent =
            Sent { body_hash: Some(hash(request.body())), ..Sent::of(request, Extent::Whole, &redactor) };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let exchange = self.exchanges.get(*next);
        match (Diverged::find(*next + 1, exchange.map(|exchange| &exchange.request), &sent), exchange) {
            (None, Some(exchange)) => {
                *next += 1;
                Ok(exchange)
            }
            (Some(diverged), _) => Err(diverged),
            (None, None) => Err(Diverged { request: *next + 1, difference: Difference::NotRecorded }),
        }
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("remaining", &self.remaining())
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let began = Instant::now();
        let exchange = self.take(&request).map_err(|diverged| {
            Error::new(ErrorKind::InvalidRequest, diverged.to_string()).with_source(diverged)
        })?;
        let pace = self.pace;
        let until = move |at_us| async move {
            if let Some(after) = pace.after(at_us) {
                tokio::time::sleep_until(began + after).await;
            }
        };
        // What is left over at the end: nothing, or the error that ends it.
        let (ended_us, failure) = match &exchange.end {
            Some(end) => match &end.how {
                How::Complete => (end.at_us, None),
                how => (end.at_us, Some(how.error().unwrap_or_else(broken_off))),
            },
            None => (exchange.chunks.last().map_or(0, |chunk| chunk.at_us), Some(broken_off())),
        };
        let Some(head) = &exchange.answer else {
            until(ended_us).await;
            return Err(failure.unwrap_or_else(broken_off));
        };
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::from_u16(head.status)
            .map_err(|_| Error::new(ErrorKind::Input, "the recorded status is not one"))?;
        for (name, value) in &head.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        until(head.at_us).await;
        let chunks = stream::iter(exchange.chunks.clone()).then(move |chunk| async move {
            until(chunk.at_us).await;
            Ok(chunk.bytes.into())
        });
        let end = stream::once(async move {
            until(ended_us).await;
            failure.map(Err)
        });
        Ok(response.map(|()| chunks.chain(end.filter_map(|last| async { last })).boxed()))
    }
}

impl Pace {
    /// Returns when to do what was done after so many microseconds.
    fn after(self, at_us: u64) -> Option<Duration> {
        let recorded = Duration::from_micros(at_us);
        match self {
            Self::Instant => None,
            Self::Recorded => Some(recorded),
            Self::Scaled(factor) => Duration::try_from_secs_f64(recorded.as_secs_f64() * factor).ok(),
        }
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::Transport, "the recording ends here")
}
