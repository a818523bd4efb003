//! The JSON of an answer, as it is on the wire: objects as fields, everything optional, everything borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use aichat_message::{Json, Usage};

use crate::provider::Model;
use crate::scalar::{Text, count};

/// The fields of an object, in order and unread; null is absent.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(pub(super) Vec<Field<'a>>);

pub(super) type Field<'a> = (Cow<'a, str>, &'a RawValue);

impl<'a> Fields<'a> {
    pub(super) fn read(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(4);
                while let Some(Text(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if value.get() != "null" {
                        fields.push((name, value));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// Returns a name in the spelling of the protocol's JSON; some servers write `finish_reason` for `finishReason`.
fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    Cow::Owned(camel)
}

/// Returns a string's content, or the JSON of any other value; borrowed where there are no escapes.
fn text(raw: &RawValue) -> serde_json::Result<Cow<'_, str>> {
    let json = raw.get();
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(json).map(Cow::Owned),
        None => Ok(Cow::Borrowed(json)),
    }
}

fn list(raw: &RawValue) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_str(raw.get())
}

/// An element of a stream, or a whole answer.
#[derive(Debug, Default)]
pub(super) struct Response<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) usage: Option<&'a RawValue>,
    /// Why the question was not answered at all.
    pub(super) block_reason: Option<Cow<'a, str>>,
    pub(super) candidate: Option<Candidate<'a>>,
    pub(super) has_others: bool,
    pub(super) unknown: Vec<Field<'a>>,
}

impl<'a> Response<'a> {
    pub(super) fn read(json: &'a str) -> serde_json::Result<Self> {
        let mut response = Self::default();
        for (name, raw) in Fields::read(json)?.0 {
            match &*camel(&name) {
                "candidates" => {
                    for raw in list(raw)? {
                        let candidate = Candidate::read(raw)?;
                        match candidate.index {
                            0 if response.candidate.is_none() => response.candidate = Some(candidate),
                            _ => response.has_others = true,
                        }
                    }
                }
                "usageMetadata" => response.usage = Some(raw),
                "responseId" => response.id = Some(text(raw)?),
                "modelVersion" => response.model = Some(text(raw)?),
                "error" => response.error = Some(raw),
                "promptFeedback" => {
                    let fields = Fields::read(raw.get())?.0;
                    let reason = fields.iter().find(|(name, _)| camel(name) == "blockReason");
                    response.block_reason = reason.map(|(_, raw)| text(raw)).transpose()?;
                    response.unknown.push((name, raw));
                }
                // The time, which the log knows.
                "createTime" => {}
                _ => response.unknown.push((name, raw)),
            }
        }
        Ok(response)
    }
}

/// The first candidate; others are skipped.
#[derive(Debug, Default)]
pub(super) struct Candidate<'a> {
    index: u64,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) finish: Option<Cow<'a, str>>,
    pub(super) finish_message: Option<Cow<'a, str>>,
    /// Fields beside the content.
    pub(super) unknown: Vec<Field<'a>>,
    /// Fields of the content.
    pub(super) unknown_content: Vec<Field<'a>>,
}

impl<'a> Candidate<'a> {
    fn read(raw: &'a RawValue) -> serde_json::Result<Self> {
        let mut candidate = Self::default();
        for (name, raw) in Fields::read(raw.get())?.0 {
            match &*camel(&name) {
                "content" => candidate.content(raw)?,
                "finishReason" => candidate.finish = Some(text(raw)?),
                "index" => candidate.index = serde_json::from_str(raw.get())?,
                // One per token, and only on request: the recorded wire bytes have them.
                "logprobsResult" => {}
                field => {
                    if field == "finishMessage" {
                        candidate.finish_message = Some(text(raw)?);
                    }
                    candidate.unknown.push((name, raw));
                }
            }
        }
        Ok(candidate)
    }

    fn content(&mut self, raw: &'a RawValue) -> serde_json::Result<()> {
        for (name, raw) in Fields::read(raw.get())?.0 {
            match &*name {
                "parts" => {
                    self.parts = list(raw)?.into_iter().map(Part::read).collect::<Result<_, _>>()?;
                }
                "role" => {}
                _ => self.unknown_content.push((name, raw)),
            }
        }
        Ok(())
    }
}

