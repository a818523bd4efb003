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
/// any other field of the protocol. Tools that the provider runs itself, web search for example, are given
/// there too, as `tools`, and stand beside those of the request. What they answer is kept whole, as
/// `PartKind::Unknown`, or as `PartKind::Media` if it is an image, and goes back as it came.
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
