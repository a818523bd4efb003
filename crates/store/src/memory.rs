//! The in-memory twin: a store that lives and dies with its process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard};

use aichat_message::{EventId, SessionId, TurnId};

use crate::admit::{self, Verdict};
use crate::error::{Error, ErrorKind};
use crate::ledger::{Ledger, MemoryLedger};
use crate::order;
use crate::range::range;
use crate::store::{Blob, Head, Info, Row, Scan, Store, Table, Unit, Write};
use crate::turn::{Claim, Lease, Pending, State, Turn, TurnHeader};

/// A store in memory. Clones share what is in it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    leases: Mutex<HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>>,
    /// Read by those who keep blobs, written by those who remove some.
    pins: Arc<tokio::sync::RwLock<()>>,
    ledger: MemoryLedger,
}

#[derive(Debug, Default)]
struct Kept {
    log: Log,
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Turns in flight in the order they began.
    flights: Vec<Pending>,
    /// What is kept beside them.
    beside: HashMap<TurnId, Vec<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Log {
    streams: BTreeMap<SessionId, Vec<Row>>,
    places: HashMap<EventId, (SessionId, u64)>,
    turns: HashSet<TurnId>,
}

impl Memory {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept()
    }
}

impl Shared {
    /// Nothing panics between two changes that belong together, so a poisoned lock guards a whole state.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error> {
        let turn = header.turn.clone();
        let mut kept = self.kept();
        if kept.flights.iter().any(|flight| flight.header.turn == turn) {
            return Err(Error::new(ErrorKind::Invalid, format!("turn {turn} has begun already")));
        }
        kept.flights.push(Pending { header, records, state: State::Running });
        Ok(Box::new(Flight { shared: Arc::clone(&self.0), turn }))
    }

    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        let lock = {
            let mut leases = self.0.leases.lock().unwrap_or_else(PoisonError::into_inner);
            leases.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(leases.entry(session.clone()).or_default())
        };
        if let Ok(held) = Arc::clone(&lock).try_lock_owned() {
            return Ok(Box::new(Held(held)));
        }
        match tokio::time::timeout(wait, lock.lock_owned()).await {
            Ok(held) => Ok(Box::new(Held(held))),
            Err(_) => {
                Err(Error::new(ErrorKind::Busy, format!("another turn of session {session} is in flight")))
            }
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.0.ledger.clone())
    }

    async fn backlog(&self) -> Result<(usize, u64), Error> {
        let kept = self.kept();
        let records = kept.flights.iter().flat_map(|flight| &flight.records);
        let bytes = records.chain(kept.beside.values().flatten()).map(|record| record.len() as u64).sum();
        Ok((kept.flights.len(), bytes))
    }

    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        let kept = self.kept();
        let headers: Vec<_> = kept.flights.iter().map(|flight| &flight.header).collect();
        let ordered = order::by_base(&headers).into_iter().map(|at| &kept.flights[at]);
        Ok(match claim {
            Claim::Look => ordered.cloned().collect(),
            Claim::Fold(limit) => {
                let mut held = HashSet::new();
                ordered
                    .filter(|flight| {
                        let waits = flight.header.base.as_ref().is_some_and(|base| held.contains(base));
                        let ready = flight.state == State::Over && !waits;
                        if !ready {
                            held.insert(flight.header.turn.clone());
                        }
                        ready
                    })
                    .take(limit)
                    .cloned()
                    .collect()
            }
        })
    }

    async fn beside(&self, turn: &TurnHeader) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.kept().beside.get(&turn.turn).cloned().unwrap_or_default())
    }

    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error> {
        let mut kept = self.kept();
        let mut staged =
            Staged { log: &kept.log, heads: HashMap::new(), places: HashMap::new(), turns: HashSet::new() };
        let mut admitted = Vec::with_capacity(units.len());
        for unit in units {
            let verdict = match admit::judge(&staged, &unit) {
                Ok(verdict) => verdict?,
                Err(never) => match never {},
            };
            staged.admit(&unit, &verdict);
            admitted.push((unit, verdict));
        }
        for (unit, verdict) in admitted {
            kept.apply(unit, verdict);
        }
        Ok(())
    }

    async fn folded(&self, turn: &TurnId) -> Result<bool, Error> {
        Ok(self.kept().log.turns.contains(turn))
    }

    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error> {
        Ok(self.kept().log.head(stream))
    }

    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error> {
        let kept = self.kept();
        let rows = kept.log.streams.get(stream).map_or(&[][..], Vec::as_slice);
        // The first event is at 1, and none is missing.
        let before = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(rows.iter().skip(before).take(limit).cloned().collect())
    }

    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error> {
        let kept = self.kept();
        Ok(kept
            .log
            .streams
            .keys()
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error> {
        Ok(self.kept().log.places.get(event).cloned())
    }

    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.kept().tables.get(&table).and_then(|table| table.get(key)).cloned())
    }

    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let kept = self.kept();
        let (Some(table), Some(range)) = (kept.tables.get(&table), range(&scan)) else {
            return Ok(Vec::new());
        };
        let limit = scan.limit.unwrap_or(usize::MAX);
        let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let entries = table.range(range);
        Ok(match scan.reverse {
            true => entries.rev().take(limit).map(entry).collect(),
            false => entries.take(limit).map(entry).collect(),
        })
    }

    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error> {
        admit::check_projections(&writes)?;
        let mut kept = self.kept();
        kept.tables.retain(|table, _| !table.is_projection());
        writes.into_iter().for_each(|write| kept.write(write));
        Ok(())
    }

    async fn stale(&self) -> Result<bool, Error> {
        Ok(false)
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error> {
        let hash = blake3::hash(bytes).to_hex().to_string();
        self.kept().blobs.entry(hash.clone()).or_insert_with(|| bytes.to_vec());
        Ok(hash)
    }

    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        admit::check_hash(hash)?;
        Ok(self.kept().blobs.get(hash).cloned())
    }

    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error> {
        let kept = self.kept();
        let blob = |(hash, bytes): (&String, &Vec<u8>)| Blob { hash: hash.clone(), size: bytes.len() as u64 };
        let later = kept.blobs.iter().filter(|(hash, _)| after.is_none_or(|after| hash.as_str() > after));
        Ok(later.take(limit).map(blob).collect())
    }

    async fn pin(&self) -> Result<Box<dyn Lease>, Error> {
        Ok(Box::new(Pinned(Arc::clone(&self.0.pins).read_owned().await)))
    }

    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error> {
        hashes.iter().try_for_each(|hash| admit::check_hash(hash))?;
        let _alone = self.0.pins.write().await;
        let mut kept = self.kept();
        let mut removed = 0;
        for hash in hashes {
            if !kept.refers_to(hash) && kept.blobs.remove(hash).is_some() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn info(&self) -> Result<Info, Error> {
        let kept = self.kept();
        Ok(Info {
            backend: "memory".to_owned(),
            streams: kept.log.streams.len() as u64,
            events: kept.log.streams.values().map(|rows| rows.len() as u64).sum(),
            blobs: kept.blobs.len() as u64,
            blob_bytes: kept.blobs.values().map(|bytes| bytes.len() as u64).sum(),
            turns_in_flight: kept.flights.len() as u64,
            ..Info::default()
        })
    }

    async fn release(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Kept {
    /// Tells whether an entry or a turn in flight names a blob.
    fn refers_to(&self, hash: &str) -> bool {
        let prefix = Scan { prefix: hash.into(), ..Scan::default() };
        let entries = self.tables.get(&Table::Blobs).zip(range(&prefix));
        entries.is_some_and(|(table, range)| table.range(range).next().is_some())
            || self.flights.iter().any(|flight| flight.mentions(hash))
    }

    fn apply(&mut self, unit: Unit, verdict: Verdict) {
        if let Verdict::Append(from) = verdict {
            let rows = self.log.streams.entry(unit.stream.clone()).or_default();
            for row in unit.events.into_iter().skip(from) {
                self.log.places.insert(row.id.clone(), (unit.stream.clone(), row.seq));
                rows.push(row);
            }
            for replaced in unit.replaced {
                let row = rows.iter_mut().find(|row| row.id == replaced.id);
                row.expect("a unit that replaces an event elsewhere is refused").bytes = replaced.bytes;
            }
            if rows.is_empty() {
                self.log.streams.remove(&unit.stream);
            }
            unit.writes.into_iter().for_each(|write| self.write(write));
        }
        if verdict != Verdict::Folded {
            self.log.turns.extend(unit.folded);
        }
        let turns = &self.log.turns;
        self.flights.retain(|flight| flight.state == State::Running || !turns.contains(&flight.header.turn));
        let flights = &self.flights;
        self.beside.retain(|turn, _| flights.iter().any(|flight| flight.header.turn == *turn));
    }

    fn write(&mut self, write: Write) {
        let table = self.tables.entry(write.table).or_default();
        match write.value {
            Some(value) => table.insert(write.key, value),
            None => table.remove(&write.key),
        };
    }
}

impl admit::Log for Log {
    type Error = Infallible;

    fn head(&self, stream: &SessionId) -> Result<Option<Head>, Infallible> {
        Ok(self.head(stream))
    }

    fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Infallible> {
        Ok(self.places.get(event).cloned())
    }

    fn folded(&self, turn: &TurnId) -> Result<bool, Infallible> {
        Ok(self.turns.contains(turn))
    }
}

impl Log {
    fn head(&self, stream: &SessionId) -> Option<Head> {
        let last = self.streams.get(stream)?.last()?;
        Some(Head { seq: last.seq, hash: last.hash.clone() })
    }
}

/// The log with the units that a commit has admitted so far.
struct Staged<'a> {
    log: &'a Log,
    heads: HashMap<SessionId, Head>,
    places: HashMap<EventId, (SessionId, u64)>,
    turns: HashSet<TurnId>,
}

impl Staged<'_> {
    fn admit(&mut self, unit: &Unit, verdict: &Verdict) {
        if let Verdict::Append(from) = verdict {
            for row in &unit.events[*from..] {
                self.places.insert(row.id.clone(), (unit.stream.clone(), row.seq));
                self.heads.insert(unit.stream.clone(), Head { seq: row.seq, hash: row.hash.clone() });
            }
        }
        if *verdict != Verdict::Folded {
            self.turns.extend(unit.folded.iter().cloned());
        }
    }
}

impl admit::Log for Staged<'_> {
    type Error = Infallible;

    fn head(&self, stream: &SessionId) -> Result<Option<Head>, Infallible> {
        Ok(self.heads.get(stream).cloned().or_else(|| self.log.head(stream)))
    }

    fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Infallible> {
        Ok(self.places.get(event).or_else(|| self.log.places.get(event)).cloned())
    }

    fn folded(&self, turn: &TurnId) -> Result<bool, Infallible> {
        Ok(self.turns.contains(turn) || self.log.turns.contains(turn))
    }
}

