//! Facts about a turn: how it began and the one way in which it ended.

use std::fmt;

use aichat_message::{ErrorKind, Finish, MessageId, TurnId};
use serde::{Deserialize, Serialize};

use crate::hex::Hash;

/// A turn begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TurnStarted {
    /// The turn that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::TurnId>"))]
    pub base: Option<TurnId>,
    /// The user's message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub input: MessageId,
    /// The model asked, `provider/model`.
    #[serde(default)]
    pub model: String,
    /// What "the last session" is looked up by: a terminal or a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The agent that the turn is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// The turn whose answer did not keep to its form and is asked for once more. The user's message is not the user's
    /// then: it says what is wrong with that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::TurnId>"))]
    pub mends: Option<TurnId>,
}

/// One version of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AgentRef {
    /// The agent's name.
    pub name: String,
    /// Its version; the first is 1.
    pub version: u64,
    /// The hash of the record that is kept of this version: elsewhere the same name may stand for another agent.
    pub hash: Hash,
}

/// A turn ended with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TurnCompleted {
    /// The answer.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub answer: MessageId,
    /// Why the answer ended.
    #[cfg_attr(test, schemars(with = "crate::schema::Finish"))]
    pub finish: Finish,
}

/// A turn ended without a whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TurnFailed {
    /// What went wrong.
    #[cfg_attr(test, schemars(with = "crate::schema::ErrorKind"))]
    pub kind: ErrorKind,
    /// The same in a phrase.
    #[serde(default)]
    pub message: String,
    /// What there is of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub answer: Option<MessageId>,
}

/// A turn was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TurnInterrupted {
    /// What stopped it.
    pub reason: Interruption,
    /// What there is of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub answer: Option<MessageId>,
}

/// A turn whose writer died was brought into the log by someone else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TurnRecovered {
    /// How many records the journal held.
    pub records: u64,
    /// How many bytes they were.
    pub bytes: u64,
}

/// What stopped a turn or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interruption {
    /// The caller.
    User,
    /// The end of the process.
    Kill,
    /// A wait that took too long.
    Timeout,
    /// The network.
    Network,
    /// A reason that a later version names.
    #[serde(other)]
    Other,
}

impl Interruption {
    /// Returns the reason as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Kill => "kill",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

super::fact! {
    TurnStarted = "turn.started";
    TurnCompleted = "turn.completed";
    TurnFailed = "turn.failed";
    TurnInterrupted = "turn.interrupted";
    TurnRecovered = "turn.recovered";
}
