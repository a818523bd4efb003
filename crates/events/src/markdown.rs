//! A transcript as Markdown, for people to keep.

use std::collections::HashMap;
use std::fmt::Write;

use aichat_message::{Message, MessageId, Part, PartKind, Role, Source};

use crate::sanitise::{label, sanitise};
use crate::time;
use crate::transcript::{Entry, Transcript, Turn, TurnStatus};

/// The turns by the last message of each.
type Ends<'a> = HashMap<Option<&'a MessageId>, &'a Turn>;

/// Longest name or label taken over from the log, in characters.
const LABEL: usize = 200;

impl Transcript {
    /// Returns the branch of the last message as Markdown.
    ///
    /// Each message is a block quote under a heading of its own. A quote ends where its lines end, whatever fence
    /// or markup was opened in it, so what was said cannot be taken for the structure around it. Control
    /// sequences are neutralised.
    pub fn to_markdown(&self) -> String {
        let session = self.session.as_ref().map(|id| id.as_str()).unwrap_or("session");
        let mut out =
            format!("# {}\n\n", self.name.as_deref().map(text_line).unwrap_or_else(|| session.to_owned()));
        let _ = writeln!(out, "- session: {session}");
        if let Some(model) = &self.model {
            let _ = writeln!(out, "- model: {}", text_line(model));
        }
        if let Some(created) = self.created {
            let _ = writeln!(out, "- created: {}", time::rfc3339(created));
        }
        if self.tokens.calls > 0 {
            let _ = writeln!(out, "- tokens: {} in, {} out", self.tokens.input, self.tokens.output);
        }
        // Where nothing is known there is nothing to say.
        if self.cost.calls > self.cost.unpriced {
            let _ = writeln!(out, "- cost: {}", self.cost);
        }
        let ends: Ends<'_> =
            self.turns.iter().map(|turn| (turn.answer.as_ref().or(turn.input.as_ref()), turn)).collect();
        let branch = self.head().map(|head| self.branch(&head.id)).unwrap_or_default();
        for entry in branch {
            write_entry(&mut out, entry, ends.get(&Some(&entry.id)).map(|turn| &turn.status));
        }
        for warning in &self.warnings {
            let _ = write!(out, "\n*Warning: {}*\n", text_line(&warning.text));
        }
        out
    }
}

/// Appends a message, and how its turn ended where it is the last of it.
fn write_entry(out: &mut String, entry: &Entry, end: Option<&TurnStatus>) {
    let who = match entry.role {
        Role::System => "System",
        Role::Developer => "Developer",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool",
        _ => "Other",
    };
    let _ = write!(out, "\n## {who}, {}", time::rfc3339(entry.ts));
    if let Some(origin) = &entry.message.origin {
        let _ = write!(out, ", {}", text_line(&format!("{}/{}", origin.provider, origin.model)));
    }
    if entry.replaces.is_some() {
        out.push_str(", edited");
    }
    out.push_str("\n\n");
    match entry.erased {
        true => out.push_str("*erased*"),
        false => out.push_str(&quoted(&said(&entry.message))),
    }
    out.push('\n');
    if entry.partial {
        out.push_str("\n*cut off here*\n");
    }
    match end {
        Some(TurnStatus::Failed { message, .. }) => {
            let _ = write!(out, "\n*failed: {}*\n", text_line(message));
        }
        Some(TurnStatus::Interrupted { reason }) => {
            let reason = reason.map_or("for an unknown reason", |reason| reason.as_str());
            let _ = write!(out, "\n*interrupted: {reason}*\n");
        }
        _ => {}
    }
}

/// Returns all parts one after another, as Markdown.
pub(crate) fn said(message: &Message) -> String {
    let parts: Vec<String> = message.parts.iter().map(part).filter(|text| !text.is_empty()).collect();
    parts.join("\n\n")
}

fn part(part: &Part) -> String {
    match &part.kind {
        PartKind::Text { text, .. } => text.clone(),
        PartKind::Refusal { text } => format!("*refused:* {text}"),
        PartKind::Reasoning { blocks } => {
            let texts: Vec<&str> =
                blocks.iter().map(|block| block.text()).filter(|text| !text.is_empty()).collect();
            if texts.is_empty() {
                return String::new();
            }
            format!("*reasoning:*\n\n{}", quoted(&texts.join("\n\n")))
        }
        PartKind::ToolCall { name, arguments, .. } => {
            format!("*calls {}:*\n\n{}", text_line(name), fenced(arguments.as_str()))
        }
        PartKind::ToolResult { content, is_error, .. } => {
            let inner: Vec<String> = content.iter().map(self::part).collect();
            let what = if *is_error { "tool error" } else { "tool result" };
            format!("*{what}:*\n\n{}", quoted(&inner.join("\n\n")))
        }
        PartKind::Media { source, mime, name, .. } => {
            let place = match source {
                Source::Url(text) | Source::FileId(text) => text.as_str(),
                Source::Blob(_) => "kept",
                _ => "inline",
            };
            let what = name.as_deref().or(mime.as_deref()).unwrap_or("media");
            format!("*attached: {} ({})*", text_line(what), text_line(place))
        }
        PartKind::Unknown { type_name, .. } => format!("*a part of type {}*", text_line(type_name)),
        _ => "*a part of another type*".to_owned(),
    }
}

/// Returns `text` as a block quote.
fn quoted(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let quoted = |line: &str| if line.trim().is_empty() { ">".to_owned() } else { format!("> {line}") };
    sanitise(&text).lines().map(quoted).collect::<Vec<_>>().join("\n")
}

/// Returns `text` in a fence longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
}

/// Returns `text` as plain words of one line: no control sequences, and markup escaped.
fn text_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in label(text, LABEL).chars() {
        if "\\`*_[]<>#|~&!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
