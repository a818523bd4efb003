//! JSON Schemas: who reads them, and what is wrong with JSON by one.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads JSON Schemas. The engine has no such reader of its own but [`Outline`]; `JsonSchema` is behind the feature
/// `json-schema`.
pub trait Validator: Send + Sync {
    /// Makes a check of a schema, without asking the network or the file system for anything.
    ///
    /// # Errors
    /// Fails with what is wrong with the schema, and where in it.
    fn compile(&self, schema: &str) -> Result<Arc<dyn Check>, Violation>;

    /// Tells whether answers that fail a check are asked for once more.
    fn mends(&self) -> bool {
        true
    }
}

/// Holds JSON to one schema.
pub trait Check: Send + Sync {
    /// Returns what is wrong with a value: nothing where it keeps to the schema, and at most `most` of what there is.
    fn violations(&self, value: &Value, most: usize) -> Vec<Violation>;
}

/// Something that is wrong with a value, or with a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where, as a JSON pointer; empty for all of it.
    pub pointer: String,
    /// What, in a phrase.
    pub message: String,
}

impl fmt::Display for Violation {
    /// Writes place and phrase, the place as a fragment: `#/age: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}: {}", self.pointer, self.message)
    }
}

/// Looks at the outline of a schema: whether an object is wanted, and which fields of it are required. Answers that miss
/// them are not asked for again.
#[derive(Clone, Copy, Debug)]
pub struct Outline;

/// What of a schema is looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    r#type: Option<Value>,
    required: Vec<String>,
}

impl Validator for Outline {
    fn compile(&self, schema: &str) -> Result<Arc<dyn Check>, Violation> {
        let wanted = serde_json::from_str::<Wanted>(schema);
        Ok(Arc::new(wanted.unwrap_or_default()))
    }

    fn mends(&self) -> bool {
        false
    }
}

impl Check for Wanted {
    fn violations(&self, value: &Value, most: usize) -> Vec<Violation> {
        let at_top = |message: String| Violation { pointer: String::new(), message };
        let Some(object) = value.as_object() else {
            let wants_object = self.r#type == Some("object".into());
            return wants_object.then(|| at_top("an object is wanted".to_owned())).into_iter().collect();
        };
        let missing = self.required.iter().filter(|name| !object.contains_key(*name));
        missing.take(most).map(|name| at_top(format!("{name:?} is a required property"))).collect()
    }
}
