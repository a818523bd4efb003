//! Ollama's own protocol.
//!
//! Protocol: <https://docs.ollama.com/api>.

mod decode;
mod encode;
mod wire;

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use aichat_message::Protocol;

use crate::classify;
use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::error::Error;
use crate::provider::{Info, Model};
use crate::request::Request;

/// The adapter; give it to a [`Driver`](crate::Driver).
///
/// The base address is the server's, `http://localhost:11434` or `https://ollama.com` for example. A last
/// `/api`, or `/v1` of the address at which the same server speaks OpenAI's protocol, is left out.
///
/// Of [`Options::other`](crate::Options::other), what the protocol names itself stands beside the messages:
/// `format`, `keep_alive`, `logprobs`, `shift`, `think`, `top_logprobs`, `truncate`. Everything else, `num_ctx` or
/// `min_p` for example, goes into `options`, and so do the fields of an `options` object.
///
/// A server reads as much of a conversation as its `num_ctx` allows, often far less than the context window that
/// [`Provider::model`](crate::Provider::model) tells, and drops the rest without a word.
///
/// ```
/// use std::sync::Arc;
/// use aichat_message::{Json, Message};
/// use aichat_providers::{Driver, Endpoint, Fault, Ollama, Provider, Request};
///
/// let transport = Arc::new(Fault::new([]));
/// let endpoint = Endpoint::new("ollama", "http://localhost:11434", transport).with_local(true);
/// let provider = Driver::new(endpoint, Ollama::new())?;
/// let mut request = Request::new("qwen3:4b", vec![Message::user("hello")]);
/// request.options.max_tokens = Some(64);
/// request.options.other.push("num_ctx", Json::from_value(&8192)?);
/// let call = provider.prepare(request)?;
/// assert_eq!(call.url, "http://localhost:11434/api/chat");
/// assert_eq!(
///     std::str::from_utf8(&call.body)?,
///     r#"{"model":"qwen3:4b","messages":[{"role":"user","content":"hello"}],"stream":true,"options":{"num_predict":64,"num_ctx":8192}}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ollama;

impl Ollama {
    /// Returns an adapter.
    pub fn new() -> Self {
        Self
    }
}

impl Adapter for Ollama {
    fn protocol(&self) -> Protocol {
        Protocol::Ollama
    }

    fn base_url(&self, url: String) -> String {
        let server = url.strip_suffix("/api").or_else(|| url.strip_suffix("/v1")).map(str::to_owned);
        server.unwrap_or(url)
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(info, request)
    }

    fn decoder(&self, _: &Info) -> Box<dyn Decoder> {
        Box::new(decode::OllamaDecoder::default())
    }

    fn path(&self, _: &Request) -> String {
        "/api/chat".to_owned()
    }

    fn models_path(&self, _after: Option<&str>) -> Option<String> {
        Some("/api/tags".to_owned())
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        wire::tags(body)
    }

    fn model_path(&self, id: &str) -> Option<(String, Vec<u8>)> {
        Some(("/api/show".to_owned(), serde_json::json!({"model": id}).to_string().into_bytes()))
    }

    fn model(&self, id: &str, body: &str) -> Result<Model, Error> {
        wire::show(id, body)
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Error {
        let error = classify::refused(status, headers, body, now);
        // The model is larger than the machine, and will be the next time.
        match error.message().contains("requires more system memory") {
            true => error.with_retryable(false),
            false => error,
        }
    }
}
