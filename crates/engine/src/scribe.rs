//! The scribe: makes event drafts out of facts, each caused by the one before, everything through the redactor.

use std::sync::Arc;

use aichat_events::{Draft, Fact, Redactor, Salt, SecretRedacted, Span};
use aichat_message::{CallId, EventId, Json, Message, SessionId, TurnId, WriterId};

use crate::effects::Effects;
use crate::engine::Engine;

/// Drafts the events of one turn, or of one change to a session.
pub(crate) struct Scribe {
    effects: Effects,
    writer: WriterId,
    session: SessionId,
    turn: Option<(TurnId, Span)>,
    call: Option<(CallId, Span)>,
    cause: Option<EventId>,
    redactor: Arc<Redactor>,
}

impl Scribe {
    /// Returns a scribe for events of a session outside any turn.
    pub(crate) fn new(engine: &Engine, session: &SessionId) -> Self {
        Self {
            effects: engine.0.effects.clone(),
            writer: engine.0.writer.clone(),
            session: session.clone(),
            turn: None,
            call: None,
            cause: None,
            redactor: Arc::new(engine.0.secrets.redactor().counted()),
        }
    }

    /// Drafts the events of `turn` from now on.
    pub(crate) fn begin_turn(&mut self, turn: &TurnId) {
        self.turn = Some((turn.clone(), Span(self.effects.bits())));
    }

    /// Gives the events from now on a call of their own; an attempt has its own span within it.
    pub(crate) fn begin_attempt(&mut self) {
        let call = match self.call.take() {
            Some((call, _)) => call,
            None => CallId::from_bits(self.effects.bits()),
        };
        self.call = Some((call, Span(self.effects.bits())));
    }

    pub(crate) fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Returns the message as it is recorded.
    pub(crate) fn masked(&self, message: &Message) -> Message {
        self.redactor.redact_message(message)
    }

    /// Drafts a fact whose every string is masked.
    pub(crate) fn fact<F: Fact>(&mut self, fact: &F) -> Draft {
        let payload = self.redactor.redact_json(&json(fact));
        self.draft::<F>(payload)
    }

    /// Drafts a fact about a message that is [`masked`](Self::masked) already, whose opaque data stays as it is.
    pub(crate) fn masked_fact<F: Fact>(&mut self, fact: &F) -> Draft {
        self.draft::<F>(json(fact))
    }

    /// Drafts what was masked since the last time, if anything.
    pub(crate) fn masked_counts(&mut self) -> Option<Draft> {
        let counts = self.redactor.take_counts();
        (!counts.is_empty()).then(|| self.draft::<SecretRedacted>(json(&SecretRedacted { counts })))
    }

    fn draft<F: Fact>(&mut self, payload: Json) -> Draft {
        let id = EventId::from_bits(self.effects.bits());
        let about_call = F::TYPE.starts_with("llm.");
        let call = self.call.as_ref().filter(|_| about_call);
        let turn_span = self.turn.as_ref().map(|(_, span)| *span);
        Draft {
            id: id.clone(),
            session: self.session.clone(),
            ts: self.effects.clock.now_us(),
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

fn json<F: serde::Serialize>(fact: &F) -> Json {
    Json::from_value(fact).expect("facts have string keys only")
}
