//! Whether a text can hold any of many forms at all, told by a look at few of its places.

/// How many bytes are looked at in a place.
const GRAM: usize = 8;
/// Most bytes between two places; with more of them there would be more grams to know.
const STRIDE: usize = 32;
/// How many bits the filter has, as a power of two.
const BITS: u32 = 16;

/// The bytes near the beginnings of forms. Whatever holds a form has some of them in one of the places that are a
/// stride apart, wherever the form begins.
pub(super) struct Grams {
    stride: usize,
    /// Each gram of a form within its first stride, sorted.
    known: Vec<u64>,
    /// A bit for each of them: most places are done with by a look here.
    filter: Box<[u64; 1 << (BITS - 6)]>,
    /// A bit for each byte that a form begins with, and for each two.
    firsts: [u64; 4],
    pairs: Box<[u64; 1 << 10]>,
}

impl Grams {
    /// Takes note of forms, which are sorted and each of at least 8 bytes.
    pub(super) fn new(forms: &[String]) -> Self {
        let shortest = forms.iter().map(String::len).min().unwrap_or(GRAM);
        assert!(shortest >= GRAM, "no form is shorter than the shortest secret");
        let stride = (shortest + 1 - GRAM).min(STRIDE);
        let (mut firsts, mut pairs) = ([0; 4], Box::new([0; 1 << 10]));
        let (mut known, mut before) = (Vec::new(), &[][..]);
        for form in forms {
            let start = &form.as_bytes()[..stride + GRAM - 1];
            // Many forms differ in their ends alone.
            if start == before {
                continue;
            }
            before = start;
            set(&mut firsts, usize::from(start[0]));
            set(&mut *pairs, pair(start));
            known.extend(start.windows(GRAM).map(gram));
        }
        known.sort_unstable();
        known.dedup();
        let mut filter = Box::new([0; 1 << (BITS - 6)]);
        known.iter().for_each(|gram| set(&mut *filter, place(*gram)));
        Self { stride, known, filter, firsts, pairs }
    }

    /// Tells whether a text may hold a form; most that hold none do not.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        let is_known =
            |gram: u64| is_set(&*self.filter, place(gram)) && self.known.binary_search(&gram).is_ok();
        let mut rest = text;
        while let Some(bytes) = rest.first_chunk() {
            if is_known(u64::from_ne_bytes(*bytes)) {
                return true;
            }
            rest = rest.get(self.stride..).unwrap_or_default();
        }
        false
    }

    /// Tells whether a text may be the beginning of a form.
    pub(super) fn may_begin(&self, text: &[u8]) -> bool {
        match text {
            [] => false,
            [first] => is_set(&self.firsts, usize::from(*first)),
            _ => is_set(&*self.pairs, pair(text)),
        }
    }
}

fn gram(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("a window is as long as a gram"))
}

/// Spreads grams over the filter, which the upper bits of a product with a large odd number do well.
fn place(gram: u64) -> usize {
    (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS)) as usize
}

fn pair(text: &[u8]) -> usize {
    usize::from(text[0]) << 8 | usize::from(text[1])
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

fn is_set(bits: &[u64], at: usize) -> bool {
    bits[at / 64] & 1 << (at % 64) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_that_holds_a_form_is_never_passed_over(
            forms in prop::collection::btree_set("[ab]{8,30}", 1..20),
            before in "[ab\u{e9} ]{0,40}",
            after in "[ab ]{0,40}",
            which in any::<prop::sample::Index>(),
        ) {
            let forms: Vec<String> = forms.into_iter().collect();
            let grams = Grams::new(&forms);
            let form = which.get(&forms);
            let text = [&before, form, &after].map(String::as_str).concat();
            prop_assert!(grams.may_be_in(text.as_bytes()));
            prop_assert!((1..=form.len()).all(|end| grams.may_begin(&form.as_bytes()[..end])));
        }
    }

    #[test]
    fn ordinary_text_is_passed_over() {
        let grams = Grams::new(&["sk-proj-0123456789".to_owned()]);
        let text = "The key begins with sk-proj, and nobody knows how it goes on. ".repeat(100);
        assert!(!grams.may_be_in(text.as_bytes()));
        assert!(!grams.may_begin(b"sl"), "two bytes are told apart");
    }
}
