//! What is shown: rows of text in styles, and how a terminal is told of them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a piece of text looks: a set of traits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style(u8);

impl Style {
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const BOLD: Self = Self(1);
    pub(super) const ITALIC: Self = Self(1 << 1);
    pub(super) const STRUCK: Self = Self(1 << 2);
    pub(super) const UNDERLINED: Self = Self(1 << 3);
    /// Code, in a line or in a block.
    pub(super) const CODE: Self = Self(1 << 4);
    /// The text of a link, and where it leads.
    pub(super) const LINK: Self = Self(1 << 5);
    /// What is not text: bullets, bars, rules.
    pub(super) const MARK: Self = Self(1 << 6);
    pub(super) const HEADING: Self = Self(1 << 7);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Begins the style where none is set. What is no colour is told without colours, too.
    fn begin(self, colour: bool, out: &mut String) {
        let traits = [
            (Self::BOLD, "1", false),
            (Self::ITALIC, "3", false),
            (Self::UNDERLINED, "4", false),
            (Self::STRUCK, "9", false),
            (Self::MARK, "2", true),
            (Self::HEADING, "35", true),
            (Self::CODE, "36", true),
            (Self::LINK, "34", true),
        ];
        let mut mark = "\x1b[";
        for (_, code, _) in traits.iter().filter(|(one, _, hue)| self.has(*one) && (colour || !hue)) {
            out.push_str(mark);
            out.push_str(code);
            mark = ";";
        }
        if mark == ";" {
            out.push('m');
        }
    }
}

/// Text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) style: Style,
    pub(super) text: String,
}

impl Span {
    pub(super) fn new(style: Style, text: impl Into<String>) -> Self {
        Self { style, text: text.into() }
    }
}

/// Appends text to spans, to the last one where the style is the same.
pub(super) fn append(spans: &mut Vec<Span>, style: Style, text: &str) {
    match spans.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.style == style => last.text.push_str(text),
        _ => spans.push(Span::new(style, text)),
    }
}

/// Returns how many columns a text takes. What has no width of its own takes none.
pub(super) fn width(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.width(),
    }
}

/// Returns how many columns to keep free for a text. Not every terminal draws joined characters as one.
pub(super) fn room(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.width().max(text.chars().filter_map(UnicodeWidthChar::width).sum()),
    }
}

/// One line on its way to the terminal, which may take more than one row there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) spans: Vec<Span>,
    /// Whether more of the same line follows.
    pub(super) goes_on: bool,
}

impl Row {
    pub(super) fn of(spans: Vec<Span>) -> Self {
        Self { spans, goes_on: false }
    }

    pub(super) fn width(&self) -> usize {
        self.spans.iter().map(|span| width(&span.text)).sum()
    }

    /// Returns how many columns to keep free for it.
    pub(super) fn room(&self) -> usize {
        self.spans.iter().map(|span| room(&span.text)).sum()
    }

    /// Returns how many rows of the terminal it takes; tabs are taken for as wide as they can be.
    pub(super) fn height(&self, columns: usize) -> usize {
        let tabs: usize = self.spans.iter().map(|span| span.text.matches('\t').count()).sum();
        (self.width() + tabs * 8).div_ceil(columns.max(1)).max(1)
    }

    /// Writes it, or what of it follows the first `from` bytes of its text.
    pub(super) fn write(&self, from: usize, colour: bool, out: &mut String) {
        let mut skip = from;
        for Span { style, text } in &self.spans {
            let rest = text.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(text.len());
            if rest.is_empty() {
                continue;
            }
            let before = out.len();
            style.begin(colour, out);
            let styled = out.len() > before;
            out.push_str(rest);
            if styled {
                out.push_str("\x1b[0m");
            }
        }
    }

    /// Returns how many bytes it takes to write it, with the end of its line.
    pub(super) fn written(&self, colour: bool) -> usize {
        let mut out = String::new();
        self.write(0, colour, &mut out);
        out.len() + 1
    }

    /// Returns how long the text is by which this row begins `longer`, where all of it does.
    pub(super) fn begins(&self, longer: &Self) -> Option<usize> {
        let last = self.spans.len().checked_sub(1);
        let Some(last) = last else { return Some(0) };
        let same = self.spans.len() <= longer.spans.len()
            && self.spans[..last] == longer.spans[..last]
            && self.spans[last].style == longer.spans[last].style
            && longer.spans[last].text.starts_with(&self.spans[last].text);
        same.then(|| self.spans.iter().map(|span| span.text.len()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_from_anywhere_with_its_styles() {
        let row = Row::of(vec![Span::new(Style::PLAIN, "ab"), Span::new(Style::BOLD, "cd")]);
        let write = |from, colour| {
            let mut out = String::new();
            row.write(from, colour, &mut out);
            out
        };
        assert_eq!(write(0, true), "ab\x1b[1mcd\x1b[0m");
        assert_eq!(write(3, true), "\x1b[1md\x1b[0m");
        assert_eq!(write(4, true), "");
        let code = Row::of(vec![Span::new(Style::CODE, "x")]);
        let mut out = String::new();
        code.write(0, false, &mut out);
        assert_eq!(out, "x");
        assert_eq!(row.begins(&Row::of(vec![Span::new(Style::PLAIN, "ab")])), None);
        assert_eq!(Row::of(vec![Span::new(Style::PLAIN, "a")]).begins(&row), Some(1));
    }

    #[test]
    fn columns_are_counted_as_a_terminal_fills_them() {
        for (text, columns) in
            [("abc", 3), ("漢字", 4), ("👩\u{200d}👩\u{200d}👧", 2), ("e\u{301}", 1), ("", 0)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
        assert_eq!(Row::of(vec![Span::new(Style::PLAIN, "x".repeat(81))]).height(80), 2);
        assert_eq!(Row::default().height(80), 1);
    }
}
