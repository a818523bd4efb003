//! The JSON of an answer, as it is on the wire: everything optional, everything borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use aichat_message::{Extra, Json, Money, Usage};

use super::profile::Billing;
use crate::history::RESPONSE;
use crate::scalar::{Text, count};

/// Fields that no struct here names, as last seen. A field that repeats in every chunk costs a comparison.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    fields: Vec<(Place, Box<str>, Json)>,
}

/// Where an unknown field stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In the response or its choice, around the message.
    Response,
    /// In the message itself.
    Message,
}

impl Unknown {
    fn note(&mut self, place: Place, name: &str, value: &RawValue) {
        if matches!(value.get(), "null" | "[]" | "{}" | "\"\"") {
            return;
        }
        match self.fields.iter_mut().find(|(p, n, _)| *p == place && **n == *name) {
            Some((_, _, old)) if old.get() == value.get() => {}
            Some((_, _, old)) => *old = Json::from_raw(value.to_owned()),
            None => self.fields.push((place, name.into(), Json::from_raw(value.to_owned()))),
        }
    }

    /// Returns the fields with the names they are kept under.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (String, Json)> + use<> {
        std::mem::take(&mut self.fields).into_iter().map(|(place, name, value)| match place {
            Place::Response => (format!("{RESPONSE}{name}"), value),
            Place::Message => (name.into(), value),
        })
    }
}

/// A chunk of a stream, or a whole answer.
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    pub(super) id: Option<Text<'a>>,
    pub(super) model: Option<Text<'a>>,
    pub(super) object: Option<Text<'a>>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) x_groq: Option<XGroq<'a>>,
    /// Whether there was a list of choices, empty or not.
    pub(super) has_choices: bool,
    pub(super) choice: Option<Choice<'a>>,
    pub(super) has_others: bool,
    /// Values that say nothing: padding against traffic analysis, and the time, which the log knows.
    pub(super) padding: Option<&'a RawValue>,
    pub(super) created: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct XGroq<'a> {
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// The first choice; others are skipped.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    index: Option<u64>,
    pub(super) message: Said<'a>,
    pub(super) finish_reason: Option<Text<'a>>,
}

/// What a choice says: a `delta`, or a whole `message`.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) content: Option<Content<'a>>,
    pub(super) refusal: Option<Text<'a>>,
    pub(super) reasoning_content: Option<Text<'a>>,
    pub(super) reasoning: Option<Text<'a>>,
    pub(super) reasoning_details: Vec<&'a RawValue>,
    pub(super) tool_calls: Vec<ToolCall<'a>>,
    pub(super) annotations: Vec<&'a RawValue>,
}

/// Reads an object field by field, with the place for unknown fields at hand.
macro_rules! seed {
    ($name:ident -> $value:ident, $expecting:literal) => {
        pub(super) struct $name<'u>(pub(super) &'u mut Unknown);

        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value<'de>;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = $value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok($value::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut value = $value::default();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    value.field(&name.0, &mut map, self.0)?;
                }
                Ok(value)
            }
        }
    };
}

seed!(ChunkSeed -> Chunk, "an answer");
seed!(ChoiceSeed -> Choice, "a choice");
seed!(SaidSeed -> Said, "a message");

impl<'de> Chunk<'de> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        unknown: &mut Unknown,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = map.next_value()?,
            "model" => self.model = map.next_value()?,
            "object" => self.object = map.next_value()?,
            "error" => self.error = map.next_value()?,
            "usage" => self.usage = map.next_value()?,
            "choices" => map.next_value_seed(ChoicesSeed(self, unknown))?,
            "obfuscation" | "p" => self.padding = map.next_value()?,
            "created" => self.created = map.next_value()?,
            "x_groq" => {
                let raw: &RawValue = map.next_value()?;
                self.x_groq = serde_json::from_str(raw.get()).ok();
                unknown.note(Place::Response, name, raw);
            }
            _ => unknown.note(Place::Response, name, map.next_value()?),
        }
        Ok(())
    }
}

struct ChoicesSeed<'c, 'u, 'de>(&'c mut Chunk<'de>, &'u mut Unknown);

impl<'de> DeserializeSeed<'de> for ChoicesSeed<'_, '_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ChoicesSeed<'_, '_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("choices")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(chunk, unknown) = self;
        chunk.has_choices = true;
        while let Some(choice) = seq.next_element_seed(ChoiceSeed(unknown))? {
            match choice.index.unwrap_or(0) {
                0 if chunk.choice.is_none() => chunk.choice = Some(choice),
                _ => chunk.has_others = true,
            }
        }
        Ok(())
    }
}

