//! What happened at each attempt of a turn, read from its events and from what went over the network.

use aichat_events::{
    Event, Fact, Interruption, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseInterrupted, TurnInterrupted, TurnRecovered,
};
use aichat_message::ErrorKind;
use aichat_providers::{End, Error, Exchange, How, RetryPolicy};

/// A turn as it is to be played.
pub(super) struct Plan {
    /// What its first attempt said of what it sent.
    pub(super) asked: LlmRequestStarted,
    /// The place of the event that says so.
    pub(super) seq: u64,
    /// Whether somebody else closed the turn: then nobody knows exactly how much of the answer had come.
    pub(super) is_recovered: bool,
    attempts: Vec<Attempt>,
    exchanges: Vec<Exchange>,
}

struct Attempt {
    /// The exchange, by its number among those of the turn.
    exchange: Option<usize>,
    end: Option<Ended>,
    /// Whether another one was to follow.
    is_retried: bool,
    /// Who stopped the turn while it waited for the next one.
    stopped: Option<Interruption>,
}

enum Ended {
    Completed,
    Failed(Box<LlmResponseFailed>),
    /// Stopped, after so many increments of the answer, where that is known.
    Stopped(Interruption, Option<u64>),
}

/// What is played for one attempt.
#[derive(Clone, Debug)]
pub(super) struct Cue {
    /// Whether anything went over the network.
    pub(super) is_sent: bool,
    pub(super) end: CueEnd,
}

/// How what is played for an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum CueEnd {
    /// As the recording does.
    Recorded,
    /// So, and then the turn is stopped.
    ThenStopped(Interruption),
    /// By being stopped after so many increments, or at the end of the recording.
    Stopped(Interruption, Option<u64>),
}

impl Plan {
    /// Reads the events of a turn, or says why it cannot be played.
    pub(super) fn of(events: &[&Event], exchanges: Vec<Exchange>) -> Result<Self, String> {
        let mut asked = None;
        let mut attempts: Vec<Attempt> = Vec::new();
        let is_recovered = events.iter().any(|event| event.kind() == TurnRecovered::TYPE);
        for event in events {
            if let Some(request) = LlmRequestStarted::of(event) {
                asked.get_or_insert((request, event.seq()));
                let label = event.span().map(|span| span.to_string());
                let exchange =
                    exchanges.iter().position(|exchange| label.is_some() && exchange.request.label == label);
                attempts.push(Attempt { exchange, end: None, is_retried: false, stopped: None });
                continue;
            }
            let Some(last) = attempts.last_mut() else { continue };
            if LlmResponseCompleted::of(event).is_some() {
                last.end = Some(Ended::Completed);
            } else if let Some(failed) = LlmResponseFailed::of(event) {
                last.end = Some(Ended::Failed(Box::new(failed)));
            } else if let Some(stopped) = LlmResponseInterrupted::of(event) {
                let deltas = stopped.timing.map(|timing| timing.chunks);
                last.end = Some(Ended::Stopped(stopped.reason, deltas));
            } else if event.kind() == LlmRequestRetried::TYPE {
                last.is_retried = true;
            } else if let Some(stopped) = TurnInterrupted::of(event) {
                last.stopped = Some(stopped.reason).filter(|_| last.is_retried);
            }
        }
        let Some((asked, seq)) = asked else { return Err("nobody was asked".to_owned()) };
        let mut plan = Self { asked, seq, is_recovered, attempts, exchanges };
        for number in 0..plan.attempts.len() {
            plan.check(number)?;
        }
        Ok(plan)
    }

    /// Tells whether an attempt can be played, and makes its recording end as it did.
    fn check(&mut self, number: usize) -> Result<(), String> {
        let attempt = &self.attempts[number];
        let exchange = attempt.exchange.map(|at| &mut self.exchanges[at]);
        let nothing = || Err(format!("what went over the network for attempt {} is not kept", number + 1));
        match (&attempt.end, exchange) {
            (None, _) => Err("it has not ended".to_owned()),
            (Some(Ended::Stopped(..)), _) => Ok(()),
            (Some(_), None) => nothing(),
            (Some(Ended::Completed), Some(exchange)) if exchange.end.is_none() => {
                Err(format!("the recording of attempt {} breaks off", number + 1))
            }
            (Some(Ended::Failed(failed)), Some(exchange)) => {
                let is_open = exchange.end.as_ref().is_none_or(|end| end.how == How::Dropped);
                if is_open && failed.kind == ErrorKind::Timeout {
                    // Nobody waits for it again.
                    let at_us = exchange.end.as_ref().map_or(0, |end| end.at_us);
                    let message = words(&self.asked, failed);
                    let how = How::Failed {
                        kind: failed.kind,
                        message,
                        obstacle: None,
                        timeout: None,
                        retry_after_us: None,
                    };
                    exchange.end = Some(End { at_us, how });
                }
                Ok(())
            }
            (Some(Ended::Completed), Some(_)) => Ok(()),
        }
    }

    /// Takes any request for the one that was sent.
    pub(super) fn forget_bodies(&mut self) {
        for exchange in &mut self.exchanges {
            (exchange.request.body, exchange.request.body_hash) = (None, None);
        }
    }

    /// Returns what is played for each attempt, and the exchanges in the order in which they are asked for.
    pub(super) fn script(&self) -> (Vec<Cue>, Vec<Exchange>) {
        let cue = |attempt: &Attempt| Cue {
            is_sent: attempt.exchange.is_some(),
            end: match (&attempt.end, attempt.stopped) {
                (Some(Ended::Stopped(reason, deltas)), _) => CueEnd::Stopped(*reason, *deltas),
                (_, Some(reason)) => CueEnd::ThenStopped(reason),
                _ => CueEnd::Recorded,
            },
        };
        let exchanges = self.attempts.iter().filter_map(|attempt| attempt.exchange);
        (self.attempts.iter().map(cue).collect(), exchanges.map(|at| self.exchanges[at].clone()).collect())
    }

    /// Returns a policy that tries again as often as it was tried.
    pub(super) fn retries(&self) -> RetryPolicy {
        let last = self.attempts.last().is_some_and(|last| last.is_retried);
        let attempts = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        super::retries(attempts.saturating_add(u32::from(last)))
    }
}

/// Returns the words of a failure without what an error says around them.
fn words(asked: &LlmRequestStarted, failed: &LlmResponseFailed) -> String {
    const MARK: &str = "\u{0}";
    let mut shell = Error::new(failed.kind, MARK)
        .with_provider(&asked.provider)
        .with_model(&asked.model)
        .with_request_id(failed.request_id.clone());
    if let Some(status) = failed.status {
        shell = shell.with_status(status);
    }
    if let Some(code) = &failed.code {
        shell = shell.with_code(code);
    }
    let shell = shell.to_string();
    let (before, after) = shell.split_once(MARK).unwrap_or_default();
    let words = failed.message.strip_prefix(before).unwrap_or(&failed.message);
    words.strip_suffix(after).unwrap_or(words).to_owned()
}
