//! What `aichat schema` publishes, and whether what is printed keeps to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use crate::common::Home;

/// The published schemas, stricter than they are published: what they do not describe must not be printed, either.
pub(crate) struct Published {
    document: Value,
    /// What was asked for before, made ready.
    ready: RefCell<BTreeMap<String, Validator>>,
}

impl Published {
    pub(crate) fn of(home: &Home) -> Self {
        let mut document: Value = serde_json::from_str(&home.run("schema").out).unwrap();
        document["$defs"].as_object_mut().unwrap().values_mut().for_each(close_within);
        Self { document, ready: RefCell::default() }
    }

    /// Returns the lines of commands that the document tells the data of, without the program's name.
    pub(crate) fn lines(&self) -> BTreeSet<String> {
        let names = self.document["$defs"].as_object().unwrap().keys();
        names.filter_map(|name| name.strip_prefix("aichat ")).map(str::to_owned).collect()
    }

    /// Returns every kind of error.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        let kinds = self.document["$defs"]["error"]["properties"]["kind"]["enum"].as_array().unwrap();
        kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect()
    }

    /// Fails where a value does not keep to a schema, by its name.
    pub(crate) fn hold(&self, name: &str, value: &Value) {
        let faults = self.faults(name, value);
        assert!(faults.is_empty(), "{}\n{value}", faults.join("\n"));
    }

    /// Returns where a value does not keep to a schema.
    pub(crate) fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        let mut ready = self.ready.borrow_mut();
        let validator = ready.entry(name.to_owned()).or_insert_with(|| self.validator(name));
        let told = |fault: ValidationError<'_>| format!("{name}: {}: {fault}", fault.instance_path());
        validator.iter_errors(value).map(told).collect()
    }

    fn validator(&self, name: &str) -> Validator {
        assert!(self.document["$defs"][name].is_object(), "{name} is not published");
        let mut schema = self.document.clone();
        let pointer = name.replace('~', "~0").replace('/', "~1").replace(' ', "%20");
        schema["$ref"] = format!("#/$defs/{pointer}").into();
        schema["unevaluatedProperties"] = false.into();
        jsonschema::validator_for(&schema).unwrap()
    }
}

/// Makes a schema refuse the fields that it does not describe. One that others are put together of is closed where it
/// is used, and not itself.
fn close(schema: &mut Value) {
    close_within(schema);
    let Some(words) = schema.as_object_mut() else { return };
    let describes = ["properties", "$ref", "allOf"].iter().any(|name| words.contains_key(*name));
    if describes && !words.contains_key("additionalProperties") {
        words.insert("unevaluatedProperties".to_owned(), false.into());
    }
}

fn close_within(schema: &mut Value) {
    let Some(words) = schema.as_object_mut() else { return };
    for (name, word) in words {
        match (name.as_str(), word) {
            ("properties", Value::Object(schemas)) => schemas.values_mut().for_each(close),
            ("anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter_mut().for_each(close),
            ("allOf", Value::Array(schemas)) => schemas.iter_mut().for_each(close_within),
            ("items" | "additionalProperties", schema) => close(schema),
            _ => {}
        }
    }
}

/// Adds the lines that tell the shape of a value: names and types, and nothing of what it says. The items of a list
/// are told together, and nothing of what is in the fields `closed`.
pub(crate) fn outline(name: &str, values: &[&Value], depth: usize, closed: &[&str], lines: &mut Vec<String>) {
    let kind = |value: &&Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let kinds: BTreeSet<&str> = values.iter().map(kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    lines.push(format!("{:1$}{name}: {2}", "", depth * 2, kinds.join(" or ")));
    if closed.contains(&name.trim_end_matches('?')) {
        return;
    }
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(|value| value.as_object()).collect();
    let names: BTreeSet<&String> = objects.iter().flat_map(|object| object.keys()).collect();
    for field in names {
        let of: Vec<&Value> = objects.iter().filter_map(|object| object.get(field)).collect();
        let mark = if of.len() < objects.len() { "?" } else { "" };
        outline(&format!("{field}{mark}"), &of, depth + 1, closed, lines);
    }
    let items: Vec<&Value> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
    if !items.is_empty() {
        outline("[]", &items, depth + 1, closed, lines);
    }
}
