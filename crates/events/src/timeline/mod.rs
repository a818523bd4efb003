//! The timeline: where the time of each turn went, as data.

mod render;

use std::collections::HashMap;

use aichat_message::{SessionId, Total, TurnId};
use serde::Serialize;

use crate::cost::tally;
use crate::envelope::Event;
use crate::fact::{
    Fact, LlmRequestRerouted, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseFirstChunk, LlmResponseInterrupted, SecretRedacted, Timing, TurnCompleted, TurnFailed,
    TurnInterrupted, TurnRecovered, TurnStarted, WarningRaised,
};
use crate::time;
use crate::tokens::Tokens;
use crate::transcript::TurnStatus;

/// Where the time of a session's turns went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The session, unless there are no events.
    pub session: Option<SessionId>,
    /// Its turns, in the order in which they began.
    pub turns: Vec<TurnTimeline>,
}

/// Where the time of one turn went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TurnTimeline {
    /// Names the turn.
    pub turn: TurnId,
    /// The place in the log where it begins.
    pub seq: u64,
    /// When it began, in microseconds since 1970 UTC.
    pub ts: i64,
    /// How long it took in microseconds, as far as the process that began it has told.
    pub total_us: u64,
    /// How it ended.
    #[serde(flatten)]
    pub status: TurnStatus,
    /// The model asked, `provider/model`.
    pub model: String,
    /// What its calls consumed.
    pub tokens: Tokens,
    /// What its calls cost.
    pub cost: Total,
    /// What happened in it, in the order in which it began.
    pub rows: Vec<Row>,
}

/// Something that took time in a turn, or happened at one moment of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is.
    pub what: RowKind,
    /// When it began, in microseconds since the turn did.
    pub offset_us: u64,
    /// How long it took in microseconds; `None` for a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What else is to be said about it; may hold text from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a row of a timeline shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowKind {
    /// From the start of the turn to its first request.
    Queue,
    /// From a request to the first byte of the response.
    FirstByte,
    /// From there to the first content.
    FirstContent,
    /// From the first content to the end of the answer.
    Stream,
    /// A request that ended without content.
    Request,
    /// From a failed attempt to the next.
    Wait,
    /// An attempt failed and another one follows.
    Retry,
    /// Another model is asked, because this one gave no answer.
    Reroute,
    /// The request failed for good.
    Failure,
    /// The answer or the turn was stopped.
    Interruption,
    /// Another process brought the turn into the log.
    Recovery,
    /// A warning.
    Warning,
    /// Secrets were masked.
    Redaction,
    /// Something that this version does not know.
    Opaque,
}

impl RowKind {
    /// Returns the words a person reads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::FirstByte => "first byte",
            Self::FirstContent => "first content",
            Self::Stream => "stream",
            Self::Request => "request",
            Self::Wait => "wait",
            Self::Retry => "retry",
            Self::Reroute => "reroute",
            Self::Failure => "failure",
            Self::Interruption => "interruption",
            Self::Recovery => "recovery",
            Self::Warning => "warning",
            Self::Redaction => "redaction",
            Self::Opaque => "unknown",
        }
    }
}

impl Timeline {
    /// Reads the turns out of the events of one session, in order; what is not known is an opaque row.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut session = None;
        let mut turns: Vec<Building> = Vec::new();
        let mut places: HashMap<TurnId, usize> = HashMap::new();
        for event in events {
            session.get_or_insert_with(|| event.session().clone());
            let Some(id) = event.turn() else { continue };
            match places.get(id) {
                Some(at) => turns[*at].take(event),
                None if event.kind() == TurnStarted::TYPE => {
                    places.insert(id.clone(), turns.len());
                    turns.push(Building::new(id.clone(), event.clone()));
                }
                None => {}
            }
        }
        let turns = turns.into_iter().map(|mut turn| {
            turn.done.rows.sort_by_key(|row| row.offset_us);
            turn.done
        });
        Self { session, turns: turns.collect() }
    }
}

