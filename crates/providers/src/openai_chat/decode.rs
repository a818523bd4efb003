//! The answer of a chat completion, streamed or whole, as deltas.

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use aichat_message::{
    Delta, ErrorKind, Extra, Finish, FinishReason, Json, Opaque, OpaqueKind, Part, PartKind, Start,
};

use super::profile::Billing;
use super::wire::{self, Choice, Chunk, ChunkSeed, Content, ContentPart, Said, ToolCall, Unknown};
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::scalar::Text;
use crate::stencil::Stencil;

/// Reads one answer.
#[derive(Debug)]
pub(super) struct ChatDecoder {
    provider: String,
    billing: Billing,
    /// The shape of the last chunk, and what its text is.
    stencil: Stencil,
    repeats: Option<Fragment>,
    unknown: Unknown,
    start: Start,
    next_part: u32,
    /// The part that text, reasoning or a refusal goes to, until another kind begins.
    open: Option<(Open, u32)>,
    /// The part that reasoning details belong to.
    reasoning: Option<u32>,
    details: Vec<Detail>,
    calls: Vec<Call>,
    usage: Option<Box<str>>,
    refused: bool,
    warned: bool,
    choices: bool,
    /// The provider's word for the end, once it is known that the answer is over.
    finish: Option<Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Reasoning,
    Refusal,
}

/// What a text is a fragment of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fragment {
    Said(Open),
    /// The arguments of a call that is known by no more than its index.
    Arguments(Option<i64>),
}

/// A tool call under way.
#[derive(Debug)]
struct Call {
    part: u32,
    index: Option<i64>,
    id: String,
    named: bool,
    arguments: String,
}

/// One entry of `reasoning_details`.
#[derive(Debug)]
struct Detail {
    /// As it came.
    raw: Json,
    fields: Extra,
    /// Whether other entries were merged into the fields.
    merged: bool,
    /// The whole text and the name of its field, if it came in fragments.
    text: Option<(&'static str, String)>,
}

impl ChatDecoder {
    pub(super) fn new(provider: String, billing: Billing) -> Self {
        Self {
            provider,
            billing,
            stencil: Stencil::default(),
            repeats: None,
            unknown: Unknown::default(),
            start: Start::default(),
            next_part: 0,
            open: None,
            reasoning: None,
            details: Vec::new(),
            calls: Vec::new(),
            usage: None,
            refused: false,
            warned: false,
            choices: false,
            finish: None,
        }
    }

    /// Takes a chunk that only continues what the last one said, if it is one; the rest of it changes nothing.
    fn repeated(&mut self, json: &str, out: &mut Vec<Delta>) -> bool {
        let Some(fragment) = self.repeats else { return false };
        let Some(text) = self.stencil.read(json) else { return false };
        match fragment {
            Fragment::Said(kind) => self.fragment(kind, text.into_owned(), out),
            Fragment::Arguments(index) => {
                self.call(ToolCall { index, arguments: text, ..ToolCall::default() }, out);
            }
        }
        true
    }

    fn chunk(&mut self, chunk: Chunk<'_>, json: &str, out: &mut Vec<Delta>) -> Result<(), Error> {
        let is_error = |error: &&RawValue| !matches!(error.get(), "null" | "{}" | "\"\"" | "false");
        if chunk.error.filter(is_error).is_some() {
            return Err(classify::in_band(json));
        }
        if let Some(error) = chunk.x_groq.as_ref().and_then(|groq| groq.error).filter(is_error) {
            return Err(classify::in_band(&format!("{{\"error\":{}}}", error.get())));
        }
        if chunk.object.as_ref().is_some_and(|object| object.0 == "error") {
            return Err(classify::in_band(json));
        }
        self.started(&chunk, out);
        self.choices |= chunk.has_choices;
        if chunk.has_others && !self.warned {
            self.warned = true;
            out.push(Delta::Warning("of several answers only the first is kept".to_owned()));
        }
        if let Some(usage) = chunk.usage.filter(|raw| raw.get() != "null") {
            self.used(usage, out);
        } else if let Some(usage) = chunk.x_groq.and_then(|groq| groq.usage) {
            self.used(usage, out);
        }
        match chunk.choice {
            Some(choice) => self.choice(choice, out),
            None => Ok(()),
        }
    }

