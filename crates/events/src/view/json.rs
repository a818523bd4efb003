//! JSON for people: on many lines, or as an outline, with every name and number as it was written.

use std::fmt;

use aichat_message::Json;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep an outline goes; what is deeper stands in one line.
const DEPTH: usize = 12;

/// Returns JSON with a line for every value; no name is moved and no number is rounded.
pub fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut chars = json.chars().filter(|c| !c.is_control() || *c == ' ').peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| next.is_whitespace()).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' => {
                in_string = true;
                out.push(c);
            }
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// Returns JSON as names and values, one a line, indented; text is shown without quotes.
pub(super) fn outline(json: &Json) -> String {
    let mut out = String::new();
    write(&mut out, json, 0);
    out
}

fn write(out: &mut String, json: &Json, depth: usize) {
    let indent = "  ".repeat(depth);
    let value = if depth < DEPTH { json.to::<Value>().ok() } else { None };
    match value {
        Some(Value::Object(fields)) if !fields.is_empty() => {
            for (name, value) in fields {
                out.push_str(&format!("{indent}{name}:"));
                nested(out, &value, depth);
            }
        }
        Some(Value::Array(items)) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("{indent}-"));
                nested(out, &item, depth);
            }
        }
        Some(Value::Text(text)) => {
            for part in text.split('\n') {
                out.push_str(&format!("{indent}{part}\n"));
            }
        }
        _ => out.push_str(&format!("{indent}{}\n", json.get())),
    }
}

/// Writes a value after a name: on the same line where it is short.
fn nested(out: &mut String, json: &Json, depth: usize) {
    match json.to::<Value>() {
        Ok(Value::Object(fields)) if !fields.is_empty() => {}
        Ok(Value::Array(items)) if !items.is_empty() => {}
        Ok(Value::Text(text)) if text.contains('\n') => {}
        Ok(Value::Text(text)) => return out.push_str(&format!(" {text}\n")),
        _ => return out.push_str(&format!(" {}\n", json.get())),
    }
    out.push('\n');
    write(out, json, depth + 1);
}

/// One level of a JSON value.
enum Value {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Level)
    }
}

struct Level;

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"z":1,"a":{"n":12345678901234567890123,"e":{},"l":[]},"s":"a\"{,\\","l":[ 1, {"x":null} ]}"#;

    #[test]
    fn nothing_is_moved_or_rounded() {
        insta::assert_snapshot!(pretty(TEXT), @r#"
        {
          "z": 1,
          "a": {
            "n": 12345678901234567890123,
            "e": {},
            "l": []
          },
          "s": "a\"{,\\",
          "l": [
            1,
            {
              "x": null
            }
          ]
        }
        "#);
    }

    #[test]
    fn an_outline_shows_text_as_it_is() {
        let json = Json::new(TEXT).unwrap();
        insta::assert_snapshot!(outline(&json), @r#"
        z: 1
        a:
          n: 12345678901234567890123
          e: {}
          l: []
        s: a"{,\
        l:
          - 1
          -
            x: null
        "#);
        assert_eq!(outline(&Json::new(r#"{"t":"a\nb","x":"c"}"#).unwrap()), "t:\n  a\n  b\nx: c\n");
        assert_eq!(outline(&Json::new("7").unwrap()), "7\n");
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(outline(&Json::new(&deep).unwrap()).lines().count() < 20);
    }
}
