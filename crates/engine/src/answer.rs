//! The form an answer shall have, and what is wrong with one that does not have it.

use serde::Deserialize;

use aichat_message::FinishReason;
use aichat_providers::Output;
use serde_json::Value;

use crate::turn::{Outcome, Status};

/// What form the answer to a message shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The one that the session's last answer had; free text where there is none. A form in which no model could
    /// answer is not kept.
    #[default]
    Kept,
    /// Free text.
    Free,
    /// This one.
    Of(Output),
}

/// What of a schema is looked at here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline {
    r#type: Option<Value>,
    required: Vec<String>,
}

impl Outcome {
    /// Returns in what way a completed answer is not of the form that was asked for: it is not JSON, not an object
    /// where one is wanted, or misses a required field of it. Deeper than that nobody looks.
    ///
    /// An answer that calls tools, was refused or was filtered has no form to keep to.
    pub fn misfit(&self) -> Option<String> {
        let output = self.output.as_ref().filter(|_| self.status == Status::Completed)?;
        match &self.finish.as_ref()?.reason {
            FinishReason::ToolCalls | FinishReason::Refusal | FinishReason::ContentFilter => None,
            FinishReason::Length => {
                let misfit = misfit(output, &self.message.text())?;
                Some(format!("{misfit}: it was cut off by its length limit"))
            }
            _ => misfit(output, &self.message.text()),
        }
    }
}

fn misfit(output: &Output, text: &str) -> Option<String> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Some("the answer is not JSON".to_owned());
    };
    let outline = match output {
        Output::Schema { schema, .. } => schema.to().unwrap_or_default(),
        _ => Outline { r#type: Some("object".into()), ..Outline::default() },
    };
    let Some(object) = value.as_object() else {
        let wants_object = outline.r#type == Some("object".into());
        return wants_object.then(|| "the answer is JSON, and no object".to_owned());
    };
    let missing: Vec<&str> =
        outline.required.iter().map(String::as_str).filter(|name| !object.contains_key(*name)).collect();
    (!missing.is_empty()).then(|| format!("the answer has no {}", missing.join(", no ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::Json;

    #[test]
    fn an_answer_is_json_with_the_required_fields() {
        let schema = r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#;
        let wanted = |schema: &str| Output::Schema {
            name: "answer".to_owned(),
            schema: Json::new(schema).unwrap(),
            strict: None,
        };
        for (output, text, what) in [
            (wanted(schema), r#" {"a":1,"b":null,"c":[]} "#, None),
            (wanted(schema), r#"{"a":1"#, Some("the answer is not JSON")),
            (wanted(schema), "```json\n{}\n```", Some("the answer is not JSON")),
            (wanted(schema), r#"{"b":1}"#, Some("the answer has no a")),
            (wanted(schema), "{}", Some("the answer has no a, no b")),
            (wanted(schema), "[1]", Some("the answer is JSON, and no object")),
            (wanted(r#"{"type":"array"}"#), "[1]", None),
            (wanted("true"), "1", None),
            (Output::Json, "{}", None),
            (Output::Json, "1", Some("the answer is JSON, and no object")),
        ] {
            assert_eq!(misfit(&output, text).as_deref(), what, "{text}");
        }
    }
}
