//! Copies from one store to another, of any kind: backups, restored backups, and moves.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use aichat_events::{Chain, Event, Hash};
use aichat_message::{SessionId, TurnId};
use aichat_store::{
    Balance, ErrorKind as StoreErrorKind, Expect, Lease, Replacement, Row, Scan, Table, Unit, Write,
};

use super::{PAGE, name_of};
use crate::document::{SYSTEM, is_system};
use crate::engine::Engine;
use crate::error::Error;
use crate::purge::erasing;
use crate::tail::Tail;
use crate::work::Step;

/// How many events one read fetches; each may be large.
const EVENTS: usize = 64;
/// How many events one commit takes in.
const BATCH: usize = 512;
/// How many bytes one commit takes in, beside its last page.
const BATCH_BYTES: usize = 4 << 20;
/// For how long both stores are held before others are let in.
const TURN: Duration = Duration::from_millis(500);
/// How long others are given to come in.
const PAUSE: Duration = Duration::from_millis(5);

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// How many sessions the source has, deleted ones included.
    pub sessions: u64,
    /// How many of them were new or had gone on.
    pub sessions_added: u64,
    /// How many events were added.
    pub events: u64,
    /// How many blobs were added.
    pub blobs: u64,
    /// How many versions of documents were added.
    pub documents: u64,
    /// How many bytes all of these have.
    pub bytes: u64,
    /// How many events, blobs and documents were damaged there and are whole again.
    pub repaired: u64,
    /// How many sessions were erased here since, and are there now as well. Their bytes leave the files of the store
    /// there as it is compacted.
    pub erased: u64,
    /// How many turns of the source were still running, or could not be folded, and are not in the copy.
    pub turns_in_flight: u64,
    /// What was left out, and why.
    pub refused: Vec<Refused>,
}

/// Something that was not copied, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which session, blob or document.
    pub place: String,
    /// Why, in a phrase.
    pub reason: String,
}

impl Copied {
    fn refuse(&mut self, place: impl fmt::Display, reason: impl fmt::Display) {
        self.refused.push(Refused { place: place.to_string(), reason: reason.to_string() });
    }

    fn is_refused(&self, place: &SessionId) -> bool {
        self.refused.iter().any(|refused| refused.place == place.as_str())
    }
}

impl Engine {
    /// Copies every session, with the blobs and documents that belong to it, to the store of another engine, where
    /// it is verified. What is there already is not copied again, so that a copy that was broken off is finished by
    /// the next one; what is damaged there is repaired. A session that went on differently in the two stores, or cannot be read, is named and left as it
    /// is, and the others are copied. Both stores can be used meanwhile.
    ///
    /// # Errors
    /// Fails with kind `store` or `busy` where one of the stores cannot be read or written; what was copied stays.
    pub async fn copy_to(&self, to: &Self) -> Result<Copied, Error> {
        let mut carrier = Carrier {
            from: self,
            to,
            copied: Copied::default(),
            added: HashSet::new(),
            units: Vec::new(),
            load: (0, 0),
            pin: None,
            since: Instant::now(),
        };
        let done = carrier.carry().await;
        carrier.let_others_in().await?;
        done.map(|()| carrier.copied)
    }

