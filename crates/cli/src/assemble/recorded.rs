//! Providers as requests were written for: what speaks to a recording, without key, configuration and network.

use std::sync::Arc;

use aichat_engine::{Adapters, Error};
use aichat_events::LlmRequestStarted;
use aichat_message::{ErrorKind, Protocol};
use aichat_providers::{
    Adapter, Anthropic, Azure, Driver, Endpoint, Gemini, Ollama, OpenaiChat, OpenaiResponses, Profile,
    Provider, Request, ResponsesProfile, Transport,
};

/// Every protocol that this program speaks.
pub(crate) struct Recorded;

impl Adapters for Recorded {
    fn provider(
        &self,
        asked: &LlmRequestStarted,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Provider>, Error> {
        match &asked.protocol {
            Protocol::OpenaiChat => driver(asked, transport, chat(asked)),
            Protocol::OpenaiResponses => driver(asked, transport, responses(asked)),
            Protocol::Anthropic => driver(asked, transport, Anthropic::new()),
            Protocol::Gemini => driver(asked, transport, Gemini::new()),
            Protocol::AzureChat => driver(asked, transport, azure(asked, chat(asked))),
            Protocol::AzureResponses => driver(asked, transport, azure(asked, responses(asked))),
            Protocol::Ollama => driver(asked, transport, Ollama::new()),
            protocol => {
                Err(Error::new(ErrorKind::Unsupported, format!("this version does not speak {protocol}")))
            }
        }
    }
}

fn chat(asked: &LlmRequestStarted) -> OpenaiChat {
    let named = asked.profile.as_deref().and_then(Profile::named);
    OpenaiChat::new(named.unwrap_or_else(|| Profile::for_host(&asked.host)))
}

fn responses(asked: &LlmRequestStarted) -> OpenaiResponses {
    let named = asked.profile.as_deref().and_then(ResponsesProfile::named);
    OpenaiResponses::new(named.unwrap_or_else(|| ResponsesProfile::for_host(&asked.host)))
}

fn azure<A: Adapter>(asked: &LlmRequestStarted, spoken: A) -> Azure<A> {
    match &asked.api_version {
        Some(date) => Azure::dated(spoken, date),
        None => Azure::v1(spoken),
    }
}

fn driver<A: Adapter + 'static>(
    asked: &LlmRequestStarted,
    transport: Arc<dyn Transport>,
    adapter: A,
) -> Result<Arc<dyn Provider>, Error> {
    let mut request = Request::new(&*asked.model, Vec::new());
    request.stream = asked.stream;
    let path = adapter.path(&request);
    let path = path.split('?').next().unwrap_or_default();
    let base = asked.path.strip_suffix(path).unwrap_or_default();
    let endpoint = Endpoint::new(&*asked.provider, format!("https://{}{base}", asked.host), transport);
    Ok(Arc::new(Driver::new(endpoint.with_local(asked.local), adapter)?))
}
