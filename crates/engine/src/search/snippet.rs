//! A snippet: the line around the first place where a query was found, and what to mark in it.

use std::ops::Range;

use serde::Serialize;

/// Most characters of a snippet, and how many of them come before what was found.
const CHARS: usize = 160;
const BEFORE: usize = 48;

/// Some words around what was found, on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The text; `…` stands where it was cut.
    pub snippet: String,
    /// What was found in it: from which character to which, the end excluded. Counted in characters, not bytes.
    pub matches: Vec<(usize, usize)>,
}

impl Snippet {
    /// Cuts a snippet out of `text`. `found` is in order and without overlap.
    pub(crate) fn cut(text: &str, found: &[Range<usize>]) -> Self {
        let first = found.first().map_or(0, |range| range.start);
        let mut from = text[..first].char_indices().rev().take(BEFORE).last().map_or(first, |(at, _)| at);
        if from > 0 {
            // Rather less than half a word.
            let blank = text[from..first].find(char::is_whitespace);
            from += blank.map_or(0, |at| at + 1);
            while !text.is_char_boundary(from) {
                from += 1;
            }
        }
        let mut this = Self::default();
        let mut len = 0;
        if from > 0 {
            this.snippet.push('…');
            len += 1;
        }
        let mut found = found.iter().peekable();
        for (at, c) in text[from..].char_indices().map(|(at, c)| (from + at, c)) {
            if len >= CHARS {
                this.snippet.push('…');
                break;
            }
            while found.next_if(|range| range.end <= at).is_some() {}
            let is_blank = c.is_whitespace();
            if is_blank && (this.snippet.is_empty() || this.snippet.ends_with(' ')) {
                continue;
            }
            if found.peek().is_some_and(|range| range.contains(&at)) {
                let begins = found.peek().is_some_and(|range| range.start == at);
                match this.matches.last_mut() {
                    Some((_, end)) if *end == len && !begins => *end += 1,
                    _ => this.matches.push((len, len + 1)),
                }
            }
            this.snippet.push(if is_blank { ' ' } else { c });
            len += 1;
        }
        this.snippet.truncate(this.snippet.trim_end().len());
        this
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Query;
    use super::*;

    fn cut(query: &str, text: &str) -> String {
        let Snippet { snippet, matches } =
            Snippet::cut(text, &Query::parse(query).unwrap().find(text).unwrap());
        let at = |n: usize| matches.iter().any(|(start, end)| (*start..*end).contains(&n));
        let mut marked = String::new();
        for (n, c) in snippet.chars().enumerate() {
            match (n.checked_sub(1).is_some_and(at), at(n)) {
                (false, true) => marked.push('['),
                (true, false) => marked.push(']'),
                _ => {}
            }
            marked.push(c);
        }
        if matches.last().is_some_and(|(_, end)| *end == snippet.chars().count()) {
            marked.push(']');
        }
        marked
    }

    #[test]
    fn what_was_found_is_marked_on_one_line() {
        assert_eq!(cut("straße", "eine\n\n  STRASSE und\teine Straße"), "eine [STRASSE] und eine [Straße]");
        assert_eq!(cut("\"b c\"", "a b\n c"), "a [b c]");
        assert_eq!(cut("東京", "我在東京。"), "我在[東京]。");
    }

    #[test]
    fn long_texts_are_cut_between_words() {
        let text = format!("{} needle {}", "hay ".repeat(100), "stack ".repeat(100));
        let snippet = cut("needle", &text);
        assert!(snippet.starts_with("…hay hay") && snippet.ends_with('…'), "{snippet}");
        assert!(snippet.contains("[needle]") && snippet.chars().count() <= CHARS + 3, "{snippet}");
        let snippet = cut("x", &format!("{}x{}", "ü".repeat(500), "ü".repeat(500)));
        assert!(snippet.starts_with("…üü") && snippet.contains("[x]"), "{snippet}");
    }
}
