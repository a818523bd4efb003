//! Purging: what was said in a session is erased for good, and its chain still verifies.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use aichat_events::{Event, Fact, SessionErased};
use aichat_message::{ErrorKind, SessionId, TurnId};
use aichat_store::{ErrorKind as StoreErrorKind, Replacement, Scan, Table, Unit, Write};
use serde::Serialize;

use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::{Projection, Summary};
use crate::session::CONFLICTS;
use crate::tail::Tail;

/// What a purge erased. It may be repeated, and finishes what an earlier one could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// The session.
    pub id: SessionId,
    /// How many events lost their payload; 0 where it had been purged before.
    pub events: u64,
    /// How many attachments were removed, because nothing refers to them any more.
    pub blobs: u64,
}

impl Engine {
    /// Erases the payloads of a session, deleted or not, and the attachments that only it refers to. Lengths, times
    /// and kinds of its events stay, and so does its chain. The bytes leave the files of the store as the store is
    /// compacted.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, or where forks depend on it and are not to go along,
    /// naming them; with `busy` where one of its turns is in flight; and with kind `store`.
    pub async fn purge(&self, session: &SessionId, with_forks: bool) -> Result<Vec<Purged>, Error> {
        let sessions = self
            .using_store(async {
                self.settle().await?;
                if is_system(session) || self.store().head(session).await?.is_none() {
                    return Err(Error::input(format!("there is no session {session}")));
                }
                self.with_forks(session).await
            })
            .await?;
        if sessions.len() > 1 && !with_forks {
            let forks: Vec<&str> = sessions[1..].iter().map(SessionId::as_str).collect();
            let what = if forks.len() == 1 { "a fork depends" } else { "forks depend" };
            let forks = forks.join(", ");
            return Err(Error::input(format!(
                "{what} on session {session}, to be purged before or with it: {forks}"
            )));
        }
        let mut purged = Vec::new();
        // Nobody is left without a parent, wherever this is broken off.
        for session in sessions.iter().rev() {
            purged.push(self.purge_one(session).await?);
        }
        purged.reverse();
        Ok(purged)
    }

    /// Finds a session as [`resolve`](Self::resolve) does, and by its id also one that was deleted.
    ///
    /// # Errors
    /// Fails with kind `input` where nothing or more than one session matches, and with kind `store`.
    pub async fn resolve_deleted(&self, text: &str) -> Result<SessionId, Error> {
        self.using_store(async {
            self.settle().await?;
            let missing = match self.look_up(text).await {
                Err(error) if error.kind() == ErrorKind::Input && text.starts_with("ses_") => error,
                found => return found,
            };
            if text.len() <= "ses_".len() {
                return Err(missing);
            }
            let scan = Scan { prefix: text.into(), limit: Some(2), ..Scan::default() };
            let rows = self.store().scan(Table::Sessions, scan).await?;
            let found: Vec<Summary> = rows.iter().filter_map(|(_, row)| Summary::decode(row)).collect();
            match &found[..] {
                [one] => Ok(one.id.clone()),
                _ => Err(missing),
            }
        })
        .await
    }

