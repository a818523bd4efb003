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

super::fact! {
    SessionCreated = "session.created";
    SessionRenamed = "session.renamed";
    SessionDeleted = "session.deleted";
}
