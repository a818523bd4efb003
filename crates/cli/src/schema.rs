//! `--schema`: a JSON Schema, the file that holds one, or fields in a few words.

use std::path::Path;

use aichat_engine::{output_of_fields, output_of_schema};
use aichat_providers::Output;

use crate::failure::Failure;
use crate::prompt;

/// Returns the form of answer that a text stands for: a JSON Schema, a file with one, or fields.
///
/// # Errors
/// Fails with kind `input` where a file cannot be read, and with kind `usage` where the text is none of these.
pub(crate) fn parse(text: &str) -> Result<Output, Failure> {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '"']) || ["true", "false"].contains(&trimmed) {
        return Ok(output_of_schema(trimmed, "the schema")?);
    }
    let path = trimmed.strip_prefix('@').unwrap_or(trimmed);
    // What has the marks of several fields, or of a meaning, is no name of a file that is not there.
    let looks_like_one = path.contains('/') || path.ends_with(".json");
    let is_path = path.len() < trimmed.len() || looks_like_one && !path.contains([':', ',', '\n']);
    if is_path || !path.is_empty() && Path::new(path).is_file() {
        return Ok(output_of_schema(&prompt::text_of(Path::new(path))?, path)?);
    }
    Ok(output_of_fields(trimmed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match parse(text) {
            Ok(output) => crate::output::json(&output),
            Err(Failure::Error(report)) => format!("{}: {}", report.kind, report.message),
            Err(_) => panic!("nobody stopped it"),
        }
    }

    #[test]
    fn a_schema_is_sent_as_it_was_written() {
        let text = r#" {"title": "A dog!", "type":"object", "required":[], "x": 12345678901234567890123} "#;
        assert_eq!(said(text), format!(r#"{{"schema":{{"name":"A_dog_","schema":{}}}}}"#, text.trim()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dog");
        std::fs::write(&path, text).unwrap();
        assert_eq!(said(path.to_str().unwrap()), said(text));
    }

    #[test]
    fn complaints_say_how_it_is_written() {
        insta::assert_snapshot!(
            ["{\"a\"", "[1]", "\"x\"", "no/such.json", "", "a, a int", "a date", "a int b", "a/b c"].map(said).join("\n"),
            @r#"
    usage: the schema is not JSON
    usage: in the schema, "[1]": a name has letters, digits, `_` and `-`
    usage: the schema is not a JSON Schema: an object is wanted
    input: cannot read no/such.json: no such file or directory
    usage: the schema is empty
    usage: in the schema, "a int": its name stands there twice
    usage: in the schema, "a date": a type is str, int, float or bool, perhaps with []
    usage: in the schema, "a int b": a field is a name and perhaps a type
    input: cannot read a/b c: no such file or directory
    "#
        );
    }
}
