//! The answer of the Responses protocol, streamed or whole, as deltas.
//!
//! What an item is, its closing event says: the text, the id and the encrypted content there count, and what
//! was streamed before is completed or replaced by it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use aichat_message::{Delta, ErrorKind, Finish, FinishReason, Json, Part, PartKind, ReasoningBlock, Start};

use super::item;
use super::wire::{self, Event, Fields, Unread, json, number, text};
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::history::RESPONSE;
use crate::stencil::Stencil;

/// Fields of a response that are modelled, that the log knows, or that only repeat the request.
const KNOWN: &[&str] = &[
    "background",
    "completed_at",
    "created_at",
    "error",
    "frequency_penalty",
    "id",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "object",
    "output",
    "output_text",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "status",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "user",
];

/// Reads one answer.
#[derive(Debug)]
pub(super) struct ResponsesDecoder {
    provider: String,
    start: Start,
    next_part: u32,
    items: Vec<Item>,
    calls: bool,
    refused: bool,
    /// The shape of the last event, and the item and the part of it that its text went to.
    stencil: Stencil,
    repeats: Option<(usize, usize)>,
}

/// An item of the output under way.
#[derive(Debug)]
struct Item {
    /// Its `output_index`, which a server may give to several items.
    place: u64,
    tag: Tag,
    parts: Vec<Told>,
    done: bool,
}

/// What tells one item from another; each may be missing.
#[derive(Debug, Default)]
struct Tag {
    /// Its id, which a server may change from event to event.
    id: String,
    call_id: String,
    kind: String,
}

impl Tag {
    fn of(item: &RawValue) -> Self {
        let fields = Fields::read(item);
        let field = |name| fields.text(name).into_owned();
        Self { id: field("id"), call_id: field("call_id"), kind: field("type") }
    }

    /// Tells whether both are of the same id; for want of one in `told`, of the same call.
    fn is_named(&self, told: &Self) -> bool {
        match told.id.is_empty() {
            true => !told.call_id.is_empty() && self.call_id == told.call_id,
            // Some servers name the call where the item has no id.
            false => self.id == told.id || self.id.is_empty() && self.call_id == told.id,
        }
    }

    /// Tells whether nothing speaks against both being of one item, whose id may have changed.
    fn may_be(&self, told: &Self) -> bool {
        let agree = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        agree(&self.call_id, &told.call_id) && agree(&self.kind, &told.kind)
    }
}

/// A part as far as it has been told.
#[derive(Debug)]
struct Told {
    /// Its place in the content of its item.
    place: u64,
    index: u32,
    part: Part,
    /// The block of reasoning that fragments go to: whether it is a summary, and its place.
    block: Option<(bool, u64)>,
}

impl ResponsesDecoder {
    pub(super) fn new(provider: String) -> Self {
        Self {
            provider,
            start: Start::default(),
            next_part: 0,
            items: Vec::new(),
            calls: false,
            refused: false,
            stencil: Stencil::default(),
            repeats: None,
        }
    }

    /// Takes an event that only continues what the last one said, if it is one; the rest of it changes nothing.
    fn repeated(&mut self, data: &str, out: &mut Vec<Delta>) -> bool {
        let Some((item, part)) = self.repeats else { return false };
        let Some(text) = self.stencil.read(data) else { return false };
        let told = &mut self.items[item].parts[part];
        match told.block {
            Some(block) => told.think(block, text.into_owned(), out),
            None => told.say(text.into_owned(), out),
        }
        true
    }

    /// Remembers the shape of an event that did nothing but add to a part.
    fn remember(&mut self, event: &Event<'_>, data: &str, said: &[Delta]) {
        let Some(Delta::Text { index, .. } | Delta::Reasoning { index, .. } | Delta::Arguments { index, .. }) =
            said.last()
        else {
            return;
        };
        let is_fragment = event.r#type.is_some_and(|kind| text(kind).ends_with(".delta"));
        let (true, Some(Cow::Borrowed(fragment))) = (is_fragment, event.delta.map(text)) else { return };
        let place = |item: &Item| item.parts.iter().position(|told| told.index == *index);
        self.repeats = (0..).zip(&self.items).find_map(|(at, item)| Some((at, place(item)?)));
        let unread: Unread<'_> = serde_json::from_str(data).unwrap_or_default();
        self.stencil.cut(data, fragment, unread.values());
    }

