//! A small log with fixed ids, times and salts, for tests to write in.

use aichat_events::{Chain, Draft, Event, Fact, Salt};
use aichat_message::{CallId, EventId, Json, SessionId, TurnId, WriterId};

/// 2026-01-01 00:00:00 UTC in microseconds.
pub(crate) const EPOCH: i64 = 1_767_225_600_000_000;

/// Writes events whose ids count up and whose clock is set by hand.
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    pub(crate) turn: Option<TurnId>,
    pub(crate) call: Option<CallId>,
    pub(crate) now_us: u64,
    pub(crate) writer: u8,
    chain: Chain,
}

pub(crate) fn bits(n: u8) -> [u8; 10] {
    [n; 10]
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { events: Vec::new(), turn: None, call: None, now_us: 0, writer: 1, chain: Chain::new() }
    }

    pub(crate) fn add<F: Fact>(&mut self, fact: &F) -> &mut Self {
        self.add_raw(F::TYPE, F::VERSION, Json::from_value(fact).unwrap())
    }

    pub(crate) fn add_raw(&mut self, kind: &str, tv: u32, payload: Json) -> &mut Self {
        let n = u8::try_from(self.events.len()).unwrap();
        let draft = Draft {
            id: EventId::from_bits(bits(n)),
            session: SessionId::from_bits(bits(1)),
            ts: EPOCH + i64::try_from(self.now_us).unwrap(),
            mono_us: self.now_us,
            writer: WriterId::from_bits(bits(self.writer)),
            kind: kind.into(),
            tv,
            turn: self.turn.clone(),
            run: None,
            call: self.call.clone(),
            span: None,
            parent_span: None,
            cause: None,
            salt: Salt([n; 16]),
            payload,
        };
        let event = draft.seal(self.chain.seq() + 1, &self.chain.head());
        self.chain.push(&event).unwrap();
        self.events.push(event);
        self
    }

    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.now_us = ms * 1000;
        self
    }
}
