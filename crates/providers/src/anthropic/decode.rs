//! An answer of the Messages protocol, streamed or whole, as deltas.

use std::borrow::Cow;

use serde_json::value::RawValue;

use aichat_message::{
    Delta, ErrorKind, Executor, Extra, Finish, FinishReason, Json, Opaque, OpaqueKind, Part, PartKind,
    ReasoningBlock, Start,
};

use super::wire::{self, Event, Fields, Fragment, Tag};
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::scalar::Text;
use crate::stencil::Stencil;

/// The kind of block that a provider's own tool call is unless it says otherwise.
pub(super) const SERVER_CALL: &str = "server_tool_use";

/// Reads one answer.
#[derive(Debug)]
pub(super) struct MessagesDecoder {
    provider: String,
    next_part: u32,
    /// Blocks that have begun and not ended.
    open: Vec<Block>,
    usage: Extra,
    /// Whether the model calls a tool of the caller.
    calls: bool,
    reason: Option<String>,
    warned: bool,
    /// The shape of the last event, and what its text was put in: a delta of this part.
    stencil: Stencil,
    repeats: Option<(u32, Say)>,
}

/// Makes a delta of the text of a part.
type Say = fn(u32, String) -> Delta;

/// A block under way.
#[derive(Debug)]
struct Block {
    /// Its number on the wire.
    index: u32,
    part: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    /// Its signature, which is for the whole block.
    Thinking(Option<String>),
    /// The arguments it began with, until a fragment replaces them.
    Call(Option<Json>),
    /// A block that this version does not know, kept whole; whether fragments were added to it.
    Unknown(String, Extra, bool),
}

impl MessagesDecoder {
    pub(super) fn new(provider: String) -> Self {
        Self {
            provider,
            next_part: 0,
            open: Vec::new(),
            usage: Extra::new(),
            calls: false,
            reason: None,
            warned: false,
            stencil: Stencil::default(),
            repeats: None,
        }
    }

    /// Takes an event that only continues what the last one said, if it is one; the rest of it changes nothing.
    fn repeated(&mut self, json: &str, out: &mut Vec<Delta>) -> bool {
        let Some((index, delta)) = self.repeats else { return false };
        let Some(text) = self.stencil.read(json) else { return false };
        out.push(delta(index, text.into_owned()));
        true
    }

