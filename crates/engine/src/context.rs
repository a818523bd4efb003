//! The context of a request: what of a session's branch is sent, with partial answers repaired.

use std::collections::HashSet;

use aichat_events::Transcript;
use aichat_message::{Executor, Message, MessageId, Part, PartKind, Role};

/// The messages of a branch that a request repeats.
#[derive(Default)]
pub(crate) struct Context {
    /// Those of the branch of which nothing can be repeated.
    pub(crate) left_out: Vec<MessageId>,
    pub(crate) messages: Vec<Message>,
}

impl Context {
    /// Returns the branch that ends at `head`, as it can be repeated before the message `next`.
    pub(crate) fn of(transcript: &Transcript, head: Option<&MessageId>, next: &Message) -> Self {
        let branch = head.map(|head| transcript.branch(head)).unwrap_or_default();
        let answered: HashSet<&str> = branch
            .iter()
            .map(|entry| &entry.message)
            .chain([next])
            .flat_map(|message| &message.parts)
            .filter_map(answered_call)
            .collect();
        let mut context = Self::default();
        for entry in &branch {
            let mut message = match entry.partial && entry.role == Role::Assistant {
                true => repaired(&entry.message),
                false => entry.message.clone(),
            };
            // No provider takes a call back whose result is missing; its own ones it answers itself, if it may end.
            message.parts.retain(|part| match &part.kind {
                PartKind::ToolCall { call_id, executor, .. } => {
                    answered.contains(call_id.as_str()) || !entry.partial && *executor != Executor::Client
                }
                _ => true,
            });
            match message.parts.is_empty() {
                true => context.left_out.push(entry.id.clone()),
                false => context.messages.push(message),
            }
        }
        context
    }
}

fn answered_call(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::ToolResult { call_id, .. } => Some(call_id),
        _ => None,
    }
}

/// Returns a cut-off answer as its provider will take it back: text stays, reasoning without its signature goes.
fn repaired(message: &Message) -> Message {
    let mut message = message.clone();
    message.parts.retain(|part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => !text.is_empty(),
        PartKind::Reasoning { .. } => !part.opaque.is_empty(),
        _ => true,
    });
    message
}