/// A turn in flight in memory.
struct Flight {
    shared: Arc<Shared>,
    turn: TurnId,
}

impl Flight {
    fn with(&self, change: impl FnOnce(&mut Pending)) {
        let mut kept = self.shared.kept();
        if let Some(flight) = kept.flights.iter_mut().find(|flight| flight.header.turn == self.turn) {
            change(flight);
        }
    }
}

#[async_trait]
impl Turn for Flight {
    fn append(&mut self, record: Vec<u8>) {
        self.with(|flight| flight.records.push(record));
    }

    fn append_beside(&mut self, piece: Vec<u8>) {
        self.shared.kept().beside.entry(self.turn.clone()).or_default().push(piece);
    }

    fn clear_beside(&mut self) {
        self.shared.kept().beside.remove(&self.turn);
    }

    async fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for Flight {
    /// Finished or dropped, the turn is over; its records tell which.
    fn drop(&mut self) {
        self.with(|flight| flight.state = State::Over);
    }
}

struct Pinned(#[expect(dead_code, reason = "held for the effect of dropping it")] OwnedRwLockReadGuard<()>);

impl Lease for Pinned {}

struct Held(#[expect(dead_code, reason = "held for the effect of dropping it")] OwnedMutexGuard<()>);

impl Lease for Held {}
