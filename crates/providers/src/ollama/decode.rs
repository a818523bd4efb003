//! The answer of a chat, streamed or whole, as deltas.

use aichat_message::{Delta, ErrorKind, Extra, Finish, FinishReason, Part, Start};

use super::wire::{self, Line, Said, ToolCall};
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::history::RESPONSE;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct OllamaDecoder {
    started: bool,
    next_part: u32,
    /// The part that text or reasoning goes to, until the other begins.
    open: Option<(Open, u32)>,
    called: bool,
    /// Fields that were not understood, as last seen.
    unknown: Extra,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Reasoning,
}

impl OllamaDecoder {
    fn line(&mut self, line: Line<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        if !self.started
            && let Some(model) = line.model.filter(|model| !model.is_empty())
        {
            self.started = true;
            out.push(Delta::Start(Start { model: Some(model), ..Start::default() }));
        }
        for (name, value) in line.unknown {
            self.unknown.set(&format!("{RESPONSE}{name}"), wire::keep(value));
        }
        if let Some(said) = line.message {
            self.said(said, out);
        }
        if line.done {
            out.extend(wire::usage(line.counters).map(Delta::Usage));
            self.end(line.done_reason.filter(|reason| !reason.is_empty()), out)?;
        }
        Ok(())
    }

    fn said(&mut self, said: Said<'_>, out: &mut Vec<Delta>) {
        if let Some(text) = said.thinking.filter(|text| !text.is_empty()) {
            let index = self.part(Open::Reasoning, out);
            out.push(Delta::Reasoning { index, text });
        }
        if let Some(text) = said.content.filter(|text| !text.is_empty()) {
            let index = self.part(Open::Text, out);
            out.push(Delta::Text { index, text });
        }
        for call in said.tool_calls {
            self.call(call, out);
        }
        for (name, value) in said.unknown {
            self.unknown.set(&name, wire::keep(value));
        }
    }

    fn call(&mut self, mut call: ToolCall<'_>, out: &mut Vec<Delta>) {
        self.close(out);
        self.called = true;
        let (id, name) = (call.id.take().unwrap_or_default(), call.function.name.take().unwrap_or_default());
        let part = Part { extra: call.extra(), ..Part::tool_call(id, name, call.arguments()) };
        let index = self.begin(part, out);
        out.push(Delta::PartEnd { index, part: None });
    }

    /// Returns the open part of this kind, which begins if another one was open.
    fn part(&mut self, kind: Open, out: &mut Vec<Delta>) -> u32 {
        if let Some((open, index)) = self.open
            && open == kind
        {
            return index;
        }
        self.close(out);
        let part = match kind {
            Open::Text => Part::text(""),
            Open::Reasoning => Part::reasoning(),
        };
        let index = self.begin(part, out);
        self.open = Some((kind, index));
        index
    }

    fn begin(&mut self, part: Part, out: &mut Vec<Delta>) -> u32 {
        let index = self.next_part;
        self.next_part += 1;
        out.push(Delta::PartStart { index, part: Box::new(part) });
        index
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if let Some((_, index)) = self.open.take() {
            out.push(Delta::PartEnd { index, part: None });
        }
    }

    fn end(&mut self, raw: Option<String>, out: &mut Vec<Delta>) -> Result<(), Error> {
        self.close(out);
        for (name, value) in std::mem::take(&mut self.unknown).iter() {
            out.push(Delta::MessageExtra { name: name.to_owned(), value: value.clone() });
        }
        let reason = match raw.as_deref() {
            Some("error") => {
                let text = "the provider ended the answer with an error";
                return Err(Error::new(ErrorKind::Server, text).with_code("error"));
            }
            // Calls end with "stop", too.
            None | Some("stop") if self.called => FinishReason::ToolCalls,
            None | Some("stop") => FinishReason::Stop,
            Some("length") => FinishReason::Length,
            Some("tool_calls") => FinishReason::ToolCalls,
            // "load" and "unload" answer requests that only move a model into memory or out of it.
            Some(_) => FinishReason::Other,
        };
        out.push(Delta::Finish(Finish { reason, raw }));
        Ok(())
    }
}

impl Decoder for OllamaDecoder {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let json = match frame {
            Frame::Event { data, .. } => data.trim(),
            Frame::Value(json) | Frame::Whole(json) => json,
        };
        if json.is_empty() {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_str(json).map_err(|_| {
            Error::new(ErrorKind::Decode, "a line of the answer is not what the protocol allows")
                .with_raw_body(classify::clip_to(json, 4096).to_owned())
        })?;
        let failed = line.error.is_some_and(|error| !matches!(error.get(), "null" | "{}" | "\"\"" | "false"));
        if failed || matches!(frame, Frame::Whole(_)) && line.message.is_none() && !line.done {
            return Err(classify::in_band(json));
        }
        self.line(line, out)
    }

    fn finish(&mut self, _: &mut Vec<Delta>) -> Result<(), Error> {
        // The last line says that it is the last; without it the answer was cut.
        Ok(())
    }
}
