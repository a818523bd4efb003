//! The answer of Gemini, streamed or whole, as deltas.

use std::borrow::Cow;

use serde_json::value::RawValue;

use aichat_message::{
    Delta, ErrorKind, Extra, Finish, FinishReason, Json, MediaKind, Opaque, OpaqueKind, Part, PartKind,
    ReasoningBlock, Source, Start,
};

use super::pieces::Pieces;
use super::wire::{self, Blob, Call, Candidate, Data, Field, Response};
use super::{FILE_DATA, FUNCTION_CALL, INLINE_DATA};
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::history::RESPONSE;

/// Reads one answer.
#[derive(Debug)]
pub(super) struct GeminiDecoder {
    provider: String,
    start: Start,
    next_part: u32,
    /// The part that more of the same kind continues, as long as nothing is signed.
    open: Option<(Open, u32)>,
    /// The call whose arguments arrive in pieces.
    pieces: Option<(u32, Pieces)>,
    has_calls: bool,
    usage: Option<Box<str>>,
    unknown: Extra,
    warned: bool,
    finish: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Thought,
}

/// Why nothing more will be said.
#[derive(Debug)]
enum End {
    /// The provider's word for the end of the answer.
    Reason(String),
    /// Why the question was not answered.
    Blocked(String),
    /// An answer that is whole and says nothing of its end.
    Unsaid,
}

impl GeminiDecoder {
    pub(super) fn new(provider: String) -> Self {
        Self {
            provider,
            start: Start::default(),
            next_part: 0,
            open: None,
            pieces: None,
            has_calls: false,
            usage: None,
            unknown: Extra::new(),
            warned: false,
            finish: None,
        }
    }

    fn response(&mut self, response: Response<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        self.started(&response, out);
        if response.has_others && !self.warned {
            self.warned = true;
            out.push(Delta::Warning("of several answers only the first is kept".to_owned()));
        }
        self.note(RESPONSE, &response.unknown);
        if let Some(candidate) = response.candidate {
            self.candidate(candidate, out)?;
        } else if let Some(reason) = response.block_reason {
            self.finish = Some(End::Blocked(reason.into_owned()));
        }
        if let Some(raw) = response.usage {
            self.used(raw, out);
        }
        Ok(())
    }

