//! The in-memory twin of a provider: it plays what a test or an example tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;

use aichat_message::{Delta, ErrorKind, Finish, FinishReason, Fold, Part, Protocol, Role, Start};

use crate::error::Error;
use crate::provider::{Call, DeltaStream, Info, Model, Provider};
use crate::request::Request;

/// A provider that answers from a script, one turn per call, and remembers what it was asked.
///
/// Clones share the script and the memory, so that a test keeps one and hands out the other.
#[derive(Clone)]
pub struct Scripted {
    info: Info,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    echo: bool,
    turns: VecDeque<Turn>,
    models: Vec<Model>,
    requests: Vec<Request>,
    dropped: usize,
}

/// One scripted answer: steps played in order. A turn that ends without a finish is truncated.
#[derive(Debug, Default)]
pub struct Turn {
    refusal: Option<Error>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
enum Step {
    Delta(Delta),
    Pause(Duration),
    Fail(Error),
    Hang,
}

impl Turn {
    /// Returns a turn without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a turn that says this text and stops.
    pub fn text(text: &str) -> Self {
        Self::new().say(text).stop()
    }

    /// Returns a turn that is refused before its stream opens.
    pub fn refused(error: Error) -> Self {
        Self { refusal: Some(error), steps: VecDeque::new() }
    }

    /// Adds any delta.
    #[must_use]
    pub fn delta(self, delta: Delta) -> Self {
        self.step(Step::Delta(delta))
    }

    /// Adds text of the first part.
    #[must_use]
    pub fn say(self, text: &str) -> Self {
        self.delta(Delta::Text { index: 0, text: text.to_owned() })
    }

    /// Adds a whole part under this number.
    #[must_use]
    pub fn part(self, index: u32, part: Part) -> Self {
        self.delta(Delta::PartStart { index, part: Box::new(part) })
    }

    /// Waits, on the runtime's clock.
    #[must_use]
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Fails in mid-stream; what was said before becomes the error's partial message.
    #[must_use]
    pub fn fail(self, error: Error) -> Self {
        self.step(Step::Fail(error))
    }

    /// Says nothing more and never ends.
    #[must_use]
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Ends with this reason.
    #[must_use]
    pub fn finish(self, reason: FinishReason) -> Self {
        self.delta(Delta::Finish(Finish { reason, raw: None }))
    }

    /// Ends as an answer normally does.
    #[must_use]
    pub fn stop(self) -> Self {
        self.finish(FinishReason::Stop)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }
}

impl Scripted {
    /// Returns a provider named `scripted` that plays these turns, one per call.
    pub fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self::with(State { turns: turns.into_iter().collect(), ..State::default() })
    }

    /// Returns a provider that answers every request with the last user's text, word by word.
    pub fn echo() -> Self {
        Self::with(State { echo: true, ..State::default() })
    }

    fn with(state: State) -> Self {
        let info = Info { local: true, ..Info::new("scripted", Protocol::Other("scripted".into())) };
        Self { info, state: Arc::new(Mutex::new(state)) }
    }

    /// Sets who the provider says it is.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.info.name);
        self
    }

    /// Sets the models it lists.
    #[must_use]
    pub fn with_models(self, models: Vec<Model>) -> Self {
        self.state().models = models;
        self
    }

    /// Adds a turn to the script.
    pub fn push(&self, turn: Turn) {
        self.state().turns.push_back(turn);
    }

    /// Returns the requests received so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Returns how many streams were dropped before they ended.
    pub fn dropped(&self) -> usize {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step of this file can leave the state half-changed, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Provider for Scripted {
    fn info(&self) -> &Info {
        &self.info
    }

    fn prepare(&self, request: Request) -> Result<Call, Error> {
        let body = serde_json::to_vec(&request).map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "the request cannot be written as JSON").with_source(error)
        })?;
        Ok(Call { request, body: body.into(), url: String::new(), warnings: Vec::new() })
    }

    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        let name = &self.info.name;
        let (model, turn) = {
            let mut state = self.state();
            let turn = match state.echo {
                true => Some(echo(&call.request)),
                false => state.turns.pop_front(),
            };
            let model = call.request.model.clone();
            state.requests.push(call.request);
            (model, turn)
        };
        let about = |error: Error| error.with_provider(name).with_model(&model);
        let turn = turn.ok_or_else(|| about(Error::unsupported("the script has no more turns")))?;
        if let Some(error) = turn.refusal {
            return Err(about(error));
        }
        let play = Play {
            steps: turn.steps,
            fold: Fold::new(),
            provider: name.clone(),
            model,
            ended: false,
            state: self.clone(),
        };
        Ok(futures::stream::unfold(play, Play::next).fuse().boxed())
    }

    async fn models(&self) -> Result<Vec<Model>, Error> {
        Ok(self.state().models.clone())
    }
}

fn echo(request: &Request) -> Turn {
    let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
    let text = asked.map(|message| message.text()).unwrap_or_default();
    let start = Start { model: Some(request.model.clone()), ..Start::default() };
    let turn = Turn::new().delta(Delta::Start(start));
    text.split_inclusive(' ').fold(turn, Turn::say).stop()
}

/// One stream under way.
struct Play {
    steps: VecDeque<Step>,
    fold: Fold,
    provider: String,
    model: String,
    ended: bool,
    state: Scripted,
}

impl Play {
    async fn next(mut self) -> Option<(Result<Delta, Error>, Self)> {
        if self.ended {
            return None;
        }
        let error = loop {
            match self.steps.pop_front() {
                Some(Step::Delta(delta)) => {
                    self.fold.apply(&delta);
                    self.ended = matches!(delta, Delta::Finish(_));
                    return Some((Ok(delta), self));
                }
                Some(Step::Pause(time)) => tokio::time::sleep(time).await,
                Some(Step::Hang) => std::future::pending().await,
                Some(Step::Fail(error)) => break error,
                None => break Error::new(ErrorKind::Truncated, "the script ended before the answer did"),
            }
        };
        self.ended = true;
        let partial = (!self.fold.is_empty()).then(|| self.fold.message());
        let error = error
            .with_provider(&self.provider)
            .with_model(&self.model)
            .with_partial(partial, self.fold.usage().cloned());
        Some((Err(error), self))
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        if !self.ended {
            self.state.state().dropped += 1;
        }
    }
}
