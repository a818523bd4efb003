//! Prompts of several lines: a line that ends with a backslash goes on, and `"""` opens and closes a block.

use std::sync::{Arc, Mutex};

/// What opens and closes a block.
const FENCE: &str = "\"\"\"";

/// What was said at the prompt, once it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// Whether it is a prompt whatever it begins with.
    pub(crate) is_block: bool,
}

/// Joins lines. Clones share what they remember.
///
/// Only a backslash at which a line was seen to go on is taken away: one in text that was pasted stays.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Tells whether a text that ends here goes on in another line.
    pub(crate) fn goes_on(&self, text: &str) -> bool {
        if text.starts_with(FENCE) {
            return block(text).is_none();
        }
        let goes_on = text.ends_with('\\') && !text.ends_with("\\\\");
        if goes_on {
            self.0.lock().expect("no panic while lines are held").push(text.to_owned());
        }
        goes_on
    }

    /// Returns the text without what held its lines together.
    pub(crate) fn joined(&self, text: &str) -> Said {
        if let Some(inner) = block(text) {
            return Said { text: inner.to_owned(), is_block: true };
        }
        let mut joined = text.to_owned();
        let seen = self.0.lock().expect("no panic while lines are held");
        let goes_on = |begun: &&String| {
            text.strip_prefix(begun.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('\n'))
        };
        let mut ends: Vec<usize> = seen.iter().filter(goes_on).map(|begun| begun.len() - 1).collect();
        ends.sort_unstable();
        ends.dedup();
        for end in ends.into_iter().rev() {
            joined.remove(end);
        }
        Said { is_block: joined.trim_end().contains('\n'), text: joined }
    }

    /// Forgets where lines went on, before another text begins.
    pub(crate) fn forget(&self) {
        self.0.lock().expect("no panic while lines are held").clear();
    }
}

/// Returns what stands in a block that is closed; one that is not closed at the end of all input is closed there.
fn block(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(FENCE)?.trim_end().strip_suffix(FENCE)?;
    let inner = inner.strip_prefix('\n').unwrap_or(inner);
    Some(inner.strip_suffix('\n').unwrap_or(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types lines, one after the other, and returns what was said once it was whole.
    fn typed(lines: &[&str]) -> Said {
        let joins = Lines::default();
        let (first, rest) = lines.split_first().unwrap();
        let mut text = (*first).to_owned();
        for line in rest {
            assert!(joins.goes_on(&text), "{text:?}");
            text.push('\n');
            text.push_str(line);
        }
        assert!(!joins.goes_on(&text), "{text:?}");
        joins.joined(&text)
    }

    #[test]
    fn a_backslash_at_the_end_goes_on() {
        assert_eq!(typed(&["one"]), Said { text: "one".into(), is_block: false });
        assert_eq!(typed(&["one\\", "two \\", "three"]).text, "one\ntwo \nthree");
        assert_eq!(typed(&["C:\\\\"]).text, "C:\\\\");
    }

    #[test]
    fn a_block_keeps_what_is_in_it() {
        assert_eq!(typed(&["\"\"\"", ".quit\\", "two", "\"\"\""]).text, ".quit\\\ntwo");
        assert_eq!(typed(&["\"\"\"one", "two\"\"\""]), Said { text: "one\ntwo".into(), is_block: true });
        assert_eq!(typed(&["\"\"\"\"\"\""]).text, "");
    }

    #[test]
    fn a_backslash_that_was_pasted_stays() {
        let joins = Lines::default();
        let pasted = "#define A \\\n  1";
        assert!(!joins.goes_on(pasted));
        assert_eq!(joins.joined(pasted), Said { text: pasted.into(), is_block: true });
        // So does one whose line was changed after it went on.
        assert!(joins.goes_on("a\\"));
        assert_eq!(joins.joined("ab\\\nc").text, "ab\\\nc");
    }
}
