//! What happened: events, the hash chain that holds them together, and what can be read out of them.
//!
//! A [`Draft`] is an event as it is made, with a [`Fact`] as its payload. Sealing it gives it a place: an [`Event`]
//! is one line of a session's log, kept byte for byte, and a [`Chain`] verifies that lines follow each other
//! unchanged. Payloads of earlier versions are read through [`Upcast`]s; what a later version wrote is opaque, kept and
//! handed on as it is. [`Transcript`] and [`Timeline`] are pure folds over events. A [`Redactor`] is what everything passes
//! through before it is recorded or reported. A [`Recorder`] does all of it for a program that records facts of its own into
//! a [`Sink`].
//!
//! ```
//! use aichat_events::{Chain, Effects, Event, Recorder, Redactor, Scribe, SessionCreated, Transcript};
//! use aichat_message::{SessionId, WriterId};
//!
//! let (session, writer) = (SessionId::from_bits([1; 10]), WriterId::from_bits([2; 10])); // random in earnest
//! let scribe = Scribe::new(Effects::default(), writer, session, &Redactor::none());
//! let mut recorder = Recorder::new(scribe, Vec::new());
//! recorder.record(&SessionCreated { name: Some("weather".into()), ..SessionCreated::default() })?;
//! let (_, events) = recorder.finish()?;
//!
//! let mut chain = Chain::new();
//! chain.push(&Event::parse(events[0].line())?)?;
//! assert_eq!(Transcript::fold(&events).name.as_deref(), Some("weather"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod columns;
mod cost;
pub mod diff;
mod effects;
mod envelope;
mod error;
mod fact;
mod heads;
mod hex;
mod html;
mod json;
mod markdown;
#[cfg(feature = "otel")]
mod otel;
mod recorder;
mod redact;
mod sanitise;
#[cfg(test)]
mod schema;
mod scribe;
mod time;
mod timeline;
mod tokens;
mod transcript;
mod view;
mod witness;

pub use chain::{Chain, Fault, What};
pub use columns::{columns, cut, fit, wrap};
pub use cost::{may_cost, tally};
pub use diff::Diff;
pub use effects::{Clock, Effects, Entropy};
pub use envelope::{Draft, ENVELOPE_VERSION, Event};
pub use error::{Error, ErrorKind};
pub use fact::{
    AgentRef, BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, CostCalculated, CostLine,
    CostRevised, DocumentDeleted, DocumentSaved, Fact, Interruption, Kept, LlmRequestRerouted,
    LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed, LlmResponseFirstChunk,
    LlmResponseInterrupted, LlmWireKept, MessageAssistant, MessageDropped, MessageEdited, MessageSystem,
    MessageTool, MessageUser, Messages, SecretCount, SecretRedacted, SessionArchived, SessionCreated,
    SessionDeleted, SessionErased, SessionForked, SessionHeadMoved, SessionImportedFrom,
    SessionModelSwitched, SessionRenamed, SessionSettingsChanged, Timing, TurnCompleted, TurnFailed,
    TurnInterrupted, TurnRecovered, TurnStarted, Upcast, WarningRaised, WireExchange,
};
pub use heads::Heads;
pub use hex::{Hash, HexError, Salt, Span};
pub use html::Page;
pub use json::{JsonDifference, json_difference};
#[cfg(feature = "otel")]
pub use otel::Telemetry;
pub use recorder::{Lines, Recorder, Sink};
pub use redact::{RedactStream, Redactor};
pub use sanitise::sanitise;
pub use scribe::Scribe;
pub use timeline::{Row, RowKind, Timeline, TurnTimeline};
pub use tokens::{Sum, Tokens};
pub use transcript::{Entry, Transcript, Turn, TurnStatus, Warning};
pub use view::{
    Detail, EventRow, Filter, Level, Line, Node, Piece, Rows, SessionRow, Tab, Tone, View, has, pretty,
};
pub use witness::{Witness, WitnessError};
