//! What `docs/events.md` is generated from: the schemas of the envelope, of every payload, and of what they are made of.
//!
//! Compiled for tests only, so that nobody who uses the crate pays for it. Facts derive their schema and describe it by
//! their doc comments; what they take from the vocabulary is described in `said.rs`, because the vocabulary depends on
//! nothing but serde.

mod said;
mod tests;

use schemars::JsonSchema;

use crate::envelope::Head;
use crate::hex::{Hash, Salt, Span};

pub(crate) use said::{
    CallId, CostStatus, Currency, ErrorKind, EventId, Finish, Json, Message, MessageId, Money, Protocol,
    SessionId, TurnId, Usage, WriterId,
};

/// One line of a log: the fields that the hash covers, then the hash, salt and payload.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is read by the derived schema only")]
struct Envelope {
    /// The version of the envelope.
    v: u32,
    #[serde(flatten)]
    head: Head,
    /// BLAKE3 of `aichat event v1`, a line feed, and the line as it was written up to before this field.
    hash: Hash,
    /// Random bytes, used for this event alone; null where the payload was erased.
    salt: Option<Salt>,
    /// What happened in detail, in the schema of the type; null where it was erased.
    payload: Option<Json>,
}

/// Describes a type as text of one pattern.
macro_rules! text {
    ($($name:ident = $pattern:literal;)*) => {
        $(impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        })*
    };
}
use text;

text! {
    Hash = "^[0-9a-f]{64}$";
    Salt = "^[0-9a-f]{32}$";
    Span = "^[0-9a-f]{16}$";
}
