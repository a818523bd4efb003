//! Text made comparable: without case, letters decomposed, blanks as one.

use std::ops::Range;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::properties::{CanonicalCombiningClassMap, CanonicalCombiningClassMapBorrowed};
use icu_normalizer::{DecomposingNormalizer, DecomposingNormalizerBorrowed};

const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
const LETTERS: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfd();
const CLASSES: CanonicalCombiningClassMapBorrowed<'static> = CanonicalCombiningClassMap::new();

/// Returns a text as it is compared: Unicode's canonical caseless form, with a single blank for each run of them.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    match text.is_ascii() {
        true => text.chars().for_each(|c| push(&mut folded, c.to_ascii_lowercase())),
        false => caseless(text).chars().for_each(|c| push(&mut folded, c)),
    }
    folded
}

fn caseless(text: &str) -> String {
    LETTERS.normalize(&CASES.fold_string(&LETTERS.normalize(text))).into_owned()
}

fn push(folded: &mut String, c: char) {
    match c.is_whitespace() {
        true if folded.ends_with(' ') => {}
        true => folded.push(' '),
        false => folded.push(c),
    }
}

/// Tells whether a character belongs to the letter before it, an accent for example.
pub(crate) fn combines(c: char) -> bool {
    // Three Tibetan vowels are of class zero themselves and decompose into marks that are not; no other character
    // does, and Unicode's stability policy lets none be added.
    !c.is_ascii() && (CLASSES.get_u8(c) != 0 || matches!(c, '\u{f73}' | '\u{f75}' | '\u{f81}'))
}

/// A folded text that knows where each of its letters came from.
pub(crate) struct Folded {
    text: String,
    /// Where each letter begins, here and in the text as it was.
    letters: Vec<(usize, usize)>,
    /// The length of the text as it was.
    end: usize,
}

impl Folded {
    pub(crate) fn of(text: &str) -> Self {
        let mut this = Self { text: String::with_capacity(text.len()), letters: Vec::new(), end: text.len() };
        let mut rest = text.char_indices().peekable();
        while let Some((start, first)) = rest.next() {
            while rest.next_if(|(_, c)| combines(*c)).is_some() {}
            let end = rest.peek().map_or(text.len(), |(at, _)| *at);
            let before = this.text.len();
            match first.is_ascii() && end == start + 1 {
                true => push(&mut this.text, first.to_ascii_lowercase()),
                false => caseless(&text[start..end]).chars().for_each(|c| push(&mut this.text, c)),
            }
            if this.text.len() > before {
                this.letters.push((before, start));
            }
        }
        this
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the letters of the text as it was that a range of the folded text covers.
    pub(crate) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.letters.partition_point(|(here, _)| *here <= range.start).saturating_sub(1);
        let after = self.letters.partition_point(|(here, _)| *here < range.end);
        let place = |at: usize| self.letters.get(at).map_or(self.end, |(_, there)| *there);
        place(first)..place(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_composition_and_blanks_make_no_difference() {
        for (a, b) in [
            ("STRASSE", "straße"),
            ("É", "e\u{301}"),
            ("ÀÉ", "a\u{300}e\u{301}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ПРИВЕТ", "привет"),
            ("ﬁle", "FILE"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
            ("a\r\n\t b", "a\u{a0}b"),
            ("q\u{323}\u{307}", "q\u{307}\u{323}"),
            ("ῶ\u{f73}", "ω\u{f71}\u{f72}\u{342}"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("é"), fold("e"));
    }

    #[test]
    fn letters_know_where_they_came_from() {
        let text = "Die  Straße é\u{301}n";
        let folded = Folded::of(text);
        let at = |part: &str| {
            let start = folded.text().find(&fold(part)).unwrap();
            &text[folded.origin(&(start..start + fold(part).len()))]
        };
        assert_eq!(at("die STRASSE"), "Die  Straße");
        assert_eq!(at("s"), "S");
        assert_eq!(at("ras"), "raß");
        assert_eq!(at("é\u{301}n"), "é\u{301}n");
    }

    #[test]
    fn every_character_that_decomposes_into_a_mark_combines() {
        for c in '\u{80}'..=char::MAX {
            let first = LETTERS.normalize(c.encode_utf8(&mut [0; 4])).chars().next().unwrap();
            assert_eq!(combines(c), CLASSES.get_u8(first) != 0, "{:x}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn both_ways_to_fold_agree(text in "\\PC*", odd in "[ \u{300}-\u{345}\u{f71}-\u{f84}ßŉΐİﬁῶ한\n]*") {
            for text in [text.clone(), odd.clone(), format!("{text}{odd}")] {
                let folded = Folded::of(&text);
                prop_assert_eq!(folded.text(), fold(&text));
            }
        }

        #[test]
        fn folding_twice_changes_nothing(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
