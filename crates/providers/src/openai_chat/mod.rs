//! OpenAI Chat Completions, and the servers compatible with it.
//!
//! Protocol: <https://platform.openai.com/docs/api-reference/chat>.

mod decode;
mod encode;
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
/// ```
/// use std::sync::Arc;
/// use aichat_message::Message;
/// use aichat_providers::{Driver, Endpoint, Fault, OpenaiChat, Profile, Provider, Request};
///
/// // Nothing is sent here; `Http` is the transport for the network.
/// let endpoint = Endpoint::new("mistral", "https://api.mistral.ai/v1", Arc::new(Fault::new([])));
/// let provider = Driver::new(endpoint, OpenaiChat::new(Profile::for_host("api.mistral.ai")))?;
/// let mut request = Request::new("mistral-small-latest", vec![Message::user("hello")]);
/// request.options.seed = Some(7);
/// let call = provider.prepare(request)?;
/// assert_eq!(call.url, "https://api.mistral.ai/v1/chat/completions");
/// assert_eq!(
///     std::str::from_utf8(&call.body)?,
///     r#"{"model":"mistral-small-latest","messages":[{"role":"user","content":"hello"}],"stream":true,"random_seed":7}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenaiChat {
    profile: Profile,
}

impl OpenaiChat {
    /// Returns an adapter for servers of this profile.
    pub fn new(profile: Profile) -> Self {
        Self { profile }
    }
}

impl Adapter for OpenaiChat {
    fn protocol(&self) -> Protocol {
        Protocol::OpenaiChat
    }

    fn profile(&self) -> Option<&str> {
        Some(self.profile.name())
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(&self.profile, info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        Box::new(decode::ChatDecoder::new(info.name.clone(), self.profile.billing))
    }

    fn path(&self, _: &Request) -> String {
        "/chat/completions".to_owned()
    }

    fn models_path(&self, _after: Option<&str>) -> Option<String> {
        Some("/models".to_owned())
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        models::page(body)
    }
}