/// A turn whose events are being read.
struct Building {
    done: TurnTimeline,
    start: Event,
    attempt: Option<Attempt>,
    requested: bool,
    /// When the last attempt failed that another one follows.
    failed_us: Option<u64>,
}

/// A request that has not ended.
struct Attempt {
    start_us: u64,
    byte_us: Option<u64>,
    first_us: Option<u64>,
}

impl Building {
    fn new(turn: TurnId, start: Event) -> Self {
        let model = TurnStarted::of(&start).map(|fact| fact.model).unwrap_or_default();
        let (seq, ts) = (start.seq(), start.ts());
        let (tokens, cost, status) = (Tokens::default(), Total::default(), TurnStatus::Open);
        let done = TurnTimeline { turn, seq, ts, total_us: 0, status, model, tokens, cost, rows: Vec::new() };
        Self { done, start, attempt: None, requested: false, failed_us: None }
    }

    fn take(&mut self, event: &Event) {
        let now = self.offset(event);
        if self.is_own(event) {
            self.done.total_us = self.done.total_us.max(now);
        }
        self.done.tokens.count(event);
        tally(&mut self.done.cost, event);
        match event.kind() {
            LlmRequestStarted::TYPE => self.request(now),
            LlmRequestRetried::TYPE => {
                self.close(event, None);
                self.failed_us = Some(now);
                // What failed did not fail for good.
                self.done.rows.pop_if(|row| row.what == RowKind::Failure);
                let note = LlmRequestRetried::of(event).map(|fact| {
                    let wait = time::duration(fact.delay_ms.saturating_mul(1000));
                    format!("attempt {} {}, waits {wait}: {}", fact.attempt, fact.kind, fact.message)
                });
                self.mark(RowKind::Retry, now, note);
            }
            LlmRequestRerouted::TYPE => {
                self.failed_us = self.requested.then_some(now);
                let fact = LlmRequestRerouted::of(event);
                let note = fact.as_ref().map(|fact| format!("from {} to {}", fact.from, fact.to));
                self.mark(RowKind::Reroute, now, note);
                if let Some(fact) = fact {
                    self.done.model = fact.to;
                }
            }
            LlmResponseFirstChunk::TYPE => {
                self.first_content(event, now);
            }
            LlmResponseCompleted::TYPE => {
                self.close(event, LlmResponseCompleted::of(event).map(|fact| fact.timing));
            }
            LlmResponseFailed::TYPE => {
                let fact = LlmResponseFailed::of(event);
                let note = fact.as_ref().map(|fact| format!("{}: {}", fact.kind, fact.message));
                self.close(event, fact.and_then(|fact| fact.timing));
                self.mark(RowKind::Failure, now, note);
            }
            LlmResponseInterrupted::TYPE => {
                self.close(event, LlmResponseInterrupted::of(event).and_then(|fact| fact.timing));
            }
            TurnRecovered::TYPE => {
                let note = TurnRecovered::of(event)
                    .map(|fact| format!("{} records, {} bytes", fact.records, fact.bytes));
                self.mark(RowKind::Recovery, now, note);
            }
            WarningRaised::TYPE => {
                self.mark(RowKind::Warning, now, WarningRaised::of(event).map(|fact| fact.text));
            }
            SecretRedacted::TYPE => {
                let counts = SecretRedacted::of(event).unwrap_or_default().counts;
                let note: Vec<String> =
                    counts.iter().map(|secret| format!("{} ×{}", secret.name, secret.count)).collect();
                self.mark(RowKind::Redaction, now, Some(note.join(", ")));
            }
            TurnCompleted::TYPE | TurnFailed::TYPE | TurnInterrupted::TYPE => self.end(event, now),
            _ => {}
        }
        if event.is_opaque() {
            self.mark(RowKind::Opaque, now, Some(format!("{} of version {}", event.kind(), event.tv())));
        }
    }