impl<'de> Choice<'de> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        unknown: &mut Unknown,
    ) -> Result<(), A::Error> {
        match name {
            "index" => self.index = map.next_value()?,
            "delta" | "message" => self.message = map.next_value_seed(SaidSeed(unknown))?,
            "finish_reason" => self.finish_reason = map.next_value()?,
            // One per token, and only on request: the recorded wire bytes have them.
            "logprobs" => drop(map.next_value::<IgnoredAny>()?),
            _ => unknown.note(Place::Response, name, map.next_value()?),
        }
        Ok(())
    }
}

impl<'de> Said<'de> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        unknown: &mut Unknown,
    ) -> Result<(), A::Error> {
        match name {
            "content" => self.content = map.next_value()?,
            "refusal" => self.refusal = map.next_value()?,
            "reasoning_content" => self.reasoning_content = map.next_value()?,
            "reasoning" => self.reasoning = map.next_value()?,
            "reasoning_details" => self.reasoning_details = list(map.next_value()?),
            "tool_calls" => {
                self.tool_calls = map.next_value::<Option<Vec<ToolCall<'de>>>>()?.unwrap_or_default();
            }
            "annotations" => self.annotations = list(map.next_value()?),
            // Mistral repeats the choice's index in its deltas, and says of messages that they are no prefix.
            "role" | "index" | "prefix" => drop(map.next_value::<IgnoredAny>()?),
            _ => unknown.note(Place::Message, name, map.next_value()?),
        }
        Ok(())
    }
}

fn list(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A message's content.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of parts")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One entry of a content list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContentPart<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

impl ContentPart<'_> {
    /// Returns the text of a thinking part, which is a string or a list of text parts.
    pub(super) fn thought(&self) -> String {
        let Some(raw) = self.thinking else { return String::new() };
        match serde_json::from_str::<Content<'_>>(raw.get()) {
            Ok(Content::Text(text)) => text.into_owned(),
            Ok(Content::Parts(parts)) => parts
                .iter()
                .filter_map(|part| serde_json::from_str::<ContentPart<'_>>(part.get()).ok()?.text)
                .map(|text| text.0.into_owned())
                .collect(),
            Err(_) => String::new(),
        }
    }
}

/// A tool call, or a fragment of one.
#[derive(Debug, Default)]
pub(super) struct ToolCall<'a> {
    pub(super) index: Option<i64>,
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) arguments: Cow<'a, str>,
    pub(super) extra: Extra,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolCall<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = ToolCall<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tool call")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut call = ToolCall::default();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    match &*name.0 {
                        "index" => call.index = map.next_value()?,
                        "id" => call.id = map.next_value::<Option<Text<'de>>>()?.unwrap_or_default().0,
                        "function" => {
                            let function = map.next_value::<Option<Function<'de>>>()?.unwrap_or_default();
                            call.name = function.name.unwrap_or_default().0;
                            call.arguments = function.arguments.map(arguments).unwrap_or_default();
                        }
                        "type" => drop(map.next_value::<IgnoredAny>()?),
                        _ => {
                            let raw: Box<RawValue> = map.next_value()?;
                            if raw.get() != "null" {
                                call.extra.push(&*name.0, Json::from_raw(raw));
                            }
                        }
                    }
                }
                Ok(call)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Returns arguments as text, whether they came as a string or as the object itself.
fn arguments(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => serde_json::from_str::<Text<'_>>(text).unwrap_or_default().0,
        object => Cow::Borrowed(object),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: Option<f64>,
    completion_tokens: Option<f64>,
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    total_tokens: Option<f64>,
    prompt_cache_hit_tokens: Option<f64>,
    cached_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

/// What a usage object says of money, its numbers as they are written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Charged<'a> {
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    cost_details: Option<ChargedElsewhere<'a>>,
    cost_in_usd_ticks: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChargedElsewhere<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// Returns what the provider says that the call costs.
fn charged(raw: &RawValue, billing: Billing) -> Option<Money> {
    let read = |number: Option<&RawValue>| Money::from_number(number?.get());
    match billing {
        Billing::Silent => None,
        Billing::Dollars => {
            let charged: Charged<'_> = serde_json::from_str(raw.get()).ok()?;
            let cost = read(charged.cost)?;
            match charged.is_byok {
                Some(true) => Some(cost + read(charged.cost_details?.upstream_inference_cost)?),
                _ => Some(cost),
            }
        }
        Billing::Ticks => {
            let charged: Charged<'_> = serde_json::from_str(raw.get()).ok()?;
            let ticks = read(charged.cost_in_usd_ticks)?;
            Some(Money::from_pico_dollars(ticks.pico_dollars() / TICKS))
        }
    }
}

/// Ticks of one dollar.
const TICKS: i128 = 10_000_000_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<f64>,
    cache_write_tokens: Option<f64>,
    audio_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
}

