//! OpenAI Responses, and the servers compatible with it.
//!
//! Protocol: <https://platform.openai.com/docs/api-reference/responses>.

mod decode;
mod encode;
mod item;
mod profile;
mod wire;

use aichat_message::Protocol;

use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::error::Error;
use crate::models;
use crate::provider::Info;
use crate::request::Request;

pub use profile::Profile;

/// The adapter; give it to a [`Driver`](crate::Driver).
///
/// The conversation lives with the caller: requests say `store: false` and ask for encrypted reasoning, which
/// goes back in its place. `Options::other` may say otherwise: `store`, `include`, `previous_response_id` and
/// any other field of the protocol. A summary of the reasoning comes only where it is asked for there, as
/// `reasoning`, `{"effort": "high", "summary": "auto"}` for example: OpenAI refuses it to organisations that are
/// not verified. Tools that the provider runs itself, web search for example, are given
/// there too, as `tools`, and stand beside those of the request. What they answer is kept whole, as
/// `PartKind::Unknown`, or as `PartKind::Media` if it is an image, and goes back as it came. An item that only
/// this protocol has, the approval of a call for example, is an `Unknown` part in a message with this provider's
/// origin.
///
/// ```
/// use std::sync::Arc;
/// use aichat_message::{Fold, Message};
/// use aichat_providers::{
///     Body, Driver, Endpoint, Error, HttpRequest, HttpResponse, OpenaiResponses, Provider, Request,
///     ResponsesProfile, Transport,
/// };
/// use futures::StreamExt;
///
/// /// Answers from memory; `Http` is the transport for the network.
/// struct Canned(&'static str);
///
/// #[async_trait::async_trait]
/// impl Transport for Canned {
///     async fn send(&self, _: HttpRequest) -> Result<HttpResponse, Error> {
///         let body: Body = futures::stream::iter([Ok(self.0.into())]).boxed();
///         Ok(http::Response::new(body))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let transport = Arc::new(Canned(concat!(
///     r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"Hello."}"#, "\n\n",
///     r#"data: {"type":"response.completed","response":{"status":"completed"}}"#, "\n\n",
/// )));
/// let endpoint = Endpoint::new("openai", "https://api.openai.com/v1", transport);
/// let profile = ResponsesProfile::for_host("api.openai.com");
/// let provider = Driver::new(endpoint, OpenaiResponses::new(profile))?;
/// let call = provider.prepare(Request::new("gpt-5", vec![Message::user("Say hello.")]))?;
/// let mut deltas = provider.stream(call).await?;
/// let mut fold = Fold::new();
/// while let Some(delta) = deltas.next().await {
///     fold.apply(&delta?);
/// }
/// assert_eq!(fold.message().text(), "Hello.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenaiResponses {
    profile: Profile,
}

impl OpenaiResponses {
    /// Returns an adapter for servers of this profile.
    pub fn new(profile: Profile) -> Self {
        Self { profile }
    }
}

impl Adapter for OpenaiResponses {
    fn protocol(&self) -> Protocol {
        Protocol::OpenaiResponses
    }

    fn profile(&self) -> Option<&str> {
        Some(self.profile.name())
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(&self.profile, info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        Box::new(decode::ResponsesDecoder::new(info.name.clone()))
    }

    fn path(&self, _: &Request) -> String {
        "/responses".to_owned()
    }

    fn models_path(&self, _after: Option<&str>) -> Option<String> {
        Some("/models".to_owned())
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        models::page(body)
    }
}
