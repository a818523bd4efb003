//! Redaction: the one funnel through which everything goes that is recorded or reported.

mod forms;
mod grams;
mod message;
mod stream;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::fact::SecretCount;
use grams::Grams;

pub use stream::RedactStream;

/// Values shorter than this many bytes are not masked: they would be found in ordinary text.
const MIN_SECRET: usize = 12;

/// Masks known secrets wherever they appear, in each form they may have been written in.
///
/// Raw, escaped for JSON, percent-encoded and base64 forms are found, base64 also where the secret starts
/// in the middle of what was encoded. Each is replaced by `‹secret:NAME›`; what overlaps is masked as one, under
/// the name of the secret that begins first, the longest of those. Values shorter than 12 bytes are not masked.
///
/// Clones share the automaton and the tally; [`Redactor::counted`] starts a tally of its own.
#[derive(Clone)]
pub struct Redactor {
    masks: Option<Arc<Masks>>,
    tally: Arc<[AtomicU64]>,
}

/// What is looked for, and what is written in its place.
struct Masks {
    grams: Grams,
    /// Built for the first text that may hold a form: most runs of a program never see one.
    automaton: OnceLock<AhoCorasick>,
    /// Every form, sorted; `owners` names the secret of each.
    forms: Vec<String>,
    owners: Vec<usize>,
    longest: usize,
    secrets: Vec<Secret>,
}

struct Secret {
    name: String,
    placeholder: String,
}

/// A stretch of text to be masked as one; without a secret, one whose placeholder was written before.
struct Find {
    range: Range<usize>,
    secret: Option<usize>,
}

impl Redactor {
    /// Returns a redactor for these names and values.
    ///
    /// Names are shown; letters, digits and `-_./@+` stay in them, anything else becomes `_`.
    /// White space around a value is no part of it.
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut known = Vec::new();
        let mut forms = Vec::new();
        for (name, value) in secrets {
            let value = value.trim();
            if value.len() < MIN_SECRET {
                continue;
            }
            let plain = |c: char| if c.is_alphanumeric() || "-_./@+".contains(c) { c } else { '_' };
            let name: String = name.chars().map(plain).collect();
            forms.extend(forms::of(value).into_iter().map(|form| (form, known.len())));
            known.push(Secret { placeholder: format!("‹secret:{name}›"), name });
        }
        if known.is_empty() {
            return Self::none();
        }
        forms.sort_unstable();
        forms.dedup_by(|a, b| a.0 == b.0);
        let (forms, owners): (Vec<String>, Vec<usize>) = forms.into_iter().unzip();
        let longest = forms.iter().map(String::len).max().unwrap_or(0);
        let tally = known.iter().map(|_| AtomicU64::new(0)).collect();
        let masks = Masks {
            grams: Grams::new(&forms),
            automaton: OnceLock::new(),
            forms,
            owners,
            longest,
            secrets: known,
        };
        Self { masks: Some(Arc::new(masks)), tally }
    }

    /// Returns a redactor that knows no secret and changes nothing.
    pub fn none() -> Self {
        Self { masks: None, tally: Arc::new([]) }
    }

    /// Tells whether there is nothing to mask.
    pub fn is_none(&self) -> bool {
        self.masks.is_none()
    }

    /// Returns a redactor for the same secrets with a tally of its own, for one turn for example.
    #[must_use]
    pub fn counted(&self) -> Self {
        Self { masks: self.masks.clone(), tally: self.tally.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    /// Returns how often each secret was masked since the last call, without those that were not.
    pub fn take_counts(&self) -> Vec<SecretCount> {
        let Some(masks) = &self.masks else { return Vec::new() };
        let counts = masks.secrets.iter().zip(self.tally.iter());
        counts
            .map(|(secret, count)| SecretCount {
                name: secret.name.clone(),
                count: count.swap(0, Ordering::Relaxed),
            })
            .filter(|count| count.count > 0)
            .collect()
    }

    /// Returns how often secrets were masked since the counts were taken last.
    pub fn masked(&self) -> u64 {
        self.tally.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Returns `bytes` with every secret masked, which may be part of text in any encoding based on ASCII.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(masks) = &self.masks else { return Cow::Borrowed(bytes) };
        let finds = masks.find(bytes, 0);
        if finds.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for find in finds {
            out.extend_from_slice(&bytes[at..find.range.start]);
            out.extend_from_slice(self.mask(masks, find.secret).as_bytes());
            at = find.range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        Cow::Owned(out)
    }

    /// Returns `text` with every secret masked.
    pub fn redact_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes).expect("whole characters are replaced by whole characters"),
            ),
        }
    }

    /// Returns a redactor for text that arrives in pieces.
    pub fn stream(&self) -> RedactStream {
        RedactStream::new(self.clone())
    }

    /// Counts a secret and returns what is written in its place.
    fn mask<'a>(&self, masks: &'a Masks, secret: Option<usize>) -> &'a str {
        let Some(secret) = secret else { return "" };
        self.tally[secret].fetch_add(1, Ordering::Relaxed);
        &masks.secrets[secret].placeholder
    }
}

impl fmt::Debug for Redactor {
    /// Shows the names, never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.masks.iter().flat_map(|masks| &masks.secrets);
        f.debug_set().entries(secrets.map(|secret| &secret.name)).finish()
    }
}

impl Masks {
    /// Returns what is to be masked, in order and disjoint. The first `covered` bytes are masked already: what
    /// begins among them extends the first find, which then has no secret.
    fn find(&self, text: &[u8], covered: usize) -> Vec<Find> {
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        if self.grams.may_be_in(text) {
            let all = self.automaton().find_overlapping_iter(text);
            found.extend(all.map(|m| (m.start(), m.end(), self.owners[m.pattern().as_usize()])));
        }
        found.sort_unstable_by_key(|&(start, end, _)| (start, std::cmp::Reverse(end)));
        let mut finds: Vec<Find> = Vec::new();
        if covered > 0 {
            finds.push(Find { range: 0..covered, secret: None });
        }
        for (start, end, secret) in found {
            match finds.last_mut() {
                Some(last) if start < last.range.end => last.range.end = last.range.end.max(end),
                _ => finds.push(Find { range: start..end, secret: Some(secret) }),
            }
        }
        finds
    }

    fn automaton(&self) -> &AhoCorasick {
        self.automaton.get_or_init(|| {
            // The kind is given because the one that would be chosen for few forms takes ten times as long to build.
            AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&self.forms)
                .expect("a few thousand short forms fit into an automaton")
        })
    }

    /// Returns where the longest end of `text` begins that could still become a form; its length if none.
    fn open_end(&self, text: &str) -> usize {
        let first = (text.len() + 1).saturating_sub(self.longest);
        let could_begin = |at: &usize| {
            text.is_char_boundary(*at)
                && self.grams.may_begin(&text.as_bytes()[*at..])
                && self.is_proper_prefix(&text[*at..])
        };
        (first..text.len()).find(could_begin).unwrap_or(text.len())
    }

    fn is_proper_prefix(&self, end: &str) -> bool {
        let at = self.forms.partition_point(|form| form.as_str() <= end);
        self.forms.get(at).is_some_and(|form| form.starts_with(end))
    }
}
