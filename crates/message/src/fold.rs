//! The fold: deltas in, one message out, however the deltas were cut.

use crate::delta::{Delta, Start};
use crate::finish::Finish;
use crate::json::Extra;
use crate::message::{Message, Role};
use crate::part::{Part, PartKind, ReasoningBlock};
use crate::usage::Usage;

/// Turns the deltas of one answer into its message.
///
/// The result depends on what was said, not on how it was cut: fragments may be of any length, and parts may
/// interleave. Parts stand in the order in which they began. A delta for a part that never began starts it;
/// one that does not fit its part's kind is ignored.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    start: Start,
    parts: Vec<(u32, Part)>,
    extra: Extra,
    usage: Option<Usage>,
    finish: Option<Finish>,
}

impl Fold {
    /// Returns a fold that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one delta.
    pub fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::Start(start) => self.start(start),
            Delta::PartStart { index, part } => {
                if !self.parts.iter().any(|(i, _)| i == index) {
                    self.parts.push((*index, (**part).clone()));
                }
            }
            Delta::Text { index, text } => {
                if let PartKind::Text { text: all, .. } | PartKind::Refusal { text: all } =
                    &mut self.part(*index, || Part::text("")).kind
                {
                    all.push_str(text);
                }
            }
            Delta::Reasoning { index, text } => {
                if let PartKind::Reasoning { blocks } = &mut self.part(*index, Part::reasoning).kind {
                    match blocks.last_mut() {
                        Some(ReasoningBlock::Summary(all) | ReasoningBlock::Text(all)) => all.push_str(text),
                        None => blocks.push(ReasoningBlock::Text(text.clone())),
                    }
                }
            }
            Delta::ReasoningBlock { index, block } => {
                if let PartKind::Reasoning { blocks } = &mut self.part(*index, Part::reasoning).kind {
                    blocks.push(block.clone());
                }
            }
            Delta::Arguments { index, text } => {
                if let PartKind::ToolCall { arguments, .. } =
                    &mut self.part(*index, || Part::tool_call("", "", "")).kind
                {
                    arguments.push_str(text);
                }
            }
            Delta::ToolCall { index, call_id, name } => {
                if let PartKind::ToolCall { call_id: id, name: n, .. } =
                    &mut self.part(*index, || Part::tool_call("", "", "")).kind
                {
                    if let Some(call_id) = call_id {
                        id.clone_from(call_id);
                    }
                    if let Some(name) = name {
                        n.clone_from(name);
                    }
                }
            }
            Delta::Annotation { index, annotation } => {
                if let PartKind::Text { annotations, .. } = &mut self.part(*index, || Part::text("")).kind {
                    annotations.push(annotation.clone());
                }
            }
            Delta::Opaque { index, opaque } => {
                self.part(*index, Part::reasoning).opaque.push(opaque.clone());
            }
            Delta::Extra { index, name, value } => {
                self.part(*index, || Part::text("")).extra.set(name, value.clone());
            }
            Delta::MessageExtra { name, value } => self.extra.set(name, value.clone()),
            Delta::PartEnd { index, part: Some(whole) } => {
                let whole = (**whole).clone();
                *self.part(*index, || whole.clone()) = whole.clone();
            }
            Delta::Usage(usage) => self.usage = Some(usage.clone()),
            Delta::Finish(finish) => self.finish = Some(finish.clone()),
            Delta::PartEnd { part: None, .. } | Delta::Warning(_) | Delta::Heartbeat => {}
        }
    }

    fn start(&mut self, start: &Start) {
        let known = &mut self.start;
        if start.response_id.is_some() {
            known.response_id.clone_from(&start.response_id);
        }
        if start.model.is_some() {
            known.model.clone_from(&start.model);
        }
        if start.request_id.is_some() {
            known.request_id.clone_from(&start.request_id);
        }
        if !start.rate_limits.is_empty() {
            known.rate_limits.clone_from(&start.rate_limits);
        }
    }

    /// Returns the part of that number; the last one is by far the likeliest.
    fn part(&mut self, index: u32, begin: impl FnOnce() -> Part) -> &mut Part {
        let at = self.parts.iter().rposition(|(i, _)| *i == index).unwrap_or_else(|| {
            self.parts.push((index, begin()));
            self.parts.len() - 1
        });
        &mut self.parts[at].1
    }

    /// Returns the assistant's message as far as it is known; its origin is the caller's to fill.
    pub fn message(&self) -> Message {
        let parts = self.parts.iter().map(|(_, part)| part.clone()).collect();
        Message { role: Role::Assistant, parts, origin: None, extra: self.extra.clone() }
    }

    /// Returns the assistant's message without copying it.
    pub fn into_message(self) -> Message {
        let parts = self.parts.into_iter().map(|(_, part)| part).collect();
        Message { role: Role::Assistant, parts, origin: None, extra: self.extra }
    }

    /// Returns what is known about the answer apart from its content.
    pub fn started(&self) -> &Start {
        &self.start
    }

    /// Returns the token counts last reported.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Returns why the answer ended, if it has.
    pub fn finish(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// Tells whether nothing of the message is there yet.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.extra.is_empty()
    }
}