    fn request(&mut self, now: u64) {
        let waited = match self.failed_us.take() {
            Some(failed) => Some((RowKind::Wait, failed)),
            None if !self.requested => Some((RowKind::Queue, 0)),
            None => None,
        };
        if let Some((what, from)) = waited.filter(|(_, from)| *from < now) {
            self.span(what, from, now);
        }
        self.requested = true;
        self.attempt = Some(Attempt { start_us: now, byte_us: None, first_us: None });
    }

    /// Takes in when the first content came. The request left that much earlier than this was noted, and somewhat later
    /// than it was recorded: what lies between belongs to the wait before it.
    fn first_content(&mut self, event: &Event, now: u64) {
        let is_own = self.is_own(event);
        let Some(attempt) = &mut self.attempt else { return };
        let Some(fact) = LlmResponseFirstChunk::of(event) else {
            attempt.first_us.get_or_insert(now);
            return;
        };
        let sent = if is_own { now.saturating_sub(fact.first_content_us) } else { 0 };
        if sent > attempt.start_us && attempt.first_us.is_none() {
            let before = self.done.rows.last_mut();
            if let Some(row) = before.filter(|row| matches!(row.what, RowKind::Queue | RowKind::Wait)) {
                row.duration_us = Some(sent.saturating_sub(row.offset_us));
            }
            attempt.start_us = sent;
        }
        let first = attempt.start_us.saturating_add(fact.first_content_us);
        attempt.byte_us = fact.first_byte_us.map(|us| attempt.start_us.saturating_add(us).min(first));
        attempt.first_us.get_or_insert(first);
    }

    /// Ends the request under way. Its end is the event's own time, unless another process wrote the event later:
    /// then it is what was measured, or the last that is known of the process that sent it.
    fn close(&mut self, event: &Event, timing: Option<Timing>) {
        let Some(attempt) = self.attempt.take() else { return };
        let timing = timing.unwrap_or_default();
        let first =
            attempt.first_us.or(timing.first_content_us.map(|us| attempt.start_us.saturating_add(us)));
        let end = match self.is_own(event) {
            true => self.offset(event),
            false => self.done.total_us.max(attempt.start_us.saturating_add(timing.total_us)),
        };
        self.done.total_us = self.done.total_us.max(end);
        match first {
            Some(first) => {
                if let Some(byte) = attempt.byte_us {
                    self.span(RowKind::FirstByte, attempt.start_us, byte);
                }
                self.span(RowKind::FirstContent, attempt.byte_us.unwrap_or(attempt.start_us), first);
                self.span(RowKind::Stream, first, end);
            }
            None => self.span(RowKind::Request, attempt.start_us, end),
        }
    }

    fn end(&mut self, event: &Event, now: u64) {
        if !self.done.status.is_provisional() {
            return;
        }
        if let Some((status, _)) = TurnStatus::of(event) {
            if let TurnStatus::Interrupted { reason } = &status {
                self.mark(RowKind::Interruption, now, reason.map(|reason| reason.to_string()));
            }
            self.done.status = status;
        }
    }

    fn span(&mut self, what: RowKind, from: u64, to: u64) {
        let duration_us = Some(to.saturating_sub(from));
        self.done.rows.push(Row { what, offset_us: from, duration_us, note: None });
    }

    fn mark(&mut self, what: RowKind, offset_us: u64, note: Option<String>) {
        let note = note.filter(|note| !note.is_empty());
        self.done.rows.push(Row { what, offset_us, duration_us: None, note });
    }

    fn is_own(&self, event: &Event) -> bool {
        event.writer() == self.start.writer()
    }

    /// Returns how long after the start of the turn the event happened, by the clock both have in common.
    fn offset(&self, event: &Event) -> u64 {
        match self.is_own(event) {
            true => event.mono_us().saturating_sub(self.start.mono_us()),
            false => u64::try_from(event.ts().saturating_sub(self.start.ts())).unwrap_or(0),
        }
    }
}
