//! YAML as session files have it: a tree whose every node knows its line, read without following any alias.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use aichat_message::Json;

use crate::error::Error;

/// How deep lists and maps may be nested.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// A text; what it means where it is `plain`, without quotes, depends on what is wanted.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A list or a map that is being read.
struct Open {
    node: Node,
    /// The key whose value comes next.
    key: Option<String>,
    keys: HashSet<String>,
}

/// Reads one document.
///
/// # Errors
/// Fails with kind `input`, naming the line, where the text is not YAML, holds more or less than one document, an
/// alias (which could make it grow without end), a key twice or one that is no text, or is nested too deep.
pub(crate) fn parse(text: &str) -> Result<Node, Error> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        let line = span.start.line();
        let done = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                Some(Node { line, value: Value::Scalar { text: text.into_owned(), plain } })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAX_DEPTH {
                    return Err(at(line, "it is nested too deep"));
                }
                if open.last().is_some_and(|open| open.wants_key()) {
                    return Err(at(line, "a key is no text"));
                }
                let value = match event {
                    Event::SequenceStart(..) => Value::List(Vec::new()),
                    _ => Value::Map(Vec::new()),
                };
                open.push(Open { node: Node { line, value }, key: None, keys: HashSet::new() });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| open.node),
            Event::Alias(_) => return Err(at(line, "it holds an alias, which no session has")),
            Event::DocumentStart(_) if root.is_some() => return Err(at(line, "a second document begins")),
            _ => None,
        };
        match (done, open.last_mut()) {
            (Some(node), Some(parent)) => parent.take(node)?,
            (Some(node), None) => root = Some(node),
            (None, _) => {}
        }
    }
    root.ok_or_else(|| Error::input("the file is empty"))
}

impl Open {
    fn wants_key(&self) -> bool {
        self.key.is_none() && matches!(self.node.value, Value::Map(_))
    }

    fn take(&mut self, node: Node) -> Result<(), Error> {
        match (&mut self.node.value, self.key.take()) {
            (Value::List(list), _) => list.push(node),
            (Value::Map(map), Some(key)) => map.push((key, node)),
            (Value::Map(_), None) => match node.value {
                Value::Scalar { text, .. } if self.keys.insert(text.clone()) => self.key = Some(text),
                Value::Scalar { text, .. } => {
                    return Err(at(node.line, &format!("{text:?} stands there twice")));
                }
                _ => return Err(at(node.line, "a key is no text")),
            },
            (Value::Scalar { .. }, _) => unreachable!("only lists and maps are open"),
        }
        Ok(())
    }
}

/// Returns an error about a line.
pub(crate) fn at(line: usize, what: &str) -> Error {
    Error::input(format!("line {line} of the file: {what}"))
}

fn not_yaml(error: &ScanError) -> Error {
    // What the parser says may quote the file. It has a limit of its own, and looks ahead.
    let what = match error.info().contains("recursion limit") {
        true => "it is nested too deep",
        false => "it is not YAML",
    };
    at(error.marker().line(), what).with_source(error.clone())
}

impl Node {
    /// Tells whether nothing is said: `null`, or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if ["", "~", "null"].contains(&text.as_str()))
    }

    /// Returns the text of a scalar.
    pub(crate) fn text(&self, what: &str) -> Result<&str, Error> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Ok(text),
            _ => Err(at(self.line, &format!("{what} is no text"))),
        }
    }

    pub(crate) fn list(&self, what: &str) -> Result<&[Node], Error> {
        match &self.value {
            Value::List(list) => Ok(list),
            _ => Err(at(self.line, &format!("{what} is no list"))),
        }
    }

    pub(crate) fn map(&self, what: &str) -> Result<&[(String, Node)], Error> {
        match &self.value {
            Value::Map(map) => Ok(map),
            _ => Err(at(self.line, &format!("{what} has no fields"))),
        }
    }

    /// Returns a field of a map that must be there.
    pub(crate) fn field(&self, what: &str, name: &str) -> Result<&Node, Error> {
        let field = self.map(what)?.iter().find(|(key, _)| key == name);
        field.map(|(_, node)| node).ok_or_else(|| at(self.line, &format!("{what} has no {name}")))
    }

    /// Returns the same as JSON; a number keeps its digits.
    pub(crate) fn json(&self) -> Json {
        Json::from_value(self).expect("keys are text")
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            _ if self.is_null() => serializer.serialize_unit(),
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => serializer.serialize_bool(true),
                "false" | "False" | "FALSE" => serializer.serialize_bool(false),
                number if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                    match serde_json::from_str::<&RawValue>(number) {
                        Ok(raw) => raw.serialize(serializer),
                        Err(_) => serializer.serialize_str(number),
                    }
                }
                text => serializer.serialize_str(text),
            },
            Value::Scalar { text, .. } => serializer.serialize_str(text),
            Value::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|node| seq.serialize_element(node))?;
                seq.end()
            }
            Value::Map(map) => {
                let mut fields = serializer.serialize_map(Some(map.len()))?;
                map.iter().try_for_each(|(key, node)| fields.serialize_entry(key, node))?;
                fields.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_the_core_schema_says_and_numbers_keep_their_digits() {
        let text = "a: 12345678901234567890123\nb: '7'\nc: [1.50, -2e9, true, null, ~, yes, 0x1F, .inf]\nd: |2-\n   x\n  y\ne: {}\nf:\ng: \"\\u263a\\n\"\n";
        let json = parse(text).unwrap().json();
        let expected = r#"{"a":12345678901234567890123,"b":"7","c":[1.50,-2e9,true,null,null,"yes","0x1F",".inf"],"d":" x\ny","e":{},"f":null,"g":"☺\n"}"#;
        assert_eq!(json.get(), expected);
    }

    #[test]
    fn what_could_grow_or_is_no_single_document_is_refused_with_its_line() {
        let deep = "[".repeat(1_000_000);
        let dashes = "- ".repeat(100_000);
        let keys = "? ".repeat(100_000);
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        for (text, what) in [
            (deep.as_str(), "line 1 of the file: it is nested too deep"),
            (dashes.as_str(), "line 1 of the file: it is nested too deep"),
            (keys.as_str(), "line 1 of the file: a key is no text"),
            (laughs, "line 2 of the file: it holds an alias, which no session has"),
            ("a: 1\nb: 2\na: 3", "line 3 of the file: \"a\" stands there twice"),
            ("[a]: 1", "line 1 of the file: a key is no text"),
            ("a: 1\n---\nb: 2", "line 2 of the file: a second document begins"),
            ("a: 1\n\"b", "line 2 of the file: it is not YAML"),
            ("a: 1\n b: c: d", "line 2 of the file: it is not YAML"),
            ("", "the file is empty"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), what, "{:.40}", text);
        }
    }
}