    fn event(
        &mut self,
        name: &str,
        event: &Event<'_>,
        data: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), Error> {
        let kind = event.r#type.map(text).unwrap_or_default();
        let kind = if kind.is_empty() || name == "error" { name } else { &*kind };
        let told = |raw: Option<&RawValue>| raw.map(|raw| text(raw).into_owned()).unwrap_or_default();
        match kind {
            "error" => return Err(failure(event, data)),
            "response.created" | "response.queued" | "response.in_progress" => {
                if let Some(response) = event.response {
                    self.started(&Fields::read(response), out);
                }
            }
            "response.output_item.added" => {
                if let Some(raw) = event.item {
                    self.added(event, raw, out);
                }
            }
            "response.output_item.done" => {
                if let Some(raw) = event.item {
                    let tag = Tag::of(raw);
                    let at = self.ended(event, &tag).unwrap_or_else(|| self.begin(event, tag));
                    self.done(at, raw, out);
                }
            }
            "response.content_part.added" => {
                let kind = event.part.map(Fields::read).unwrap_or_default();
                match &*kind.text("type") {
                    "output_text" => drop(self.part(event, || Part::text(""), out)),
                    "refusal" => drop(self.part(event, || Part::refusal(""), out)),
                    _ => {}
                }
            }
            "response.output_text.delta" => self.say(event, || Part::text(""), told(event.delta), out),
            "response.output_text.done" => self.say_rest(event, || Part::text(""), &told(event.text), out),
            "response.refusal.delta" => self.say(event, || Part::refusal(""), told(event.delta), out),
            "response.refusal.done" => {
                self.say_rest(event, || Part::refusal(""), &told(event.refusal), out);
            }
            "response.function_call_arguments.delta" => self.say(event, no_call, told(event.delta), out),
            "response.function_call_arguments.done" => {
                self.say_rest(event, no_call, &told(event.arguments), out);
            }
            "response.custom_tool_call_input.delta" => {
                self.say(event, no_custom_call, told(event.delta), out)
            }
            "response.custom_tool_call_input.done" => {
                self.say_rest(event, no_custom_call, &told(event.input), out);
            }
            "response.reasoning_summary_part.added" => {
                self.block(event, true, String::new(), out);
            }
            "response.reasoning_summary_text.delta" => self.block(event, true, told(event.delta), out),
            "response.reasoning_text.delta" => self.block(event, false, told(event.delta), out),
            "response.output_text.annotation.added" => self.annotation(event, out),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let Some(response) = event.response else {
                    return Err(Error::new(ErrorKind::Decode, "the last event has no response"));
                };
                let beside: Fields<'_> = serde_json::from_str(data).unwrap_or_default();
                let beside = beside.besides(&["type", "response", "sequence_number", "event_id"]);
                keep(beside.iter(), out);
                return self.end(response, &kind["response.".len()..], out);
            }
            "" | "message" if event.error.is_some() => return Err(classify::in_band(data)),
            "" | "message" if event.object.is_some_and(|object| text(object) == "error") => {
                return Err(classify::in_band(data));
            }
            _ => {}
        }
        Ok(())
    }

    fn started(&mut self, response: &Fields<'_>, out: &mut Vec<Delta>) {
        let news = |known: &Option<String>, name: &str| {
            let told = response.text(name).into_owned();
            (!told.is_empty() && known.as_ref() != Some(&told)).then_some(told)
        };
        let response_id = news(&self.start.response_id, "id");
        let model = news(&self.start.model, "model");
        if response_id.is_none() && model.is_none() {
            return;
        }
        let start = Start { response_id, model, ..Start::default() };
        self.start.response_id = start.response_id.clone().or(self.start.response_id.take());
        self.start.model = start.model.clone().or(self.start.model.take());
        out.push(Delta::Start(start));
    }

    /// Returns the item that an event is about. Neither its place nor its id can be relied on alone: some
    /// servers give every item place 0, others a new id in every event, or none.
    fn find(&self, event: &Event<'_>, tag: &Tag) -> Option<usize> {
        let here = |item: &Item| number(event.output_index).is_none_or(|place| item.place == place);
        let named = self.items.iter().rposition(|item| here(item) && item.tag.is_named(tag));
        named.or_else(|| self.items.iter().rposition(|item| here(item) && !item.done))
    }

    /// Returns the item that ends with an event: for want of a name, of those that it may be the first.
    fn ended(&self, event: &Event<'_>, tag: &Tag) -> Option<usize> {
        match number(event.output_index) {
            Some(_) => self.find(event, tag),
            None => {
                let named = self.items.iter().rposition(|item| item.tag.is_named(tag));
                named.or_else(|| self.items.iter().position(|item| !item.done && item.tag.may_be(tag)))
            }
        }
    }

    fn begin(&mut self, event: &Event<'_>, tag: Tag) -> usize {
        let next = self.items.iter().map(|item| item.place.saturating_add(1)).max().unwrap_or(0);
        let place = number(event.output_index).unwrap_or(next);
        self.items.push(Item { place, tag, parts: Vec::new(), done: false });
        self.items.len() - 1
    }

    /// Takes the beginning of an item. What will have fragments begins with it; the rest when it is whole.
    fn added(&mut self, event: &Event<'_>, raw: &RawValue, out: &mut Vec<Delta>) {
        let at = self.begin(event, Tag::of(raw));
        for mut part in item::parts(raw, &self.provider) {
            if let PartKind::Reasoning { .. } | PartKind::ToolCall { .. } = part.kind {
                // Encrypted content and status are not yet what they will be.
                part.opaque.clear();
                let custom = part.extra.get("type").cloned();
                part.extra = custom.into_iter().map(|kind| ("type".to_owned(), kind)).collect();
                if let PartKind::Reasoning { blocks } = &mut part.kind {
                    blocks.clear();
                }
                self.tell(at, 0, part, out);
            }
        }
    }

    /// Begins a part.
    fn tell(&mut self, at: usize, place: u64, part: Part, out: &mut Vec<Delta>) {
        let index = self.next_part;
        self.next_part += 1;
        self.calls |= matches!(part.kind, PartKind::ToolCall { .. });
        self.refused |= matches!(part.kind, PartKind::Refusal { .. });
        out.push(Delta::PartStart { index, part: Box::new(part.clone()) });
        self.items[at].parts.push(Told { place, index, part, block: None });
    }

    /// Returns the part that an event is about, which begins if it has not; nothing if its item is over.
    fn part(&mut self, event: &Event<'_>, new: fn() -> Part, out: &mut Vec<Delta>) -> Option<&mut Told> {
        let id = event.item_id.map(text).unwrap_or_default().into_owned();
        let tag = Tag { id, ..Tag::default() };
        let at = self.find(event, &tag).unwrap_or_else(|| self.begin(event, tag));
        if self.items[at].done {
            return None;
        }
        let (part, place) = (new(), number(event.content_index).unwrap_or(0));
        let same = |told: &Told| {
            let alone = !matches!(part.kind, PartKind::Text { .. } | PartKind::Refusal { .. });
            (alone || told.place == place) && is_alike(&told.part, &part)
        };
        let known = self.items[at].parts.iter().position(same);
        let known = known.unwrap_or_else(|| {
            let id = Some(self.items[at].tag.id.clone()).filter(|id| !id.is_empty());
            self.tell(at, place, Part { id, ..part }, out);
            self.items[at].parts.len() - 1
        });
        self.items[at].parts.get_mut(known)
    }

    fn say(&mut self, event: &Event<'_>, new: fn() -> Part, fragment: String, out: &mut Vec<Delta>) {
        if !fragment.is_empty()
            && let Some(told) = self.part(event, new, out)
        {
            told.say(fragment, out);
        }
    }

    /// Takes a text that is repeated whole, and says what of it had not been streamed.
    fn say_rest(&mut self, event: &Event<'_>, new: fn() -> Part, whole: &str, out: &mut Vec<Delta>) {
        if !whole.is_empty()
            && let Some(told) = self.part(event, new, out)
            && let Some(rest) = whole.strip_prefix(told.text()).filter(|rest| !rest.is_empty())
        {
            told.say(rest.to_owned(), out);
        }
    }

    fn block(&mut self, event: &Event<'_>, summary: bool, text: String, out: &mut Vec<Delta>) {
        let place = number(if summary { event.summary_index } else { event.content_index }).unwrap_or(0);
        if let Some(told) = self.part(event, Part::reasoning, out) {
            told.think((summary, place), text, out);
        }
    }

    fn annotation(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) {
        let Some(raw) = event.annotation else { return };
        if let Some(told) = self.part(event, || Part::text(""), out)
            && let PartKind::Text { annotations, .. } = &mut told.part.kind
        {
            let annotation = Json::from_raw(raw.to_owned());
            annotations.push(annotation.clone());
            out.push(Delta::Annotation { index: told.index, annotation });
        }
    }

    /// Takes an item as it is in the end.
    fn done(&mut self, at: usize, raw: &RawValue, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.items[at].done, true) {
            return;
        }
        let mut told = std::mem::take(&mut self.items[at].parts);
        for (place, whole) in (0..).zip(item::parts(raw, &self.provider)) {
            match told.iter().position(|told| told.place == place && is_alike(&told.part, &whole)) {
                Some(known) => told.remove(known).settle(whole, out),
                None => {
                    self.tell(at, place, whole, out);
                    out.push(Delta::PartEnd { index: self.next_part - 1, part: None });
                }
            }
        }
        out.extend(told.iter().map(|told| Delta::PartEnd { index: told.index, part: None }));
    }

    /// Takes the output as the last event repeats it: items that have not been told, or not to their end.
    fn output(&mut self, response: &Fields<'_>, out: &mut Vec<Delta>) {
        let output = response.list("output");
        let tags: Vec<_> = output.iter().map(|raw| Tag::of(raw)).collect();
        let (begun, same_number) = (self.items.len(), self.items.len() == output.len());
        let keeps_id = |item: &Item| tags.iter().any(|tag| !tag.id.is_empty() && item.tag.id == tag.id);
        let is_stable = begun == 0 || self.items.iter().any(keeps_id);
        for (index, (raw, tag)) in output.into_iter().zip(tags).enumerate() {
            let named = self.items[..begun].iter().position(|item| item.tag.is_named(&tag));
            let here = same_number && (tag.id.is_empty() || !is_stable);
            let at = match named.or(here.then_some(index)) {
                Some(at) => at,
                // Without a name it cannot be told from what has been told.
                None if begun == 0 || is_stable && !tag.id.is_empty() => self.begin(&Event::default(), tag),
                None if tag.id.is_empty() && !tag.call_id.is_empty() => self.begin(&Event::default(), tag),
                None => continue,
            };
            self.done(at, raw, out);
        }
        for item in self.items.iter().filter(|item| !item.done) {
            out.extend(item.parts.iter().map(|told| Delta::PartEnd { index: told.index, part: None }));
        }
    }

    fn end(&mut self, response: &RawValue, said: &str, out: &mut Vec<Delta>) -> Result<(), Error> {
        let fields = Fields::read(response);
        self.started(&fields, out);
        self.output(&fields, out);
        out.extend(fields.get("usage").and_then(wire::usage).map(Delta::Usage));
        keep(fields.besides(KNOWN).iter(), out);
        let status = fields.text("status");
        let status = if status.is_empty() { said } else { &*status };
        let reason = match status {
            "completed" if self.calls => FinishReason::ToolCalls,
            "completed" if self.refused => FinishReason::Refusal,
            "completed" => FinishReason::Stop,
            "incomplete" => {
                let details = fields.get("incomplete_details").map(Fields::read).unwrap_or_default();
                match &*details.text("reason") {
                    "max_output_tokens" | "max_tokens" => FinishReason::Length,
                    "content_filter" => FinishReason::ContentFilter,
                    _ => FinishReason::Other,
                }
            }
            "failed" => {
                return Err(match fields.get("error") {
                    Some(error) => classify::in_band(&format!("{{\"error\":{}}}", error.get())),
                    None => Error::new(ErrorKind::Server, "the provider says that the answer failed"),
                });
            }
            "cancelled" => {
                return Err(Error::new(ErrorKind::Cancelled, "the answer was cancelled elsewhere"));
            }
            "queued" | "in_progress" => {
                let text = "the provider is still at work on the answer and does not send it";
                return Err(Error::new(ErrorKind::Truncated, text));
            }
            _ => FinishReason::Other,
        };
        out.push(Delta::Finish(Finish { reason, raw: Some(status.to_owned()) }));
        Ok(())
    }
}

