//! A sample: what a server answered, and what is to be understood of it.

use aichat_message::{ErrorKind, FinishReason, Message};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::fault::Plan;
use crate::request::Request;

/// What a server answered once, and what is to be understood of it. What is not stated is not there: a sample
/// without [`text`](Self::text) has none. Token counts are compared where they are stated.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) response: http::Response<Bytes>,
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<(String, String, String)>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) finish: Option<FinishReason>,
    pub(super) error: Option<ErrorKind>,
}

impl Sample {
    /// Returns a sample of status 200 that says nothing. It answers a streamed request, unless the content type
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
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            input_tokens: None,
            output_tokens: None,
            finish: None,
            error: None,
        }
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
        Self { text: text.into(), ..self }
    }

    /// States the readable reasoning, of all blocks in their order.
    #[must_use]
    pub fn reasoning(self, reasoning: impl Into<String>) -> Self {
        Self { reasoning: reasoning.into(), ..self }
    }

    /// States the next tool call: its id, name and arguments as they come.
    #[must_use]
    pub fn call(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        self.calls.push((id.into(), name.into(), arguments.into()));
        self
    }

    /// States the token counts.
    #[must_use]
    pub fn usage(self, input: Option<u64>, output: Option<u64>) -> Self {
        Self { input_tokens: input, output_tokens: output, ..self }
    }

    /// States that the answer is complete and why it ended; it is complete for any reason where neither this nor
    /// an error is stated.
    #[must_use]
    pub fn finish(self, reason: FinishReason) -> Self {
        Self { finish: Some(reason), ..self }
    }

    /// States that the call fails, and as what.
    #[must_use]
    pub fn error(self, kind: ErrorKind) -> Self {
        Self { error: Some(kind), ..self }
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
        self.error.is_none()
    }

    /// Tells whether the body is a sequence of frames rather than one value.
    pub(super) fn is_streamed(&self) -> bool {
        self.is_lines() || self.content_type().starts_with("text/event-stream") && !self.begins(b"{[")
    }

    /// Tells whether the body is newline-delimited JSON.
    pub(super) fn is_lines(&self) -> bool {
        let essence = self.content_type().split(';').next().unwrap_or_default().trim();
        ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
            .contains(&essence)
    }

    fn content_type(&self) -> &str {
        self.response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn begins(&self, with: &[u8]) -> bool {
        let first = self.body().iter().find(|byte| !byte.is_ascii_whitespace());
        first.is_some_and(|first| with.contains(first))
    }
}
