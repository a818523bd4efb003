//! A sample: what a server answered, and what is to be understood of it.

use aichat_message::{ErrorKind, FinishReason, Message};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::error::Error;
use crate::exchange::Exchange;
use crate::fault::Plan;
use crate::intake::is_ndjson;
use crate::request::Request;

/// What a server answered once, and what is to be understood of it. An answer is complete unless it
/// [`fails`](Self::fails); of the rest, what is not stated is not compared.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) response: http::Response<Bytes>,
    pub(super) text: Option<String>,
    pub(super) reasoning: Option<String>,
    pub(super) calls: Option<Vec<(String, String, String)>>,
    pub(super) usage: Option<(Option<u64>, Option<u64>)>,
    pub(super) end: End,
}

/// How a sample ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Complete(Option<FinishReason>),
    Fails(Option<ErrorKind>),
}

impl Sample {
    /// Returns a sample of status 200 that is complete. It answers a streamed request, unless the content type
    /// is `application/json`.
    ///
    /// # Panics
    /// Panics where the content type cannot be a header's value.
    pub fn new(name: impl Into<String>, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut response = http::Response::new(body.into());
        if !content_type.is_empty() {
            let value = HeaderValue::from_str(content_type).expect("a content type is a header's value");
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        let mut request = Request::new("m", vec![Message::user("hi")]);
        request.stream = !content_type.starts_with("application/json");
        Self {
            name: name.into(),
            request,
            response,
            text: None,
            reasoning: None,
            calls: None,
            usage: None,
            end: End::Complete(None),
        }
    }

    /// Returns a sample of a recorded answer; there must be one. It keeps its status and headers.
    ///
    /// # Panics
    /// Panics where the exchange has no answer or a header that is none.
    pub fn recorded(name: impl Into<String>, exchange: &Exchange) -> Self {
        let head = exchange.answer.as_ref().expect("a recorded answer");
        let sample = Self::new(name, "", exchange.body()).status(head.status);
        let sample = head.headers.iter().fold(sample, |sample, (name, value)| {
            sample.header(name, std::str::from_utf8(value).expect("a header's value"))
        });
        let stream = !sample.content_type().starts_with("application/json");
        Self { request: Request { stream, ..sample.request.clone() }, ..sample }
    }

    /// Sets the request that is answered so, where "hi" would not do.
    #[must_use]
    pub fn request(self, request: Request) -> Self {
        Self { request, ..self }
    }

    /// Sets the status.
    ///
    /// # Panics
    /// Panics where it is not between 100 and 999.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        *self.response.status_mut() = StatusCode::from_u16(status).expect("a status has three digits");
        self
    }

    /// Adds a response header.
    ///
    /// # Panics
    /// Panics where it is not one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        self.response.headers_mut().append(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// States the visible text, of all parts in their order.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// States the readable reasoning, of all blocks in their order.
    #[must_use]
    pub fn reasoning(self, reasoning: impl Into<String>) -> Self {
        Self { reasoning: Some(reasoning.into()), ..self }
    }

    /// States the next tool call: its id, name and arguments as they come.
    #[must_use]
    pub fn call(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        self.calls.get_or_insert_default().push((id.into(), name.into(), arguments.into()));
        self
    }

    /// States the tokens read and written; `None` where the answer does not say.
    #[must_use]
    pub fn usage(self, input: Option<u64>, output: Option<u64>) -> Self {
        Self { usage: Some((input, output)), ..self }
    }

    /// States why the answer ended.
    #[must_use]
    pub fn finish(self, reason: FinishReason) -> Self {
        Self { end: End::Complete(Some(reason)), ..self }
    }

    /// States that the call fails, as whatever.
    #[must_use]
    pub fn fails(self) -> Self {
        Self { end: End::Fails(None), ..self }
    }

    /// States that the call fails, and as what.
    #[must_use]
    pub fn error(self, kind: ErrorKind) -> Self {
        Self { end: End::Fails(Some(kind)), ..self }
    }

    pub(super) fn plan(&self) -> Plan {
        Plan::answer(self.response.clone())
    }

    pub(super) fn body(&self) -> &Bytes {
        self.response.body()
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.response.status().is_success()
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.end, End::Complete(_))
    }

    /// Tells whether the body is a sequence of frames rather than one value.
    pub(super) fn is_streamed(&self) -> bool {
        self.is_lines() || self.content_type().starts_with("text/event-stream") && !self.begins(b"{[")
    }

    /// Tells whether the body is newline-delimited JSON.
    pub(super) fn is_lines(&self) -> bool {
        is_ndjson(self.content_type().split(';').next().unwrap_or_default().trim())
    }

    /// Asserts that an answer ended as stated.
    #[track_caller]
    pub(super) fn assert_ends(&self, finish: Option<FinishReason>, error: Option<&Error>) {
        let name = &self.name;
        match (self.end, error) {
            (End::Complete(_), Some(error)) => panic!("{name} fails: {error:?}"),
            (End::Complete(Some(reason)), None) => assert_eq!(finish, Some(reason), "{name}"),
            (End::Fails(_), None) => panic!("{name} is taken for a complete answer"),
            (End::Fails(Some(kind)), Some(error)) => assert_eq!(error.kind(), kind, "{name}: {error:?}"),
            (End::Complete(None), None) | (End::Fails(None), Some(_)) => {}
        }
    }

    fn content_type(&self) -> &str {
        self.response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn begins(&self, with: &[u8]) -> bool {
        let first = self.body().iter().find(|byte| !byte.is_ascii_whitespace());
        first.is_some_and(|first| with.contains(first))
    }
}