/// One part of the content.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) data: Data<'a>,
    pub(super) thought: bool,
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) unknown: Vec<Field<'a>>,
}

/// What a part is.
#[derive(Debug, Default)]
pub(super) enum Data<'a> {
    Text(Cow<'a, str>),
    Call(Call<'a>),
    Inline(Blob<'a>),
    File(Blob<'a>),
    /// A part of a kind that has no name here, or of none at all.
    #[default]
    Other,
}

impl<'a> Part<'a> {
    fn read(raw: &'a RawValue) -> serde_json::Result<Self> {
        let mut part = Self::default();
        for (name, raw) in Fields::read(raw.get())?.0 {
            match (&*camel(&name), &part.data) {
                ("text", Data::Other) => part.data = Data::Text(text(raw)?),
                ("functionCall", Data::Other) => part.data = Data::Call(Call::read(raw)?),
                ("inlineData", Data::Other) => part.data = Data::Inline(Blob::read(raw)?),
                ("fileData", Data::Other) => part.data = Data::File(Blob::read(raw)?),
                ("thought", _) => part.thought = raw.get() == "true",
                ("thoughtSignature", _) => part.signature = Some(text(raw)?),
                _ => part.unknown.push((name, raw)),
            }
        }
        part.signature = part.signature.filter(|signature| !signature.is_empty());
        Ok(part)
    }
}

/// A call of a function, or a piece of one.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) args: Option<&'a RawValue>,
    pub(super) partial_args: Vec<PartialArg<'a>>,
    pub(super) will_continue: bool,
    pub(super) unknown: Vec<Field<'a>>,
}

impl<'a> Call<'a> {
    fn read(raw: &'a RawValue) -> serde_json::Result<Self> {
        let mut call = Self::default();
        for (name, raw) in Fields::read(raw.get())?.0 {
            match &*camel(&name) {
                "id" => call.id = text(raw)?,
                "name" => call.name = text(raw)?,
                "args" => call.args = Some(raw),
                "partialArgs" => call.partial_args = serde_json::from_str(raw.get())?,
                "willContinue" => call.will_continue = raw.get() == "true",
                _ => call.unknown.push((name, raw)),
            }
        }
        Ok(call)
    }
}

/// One value inside arguments that arrive in pieces, or a piece of a text there; without a value it is null.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PartialArg<'a> {
    #[serde(alias = "json_path")]
    pub(super) json_path: String,
    #[serde(alias = "string_value")]
    pub(super) string_value: Option<String>,
    #[serde(alias = "number_value", borrow)]
    pub(super) number_value: Option<&'a RawValue>,
    #[serde(alias = "bool_value")]
    pub(super) bool_value: Option<bool>,
    #[serde(alias = "will_continue")]
    pub(super) will_continue: Option<bool>,
}

/// Media, by its bytes or by its address.
#[derive(Debug, Default)]
pub(super) struct Blob<'a> {
    pub(super) mime: Option<Cow<'a, str>>,
    /// Base64, or an address.
    pub(super) source: Cow<'a, str>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) unknown: Vec<Field<'a>>,
}

