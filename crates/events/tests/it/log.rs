//! A small log with fixed ids, times and salts, for tests to write in.

use aichat_events::{
    Chain, Draft, Event, Fact, Hash, LlmRequestStarted, LlmResponseCompleted, LlmResponseFirstChunk,
    MessageAssistant, MessageUser, Messages, Salt, Timing, TurnCompleted, TurnStarted,
};
use aichat_message::{
    CallId, EventId, Finish, FinishReason, Json, Message, MessageId, Protocol, SessionId, TurnId, Usage,
    WriterId,
};

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

    /// Begins turn `n` with a user's message.
    pub(crate) fn ask(&mut self, n: u8, parent: Option<u8>, text: &str) -> &mut Self {
        self.turn = Some(TurnId::from_bits(bits(n)));
        self.call = Some(CallId::from_bits(bits(n)));
        let input = message_id(n * 2);
        let model = "openai/gpt".to_owned();
        self.add(&TurnStarted {
            base: None,
            input: input.clone(),
            model,
            scope: None,
            agent: None,
            mends: None,
        });
        self.add(&MessageUser { id: input, parent: parent.map(message_id), message: Message::user(text) })
    }

    pub(crate) fn request(&mut self, attempt: u32) -> &mut Self {
        self.add(&LlmRequestStarted {
            attempt,
            provider: "openai".into(),
            protocol: Protocol::OpenaiChat,
            profile: None,
            api_version: None,
            host: "localhost".into(),
            local: false,
            path: String::new(),
            model: "gpt".into(),
            options: Json::new("{}").unwrap(),
            output: None,
            stream: true,
            messages: Messages::default(),
            body_hash: Hash::ZERO,
            body_bytes: 0,
            adapter: "0".into(),
        })
    }

    pub(crate) fn first_chunk(&mut self, after_ms: u64) -> &mut Self {
        self.add(&LlmResponseFirstChunk { first_byte_us: None, first_content_us: after_ms * 1000 })
    }

    pub(crate) fn responded(&mut self, usage: Option<(u64, u64)>) -> &mut Self {
        self.add(&LlmResponseCompleted {
            model: None,
            response_id: None,
            request_id: None,
            finish: stop(),
            usage: usage.map(|(input, output)| Usage {
                input_tokens: Some(input),
                output_tokens: Some(output),
                ..Usage::default()
            }),
            timing: Timing::default(),
            rate_limits: vec![],
        })
    }

    /// Says the answer of turn `n`, whole or in part.
    pub(crate) fn say(&mut self, n: u8, text: &str, partial: bool) -> &mut Self {
        self.add(&MessageAssistant {
            id: message_id(n * 2 + 1),
            parent: Some(message_id(n * 2)),
            message: Message::assistant(text),
            partial,
        })
    }

    /// Completes turn `n`.
    pub(crate) fn complete(&mut self, n: u8) -> &mut Self {
        self.add(&TurnCompleted { answer: message_id(n * 2 + 1), finish: stop() })
    }
}

pub(crate) fn message_id(n: u8) -> MessageId {
    MessageId::from_bits(bits(n))
}

fn stop() -> Finish {
    Finish { reason: FinishReason::Stop, raw: None }
}
