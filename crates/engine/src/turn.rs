//! A turn as its caller sees it: what to send, what happens, and how it ended.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use aichat_events::{CostCalculated, Interruption};
use aichat_message::{
    Delta, ErrorKind, Finish, FinishReason, Message, MessageId, Money, PartKind, SessionId, TurnId, Usage,
};
use aichat_providers::{Options, Output};

use crate::agent::Agent;
use crate::answer::{Form, Misfit};
use crate::company::Company;
use crate::cost;
use crate::document::Versioned;
use crate::error::Error;
use crate::fallback::Reroute;
use crate::result::refusal;

/// A model and the provider that serves it, written `provider/model`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// The provider's name.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
}

impl ModelRef {
    /// Returns a reference to a provider's model.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into() }
    }

    /// Splits `provider/model` at its first slash.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then(|| Self::new(provider, model))
    }
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What a message follows in its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// The head of the branch that the session goes on from.
    #[default]
    Head,
    /// This message, with which the branch ends from now on. What followed it so far stays beside.
    Message(MessageId),
    /// Nothing: the conversation begins once more.
    Nothing,
}

/// What to send: a user's message, to a new session or to one that exists.
#[derive(Clone, Debug)]
pub struct Send {
    /// The session to continue; a new one where absent.
    pub session: Option<SessionId>,
    /// The agent to give the turn to; where absent, the version of one that the session goes on with, if any. It
    /// fills in what is left open here.
    pub agent: Option<Versioned<Agent>>,
    /// The model; where absent, the agent's, or the one the session was begun with.
    pub model: Option<ModelRef>,
    /// The models that are asked in turn where the model gives no answer, before anything of one came.
    pub fallbacks: Vec<ModelRef>,
    /// A standing instruction that goes before the message.
    pub system: Option<String>,
    /// The user's message. One without parts says nothing: the user's message that it would follow is answered, once
    /// more if it was answered before, and an answer that was cut off is gone on with.
    pub message: Message,
    /// What it follows.
    pub after: After,
    /// What form the answer shall have.
    pub form: Form,
    /// Sampling and limits.
    pub options: Options,
    /// The most that the turn may cost in dollars; where absent, what its agent or the engine's budget says.
    pub max_cost: Option<Money>,
    /// Whether a model without a known price may be asked although a budget is set.
    pub allow_unpriced: bool,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The turns that this one goes together with, if any.
    pub company: Option<Company>,
    /// Where the caller is, a terminal for example; see [`Engine::last_in_scope`](crate::Engine::last_in_scope).
    pub scope: Option<String>,
    /// How long to wait for another turn of the same session.
    pub wait: Duration,
}

impl Send {
    /// Returns a prompt to a model in a new session, streamed.
    pub fn new(model: ModelRef, prompt: impl Into<String>) -> Self {
        Self {
            session: None,
            agent: None,
            model: Some(model),
            fallbacks: Vec::new(),
            system: None,
            message: Message::user(prompt),
            after: After::Head,
            form: Form::Kept,
            options: Options::default(),
            max_cost: None,
            allow_unpriced: false,
            stream: true,
            company: None,
            scope: None,
            wait: Duration::ZERO,
        }
    }

    /// Returns a prompt to a session, for the model it was begun with, streamed.
    pub fn to(session: SessionId, prompt: impl Into<String>) -> Self {
        let mut this = Self::new(ModelRef::new("", ""), prompt);
        this.model = None;
        this.session = Some(session);
        this
    }

    /// Tells whether nobody is named who shall answer: neither a model nor an agent that has one.
    pub fn lacks_model(&self) -> bool {
        self.model.is_none() && !self.agent.as_ref().is_some_and(Versioned::names_a_model)
    }
}

/// What happens during a turn.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The provider sent an increment.
    Delta(Delta),
    /// An attempt failed before its first content and another one follows.
    Retrying {
        /// The number of the attempt that failed, from 1.
        attempt: u32,
        /// How long the next one waits.
        delay: Duration,
        /// Why it failed.
        error: Error,
    },
    /// A model gave no answer, and one of its fallbacks is asked.
    Rerouting(Reroute),
    /// The answer does not keep to the form that it was to have, and is asked for once more. What comes next takes its
    /// place.
    Mending {
        /// The number of the answer that does not, from 1.
        number: u32,
        /// What is wrong with it.
        misfit: Misfit,
    },
    /// Something the caller should know that is no reason to fail.
    Warning(String),
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The answer is whole.
    Completed,
    /// It was stopped; what had arrived is kept.
    Interrupted,
    /// It failed; what had arrived is kept.
    Failed,
}

