//! Facts about what was said.

use aichat_message::{Message, MessageId};
use serde::{Deserialize, Serialize};

/// The operator gave a standing instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSystem {
    /// Names the message.
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageId>,
    /// The message.
    pub message: Message,
}

/// The user said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageUser {
    /// Names the message.
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageId>,
    /// The message.
    pub message: Message,
}

/// The model said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAssistant {
    /// Names the message.
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageId>,
    /// The message, as far as it came.
    pub message: Message,
    /// Whether the answer was cut off.
    #[serde(default)]
    pub partial: bool,
}

/// Tools gave the results that the model had called them for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageTool {
    /// Names the message.
    pub id: MessageId,
    /// The message before it on its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageId>,
    /// The message.
    pub message: Message,
}

super::fact! {
    MessageSystem = "message.system";
    MessageUser = "message.user";
    MessageAssistant = "message.assistant";
    MessageTool = "message.tool";
}
