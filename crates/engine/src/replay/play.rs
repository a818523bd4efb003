//! A provider that answers from recordings, and stops the turn where it was stopped.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;

use aichat_events::{Interruption, LlmRequestStarted};
use aichat_message::{Delta, ErrorKind};
use aichat_providers::{Call, DeltaStream, Error, Info, Provider, Request};

use super::plan::{Cue, CueEnd};
use crate::engine::Registry;

/// The brake of a turn, which is there once the turn is.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<Mutex<Option<oneshot::Sender<Interruption>>>>);

impl Stop {
    pub(super) fn give(&self, stop: Option<oneshot::Sender<Interruption>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stop;
    }

    fn pull(&self, reason: Interruption) {
        if let Some(stop) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A turn that is over cannot be stopped.
            let _ = stop.send(reason);
        }
    }
}

/// Plays what is written for each attempt, one after another.
pub(super) struct Playing {
    inner: Arc<dyn Provider>,
    cues: Mutex<VecDeque<Cue>>,
    stop: Stop,
    /// What is known of the request, where it is made out of that of another model.
    known: Option<Known>,
}

/// What a request said that stood in for another one.
pub(super) struct Known {
    pub(super) asked: LlmRequestStarted,
    pub(super) warnings: Vec<String>,
}

impl Playing {
    pub(super) fn new(inner: Arc<dyn Provider>, cues: Vec<Cue>, stop: Stop, known: Option<Known>) -> Self {
        Self { inner, cues: Mutex::new(cues.into()), stop, known }
    }
}

#[async_trait]
impl Provider for Playing {
    fn info(&self) -> &Info {
        self.inner.info()
    }

    fn prepare(&self, mut request: Request) -> Result<Call, Error> {
        let Some(known) = &self.known else { return self.inner.prepare(request) };
        // With a budget it was made to fit.
        if let Ok(options) = known.asked.options.to() {
            request.options = options;
        }
        let mut call = self.inner.prepare(request)?;
        call.warnings.extend(known.warnings.iter().cloned());
        Ok(call)
    }

    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        let cue = self.cues.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(Cue { is_sent, is_retried, end }) = cue else {
            return Err(Error::new(ErrorKind::Unsupported, "there was no further attempt"));
        };
        let opened = match is_sent {
            true => self.inner.stream(call).await.map_err(|error| patient(error, is_retried)),
            false => Err(Error::new(ErrorKind::Transport, "nothing went over the network")),
        };
        let stop = self.stop.clone();
        match (opened, end) {
            (Err(_), CueEnd::Stopped(reason, _)) => {
                stop.pull(reason);
                pending().await
            }
            (Err(error), CueEnd::ThenStopped(reason)) => {
                stop.pull(reason);
                Err(error)
            }
            (Err(error), CueEnd::Recorded) => Err(error),
            (Ok(answer), CueEnd::Stopped(reason, most)) => Ok(until(answer, most, reason, stop)),
            (Ok(answer), end) => Ok(answer
                .map(move |next| {
                    let next = next.map_err(|error| patient(error, is_retried));
                    if let (Err(_), CueEnd::ThenStopped(reason)) = (&next, end) {
                        stop.pull(reason);
                    }
                    next
                })
                .boxed()),
        }
    }
}

/// Passes on so many increments, or what there is, and stops the turn then.
fn until(answer: DeltaStream, most: Option<u64>, reason: Interruption, stop: Stop) -> DeltaStream {
    let state = (answer, most, stop);
    stream::unfold(state, move |(mut answer, most, stop)| async move {
        match answer.next().await {
            Some(Ok(delta)) if most != Some(0) || !counts(&delta) => {
                let left = most.map(|most| most - u64::from(counts(&delta)));
                Some((Ok(delta), (answer, left, stop)))
            }
            _ => {
                stop.pull(reason);
                pending().await
            }
        }
    })
    .boxed()
}

/// Tells whether an increment is among those that are counted of an answer.
fn counts(delta: &Delta) -> bool {
    !matches!(delta, Delta::Heartbeat | Delta::Start(_) | Delta::Warning(_))
}

/// Returns an error that nobody is asked to wait for, or for ever where nobody tried again.
fn patient(error: Error, is_retried: bool) -> Error {
    error.with_retry_after((!is_retried).then_some(Duration::MAX))
}

/// Gives the models that stood in for the first one, each once.
pub(super) struct Standins(pub(super) Mutex<VecDeque<Result<Arc<dyn Provider>, crate::error::Error>>>);

impl Registry for Standins {
    fn provider(&self, name: &str) -> Result<Arc<dyn Provider>, crate::error::Error> {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or_else(|| {
            Err(crate::error::Error::new(ErrorKind::Unsupported, format!("{name} was not asked")))
        })
    }
}
