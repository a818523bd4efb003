//! Facts about a session as a whole.

use aichat_message::{MessageId, SessionId};
use serde::{Deserialize, Serialize};

use super::turn::AgentRef;
use crate::hex::Hash;

/// A session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionCreated {
    /// Its name, where it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model it was begun with, `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What "the last session" is looked up by: a terminal or a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// A session has another name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionRenamed {
    /// The new name; `None` takes the name away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A session is hidden and its name is free again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionDeleted {}

/// A session begins with what was said in another one up to a place: the first event of a fork.
///
/// What is shared stays where it is. The hash is that of the last event shared, so that nobody can exchange it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionForked {
    /// The session it was forked from.
    #[cfg_attr(test, schemars(with = "crate::schema::SessionId"))]
    pub parent: SessionId,
    /// The place of the last event that is shared.
    pub seq: u64,
    /// The hash of that event.
    pub hash: Hash,
    /// The message that the next one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub head: Option<MessageId>,
    /// Its name, where it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The beginning of its first message, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The model it goes on with, `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// What "the last session" is looked up by: a terminal or a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// A branch ends with another message now, and is the one that turns go on from. Within a turn it is said before the
/// turn's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionHeadMoved {
    /// The name of the branch; a new name begins one.
    pub branch: String,
    /// The message that the next one follows; `None` for the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub head: Option<MessageId>,
}

/// A session goes on with something else than it was begun with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionSettingsChanged {
    /// The model, `provider/model`; as it was, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A session goes on with another provider or model than the turn had that comes before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionModelSwitched {
    /// The model of the turn before, `provider/model`.
    pub from: String,
    /// The model it goes on with, `provider/model`.
    pub to: String,
}

/// A session was put away, or taken up again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionArchived {
    /// Whether it is hidden from lists now.
    pub archived: bool,
}

/// Every payload before this event was erased for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionErased {}

/// A conversation of another tool was taken in: the first event of the session that it became, and one more each time
/// that there was more of it.
///
/// The event's own time is when that part of the conversation began there, where the tool says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionImportedFrom {
    /// The tool it was held with.
    pub tool: String,
    /// The tool's own id of the conversation, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// What the tool called the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was taken in, in microseconds since 1970 UTC.
    pub imported: i64,
    /// What has no place here and was left behind, a phrase each.
    pub lost: Vec<String>,
}

super::fact! {
    SessionImportedFrom = "session.imported_from";
    SessionCreated = "session.created";
    SessionRenamed = "session.renamed";
    SessionDeleted = "session.deleted";
    SessionForked = "session.forked";
    SessionHeadMoved = "session.head.moved";
    SessionModelSwitched = "session.model.switched";
    SessionSettingsChanged = "session.settings.changed";
    SessionArchived = "session.archived";
    SessionErased = "session.erased";
}
