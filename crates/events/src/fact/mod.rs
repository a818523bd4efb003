//! Facts: one type per event type, each family in its own file.
//!
//! Fields are only ever added. A field that was not there from the beginning has a default, a field that is
//! not known is ignored, because the event keeps its bytes.

mod document;
mod llm;
mod message;
mod note;
mod session;
mod turn;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::Event;

pub use document::{DocumentDeleted, DocumentSaved};
pub use llm::{
    LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed, LlmResponseFirstChunk,
    LlmResponseInterrupted, Timing,
};
pub use message::{MessageAssistant, MessageSystem, MessageTool, MessageUser};
pub use note::{SecretCount, SecretRedacted, WarningRaised};
pub use session::{
    SessionArchived, SessionCreated, SessionDeleted, SessionErased, SessionForked, SessionHeadMoved,
    SessionImportedFrom, SessionRenamed,
};
pub use turn::{
    AgentRef, Interruption, TurnCompleted, TurnFailed, TurnInterrupted, TurnRecovered, TurnStarted,
};

/// The payload of one type of event.
pub trait Fact: Serialize + DeserializeOwned {
    /// The event type, a dotted past-tense fact.
    const TYPE: &'static str;
    /// The version of the payload; raised where a change is more than an added field.
    const VERSION: u32;

    /// Reads this fact out of an event; `None` where the event is of another type, of a later version of the
    /// payload, erased, or not of its shape.
    fn of(event: &Event) -> Option<Self> {
        let readable = event.kind() == Self::TYPE && event.tv() <= Self::VERSION;
        readable.then(|| event.payload_as().ok()).flatten()
    }
}

macro_rules! fact {
    ($($name:ident = $text:literal;)*) => {
        $(impl $crate::fact::Fact for $name {
            const TYPE: &'static str = $text;
            const VERSION: u32 = 1;
        })*
    };
}
use fact;
