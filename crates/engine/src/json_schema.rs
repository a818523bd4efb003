//! Every word of a JSON Schema, by a validator that asks nobody for anything and always comes to an end.

use std::error::Error;
use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError};
use serde_json::Value;

use crate::schema::{Check, Validator, Violation};

/// Most steps that a pattern may go back, where it must: one with look-around or back references. Others never do.
const BACKTRACK_LIMIT: usize = 100_000;
/// Most bytes that a pattern may take in memory.
const PATTERN_SIZE: usize = 1 << 20;
/// Most characters of a phrase; it may quote what it is about.
const LONGEST: usize = 300;

/// Holds answers to every word of their JSON Schema: of the draft that `$schema` names, or of 2020-12.
///
/// What a `$ref` refers to must be in the schema itself: nothing is fetched from the network and no file is read.
/// Patterns are bounded in memory and steps.
#[derive(Clone, Copy, Debug)]
pub struct JsonSchema;

struct Compiled(jsonschema::Validator);

impl Validator for JsonSchema {
    fn compile(&self, schema: &str) -> Result<Arc<dyn Check>, Violation> {
        let schema: Value = serde_json::from_str(schema).map_err(|error| Violation {
            pointer: String::new(),
            message: format!("it cannot be read: {error}"),
        })?;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACK_LIMIT)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE);
        let built =
            jsonschema::options().with_pattern_options(patterns).with_retriever(Refuse).build(&schema);
        match built {
            Ok(validator) => Ok(Arc::new(Compiled(validator))),
            Err(error) => {
                let mut violation = told(&error);
                if violation.pointer.is_empty()
                    && let Some(place) = reference(&schema, &violation.message, String::new())
                {
                    violation.pointer = place;
                }
                Err(violation)
            }
        }
    }
}

impl Check for Compiled {
    fn violations(&self, value: &Value, most: usize) -> Vec<Violation> {
        self.0.iter_errors(value).take(most).map(|error| told(&error)).collect()
    }
}

/// Fetches nothing.
struct Refuse;

impl Retrieve for Refuse {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        Err("schemas elsewhere are not fetched; put it under $defs".into())
    }
}

fn told(error: &ValidationError<'_>) -> Violation {
    let mut message = error.to_string().replace(['\n', '\r'], " ");
    let length = message.chars().count();
    if length > LONGEST {
        // The end says what is wrong, the beginning what with.
        let half = LONGEST / 2;
        let (begin, end) = (message.chars().take(half), message.chars().skip(length - half));
        message = begin.chain(" … ".chars()).chain(end).collect();
    }
    Violation { pointer: error.instance_path().to_string(), message }
}

/// Returns where the reference stands that a message speaks of.
fn reference(schema: &Value, message: &str, at: String) -> Option<String> {
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let is_it = name.ends_with("$ref") || name == "$schema" || name == "$dynamicRef";
            match value.as_str().filter(|_| is_it) {
                Some(target) => {
                    message.contains(target.trim_start_matches('#').trim_end_matches('#')).then_some(place)
                }
                None => reference(value, message, place),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| reference(value, message, format!("{at}/{index}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(schema: &str) -> String {
        JsonSchema.compile(schema).err().map_or_else(|| "fine".to_owned(), |violation| violation.to_string())
    }

    fn violations(schema: &str, value: &str) -> String {
        let check = JsonSchema.compile(schema).unwrap_or_else(|violation| panic!("{violation}"));
        let all = check.violations(&serde_json::from_str(value).unwrap(), 3);
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_wrong_with_a_schema_has_a_place() {
        insta::assert_snapshot!(
            [
                r#"{"properties":{"a":{"type":"objekt"}}}"#,
                r#"{"properties":{"a":{"pattern":"(a"}}}"#,
                r#"{"required":"a"}"#,
                r#"{"items":{"$ref":"http://127.0.0.1:9/x.json"}}"#,
                r#"{"anyOf":[{"$ref":"file:///etc/passwd"}]}"#,
                r##"{"properties":{"a/b":{"$ref":"#/$defs/no"}}}"##,
                r#"{"$schema":"http://example.org/mine"}"#,
                r#"{"pattern":"(a{1000}){1000}"}"#,
            ].map(wrong).join("\n"),
            @r##"
            #/properties/a/type: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword
            #/properties/a/pattern: "(a" is not a "regex"
            #/required: "a" is not of type "array"
            #/items/$ref: Resource 'http://127.0.0.1:9/x.json' is not present in a registry and retrieving it failed: schemas elsewhere are not fetched; put it under $defs
            #/anyOf/0/$ref: Resource 'file:///etc/passwd' is not present in a registry and retrieving it failed: schemas elsewhere are not fetched; put it under $defs
            #/properties/a~1b/$ref: Pointer '/$defs/no' does not exist
            #/$schema: Unknown meta-schema: 'http://example.org/mine'. Custom meta-schemas must be registered in the registry before use
            #/pattern: "(a{1000}){1000}" is not a "regex"
            "##
        );
    }

    #[test]
    fn values_are_held_to_every_word() {
        let schema = r#"{"properties":{"age":{"type":"integer","minimum":0},"name":{},"a/b":{"items":{"enum":["x"]}}},"required":["name"],"additionalProperties":false}"#;
        insta::assert_snapshot!(
            [r#"{"name":1}"#, r#"{"age":"x","a/b":["x","y"]}"#, r#"{"age":-1,"name":1,"more":{"q":2}}"#]
                .map(|value| violations(schema, value)).join("\n--\n"),
            @r##"

            --
            #/a~1b/1: "y" is not one of "x"
            #/age: "x" is not of type "integer"
            #: "name" is a required property
            --
            #/age: -1 is less than the minimum of 0
            #: Additional properties are not allowed ('more' was unexpected)
            "##
        );
        let long = format!("{{\"age\":\"{}\",\"name\":1}}", "é".repeat(5000));
        assert!(violations(schema, &long).chars().count() < 400);
        assert!(violations(schema, &long).ends_with(r#"is not of type "integer""#));
    }

    #[test]
    fn hostile_schemas_and_values_come_to_an_end() {
        for circle in [r##"{"$ref":"#"}"##, r##"{"allOf":[{"$ref":"#"}],"not":{"$ref":"#"}}"##] {
            if let Ok(check) = JsonSchema.compile(circle) {
                check.violations(&Value::Null, 1);
            }
        }
        let many = "a".repeat(100_000) + "b";
        assert_ne!(violations(r#"{"pattern":"^(a+)+$"}"#, &format!("{many:?}")), "");
        assert_ne!(violations(r#"{"pattern":"^(?=(a+)+$)b"}"#, &format!("{many:?}")), "");
        let deep = format!("{}1{}", r#"{"items":"#.repeat(200), "}".repeat(200));
        assert!(wrong(&deep).contains("recursion limit"), "{}", wrong(&deep));
        let deep = format!("{}true{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        assert_eq!(violations(&deep, &format!("{}{}", "[".repeat(100), "]".repeat(100))), "");
    }
}