impl Status {
    /// Returns the status as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// The end of a turn. What is in it has been acknowledged by the store, unless `error` has kind `store`.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The session.
    pub session: SessionId,
    /// The turn.
    pub turn: TurnId,
    /// The answer's id; `None` where nothing of it arrived.
    pub answer: Option<MessageId>,
    /// The answer, exactly as the provider sent it; partial unless completed.
    pub message: Message,
    /// What form it was to have; free text where absent.
    pub output: Option<Output>,
    /// The JSON in the answer that keeps to that form, byte for byte, or what is wrong with the answer; absent where it
    /// has no form to keep to: where free text was asked for, the answer is not whole, was refused or calls tools.
    pub formed: Option<Result<String, Misfit>>,
    /// How many answers before this one did not keep to that form. What they cost is part of `costs` and `usage`.
    pub mended: u32,
    /// Why the answer ended, where it did.
    pub finish: Option<Finish>,
    /// Token counts, as far as reported.
    pub usage: Option<Usage>,
    /// Who was asked, the last of them where there were fallbacks.
    pub model: ModelRef,
    /// Which model answered, where the provider said so.
    pub model_served: Option<String>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// From the request to the first content.
    pub first_content: Option<Duration>,
    /// From the beginning of the turn to its end.
    pub total: Duration,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Why it failed or was stopped.
    pub error: Option<Error>,
    /// What each attempt cost that may have cost something, as it is recorded.
    pub costs: Vec<CostCalculated>,
}

impl Outcome {
    /// Returns what the turn cost, all its attempts together; unknown where there was none that may have cost something.
    pub fn cost(&self) -> CostCalculated {
        cost::together(&self.costs)
    }

    /// Tells whether the model or a filter declined to answer.
    pub fn is_refused(&self) -> bool {
        let reason = self.finish.as_ref().map(|finish| &finish.reason);
        reason.is_some_and(|reason| matches!(reason, FinishReason::Refusal | FinishReason::ContentFilter))
    }

    /// Returns the model's words for declining, where it said them apart from its text.
    pub fn refusal(&self) -> Option<String> {
        refusal(&self.message)
    }

    /// Returns the names of the tools that the answer calls.
    pub fn calls(&self) -> Vec<&str> {
        let names = self.message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { name, .. } => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }
}

/// A turn in flight: a stream of what happens, then an [`Outcome`].
///
/// Where an answer does not keep to its form, turns follow that ask for it once more, and the outcome is that of the last.
///
/// Dropping it stops the request; what had arrived is recorded as interrupted by the turn's own task, which
/// [`Engine::shutdown`](crate::Engine::shutdown) waits for.
#[derive(Debug)]
pub struct TurnStream {
    /// The session.
    pub session: SessionId,
    /// The turn.
    pub turn: TurnId,
    /// The id of the user's message.
    pub input: MessageId,
    /// What form the answer is to have; free text where absent.
    pub output: Option<Output>,
    pub(crate) progress: mpsc::UnboundedReceiver<Progress>,
    pub(crate) outcome: oneshot::Receiver<Outcome>,
    pub(crate) stop: Option<oneshot::Sender<Interruption>>,
}

impl TurnStream {
    /// Stops the request. The stream then ends, and the outcome is an interrupted one.
    pub fn interrupt(&mut self, reason: Interruption) {
        if let Some(stop) = self.stop.take() {
            // A turn that is over has nobody left to tell.
            let _ = stop.send(reason);
        }
    }

    /// Waits for the end; what happens until then and was not read is skipped.
    ///
    /// # Errors
    /// Fails with kind `cancelled` where the turn's task was torn down with its runtime.
    pub async fn outcome(mut self) -> Result<Outcome, Error> {
        while self.progress.recv().await.is_some() {}
        let outcome = (&mut self.outcome).await;
        outcome.map_err(|_| Error::new(ErrorKind::Cancelled, "the runtime ended before the turn did"))
    }
}

impl Stream for TurnStream {
    type Item = Progress;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
        self.progress.poll_recv(context)
    }
}
