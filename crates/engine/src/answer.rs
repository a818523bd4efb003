//! The form an answer shall have: the JSON in an answer that has it, and what is wrong with one that does not.

use std::fmt;
use std::sync::Arc;

use aichat_message::{ErrorKind, FinishReason};
use aichat_providers::Output;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::engine::Engine;
use crate::error::Error;
use crate::schema::{Check, Violation};
use crate::turn::{Outcome, Status};

/// Most violations that are told of an answer.
const MOST: usize = 20;
/// Most places of an answer at which JSON is looked for.
const PLACES: usize = 64;
/// Most pieces of JSON that are read to the end of an answer and miss their own.
const OPEN: usize = 4;

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

/// In what way an answer does not keep to the form that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// What is wrong with its JSON; nothing where there is none in it.
    pub violations: Vec<Violation>,
    /// Whether it was cut off by its length limit.
    pub is_cut: bool,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.violations.as_slice() {
            [] => f.write_str("the answer is not JSON")?,
            all => {
                f.write_str("the answer does not keep to its schema")?;
                for (index, violation) in all.iter().enumerate() {
                    write!(f, "{} {violation}", if index == 0 { ":" } else { ";" })?;
                }
            }
        }
        if self.is_cut {
            f.write_str(": it was cut off by its length limit")?;
        }
        Ok(())
    }
}

/// What the answer of a turn is held to.
#[derive(Clone)]
pub(crate) struct Gauge {
    check: Arc<dyn Check>,
    pub(crate) mends: bool,
}

impl Engine {
    /// Tells whether answers can be held to a form, before anything is sent.
    ///
    /// # Errors
    /// Fails with kind `usage`, and the place, where its schema is wrong.
    pub fn check_form(&self, form: &Form) -> Result<(), Error> {
        match form {
            Form::Of(output) => self.gauge(Some(output)).map(drop),
            Form::Kept | Form::Free => Ok(()),
        }
    }

    /// Returns what an answer of a form is held to.
    ///
    /// # Errors
    /// Fails with kind `usage`, and the place, where its schema is wrong.
    pub(crate) fn gauge(&self, output: Option<&Output>) -> Result<Option<Gauge>, Error> {
        let schema = match output {
            None => return Ok(None),
            Some(Output::Schema { schema, .. }) => schema.get(),
            Some(_) => r#"{"type":"object"}"#,
        };
        let validator = &self.0.validator;
        let check = validator.compile(schema).map_err(|violation| {
            Error::new(ErrorKind::Usage, format!("the schema is wrong at {violation}"))
        })?;
        Ok(Some(Gauge { check, mends: validator.mends() }))
    }
}

impl Gauge {
    /// Holds the answer of a turn to its form. An answer that is not whole, calls tools, was refused or was filtered has
    /// no form to keep to.
    pub(crate) fn measure(&self, outcome: &Outcome) -> Option<Result<String, Misfit>> {
        if outcome.status != Status::Completed {
            return None;
        }
        let is_cut = match &outcome.finish.as_ref()?.reason {
            FinishReason::ToolCalls | FinishReason::Refusal | FinishReason::ContentFilter => return None,
            reason => *reason == FinishReason::Length,
        };
        Some(self.taken(&outcome.message.text()).map_err(|violations| Misfit { violations, is_cut }))
    }

    /// Takes the JSON out of an answer: all of it, or what stands in a fence or among other words. Where several pieces
    /// keep to the schema it is the last, as who thinks aloud comes to an end. Where none does, the complaints are
    /// those about the longest.
    fn taken(&self, text: &str) -> Result<String, Vec<Violation>> {
        let mut best: Option<(usize, Vec<Violation>)> = None;
        for piece in pieces(text).into_iter().rev() {
            let violations = match serde_json::from_str::<Value>(piece) {
                Ok(value) => self.check.violations(&value, MOST),
                Err(error) => {
                    vec![Violation { pointer: String::new(), message: format!("it cannot be read: {error}") }]
                }
            };
            if violations.is_empty() {
                return Ok(piece.to_owned());
            }
            if best.as_ref().is_none_or(|(length, _)| piece.len() > *length) {
                best = Some((piece.len(), violations));
            }
        }
        Err(best.map(|(_, violations)| violations).unwrap_or_default())
    }
}

