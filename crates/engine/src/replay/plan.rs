//! What happened at each attempt of a turn, read from its events and from what went over the network.

use aichat_events::{
    Event, Fact, Interruption, LlmRequestRerouted, LlmRequestRetried, LlmRequestStarted,
    LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted, TurnFailed, TurnInterrupted,
    TurnRecovered, WarningRaised,
};
use aichat_message::ErrorKind;
use aichat_providers::{End, Error, Exchange, How};

use crate::budget;

/// A turn as it is to be played.
pub(super) struct Plan {
    /// What its first attempt said of what it sent.
    pub(super) asked: LlmRequestStarted,
    /// The place of the event that says so.
    pub(super) seq: u64,
    /// Whether somebody else closed the turn: then nobody knows exactly how much of the answer had come.
    pub(super) is_recovered: bool,
    /// The models that stood in for the first one, in order.
    pub(super) standins: Vec<Standin>,
    attempts: Vec<Attempt>,
    exchanges: Vec<Exchange>,
}

/// A model that stood in for one that gave no answer.
pub(super) struct Standin {
    /// Which one, `provider/model`.
    pub(super) model: String,
    /// What its first attempt said of what it sent.
    pub(super) asked: Option<LlmRequestStarted>,
    /// What a budget said of the request.
    pub(super) fitted: Vec<String>,
    /// Why it could not be asked.
    pub(super) refused: Option<(ErrorKind, String)>,
}

struct Attempt {
    /// Which of the models it asked, 0 for the first.
    model: usize,
    /// The exchange, by its number among those of the turn.
    exchange: Option<usize>,
    end: Option<Ended>,
    /// Whether another one was to follow, of the same model.
    is_retried: bool,
    /// Whether another model was to be asked.
    is_rerouted: bool,
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
    /// Whether the same model was asked once more.
    pub(super) is_retried: bool,
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
        let mut standins: Vec<Standin> = Vec::new();
        let is_recovered = events.iter().any(|event| event.kind() == TurnRecovered::TYPE);
        for event in events {
            if let Some(request) = LlmRequestStarted::of(event) {
                match standins.last_mut() {
                    Some(standin) => drop(standin.asked.get_or_insert(request)),
                    None => drop(asked.get_or_insert((request, event.seq()))),
                }
                let label = event.span().map(|span| span.to_string());
                let exchange =
                    exchanges.iter().position(|exchange| label.is_some() && exchange.request.label == label);
                attempts.push(Attempt {
                    model: standins.len(),
                    exchange,
                    end: None,
                    is_retried: false,
                    is_rerouted: false,
                    stopped: None,
                });
                continue;
            }
            let Some(last) = attempts.last_mut() else { continue };
            if let Some(standin) = standins.last_mut().filter(|standin| standin.asked.is_none()) {
                if let Some(failed) = LlmRequestRerouted::of(event) {
                    standin.refused = Some((failed.kind, failed.message));
                } else if let Some(failed) = TurnFailed::of(event) {
                    standin.refused = Some((failed.kind, failed.message));
                } else if let Some(warning) = WarningRaised::of(event) {
                    standin.fitted.extend(Some(warning.text).filter(|text| budget::is_fitted(text)));
                }
            }
            if LlmResponseCompleted::of(event).is_some() {
                last.end = Some(Ended::Completed);
            } else if let Some(failed) = LlmResponseFailed::of(event) {
                last.end = Some(Ended::Failed(Box::new(failed)));
            } else if let Some(stopped) = LlmResponseInterrupted::of(event) {
                let deltas = stopped.timing.map(|timing| timing.chunks);
                last.end = Some(Ended::Stopped(stopped.reason, deltas));
            } else if event.kind() == LlmRequestRetried::TYPE {
                last.is_retried = true;
            } else if let Some(reroute) = LlmRequestRerouted::of(event) {
                last.is_rerouted = true;
                let (asked, fitted, refused) = (None, Vec::new(), None);
                standins.push(Standin { model: reroute.to, asked, fitted, refused });
            } else if let Some(stopped) = TurnInterrupted::of(event) {
                last.stopped = Some(stopped.reason).filter(|_| last.is_retried || last.is_rerouted);
            }
        }
        if standins.iter().any(|standin| standin.asked.is_none() && standin.refused.is_none()) {
            return Err("it was stopped before the next model was asked".to_owned());
        }
        let Some((asked, seq)) = asked else { return Err("nobody was asked".to_owned()) };
        let mut plan = Self { asked, seq, is_recovered, standins, attempts, exchanges };
        for number in 0..plan.attempts.len() {
            plan.check(number)?;
        }
        Ok(plan)
    }

    /// Tells whether an attempt can be played, and makes its recording end as it did.
    fn check(&mut self, number: usize) -> Result<(), String> {
        let attempt = &self.attempts[number];
        let standin = attempt.model.checked_sub(1).map(|at| &self.standins[at]);
        let asked = standin.and_then(|standin| standin.asked.as_ref()).unwrap_or(&self.asked);
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
                    let message = words(asked, failed);
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

    /// Returns what is played for each attempt at one of the models, 0 for the first, and the exchanges in the order in
    /// which they are asked for.
    pub(super) fn script(&self, model: usize) -> (Vec<Cue>, Vec<Exchange>) {
        let cue = |attempt: &Attempt| Cue {
            is_sent: attempt.exchange.is_some(),
            is_retried: attempt.is_retried,
            end: match (&attempt.end, attempt.stopped) {
                (Some(Ended::Stopped(reason, deltas)), _) => CueEnd::Stopped(*reason, *deltas),
                (_, Some(reason)) => CueEnd::ThenStopped(reason),
                _ => CueEnd::Recorded,
            },
        };
        let attempts = || self.attempts.iter().filter(|attempt| attempt.model == model);
        let exchanges = attempts().filter_map(|attempt| attempt.exchange);
        (attempts().map(cue).collect(), exchanges.map(|at| self.exchanges[at].clone()).collect())
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
