//! OpenAI Chat Completions, and the servers compatible with it.
//!
//! Protocol: <https://platform.openai.com/docs/api-reference/chat>.

mod decode;
mod encode;
mod profile;
mod wire;

use aichat_message::{ErrorKind, Protocol};

use crate::classify;
use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::error::Error;
use crate::provider::Info;
use crate::request::Request;

pub use profile::Profile;

/// The adapter; give it to a [`Driver`](crate::Driver).
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

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(&self.profile, info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        Box::new(decode::ChatDecoder::new(info.name.clone()))
    }

    fn path(&self, _: &Request) -> String {
        "/chat/completions".to_owned()
    }

    fn models_path(&self, _after: Option<&str>) -> Option<String> {
        Some("/models".to_owned())
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        let list: wire::ModelList<'_> = match serde_json::from_str(body.trim()) {
            Ok(list) => list,
            // Some servers give the bare array.
            Err(_) => wire::ModelList {
                data: Some(serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?),
                error: None,
            },
        };
        match list.data {
            Some(models) => {
                let models = models.into_iter().filter_map(wire::ModelEntry::into_model).collect();
                Ok(Page { models, next: None })
            }
            None if list.error.is_some() => Err(classify::in_band(body)),
            None => Err(Error::new(ErrorKind::Decode, "the list of models has no data")),
        }
    }
}
