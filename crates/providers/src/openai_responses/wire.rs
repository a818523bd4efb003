//! The JSON of an answer, as it is on the wire: everything optional, everything borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use aichat_message::{Extra, Json, Usage};

use crate::scalar::count;

/// An event of a stream. A field may hold anything, because an event of a kind that this version does not know
/// may use the same name for something else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) output_index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content_index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) summary_index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) part: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
}

/// The fields of an event that differ from one to the next and say nothing: a count, and padding against traffic
/// analysis.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Unread<'a> {
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    obfuscation: Option<&'a RawValue>,
}

impl<'a> Unread<'a> {
    pub(super) fn values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        [self.sequence_number, self.obfuscation].into_iter().flatten().map(RawValue::get)
    }
}

/// The fields of an object in order, those that are null left out.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads an object; anything else has no fields.
    pub(super) fn read(raw: &'a RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Returns a field's text; empty where there is no such field.
    pub(super) fn text(&self, name: &str) -> Cow<'a, str> {
        self.get(name).map(text).unwrap_or_default()
    }

    /// Returns the entries of a list; none where it is not one.
    pub(super) fn list(&self, name: &str) -> Vec<&'a RawValue> {
        self.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// Returns the fields that are not among these.
    pub(super) fn besides(&self, known: &[&str]) -> Extra {
        let rest = self.0.iter().filter(|(name, _)| !known.contains(&&**name));
        rest.map(|(name, value)| (name.clone().into_owned(), Json::from_raw((*value).to_owned()))).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    if value.get() != "null" {
                        fields.push((name.0, value));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns a string's content, borrowed where it has no escapes; of any other value its JSON.
pub(super) fn text(raw: &RawValue) -> Cow<'_, str> {
    let json = raw.get();
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        // Half a surrogate pair is no text; what came is shown rather than lost.
        Some(escaped) => serde_json::from_str::<String>(json).map_or(Cow::Borrowed(escaped), Cow::Owned),
        None => Cow::Borrowed(json),
    }
}

pub(super) fn number(raw: Option<&RawValue>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// Writes a value that is made here as JSON.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Json {
    Json::from_value(value).expect("texts, numbers and objects of them are JSON")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: Option<f64>,
    input_tokens_details: Option<Details>,
    output_tokens: Option<f64>,
    output_tokens_details: Option<Details>,
    total_tokens: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<f64>,
    cache_write_tokens: Option<f64>,
    audio_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
}

/// Returns the counts of a usage object in the one meaning they have here; nothing for an empty one.
pub(super) fn usage(raw: &RawValue) -> Option<Usage> {
    if !raw.get().starts_with('{') {
        return None;
    }
    let counts: Counts = serde_json::from_str(raw.get()).ok()?;
    let input = counts.input_tokens_details.unwrap_or_default();
    let output = counts.output_tokens_details.unwrap_or_default();
    let usage = Usage {
        input_tokens: count(counts.input_tokens),
        output_tokens: count(counts.output_tokens),
        cache_read_tokens: count(input.cached_tokens),
        cache_write_tokens: count(input.cache_write_tokens),
        reasoning_tokens: count(output.reasoning_tokens),
        audio_input_tokens: count(input.audio_tokens),
        audio_output_tokens: count(output.audio_tokens),
        ..Usage::default()
    };
    if usage == Usage::default() && counts.total_tokens.is_none() {
        return None;
    }
    Some(Usage { raw: Some(Json::from_raw(raw.to_owned())), ..usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn texts_are_read_from_whatever_came() {
        assert!(matches!(text(&raw("\"a é\"")), Cow::Borrowed("a é")));
        assert_eq!(text(&raw(r#""a\n\u00e9 \"b\"""#)), "a\né \"b\"");
        assert_eq!(text(&raw("\"\"")), "");
        assert_eq!(text(&raw(r#"{"a": 1}"#)), r#"{"a": 1}"#);
        assert_eq!(text(&raw(r#""\ud83d""#)), r"\ud83d");
    }

    #[test]
    fn fields_keep_their_order_and_null_is_absent() {
        let object = raw(r#"{"z":1,"a\u0062":null,"b":[1, 2],"z":12345678901234567890123}"#);
        let fields = Fields::read(&object);
        assert_eq!(fields.get("z").unwrap().get(), "12345678901234567890123");
        assert!(fields.get("ab").is_none());
        assert_eq!(fields.list("b").len(), 2);
        let rest = serde_json::to_string(&fields.besides(&["b"])).unwrap();
        assert_eq!(rest, r#"{"z":1,"z":12345678901234567890123}"#);
        assert!(Fields::read(&raw("[1]")).get("z").is_none());
    }

    #[test]
    fn what_is_no_count_is_unknown() {
        let read = |json: &str| usage(&raw(json)).map(|u| (u.input_tokens, u.output_tokens));
        assert_eq!(read(r#"{"input_tokens":5.0,"output_tokens":2}"#), Some((Some(5), Some(2))));
        assert_eq!(
            read(r#"{"input_tokens":123456789012345678901,"output_tokens":-1}"#),
            None,
            "nothing of it is known"
        );
        assert_eq!(read(r#"{"total_tokens":3}"#), Some((None, None)));
        assert_eq!((read("{}"), read("[1]")), (None, None));
    }
}
