//! Columns: how wide text is on a terminal, and text cut, padded and wrapped to a width.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns how many columns a text takes on a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Returns a line cut to `width` columns, with `…` where something is missing.
pub fn cut(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut left = width.saturating_sub(1);
    for c in line.chars() {
        match left.checked_sub(c.width().unwrap_or(0)) {
            Some(rest) => left = rest,
            None => break,
        }
        out.push(c);
    }
    // Half of a joined sign would join what follows.
    out.truncate(out.trim_end_matches('\u{200d}').len());
    if width > 0 {
        out.push('…');
    }
    out
}

/// Returns a line of exactly `width` columns: cut, or filled with blanks.
pub fn fit(line: &str, width: usize) -> String {
    let mut out = cut(line, width);
    out.push_str(&" ".repeat(width - columns(&out).min(width)));
    out
}

/// Returns text as lines of at most `width` columns. Lines break at blanks; a word that is longer breaks anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    text.split('\n').flat_map(|line| wrap_line(line.trim_end_matches('\r'), width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    if columns(line) <= width {
        return vec![line.to_owned()];
    }
    let (mut lines, mut now, mut used) = (Vec::new(), String::new(), 0);
    for word in line.split_inclusive([' ', '\t']) {
        let wide = columns(word.trim_end());
        // A word that fits on no line begins where it stands.
        if used > 0 && used + wide > width && wide <= width {
            lines.push(std::mem::take(&mut now));
            used = 0;
        }
        for c in word.chars() {
            let wide = if c == '\t' { 1 } else { c.width().unwrap_or(0) };
            if used + wide > width {
                if c.is_whitespace() {
                    continue;
                }
                lines.push(std::mem::take(&mut now));
                used = 0;
            }
            now.push(c);
            used += wide;
        }
    }
    if !now.is_empty() {
        lines.push(now);
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_count_twice_and_joined_ones_once() {
        assert_eq!([columns("漢字"), columns("ü"), columns("👩‍👩‍👧"), columns("e\u{301}")], [4, 1, 2, 1]);
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 7), "漢字漢…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(fit("漢字漢字", 6), "漢字… ");
        assert_eq!([fit("ab", 4), cut("ab", 1), cut("ab", 0)], ["ab  ", "…", ""]);
        assert_eq!(cut("👩‍👩‍👧 family", 4), "👩…");
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a bcdefgh", 4), ["a bc", "defg", "h"]);
        assert_eq!(wrap("漢字漢字 x", 5), ["漢字", "漢字", "x"]);
        assert!(wrap(&"漢 ".repeat(50), 9).iter().all(|line| columns(line) <= 9));
    }
}