impl Decoder for ResponsesDecoder {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let (name, data) = match frame {
            Frame::Event { name, data } => (name, data.trim()),
            Frame::Value(data) | Frame::Whole(data) => ("", data),
        };
        // Some servers close with the marker of another protocol, which says nothing here.
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        if matches!(frame, Frame::Whole(_)) {
            let response: &RawValue = serde_json::from_str(data).map_err(|_| malformed(data))?;
            let fields = Fields::read(response);
            return match fields.get("output").or(fields.get("status")) {
                Some(_) => self.end(response, "", out),
                None => Err(classify::in_band(data)),
            };
        }
        if name != "error" && self.repeated(data, out) {
            return Ok(());
        }
        self.repeats = None;
        let before = out.len();
        match serde_json::from_str::<Event<'_>>(data) {
            Ok(event) => {
                self.event(name, &event, data, out)?;
                self.remember(&event, data, &out[before..]);
                Ok(())
            }
            Err(_) if name == "error" => Err(classify::in_band(data)),
            // An event of a kind that this version does not know may hold anything.
            Err(_) if !name.is_empty() && !name.starts_with(RESPONSE) => Ok(()),
            Err(_) => Err(malformed(data)),
        }
    }

    fn finish(&mut self, _: &mut Vec<Delta>) -> Result<(), Error> {
        Ok(())
    }
}

