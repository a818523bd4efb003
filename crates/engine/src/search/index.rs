//! The index of what was said: a row of a projection for each message, and which of them can hold a query's terms.
//!
//! Key: `session·0·seq(8)`. Value: `ts(8)·role(1)·form(1)`, and the folded words, or what long ones may hold.

use std::sync::{Arc, Mutex, PoisonError};

use aichat_events::Event;
use aichat_message::{Message, Role, SessionId};
use aichat_store::{Table, Write};
use memchr::memmem::Finder;

use super::folded::fold;
use super::grams;
use super::query::Query;
use super::words::words;

/// How many bytes of words a row holds at most; few enough for every backend to keep it in a page.
const MOST: usize = 4_096;
/// How many bytes of a value come before the words.
const HEAD: usize = 10;
/// The words follow.
const WHOLE: u8 = b'w';
/// What may be among the words follows: they are too long for a row.
const GRAMS: u8 = b'g';

/// Returns the row of a message, unless nothing was said.
pub(crate) fn row(event: &Event, message: &Message) -> Option<Write> {
    let folded = fold(&words(message));
    let rest = match folded.len() {
        0 => return None,
        1..=MOST => [&[WHOLE], folded.as_bytes()].concat(),
        _ => [vec![GRAMS], grams::of(folded.as_bytes())].concat(),
    };
    let key = [prefix(event.session()).as_slice(), &event.seq().to_be_bytes()].concat();
    let value = [&event.ts().to_be_bytes()[..], &[code(message.role)], &rest].concat();
    Some(Write { table: Table::Words, key, value: Some(value) })
}

fn prefix(session: &SessionId) -> Vec<u8> {
    [session.as_str().as_bytes(), &[0]].concat()
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
    found: Mutex<Vec<(i64, Vec<u8>)>>,
}

impl Sieve {
    pub(crate) fn new(query: &Query, wanted: Wanted) -> Self {
        let terms = query.terms().map(|term| Finder::new(term).into_owned()).collect();
        Self(Arc::new(Inner { wanted, terms, found: Mutex::default() }))
    }

    /// Returns what the keys begin with that are to be looked at.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        self.0.wanted.session.as_ref().map(prefix).unwrap_or_default()
    }

    pub(crate) fn look(&self, key: &[u8], value: &[u8]) {
        let this = &*self.0;
        let Some(([head @ .., form], words)) = value.split_first_chunk::<HEAD>() else { return };
        let Some((ts, &[role])) = head.split_first_chunk::<8>() else { return };
        let ts = i64::from_be_bytes(*ts);
        let may_match = || match *form {
            WHOLE => this.terms.iter().all(|term| term.find(words).is_some()),
            _ => this.terms.iter().all(|term| grams::may_hold(words, term.needle())),
        };
        if this.wanted.takes_code(role, ts) && may_match() {
            this.found.lock().unwrap_or_else(PoisonError::into_inner).push((ts, key.to_vec()));
        }
    }

    /// Returns what was found, the latest first.
    pub(crate) fn into_candidates(self) -> impl Iterator<Item = Candidate> {
        let mut places = std::mem::take(&mut *self.0.found.lock().unwrap_or_else(PoisonError::into_inner));
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
