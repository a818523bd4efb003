//! Two JSON texts beside each other: whether they say the same, and where they part first.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// How deep two values are taken apart; below, their texts are compared.
const MAX_DEPTH: usize = 128;

/// The first place in which two JSON texts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonDifference {
    /// The way to it, such as `message.parts[0].text`; empty where the values are of different kinds.
    pub path: String,
    /// The JSON that one has there, if anything.
    pub a: Option<String>,
    /// The JSON that the other one has there, if anything.
    pub b: Option<String>,
}

/// Returns the first place in which two JSON texts differ. Neither the order of fields nor white space counts, and numbers
/// are the same only where they are written alike: nothing is rounded. Fields whose path `skip` names are passed over.
pub fn json_difference(a: &str, b: &str, skip: impl Fn(&str) -> bool) -> Option<JsonDifference> {
    let parsed = |text| serde_json::from_str::<&RawValue>(text);
    match (parsed(a), parsed(b)) {
        (Ok(a), Ok(b)) => walk(&mut String::new(), a, b, &skip, 0),
        _ if a == b => None,
        _ => Some(JsonDifference { path: String::new(), a: Some(a.to_owned()), b: Some(b.to_owned()) }),
    }
}

fn walk(
    path: &mut String,
    a: &RawValue,
    b: &RawValue,
    skip: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Option<JsonDifference> {
    if a.get() == b.get() {
        return None;
    }
    let part = |path: &str, a: Option<&RawValue>, b: Option<&RawValue>| {
        let text = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
        Some(JsonDifference { path: path.to_owned(), a: text(a), b: text(b) })
    };
    let first = |value: &RawValue| value.get().as_bytes().first().copied();
    let len = path.len();
    match (first(a), first(b)) {
        (Some(b'{'), Some(b'{')) if depth < MAX_DEPTH => {
            let fields = |value| serde_json::from_str::<BTreeMap<String, &RawValue>>(value);
            let (Ok(a), Ok(b)) = (fields(a.get()), fields(b.get())) else {
                return part(path, Some(a), Some(b));
            };
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                let found = match (a.get(name), b.get(name)) {
                    _ if skip(path) => None,
                    (Some(a), Some(b)) => walk(path, a, b, skip, depth + 1),
                    (a, b) => part(path, a.copied(), b.copied()),
                };
                path.truncate(len);
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        (Some(b'['), Some(b'[')) if depth < MAX_DEPTH => {
            let items = |value| serde_json::from_str::<Vec<&RawValue>>(value);
            let (Ok(a), Ok(b)) = (items(a.get()), items(b.get())) else {
                return part(path, Some(a), Some(b));
            };
            for at in 0..a.len().max(b.len()) {
                path.push_str(&format!("[{at}]"));
                let found = match (a.get(at), b.get(at)) {
                    (Some(a), Some(b)) => walk(path, a, b, skip, depth + 1),
                    (a, b) => part(path, a.copied(), b.copied()),
                };
                path.truncate(len);
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        (Some(b'"'), Some(b'"')) => {
            let text = |value| serde_json::from_str::<String>(value).ok();
            let (one, other) = (text(a.get()), text(b.get()));
            match one.is_some() && one == other {
                true => None,
                false => part(path, Some(a), Some(b)),
            }
        }
        _ => part(path, Some(a), Some(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(a: &str, b: &str) -> Option<String> {
        json_difference(a, b, |path| path.ends_with("id")).map(|found| found.path)
    }

    #[test]
    fn the_first_difference_is_found_and_nothing_is_rounded() {
        for (a, b) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b" : [true, null], "a":1}"#),
            (r#""é\u0041""#, "\"\u{e9}A\""),
            (r#"{"id":1,"x":{"id":2}}"#, r#"{"x":{"id":3}}"#),
            ("not json", "not json"),
        ] {
            assert_eq!(at(a, b), None, "{a} {b}");
        }
        for (a, b, path) in [
            ("1", "1.0", ""),
            ("9007199254740993", "9007199254740992", ""),
            (r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":2}]}"#, "a[0].b"),
            (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, "a[1]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, "b"),
            (r#"{"a":{}}"#, r#"{"a":[]}"#, "a"),
            ("{", "[", ""),
        ] {
            assert_eq!(at(a, b).as_deref(), Some(path), "{a} {b}");
        }
        let found = json_difference(r#"{"a":"x"}"#, "{}", |_| false).unwrap();
        assert_eq!((found.a.as_deref(), found.b), (Some("\"x\""), None));
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(at(&deep(100_000), &deep(100_001)).is_some());
    }
}
