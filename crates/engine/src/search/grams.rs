//! What a long text may hold, in a fraction of its length: a bit for every run of four bytes in it, by its hash.
//!
//! A term whose runs are not all there is not in the text. One whose runs are all there may be: two runs may have the
//! same bit, and runs may be far apart in the text.

/// How many bytes a run has. Shorter terms may be anywhere.
const RUN: usize = 4;
/// How many bytes of text there are for one of the set: prose of 20 KB sets about four of ten bits.
const PER_BYTE: usize = 16;
/// How long a set is at most; a row of it fits a page of every backend, and what a language says again and again
/// does not fill it.
const MOST: usize = 4_096;

/// Returns the set of a text.
pub(super) fn of(text: &[u8]) -> Vec<u8> {
    let mut set = vec![0; (text.len() / PER_BYTE).clamp(1, MOST)];
    for run in text.windows(RUN) {
        let (byte, bit) = place(run, set.len());
        set[byte] |= bit;
    }
    set
}

/// Tells whether a text with this set may hold a term.
pub(super) fn may_hold(set: &[u8], term: &[u8]) -> bool {
    term.windows(RUN).all(|run| {
        let (byte, bit) = place(run, set.len());
        set.get(byte).is_some_and(|bits| bits & bit != 0)
    })
}

/// Returns the place of a run in a set of that many bytes.
fn place(run: &[u8], bytes: usize) -> (usize, u8) {
    let run = u32::from_le_bytes(run.try_into().expect("a run has four bytes"));
    // The high bits of a product with an odd number depend on all of the run; taken as a fraction, they are spread
    // over a set of any length.
    let hash = u64::from(run.wrapping_mul(0x9e37_79b1));
    let bit = (hash * (bytes as u64 * 8)) >> 32;
    ((bit / 8) as usize, 1 << (bit % 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_a_text_may_be_in_it(text in ".{0,4000}", from in any::<prop::sample::Index>(), len in 0..40usize) {
            let text = text.as_bytes();
            let from = from.index(text.len() + 1);
            let term = &text[from..text.len().min(from + len)];
            prop_assert!(may_hold(&of(text), term));
        }
    }

    #[test]
    fn most_of_what_is_not_in_a_text_is_known_not_to_be() {
        // Words that are made up of the same syllables, in the text and not in it.
        let word = |n: usize| {
            let syllable =
                |n: usize| [["ba", "ri", "to", "ne"][n % 4], ["l", "s", "nd", ""][n / 4 % 4]].concat();
            [syllable(n), syllable(n / 16), syllable(n / 256)].concat()
        };
        let text: Vec<String> = (0..2_000).map(|n| word(2 * n)).collect();
        let text = text.join(" ");
        let set = of(text.as_bytes());
        assert!(set.len() <= text.len() / PER_BYTE);
        let others = (0..2_000).map(|n| word(2 * n + 1)).filter(|word| !text.contains(word));
        let (mut all, mut taken) = (0, 0);
        for other in others {
            all += 1;
            taken += usize::from(may_hold(&set, format!(" {other} ").as_bytes()));
        }
        assert!(all > 500 && taken * 2 < all, "{taken} of {all}");
    }

    #[test]
    fn a_set_that_was_cut_short_is_not_a_fault() {
        assert!(!may_hold(&[], b"term"));
        assert!(may_hold(&[], b"abc"));
    }
}
