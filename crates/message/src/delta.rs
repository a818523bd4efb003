//! Deltas: the increments that every adapter turns its stream into.

use serde::{Deserialize, Serialize};

use crate::finish::Finish;
use crate::json::Json;
use crate::part::{Opaque, Part, ReasoningBlock};
use crate::usage::Usage;

/// One increment of a streamed answer.
///
/// Parts are told apart by `index`, a number the decoder gives out in the order in which parts begin. Deltas of
/// different parts may interleave. A stream holds at most one [`Delta::Finish`], and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delta {
    /// What is known before the first content; later ones complete it.
    Start(Start),
    /// A part begins, with whatever of it is known by now; a part that arrives whole has no other delta.
    PartStart {
        /// The number of the part.
        index: u32,
        /// The part so far.
        part: Box<Part>,
    },
    /// More text, of a text part or of a refusal.
    Text {
        /// The number of the part.
        index: u32,
        /// The fragment.
        text: String,
    },
    /// More text of the last block of a reasoning part.
    Reasoning {
        /// The number of the part.
        index: u32,
        /// The fragment.
        text: String,
    },
    /// A new block of a reasoning part.
    ReasoningBlock {
        /// The number of the part.
        index: u32,
        /// The block so far.
        block: ReasoningBlock,
    },
    /// More of the arguments of a tool call.
    Arguments {
        /// The number of the part.
        index: u32,
        /// The fragment.
        text: String,
    },
    /// The id or the name of a tool call, where it comes after the call began.
    ToolCall {
        /// The number of the part.
        index: u32,
        /// The id, where given.
        call_id: Option<String>,
        /// The name, where given.
        name: Option<String>,
    },
    /// An annotation of a text part.
    Annotation {
        /// The number of the part.
        index: u32,
        /// The annotation, in the provider's own shape.
        annotation: Json,
    },
    /// Opaque data of a part, whole.
    Opaque {
        /// The number of the part.
        index: u32,
        /// The data.
        opaque: Opaque,
    },
    /// A field of a part that the decoder does not know; a later one of the same name replaces it.
    Extra {
        /// The number of the part.
        index: u32,
        /// The field's name.
        name: String,
        /// Its value.
        value: Json,
    },
    /// A field of the message that the decoder does not know; a later one of the same name replaces it.
    MessageExtra {
        /// The field's name.
        name: String,
        /// Its value.
        value: Json,
    },
    /// A part ends.
    PartEnd {
        /// The number of the part.
        index: u32,
        /// The whole part, where the provider repeats it at the end and what it repeats counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Box<Part>>,
    },
    /// Token counts so far; replaces what was reported before.
    Usage(Usage),
    /// Something the caller should know that is no reason to fail.
    Warning(String),
    /// The provider is alive and has nothing to say.
    Heartbeat,
    /// The answer ended as its protocol says it should.
    Finish(Finish),
}

/// What is known about an answer before its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The provider's id of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The model that answers, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider's id of the request, for its support desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Response headers about rate limits, in order: lower-case name, value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<(String, String)>,
}

impl Delta {
    /// Returns the number of the part that the delta belongs to.
    pub fn part(&self) -> Option<u32> {
        match self {
            Self::PartStart { index, .. }
            | Self::Text { index, .. }
            | Self::Reasoning { index, .. }
            | Self::ReasoningBlock { index, .. }
            | Self::Arguments { index, .. }
            | Self::ToolCall { index, .. }
            | Self::Annotation { index, .. }
            | Self::Opaque { index, .. }
            | Self::Extra { index, .. }
            | Self::PartEnd { index, .. } => Some(*index),
            Self::Start(_)
            | Self::MessageExtra { .. }
            | Self::Usage(_)
            | Self::Warning(_)
            | Self::Heartbeat
            | Self::Finish(_) => None,
        }
    }
}