impl Told {
    /// Returns the text that fragments make up.
    fn text(&self) -> &str {
        match &self.part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => text,
            PartKind::ToolCall { arguments, .. } => arguments.as_str(),
            _ => "",
        }
    }

    fn say(&mut self, text: String, out: &mut Vec<Delta>) {
        let index = self.index;
        match &mut self.part.kind {
            PartKind::Text { text: all, .. } | PartKind::Refusal { text: all } => {
                all.push_str(&text);
                out.push(Delta::Text { index, text });
            }
            PartKind::ToolCall { arguments, .. } => {
                arguments.push_str(&text);
                out.push(Delta::Arguments { index, text });
            }
            _ => {}
        }
    }

    fn think(&mut self, block: (bool, u64), text: String, out: &mut Vec<Delta>) {
        let (index, PartKind::Reasoning { blocks }) = (self.index, &mut self.part.kind) else { return };
        let last = blocks.last_mut().filter(|_| self.block == Some(block));
        self.block = Some(block);
        match last {
            Some(ReasoningBlock::Summary(all) | ReasoningBlock::Text(all)) if !text.is_empty() => {
                all.push_str(&text);
                out.push(Delta::Reasoning { index, text });
            }
            Some(_) => {}
            None => {
                let block = if block.0 { ReasoningBlock::Summary(text) } else { ReasoningBlock::Text(text) };
                blocks.push(block.clone());
                out.push(Delta::ReasoningBlock { index, block });
            }
        }
    }

    /// Ends the part as its item says it is: by saying what is missing, or where that is not enough by
    /// replacing it.
    fn settle(mut self, mut whole: Part, out: &mut Vec<Delta>) {
        self.fill(&mut whole);
        let (index, before) = (self.index, out.len());
        let part = match self.say_missing(&whole, out) {
            true => None,
            false => {
                out.truncate(before);
                Some(Box::new(whole))
            }
        };
        out.push(Delta::PartEnd { index, part });
    }

    /// Gives the part what was told of it and is not repeated.
    fn fill(&self, whole: &mut Part) {
        if whole.id.is_none() {
            whole.id.clone_from(&self.part.id);
        }
        match (&mut whole.kind, &self.part.kind) {
            (PartKind::Text { text, annotations }, PartKind::Text { text: told, annotations: known }) => {
                if text.is_empty() {
                    text.clone_from(told);
                }
                if annotations.is_empty() {
                    annotations.clone_from(known);
                }
            }
            (PartKind::Refusal { text }, PartKind::Refusal { text: told }) if text.is_empty() => {
                text.clone_from(told);
            }
            (PartKind::Reasoning { blocks }, PartKind::Reasoning { blocks: told }) if blocks.is_empty() => {
                blocks.clone_from(told);
            }
            (
                PartKind::ToolCall { arguments, call_id, name, .. },
                PartKind::ToolCall { arguments: told, call_id: id, name: known, .. },
            ) => {
                for (field, told) in [(call_id, id), (name, known)] {
                    if field.is_empty() {
                        field.clone_from(told);
                    }
                }
                if arguments.as_str().is_empty() {
                    arguments.clone_from(told);
                }
            }
            _ => {}
        }
    }

    /// Says what the whole part has beyond what was told; false where that does not make it the whole part.
    fn say_missing(&mut self, whole: &Part, out: &mut Vec<Delta>) -> bool {
        let index = self.index;
        if self.part.id != whole.id {
            return false;
        }
        match (&self.part.kind, &whole.kind) {
            (PartKind::Text { annotations: known, .. }, PartKind::Text { text, annotations }) => {
                let Some(rest) = text.strip_prefix(self.text()) else { return false };
                let Some(more) = annotations.strip_prefix(known.as_slice()) else { return false };
                out.extend(more.iter().map(|a| Delta::Annotation { index, annotation: a.clone() }));
                self.say_some(rest.to_owned(), out);
            }
            (PartKind::Refusal { .. }, PartKind::Refusal { text }) => {
                let Some(rest) = text.strip_prefix(self.text()) else { return false };
                self.say_some(rest.to_owned(), out);
            }
            (
                PartKind::ToolCall { call_id: id, name: known, .. },
                PartKind::ToolCall { arguments, call_id, name, .. },
            ) => {
                let Some(rest) = arguments.as_str().strip_prefix(self.text()) else { return false };
                if (id, known) != (call_id, name) {
                    let (call_id, name) = (Some(call_id.clone()), Some(name.clone()));
                    out.push(Delta::ToolCall { index, call_id, name });
                }
                self.say_some(rest.to_owned(), out);
            }
            (PartKind::Reasoning { blocks: told }, PartKind::Reasoning { blocks }) => {
                match blocks.strip_prefix(told.as_slice()) {
                    Some(more) => {
                        let more = more.iter().cloned();
                        out.extend(more.map(|block| Delta::ReasoningBlock { index, block }));
                    }
                    None => return false,
                }
            }
            _ => return false,
        }
        let opaque = whole.opaque.iter().cloned();
        out.extend(opaque.map(|opaque| Delta::Opaque { index, opaque }));
        let extra = whole.extra.iter().filter(|(name, value)| self.part.extra.get(name) != Some(value));
        out.extend(extra.map(|(name, value)| Delta::Extra {
            index,
            name: name.to_owned(),
            value: value.clone(),
        }));
        true
    }

    fn say_some(&mut self, text: String, out: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.say(text, out);
        }
    }
}

