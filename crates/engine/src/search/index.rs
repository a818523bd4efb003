//! The index of what was said: folded words in rows of a projection, and which messages can hold a query's terms.
//!
//! Key: `session·0·seq(8)·piece(4)`. Value: `ts(8)·role(1)·pieces(4)` and a piece of the folded words. Pieces of a
//! message overlap, so that a term which begins in one of them is whole in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aichat_events::Event;
use aichat_message::{Message, Role, SessionId};
use aichat_store::{Table, Write};
use memchr::memmem::Finder;

use super::folded::fold;
use super::query::Query;
use super::words::words;

/// How many bytes of words a row holds; few enough for every backend to keep it in a page.
const PIECE: usize = 4_096;
/// How many of them are those of the next row, too, and how much of a term is looked for.
const OVERLAP: usize = 256;
/// How many bytes of a value come before the words.
const HEAD: usize = 13;

/// Returns the rows of a message.
pub(crate) fn rows(event: &Event, message: &Message) -> Vec<Write> {
    let folded = fold(&words(message));
    let pieces = pieces(folded.as_bytes());
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX).to_be_bytes();
    let session = prefix(event.session());
    let row = |(number, piece): (u32, &[u8])| {
        let key = [session.as_slice(), &event.seq().to_be_bytes(), &number.to_be_bytes()];
        let value = [&event.ts().to_be_bytes()[..], &[code(message.role)], &count, piece];
        Write { table: Table::Words, key: key.concat(), value: Some(value.concat()) }
    };
    (0..).zip(pieces).map(row).collect()
}

fn prefix(session: &SessionId) -> Vec<u8> {
    [session.as_str().as_bytes(), &[0]].concat()
}

fn pieces(words: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(words.len() / (PIECE - OVERLAP) + 1);
    let mut start = 0;
    while start < words.len() {
        let end = words.len().min(start + PIECE);
        pieces.push(&words[start..end]);
        start = if end == words.len() { end } else { end - OVERLAP };
    }
    pieces
}

/// Returns a role in one byte; system and developer are one to whoever searches.
fn code(role: Role) -> u8 {
    match role {
        Role::System | Role::Developer => b's',
        Role::User => b'u',
        Role::Assistant => b'a',
        Role::Tool => b't',
        _ => b'?',
    }
}

/// What can be told about a message by its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) session: Option<SessionId>,
    pub(crate) role: Option<Role>,
    pub(crate) since_us: Option<i64>,
    pub(crate) until_us: Option<i64>,
}

impl Wanted {
    pub(crate) fn takes(&self, role: Role, ts: i64) -> bool {
        self.takes_code(code(role), ts)
    }

    fn takes_code(&self, role: u8, ts: i64) -> bool {
        self.role.is_none_or(|wanted| code(wanted) == role)
            && self.since_us.is_none_or(|since| ts >= since)
            && self.until_us.is_none_or(|until| ts < until)
    }
}

/// Where a message is that may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) ts: i64,
    pub(crate) session: SessionId,
    pub(crate) seq: u64,
}

/// Looks at rows, on several threads, and keeps the places of those that may match.
#[derive(Clone)]
pub(crate) struct Sieve(Arc<Inner>);

struct Inner {
    wanted: Wanted,
    terms: Vec<Finder<'static>>,
    /// All bits of the terms.
    all: u32,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    whole: Vec<(i64, Vec<u8>)>,
    /// Messages of several pieces, and which terms were seen in any of them.
    parts: BTreeMap<Vec<u8>, (i64, u32)>,
}

impl Sieve {
    pub(crate) fn new(query: &Query, wanted: Wanted) -> Self {
        let short = |term: &[u8]| Finder::new(&term[..term.len().min(OVERLAP)]).into_owned();
        let terms: Vec<_> = query.terms().map(short).collect();
        let all = u32::MAX >> (32 - terms.len());
        Self(Arc::new(Inner { wanted, terms, all, found: Mutex::default() }))
    }

    /// Returns what the keys begin with that are to be looked at.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        self.0.wanted.session.as_ref().map(prefix).unwrap_or_default()
    }

    pub(crate) fn look(&self, key: &[u8], value: &[u8]) {
        let this = &*self.0;
        let (Some((head, words)), Some((place, _))) =
            (value.split_at_checked(HEAD), key.split_last_chunk::<4>())
        else {
            return;
        };
        let ts = i64::from_be_bytes(head[..8].try_into().expect("a head has 13 bytes"));
        if !this.wanted.takes_code(head[8], ts) {
            return;
        }
        let is_whole = head[9..] == [0, 0, 0, 1];
        let mut seen = 0;
        for (bit, term) in this.terms.iter().enumerate() {
            match term.find(words) {
                Some(_) => seen |= 1 << bit,
                None if is_whole => return,
                None => {}
            }
        }
        let mut found = this.found.lock().unwrap_or_else(PoisonError::into_inner);
        match is_whole {
            true => found.whole.push((ts, place.to_vec())),
            false if seen == 0 => {}
            false => found.parts.entry(place.to_vec()).or_insert((ts, 0)).1 |= seen,
        }
    }

    /// Returns what was found, the latest first.
    pub(crate) fn into_candidates(self) -> impl Iterator<Item = Candidate> {
        let found = std::mem::take(&mut *self.0.found.lock().unwrap_or_else(PoisonError::into_inner));
        let all = self.0.all;
        let parts = found.parts.into_iter().filter(|(_, (_, seen))| *seen == all);
        let mut places = found.whole;
        places.extend(parts.map(|(place, (ts, _))| (ts, place)));
        // Of a frequent word there are far more than anybody asks for: only those that are taken are read.
        places.sort_unstable_by(|(a_ts, a), (b_ts, b)| {
            let ((a, a_seq), (b, b_seq)) = (session_and_seq(a), session_and_seq(b));
            b_ts.cmp(a_ts).then_with(|| a.cmp(b)).then_with(|| b_seq.cmp(a_seq))
        });
        places.into_iter().filter_map(|(ts, place)| candidate(ts, &place))
    }
}

fn session_and_seq(place: &[u8]) -> (&[u8], &[u8]) {
    place.split_at(place.len().saturating_sub(8))
}

fn candidate(ts: i64, place: &[u8]) -> Option<Candidate> {
    let (session, seq) = place.split_last_chunk::<8>()?;
    let session = std::str::from_utf8(session.strip_suffix(&[0])?).ok()?.parse().ok()?;
    Some(Candidate { ts, session, seq: u64::from_be_bytes(*seq) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_overlap_and_lose_nothing() {
        let words: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 20_000] {
            let pieces = pieces(&words[..len]);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE && !piece.is_empty()), "{len}");
            let rest = pieces.iter().skip(1).flat_map(|piece| &piece[OVERLAP..]);
            let again: Vec<u8> =
                pieces.first().copied().unwrap_or_default().iter().chain(rest).copied().collect();
            assert_eq!(again, words[..len], "{len}");
        }
    }
}
