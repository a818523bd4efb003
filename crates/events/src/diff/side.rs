//! One of two sessions: what was said on its branch, and what each turn took.

use std::collections::HashMap;

use aichat_message::{Message, MessageId, Part, PartKind, Role, SessionId, Source, Total, TurnId};
use serde::{Deserialize, Serialize};

use crate::cost::tally;
use crate::envelope::Event;
use crate::fact::{Fact, LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted, Timing};
use crate::hex::Hash;
use crate::tokens::Tokens;
use crate::transcript::{Transcript, TurnStatus};

/// One of two sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// The session, unless there are no events.
    pub session: Option<SessionId>,
    /// Its name.
    pub name: Option<String>,
    /// The model it was begun with, `provider/model`.
    pub model: Option<String>,
    /// How many messages its branch has.
    pub messages: usize,
    /// What the calls of its own took, without those of the sessions it was forked from.
    pub tokens: Tokens,
    /// What they cost.
    pub cost: Total,
}

/// Where and how something was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// Names the message.
    pub id: MessageId,
    /// The place of its event in its log.
    pub seq: u64,
    /// Whether it was cut off.
    pub partial: bool,
    /// What the turn took that it answers; of other messages nothing is said.
    pub figures: Option<Figures>,
}

/// What a turn took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The turn.
    pub turn: TurnId,
    /// The model asked, `provider/model`.
    pub model: String,
    /// How it ended.
    #[serde(flatten)]
    pub status: TurnStatus,
    /// What its calls consumed.
    pub tokens: Tokens,
    /// What they cost.
    pub cost: Total,
    /// How long the call that ended it took to its first content, in microseconds.
    pub first_content_us: Option<u64>,
    /// How long that call took, in microseconds; `None` where nobody was there to tell.
    pub total_us: Option<u64>,
}

/// A message, ready to be compared.
pub(super) struct Spoken {
    pub(super) said: Said,
    pub(super) role: Role,
    /// The hash of its event, where that is one that another session may have as well.
    pub(super) hash: Option<Hash>,
    pub(super) text: String,
    pub(super) calls: Vec<Called>,
}

/// A call of a tool.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Spoken {
    /// Tells whether both say the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.role == other.role && self.text == other.text && self.calls_same(other)
    }

    /// Tells whether both call the same tools with the same arguments.
    pub(super) fn calls_same(&self, other: &Self) -> bool {
        let pairs = || self.calls.iter().zip(&other.calls);
        self.calls.len() == other.calls.len() && pairs().all(|(a, b)| a.is_same(b))
    }
}

/// Reads the branch that a session goes on from.
pub(super) fn read(events: &[Event]) -> (Side, Vec<Spoken>) {
    let transcript = Transcript::fold(events);
    let hashes = hashes(events);
    let mut figures = figures(events, &transcript);
    let head = transcript.head().map(|entry| entry.id.clone());
    let branch = head.map(|head| transcript.branch(&head)).unwrap_or_default();
    let spoken: Vec<Spoken> = branch
        .into_iter()
        .map(|entry| {
            let mut calls = Vec::new();
            let text = if entry.erased { "(erased)".to_owned() } else { text(&entry.message, &mut calls) };
            Spoken {
                role: entry.role,
                hash: hashes.get(&entry.id).copied(),
                text,
                calls,
                said: Said {
                    id: entry.id.clone(),
                    seq: entry.seq,
                    partial: entry.partial,
                    figures: figures.remove(&entry.id),
                },
            }
        })
        .collect();
    let side = Side {
        messages: spoken.len(),
        session: transcript.session,
        name: transcript.name,
        model: transcript.model,
        tokens: transcript.tokens,
        cost: transcript.cost,
    };
    (side, spoken)
}

/// Returns the hash of the event that says each message; of one that was cut off and came whole later, of the latter.
fn hashes(events: &[Event]) -> HashMap<MessageId, Hash> {
    #[derive(Deserialize)]
    struct Named {
        id: MessageId,
    }
    let said = events.iter().filter(|event| event.kind().starts_with("message."));
    said.filter_map(|event| Some((event.payload_as::<Named>().ok()?.id, *event.hash()))).collect()
}

/// Returns what each turn took, by its last message.
fn figures(events: &[Event], transcript: &Transcript) -> HashMap<MessageId, Figures> {
    let mut taken: HashMap<&TurnId, (Tokens, Total, Option<Timing>)> = HashMap::new();
    for event in events {
        let Some(turn) = event.turn() else { continue };
        let (tokens, cost, timing) = taken.entry(turn).or_default();
        tokens.count(event);
        tally(cost, event);
        let told = match event.kind() {
            LlmResponseCompleted::TYPE => LlmResponseCompleted::of(event).map(|fact| fact.timing),
            LlmResponseFailed::TYPE => LlmResponseFailed::of(event).and_then(|fact| fact.timing),
            LlmResponseInterrupted::TYPE => LlmResponseInterrupted::of(event).and_then(|fact| fact.timing),
            _ => continue,
        };
        *timing = told;
    }
    let turns = transcript.turns.iter().filter_map(|turn| {
        let last = turn.answer.as_ref().or(turn.input.as_ref())?;
        let (tokens, cost, timing) = taken.remove(&turn.id).unwrap_or_default();
        let figures = Figures {
            turn: turn.id.clone(),
            model: turn.model.clone(),
            status: turn.status.clone(),
            tokens,
            cost,
            first_content_us: timing.as_ref().and_then(|timing| timing.first_content_us),
            total_us: timing.map(|timing| timing.total_us),
        };
        Some((last.clone(), figures))
    });
    turns.collect()
}

/// Returns what a message says, and notes what it calls.
fn text(message: &Message, calls: &mut Vec<Called>) -> String {
    let parts: Vec<String> = message.parts.iter().filter_map(|part| said(part, calls)).collect();
    parts.join("\n\n")
}

fn said(part: &Part, calls: &mut Vec<Called>) -> Option<String> {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => Some(text.clone()),
        PartKind::Reasoning { .. } => None,
        PartKind::ToolCall { name, arguments, .. } => {
            calls.push(Called { name: name.clone(), arguments: arguments.as_str().to_owned() });
            None
        }
        PartKind::ToolResult { content, .. } => {
            let inner: Vec<String> = content.iter().filter_map(|part| said(part, calls)).collect();
            Some(inner.join("\n\n"))
        }
        PartKind::Media { source, mime, name, .. } => {
            let place = match source {
                Source::Url(text) | Source::FileId(text) | Source::Blob(text) => text.as_str(),
                _ => "inline",
            };
            let what = name.as_deref().or(mime.as_deref()).unwrap_or("media");
            Some(format!("[attached: {what} ({place})]"))
        }
        PartKind::Unknown { type_name, .. } => Some(format!("[a part of type {type_name}]")),
        _ => Some("[a part of another type]".to_owned()),
    }
}
