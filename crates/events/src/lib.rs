//! What happened: events, the hash chain that holds them together, and what can be read out of them.
//!
//! A [`Draft`] is an event as it is made, with a [`Fact`] as its payload. Sealing it gives it a place: an [`Event`]
//! is one line of a session's log, kept byte for byte, and a [`Chain`] verifies that lines follow each other
//! unchanged. Payloads of earlier versions are read through [`Upcast`]s; what a later version wrote is opaque, kept and
//! handed on as it is. [`Transcript`] and [`Timeline`] are pure folds over events. A [`Redactor`] is what everything passes
//! through before it is recorded or reported.
//!
//! ```
//! use aichat_events::{Chain, Draft, Event, Fact, Salt, SessionCreated, Transcript};
//! use aichat_message::{EventId, Json, SessionId, WriterId};
//!
//! let fact = SessionCreated { name: Some("weather".into()), ..SessionCreated::default() };
//! let draft = Draft {
//!     id: EventId::from_bits([1; 10]),
//!     session: SessionId::from_bits([2; 10]),
//!     ts: 1_767_225_600_000_000,
//!     mono_us: 0,
//!     writer: WriterId::from_bits([3; 10]),
//!     kind: SessionCreated::TYPE.into(),
//!     tv: SessionCreated::VERSION,
//!     turn: None,
//!     run: None,
//!     call: None,
//!     span: None,
//!     parent_span: None,
//!     cause: None,
//!     salt: Salt([4; 16]), // random in earnest
//!     payload: Json::from_value(&fact)?,
//! };
//! let mut chain = Chain::new();
//! let event = draft.seal(chain.seq() + 1, &chain.head());
//! chain.push(&Event::parse(event.line())?)?;
//! assert_eq!(Transcript::fold([&event]).name.as_deref(), Some("weather"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod cost;
mod envelope;
mod error;
mod fact;
mod heads;
mod hex;
mod html;
mod markdown;
mod redact;
mod sanitise;
#[cfg(test)]
mod schema;
mod time;
mod timeline;
mod tokens;
mod transcript;
mod witness;

pub use chain::{Chain, Fault, What};
pub use cost::{may_cost, tally};
pub use envelope::{Draft, ENVELOPE_VERSION, Event};
pub use error::{Error, ErrorKind};
pub use fact::{
    AgentRef, BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, CostCalculated, CostLine,
    CostRevised, DocumentDeleted, DocumentSaved, Fact, Interruption, LlmRequestRetried, LlmRequestStarted,
    LlmResponseCompleted, LlmResponseFailed, LlmResponseFirstChunk, LlmResponseInterrupted, MessageAssistant,
    MessageSystem, MessageTool, MessageUser, SecretCount, SecretRedacted, SessionArchived, SessionCreated,
    SessionDeleted, SessionErased, SessionForked, SessionHeadMoved, SessionImportedFrom, SessionRenamed,
    Timing, TurnCompleted, TurnFailed, TurnInterrupted, TurnRecovered, TurnStarted, Upcast, WarningRaised,
};
pub use heads::Heads;
pub use hex::{Hash, HexError, Salt, Span};
pub use html::Page;
pub use redact::{RedactStream, Redactor};
pub use sanitise::sanitise;
pub use timeline::{Row, RowKind, Timeline, TurnTimeline};
pub use tokens::{Sum, Tokens};
pub use transcript::{Entry, Transcript, Turn, TurnStatus, Warning};
pub use witness::{Witness, WitnessError};