    /// Returns a session and every fork that depends on it, each after the one it comes from.
    async fn with_forks(&self, session: &SessionId) -> Result<Vec<SessionId>, Error> {
        let mut found = vec![session.clone()];
        let mut seen = HashSet::from([session.clone()]);
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            let forks = self.forks_of(parent).await?;
            found.extend(forks.into_iter().filter(|fork| seen.insert(fork.clone())));
            next += 1;
        }
        Ok(found)
    }

    /// Returns the forks of a session that depend on it.
    pub(crate) async fn forks_of(&self, session: &SessionId) -> Result<Vec<SessionId>, Error> {
        let prefix = format!("{session}\0").into_bytes();
        let skip = prefix.len();
        let rows = self.store().scan(Table::Forks, Scan { prefix, ..Scan::default() }).await?;
        Ok(rows.iter().filter_map(|(key, _)| std::str::from_utf8(&key[skip..]).ok()?.parse().ok()).collect())
    }

    async fn purge_one(&self, session: &SessionId) -> Result<Purged, Error> {
        let _lease = self.store().lease(session, Duration::ZERO).await?;
        let (events, names) = self
            .using_store(async {
                self.settle().await?;
                self.check_idle(session).await?;
                self.erase(session).await
            })
            .await?;
        let turns: BTreeSet<TurnId> = events.iter().filter_map(|event| event.turn().cloned()).collect();
        self.store().discard(&turns.into_iter().collect::<Vec<_>>()).await?;
        let erased = events.iter().filter(|event| is_to_erase(event)).count();
        let blobs = self
            .using_store(async {
                match erased {
                    // An earlier purge may have been broken off here, and which they were is not known any more.
                    0 => self.forget_unused().await,
                    _ => Ok(self.store().forget_blobs(&names).await?),
                }
            })
            .await?;
        Ok(Purged { id: session.clone(), events: erased as u64, blobs })
    }

    /// Erases every payload in one commit. Returns the events as they were, and the blobs they refer to.
    async fn erase(&self, session: &SessionId) -> Result<(Vec<Event>, Vec<String>), Error> {
        let mut scribe = self.scribe(session);
        let mut conflicts = 0;
        loop {
            let events = self.log(session).await?;
            if !events.iter().any(is_to_erase) {
                return Ok((events, Vec::new()));
            }
            // Those that were there have been purged by now.
            if let Some(fork) = self.forks_of(session).await?.first() {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("session {session} was forked meanwhile: {fork}"),
                ));
            }
            let draft = scribe.fact(&SessionErased {});
            let (unit, names) = erasing(session, &events, |tail| tail.append(&draft));
            match self.store().commit(vec![unit]).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict && conflicts < CONFLICTS => {
                    conflicts += 1;
                }
                done => {
                    done?;
                    return Ok((events, names));
                }
            }
        }
    }
}

/// Tells whether an event holds something that a purge erases.
fn is_to_erase(event: &Event) -> bool {
    event.payload().is_some() && event.kind() != SessionErased::TYPE
}

/// Returns a unit that erases the events of a session, all of those it has, and goes on with what `then` appends; and
/// the blobs that they refer to.
pub(crate) fn erasing(
    session: &SessionId,
    events: &[Event],
    then: impl FnOnce(&mut Tail),
) -> (Unit, Vec<String>) {
    let erased: Vec<Event> = events.iter().map(Event::erase).collect();
    let mut tail = Tail::after(session, &erased);
    then(&mut tail);
    let mut unit = tail.into_unit();
    let kept: HashSet<(Table, Vec<u8>)> =
        unit.writes.iter().map(|write| (write.table, write.key.clone())).collect();
    let places = projected(events);
    let names: BTreeSet<String> = places.iter().filter_map(blob).collect();
    let gone = places.into_iter().filter(|place| !kept.contains(place));
    unit.writes.extend(gone.map(|(table, key)| Write { table, key, value: None }));
    let replacement =
        |event: &Event| Replacement { id: event.id().clone(), bytes: event.line().as_bytes().to_vec() };
    unit.replaced = erased.iter().map(replacement).collect();
    (unit, names.into_iter().collect())
}

/// Returns every entry that the projection wrote for a session.
fn projected(events: &[Event]) -> HashSet<(Table, Vec<u8>)> {
    let mut projection = Projection::after(None);
    events.iter().for_each(|event| projection.apply(event));
    projection.finish().1.into_iter().map(|write| (write.table, write.key)).collect()
}

/// Returns the blob that an entry refers to.
fn blob((table, key): &(Table, Vec<u8>)) -> Option<String> {
    let hash = key.get(..64).filter(|_| *table == Table::Blobs)?;
    String::from_utf8(hash.to_vec()).ok()
}
