//! The record of an answer while it streams: deltas, masked and joined, for the turn in flight.

use std::sync::Arc;

use aichat_events::{RedactStream, Redactor};
use aichat_message::{Delta, Json, Part, ReasoningBlock};

use crate::record::Record;

/// How much text may wait before it is written, in bytes.
const MAX_WAITING: usize = 4 << 10;

/// Joins the deltas of one attempt into few records. Text passes the redactor across the cuts between deltas,
/// so that a secret which arrives in pieces is masked as well.
pub(crate) struct DeltaJournal {
    redactor: Arc<Redactor>,
    lanes: Vec<Lane>,
    ready: Vec<Vec<u8>>,
    waiting: usize,
}

/// The text of one part that is not written yet.
struct Lane {
    index: u32,
    channel: Channel,
    mask: RedactStream,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Text,
    Reasoning,
    Arguments,
}

impl DeltaJournal {
    pub(crate) fn new(redactor: &Arc<Redactor>) -> Self {
        Self { redactor: Arc::clone(redactor), lanes: Vec::new(), ready: Vec::new(), waiting: 0 }
    }

    /// Takes a delta, and tells whether it is time to [`drain`](Self::drain).
    pub(crate) fn push(&mut self, delta: &Delta) -> bool {
        match delta {
            Delta::Text { index, text } => self.text(*index, Channel::Text, text),
            Delta::Reasoning { index, text } => self.text(*index, Channel::Reasoning, text),
            Delta::Arguments { index, text } => self.text(*index, Channel::Arguments, text),
            Delta::Heartbeat | Delta::Warning(_) => false,
            other => {
                if let Some(index) = other.part() {
                    self.end(index);
                }
                let masked = self.masked(other);
                self.record(masked);
                true
            }
        }
    }

    fn text(&mut self, index: u32, channel: Channel, text: &str) -> bool {
        let at = self.lanes.iter().rposition(|lane| lane.index == index && lane.channel == channel);
        let at = at.unwrap_or_else(|| {
            let mask = self.redactor.stream();
            self.lanes.push(Lane { index, channel, mask, text: String::new() });
            self.lanes.len() - 1
        });
        let lane = &mut self.lanes[at];
        match self.redactor.is_none() {
            true => lane.text.push_str(text),
            false => lane.text.push_str(&lane.mask.push(text)),
        }
        self.waiting += text.len();
        self.waiting >= MAX_WAITING
    }

    /// Writes out the text of a part whose next delta is not text.
    fn end(&mut self, index: u32) {
        while let Some(at) = self.lanes.iter().position(|lane| lane.index == index) {
            let mut lane = self.lanes.remove(at);
            let rest = lane.mask.finish();
            lane.text.push_str(&rest);
            self.lane_record(lane.index, lane.channel, lane.text);
        }
    }

    fn lane_record(&mut self, index: u32, channel: Channel, text: String) {
        if text.is_empty() {
            return;
        }
        self.record(match channel {
            Channel::Text => Delta::Text { index, text },
            Channel::Reasoning => Delta::Reasoning { index, text },
            Channel::Arguments => Delta::Arguments { index, text },
        });
    }

    fn record(&mut self, delta: Delta) {
        self.ready.push(Record::Delta(delta).encode());
    }

    fn masked(&self, delta: &Delta) -> Delta {
        if self.redactor.is_none() {
            return delta.clone();
        }
        let part = |part: &Part| Box::new(self.redactor.redact_part(part));
        let json = |value: &Json| self.redactor.redact_json(value);
        match delta.clone() {
            Delta::PartStart { index, part: whole } => Delta::PartStart { index, part: part(&whole) },
            Delta::PartEnd { index, part: Some(whole) } => Delta::PartEnd { index, part: Some(part(&whole)) },
            Delta::Annotation { index, annotation } => {
                Delta::Annotation { index, annotation: json(&annotation) }
            }
            Delta::Extra { index, name, value } => Delta::Extra { index, name, value: json(&value) },
            Delta::MessageExtra { name, value } => Delta::MessageExtra { name, value: json(&value) },
            Delta::ReasoningBlock { index, block } => {
                let text = self.redactor.redact_str(block.text()).into_owned();
                let block = match block {
                    ReasoningBlock::Summary(_) => ReasoningBlock::Summary(text),
                    _ => ReasoningBlock::Text(text),
                };
                Delta::ReasoningBlock { index, block }
            }
            // Opaque data is never touched; what is left holds numbers and the provider's own words, which
            // pass as the strings of their JSON.
            Delta::Opaque { index, opaque } => Delta::Opaque { index, opaque },
            other => {
                let text = Json::from_value(&other).expect("deltas have string keys only");
                self.redactor.redact_json(&text).to().unwrap_or(other)
            }
        }
    }

    /// Tells whether text waits to be written.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Returns the records to write now; text that may still turn out to be a secret stays.
    pub(crate) fn drain(&mut self) -> Vec<Vec<u8>> {
        self.waiting = 0;
        for at in 0..self.lanes.len() {
            let lane = &mut self.lanes[at];
            let (index, channel, text) = (lane.index, lane.channel, std::mem::take(&mut lane.text));
            self.lane_record(index, channel, text);
        }
        std::mem::take(&mut self.ready)
    }
}