    fn started(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Delta>) {
        fn news<'t>(known: &Option<String>, told: &'t Option<Text<'_>>) -> Option<&'t str> {
            told.as_ref().map(|told| &*told.0).filter(|told| !told.is_empty() && known.is_none())
        }
        let id = news(&self.start.response_id, &chunk.id);
        let model = news(&self.start.model, &chunk.model);
        if id.is_none() && model.is_none() {
            return;
        }
        let start =
            Start { response_id: id.map(str::to_owned), model: model.map(str::to_owned), ..Start::default() };
        self.start.response_id = self.start.response_id.take().or_else(|| start.response_id.clone());
        self.start.model = self.start.model.take().or_else(|| start.model.clone());
        out.push(Delta::Start(start));
    }

    fn used(&mut self, raw: &RawValue, out: &mut Vec<Delta>) {
        if self.usage.as_deref() == Some(raw.get()) {
            return;
        }
        if let Some(usage) = wire::usage(raw, self.billing) {
            self.usage = Some(raw.get().into());
            out.push(Delta::Usage(usage));
        }
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        self.said(choice.message, out);
        match choice.finish_reason {
            Some(Text(reason)) if reason == "error" => {
                let text = "the provider ended the answer with an error";
                Err(Error::new(ErrorKind::Server, text).with_code("error"))
            }
            Some(Text(reason)) if !reason.is_empty() => {
                self.finish = Some(Some(reason.into_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn said(&mut self, said: Said<'_>, out: &mut Vec<Delta>) {
        let filled = |text: Option<Text<'_>>| Some(text?.0.into_owned()).filter(|text| !text.is_empty());
        // A server that fills both fields repeats itself.
        let reasoning = filled(said.reasoning_content).or_else(|| filled(said.reasoning));
        if let Some(text) = reasoning {
            self.fragment(Open::Reasoning, text, out);
        } else if !said.reasoning_details.is_empty() {
            let texts = said.reasoning_details.iter().filter_map(|detail| detail_text(detail));
            for text in texts.filter(|text| !text.is_empty()).collect::<Vec<_>>() {
                self.fragment(Open::Reasoning, text, out);
            }
        }
        if !said.reasoning_details.is_empty() {
            self.detailed(&said.reasoning_details, out);
        }
        match said.content {
            Some(Content::Text(text)) if !text.is_empty() => {
                self.fragment(Open::Text, text.into_owned(), out)
            }
            Some(Content::Parts(parts)) => parts.iter().for_each(|part| self.content_part(part, out)),
            _ => {}
        }
        if let Some(text) = filled(said.refusal) {
            self.refused = true;
            self.fragment(Open::Refusal, text, out);
        }
        for annotation in said.annotations {
            let index = self.part(Open::Text, out);
            out.push(Delta::Annotation { index, annotation: Json::from_raw(annotation.to_owned()) });
        }
        for call in said.tool_calls {
            self.call(call, out);
        }
    }

    fn content_part(&mut self, raw: &RawValue, out: &mut Vec<Delta>) {
        let part: ContentPart<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let text = |text: Option<Text<'_>>| text.unwrap_or_default().0.into_owned();
        match part.r#type.as_ref().map_or("", |name| &*name.0) {
            "text" | "output_text" => self.fragment(Open::Text, text(part.text), out),
            "refusal" => self.fragment(Open::Refusal, text(part.refusal), out),
            "thinking" => self.fragment(Open::Reasoning, part.thought(), out),
            other => {
                self.close(out);
                let kind =
                    PartKind::Unknown { type_name: other.to_owned(), raw: Json::from_raw(raw.to_owned()) };
                let index = self.next_part;
                self.next_part += 1;
                out.push(Delta::PartStart { index, part: Box::new(Part::new(kind)) });
                out.push(Delta::PartEnd { index, part: None });
            }
        }
    }

    fn fragment(&mut self, kind: Open, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        let index = self.part(kind, out);
        out.push(match kind {
            Open::Reasoning => Delta::Reasoning { index, text },
            Open::Text | Open::Refusal => Delta::Text { index, text },
        });
    }

    /// Returns the open part of this kind, which begins if another one was open.
    fn part(&mut self, kind: Open, out: &mut Vec<Delta>) -> u32 {
        if let Some((open, index)) = self.open
            && open == kind
        {
            return index;
        }
        self.close(out);
        let index = self.next_part;
        self.next_part += 1;
        self.open = Some((kind, index));
        let part = match kind {
            Open::Text => Part::text(""),
            Open::Refusal => Part::refusal(""),
            Open::Reasoning => {
                self.reasoning = Some(index);
                Part::reasoning()
            }
        };
        out.push(Delta::PartStart { index, part: Box::new(part) });
        index
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if let Some((_, index)) = self.open.take() {
            out.push(Delta::PartEnd { index, part: None });
        }
    }

    /// Collects reasoning details. A text that comes in fragments becomes one entry again, because its
    /// signature is for the whole; anything else stays as it came.
    fn detailed(&mut self, details: &[&RawValue], out: &mut Vec<Delta>) {
        if self.reasoning.is_none() {
            self.part(Open::Reasoning, out);
        }
        for raw in details {
            let Ok(fields) = serde_json::from_str::<Extra>(raw.get()) else { continue };
            match self.details.last_mut().filter(|last| last.continues(&fields)) {
                Some(last) => last.merge(&fields),
                None => {
                    let raw = Json::from_raw((*raw).to_owned());
                    self.details.push(Detail { raw, fields, merged: false, text: None });
                }
            }
        }
    }

    fn call(&mut self, told: ToolCall<'_>, out: &mut Vec<Delta>) {
        let at = self.matching(&told).unwrap_or_else(|| {
            self.close(out);
            let part = self.next_part;
            self.next_part += 1;
            self.calls.push(Call {
                part,
                index: told.index,
                id: told.id.clone().into_owned(),
                named: !told.name.is_empty(),
                arguments: String::new(),
            });
            let whole = Part::tool_call(&*told.id, &*told.name, "");
            out.push(Delta::PartStart { index: part, part: Box::new(whole) });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        let index = call.part;
        let late = |known: bool, told: &Cow<'_, str>| {
            (!known && !told.is_empty()).then(|| told.clone().into_owned())
        };
        let (call_id, name) = (late(!call.id.is_empty(), &told.id), late(call.named, &told.name));
        if call_id.is_some() || name.is_some() {
            call.id = call_id.clone().unwrap_or_else(|| std::mem::take(&mut call.id));
            call.named |= name.is_some();
            out.push(Delta::ToolCall { index, call_id, name });
        }
        if !told.arguments.is_empty() {
            call.arguments.push_str(&told.arguments);
            out.push(Delta::Arguments { index, text: told.arguments.into_owned() });
        }
        for (name, value) in told.extra.iter() {
            out.push(Delta::Extra { index, name: name.to_owned(), value: value.clone() });
        }
    }

    /// Returns the call that a fragment belongs to. Neither index nor id can be relied on: some servers give
    /// every call index 0, others give no index or no id, or repeat the id in every fragment.
    fn matching(&self, told: &ToolCall<'_>) -> Option<usize> {
        let same_index = |call: &Call| told.index.is_none() || call.index == told.index;
        if !told.id.is_empty() {
            return self.calls.iter().rposition(|call| {
                call.id == told.id && same_index(call)
                    || call.id.is_empty() && told.index.is_some() && same_index(call)
            });
        }
        let at = self.calls.iter().rposition(same_index)?;
        let call = &self.calls[at];
        // A name after complete arguments begins another call.
        let begins = !told.name.is_empty()
            && call.named
            && (told.index.is_none() && told.arguments.is_empty() || is_complete(&call.arguments));
        (!begins).then_some(at)
    }

    /// Says everything that only the end of the answer makes certain.
    fn end(&mut self, raw: Option<String>, out: &mut Vec<Delta>) {
        self.close(out);
        if let (Some(index), false) = (self.reasoning, self.details.is_empty()) {
            let entries: Vec<Cow<'_, str>> = self.details.iter().map(Detail::json).collect();
            let data = format!("[{}]", entries.join(","));
            let kind = OpaqueKind::ReasoningDetails;
            out.push(Delta::Opaque { index, opaque: Opaque { provider: self.provider.clone(), kind, data } });
        }
        out.extend(self.calls.iter().map(|call| Delta::PartEnd { index: call.part, part: None }));
        out.extend(self.unknown.take().map(|(name, value)| Delta::MessageExtra { name, value }));
        let reason = match raw.as_deref() {
            // Some servers say "stop" where they mean calls, or say nothing.
            None | Some("stop") if !self.calls.is_empty() => FinishReason::ToolCalls,
            None | Some("stop") if self.refused => FinishReason::Refusal,
            None | Some("stop" | "eos" | "end_turn" | "stop_sequence" | "eos_token") => FinishReason::Stop,
            Some("length" | "max_tokens") => FinishReason::Length,
            Some("model_length") => FinishReason::ContextWindow,
            Some("tool_calls" | "function_call" | "tool_use") => FinishReason::ToolCalls,
            Some("content_filter") => FinishReason::ContentFilter,
            Some("refusal") => FinishReason::Refusal,
            Some(_) => FinishReason::Other,
        };
        out.push(Delta::Finish(Finish { reason, raw }));
    }
}

impl Decoder for ChatDecoder {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let (name, json) = match frame {
            Frame::Event { name, data } => (name, data.trim()),
            Frame::Value(json) | Frame::Whole(json) => ("", json),
        };
        if json == "[DONE]" {
            let raw = self.finish.take().flatten();
            self.end(raw, out);
            return Ok(());
        }
        if json.is_empty() {
            return Ok(());
        }
        if name == "error" {
            return Err(classify::in_band(json));
        }
        if self.repeated(json, out) {
            return Ok(());
        }
        self.repeats = None;
        let mut reader = serde_json::Deserializer::from_str(json);
        let chunk = match ChunkSeed(&mut self.unknown).deserialize(&mut reader) {
            Ok(chunk) => chunk,
            // An event of a kind that this version does not know may hold anything.
            Err(_) if !matches!(name, "" | "message") => return Ok(()),
            Err(_) => {
                let text = "an event of the answer is not what the protocol allows";
                return Err(Error::new(ErrorKind::Decode, text)
                    .with_raw_body(classify::clip_to(json, 4096).to_owned()));
            }
        };
        let outer = (chunk.has_choices, chunk.choice.is_some());
        let only = only(&chunk);
        let unread = [chunk.padding, chunk.created].into_iter().flatten().map(RawValue::get);
        self.chunk(chunk, json, out)?;
        if matches!(frame, Frame::Whole(_)) {
            return match outer {
                (true, true) => {
                    let raw = self.finish.take().flatten();
                    self.end(raw, out);
                    Ok(())
                }
                (true, false) => Err(Error::new(ErrorKind::Decode, "the answer has no choices")),
                (false, _) => Err(classify::in_band(json)),
            };
        }
        if let Some((fragment, text)) = only {
            self.stencil.cut(json, text, unread);
            self.repeats = Some(fragment);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<(), Error> {
        if let Some(raw) = self.finish.take() {
            self.end(raw, out);
        }
        Ok(())
    }

    fn is_ending(&self) -> bool {
        self.finish.is_some()
    }
}

/// Returns the one text that a chunk says, and what it continues, if it says nothing else but what it may repeat
/// without effect: names, ids and a finish reason that are known, usage and unknown fields that are noted.
fn only<'a>(chunk: &Chunk<'a>) -> Option<(Fragment, &'a str)> {
    let said = &chunk.choice.as_ref()?.message;
    if !said.reasoning_details.is_empty() || !said.annotations.is_empty() {
        return None;
    }
    let content = match &said.content {
        Some(Content::Parts(_)) => return None,
        Some(Content::Text(text)) => Some(text),
        None => None,
    };
    let (index, arguments) = match said.tool_calls.as_slice() {
        [] => (None, None),
        [call] if call.id.is_empty() && call.name.is_empty() && call.extra.is_empty() => {
            (call.index, Some(&call.arguments))
        }
        _ => return None,
    };
    let mut said = [
        (Fragment::Said(Open::Text), content),
        (Fragment::Said(Open::Reasoning), text(&said.reasoning_content)),
        (Fragment::Said(Open::Reasoning), text(&said.reasoning)),
        (Fragment::Said(Open::Refusal), text(&said.refusal)),
        (Fragment::Arguments(index), arguments),
    ]
    .into_iter()
    .filter_map(|(fragment, text)| Some((fragment, text?)))
    .filter(|(fragment, text)| !text.is_empty() || matches!(fragment, Fragment::Arguments(_)));
    match (said.next(), said.next()) {
        (Some((fragment, Cow::Borrowed(text))), None) => Some((fragment, text)),
        _ => None,
    }
}

fn text<'t, 'a>(text: &'t Option<Text<'a>>) -> Option<&'t Cow<'a, str>> {
    text.as_ref().map(|text| &text.0)
}

fn is_complete(arguments: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
}

fn detail_text(raw: &RawValue) -> Option<String> {
    let fields: Extra = serde_json::from_str(raw.get()).ok()?;
    ["text", "summary"].iter().find_map(|name| fields.get(name)?.to::<String>().ok())
}

impl Detail {
    /// Tells whether an entry continues this one: the same place, the same kind, a text, and not yet signed.
    fn continues(&self, next: &Extra) -> bool {
        let known = |name: &str| self.fields.get(name).filter(|value| !value.is_null());
        let told = |name: &'static str| next.get(name).filter(|value| !value.is_null());
        let is_text = known("type")
            .is_some_and(|kind| matches!(kind.get(), "\"reasoning.text\"" | "\"reasoning.summary\""));
        is_text
            && known("type") == told("type")
            && told("index").is_some()
            && known("index") == told("index")
            && (known("id").is_none() || told("id").is_none() || known("id") == told("id"))
            && known("signature").is_none()
    }

    fn merge(&mut self, next: &Extra) {
        for (name, value) in next.iter().filter(|(_, value)| !value.is_null()) {
            let Some(field) = ["text", "summary"].into_iter().find(|field| *field == name) else {
                self.fields.set(name, value.clone());
                continue;
            };
            let known = || self.fields.get(field).and_then(|text| text.to().ok()).unwrap_or_default();
            let (_, whole) = self.text.get_or_insert_with(|| (field, known()));
            whole.push_str(&value.to::<String>().unwrap_or_default());
        }
        self.merged = true;
    }

    fn json(&self) -> Cow<'_, str> {
        if !self.merged {
            return Cow::Borrowed(self.raw.get());
        }
        let mut fields = self.fields.clone();
        if let Some((field, whole)) = &self.text {
            fields.set(field, Json::from_value(whole).expect("a text is JSON"));
        }
        Cow::Owned(serde_json::to_string(&fields).expect("fields that were read from JSON are JSON"))
    }
}
