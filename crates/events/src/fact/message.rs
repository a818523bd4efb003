//! Facts about what was said.

use aichat_message::{Message, MessageId};
use serde::{Deserialize, Serialize};

/// The operator gave a standing instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageSystem {
    /// Names the message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
    /// The message.
    #[cfg_attr(test, schemars(with = "crate::schema::Message"))]
    pub message: Message,
}

/// The user said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageUser {
    /// Names the message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
    /// The message.
    #[cfg_attr(test, schemars(with = "crate::schema::Message"))]
    pub message: Message,
}

/// The model said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageAssistant {
    /// Names the message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
    /// The message, as far as it came.
    #[cfg_attr(test, schemars(with = "crate::schema::Message"))]
    pub message: Message,
    /// Whether the answer was cut off.
    #[serde(default)]
    pub partial: bool,
}

/// Tools gave the results that the model had called them for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageTool {
    /// Names the message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
    /// The message.
    #[cfg_attr(test, schemars(with = "crate::schema::Message"))]
    pub message: Message,
}

/// A message stands in the place of another one. It is the other one that was said, in this session or in the one that
/// it was forked from, where it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageEdited {
    /// Names the message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
    /// The message in whose place it stands; where absent, it stands between the one before it and what followed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub replaces: Option<MessageId>,
    /// The message.
    #[cfg_attr(test, schemars(with = "crate::schema::Message"))]
    pub message: Message,
}

/// A message is left out. What followed it follows the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageDropped {
    /// The message.
    #[cfg_attr(test, schemars(with = "crate::schema::MessageId"))]
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub parent: Option<MessageId>,
}

super::fact! {
    MessageSystem = "message.system", of message;
    MessageUser = "message.user", of message;
    MessageAssistant = "message.assistant", of message;
    MessageTool = "message.tool", of message;
    MessageEdited = "message.edited", of message;
    MessageDropped = "message.dropped";
}
