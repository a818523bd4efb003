//! The JSON of an answer, as it is on the wire: everything optional, what is hot borrowed.

use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde_json::value::RawValue;

use aichat_message::{Extra, Json, Usage};

use crate::provider::Model;
use crate::reset;
use crate::scalar::{Text, count};

/// The name of an event or of anything else that has one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tag<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
}

/// An event of a stream; an answer that is not streamed has the same `type` and `error`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A fragment of a block.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fragment<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) citation: Option<&'a RawValue>,
}

/// The fields of an object in order, so that those nobody asks for are left over.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Json)>);

impl Fields {
    /// Reads an object; anything else has no fields.
    pub(super) fn of(raw: &RawValue) -> Self {
        let fields: Extra = serde_json::from_str(raw.get()).unwrap_or_default();
        Self(fields.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }

    /// Takes a field out; null is absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1).filter(|value| !value.is_null())
    }

    /// Takes a text out; what is not a text is none.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name)?.to().ok()
    }

    /// Returns what is left and says something.
    pub(super) fn rest(self) -> impl Iterator<Item = (String, Json)> {
        self.0.into_iter().filter(|(_, value)| !value.is_null())
    }
}

/// Lays the counts of a later event over those of an earlier one, field by field; null says nothing new.
pub(super) fn overlay(known: &mut Extra, raw: &RawValue) {
    let told: Extra = serde_json::from_str(raw.get()).unwrap_or_default();
    for (name, value) in told.iter() {
        if !value.is_null() || known.get(name).is_none() {
            known.set(name, value.clone());
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    cache_creation_input_tokens: Option<f64>,
    cache_read_input_tokens: Option<f64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<f64>,
    ephemeral_1h_input_tokens: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<f64>,
}

/// Returns the counts of a usage object in the one meaning they have here; nothing for an empty one.
///
/// On the wire `input_tokens` is what was neither read from nor written to a cache.
pub(super) fn usage(raw: &Json) -> Option<Usage> {
    if !raw.get().starts_with('{') || raw.to::<Extra>().ok()?.is_empty() {
        return None;
    }
    let counts: Counts = raw.to().unwrap_or_default();
    let by_lifetime = counts.cache_creation.unwrap_or_default();
    let (short, long) =
        (count(by_lifetime.ephemeral_5m_input_tokens), count(by_lifetime.ephemeral_1h_input_tokens));
    let cache_read = count(counts.cache_read_input_tokens);
    let cache_write = count(counts.cache_creation_input_tokens).or_else(|| match (short, long) {
        (None, None) => None,
        _ => Some(short.unwrap_or(0) + long.unwrap_or(0)),
    });
    let uncached = count(counts.input_tokens);
    Some(Usage {
        input_tokens: uncached.map(|all| all + cache_read.unwrap_or(0) + cache_write.unwrap_or(0)),
        output_tokens: count(counts.output_tokens),
        cache_read_tokens: cache_read,
        cache_write_tokens: cache_write,
        cache_write_1h_tokens: long,
        reasoning_tokens: count(counts.output_tokens_details.unwrap_or_default().thinking_tokens),
        raw: Some(raw.clone()),
        ..Usage::default()
    })
}

/// A page of the list of models.
#[derive(Deserialize)]
pub(super) struct ModelList<'a> {
    pub(super) data: Option<Vec<ModelEntry>>,
    #[serde(default)]
    pub(super) has_more: Option<bool>,
    #[serde(default)]
    pub(super) last_id: Option<String>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelEntry {
    id: Option<String>,
    display_name: Option<String>,
    created_at: Option<String>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    capabilities: Option<Capabilities>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    image_input: Option<Capability>,
    thinking: Option<Capability>,
}

#[derive(Deserialize)]
struct Capability {
    supported: Option<bool>,
}

impl ModelEntry {
    pub(super) fn into_model(self) -> Option<Model> {
        let can = self.capabilities.unwrap_or_default();
        Some(Model {
            id: self.id?,
            name: self.display_name,
            context_window: self.max_input_tokens.filter(|most| *most > 0),
            output_limit: self.max_tokens.filter(|most| *most > 0),
            images: can.image_input.and_then(|can| can.supported),
            reasoning: can.thinking.and_then(|can| can.supported),
            // The protocol gives the epoch where the day is not known.
            created: self.created_at.as_deref().and_then(seconds).filter(|seconds| *seconds > 0),
            ..Model::default()
        })
    }
}

fn seconds(moment: &str) -> Option<i64> {
    let since_1970 = reset::date(moment)?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_part_of_the_input_and_unknown_stays_unknown() {
        let read = |json: &str| usage(&Json::new(json).unwrap());
        let all = read(
            r#"{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":4,
                "cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3},
                "output_tokens":7,"output_tokens_details":{"thinking_tokens":2}}"#,
        )
        .unwrap();
        let parts = all.disjoint();
        assert_eq!(all.input_tokens, Some(19));
        assert_eq!((parts.input, parts.cache_read), (Some(10), Some(5)));
        assert_eq!((parts.cache_write, parts.cache_write_1h), (Some(1), Some(3)));
        assert_eq!((parts.output, parts.reasoning), (Some(5), Some(2)));
        let split = read(r#"{"cache_creation":{"ephemeral_5m_input_tokens":2}}"#).unwrap();
        assert_eq!((split.input_tokens, split.cache_write_tokens), (None, Some(2)));
        let odd = read(r#"{"input_tokens":-1,"output_tokens":123456789012345678901234567890}"#).unwrap();
        assert_eq!((odd.input_tokens, odd.output_tokens), (None, None));
        assert!(read(r#"{"input_tokens":"many"}"#).unwrap().raw.is_some());
        assert_eq!((read("{}"), read("null"), read("[1]")), (None, None, None));
    }
}
