//! A recorded exchange: the form in which requests and answers are kept, whole or piece by piece.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use aichat_message::ErrorKind;

use crate::error::{Error, Obstacle, Timeout};
use crate::passing::Extent;
use crate::redaction::{Redactor, mask};
use crate::transport::HttpRequest;

/// The version of the form that this crate writes.
const VERSION: u32 = 1;

/// Headers that are never kept, whether or not they are marked as sensitive.
const NEVER: [HeaderName; 7] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    SET_COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Headers that are kept where only an outline is, beside those about rate limits: what adapters read, and what a
/// provider is asked for when something went wrong.
const LISTED: [&str; 26] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "apim-request-id",
    "cf-ray",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "mistral-correlation-id",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "server",
    "transfer-encoding",
    "user-agent",
    "via",
    "x-envoy-upstream-service-time",
    "x-ms-client-request-id",
    "x-ms-region",
    "x-ms-request-id",
    "x-request-id",
    "x-should-retry",
];

/// Parameters of a query whose values are never kept.
const KEYS: [&str; 6] = ["key", "api_key", "api-key", "access_token", "token", "sig"];

/// One recorded exchange, as far as it got.
///
/// In JSON it is one object, and each of its [`Piece`]s, in the order in which they came, is a line of a journal;
/// [`push`](Self::push) puts them together again. Bytes are a string where they are UTF-8, else an object
/// `{"base64":"…"}`. Times are microseconds since the request was sent. The form is described in
/// `docs/recorded-exchanges.md`.
///
/// ```
/// use aichat_providers::{Exchange, Piece};
///
/// let journal = r#"{"request":{"v":1,"method":"POST","path":"/v1/chat","body":"{}"}}
/// {"answer":{"at_us":300,"status":200,"headers":[["content-type","text/plain"]]}}
/// {"chunk":{"at_us":310,"bytes":"hel"}}
/// {"chunk":{"at_us":950,"bytes":"lo"}}"#;
/// let mut exchange = None::<Exchange>;
/// for line in journal.lines() {
///     match (&mut exchange, serde_json::from_str(line)?) {
///         (Some(exchange), piece) => exchange.push(piece),
///         (none, Piece::Request(request)) => *none = Some(Exchange::new(*request)),
///         (None, _) => {}
///     }
/// }
/// let exchange = exchange.ok_or("no request")?;
/// assert_eq!(exchange.body(), b"hello");
/// assert!(exchange.end.is_none(), "the journal breaks off");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was sent.
    pub request: Sent,
    /// Status and headers, once they had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Head>,
    /// The body in the pieces in which it came.
    #[serde(default)]
    pub chunks: Vec<Chunk>,
    /// How it ended; absent where the recording did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// One step of an exchange, to be written down as it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Piece {
    /// The request is sent.
    Request(Box<Sent>),
    /// Status and headers are there.
    Answer(Head),
    /// Bytes of the body are there.
    Chunk(Chunk),
    /// It is over.
    End(End),
}

/// A request as it is kept: without keys, host and cookies, everything else through redaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The version of the form, 1; what a later version wrote is not read.
    #[serde(deserialize_with = "version")]
    pub v: u32,
    /// What the caller called it, see [`labelled`](crate::labelled).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers: lower-case name, value.
    #[serde(default)]
    pub headers: Vec<(String, Octets)>,
    /// The body, unless only its hash is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Octets>,
    /// The BLAKE3 hash of the body as it was sent, 64 hex digits, where the body is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hash: Option<String>,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// When it came.
    pub at_us: u64,
    /// The status.
    pub status: u16,
    /// The headers: lower-case name, value.
    #[serde(default)]
    pub headers: Vec<(String, Octets)>,
}

/// Bytes of a body that came together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// When they came.
    pub at_us: u64,
    /// The bytes.
    pub bytes: Octets,
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When it was over.
    pub at_us: u64,
    /// How it ended.
    pub how: How,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum How {
    /// The body came to its end.
    Complete,
    /// The transport failed, before an answer or within it.
    Failed {
        /// As what.
        kind: ErrorKind,
        /// The words.
        message: String,
        /// What was in the way; a word that is not known here is none.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
        obstacle: Option<Obstacle>,
        /// Which wait took too long; a word that is not known here is none.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
        timeout: Option<Timeout>,
        /// How long to wait was asked for, in microseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_us: Option<u64>,
    },
    /// The caller let go of it, as it does once an answer's last frame is there.
    Dropped,
}

