//! Facts: one type per event type, each family in its own file.
//!
//! Within a version of a payload fields are only ever added. A field that was not there from the beginning has a
//! default, a field that is not known is ignored, because the event keeps its bytes. Any other change makes the next
//! version, and an [`Upcast`] by which the earlier one is read.

mod cost;
mod document;
mod llm;
mod message;
mod note;
mod session;
mod turn;

use std::borrow::Cow;

use aichat_message::{Json, JsonError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{self, Draft, Event};
use crate::redact::Redactor;

pub use cost::{
    BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, CostCalculated, CostLine, CostRevised,
};
pub use document::{DocumentDeleted, DocumentSaved};
pub use llm::{
    Kept, LlmRequestRerouted, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseFirstChunk, LlmResponseInterrupted, LlmWireKept, Messages, Timing, WireExchange,
};
pub use message::{MessageAssistant, MessageDropped, MessageEdited, MessageSystem, MessageTool, MessageUser};
pub use note::{SecretCount, SecretRedacted, WarningRaised};
pub use session::{
    SessionArchived, SessionCreated, SessionDeleted, SessionErased, SessionForked, SessionHeadMoved,
    SessionImportedFrom, SessionModelSwitched, SessionRenamed, SessionSettingsChanged,
};
pub use turn::{
    AgentRef, Interruption, TurnCompleted, TurnFailed, TurnInterrupted, TurnRecovered, TurnStarted,
};

/// Makes the payload of one version into that of the next.
///
/// It is pure, and is applied each time that a payload is read; what is in the log stays as it is.
pub type Upcast = fn(&Json) -> Result<Json, JsonError>;

/// The payload of one type of event.
pub trait Fact: Serialize + DeserializeOwned {
    /// The event type, a dotted past-tense fact.
    const TYPE: &'static str;

    /// How earlier payloads are read: the first makes version 1 into version 2, the last makes the one before into
    /// [`VERSION`](Self::VERSION). There is one more where a change is more than an added field.
    const UPCASTS: &'static [Upcast] = &[];

    /// The version of the payload as it is written.
    const VERSION: u32 = 1 + Self::UPCASTS.len() as u32;

    /// Reads this fact out of an event; `None` where the event is of another type, of a later version of the
    /// payload, erased, or not of its shape.
    fn of(event: &Event) -> Option<Self> {
        event.payload().and_then(|payload| read(event.kind(), event.tv(), payload))
    }

    /// Returns the payload with every secret masked in each of its strings.
    fn masked(&self, redactor: &Redactor) -> Json {
        redactor.redact_json(&json(self))
    }

    /// Reads this fact out of an event that has no place yet, as [`of`](Self::of) does.
    fn of_draft(draft: &Draft) -> Option<Self> {
        read(&draft.kind, draft.tv, &draft.payload)
    }
}

fn read<F: Fact>(kind: &str, tv: u32, payload: &Json) -> Option<F> {
    if kind != F::TYPE {
        return None;
    }
    // Versions begin with 1, and after those that are lifted comes only the current one.
    let upcasts = F::UPCASTS.get(usize::try_from(tv.checked_sub(1)?).ok()?..)?;
    let mut payload = Cow::Borrowed(payload);
    for upcast in upcasts {
        payload = Cow::Owned(upcast(&payload).ok()?);
    }
    envelope::read(&payload).ok()
}

/// The types and current versions of each family of facts.
const FAMILIES: [&[(&str, u32)]; 7] =
    [session::KNOWN, turn::KNOWN, message::KNOWN, llm::KNOWN, cost::KNOWN, note::KNOWN, document::KNOWN];

/// Tells whether this version can read payloads of a type and version.
pub(crate) fn is_known(kind: &str, tv: u32) -> bool {
    FAMILIES.into_iter().flatten().any(|(known, version)| *known == kind && (1..=*version).contains(&tv))
}

/// Returns type, version and the schema of the payload of every fact.
#[cfg(test)]
pub(crate) fn schemas(
    generator: &mut schemars::SchemaGenerator,
) -> Vec<((&'static str, u32), schemars::Schema)> {
    let families = [
        session::schemas,
        turn::schemas,
        message::schemas,
        llm::schemas,
        cost::schemas,
        note::schemas,
        document::schemas,
    ];
    let schemas: Vec<_> = families.into_iter().flat_map(|schemas| schemas(generator)).collect();
    FAMILIES.concat().into_iter().zip(schemas).collect()
}

/// Returns a payload as it is written.
pub(crate) fn json<F: Serialize>(fact: &F) -> Json {
    Json::from_value(fact).expect("facts have string keys only")
}

/// Makes types facts: `Type = "event.type";`, with `upcast [v1, v2]` before the semicolon where there are earlier
/// versions, the functions that read them, and with `, of field` where that field is a message, whose opaque data stays as it is.
macro_rules! fact {
    ($($name:ident = $text:literal $(upcast $upcasts:expr)? $(, of $message:ident)?;)*) => {
        $(impl $crate::fact::Fact for $name {
            const TYPE: &'static str = $text;
            $(const UPCASTS: &'static [$crate::fact::Upcast] = &$upcasts;)?
            $(fn masked(&self, redactor: &$crate::redact::Redactor) -> aichat_message::Json {
                let $message = redactor.redact_message(&self.$message);
                $crate::fact::json(&Self { $message, ..self.clone() })
            })?
        })*

        /// The types of this family with their current versions.
        pub(super) const KNOWN: &[(&str, u32)] =
            &[$(($text, <$name as $crate::fact::Fact>::VERSION)),*];

        /// The schema of each payload of this family.
        #[cfg(test)]
        pub(super) fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<schemars::Schema> {
            vec![$(<$name as schemars::JsonSchema>::json_schema(generator)),*]
        }
    };
}
use fact;
