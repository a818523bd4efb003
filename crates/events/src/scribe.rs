//! The scribe: makes event drafts out of facts, each caused by the one before, everything through the redactor.

use std::sync::Arc;

use aichat_message::{CallId, EventId, Json, Message, SessionId, TurnId, WriterId};

use crate::effects::Effects;
use crate::envelope::Draft;
use crate::fact::{self, Fact, LlmRequestStarted, SecretRedacted};
use crate::hex::{Salt, Span};
use crate::redact::Redactor;

/// Drafts the events of one session: gives facts their ids, times and salts, and masks what they say.
pub struct Scribe {
    effects: Effects,
    writer: WriterId,
    session: SessionId,
    turn: Option<(TurnId, Span)>,
    call: Option<(CallId, Span)>,
    cause: Option<EventId>,
    redactor: Arc<Redactor>,
    /// When the last request was sent, and when the last event was drafted.
    asked_us: i64,
    said_us: i64,
}

impl Scribe {
    /// Returns a scribe for events of a session outside any turn, which counts what it masks by itself.
    pub fn new(effects: Effects, writer: WriterId, session: SessionId, redactor: &Redactor) -> Self {
        let redactor = Arc::new(redactor.counted());
        Self {
            effects,
            writer,
            session,
            turn: None,
            call: None,
            cause: None,
            redactor,
            asked_us: 0,
            said_us: 0,
        }
    }

    /// Drafts the events of `turn` from now on.
    pub fn begin_turn(&mut self, turn: &TurnId) {
        self.turn = Some((turn.clone(), Span(self.effects.bits())));
    }

    /// Gives the events from now on a call of their own; an attempt has its own span within it.
    pub fn begin_attempt(&mut self) {
        let call = match self.call.take() {
            Some((call, _)) => call,
            None => CallId::from_bits(self.effects.bits()),
        };
        self.call = Some((call, Span(self.effects.bits())));
    }

    /// Ends the call: the next attempt begins one of its own.
    pub fn end_call(&mut self) {
        self.call = None;
    }

    /// Returns the span of the attempt that was begun last; zeros before the first.
    pub fn attempt(&self) -> Span {
        self.call.as_ref().map_or(Span([0; 8]), |(_, span)| *span)
    }

    /// Returns when the last request was said to be sent, in microseconds since 1970 UTC; 0 before the first.
    pub fn asked_us(&self) -> i64 {
        self.asked_us
    }

    /// Returns the time of the last event that was drafted, in microseconds since 1970 UTC; 0 before the first.
    pub fn said_us(&self) -> i64 {
        self.said_us
    }

    /// Returns what everything is masked by.
    pub fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Returns the message as it is recorded.
    pub fn masked(&self, message: &Message) -> Message {
        self.redactor.redact_message(message)
    }

    /// Drafts a fact, masked as it [is to be](Fact::masked).
    pub fn fact<F: Fact>(&mut self, fact: &F) -> Draft {
        let payload = fact.masked(&self.redactor);
        self.draft::<F>(payload)
    }

    /// Drafts what was masked since the last time, if anything.
    pub fn masked_counts(&mut self) -> Option<Draft> {
        let counts = self.redactor.take_counts();
        (!counts.is_empty()).then(|| self.draft::<SecretRedacted>(fact::json(&SecretRedacted { counts })))
    }

    fn draft<F: Fact>(&mut self, payload: Json) -> Draft {
        let id = EventId::from_bits(self.effects.bits());
        let ts = self.effects.clock.now_us();
        self.said_us = ts;
        if F::TYPE == LlmRequestStarted::TYPE {
            self.asked_us = ts;
        }
        let about_call = ["llm.", "cost.", "budget."].iter().any(|family| F::TYPE.starts_with(family));
        let call = self.call.as_ref().filter(|_| about_call);
        let turn_span = self.turn.as_ref().map(|(_, span)| *span);
        Draft {
            id: id.clone(),
            session: self.session.clone(),
            ts,
            mono_us: self.effects.clock.mono_us(),
            writer: self.writer.clone(),
            kind: F::TYPE.to_owned(),
            tv: F::VERSION,
            turn: self.turn.as_ref().map(|(turn, _)| turn.clone()),
            run: None,
            call: call.map(|(call, _)| call.clone()),
            span: call.map(|(_, span)| *span).or(turn_span),
            parent_span: call.and(turn_span),
            cause: self.cause.replace(id),
            salt: Salt(self.effects.bits()),
            payload,
        }
    }
}