    fn started(&mut self, response: &Response<'_>, out: &mut Vec<Delta>) {
        let news = |known: &Option<String>, told: &Option<Cow<'_, str>>| {
            told.as_deref().filter(|told| !told.is_empty() && known.is_none()).map(str::to_owned)
        };
        let response_id = news(&self.start.response_id, &response.id);
        let model = news(&self.start.model, &response.model);
        if response_id.is_none() && model.is_none() {
            return;
        }
        self.start.response_id = self.start.response_id.take().or_else(|| response_id.clone());
        self.start.model = self.start.model.take().or_else(|| model.clone());
        out.push(Delta::Start(Start { response_id, model, ..Start::default() }));
    }

    fn used(&mut self, raw: &RawValue, out: &mut Vec<Delta>) {
        if self.usage.as_deref() == Some(raw.get()) {
            return;
        }
        if let Some(usage) = wire::usage(raw) {
            self.usage = Some(raw.get().into());
            out.push(Delta::Usage(usage));
        }
    }

    /// Keeps fields that stand around the content. What is told of the content piece by piece, its sources for
    /// example, is kept once for each piece; of anything else the last word counts.
    fn note(&mut self, place: &str, fields: &[Field<'_>]) {
        for (name, raw) in fields.iter().filter(|(_, raw)| !matches!(raw.get(), "[]" | "{}" | "\"\"")) {
            let value = Json::from_raw((*raw).to_owned());
            let mut full = format!("{place}{name}");
            if name.ends_with("etadata") {
                let mut more = 1;
                while self.unknown.get(&full).is_some_and(|known| *known != value) {
                    more += 1;
                    full = format!("{place}{name}.{more}");
                }
            }
            self.unknown.set(&full, value);
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        self.note("", &candidate.unknown_content);
        self.note(RESPONSE, &candidate.unknown);
        // Only between elements of a stream was a text cut; parts of one element are parts.
        let mut continues = true;
        for part in candidate.parts {
            let says_nothing =
                matches!(&part.data, Data::Text(text) if text.is_empty()) || matches!(part.data, Data::Other);
            if says_nothing && part.signature.is_none() && part.unknown.is_empty() {
                continue;
            }
            if !continues {
                self.close(out);
            }
            continues = false;
            self.part(part, out)?;
        }
        let Some(reason) = candidate.finish else { return Ok(()) };
        if reason.is_empty() || reason == "FINISH_REASON_UNSPECIFIED" {
            return Ok(());
        }
        if matches!(&*reason, "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS") {
            let why = candidate.finish_message.unwrap_or_else(|| reason.to_ascii_lowercase().into());
            let why = classify::clip_to(&why, 1024);
            out.push(Delta::Warning(format!("the model called a tool in a way that cannot be used: {why}")));
        }
        self.finish = Some(End::Reason(reason.into_owned()));
        Ok(())
    }

    fn part(&mut self, told: wire::Part<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let wire::Part { data, thought, signature, unknown } = told;
        let mut extra = extra("", unknown);
        let part = match data {
            Data::Text(text) => {
                let kind = if thought { Open::Thought } else { Open::Text };
                self.text(kind, text, signature, extra, out);
                return Ok(());
            }
            Data::Call(call) if self.pieces.is_some() && call.name.is_empty() => {
                return self.more(call, signature, out);
            }
            Data::Other if extra.is_empty() => {
                let kind = if thought { Open::Thought } else { Open::Text };
                self.text(kind, Cow::Borrowed(""), signature, extra, out);
                return Ok(());
            }
            Data::Call(call) => return self.call(call, thought, signature, extra, out),
            Data::Inline(blob) => media(blob, INLINE_DATA, &mut extra),
            Data::File(blob) => media(blob, FILE_DATA, &mut extra),
            Data::Other => {
                let type_name = extra.iter().next().map(|(name, _)| name.to_owned()).unwrap_or_default();
                let raw = Json::from_value(&extra).expect("fields that were read from JSON are JSON");
                extra = Extra::new();
                Part::new(PartKind::Unknown { type_name, raw })
            }
        };
        if thought {
            extra.push("thought", Json::from_value(&true).expect("true is JSON"));
        }
        self.close(out);
        self.begin(Part { extra, ..part }, signature, out);
        self.end_part(out);
        Ok(())
    }

    /// Begins a part and returns its number.
    fn begin(&mut self, part: Part, signature: Option<Cow<'_, str>>, out: &mut Vec<Delta>) -> u32 {
        let index = self.next_part;
        self.next_part += 1;
        let opaque = signature.map(|signature| self.signed(signature)).into_iter().collect();
        out.push(Delta::PartStart { index, part: Box::new(Part { opaque, ..part }) });
        index
    }

    /// Ends the part that began last.
    fn end_part(&self, out: &mut Vec<Delta>) {
        out.push(Delta::PartEnd { index: self.next_part - 1, part: None });
    }

    fn signed(&self, signature: Cow<'_, str>) -> Opaque {
        let (provider, data) = (self.provider.clone(), signature.into_owned());
        Opaque { provider, kind: OpaqueKind::ThoughtSignature, data }
    }

    /// Takes text. What carries more than text goes back as it came, and is a part of its own.
    fn text(
        &mut self,
        kind: Open,
        text: Cow<'_, str>,
        signature: Option<Cow<'_, str>>,
        extra: Extra,
        out: &mut Vec<Delta>,
    ) {
        let alone = signature.is_some() || !extra.is_empty();
        let index = match self.open {
            Some((open, index)) if open == kind && !alone => index,
            _ => {
                self.close(out);
                let part = match kind {
                    Open::Text => Part::text(""),
                    Open::Thought if text.is_empty() => Part::reasoning(),
                    Open::Thought => {
                        let blocks = vec![ReasoningBlock::Summary(String::new())];
                        Part::new(PartKind::Reasoning { blocks })
                    }
                };
                self.begin(Part { extra, ..part }, signature, out)
            }
        };
        if !text.is_empty() {
            let text = text.into_owned();
            out.push(match kind {
                Open::Text => Delta::Text { index, text },
                Open::Thought => Delta::Reasoning { index, text },
            });
        }
        match alone {
            true => self.end_part(out),
            false => self.open = Some((kind, index)),
        }
    }

    fn call(
        &mut self,
        call: Call<'_>,
        thought: bool,
        signature: Option<Cow<'_, str>>,
        mut extra: Extra,
        out: &mut Vec<Delta>,
    ) -> Result<(), Error> {
        self.close(out);
        self.has_calls = true;
        for (name, value) in call.unknown {
            extra.push(format!("{FUNCTION_CALL}.{name}"), Json::from_raw(value.to_owned()));
        }
        if thought {
            extra.push("thought", Json::from_value(&true).expect("true is JSON"));
        }
        let arguments = call.args.map_or("", RawValue::get);
        let part = Part { extra, ..Part::tool_call(call.id, call.name, arguments) };
        let index = self.begin(part, signature, out);
        if arguments.is_empty() && (call.will_continue || !call.partial_args.is_empty()) {
            self.pieces = Some((index, Pieces::default()));
            return self.arguments(&call.partial_args, call.will_continue, out);
        }
        self.end_part(out);
        Ok(())
    }

    /// Takes more of the call under way.
    fn more(
        &mut self,
        call: Call<'_>,
        signature: Option<Cow<'_, str>>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Error> {
        if let (Some((index, _)), Some(signature)) = (&self.pieces, signature) {
            out.push(Delta::Opaque { index: *index, opaque: self.signed(signature) });
        }
        self.arguments(&call.partial_args, call.will_continue, out)
    }

    fn arguments(
        &mut self,
        args: &[wire::PartialArg<'_>],
        more: bool,
        out: &mut Vec<Delta>,
    ) -> Result<(), Error> {
        let Some((index, pieces)) = &mut self.pieces else { return Ok(()) };
        let (index, mut text) = (*index, String::new());
        let read = args.iter().try_for_each(|arg| pieces.push(arg, &mut text));
        if !text.is_empty() {
            out.push(Delta::Arguments { index, text });
        }
        if !more {
            self.close(out);
        }
        read
    }

    /// Ends whatever part is under way.
    fn close(&mut self, out: &mut Vec<Delta>) {
        if let Some((_, index)) = self.open.take() {
            out.push(Delta::PartEnd { index, part: None });
        }
        if let Some((index, mut pieces)) = self.pieces.take() {
            let mut text = String::new();
            pieces.close(&mut text);
            if !text.is_empty() {
                out.push(Delta::Arguments { index, text });
            }
            out.push(Delta::PartEnd { index, part: None });
        }
    }

    fn end(&mut self, end: End, out: &mut Vec<Delta>) {
        self.close(out);
        let unknown = std::mem::take(&mut self.unknown);
        let unknown = unknown.iter().map(|(name, value)| (name.to_owned(), value.clone()));
        out.extend(unknown.map(|(name, value)| Delta::MessageExtra { name, value }));
        let (reason, raw) = match end {
            End::Blocked(raw) => (FinishReason::ContentFilter, Some(raw)),
            End::Reason(raw) => (self.reason(&raw), Some(raw)),
            End::Unsaid => (self.reason("STOP"), None),
        };
        out.push(Delta::Finish(Finish { reason, raw }));
    }

    /// Reasons: <https://ai.google.dev/api/generate-content#FinishReason>.
    fn reason(&self, raw: &str) -> FinishReason {
        match raw {
            // The protocol has no word for an end that waits for results.
            "STOP" if self.has_calls => FinishReason::ToolCalls,
            "STOP" => FinishReason::Stop,
            "FUNCTION_CALL" => FinishReason::ToolCalls,
            "MAX_TOKENS" => FinishReason::Length,
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        }
    }
}

impl Decoder for GeminiDecoder {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Delta>) -> Result<(), Error> {
        let json = match frame {
            Frame::Event { data, .. } => data.trim(),
            Frame::Value(json) | Frame::Whole(json) => json,
        };
        if json.is_empty() || json == "[DONE]" {
            return Ok(());
        }
        let Ok(response) = Response::read(json) else {
            let text = "an event of the answer is not what the protocol allows";
            return Err(
                Error::new(ErrorKind::Decode, text).with_raw_body(classify::clip_to(json, 4096).to_owned())
            );
        };
        if response.error.is_some_and(|error| !matches!(error.get(), "{}" | "\"\"" | "false")) {
            return Err(classify::in_band(json));
        }
        let is_answer = response.candidate.is_some() || response.block_reason.is_some();
        self.response(response, out)?;
        if matches!(frame, Frame::Whole(_)) {
            let end = self.finish.take().or(is_answer.then_some(End::Unsaid));
            let none = || Error::new(ErrorKind::Decode, "the answer has no candidates");
            self.end(end.ok_or_else(none)?, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<(), Error> {
        if let Some(end) = self.finish.take() {
            self.end(end, out);
        }
        Ok(())
    }

    fn is_ending(&self) -> bool {
        self.finish.is_some()
    }
}

/// Returns media as a part; what its object holds beside them goes to `extra`.
fn media(blob: Blob<'_>, place: &str, extra: &mut Extra) -> Part {
    for (name, value) in blob.unknown {
        extra.push(format!("{place}.{name}"), Json::from_raw(value.to_owned()));
    }
    let media = match blob.mime.as_deref().and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    };
    let source = blob.source.into_owned();
    let source = if place == INLINE_DATA { Source::Base64(source) } else { Source::Url(source) };
    let mime = blob.mime.map(Cow::into_owned);
    Part::new(PartKind::Media { media, source, mime, name: blob.name.map(Cow::into_owned) })
}

fn extra(place: &str, fields: Vec<Field<'_>>) -> Extra {
    fields
        .into_iter()
        .map(|(name, value)| (format!("{place}{name}"), Json::from_raw(value.to_owned())))
        .collect()
}
