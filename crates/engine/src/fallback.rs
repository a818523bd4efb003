//! Falling back: which failures another model may make good, and the models that stand in for one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use aichat_events::LlmRequestRerouted;
use aichat_message::{ErrorKind, Role};
use aichat_providers::{Call, Provider, Request};

use crate::attachment::left_out;
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::send::Aim;
use crate::turn::ModelRef;

/// A model gave no answer, and another one is asked.
#[derive(Debug)]
pub struct Reroute {
    /// The model that gave none.
    pub from: ModelRef,
    /// The model that is asked next.
    pub to: ModelRef,
    /// Why the first gave none.
    pub error: Error,
}

impl Reroute {
    pub(crate) fn fact(&self) -> LlmRequestRerouted {
        LlmRequestRerouted {
            from: self.from.to_string(),
            to: self.to.to_string(),
            kind: self.error.kind(),
            message: self.error.to_string(),
            status: self.error.status(),
        }
    }
}

impl fmt::Display for Reroute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, error } = self;
        let message = error.to_string();
        let said = message.strip_prefix(&format!("{from}: ")).unwrap_or(&message);
        match error.status() {
            Some(status) => write!(f, "{from} failed ({status} {}): {said}; asking {to}", error.kind()),
            None => write!(f, "{from} failed ({}): {said}; asking {to}", error.kind()),
        }
    }
}

/// The models that may still stand in for one that gives no answer.
pub(crate) struct Fallbacks {
    pub(crate) models: VecDeque<ModelRef>,
    /// The most that an answer may be long, as it was asked for: what a budget pays for is another length with each
    /// model.
    pub(crate) max_tokens: Option<u64>,
}

impl Fallbacks {
    /// Returns the request of a call as it was before it was made to fit a budget, for another model.
    pub(crate) fn request(&self, call: &Call) -> Request {
        let mut request = call.request.clone();
        request.options.max_tokens = self.max_tokens;
        request
    }

    /// Returns the model to ask after a failure, unless there is none or no other model could do better.
    pub(crate) fn next(&mut self, kind: ErrorKind) -> Option<ModelRef> {
        is_another_ones_chance(kind).then(|| self.models.pop_front())?
    }
}

/// Tells whether another model may answer where one failed in this way.
///
/// What is wrong with the request, the budget or this machine stays wrong whoever is asked, and an answer that was
/// filtered is an answer.
const fn is_another_ones_chance(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::Server
            | ErrorKind::Timeout
            | ErrorKind::Transport
            | ErrorKind::Decode
            | ErrorKind::Truncated
            | ErrorKind::Auth
            | ErrorKind::Permission
            | ErrorKind::Billing
            | ErrorKind::Quota
            | ErrorKind::NotFound
            | ErrorKind::ContextTooLong
    )
}

impl Engine {
    /// Makes a request ready for a model, whoever serves it.
    ///
    /// # Errors
    /// Fails with what the provider says of the request, and with kind `unsupported` where the body has no place for
    /// something the user said.
    pub(crate) fn aim(
        &self,
        model: ModelRef,
        provider: Arc<dyn Provider>,
        request: Request,
        agent: Option<&str>,
    ) -> Result<Aim, Error> {
        let call = provider.prepare(Request { model: model.model.clone(), ..request })?;
        let info = provider.info();
        // Nobody pays for an answer to half of a question.
        let said = call.request.messages.last().filter(|last| last.role == Role::User);
        if let Some(name) = said.and_then(|said| left_out(said, &call.body)) {
            let what = format!("{model}: {name} cannot be sent over {}", info.protocol);
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let pricing = Pricing {
            catalog: self.0.catalog.clone(),
            provider: info.name.clone(),
            model: call.request.model.clone(),
            address: if call.url.is_empty() { info.host.clone() } else { call.url.clone() },
            is_local: info.local,
            agent: agent.map(str::to_owned),
        };
        Ok(Aim { model, provider, call, pricing })
    }
}
