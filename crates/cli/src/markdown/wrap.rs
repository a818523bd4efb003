//! Filling rows with words: what arrives in pieces is laid out as if it had come at once.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::row::{Row, Span, Style, append, room};

/// How much of a word is kept together whatever it is, in bytes.
const WORD: usize = 256;
/// How much of an address is kept together, so that it can be copied and clicked, in bytes.
const ADDRESS: usize = 2048;
/// What does not begin a row.
const CLINGS: &str = "、。，．：；！？）」』】〉》〕］｝・…ー";

/// What stands for a tab in text.
pub(super) const TAB: &str = "    ";

/// How many columns rows have: the terminal's, but what is on the screen keeps those that it was laid out for.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) now: usize,
    kept: VecDeque<usize>,
}

impl Columns {
    pub(super) fn new(now: usize) -> Self {
        Self { now, kept: VecDeque::new() }
    }

    /// Returns the columns of the next row.
    pub(super) fn next(&self) -> usize {
        self.kept.front().copied().unwrap_or(self.now)
    }

    /// Says that a row is done.
    pub(super) fn done(&mut self) {
        self.kept.pop_front();
    }

    /// Changes the columns of all rows but so many that come next.
    pub(super) fn change(&mut self, now: usize, except: usize) {
        self.kept.resize(except, self.now);
        self.now = now;
    }
}

/// Lays words out in rows.
#[derive(Clone, Debug)]
pub(super) struct Wrapper {
    /// What the first row begins with, and every other.
    first: Vec<Span>,
    later: Vec<Span>,
    begun: bool,
    row: Vec<Span>,
    filled: usize,
    gap: Vec<Span>,
    word: Vec<Span>,
    /// Whether the word was too long for a row, so that the rest of it goes on where it ended.
    torn: bool,
}

impl Wrapper {
    pub(super) fn new(first: Vec<Span>, later: Vec<Span>) -> Self {
        Self {
            first,
            later,
            begun: false,
            row: Vec::new(),
            filled: 0,
            gap: Vec::new(),
            word: Vec::new(),
            torn: false,
        }
    }

    /// Takes text and gives the rows that are full.
    pub(super) fn push(&mut self, spans: &[Span], columns: &mut Columns, rows: &mut Vec<Row>) {
        for Span { style, text } in spans {
            let mut rest = text.as_str();
            while let Some(first) = rest.chars().next() {
                let end = match first {
                    '\n' => {
                        self.end_row(columns, rows);
                        1
                    }
                    ' ' | '\t' => {
                        self.end_word(columns, rows);
                        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                        append(&mut self.gap, *style, &rest[..blank].replace('\t', TAB));
                        blank
                    }
                    _ => {
                        let end = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
                        append(&mut self.word, *style, &rest[..end]);
                        self.relieve(columns, rows);
                        end
                    }
                };
                rest = &rest[end..];
            }
        }
    }

    /// Ends the row, if there is anything in it or none was given yet.
    pub(super) fn finish(mut self, columns: &mut Columns, rows: &mut Vec<Row>) {
        self.end_word(columns, rows);
        if !self.row.is_empty() || !self.begun {
            self.give(columns, rows);
        }
    }

    fn end_row(&mut self, columns: &mut Columns, rows: &mut Vec<Row>) {
        self.end_word(columns, rows);
        self.give(columns, rows);
    }

    fn give(&mut self, columns: &mut Columns, rows: &mut Vec<Row>) {
        let mut spans = self.prefix().to_vec();
        for Span { style, text } in std::mem::take(&mut self.row) {
            append(&mut spans, style, &text);
        }
        rows.push(Row::of(spans));
        columns.done();
        self.begun = true;
        self.filled = 0;
        self.gap.clear();
    }

    fn prefix(&self) -> &[Span] {
        if self.begun { &self.later } else { &self.first }
    }

    fn room(&self, columns: &Columns) -> usize {
        let prefix: usize = self.prefix().iter().map(|span| room(&span.text)).sum();
        columns.next().saturating_sub(prefix).max(1)
    }

    fn is_address(&self) -> bool {
        let text: String = self.word.iter().map(|span| span.text.as_str()).collect();
        self.is_address_text(&text)
    }

    fn end_word(&mut self, columns: &mut Columns, rows: &mut Vec<Row>) {
        self.place(true, columns, rows);
        self.torn = false;
    }

    /// Lays out what is certain of a word that grows long.
    fn relieve(&mut self, columns: &mut Columns, rows: &mut Vec<Row>) {
        let length: usize = self.word.iter().map(|span| span.text.len()).sum();
        if length > WORD && !self.is_address() {
            self.place(false, columns, rows);
        }
    }

    /// Lays the word out; where it has not `ended`, without what may belong to what follows.
    fn place(&mut self, ended: bool, columns: &mut Columns, rows: &mut Vec<Row>) {
        let word = std::mem::take(&mut self.word);
        if word.is_empty() {
            return;
        }
        let text: String = word.iter().map(|span| span.text.as_str()).collect();
        if self.is_address_text(&text) {
            return self.unit(&word, 0, &text, true, columns, rows);
        }
        let mut at = 0;
        let units = units(&text);
        for (n, unit) in units.iter().enumerate() {
            let is_last = n + 1 == units.len();
            if is_last && !ended {
                let is_long = self.torn || room(unit) > self.room(columns);
                let clear = if is_long { whole_clusters(unit) } else { 0 };
                if clear > 0 {
                    self.unit(&word, at, &unit[..clear], false, columns, rows);
                    self.torn = true;
                }
                self.word = cut(&word, at + clear, text.len());
                return;
            }
            self.unit(&word, at, unit, false, columns, rows);
            self.torn = false;
            at += unit.len();
        }
    }

