//! Google Gemini's `generateContent`.
//!
//! Protocol: <https://ai.google.dev/api/generate-content>.

mod decode;
mod encode;
mod pieces;
mod thinking;
mod wire;

use aichat_message::{ErrorKind, Protocol};
use http::HeaderName;

use crate::classify;
use crate::decoder::Decoder;
use crate::driver::{Adapter, Encoded, Page};
use crate::endpoint::percent_encode;
use crate::error::Error;
use crate::provider::Info;
use crate::request::Request;

/// Fields of a part; before a dot they begin the name of a kept field that stood inside them.
const FUNCTION_CALL: &str = "functionCall";
const INLINE_DATA: &str = "inlineData";
const FILE_DATA: &str = "fileData";

/// The adapter; give it to a [`Driver`](crate::Driver).
///
/// The base address is `https://generativelanguage.googleapis.com`; a version at its end, `/v1beta` or `/v1`, is
/// kept, and is `/v1beta` where there is none.
///
/// A model is named with or without `models/`. Safety settings, cached content and the provider's own tools go
/// in [`Options::other`](crate::Options::other): its `tools` stand beside the tools of the request, and its
/// `generationConfig` adds to the options.
///
/// ```
/// use std::sync::Arc;
///
/// use aichat_message::Message;
/// use aichat_providers::{Driver, Endpoint, Error, Gemini, Provider, Request};
/// # use aichat_providers::{HttpRequest, HttpResponse, Transport};
/// # struct Offline;
/// # #[async_trait::async_trait]
/// # impl Transport for Offline {
/// #     async fn send(&self, _: HttpRequest) -> Result<HttpResponse, Error> {
/// #         Err(Error::unsupported("offline"))
/// #     }
/// # }
/// # let transport = Arc::new(Offline);
///
/// let endpoint = Endpoint::new("gemini", "https://generativelanguage.googleapis.com", transport);
/// let provider = Driver::new(endpoint, Gemini::new())?;
/// let call = provider.prepare(Request::new("gemini-3-flash", vec![Message::user("hello")]))?;
/// assert!(call.url.ends_with("/v1beta/models/gemini-3-flash:streamGenerateContent"));
/// assert_eq!(call.body, r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gemini {}

impl Gemini {
    /// Returns the adapter.
    pub fn new() -> Self {
        Self {}
    }
}

impl Adapter for Gemini {
    fn protocol(&self) -> Protocol {
        Protocol::Gemini
    }

    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error> {
        encode::encode(info, request)
    }

    fn decoder(&self, info: &Info) -> Box<dyn Decoder> {
        Box::new(decode::GeminiDecoder::new(info.name.clone()))
    }

    fn base_url(&self, url: String) -> String {
        let version = url.rsplit('/').next().and_then(|last| last.strip_prefix('v'));
        let is_versioned = version.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_versioned { url } else { format!("{url}/v1beta") }
    }

    fn path(&self, request: &Request) -> String {
        // Without `alt=sse` a stream is one JSON array that arrives in pieces.
        let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        format!("{}:{method}", resource(&request.model))
    }

    fn models_path(&self, after: Option<&str>) -> Option<String> {
        Some(match after {
            None => "/models?pageSize=1000".to_owned(),
            Some(mark) => format!("/models?pageSize=1000&pageToken={}", percent_encode(mark, b"")),
        })
    }

    fn models(&self, body: &str) -> Result<Page, Error> {
        let list: wire::ModelList<'_> =
            serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?;
        match (list.models, list.error) {
            (Some(models), _) => Ok(Page {
                models: models.into_iter().filter_map(wire::ModelEntry::into_model).collect(),
                next: list.next_page_token.filter(|mark| !mark.is_empty()),
            }),
            (None, Some(_)) => Err(classify::in_band(body)),
            (None, None) => Err(Error::new(ErrorKind::Decode, "the list of models has no models")),
        }
    }

    fn key_header(&self, key: &str) -> (HeaderName, String) {
        (HeaderName::from_static("x-goog-api-key"), key.to_owned())
    }
}

/// Returns the path of a model: its own where it is one, below `models` otherwise.
fn resource(model: &str) -> String {
    let is_path = ["models/", "tunedModels/", "publishers/", "projects/"];
    match is_path.iter().any(|prefix| model.starts_with(prefix)) {
        true => format!("/{}", percent_encode(model, b"/")),
        false => format!("/models/{}", percent_encode(model, b"/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_path_of_its_own_or_below_models() {
        assert_eq!(resource("gemini-2.5-pro"), "/models/gemini-2.5-pro");
        assert_eq!(resource("models/gemini-2.5-pro"), "/models/gemini-2.5-pro");
        assert_eq!(resource("tunedModels/mine-1"), "/tunedModels/mine-1");
        assert_eq!(resource("a?b#c:d é"), "/models/a%3Fb%23c%3Ad%20%C3%A9");
        assert_eq!(
            Gemini::new().models_path(Some("a+b/c=")).unwrap(),
            "/models?pageSize=1000&pageToken=a%2Bb%2Fc%3D"
        );
    }
}
