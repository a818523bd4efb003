//! The end of a turn: what is recorded of it, and what its caller is told.

use std::time::Duration;

use aichat_events::{
    LlmResponseCompleted, LlmResponseInterrupted, MessageAssistant, TurnCompleted, TurnFailed,
    TurnInterrupted,
};
use aichat_message::{ErrorKind, Finish, Message, MessageId, Start};

use super::attempt::Attempt;
use super::{End, Flight, Landed};
use crate::error::Error;
use crate::turn::{Outcome, Status};

impl Flight {
    /// Records how the attempt ended, unless that is recorded already, and the turn with it.
    pub(super) async fn land(mut self, attempt: Attempt, is_open: bool, end: End) -> (Outcome, Landed) {
        let timing = attempt.timing(self.now_us());
        match &end {
            _ if !is_open => {}
            End::Finished => {
                let start = attempt.fold.started().clone();
                let finish = attempt.fold.finish().expect("an attempt finishes by its finish").clone();
                self.note(&LlmResponseCompleted {
                    model: start.model,
                    response_id: start.response_id,
                    request_id: start.request_id,
                    finish,
                    usage: attempt.fold.usage().cloned(),
                    timing: timing.clone(),
                    rate_limits: start.rate_limits,
                });
                let cost = self.cost(&attempt, attempt.fold.usage(), true);
                self.pay(Some(cost)).await;
            }
            End::Failed(error) => self.fail(&attempt, error).await,
            End::Stopped(reason) => {
                self.note(&LlmResponseInterrupted {
                    reason: *reason,
                    usage: attempt.fold.usage().cloned(),
                    timing: Some(timing.clone()),
                    kept: attempt.kept(),
                });
                let cost = self.cost(&attempt, attempt.fold.usage(), false);
                self.pay(Some(cost)).await;
            }
            End::Refused(_) => {}
        }
        let Attempt { fold, begun_us, first_content_us, mut is_masked, .. } = attempt;
        let (start, usage, finish) = (fold.started().clone(), fold.usage().cloned(), fold.finish().cloned());
        let completed = matches!(end, End::Finished);
        let mut message = self.originated(fold.into_message(), &start);
        let masked = self.scribe.redactor().masked();
        let mut answer = None;
        if completed || !message.is_empty() {
            let (id, recorded) = self.answer(message, !completed);
            (answer, message) = (Some(id), recorded);
        }
        is_masked |= self.scribe.redactor().masked() > masked;
        if is_masked {
            self.drop_wire();
        }
        self.end_turn(finish.as_ref(), &end, answer.as_ref());
        let told = self.purse.tell();
        let (recorded, told) = futures::future::join(self.turn.finish(), told).await;
        let recorded = recorded.map_err(Error::from);
        if let Err(error) = told {
            self.warnings.push(format!("the budgets of this day do not count this turn: {error}"));
        }

        let now_us = self.engine.0.effects.clock.mono_us();
        let (status, error) = match end {
            End::Finished => (Status::Completed, None),
            End::Failed(error) => (Status::Failed, Some(Error::from(error))),
            End::Stopped(_) => {
                (Status::Interrupted, Some(Error::new(ErrorKind::Cancelled, "the turn was stopped")))
            }
            End::Refused(error) => (Status::Failed, Some(error)),
        };
        let (status, error) = match recorded {
            Ok(()) => (status, error),
            Err(error) => (Status::Failed, Some(error)),
        };
        let error = error.map(|error| match status {
            Status::Failed => error.after(self.failures),
            _ => error,
        });
        let total = Duration::from_micros(now_us.saturating_sub(self.begun_us));
        let first_content =
            first_content_us.map(|us| Duration::from_micros(us + begun_us.saturating_sub(self.begun_us)));
        let outcome = Outcome {
            status,
            session: self.session,
            turn: self.turn_id,
            answer,
            output: self.call.request.output.clone(),
            formed: None,
            mended: 0,
            finish,
            usage,
            costs: self.costs,
            model: self.model,
            model_served: start.model,
            request_id: start.request_id.or_else(|| error.as_ref()?.request_id().map(str::to_owned)),
            first_content,
            total,
            warnings: self.warnings,
            error,
            message,
        };
        let landed = Landed {
            provider: self.provider,
            request: self.call.request,
            progress: self.progress,
            stop: self.stop,
            fallbacks: self.fallbacks,
            purse: self.purse,
            company: self.company,
        };
        (outcome, landed)
    }

    /// Says of a message where it came from.
    fn originated(&self, mut message: Message, start: &Start) -> Message {
        message.origin = Some(self.provider.info().origin(&self.model.model, start));
        message
    }

    /// Records the answer and gives it back; a long one is copied no more often than it must be.
    fn answer(&mut self, message: Message, partial: bool) -> (MessageId, Message) {
        let id = MessageId::from_bits(self.engine.0.effects.bits());
        let parent = Some(self.user.clone());
        let (masked, original) = match self.scribe.redactor().is_none() {
            true => (message, None),
            false => (self.scribe.masked(&message), Some(message)),
        };
        let fact = MessageAssistant { id: id.clone(), parent, message: masked, partial };
        let draft = self.scribe.fact(&fact);
        self.record(draft);
        (id, original.unwrap_or(fact.message))
    }

    fn end_turn(&mut self, finish: Option<&Finish>, end: &End, answer: Option<&MessageId>) {
        if let Some(counts) = self.scribe.masked_counts() {
            self.record(counts);
        }
        match end {
            End::Finished => self.note(&TurnCompleted {
                answer: answer.expect("a finished attempt has an answer").clone(),
                finish: finish.expect("an attempt finishes by its finish").clone(),
            }),
            End::Failed(error) => self.note(&TurnFailed {
                kind: error.kind(),
                message: error.to_string(),
                answer: answer.cloned(),
            }),
            End::Stopped(reason) => {
                self.note(&TurnInterrupted { reason: *reason, answer: answer.cloned() });
            }
            End::Refused(error) => {
                self.note(&TurnFailed { kind: error.kind(), message: error.to_string(), answer: None });
            }
        }
    }
}