impl<'a> Blob<'a> {
    fn read(raw: &'a RawValue) -> serde_json::Result<Self> {
        let mut blob = Self::default();
        for (name, raw) in Fields::read(raw.get())?.0 {
            match &*camel(&name) {
                "mimeType" => blob.mime = Some(text(raw)?),
                "data" | "fileUri" => blob.source = text(raw)?,
                "displayName" => blob.name = Some(text(raw)?),
                _ => blob.unknown.push((name, raw)),
            }
        }
        Ok(blob)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts {
    #[serde(alias = "prompt_token_count")]
    prompt_token_count: Option<f64>,
    #[serde(alias = "cached_content_token_count")]
    cached_content_token_count: Option<f64>,
    #[serde(alias = "candidates_token_count")]
    candidates_token_count: Option<f64>,
    #[serde(alias = "thoughts_token_count")]
    thoughts_token_count: Option<f64>,
    #[serde(alias = "tool_use_prompt_token_count")]
    tool_use_prompt_token_count: Option<f64>,
    #[serde(alias = "total_token_count")]
    total_token_count: Option<f64>,
    #[serde(alias = "prompt_tokens_details")]
    prompt_tokens_details: Option<Vec<Share>>,
    #[serde(alias = "candidates_tokens_details")]
    candidates_tokens_details: Option<Vec<Share>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Share {
    modality: Option<String>,
    #[serde(alias = "token_count")]
    token_count: Option<f64>,
}

/// Returns the counts of a usage object in the one meaning they have here; nothing for an empty one.
///
/// The prompt is counted with what was cached and without what the provider's own tools read for it; thoughts
/// stand beside the candidates.
pub(super) fn usage(raw: &RawValue) -> Option<Usage> {
    if !raw.get().starts_with('{') {
        return None;
    }
    let counts: Counts = serde_json::from_str(raw.get()).ok()?;
    let audio = |shares: Option<Vec<Share>>| {
        let share = shares?.into_iter().find(|share| share.modality.as_deref() == Some("AUDIO"))?;
        count(share.token_count)
    };
    let thoughts = count(counts.thoughts_token_count);
    let tools = count(counts.tool_use_prompt_token_count).unwrap_or(0);
    let usage = Usage {
        input_tokens: count(counts.prompt_token_count).and_then(|prompt| prompt.checked_add(tools)),
        output_tokens: match (count(counts.candidates_token_count), thoughts) {
            (Some(said), Some(thought)) => said.checked_add(thought),
            (said, thought) => said.or(thought),
        },
        cache_read_tokens: count(counts.cached_content_token_count),
        reasoning_tokens: thoughts,
        audio_input_tokens: audio(counts.prompt_tokens_details),
        audio_output_tokens: audio(counts.candidates_tokens_details),
        ..Usage::default()
    };
    if usage == Usage::default() && counts.total_token_count.is_none() {
        return None;
    }
    Some(Usage { raw: Some(Json::from_raw(raw.to_owned())), ..usage })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModelList<'a> {
    pub(super) models: Option<Vec<ModelEntry>>,
    pub(super) next_page_token: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModelEntry {
    name: Option<String>,
    display_name: Option<String>,
    input_token_limit: Option<u64>,
    output_token_limit: Option<u64>,
    thinking: Option<bool>,
}

impl ModelEntry {
    pub(super) fn into_model(self) -> Option<Model> {
        let name = self.name?;
        Some(Model {
            id: name.strip_prefix("models/").unwrap_or(&name).to_owned(),
            name: self.display_name,
            context_window: self.input_token_limit,
            output_limit: self.output_token_limit,
            reasoning: self.thinking,
            ..Model::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_both_spellings() {
        assert_eq!(camel("finish_reason"), "finishReason");
        assert_eq!(camel("finishReason"), "finishReason");
        assert_eq!(camel("_"), "");
    }

    #[test]
    fn totals_hold_what_the_provider_counts_beside_them() {
        let read = |json: &str| {
            usage(serde_json::from_str(json).unwrap()).map(|u| (u.input_tokens, u.output_tokens))
        };
        let all = r#"{"promptTokenCount":283,"candidatesTokenCount":39,"totalTokenCount":2084,
            "toolUsePromptTokenCount":1534,"thoughtsTokenCount":228}"#;
        assert_eq!(read(all), Some((Some(1817), Some(267))));
        assert_eq!(read(r#"{"prompt_token_count":5,"thoughts_token_count":7}"#), Some((Some(5), Some(7))));
        assert_eq!(read(r#"{"promptTokenCount":4,"totalTokenCount":4}"#), Some((Some(4), None)));
        assert_eq!(read(r#"{"promptTokenCount":-4,"candidatesTokenCount":1e300}"#), None);
        assert_eq!((read("{}"), read("[1]")), (None, None));
    }
}