impl How {
    /// Returns the end of an exchange that failed so.
    pub(crate) fn failed(error: &Error) -> Self {
        let micros = |wait: Duration| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self::Failed {
            kind: error.kind(),
            message: error.message().to_owned(),
            obstacle: error.obstacle(),
            timeout: error.timeout(),
            retry_after_us: error.retry_after().map(micros),
        }
    }

    /// Returns what it failed with.
    pub(crate) fn error(&self) -> Option<Error> {
        let Self::Failed { kind, message, obstacle, timeout, retry_after_us } = self else { return None };
        let mut error = Error::new(*kind, message.clone())
            .with_timeout(*timeout)
            .with_retry_after(retry_after_us.map(Duration::from_micros));
        if let Some(obstacle) = obstacle {
            error = error.with_obstacle(*obstacle);
        }
        Some(error)
    }
}

impl Exchange {
    /// Returns an exchange whose request is all that is known.
    pub fn new(request: Sent) -> Self {
        Self { request, answer: None, chunks: Vec::new(), end: None }
    }

    /// Takes the next piece. A second request is ignored.
    pub fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Request(_) => {}
            Piece::Answer(head) => self.answer = Some(head),
            Piece::Chunk(chunk) => self.chunks.push(chunk),
            Piece::End(end) => self.end = Some(end),
        }
    }

    /// Returns the body as far as it came.
    pub fn body(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect()
    }
}

impl Sent {
    /// Returns what is kept of a request.
    pub(crate) fn of(request: &HttpRequest, extent: Extent, redactor: &Redactor) -> Self {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let is_whole = extent == Extent::Whole;
        Self {
            v: VERSION,
            label: None,
            method: request.method().as_str().to_owned(),
            path: redactor.text(without_keys(path)),
            headers: headers(request.headers(), extent, redactor),
            body: is_whole.then(|| Octets::from(redactor.redact(request.body()).into_owned())),
            body_hash: (!is_whole).then(|| hash(request.body())),
        }
    }
}

/// Returns the hash of a body, as it is written.
pub(crate) fn hash(body: &[u8]) -> String {
    blake3::hash(body).to_hex().to_string()
}

/// Returns the headers that are kept.
pub(crate) fn headers(headers: &HeaderMap, extent: Extent, redactor: &Redactor) -> Vec<(String, Octets)> {
    let kept = headers.iter().filter(|(name, value)| {
        let listed = || LISTED.contains(&name.as_str()) || name.as_str().contains("ratelimit");
        !value.is_sensitive() && !NEVER.contains(name) && (extent == Extent::Whole || listed())
    });
    kept.map(|(name, value)| {
        (name.as_str().to_owned(), Octets::from(redactor.redact(value.as_bytes()).into_owned()))
    })
    .collect()
}

/// Masks the values of those parameters that carry keys.
fn without_keys(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let kept = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if KEYS.iter().any(|key| name.eq_ignore_ascii_case(key)) => {
            format!("{name}={}", mask())
        }
        _ => pair.to_owned(),
    });
    format!("{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        known @ 1..=VERSION => Ok(known),
        other => Err(de::Error::custom(format_args!("an exchange of version {other} is not known here"))),
    }
}

/// Reads a word, or none where a later version has a new one.
fn known<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(word
        .and_then(|word| T::deserialize(IntoDeserializer::<de::value::Error>::into_deserializer(word)).ok()))
}

/// Bytes that are text most of the time; cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Octets(Bytes);

impl From<Bytes> for Octets {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Octets {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Octets> for Bytes {
    fn from(octets: Octets) -> Self {
        octets.0
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &STANDARD.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Octets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object with base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Octets, E> {
                Ok(Octets::from(text.as_bytes().to_vec()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Octets, E> {
                Ok(Octets::from(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Octets, A::Error> {
                let mut bytes = None;
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if name == "base64" {
                        bytes = Some(STANDARD.decode(value).map_err(de::Error::custom)?);
                    }
                }
                bytes.map(Octets::from).ok_or_else(|| de::Error::missing_field("base64"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