    /// Tells whether a text is an address, which stays whole: the terminal breaks it, and a person copies it. How many
    /// rows it takes there is known only where every character takes one column.
    fn is_address_text(&self, text: &str) -> bool {
        let is_narrow = || text.is_ascii() || text.graphemes(true).all(|cluster| room(cluster) == 1);
        !self.torn && text.len() <= ADDRESS && text.contains("://") && is_narrow()
    }

    /// Lays out what stays together: `text`, which stands in `word` at a place.
    fn unit(
        &mut self,
        word: &[Span],
        at: usize,
        text: &str,
        whole: bool,
        columns: &mut Columns,
        rows: &mut Vec<Row>,
    ) {
        let length = room(text);
        let gap: usize = self.gap.iter().map(|span| room(&span.text)).sum();
        let is_long = self.torn || length > self.room(columns);
        if !is_long || whole {
            if self.filled > 0 && self.filled + gap + length > self.room(columns) {
                self.give(columns, rows);
            }
            return self.add(cut(word, at, at + text.len()), length);
        }
        // The pieces of what was torn stay one after the other, so that it begins a row of its own.
        if !self.torn && self.filled > 0 {
            self.give(columns, rows);
        }
        let mut at = at;
        for cluster in text.graphemes(true) {
            let length = room(cluster);
            if self.filled + length > self.room(columns) && self.filled > 0 {
                self.give(columns, rows);
            }
            self.add(cut(word, at, at + cluster.len()), length);
            at += cluster.len();
        }
    }

    fn add(&mut self, spans: Vec<Span>, length: usize) {
        // A row does not begin with blanks.
        let gap = std::mem::take(&mut self.gap);
        if self.filled > 0 {
            self.filled += gap.iter().map(|span| room(&span.text)).sum::<usize>();
            gap.iter().for_each(|span| append(&mut self.row, span.style, &span.text));
        }
        spans.iter().for_each(|span| append(&mut self.row, span.style, &span.text));
        self.filled += length;
    }
}

/// Cuts a word where a row may end: around each wide character that is not bound to the one before.
fn units(text: &str) -> Vec<&str> {
    if text.chars().all(|c| c < '\u{1100}') {
        return vec![text];
    }
    let mut units: Vec<&str> = Vec::new();
    let (mut start, mut at, mut was_wide) = (0, 0, false);
    for cluster in text.graphemes(true) {
        let is_wide = room(cluster) > 1;
        if at > start && (is_wide || was_wide) && !CLINGS.contains(cluster) {
            units.push(&text[start..at]);
            start = at;
        }
        at += cluster.len();
        was_wide = is_wide;
    }
    units.push(&text[start..]);
    units
}

/// Returns how much of a text is certain not to be changed by what follows: all but its last cluster.
fn whole_clusters(text: &str) -> usize {
    text.grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
}

/// Returns a part of some spans.
fn cut(spans: &[Span], from: usize, to: usize) -> Vec<Span> {
    let mut part = Vec::new();
    let mut at = 0;
    for Span { style, text } in spans {
        let (start, end) = (from.clamp(at, at + text.len()), to.clamp(at, at + text.len()));
        append(&mut part, *style, &text[start - at..end - at]);
        at += text.len();
    }
    part
}

/// Lays out spans that are all there.
pub(super) fn lay(spans: &[Span], columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut columns = Columns::new(columns);
    let mut wrapper = Wrapper::new(Vec::new(), Vec::new());
    wrapper.push(spans, &mut columns, &mut rows);
    wrapper.finish(&mut columns, &mut rows);
    rows
}

/// Returns spans of one plain text.
pub(super) fn mark(text: &str) -> Vec<Span> {
    if text.is_empty() { Vec::new() } else { vec![Span::new(Style::MARK, text)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, columns: usize) -> Vec<String> {
        let rows = lay(&[Span::new(Style::PLAIN, text)], columns);
        rows.iter().map(|row| row.spans.iter().map(|span| span.text.as_str()).collect()).collect()
    }

    #[test]
    fn words_fill_rows() {
        assert_eq!(lines("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(lines("one two", 7), ["one two"]);
        assert_eq!(lines("one  \ntwo", 80), ["one", "two"]);
        assert_eq!(lines("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(lines("see https://example.org/long x", 8), ["see", "https://example.org/long", "x"]);
    }

    #[test]
    fn wide_characters_break_anywhere_but_before_what_clings() {
        assert_eq!(lines("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(lines("漢字。漢字", 5), ["漢", "字。", "漢字"]);
        assert_eq!(lines("👩\u{200d}👩\u{200d}👧👩\u{200d}👩\u{200d}👧", 8).len(), 2);
        assert_eq!(lines("abc漢", 4), ["abc", "漢"]);
    }

    #[test]
    fn pieces_are_laid_out_like_the_whole() {
        let text = "one 漢字漢字 e\u{301}x 👩\u{200d}👩\u{200d}👧 ".repeat(3)
            + &"long".repeat(300)
            + &"漢字".repeat(200)
            + &"x".repeat(300)
            + &"👩\u{200d}👧".repeat(60)
            + " https://e.org/"
            + &"a".repeat(3000);
        let whole = lay(&[Span::new(Style::PLAIN, text.as_str())], 20);
        let mut columns = Columns::new(20);
        let (mut rows, mut wrapper) = (Vec::new(), Wrapper::new(Vec::new(), Vec::new()));
        for c in text.chars() {
            wrapper.push(&[Span::new(Style::PLAIN, c)], &mut columns, &mut rows);
        }
        wrapper.finish(&mut columns, &mut rows);
        assert_eq!(rows, whole);
    }
}
