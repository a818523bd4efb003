//! Azure OpenAI: OpenAI's protocols at an address of one's own, where a deployment stands for a model.
//!
//! Protocol: <https://learn.microsoft.com/azure/ai-foundry/openai/latest> and, with a date in the address,
//! <https://learn.microsoft.com/azure/ai-foundry/openai/reference>.

use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, StatusCode};

use aichat_message::Protocol;

use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::endpoint::percent_encode;
use crate::error::Error;
use crate::provider::{Info, Model};
use crate::request::Request;

/// The adapter for Azure OpenAI, around the one of the protocol spoken there: `OpenaiChat`, with the profile
/// `azure`, or `OpenaiResponses`. Give it to a [`Driver`](crate::Driver).
///
/// The base address is the resource's, `https://NAME.openai.azure.com` for example; `/openai` and `/openai/v1`
/// at its end make no difference. The model of a request is the name of a deployment; the list of models is of
/// what could be deployed. The endpoint's key goes into the header `api-key`.
///
/// ```
/// use std::sync::Arc;
/// use aichat_message::Message;
/// use aichat_providers::{Azure, Driver, Endpoint, Fault, OpenaiChat, Profile, Provider, Request};
///
/// let chat = || OpenaiChat::new(Profile::named("azure").expect("a known profile"));
/// let endpoint = || Endpoint::new("azure", "https://mine.openai.azure.com", Arc::new(Fault::new([])));
/// let request = || Request::new("my-deployment", vec![Message::user("hello")]);
///
/// let provider = Driver::new(endpoint(), Azure::v1(chat()))?;
/// assert_eq!(
///     provider.prepare(request())?.url,
///     "https://mine.openai.azure.com/openai/v1/chat/completions"
/// );
/// let provider = Driver::new(endpoint(), Azure::dated(chat(), "2024-10-21"))?;
/// assert_eq!(
///     provider.prepare(request())?.url,
///     "https://mine.openai.azure.com/openai/deployments/my-deployment/chat/completions"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Azure<A> {
    spoken: A,
    /// The `api-version`, where addresses carry one.
    version: Option<String>,
    token: bool,
}

impl<A: Adapter> Azure<A> {
    /// Returns an adapter for the API without dates, at `/openai/v1`.
    pub fn v1(spoken: A) -> Self {
        Self { spoken, version: None, token: false }
    }

    /// Returns an adapter for the API of a date, `2024-10-21` or `2025-04-01-preview` for example. Before
    /// `2024-09-01` the chat profile is `azure-early`.
    pub fn dated(spoken: A, version: impl Into<String>) -> Self {
        Self { spoken, version: Some(version.into()), token: false }
    }

    /// Declares that the endpoint's key is a token of Entra ID, which goes into the header `authorization`.
    #[must_use]
    pub fn with_token(self) -> Self {
        Self { token: true, ..self }
    }

    /// Returns a path with the date, where there is one.
    fn at(&self, path: String) -> String {
        let Some(version) = &self.version else { return path };
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("/openai{path}{mark}api-version={}", percent_encode(version, b""))
    }
}

impl<A: Adapter> Adapter for Azure<A> {
    fn protocol(&self) -> Protocol {
        match self.spoken.protocol() {
            Protocol::OpenaiChat => Protocol::AzureChat,
            Protocol::OpenaiResponses => Protocol::AzureResponses,
            other => other,
        }
    }

    fn profile(&self) -> Option<&str> {
        self.spoken.profile()
    }

    fn api_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        self.spoken.encode(info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        self.spoken.decoder(info)
    }

    fn base_url(&self, url: String) -> String {
        let resource = url.strip_suffix("/openai/v1").or_else(|| url.strip_suffix("/openai")).unwrap_or(&url);
        match self.version {
            Some(_) => resource.to_owned(),
            // A gateway may have an address of its own for it.
            None if resource.ends_with("/v1") => url,
            None => format!("{resource}/openai/v1"),
        }
    }

    fn path(&self, request: &Request) -> String {
        let path = self.spoken.path(request);
        // Only chat has its deployment in the dated address; Responses has it in the body, as all have in v1.
        match (&self.version, self.spoken.protocol()) {
            (Some(_), Protocol::OpenaiChat) => {
                self.at(format!("/deployments/{}{path}", percent_encode(&request.model, b"")))
            }
            _ => self.at(path),
        }
    }

    fn headers(&self) -> HeaderMap {
        self.spoken.headers()
    }

    fn models_path(&self, after: Option<&str>) -> Option<String> {
        self.spoken.models_path(after).map(|path| self.at(path))
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        self.spoken.models(body)
    }

    fn model_path(&self, id: &str) -> Option<(String, Vec<u8>)> {
        self.spoken.model_path(id).map(|(path, body)| (self.at(path), body))
    }

    fn model(&self, id: &str, body: &str) -> Result<Model, Error> {
        self.spoken.model(id, body)
    }

    fn key_header(&self, key: &str) -> (HeaderName, String) {
        match self.token {
            true => (AUTHORIZATION, format!("Bearer {key}")),
            false => (HeaderName::from_static("api-key"), key.to_owned()),
        }
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Error {
        self.spoken.refused(status, headers, body, now)
    }
}
