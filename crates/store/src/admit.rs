//! Whether a unit may enter the log: the rules of compare-and-append, the same for every backend.

use aichat_message::{EventId, SessionId, TurnId};

use crate::error::{Error, ErrorKind};
use crate::store::{Expect, Head, Unit, Write};

/// The longest key of a table, in bytes: an index page of such keys still fits a page of any backend.
const MAX_KEY: usize = 1024;
/// The longest hash of an event, in bytes.
const MAX_HASH: usize = 255;

/// What a backend tells about its log, the units already admitted by the same commit included.
pub(crate) trait Log {
    /// What reading the log fails with.
    type Error;

    fn head(&self, stream: &SessionId) -> Result<Option<Head>, Self::Error>;
    fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Self::Error>;
    fn folded(&self, turn: &TurnId) -> Result<bool, Self::Error>;
}

/// What becomes of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of its turns is in the log: nothing of it is written.
    Folded,
    /// All of its events are in the log: only its turns are marked.
    Known,
    /// Its events from this index on are appended, its writes made and its turns marked.
    Append(usize),
}

/// Judges a unit. The outer error is a failure to read, the inner one a refusal.
pub(crate) fn judge<L: Log>(log: &L, unit: &Unit) -> Result<Result<Verdict, Error>, L::Error> {
    for turn in &unit.folded {
        if log.folded(turn)? {
            return Ok(Ok(Verdict::Folded));
        }
    }
    let mut known = 0;
    for (index, event) in unit.events.iter().enumerate() {
        match log.find(&event.id)? {
            Some((stream, seq)) if stream == unit.stream && seq == event.seq && index == known => known += 1,
            Some(_) => {
                return Ok(Err(Error::new(
                    ErrorKind::Invalid,
                    format!("event {} is in the log at another place", event.id),
                )));
            }
            None => {}
        }
    }
    if known > 0 && known == unit.events.len() {
        return Ok(Ok(Verdict::Known));
    }
    if let Err(error) = check_writes(&unit.writes) {
        return Ok(Err(error));
    }
    for replaced in &unit.replaced {
        if log.find(&replaced.id)?.is_none_or(|(stream, _)| stream != unit.stream) {
            let message = format!("event {} is not in stream {}", replaced.id, unit.stream);
            return Ok(Err(Error::new(ErrorKind::Invalid, message)));
        }
    }
    let head = log.head(&unit.stream)?;
    let expected = match &unit.expect {
        Expect::New => None,
        Expect::At(head) => Some(head),
    };
    if head.as_ref() != expected {
        return Ok(Err(Error::new(
            ErrorKind::Conflict,
            format!("stream {} does not end where it was expected to", unit.stream),
        )));
    }
    let mut last = head.map_or(0, |head| head.seq);
    for event in &unit.events[known..] {
        if last.checked_add(1) != Some(event.seq) {
            return Ok(Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "event {} at {} does not follow {last} in stream {}",
                    event.id, event.seq, unit.stream
                ),
            )));
        }
        if event.hash.len() > MAX_HASH {
            return Ok(Err(Error::new(
                ErrorKind::Invalid,
                format!("the hash of event {} is too long", event.id),
            )));
        }
        last = event.seq;
    }
    let mut ids: Vec<&EventId> = unit.events.iter().map(|event| &event.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Ok(Err(Error::new(ErrorKind::Invalid, "one event id is used twice in a unit")));
    }
    Ok(Ok(Verdict::Append(known)))
}

/// Refuses what is no name of a blob.
pub(crate) fn check_hash(hash: &str) -> Result<(), Error> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match hash.len() == 64 && hash.bytes().all(digit) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Invalid, "a blob is named by 64 hex digits")),
    }
}

/// Refuses writes that no table takes.
pub(crate) fn check_writes(writes: &[Write]) -> Result<(), Error> {
    match writes.iter().find(|write| write.key.len() > MAX_KEY) {
        Some(write) => {
            let message = format!("a key of table {} is longer than {MAX_KEY} bytes", write.table.name());
            Err(Error::new(ErrorKind::Invalid, message))
        }
        None => Ok(()),
    }
}

/// Refuses writes that are no part of a rebuild.
pub(crate) fn check_projections(writes: &[Write]) -> Result<(), Error> {
    if writes.iter().any(|write| !write.table.is_projection()) {
        return Err(Error::new(ErrorKind::Invalid, "a rebuild writes projection tables only"));
    }
    check_writes(writes)
}
