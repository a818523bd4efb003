//! A query: words and phrases that must all occur, and where they do.

use std::ops::Range;

use memchr::memmem::Finder;

use super::folded::{Folded, combines, fold};
use crate::error::Error;

/// Most words of a query: whoever reads a text in pieces keeps a bit for each.
const MAX_TERMS: usize = 32;

/// Words and `"phrases"`, all of which must occur in a message.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    terms: Vec<Finder<'static>>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Fails with kind `input` where nothing is asked for, or too much.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut terms: Vec<String> = Vec::new();
        // A quotation mark that nobody closes quotes the rest.
        for (n, piece) in text.split('"').enumerate() {
            match n % 2 {
                0 => terms.extend(piece.split_whitespace().map(fold)),
                _ => terms.push(fold(piece.trim())),
            }
        }
        terms.sort_unstable();
        terms.dedup();
        terms.retain(|term| !term.is_empty());
        match terms.len() {
            0 => Err(Error::input("there is nothing to search for")),
            1..=MAX_TERMS => {
                Ok(Self { terms: terms.iter().map(|term| Finder::new(term).into_owned()).collect() })
            }
            _ => Err(Error::input("a query has at most 32 words and phrases")),
        }
    }

    /// Returns the terms, folded.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &[u8]> {
        self.terms.iter().map(Finder::needle)
    }

    /// Returns where the terms occur in a text, in order and without overlap; `None` where one does not.
    pub(crate) fn find(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let folded = Folded::of(text);
        let mut found: Vec<Range<usize>> = Vec::new();
        for term in &self.terms {
            let before = found.len();
            let starts = term.find_iter(folded.text().as_bytes());
            let ranges = starts.map(|start| start..start + term.needle().len());
            // A letter with an accent is another letter, however it is encoded.
            let whole = ranges.filter(|range| !folded.text()[range.end..].starts_with(combines));
            found.extend(whole.map(|range| folded.origin(&range)));
            if found.len() == before {
                return None;
            }
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.dedup_by(|next, before| {
            let overlap = next.start < before.end;
            if overlap {
                before.end = before.end.max(next.end);
            }
            overlap
        });
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(query: &str, text: &'a str) -> Option<Vec<&'a str>> {
        let ranges = Query::parse(query).unwrap().find(text)?;
        Some(ranges.into_iter().map(|range| &text[range]).collect())
    }

    #[test]
    fn every_word_must_occur_and_a_phrase_as_it_is() {
        let text = "The quick\nbrown fox, quickly.";
        assert_eq!(found("FOX quick", text), Some(vec!["quick", "fox", "quick"]));
        assert_eq!(found("\"quick brown\"", text), Some(vec!["quick\nbrown"]));
        assert_eq!(found("\"brown quick\"", text), None);
        assert_eq!(found("fox cat", text), None);
        assert_eq!(found("\"fox, q", text), Some(vec!["fox, q"]));
    }

    #[test]
    fn case_and_composition_make_no_difference_and_an_accent_does() {
        assert_eq!(found("strasse", "die Straße"), Some(vec!["Straße"]));
        assert_eq!(found("STRASSE", "die straße"), Some(vec!["straße"]));
        assert_eq!(found("straße", "STRASSE"), Some(vec!["STRASSE"]));
        assert_eq!(found("café", "CAFE\u{301}s"), Some(vec!["CAFE\u{301}"]));
        assert_eq!(found("cafe", "cafe\u{301} café"), None);
        assert_eq!(found("cafe", "café cafe"), Some(vec!["cafe"]));
    }

    #[test]
    fn overlapping_words_are_marked_once() {
        assert_eq!(found("abc bcd", "xabcdx"), Some(vec!["abcd"]));
    }

    #[test]
    fn a_query_asks_for_something() {
        for query in ["", "  ", "\"\"", "\" \""] {
            assert_eq!(Query::parse(query).unwrap_err().to_string(), "there is nothing to search for");
        }
        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        assert!(Query::parse(&many.join(" ")).is_err());
    }
}
