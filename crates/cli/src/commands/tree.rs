//! `sessions tree`: the messages of a session, each below the one it follows.

use std::collections::HashMap;

use aichat_events::{Entry, Transcript, sanitise};
use aichat_message::{MessageId, Role};
use serde::Serialize;

use super::Context;
use crate::failure::Failure;
use crate::output::Output;

/// How much of a message is shown, in characters.
const EXCERPT: usize = 60;

/// One message in its place.
#[derive(Serialize)]
struct Node<'a> {
    id: &'a MessageId,
    parent: Option<&'a MessageId>,
    /// How many of the messages before it have another one beside them that follows the same.
    depth: usize,
    /// Whether it begins a branch: another one follows the same message, or it follows none.
    begins: bool,
    role: Role,
    partial: bool,
    /// The branches that end here.
    branches: Vec<&'a str>,
    /// Whether the session goes on from here.
    current: bool,
    excerpt: String,
}

/// Prints the tree. A message stands under its parent; where there is more than one under it, each begins a branch, which
/// is indented and marked.
pub(super) fn print(context: &Context, output: &mut Output, transcript: &Transcript) -> Result<(), Failure> {
    let nodes = nodes(transcript);
    if context.global.json {
        return output.list(&nodes);
    }
    if nodes.is_empty() {
        context.talk.note("nothing has been said yet");
    }
    for node in &nodes {
        output.line(&line(node))?;
    }
    Ok(())
}

fn line(node: &Node<'_>) -> String {
    let mark = match (node.current, node.begins) {
        (true, _) => "* ",
        (false, true) => "- ",
        (false, false) => "  ",
    };
    let cut = if node.partial { " [cut off]" } else { "" };
    let names: Vec<_> = node.branches.iter().map(|name| sanitise(name)).collect();
    let names = if names.is_empty() { String::new() } else { format!(" [{}]", names.join(", ")) };
    let (indent, role) = ("  ".repeat(node.depth), node.role.as_str());
    format!("{indent}{mark}{} {role}: {}{cut}{names}", node.id, node.excerpt)
}

fn nodes(transcript: &Transcript) -> Vec<Node<'_>> {
    let entries = &transcript.entries;
    let places: HashMap<&MessageId, usize> =
        entries.iter().enumerate().map(|(at, entry)| (&entry.id, at)).collect();
    let mut roots = Vec::new();
    let mut children = vec![Vec::new(); entries.len()];
    for (at, entry) in entries.iter().enumerate() {
        // What follows a message that is not here, or not before it, stands at the root.
        let parent = entry.parent.as_ref().and_then(|id| places.get(id)).filter(|parent| **parent < at);
        parent.map_or(&mut roots, |parent| &mut children[*parent]).push(at);
    }
    // The last one first, because the stack turns the order round.
    let below = |list: &[usize], depth: usize| -> Vec<(usize, usize, bool)> {
        let forks = list.len() > 1;
        list.iter().rev().map(|at| (*at, depth + usize::from(forks), forks)).collect()
    };
    let mut nodes = Vec::with_capacity(entries.len());
    let mut stack = below(&roots, 0);
    while let Some((at, depth, begins)) = stack.pop() {
        let begins = begins || nodes.is_empty();
        nodes.push(node(transcript, &entries[at], depth, begins));
        stack.extend(below(&children[at], depth));
    }
    nodes
}

fn node<'a>(transcript: &'a Transcript, entry: &'a Entry, depth: usize, begins: bool) -> Node<'a> {
    let heads = &transcript.heads;
    let current = heads.head.as_ref() == Some(&entry.id);
    let mut branches: Vec<&str> = heads
        .heads
        .iter()
        .filter(|(_, head)| head.as_ref() == Some(&entry.id))
        .map(|(name, _)| name.as_str())
        .collect();
    if current {
        branches.push(&heads.branch);
        branches.sort_unstable();
    }
    Node {
        id: &entry.id,
        parent: entry.parent.as_ref(),
        depth,
        begins,
        role: entry.role,
        partial: entry.partial,
        branches,
        current,
        excerpt: excerpt(entry),
    }
}

/// Returns the beginning of what a message says, on one line.
fn excerpt(entry: &Entry) -> String {
    if entry.erased {
        return "(erased)".to_owned();
    }
    let text = entry.message.text();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = match words.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    };
    sanitise(&words).into_owned()
}
