//! A message: who said it, its parts in order, and where it came from.

use serde::{Deserialize, Serialize};

use crate::json::Extra;
use crate::origin::Origin;
use crate::part::{Part, PartKind};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said, in the order of the wire; never regrouped.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Who made it, for an answer of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Fields of the message that the adapter did not know.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The operator's standing instruction.
    System,
    /// A standing instruction that ranks below the system's, where a provider tells them apart.
    Developer,
    /// The person or program asking.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
}

impl Role {
    /// Returns the role as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl Message {
    /// Returns a message of these parts.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, origin: None, extra: Extra::new() }
    }

    /// Returns a user's message of one text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Part::text(text)])
    }

    /// Returns a system message of one text.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, vec![Part::text(text)])
    }

    /// Returns an assistant's message of one text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Part::text(text)])
    }

    /// Tells whether nothing is said: there is no part, or none but empty text.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                text.is_empty() && part.opaque.is_empty()
            }
            PartKind::Reasoning { blocks } => {
                blocks.iter().all(|block| block.text().is_empty()) && part.opaque.is_empty()
            }
            _ => false,
        })
    }

    /// Returns all visible text, concatenated in order; refusals, reasoning and tools are left out.
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}