    /// Remembers the shape of an event that did nothing but add to a block.
    fn remember(&mut self, event: &Event<'_>, json: &str, said: &[Delta]) {
        let Some(raw) = event.delta.filter(|_| event.r#type.is_some()) else { return };
        let Ok(fragment) = serde_json::from_str::<Fragment<'_>>(raw.get()) else { return };
        let (text, repeats): (_, (u32, Say)) = match said.last() {
            Some(Delta::Text { index, .. }) => {
                (fragment.text, (*index, |index, text| Delta::Text { index, text }))
            }
            Some(Delta::Reasoning { index, .. }) => {
                (fragment.thinking, (*index, |index, text| Delta::Reasoning { index, text }))
            }
            Some(Delta::Arguments { index, .. }) => {
                (fragment.partial_json, (*index, |index, text| Delta::Arguments { index, text }))
            }
            _ => return,
        };
        if let Some(Text(Cow::Borrowed(text))) = text {
            self.stencil.cut(json, text, []);
            self.repeats = Some(repeats);
        }
    }

    fn event(&mut self, name: &str, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        match name {
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    let fragment: Fragment<'_> =
                        serde_json::from_str(delta.get()).map_err(|_| malformed(delta.get()))?;
                    self.fragment(event.index, &fragment, delta, out);
                }
            }
            "content_block_start" => {
                if let Some(block) = event.content_block {
                    let index = event.index.unwrap_or(self.next_part);
                    self.end_block(index, out);
                    self.begin_block(index, block, out);
                }
            }
            "content_block_stop" => {
                if let Some(index) = event.index.or_else(|| self.open.last().map(|block| block.index)) {
                    self.end_block(index, out);
                }
            }
            "message_start" => {
                if let Some(message) = event.message {
                    // A second one begins the numbers of its blocks anew.
                    self.end_blocks(out);
                    self.message(message, out);
                }
            }
            "message_delta" => {
                if let Some(delta) = event.delta {
                    self.outcome(Fields::of(delta), out);
                }
                self.used(event.usage, out);
            }
            "message_stop" => self.end(out),
            "ping" => out.push(Delta::Heartbeat),
            _ => {}
        }
        Ok(())
    }

    /// Takes the message a stream begins with, or the whole answer.
    fn message(&mut self, raw: &RawValue, out: &mut Vec<Delta>) {
        let mut fields = Fields::of(raw);
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let start = Start {
            response_id: filled(fields.text("id")),
            model: filled(fields.text("model")),
            ..Start::default()
        };
        if start != Start::default() {
            out.push(Delta::Start(start));
        }
        for name in ["type", "role"] {
            fields.take(name);
        }
        let (content, usage) = (fields.take("content"), fields.take("usage"));
        let blocks: Vec<&RawValue> = content.as_ref().and_then(|list| list.to().ok()).unwrap_or_default();
        for (index, block) in (0..).zip(blocks) {
            self.begin_block(index, block, out);
            self.end_block(index, out);
        }
        self.used(usage.as_ref().map(Json::as_raw), out);
        self.outcome(fields, out);
    }

    /// Takes why the answer ends, and every field about the message that has no other place.
    fn outcome(&mut self, mut fields: Fields, out: &mut Vec<Delta>) {
        if let Some(reason) = fields.text("stop_reason") {
            self.reason = Some(reason);
        }
        out.extend(fields.rest().map(|(name, value)| Delta::MessageExtra { name, value }));
    }

    fn used(&mut self, raw: Option<&RawValue>, out: &mut Vec<Delta>) {
        let Some(raw) = raw.filter(|raw| raw.get().starts_with('{')) else { return };
        let first = self.usage.is_empty();
        wire::overlay(&mut self.usage, raw);
        // What came in one piece keeps its bytes.
        let whole = match first {
            true => Json::from_raw(raw.to_owned()),
            false => Json::from_value(&self.usage).expect("fields that were read from JSON are JSON"),
        };
        out.extend(wire::usage(&whole).map(Delta::Usage));
    }

    fn begin_block(&mut self, index: u32, raw: &RawValue, out: &mut Vec<Delta>) {
        let mut fields = Fields::of(raw);
        let name = fields.text("type").unwrap_or_default();
        let (kind, mut part) = match name.as_str() {
            "text" => {
                let mut part = Part::text(fields.text("text").unwrap_or_default());
                if let PartKind::Text { annotations, .. } = &mut part.kind {
                    *annotations =
                        fields.take("citations").and_then(|list| list.to().ok()).unwrap_or_default();
                }
                (Kind::Text, part)
            }
            "thinking" => {
                let text = fields.text("thinking").filter(|text| !text.is_empty());
                let blocks = text.map(ReasoningBlock::Text).into_iter().collect();
                (Kind::Thinking(fields.text("signature")), Part::new(PartKind::Reasoning { blocks }))
            }
            "redacted_thinking" => {
                let data = fields.text("data").unwrap_or_default();
                let opaque = self.opaque(OpaqueKind::RedactedThinking, data);
                (Kind::Thinking(None), Part { opaque: vec![opaque], ..Part::reasoning() })
            }
            call if call == "tool_use" || call.ends_with("_tool_use") => {
                let id = fields.text("id").unwrap_or_default();
                let mut part = Part::tool_call(id, fields.text("name").unwrap_or_default(), "");
                if let PartKind::ToolCall { executor, .. } = &mut part.kind
                    && call != "tool_use"
                {
                    *executor = Executor::Server;
                }
                self.calls |= call == "tool_use";
                if call != "tool_use" && call != SERVER_CALL {
                    part.extra.push("type", Json::from_value(call).expect("a text is JSON"));
                }
                (Kind::Call(fields.take("input")), part)
            }
            _ => {
                let json = Json::from_raw(raw.to_owned());
                let whole = json.to().unwrap_or_default();
                let part = Part::new(PartKind::Unknown { type_name: name.clone(), raw: json });
                fields = Fields::default();
                (Kind::Unknown(name, whole, false), part)
            }
        };
        fields.rest().for_each(|(name, value)| part.extra.push(name, value));
        self.begin(index, kind, part, out);
    }

    fn begin(&mut self, index: u32, kind: Kind, part: Part, out: &mut Vec<Delta>) {
        let number = self.next_part;
        self.next_part += 1;
        self.open.push(Block { index, part: number, kind });
        out.push(Delta::PartStart { index: number, part: Box::new(part) });
    }

    /// Adds a fragment to its block; a server that forgets to begin a block has it begun.
    fn fragment(
        &mut self,
        index: Option<u32>,
        fragment: &Fragment<'_>,
        raw: &RawValue,
        out: &mut Vec<Delta>,
    ) {
        let name = fragment.r#type.as_ref().map_or("", |name| &*name.0);
        let found = match index {
            Some(index) => self.open.iter().rposition(|block| block.index == index),
            None => self.open.len().checked_sub(1),
        };
        let at = match found {
            Some(at) => at,
            None => {
                let (kind, part) = match name {
                    "text_delta" => (Kind::Text, Part::text("")),
                    "thinking_delta" => (Kind::Thinking(None), Part::reasoning()),
                    _ => return self.unplaced(out),
                };
                self.begin(index.unwrap_or(self.next_part), kind, part, out);
                self.open.len() - 1
            }
        };
        let block = &mut self.open[at];
        let index = block.part;
        let said = |text: &Option<Text<'_>>| {
            text.as_ref().filter(|text| !text.0.is_empty()).map(|text| text.0.clone().into_owned())
        };
        match (&mut block.kind, name) {
            (Kind::Text, "text_delta") => {
                out.extend(said(&fragment.text).map(|text| Delta::Text { index, text }));
            }
            (Kind::Text, "citations_delta") => out.extend(fragment.citation.map(|citation| {
                Delta::Annotation { index, annotation: Json::from_raw(citation.to_owned()) }
            })),
            (Kind::Thinking(_), "thinking_delta") => {
                out.extend(said(&fragment.thinking).map(|text| Delta::Reasoning { index, text }));
            }
            (Kind::Thinking(signature), "signature_delta") => {
                *signature = fragment.signature.as_ref().map(|text| text.0.clone().into_owned());
            }
            (Kind::Call(given), "input_json_delta") => {
                if let Some(text) = said(&fragment.partial_json) {
                    *given = None;
                    out.push(Delta::Arguments { index, text });
                }
            }
            (Kind::Unknown(_, whole, grown), _) => {
                grow(whole, Fields::of(raw));
                *grown = true;
            }
            _ => self.unplaced(out),
        }
    }

    fn unplaced(&mut self, out: &mut Vec<Delta>) {
        if !self.warned {
            self.warned = true;
            out.push(Delta::Warning("a fragment that fits no block of the answer is not kept".to_owned()));
        }
    }

    fn end_block(&mut self, index: u32, out: &mut Vec<Delta>) {
        let Some(at) = self.open.iter().rposition(|block| block.index == index) else { return };
        let Block { part: index, kind, .. } = self.open.remove(at);
        let mut part = None;
        match kind {
            Kind::Text | Kind::Thinking(None) | Kind::Call(None) | Kind::Unknown(_, _, false) => {}
            Kind::Thinking(Some(signature)) if signature.is_empty() => {}
            Kind::Thinking(Some(signature)) => {
                out.push(Delta::Opaque { index, opaque: self.opaque(OpaqueKind::Signature, signature) });
            }
            Kind::Call(Some(input)) => out.push(Delta::Arguments { index, text: input.get().to_owned() }),
            Kind::Unknown(type_name, whole, true) => {
                let raw = Json::from_value(&whole).expect("fields that were read from JSON are JSON");
                part = Some(Box::new(Part::new(PartKind::Unknown { type_name, raw })));
            }
        }
        out.push(Delta::PartEnd { index, part });
    }

    fn end_blocks(&mut self, out: &mut Vec<Delta>) {
        while let Some(first) = self.open.first() {
            self.end_block(first.index, out);
        }
    }

    fn opaque(&self, kind: OpaqueKind, data: String) -> Opaque {
        Opaque { provider: self.provider.clone(), kind, data }
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        self.end_blocks(out);
        let raw = self.reason.take();
        let reason = match raw.as_deref() {
            None if self.calls => FinishReason::ToolCalls,
            None | Some("end_turn" | "stop_sequence") => FinishReason::Stop,
            Some("max_tokens") => FinishReason::Length,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("pause_turn") => FinishReason::Pause,
            Some("refusal") => FinishReason::Refusal,
            Some("model_context_window_exceeded") => FinishReason::ContextWindow,
            Some(_) => FinishReason::Other,
        };
        out.push(Delta::Finish(Finish { reason, raw }));
    }
}

