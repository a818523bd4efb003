//! The form of answers in a few words: a JSON Schema that is given, or one that is made of fields.

use aichat_message::{ErrorKind, Extra, Json};
use aichat_providers::Output;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Longest name providers take for a schema.
const LONGEST_NAME: usize = 64;

/// Returns the form of answer that a JSON Schema stands for. It is named by its title; `what` is what a complaint calls
/// the text.
///
/// # Errors
/// Fails with kind `usage` where the text is none.
pub fn output_of_schema(text: &str, what: &str) -> Result<Output, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Head {
        title: Option<String>,
    }
    let wrong = |why: &str| Error::new(ErrorKind::Usage, format!("{what} {why}"));
    let schema = Json::new(text.trim()).map_err(|_| wrong("is not JSON"))?;
    let head: Head = schema.to().map_err(|_| wrong("is not a JSON Schema: an object is wanted"))?;
    let name: String = head.title.unwrap_or_default().chars().map(legal).take(LONGEST_NAME).collect();
    let name = if name.is_empty() { "answer".to_owned() } else { name };
    Ok(Output::Schema { name, schema, strict: None })
}

fn legal(c: char) -> char {
    if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' }
}

/// Returns the form of answer that fields stand for.
///
/// Fields are written with commas or line breaks between them: a name, perhaps its type (`str`, `int`, `float`,
/// `bool`, and any of them with `[]` for a list), and after a colon what it means: `name, age int, tags str[]: in
/// English`. All of them are required, and there are no others.
///
/// # Errors
/// Fails with kind `usage` where the text is none.
pub fn output_of_fields(text: &str) -> Result<Output, Error> {
    #[derive(Serialize)]
    struct Object<'a> {
        r#type: &'static str,
        properties: &'a Extra,
        required: Vec<&'a str>,
        #[serde(rename = "additionalProperties")]
        additional_properties: bool,
    }
    let mut properties = Extra::new();
    // A meaning may have commas in it, where every field has a line of its own.
    let separator = if text.contains('\n') { '\n' } else { ',' };
    for field in text.split(separator).map(str::trim).filter(|field| !field.is_empty()) {
        let (name, property) = property(field)?;
        if properties.get(name).is_some() {
            return Err(wrong(field, "its name stands there twice"));
        }
        properties.push(name, property);
    }
    if properties.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the schema is empty").with_hint(hint()));
    }
    let object = Object {
        r#type: "object",
        properties: &properties,
        required: properties.iter().map(|(name, _)| name).collect(),
        additional_properties: false,
    };
    let schema = Json::from_value(&object).expect("a schema has string keys only");
    Ok(Output::Schema { name: "answer".to_owned(), schema, strict: Some(true) })
}

fn property(field: &str) -> Result<(&str, Json), Error> {
    #[derive(Serialize)]
    struct Property<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        items: Option<Item<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Item<'a> {
        r#type: &'a str,
    }
    let (head, meaning) = match field.split_once(':') {
        Some((head, meaning)) => (head, Some(meaning.trim()).filter(|meaning| !meaning.is_empty())),
        None => (field, None),
    };
    let mut words = head.split_whitespace();
    let (name, kind) = match (words.next(), words.next(), words.next()) {
        (Some(name), kind, None) => (name, kind.unwrap_or("str")),
        _ => return Err(wrong(field, "a field is a name and perhaps a type")),
    };
    if !name.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) {
        return Err(wrong(field, "a name has letters, digits, `_` and `-`"));
    }
    let (one, is_list) = kind.strip_suffix("[]").map_or((kind, false), |one| (one, true));
    let one = match one {
        "str" | "string" => "string",
        "int" | "integer" => "integer",
        "float" | "number" => "number",
        "bool" | "boolean" => "boolean",
        _ => return Err(wrong(field, "a type is str, int, float or bool, perhaps with []")),
    };
    let property = match is_list {
        true => Property { r#type: "array", items: Some(Item { r#type: one }), description: meaning },
        false => Property { r#type: one, items: None, description: meaning },
    };
    Ok((name, Json::from_value(&property).expect("a schema has string keys only")))
}

/// How fields are written.
const FIELDS: &str =
    "write a JSON Schema, a file that holds one, or fields: \"name, age int, tags str[]: in English\"";

fn hint() -> Option<String> {
    Some(FIELDS.to_owned())
}

fn wrong(field: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("in the schema, {field:?}: {why}")).with_hint(hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(output: Result<Output, Error>) -> String {
        match output {
            Ok(output) => serde_json::to_string(&output).unwrap(),
            Err(error) => format!("{}: {error}", error.kind()),
        }
    }

    fn fields(text: &str) -> String {
        said(output_of_fields(text))
    }

    #[test]
    fn fields_become_a_schema_that_allows_nothing_else() {
        insta::assert_snapshot!(
            fields("name, age int, height float, is_dog bool, tags str[]: in English"),
            @r#"{"schema":{"name":"answer","schema":{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"height":{"type":"number"},"is_dog":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"},"description":"in English"}},"required":["name","age","height","is_dog","tags"],"additionalProperties":false},"strict":true}}"#
        );
        assert!(fields("speed float: in km/h").contains(r#""description":"in km/h""#));
        assert!(fields("file: such as a.json").contains(r#""description":"such as a.json""#));
        assert!(
            fields("bio: short, and in French\nage int").contains(r#""description":"short, and in French""#)
        );
    }

    #[test]
    fn a_schema_is_sent_as_it_was_written() {
        let text = r#" {"title": "A dog!", "type":"object", "required":[], "x": 12345678901234567890123} "#;
        let sent = said(output_of_schema(text, "the schema"));
        assert_eq!(sent, format!(r#"{{"schema":{{"name":"A_dog_","schema":{}}}}}"#, text.trim()));
    }

    #[test]
    fn complaints_say_how_it_is_written() {
        let schemas = ["{\"a\"", "[1]", "\"x\""].map(|text| said(output_of_schema(text, "dog.json")));
        let all = [schemas.join("\n"), ["", "a, a int", "a date", "a int b", "[1]"].map(fields).join("\n")];
        insta::assert_snapshot!(all.join("\n"), @r#"
        usage: dog.json is not JSON
        usage: dog.json is not a JSON Schema: an object is wanted
        usage: dog.json is not a JSON Schema: an object is wanted
        usage: the schema is empty
        usage: in the schema, "a int": its name stands there twice
        usage: in the schema, "a date": a type is str, int, float or bool, perhaps with []
        usage: in the schema, "a int b": a field is a name and perhaps a type
        usage: in the schema, "[1]": a name has letters, digits, `_` and `-`
        "#);
    }
}
