//! Redaction of what is kept or shown: by a given redactor, by the secrets a request itself carries, and across
//! the pieces of a body.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use memchr::memmem::{self, Finder};

/// Longest form of a secret that is found where pieces of a body meet, in bytes.
const LONGEST: usize = 4 << 10;

/// Returns what stands in a secret's place.
pub(crate) fn mask() -> &'static str {
    "‹secret›"
}

/// Takes secrets out of bytes that will be shown or kept. Cheap to clone.
#[derive(Clone)]
pub struct Redactor(Arc<Redact>);

type Redact = dyn for<'a> Fn(&'a [u8]) -> Cow<'a, [u8]> + Send + Sync;

impl Redactor {
    /// Returns a redactor that asks a function, which lends back what holds no secret.
    pub fn new(redact: impl for<'a> Fn(&'a [u8]) -> Cow<'a, [u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(redact))
    }

    /// Returns bytes without secrets.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        (self.0)(bytes)
    }

    /// Returns a text without secrets.
    pub(crate) fn text(&self, text: String) -> String {
        match self.redact(text.as_bytes()) {
            Cow::Borrowed(same) if same.len() == text.len() => text,
            other => String::from_utf8_lossy(&other).into_owned(),
        }
    }

    /// Tells whether there is nothing to take out.
    fn is_clean(&self, bytes: &[u8]) -> bool {
        match self.redact(bytes) {
            Cow::Borrowed(same) => same.len() == bytes.len(),
            Cow::Owned(other) => other == bytes,
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Returns a redactor that asks the one given and then masks these secrets too.
pub(crate) fn masking(given: Option<Redactor>, mut secrets: Vec<Vec<u8>>) -> Redactor {
    // A secret of a few bytes would tear ordinary words apart.
    secrets.retain(|secret| secret.len() >= 6);
    // A longer secret goes before one that it holds.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let finders: Vec<_> = secrets.iter().map(|secret| Finder::new(secret).into_owned()).collect();
    // Where none of these is, no other one can be.
    let holds_other =
        |at: &usize| secrets[at + 1..].iter().any(|it| memmem::find(&secrets[*at], it).is_some());
    let inner: Vec<usize> = (0..secrets.len()).filter(|at| !holds_other(at)).collect();
    Redactor::new(move |bytes| {
        let kept = given.as_ref().map_or(Cow::Borrowed(bytes), |given| given.redact(bytes));
        if inner.iter().all(|at| finders[*at].find(&kept).is_none()) {
            return kept;
        }
        let mut out = kept.into_owned();
        for finder in &finders {
            let mut from = 0;
            while let Some(at) = finder.find(&out[from..]) {
                out.splice(from + at..from + at + finder.needle().len(), mask().bytes());
                from += at + mask().len();
            }
        }
        Cow::Owned(out)
    })
}

/// Returns a redactor that also masks what the sensitive headers of a request hold: the whole value, what follows
/// its scheme, and the password of a Basic one, or its user where that is all there is.
pub(crate) fn of_request(given: Option<Redactor>, headers: &HeaderMap) -> Redactor {
    masking(given, held(headers))
}

/// Returns the secrets that the sensitive headers hold.
pub(crate) fn held(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for value in headers.values().filter(|value| value.is_sensitive()).map(|value| value.as_bytes()) {
        secrets.push(value.to_vec());
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { continue };
        let credentials = &value[space + 1..];
        secrets.push(credentials.to_vec());
        if value[..space].eq_ignore_ascii_case(b"basic")
            && let Ok(pair) = STANDARD.decode(credentials)
            && let Some(colon) = pair.iter().position(|byte| *byte == b':')
        {
            let (user, password) = (&pair[..colon], &pair[colon + 1..]);
            secrets.push(if password.is_empty() { user } else { password }.to_vec());
        }
    }
    secrets
}

/// How much of a body is redacted at once, in bytes, where it comes faster than it is asked for.
const BATCH: usize = 16 << 10;

/// A body that is redacted as it comes. A piece is held back while a secret that begins in it could still go on:
/// until a line feed, which no secret in a header holds, or 4 KiB follow it.
pub(crate) struct Pieces {
    redactor: Redactor,
    /// The pieces that are held, one after another.
    bytes: Vec<u8>,
    /// Of each its time and its length.
    held: Vec<(u64, usize)>,
    /// How many bytes came since the last release.
    fresh: usize,
}

impl Pieces {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self { redactor, bytes: Vec::new(), held: Vec::new(), fresh: 0 }
    }

    /// Takes a piece, and tells whether it is time to [`release`](Self::release).
    pub(crate) fn hold(&mut self, at_us: u64, piece: &[u8]) -> bool {
        self.fresh += piece.len();
        self.bytes.extend_from_slice(piece);
        self.held.push((at_us, piece.len()));
        self.fresh >= BATCH
    }

    /// Returns the pieces that can be kept by now. Where a secret lies across the border of two pieces they are one,
    /// of the later one's time.
    pub(crate) fn release(&mut self) -> Vec<(u64, Bytes)> {
        self.redacted(false)
    }

    /// Returns what was held back.
    pub(crate) fn finish(&mut self) -> Vec<(u64, Bytes)> {
        self.redacted(true)
    }

    fn redacted(&mut self, all: bool) -> Vec<(u64, Bytes)> {
        self.fresh = 0;
        let safe = if all { self.bytes.len() } else { safe(&self.bytes) };
        let lengths = self.held.iter().map(|(_, length)| *length);
        let ends = lengths.scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let ends: Vec<usize> = ends.take_while(|end| *end <= safe).collect();
        let Some(end) = ends.last() else { return Vec::new() };
        // A secret may begin before what is safe and end after it: only the whole shows it.
        if self.redactor.is_clean(&self.bytes) {
            let mut rest = Vec::with_capacity(self.bytes.len());
            rest.extend_from_slice(&self.bytes[*end..]);
            let bytes = Bytes::from(std::mem::replace(&mut self.bytes, rest));
            let times = self.held.drain(..ends.len());
            let mut from = 0;
            let piece = |((at_us, _), end)| (at_us, bytes.slice(std::mem::replace(&mut from, end)..end));
            return times.zip(ends).map(piece).collect();
        }
        // A border may stay where the bytes on both sides give the same alone as together.
        let parts = |from: usize, at: usize| {
            let (head, tail) =
                (self.redactor.redact(&self.bytes[from..at]), self.redactor.redact(&self.bytes[at..]));
            ([&head[..], &tail].concat() == self.redactor.redact(&self.bytes[from..])[..])
                .then(|| head.into_owned())
        };
        let (mut out, mut from, mut released) = (Vec::new(), 0, 0);
        for (place, end) in ends.into_iter().enumerate() {
            if let Some(head) = parts(from, end) {
                out.push((self.held[place].0, Bytes::from(head)));
                (from, released) = (end, place + 1);
            }
        }
        self.held.drain(..released);
        self.bytes.drain(..from);
        out
    }
}

/// Returns up to where a secret that is not whole yet cannot reach back.
fn safe(bytes: &[u8]) -> usize {
    let line = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    line.max((bytes.len() + 1).saturating_sub(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        masking(None, vec![b"hunter2".to_vec()])
    }

    fn run(body: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::new(redactor());
        let (mut out, mut rest) = (Vec::new(), body);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*cut).min(rest.len()));
            pieces.hold(0, head);
            out.extend(pieces.release());
            rest = tail;
        }
        out.extend(pieces.finish());
        out.into_iter().map(|(_, piece)| piece.to_vec()).collect()
    }

    #[test]
    fn a_piece_waits_only_while_a_secret_could_go_on() {
        let mut pieces = Pieces::new(redactor());
        let mut push = |text: &'static str| {
            pieces.hold(0, text.as_bytes());
            pieces.release().len()
        };
        assert_eq!([push("data: a\n\n"), push("data: hun"), push("ter2\n\n"), push("x\n")], [1, 0, 1, 1]);
        let mut pieces = Pieces::new(redactor());
        assert!(!pieces.hold(0, &[b'x'; 10]));
        assert!(pieces.release().is_empty());
        assert!(pieces.hold(0, &[b'x'; BATCH]), "it is time to look");
        assert_eq!((pieces.release().len(), pieces.finish().len()), (1, 1));
    }

    #[test]
    fn a_secret_across_the_border_of_two_large_pieces_is_found() {
        for begins in LONGEST - 12..LONGEST + 2 {
            let mut body = vec![b'x'; 3 * LONGEST];
            body[begins..begins + 7].copy_from_slice(b"hunter2");
            assert_eq!(run(&body, &[LONGEST]).concat(), *redactor().redact(&body), "a secret at {begins}");
        }
    }

    proptest! {
        #[test]
        fn cuts_hide_no_secret_and_lose_nothing(
            words in prop::collection::vec(
                prop::sample::select(vec!["hunter2", "hunter", "r2", "\n", "x", "é", "data: ", "2hunt"]), 0..40),
            cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let body = words.concat();
            prop_assert_eq!(run(body.as_bytes(), &cuts).concat(), redactor().redact(body.as_bytes()).into_owned());
            let plain = body.replace("hunter2", "");
            if !plain.contains("hunter2") {
                let mut whole = Vec::new();
                let mut rest = plain.as_bytes();
                for cut in cuts.iter().cycle() {
                    if rest.is_empty() { break }
                    let (head, tail) = rest.split_at((*cut).min(rest.len()));
                    whole.push(head.to_vec());
                    rest = tail;
                }
                prop_assert_eq!(run(plain.as_bytes(), &cuts), whole, "borders stay where there is no secret");
            }
        }
    }
}