/// Returns the counts of a usage object in the one meaning they have here; nothing for an empty one.
///
/// Some servers count reasoning (xAI) or audio (Mistral) beside the totals they belong to. The grand total
/// tells: what it holds beyond input and output is exactly what stood beside them.
pub(super) fn usage(raw: &RawValue, billing: Billing) -> Option<Usage> {
    if !raw.get().starts_with('{') {
        return None;
    }
    let counts: Counts = serde_json::from_str(raw.get()).ok()?;
    let prompt = counts.prompt_tokens_details.unwrap_or_default();
    let completion = counts.completion_tokens_details.unwrap_or_default();
    let mut usage = Usage {
        input_tokens: count(counts.prompt_tokens.or(counts.input_tokens)),
        output_tokens: count(counts.completion_tokens.or(counts.output_tokens)),
        cache_read_tokens: count(
            prompt.cached_tokens.or(counts.prompt_cache_hit_tokens).or(counts.cached_tokens),
        ),
        cache_write_tokens: count(prompt.cache_write_tokens),
        reasoning_tokens: count(completion.reasoning_tokens.or(counts.reasoning_tokens)),
        audio_input_tokens: count(prompt.audio_tokens),
        audio_output_tokens: count(completion.audio_tokens),
        ..Usage::default()
    };
    if usage == Usage::default() && counts.total_tokens.is_none() {
        return None;
    }
    if let (Some(input), Some(output), Some(total)) =
        (usage.input_tokens, usage.output_tokens, count(counts.total_tokens))
    {
        let reasoning = usage.reasoning_tokens.unwrap_or(0);
        let audio = usage.audio_input_tokens.unwrap_or(0);
        match total.saturating_sub(input).saturating_sub(output) {
            0 => {}
            beside if beside == reasoning => usage.output_tokens = output.checked_add(reasoning),
            beside if beside == audio => usage.input_tokens = input.checked_add(audio),
            beside if Some(beside) == reasoning.checked_add(audio) => {
                usage.output_tokens = output.checked_add(reasoning);
                usage.input_tokens = input.checked_add(audio);
            }
            _ => {}
        }
    }
    usage.cost = charged(raw, billing);
    usage.raw = Some(Json::from_raw(raw.to_owned()));
    Some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_is_unknown() {
        let read = |json: &str| {
            usage(serde_json::from_str(json).unwrap(), Billing::Silent)
                .map(|u| (u.input_tokens, u.output_tokens))
        };
        assert_eq!(read(r#"{"prompt_tokens":5.0,"completion_tokens":2}"#), Some((Some(5), Some(2))));
        let huge = r#"{"prompt_tokens":123456789012345678901234567890,"completion_tokens":2}"#;
        assert_eq!(read(huge), Some((None, Some(2))));
        assert_eq!(
            read(r#"{"prompt_tokens":-5,"completion_tokens":2.5,"total_tokens":1}"#),
            Some((None, None))
        );
        assert_eq!(read("[1,2]"), None);
    }

    #[test]
    fn money_is_read_where_the_server_is_known_to_mean_dollars() {
        let read = |json: &str, billing| {
            let usage = usage(serde_json::from_str(json).unwrap(), billing).unwrap();
            usage.cost.map(|cost| cost.to_string())
        };
        let routed = r#"{"prompt_tokens":5,"completion_tokens":2,"cost":1.45e-05,"is_byok":false,
            "cost_details":{"upstream_inference_cost":null}}"#;
        assert_eq!(read(routed, Billing::Dollars).as_deref(), Some("0.0000145"));
        assert_eq!(read(routed, Billing::Silent), None);
        let own_key = r#"{"prompt_tokens":5,"completion_tokens":2,"cost":0.01,"is_byok":true,
            "cost_details":{"upstream_inference_cost":0.2}}"#;
        assert_eq!(read(own_key, Billing::Dollars).as_deref(), Some("0.21"));
        let half = r#"{"prompt_tokens":5,"completion_tokens":2,"cost":0.01,"is_byok":true}"#;
        assert_eq!(read(half, Billing::Dollars), None, "a fee is not the cost");
        let ticks = r#"{"prompt_tokens":5,"completion_tokens":2,"cost_in_usd_ticks":158500}"#;
        assert_eq!(read(ticks, Billing::Ticks).as_deref(), Some("0.00001585"));
        for strange in [
            r#"{"prompt_tokens":5,"cost":"free"}"#,
            r#"{"prompt_tokens":5,"cost":-1}"#,
            r#"{"prompt_tokens":5}"#,
        ] {
            assert_eq!(read(strange, Billing::Dollars), None);
        }
    }
}
