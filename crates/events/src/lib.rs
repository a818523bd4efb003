//! What happened: events, the chain that holds them together, and what can be read from them.

mod chain;
mod envelope;
mod error;
mod fact;
mod hex;
mod redact;
mod sanitise;

pub use chain::{Chain, Fault, What};
pub use envelope::{Draft, ENVELOPE_VERSION, Event};
pub use error::{Error, ErrorKind};
pub use fact::{
    Fact, Interruption, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseFirstChunk, LlmResponseInterrupted, MessageAssistant, MessageSystem, MessageUser, SecretCount,
    SecretRedacted, SessionCreated, SessionDeleted, SessionRenamed, Timing, TurnCompleted, TurnFailed,
    TurnInterrupted, TurnRecovered, TurnStarted, WarningRaised,
};
pub use hex::{Hash, HexError, Salt, Span};
pub use redact::{RedactStream, Redactor};
pub use sanitise::sanitise;
