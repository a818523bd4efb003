//! Makes hostile text safe to show: a terminal or a reader's eye shall not be led by what a model wrote.

use std::borrow::Cow;

/// Returns `text` without anything that steers a terminal or reorders what is read.
///
/// C0 controls except line feed and tab, and DEL, become their control pictures (`␛` for escape). C1 controls and
/// bidirectional overrides, embeddings and isolates become U+FFFD. Works character by character, so text may be
/// passed in pieces cut anywhere.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    match text.chars().any(|c| shown(c) != c) {
        true => Cow::Owned(text.chars().map(shown).collect()),
        false => Cow::Borrowed(text),
    }
}

/// Returns `text` as it can stand inside one line, cut to `max` characters.
pub(crate) fn label(text: &str, max: usize) -> String {
    let flat = |c| if matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { shown(c) };
    let mut chars = text.chars().map(flat);
    let mut label: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        label.pop();
        label.push('…');
    }
    label
}

fn shown(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_visible_and_plain_text_is_borrowed() {
        assert_eq!(
            sanitise("\x1b]0;owned\x07 \u{9b}2J\u{202e}txt\r\x7f"),
            "␛]0;owned␇ \u{fffd}2J\u{fffd}txt␍␡"
        );
        let plain = "a\tb\nüñ 漢字 👩‍👩‍👧 שלום";
        assert!(matches!(sanitise(plain), Cow::Borrowed(text) if text == plain));
    }

    #[test]
    fn a_label_is_one_line_of_at_most_so_many_characters() {
        assert_eq!(label("a\nb\x1b", 10), "a b␛");
        assert_eq!(label("漢字漢字漢字", 4), "漢字漢…");
        assert_eq!(label("1234", 4), "1234");
    }
}