fn no_call() -> Part {
    Part::tool_call("", "", "")
}

fn no_custom_call() -> Part {
    let mut part = no_call();
    part.extra.push("type", json(item::CUSTOM_CALL));
    part
}

fn is_alike(one: &Part, other: &Part) -> bool {
    std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind)
}

fn keep<'a>(fields: impl Iterator<Item = (&'a str, &'a Json)>, out: &mut Vec<Delta>) {
    let kept = fields.filter(|(_, value)| !matches!(value.get(), "[]" | "{}" | "\"\""));
    out.extend(kept.map(|(name, value)| Delta::MessageExtra {
        name: format!("{RESPONSE}{name}"),
        value: value.clone(),
    }));
}

/// Returns the error that an event named `error` reports; its own type is no code.
fn failure(event: &Event<'_>, data: &str) -> Error {
    let is_error = event.r#type.is_some_and(|kind| text(kind) == "error");
    if event.error.is_some() || !is_error {
        return classify::in_band(data);
    }
    let fields: Fields<'_> = serde_json::from_str(data).unwrap_or_default();
    let rest = serde_json::to_string(&fields.besides(&["type", "sequence_number"]));
    classify::in_band(&rest.expect("fields that were read from JSON are JSON"))
}

fn malformed(data: &str) -> Error {
    Error::new(ErrorKind::Decode, "an event of the answer is not what the protocol allows")
        .with_raw_body(classify::clip_to(data, 4096).to_owned())
}
