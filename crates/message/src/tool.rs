//! Tools as a model sees them, and the arguments it calls them with.

use serde::{Deserialize, Serialize};

use crate::json::{Json, JsonError};

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of the arguments object.
    pub parameters: Json,
    /// Whether the provider shall enforce the schema; its own default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// The arguments of a tool call: the text as it came, which may be cut off or not JSON at all.
///
/// Kept as text rather than as a JSON value, because white space and line breaks in it belong to what the
/// provider sent and go back byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arguments(String);

impl Arguments {
    /// Returns the text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends a fragment.
    pub fn push_str(&mut self, fragment: &str) {
        self.0.push_str(fragment);
    }

    /// Returns the arguments as JSON; no text at all means no arguments, `{}`.
    ///
    /// # Errors
    /// Fails where the text is not one JSON value, a cut-off call for example.
    pub fn json(&self) -> Result<Json, JsonError> {
        match self.0.trim().is_empty() {
            true => Json::new("{}"),
            false => Json::new(self.0.as_str()),
        }
    }
}

impl From<String> for Arguments {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Arguments {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