/// Returns the pieces of JSON in a text: the text itself, or else objects and lists, and a value alone in a fence.
fn pieces(text: &str) -> Vec<&str> {
    let whole = text.trim();
    if serde_json::from_str::<&RawValue>(whole).is_ok() {
        return vec![whole];
    }
    if let Some(inside) = fenced(whole).filter(|inside| serde_json::from_str::<&RawValue>(inside).is_ok()) {
        return vec![inside];
    }
    let mut pieces = Vec::new();
    let (mut at, mut open) = (0, 0);
    for _ in 0..PLACES {
        let Some(start) = text[at..].find(['{', '[']).map(|found| at + found) else { break };
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<&RawValue>();
        at = match values.next() {
            Some(Ok(piece)) => {
                pieces.push(piece.get());
                start + piece.get().len()
            }
            Some(Err(error)) if error.is_eof() => {
                open += 1;
                if open == OPEN {
                    break;
                }
                start + 1
            }
            _ => start + 1,
        };
    }
    pieces
}

/// Returns what is in the fence that is all of a text.
fn fenced(text: &str) -> Option<&str> {
    let (_, inside) = text.strip_prefix("```")?.strip_suffix("```")?.split_once('\n')?;
    Some(inside.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Outline, Validator};

    fn taken(schema: &str, text: &str) -> Result<String, String> {
        let check = Outline.compile(schema).unwrap();
        let misfit = |violations| Misfit { violations, is_cut: false }.to_string();
        Gauge { check, mends: false }.taken(text).map_err(misfit)
    }

    #[test]
    fn json_is_taken_out_of_what_stands_around_it() {
        let schema = r#"{"type":"object","required":["a"]}"#;
        for (text, json) in [
            (" {\"a\": 1.10,\n \"b\":null}\n", "{\"a\": 1.10,\n \"b\":null}"),
            ("```json\n{\"a\":1}\n```", "{\"a\":1}"),
            ("Here it is:\n\n```\n{\"a\":1}\n```\nDone.", "{\"a\":1}"),
            ("The set [1] and {x} give {\"a\":{\"b\":[]}}, I think.", "{\"a\":{\"b\":[]}}"),
            ("First {\"a\":1}, no: {\"a\":2}. And {\"b\":3}", "{\"a\":2}"),
            ("{\"a\":\"}{\"} {", "{\"a\":\"}{\"}"),
        ] {
            assert_eq!(taken(schema, text).as_deref(), Ok(json), "{text}");
        }
        assert_eq!(taken("true", "```\n42\n```").as_deref(), Ok("42"));
        assert_eq!(taken(r#"{"type":"array"}"#, "so: [1, 2]").as_deref(), Ok("[1, 2]"));
    }

    #[test]
    fn complaints_are_about_the_longest_piece() {
        let schema = r#"{"type":"object","required":["a","b"]}"#;
        let wrong = |text| taken(schema, text).unwrap_err();
        assert_eq!(wrong("none"), "the answer is not JSON");
        assert_eq!(wrong(r#"{"a":1"#), "the answer is not JSON");
        assert_eq!(wrong("[1]"), "the answer does not keep to its schema: #: an object is wanted");
        assert_eq!(
            wrong(r#"{} or {"b":1}"#),
            r#"the answer does not keep to its schema: #: "a" is a required property"#
        );
    }

    #[test]
    fn megabytes_of_brackets_are_given_up_soon() {
        for text in ["[".repeat(1 << 20), "{".repeat(1 << 20), "[{".repeat(1 << 20)] {
            assert_eq!(taken("true", &text).unwrap_err(), "the answer is not JSON");
        }
        let long = format!("[{}0]", "0,".repeat(1 << 19));
        assert_eq!(taken("true", &long).map(|json| json.len()), Ok(long.len()));
    }
}
