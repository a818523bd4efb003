//! The messages of a session as the rows of a tree: each below the one that it follows.

use std::collections::HashMap;

use aichat_message::{MessageId, Role, TurnId};
use serde::Serialize;

use super::line::{Line, Tone};
use crate::sanitise::label;
use crate::transcript::{Entry, Transcript};

/// How much of a message is shown, in characters.
const EXCERPT: usize = 60;
/// How deep rows are indented; deeper ones stand under each other.
const MAX_INDENT: usize = 12;

/// One message in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node<'a> {
    /// Names the message.
    pub id: &'a MessageId,
    /// The message before it.
    pub parent: Option<&'a MessageId>,
    /// How many of the messages before it have another one beside them that follows the same.
    pub depth: usize,
    /// Whether it begins a branch: another one follows the same message, or it follows none.
    pub begins: bool,
    /// Who said it.
    pub role: Role,
    /// Whether it was cut off.
    pub partial: bool,
    /// The branches that end here.
    pub branches: Vec<&'a str>,
    /// Whether the session goes on from here.
    pub current: bool,
    /// The beginning of what it says, in one line that is safe to show.
    pub excerpt: String,
    /// The turn it was said in.
    #[serde(skip)]
    pub turn: Option<&'a TurnId>,
}

impl Node<'_> {
    /// Returns the row: a message stands under the one it follows; where more than one follow the same, each begins a
    /// branch, which is indented and marked.
    pub fn line(&self) -> Line {
        let (mark, tone) = match (self.current, self.begins) {
            (true, _) => ("* ", Tone::Strong),
            (false, true) => ("- ", Tone::Plain),
            (false, false) => ("  ", Tone::Plain),
        };
        let mut line = Line::plain("  ".repeat(self.depth.min(MAX_INDENT))).and(tone, mark);
        line.push(Tone::Soft, format!("{} ", self.id));
        line.push(tone, format!("{}: ", self.role.as_str()));
        line.push(Tone::Plain, self.excerpt.clone());
        if self.partial {
            line.push(Tone::Bad, " [cut off]");
        }
        if !self.branches.is_empty() {
            line.push(Tone::Strong, format!(" [{}]", label(&self.branches.join(", "), 200)));
        }
        line
    }
}

impl Transcript {
    /// Returns the messages of all branches as the rows of a tree.
    pub fn nodes(&self) -> Vec<Node<'_>> {
        let entries = &self.entries;
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
            nodes.push(node(self, &entries[at], depth, begins));
            stack.extend(below(&children[at], depth));
        }
        nodes
    }
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
        turn: entry.turn.as_ref(),
    }
}

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
    label(&words, EXCERPT + 1)
}
