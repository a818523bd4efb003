//! The seam to every provider: build a call, stream its deltas, list the models.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use aichat_message::{Delta, ErrorKind, Origin, Protocol, Start};

use crate::error::Error;
use crate::request::Request;

/// The deltas of one answer. Ends after exactly one [`Delta::Finish`], or after exactly one `Err` that carries
/// the partial message; dropping it cancels the request.
pub type DeltaStream = BoxStream<'static, Result<Delta, Error>>;

/// Someone who answers: a vendor's service, a local server, a script.
///
/// Implementations never retry and never continue on their own; the caller does.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Returns who this is.
    fn info(&self) -> &Info;

    /// Turns a request into a call, without any I/O: what will be sent, and what could not be expressed.
    ///
    /// # Errors
    /// Fails with kind `unsupported` or `invalid_request` where the request cannot be put in this protocol.
    fn prepare(&self, request: Request) -> Result<Call, Error> {
        Ok(Call { request, body: Bytes::new(), url: String::new(), warnings: Vec::new() })
    }

    /// Sends a call and returns once the provider accepted it: a refusing status is an error of this function,
    /// anything later is an `Err` in the stream.
    ///
    /// # Errors
    /// Fails with the kind, status, provider code and request id of what went wrong.
    async fn stream(&self, call: Call) -> Result<DeltaStream, Error>;

    /// Lists the models the provider offers.
    ///
    /// # Errors
    /// Fails as [`stream`](Self::stream) does, and with kind `unsupported` where there is no such list.
    async fn models(&self) -> Result<Vec<Model>, Error> {
        Err(Error::unsupported("this provider has no list of models").with_provider(&self.info().name))
    }

    /// Returns what the provider tells about one model; from its list, where there is no better place to ask.
    ///
    /// # Errors
    /// Fails as [`models`](Self::models) does, and with kind `not_found` where there is no such model.
    async fn model(&self, id: &str) -> Result<Model, Error> {
        listed(self, id).await
    }
}

/// Returns a model from the list of its provider.
pub(crate) async fn listed<P: Provider + ?Sized>(provider: &P, id: &str) -> Result<Model, Error> {
    let found = provider.models().await?.into_iter().find(|model| model.id == id);
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "there is no such model in the provider's list")
            .with_provider(&provider.info().name)
            .with_model(id)
    })
}

/// Who a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The name it is configured under; also the `provider` of every origin and opaque datum it makes.
    pub name: String,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// Host and port it is reached at, without user info; empty where there is none.
    pub host: String,
    /// Whether its calls cost nothing, as declared by whoever configured it.
    pub local: bool,
    /// The profile of its protocol, by name, where the protocol has profiles.
    pub profile: Option<String>,
    /// The version of the protocol that its requests ask for, where they name one.
    pub api_version: Option<String>,
}

impl Info {
    /// Returns a provider of that name, reached nowhere and not local, of no profile or version.
    pub fn new(name: impl Into<String>, protocol: Protocol) -> Self {
        let host = String::new();
        Self { name: name.into(), protocol, host, local: false, profile: None, api_version: None }
    }

    /// Returns the origin of an answer of this provider: with it the answer goes back as it came, with the
    /// signatures and whatever else only its maker understands. `model` was asked for, and counts where the
    /// answer does not say who gave it.
    pub fn origin(&self, model: &str, start: &Start) -> Origin {
        Origin {
            provider: self.name.clone(),
            protocol: self.protocol.clone(),
            model: start.model.clone().unwrap_or_else(|| model.to_owned()),
            response_id: start.response_id.clone(),
        }
    }
}

/// A request made ready: the exact bytes that will be sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request it was made from.
    pub request: Request,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Where it goes, without user info and query.
    pub url: String,
    /// What could not be expressed in this protocol and was left out or rewritten.
    pub warnings: Vec<String>,
}

/// What a provider tells about a model; what it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Model {
    /// The id to send as `model`.
    pub id: String,
    /// The name for people, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Context window in tokens, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Most tokens an answer may have, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<u64>,
    /// Whether it calls tools, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it reads images, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// Whether it reasons before it answers, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// When it was published, in seconds since 1970, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// Who owns it, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}