impl Decoder for MessagesDecoder {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let (name, json) = match frame {
            Frame::Event { name, data } => (name, data.trim()),
            Frame::Value(json) | Frame::Whole(json) => ("", json.trim()),
        };
        // Some gateways end their streams as another protocol does.
        if json.is_empty() || json == "[DONE]" {
            return Ok(());
        }
        if name == "error" || matches!(frame, Frame::Whole(_)) && json.starts_with('[') {
            return Err(classify::in_band(json));
        }
        if self.repeated(json, out) {
            return Ok(());
        }
        self.repeats = None;
        let event: Event<'_> = match serde_json::from_str(json) {
            Ok(event) => event,
            Err(_) => {
                let tag: Tag<'_> = serde_json::from_str(json).unwrap_or_default();
                let told = tag.r#type.as_ref().map_or(name, |told| &*told.0);
                // An event of a kind that this version does not know may hold anything.
                return if KNOWN.contains(&told) || told.is_empty() { Err(malformed(json)) } else { Ok(()) };
            }
        };
        let told = event.r#type.as_ref().map_or(name, |told| &*told.0);
        let is_error = |error: &&RawValue| !matches!(error.get(), "null" | "{}" | "\"\"" | "false");
        if told == "error" || event.error.filter(is_error).is_some() {
            return Err(classify::in_band(json));
        }
        if !matches!(frame, Frame::Whole(_)) {
            let before = out.len();
            self.event(told, &event, out)?;
            self.remember(&event, json, &out[before..]);
            return Ok(());
        }
        let raw: &RawValue = serde_json::from_str(json).map_err(|_| malformed(json))?;
        if told != "message" && Fields::of(raw).take("content").is_none() {
            return Err(classify::in_band(json));
        }
        self.message(raw, out);
        self.end(out);
        Ok(())
    }

    /// Only `message_stop` ends an answer: without it nothing is said here.
    fn finish(&mut self, _: &mut Vec<Delta>) -> Result<(), Error> {
        Ok(())
    }
}

/// Events that must be well-formed.
const KNOWN: [&str; 6] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
];

/// Adds a fragment to a block of an unknown kind, whose fields it has: texts grow, anything else is replaced.
fn grow(block: &mut Extra, mut fragment: Fields) {
    fragment.take("type");
    for (name, value) in fragment.rest() {
        let text = |json: &Json| json.to::<String>().ok();
        let value = match (block.get(&name).and_then(text), text(&value)) {
            (Some(known), Some(more)) => Json::from_value(&(known + &more)).expect("a text is JSON"),
            _ => value,
        };
        block.set(&name, value);
    }
}

fn malformed(json: &str) -> Error {
    Error::new(ErrorKind::Decode, "an event of the answer is not what the protocol allows")
        .with_raw_body(classify::clip_to(json, 4096).to_owned())
}
