//! JSON kept as text: single values and ordered objects whose numbers, key order and escapes never change.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as the text it came in.
///
/// Line breaks between tokens become blanks, so that a value fits on one line of a log; everything else,
/// number precision, key order, duplicate keys and escapes included, is the original. Equality is equality
/// of that text.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Keeps `text` if it is exactly one JSON value.
    ///
    /// # Errors
    /// Fails where `text` is not valid JSON.
    pub fn new(text: impl Into<String>) -> Result<Self, JsonError> {
        RawValue::from_string(text.into()).map(Self::from_raw).map_err(JsonError)
    }

    /// Serializes `value` and keeps the result.
    ///
    /// # Errors
    /// Fails where `value` cannot be represented in JSON, a map with non-string keys for example.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        serde_json::value::to_raw_value(value).map(Self::from_raw).map_err(JsonError)
    }

    /// Keeps a raw value, with the line breaks between its tokens turned into blanks.
    pub fn from_raw(raw: Box<RawValue>) -> Self {
        if !raw.get().bytes().any(|byte| byte == b'\n' || byte == b'\r') {
            return Self(raw);
        }
        // A raw line break is illegal inside a JSON string, so every one of them is insignificant.
        let text = raw.get().replace(['\n', '\r'], " ");
        Self(RawValue::from_string(text).expect("blanks for line breaks keep JSON valid"))
    }

    /// Returns the text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Returns the value as serde_json's raw value, for splicing into other JSON.
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Deserializes the value, borrowing from it where `T` can.
    ///
    /// # Errors
    /// Fails where the value does not have the shape of `T`.
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        serde_json::from_str(self.get()).map_err(JsonError)
    }

    /// Tells whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Json {}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from_raw)
    }
}

/// Text that was to be JSON and is not, or JSON of another shape than asked for.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid JSON at line {} column {}", self.0.line(), self.0.column())
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Fields that a reader did not know, in the order and with the bytes they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra(Vec<(String, Json)>);

impl Extra {
    /// Returns no fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a field; one of the same name is kept beside it, as it was on the wire.
    pub fn push(&mut self, name: impl Into<String>, value: Json) {
        self.0.push((name.into(), value));
    }

    /// Sets a field: the last one of that name is replaced, else it is appended.
    pub fn set(&mut self, name: &str, value: Json) {
        match self.0.iter_mut().rev().find(|(n, _)| n == name) {
            Some(field) => field.1 = value,
            None => self.push(name, value),
        }
    }

    /// Returns the last field of that name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Returns the fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// Tells whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Json)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Extra;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extra, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Extra(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_digits_order_and_duplicates() {
        let text = r#"{"z":123456789012345678901234567890,"a":1.0e+3,"z":"\u00e9"}"#;
        let json = Json::new(text).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        let extra: Extra = json.to().unwrap();
        assert_eq!(extra.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["z", "a", "z"]);
        assert_eq!(serde_json::to_string(&extra).unwrap(), text);
    }

    #[test]
    fn line_breaks_between_tokens_become_blanks() {
        let json = Json::new("{\r\n \"a\": \"x\\ny\"\n}").unwrap();
        assert_eq!(json.get(), "{   \"a\": \"x\\ny\" }");
    }

    #[test]
    fn not_json_is_an_error_that_names_the_place() {
        let error = Json::new("{\"a\":}").unwrap_err();
        assert_eq!(error.to_string(), "invalid JSON at line 1 column 6");
    }

    #[test]
    fn set_replaces_and_get_finds_the_last() {
        let mut extra = Extra::new();
        extra.push("a", Json::new("1").unwrap());
        extra.push("a", Json::new("2").unwrap());
        extra.set("a", Json::new("3").unwrap());
        assert_eq!(serde_json::to_string(&extra).unwrap(), r#"{"a":1,"a":3}"#);
        assert_eq!(extra.get("a").unwrap().get(), "3");
    }
}
