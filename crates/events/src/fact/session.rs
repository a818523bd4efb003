//! Facts about a session as a whole.

use serde::{Deserialize, Serialize};

/// A session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(default)]
pub struct SessionRenamed {
    /// The new name; `None` takes the name away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A session is hidden and its name is free again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionDeleted {}

/// A conversation of another tool was taken in: the first event of the session that it became, and one more each time
/// that there was more of it.
///
/// The event's own time is when that part of the conversation began there, where the tool says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}
