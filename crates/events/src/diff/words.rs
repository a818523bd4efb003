//! Two texts beside each other, in pieces that both have or one has.

use serde::Serialize;
use similar::{DiffOp, TextDiff};

/// How much of two passages must be the same, word by word, for the words to be shown beside each other.
const MIN_RATIO: f32 = 0.3;
/// Words of a passage beyond which nobody looks for the same words in another one.
const MAX_WORDS: usize = 4000;

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Who has it.
    pub whose: Whose,
    /// The text.
    pub text: String,
}

/// Who has a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Both.
    Both,
    /// Only one.
    A,
    /// Only the other one.
    B,
}

/// Returns the pieces that make up one text where those of the other one are left out, and the other way round. Lines are
/// compared first, and the words of passages that differ.
pub(super) fn parts(a: &str, b: &str) -> Vec<Passage> {
    let mut parts = Parts::default();
    if a == b {
        parts.push(Whose::Both, a);
        return parts.0;
    }
    let lines = TextDiff::from_lines(a, b);
    let joined = |slices: &[&str]| slices.concat();
    for op in lines.ops() {
        let old = joined(&lines.old_slices()[op.old_range()]);
        let new = joined(&lines.new_slices()[op.new_range()]);
        match op {
            DiffOp::Equal { .. } => parts.push(Whose::Both, &old),
            DiffOp::Replace { .. } => words(&mut parts, &old, &new),
            _ => {
                parts.push(Whose::A, &old);
                parts.push(Whose::B, &new);
            }
        }
    }
    parts.0
}

fn words(parts: &mut Parts, a: &str, b: &str) {
    let count = |text: &str| text.split_whitespace().count();
    let words = (count(a) <= MAX_WORDS && count(b) <= MAX_WORDS).then(|| TextDiff::from_words(a, b));
    let is_equal = |op: &&DiffOp| matches!(op, DiffOp::Equal { .. });
    let words = words.filter(|words| {
        let same = words.ops().iter().filter(is_equal).flat_map(|op| &words.old_slices()[op.old_range()]);
        let same = same.filter(|word| !word.trim().is_empty()).count();
        (2 * same) as f32 >= MIN_RATIO * (count(a) + count(b)) as f32
    });
    let Some(words) = words else {
        parts.push(Whose::A, a);
        parts.push(Whose::B, b);
        return;
    };
    let (mut old, mut new) = (String::new(), String::new());
    for op in words.ops() {
        let (gone, come) =
            (words.old_slices()[op.old_range()].concat(), words.new_slices()[op.new_range()].concat());
        let between = gone.trim().is_empty() && !(old.is_empty() && new.is_empty());
        if is_equal(&op) && !between {
            parts.push(Whose::A, &std::mem::take(&mut old));
            parts.push(Whose::B, &std::mem::take(&mut new));
            parts.push(Whose::Both, &gone);
        } else {
            old.push_str(&gone);
            new.push_str(&come);
        }
    }
    parts.push(Whose::A, &old);
    parts.push(Whose::B, &new);
}

/// Pieces, neighbours of the same kind joined.
#[derive(Default)]
struct Parts(Vec<Passage>);

impl Parts {
    fn push(&mut self, whose: Whose, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.whose == whose => last.text.push_str(text),
            _ => self.0.push(Passage { whose, text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(a: &str, b: &str) -> String {
        let mark = |part: &Passage| match part.whose {
            Whose::Both => part.text.clone(),
            Whose::A => format!("[-{}-]", part.text),
            Whose::B => format!("[+{}+]", part.text),
        };
        parts(a, b).iter().map(mark).collect()
    }

    #[test]
    fn lines_are_compared_and_words_within_them() {
        assert_eq!(shown("same", "same"), "same");
        assert_eq!(shown("", "new"), "[+new+]");
        assert_eq!(
            shown("one\nthe quick brown fox\nend\n", "one\nthe slow brown fox\nend\n"),
            "one\nthe [-quick-][+slow+] brown fox\nend\n"
        );
        assert_eq!(shown("a b c\n", "x y z\n"), "[-a b c\n-][+x y z\n+]");
    }

    #[test]
    fn the_pieces_of_one_side_are_its_text() {
        let (a, b) = ("α β\r\n\nγ δ\n\nε", "α\n\nγ ζ\r\nε\n");
        let of = |whose| {
            let pieces = parts(a, b);
            let pieces = pieces.iter().filter(|part| part.whose == Whose::Both || part.whose == whose);
            pieces.map(|part| part.text.as_str()).collect::<String>()
        };
        assert_eq!((of(Whose::A).as_str(), of(Whose::B).as_str()), (a, b));
    }
}