    /// Returns the hash of an event, zero where it is the one before the first, and `None` where it is not there or
    /// cannot be read.
    async fn hash_at(&self, session: &SessionId, seq: u64) -> Result<Option<Hash>, Error> {
        if seq == 0 {
            return Ok(Some(Hash::ZERO));
        }
        match self.store().events(session, seq, 1).await {
            Ok(rows) => Ok(rows.first().and_then(|row| <[u8; 32]>::try_from(&row.hash[..]).ok()).map(Hash)),
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Carries what is in one store to another.
struct Carrier<'a> {
    from: &'a Engine,
    to: &'a Engine,
    copied: Copied,
    added: HashSet<SessionId>,
    /// The next commit, of at most one unit a session.
    units: Vec<Unit>,
    /// How many events, and bytes of events, it has.
    load: (usize, usize),
    /// Holds blobs that nothing refers to before it.
    pin: Option<Box<dyn Lease>>,
    /// Since when both stores are held.
    since: Instant,
}

impl Carrier<'_> {
    async fn carry(&mut self) -> Result<(), Error> {
        self.from.settle().await?;
        self.to.settle().await?;
        let sessions = self.from.streams().await?;
        let mut steps = self.from.steps(Step::Copy, Some(sessions.len()));
        for session in &sessions {
            self.copied.sessions += u64::from(!is_system(session));
            self.session(session).await?;
            self.pause().await?;
            steps.done(1);
        }
        self.commit().await?;
        self.documents().await?;
        self.missing_blobs().await?;
        drop(steps);
        let mut steps = self.from.steps(Step::Verify, Some(sessions.len()));
        for session in &sessions {
            self.check(session).await?;
            self.pause().await?;
            steps.done(1);
        }
        self.copied.turns_in_flight = self.from.store().backlog().await?.0 as u64;
        self.ledger().await?;
        Ok(())
    }

    /// Lets others in where both stores were held for long.
    /// Has as much spent on every account as there is; what is set aside counts as spent.
    async fn ledger(&self) -> Result<(), Error> {
        let there: HashMap<String, Balance> = self.to.0.ledger.balances().await?.into_iter().collect();
        for (account, balance) in self.from.0.ledger.balances().await? {
            let known = there.get(&account).copied().unwrap_or_default();
            let missing = balance.used().saturating_sub(known.used());
            if missing > 0 {
                self.to.0.ledger.spend(&[account], missing).await?;
            }
        }
        Ok(())
    }

    async fn pause(&mut self) -> Result<(), Error> {
        if self.since.elapsed() > TURN {
            self.let_others_in().await?;
            tokio::time::sleep(PAUSE).await;
            self.since = Instant::now();
        }
        Ok(())
    }

    async fn let_others_in(&self) -> Result<(), Error> {
        let (from, to) = (self.from.store().release().await, self.to.store().release().await);
        from?;
        Ok(to?)
    }

    /// Copies what a session has beyond what is there, up to where it ends now.
    async fn session(&mut self, session: &SessionId) -> Result<(), Error> {
        let Some(head) = self.from.store().head(session).await? else { return Ok(()) };
        let there = self.to.store().head(session).await?.map_or(0, |head| head.seq);
        let shared = there.min(head.seq);
        if shared > 0 && is_erased(self.from, session).await? && !is_erased(self.to, session).await? {
            return self.erase(session, head.seq).await;
        }
        let mut chain =
            match (self.from.hash_at(session, shared).await?, self.to.hash_at(session, shared).await?) {
                (Some(from), Some(to)) if from == to => Chain::from(shared, to),
                (Some(_), Some(_)) => {
                    self.copied.refuse(session, "it went on differently in the two stores");
                    return Ok(());
                }
                _ => {
                    self.copied.refuse(session, format!("event {shared} cannot be read"));
                    return Ok(());
                }
            };
        while chain.seq() < head.seq && !self.copied.is_refused(session) {
            let limit = usize::try_from(head.seq - chain.seq()).unwrap_or(EVENTS).min(EVENTS);
            let rows = match self.from.store().events(session, chain.seq() + 1, limit).await {
                Ok(rows) => rows,
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    self.copied.refuse(session, format!("after event {}: {error}", chain.seq()));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            self.page(session, &mut chain, rows).await?;
        }
        Ok(())
    }

    /// Erases there what was erased here, with all that came since.
    async fn erase(&mut self, session: &SessionId, end: u64) -> Result<(), Error> {
        let (events, here) = (self.to.log(session).await?, self.from.log(session).await?);
        let fits = events
            .last()
            .is_some_and(|last| here.get(events.len() - 1).is_some_and(|event| event.hash() == last.hash()));
        if !fits {
            self.copied.refuse(session, "it was erased, and went on differently there");
            return Ok(());
        }
        if let Some(fork) = self.to.forks_of(session).await?.first() {
            let what = format!("it was erased, and its fork {fork} depends on it there; purge that first");
            self.copied.refuse(session, what);
            return Ok(());
        }
        let new = here.into_iter().skip(events.len()).take_while(|event| event.seq() <= end);
        let (unit, names) = erasing(session, &events, |tail| new.for_each(|event| tail.push(event)));
        for name in referring(&unit) {
            self.blob(&name).await?;
        }
        self.units.push(unit);
        self.commit().await?;
        if !self.copied.is_refused(session) {
            self.copied.erased += 1;
            let turns: BTreeSet<TurnId> = events.iter().filter_map(|event| event.turn().cloned()).collect();
            self.to.store().discard(&turns.into_iter().collect::<Vec<_>>()).await?;
            self.to.store().forget_blobs(&names).await?;
        }
        Ok(())
    }

    /// Takes events in; the first that does not hold ends what is copied of its session.
    async fn page(&mut self, session: &SessionId, chain: &mut Chain, rows: Vec<Row>) -> Result<(), Error> {
        if self.units.iter().any(|unit| unit.stream == *session) {
            self.commit().await?;
        }
        let mut tail = Tail::read(self.to, session).await?;
        for row in rows {
            let next = event(&row).and_then(|event| {
                chain.push(&event).map_err(|fault| fault.to_string())?;
                Ok(event)
            });
            match next {
                Ok(event) => tail.push(event),
                Err(what) => {
                    self.copied.refuse(session, format!("at {}: {what}", row.seq));
                    break;
                }
            }
        }
        let unit = tail.into_unit();
        for name in referring(&unit) {
            self.blob(&name).await?;
        }
        self.load.0 += unit.events.len();
        self.load.1 += unit.events.iter().map(|row| row.bytes.len()).sum::<usize>();
        self.units.push(unit);
        if self.load.0 >= BATCH || self.load.1 >= BATCH_BYTES {
            self.commit().await?;
        }
        Ok(())
    }

    /// Copies a blob that is not there.
    async fn blob(&mut self, name: &str) -> Result<(), Error> {
        if self.pin.is_none() {
            self.pin = Some(self.to.store().pin().await?);
        }
        if self.to.whole_blob(name).await?.is_some() {
            return Ok(());
        }
        let is_damaged = self.to.store().blob(name).await.is_err();
        // One that is not here either is named in the end.
        if let Some(bytes) = self.from.whole_blob(name).await? {
            self.to.store().put_blob(&bytes).await?;
            match is_damaged {
                true => self.copied.repaired += 1,
                false => self.copied.blobs += 1,
            }
            self.copied.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// Commits what was gathered, unit by unit where not all of them apply; those that do not are named.
    async fn commit(&mut self) -> Result<(), Error> {
        let units = std::mem::take(&mut self.units);
        self.load = (0, 0);
        match self.to.store().commit(units.clone()).await {
            Ok(()) => units.iter().for_each(|unit| self.count(unit)),
            Err(error) if is_refusal(error.kind()) => {
                for unit in units {
                    match self.to.store().commit(vec![unit.clone()]).await {
                        Ok(()) => self.count(&unit),
                        Err(error) if error.kind() == StoreErrorKind::Conflict => {
                            self.copied.refuse(&unit.stream, "it was written meanwhile; copy once more");
                        }
                        Err(error) if is_refusal(error.kind()) => self.copied.refuse(&unit.stream, error),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.pin = None;
        Ok(())
    }

    fn count(&mut self, unit: &Unit) {
        if !unit.events.is_empty() && !is_system(&unit.stream) && self.added.insert(unit.stream.clone()) {
            self.copied.sessions_added += 1;
        }
        self.copied.events += unit.events.len() as u64;
        self.copied.bytes += unit.events.iter().map(|row| row.bytes.len() as u64).sum::<u64>();
    }

    /// Copies documents that are not there, if the stream that tells of them is the same in both stores.
    async fn documents(&mut self) -> Result<(), Error> {
        let system = SessionId::from_bits(SYSTEM);
        // That stream holds the hash of every document.
        let sound = self.from.store().head(&system).await?.is_some()
            && self.from.verify_log(&system, &[]).await?.fault.is_none();
        let mut after = None;
        while !self.copied.is_refused(&system) {
            let scan = Scan { after: after.take(), limit: Some(PAGE), ..Scan::default() };
            let page = self.from.store().scan(Table::Documents, scan).await?;
            let mut writes = Vec::new();
            for (key, value) in &page {
                match self.to.store().get(Table::Documents, key).await? {
                    Some(there) if there == *value => continue,
                    Some(_) if sound => self.copied.repaired += 1,
                    Some(_) => {
                        self.copied.refuse(document(key), "it is another one there");
                        continue;
                    }
                    None => {
                        self.copied.documents += 1;
                        self.copied.bytes += value.len() as u64;
                    }
                }
                writes.push(Write { table: Table::Documents, key: key.clone(), value: Some(value.clone()) });
            }
            if !writes.is_empty() {
                let expect = self.to.store().head(&system).await?.map_or(Expect::New, Expect::At);
                let unit = Unit { writes, ..Unit::new(system.clone(), expect) };
                self.to.store().commit(vec![unit]).await?;
            }
            if page.len() < PAGE {
                break;
            }
            after = page.into_iter().next_back().map(|(key, _)| key);
        }
        Ok(())
    }

    /// Copies blobs that are missing or damaged there, though something refers to them.
    async fn missing_blobs(&mut self) -> Result<(), Error> {
        for name in self.from.referred_to().await? {
            if self.to.refers_to(&name).await? {
                self.blob(&name).await?;
                if self.to.whole_blob(&name).await?.is_none() {
                    self.copied.refuse(format!("blob {name}"), "it is missing or damaged in the source");
                }
                self.pause().await?;
            }
        }
        self.pin = None;
        Ok(())
    }

    /// Verifies a session where it was copied to. An event that does not hold there is replaced by the one here, which
    /// must be the very next of the chain.
    async fn check(&mut self, session: &SessionId) -> Result<(), Error> {
        while !self.copied.is_refused(session)
            && let Some(head) = self.to.store().head(session).await?
        {
            let verified = self.to.verify_log(session, &[]).await?;
            let Some(fault) = verified.fault else { break };
            let seq = verified.events + 1;
            let rows = self.from.store().events(session, seq, 1).await.unwrap_or_default();
            let fitting = rows.into_iter().next().filter(|row| {
                let mut chain = Chain::from(verified.events, verified.head);
                event(row).is_ok_and(|event| chain.push(&event).is_ok())
            });
            let repaired = match fitting {
                Some(row) => {
                    let replaced = vec![Replacement { id: row.id, bytes: row.bytes }];
                    let unit = Unit { replaced, ..Unit::new(session.clone(), Expect::At(head)) };
                    self.to.store().commit(vec![unit]).await.is_ok()
                }
                None => false,
            };
            // A repair that does not get any further is none.
            if !repaired || self.to.verify_log(session, &[]).await?.events < seq {
                self.copied.refuse(session, format!("it does not hold where it was copied to: {fault}"));
            } else {
                self.copied.repaired += 1;
            }
        }
        Ok(())
    }
}

async fn is_erased(engine: &Engine, session: &SessionId) -> Result<bool, Error> {
    Ok(engine.row(session.as_str().as_bytes()).await?.is_some_and(|row| row.erased))
}

/// Returns the blobs that a unit begins to refer to.
fn referring(unit: &Unit) -> Vec<String> {
    let writes = unit.writes.iter().filter(|write| write.table == Table::Blobs && write.value.is_some());
    writes.filter_map(|write| name_of(&write.key)).collect()
}

/// Tells whether a commit was refused because of what is in it, not because the store failed.
fn is_refusal(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Conflict | StoreErrorKind::Invalid)
}

fn event(row: &Row) -> Result<Event, String> {
    let text = std::str::from_utf8(&row.bytes).map_err(|error| error.to_string())?;
    Event::parse(text).map_err(|error| error.to_string())
}

/// Returns what a key of the table of documents is called.
fn document(key: &[u8]) -> String {
    let (name, version) = key.split_last_chunk::<8>().unwrap_or((key, &[0; 8]));
    let name = String::from_utf8_lossy(name);
    let mut words = name.split('\0');
    let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!("{kind} {name:?}, version {}", u64::from_be_bytes(*version))
}
