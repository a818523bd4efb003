//! Anthropic Messages, and the servers that speak it.
//!
//! Protocol: <https://platform.claude.com/docs/en/api/messages>.

mod content;
mod decode;
mod encode;
mod profile;
mod wire;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use aichat_message::{ErrorKind, Protocol};

use crate::classify;
use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::endpoint::percent_encode;
use crate::error::Error;
use crate::provider::Info;
use crate::request::Request;

/// The version of the protocol spoken.
const VERSION: &str = "2023-06-01";

/// The adapter; give it to a [`Driver`](crate::Driver) with `https://api.anthropic.com` for its base address; a `/v1`
/// at its end makes no difference.
///
/// What a model takes differs by generation: how it is told to reason, whether its sampling can be set, how
/// long its answers may be. The adapter knows it by the model's name, sends what that model takes and warns of
/// the rest. `max_tokens`, which the protocol demands, is that of the request; where it gives none, 16,384 and
/// the tokens meant for reasoning on top, or less where the generation has a lower limit.
///
/// ```
/// # use std::sync::Arc;
/// use aichat_message::Message;
/// use aichat_providers::{Anthropic, Driver, Endpoint, Provider, Reasoning, Request};
/// # use aichat_providers::{Error, HttpRequest, HttpResponse, Transport};
/// # struct Offline;
/// # #[async_trait::async_trait]
/// # impl Transport for Offline {
/// #     async fn send(&self, _: HttpRequest) -> Result<HttpResponse, Error> {
/// #         Err(Error::unsupported("offline"))
/// #     }
/// # }
/// # let transport = Arc::new(Offline);
///
/// let endpoint = Endpoint::new("anthropic", "https://api.anthropic.com/v1", transport);
/// let claude = Driver::new(endpoint, Anthropic::new())?;
///
/// let mut request = Request::new("claude-sonnet-4-6", vec![Message::user("Why is the sky blue?")]);
/// request.options.reasoning = Some(Reasoning::Low);
/// request.options.seed = Some(7);
/// let call = claude.prepare(request)?;
///
/// assert_eq!(call.url, "https://api.anthropic.com/v1/messages");
/// assert!(std::str::from_utf8(&call.body)?.contains(r#""thinking":{"type":"adaptive"}"#));
/// assert_eq!(call.warnings, ["a seed is not known to this protocol and not sent"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Anthropic {
    betas: Option<HeaderValue>,
    bearer: bool,
}

impl Anthropic {
    /// Returns an adapter for the service itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for features that are not generally available, by the names the `anthropic-beta` header knows.
    ///
    /// # Errors
    /// Fails with kind `config` where a name cannot stand in a header.
    pub fn with_betas(self, names: &[&str]) -> Result<Self, Error> {
        let names = HeaderValue::from_str(&names.join(",")).map_err(|_| {
            Error::new(ErrorKind::Config, "the name of a beta feature cannot stand in a header")
        })?;
        Ok(Self { betas: Some(names).filter(|names| !names.is_empty()), ..self })
    }

    /// Sends the key as a bearer token, as gateways and short-lived tokens want it, instead of in `x-api-key`.
    #[must_use]
    pub fn with_bearer(self, bearer: bool) -> Self {
        Self { bearer, ..self }
    }
}

impl Adapter for Anthropic {
    fn protocol(&self) -> Protocol {
        Protocol::Anthropic
    }

    fn api_version(&self) -> Option<&str> {
        Some(VERSION)
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        Box::new(decode::MessagesDecoder::new(info.name.clone()))
    }

    fn base_url(&self, url: String) -> String {
        if url.ends_with("/v1") { url } else { format!("{url}/v1") }
    }

    fn path(&self, _: &Request) -> String {
        "/messages".to_owned()
    }

    fn headers(&self) -> HeaderMap {
        let version = (HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
        let betas = self.betas.clone().map(|names| (HeaderName::from_static("anthropic-beta"), names));
        std::iter::once(version).chain(betas).collect()
    }

    fn models_path(&self, after: Option<&str>) -> Option<String> {
        let mut path = "/models?limit=1000".to_owned();
        if let Some(after) = after {
            path.push_str("&after_id=");
            path.push_str(&percent_encode(after, b""));
        }
        Some(path)
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        let list: wire::ModelList<'_> =
            serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?;
        match list.data {
            Some(models) => Ok(Page {
                models: models.into_iter().filter_map(wire::ModelEntry::into_model).collect(),
                next: list.last_id.filter(|_| list.has_more == Some(true)),
            }),
            None if list.error.is_some() => Err(classify::in_band(body)),
            None => Err(Error::new(ErrorKind::Decode, "the list of models has no data")),
        }
    }

    fn key_header(&self, key: &str) -> (HeaderName, String) {
        match self.bearer {
            true => (AUTHORIZATION, format!("Bearer {key}")),
            false => (HeaderName::from_static("x-api-key"), key.to_owned()),
        }
    }
}
