//! A store written from nothing but the public contract: ordered maps behind a mutex.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{
    Blob, Claim, Error, ErrorKind, Expect, Head, Info, Lease, Ledger, MemoryLedger, Pending, Replacement,
    Row, Scan, State, Store, Table, Turn, TurnHeader, Unit, Write,
};
use async_trait::async_trait;
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock};

/// A store that lives as long as its process. Clones share what is in it.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    /// Wakes those who wait for a lease whenever one is given back.
    freed: Notify,
    /// Read by those who keep blobs, written by those who remove some.
    pins: Arc<RwLock<()>>,
    ledger: MemoryLedger,
}

#[derive(Default)]
struct Kept {
    book: Book,
    /// Turns in flight, in the order in which they began.
    flights: Vec<Pending>,
    leased: BTreeSet<SessionId>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Kept {
    /// Tells whether an entry or a turn in flight refers to a blob.
    fn refers_to(&self, hash: &str) -> bool {
        let entries = self.book.tables.get(&Table::Blobs);
        let first = entries.and_then(|entries| entries.range(hash.as_bytes().to_vec()..).next());
        first.is_some_and(|(key, _)| key.starts_with(hash.as_bytes()))
            || self.flights.iter().any(|flight| flight.mentions(hash))
    }
}

/// Everything that a commit changes, and changes all at once.
#[derive(Clone, Default)]
struct Book {
    /// The events of each stream, shared between copies of the book.
    streams: BTreeMap<SessionId, Vec<Arc<Row>>>,
    places: BTreeMap<EventId, (SessionId, u64)>,
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    folded: BTreeSet<TurnId>,
}

impl Shelf {
    /// Returns an empty store.
    pub(crate) fn new() -> Self {
        Self::default()
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever holds it changes it in one step and cannot panic halfway, so a poisoned lock guards a whole state.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_hash(hash: &str) -> Result<(), Error> {
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    is_hash.then_some(()).ok_or_else(|| invalid("not the name of a blob"))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

#[async_trait]
impl Store for Shelf {
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error> {
        let turn = header.turn.clone();
        let mut kept = self.0.kept();
        if kept.flights.iter().any(|flight| flight.header.turn == turn) {
            return Err(invalid(format!("turn {turn} is in flight already")));
        }
        kept.flights.push(Pending { header, records, state: State::Running });
        Ok(Box::new(Flight { shared: Arc::clone(&self.0), turn }))
    }

    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        let taken = async {
            loop {
                // Asked for before the look, so that a lease given back in between is not missed.
                let freed = self.0.freed.notified();
                if self.0.kept().leased.insert(session.clone()) {
                    return;
                }
                freed.await;
            }
        };
        match tokio::time::timeout(wait, taken).await {
            Ok(()) => Ok(Box::new(Held { shared: Arc::clone(&self.0), session: session.clone() })),
            Err(_) => Err(Error::new(ErrorKind::Busy, format!("session {session} is in use"))),
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.0.ledger.clone())
    }

    async fn backlog(&self) -> Result<(usize, u64), Error> {
        let kept = self.0.kept();
        let records = kept.flights.iter().flat_map(|flight| &flight.records);
        Ok((kept.flights.len(), records.map(|record| record.len() as u64).sum()))
    }

    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        let kept = self.0.kept();
        let turns = in_order(&kept.flights);
        Ok(match claim {
            Claim::Look => turns.into_iter().cloned().collect(),
            Claim::Fold(limit) => ready(&turns).take(limit).cloned().collect(),
        })
    }

    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error> {
        let mut kept = self.0.kept();
        // Made on a copy, so that a unit that is refused takes the others with it. A real store has transactions.
        let mut book = kept.book.clone();
        units.into_iter().try_for_each(|unit| book.take(unit))?;
        let Kept { book: old, flights, .. } = &mut *kept;
        flights.retain(|flight| flight.state == State::Running || !book.folded.contains(&flight.header.turn));
        *old = book;
        Ok(())
    }

    async fn folded(&self, turn: &TurnId) -> Result<bool, Error> {
        Ok(self.0.kept().book.folded.contains(turn))
    }

    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error> {
        Ok(self.0.kept().book.head(stream))
    }

    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error> {
        let kept = self.0.kept();
        let rows = kept.book.streams.get(stream).into_iter().flatten();
        Ok(rows.filter(|row| row.seq >= from).take(limit).map(|row| (**row).clone()).collect())
    }

    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error> {
        let kept = self.0.kept();
        let streams = kept.book.streams.keys();
        Ok(streams.filter(|id| after.is_none_or(|after| *id > after)).take(limit).cloned().collect())
    }

    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error> {
        Ok(self.0.kept().book.places.get(event).cloned())
    }

    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.kept().book.tables.get(&table).and_then(|entries| entries.get(key)).cloned())
    }

    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let kept = self.0.kept();
        let entries = kept.book.tables.get(&table).into_iter().flatten();
        let mut found: Vec<_> = entries
            .filter(|(key, _)| key.starts_with(&scan.prefix))
            .filter(|(key, _)| match &scan.after {
                Some(after) if scan.reverse => *key < after,
                Some(after) => *key > after,
                None => true,
            })
            .collect();
        if scan.reverse {
            found.reverse();
        }
        found.truncate(scan.limit.unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error> {
        if writes.iter().any(|write| !write.table.is_projection()) {
            return Err(invalid("a rebuild writes projections only"));
        }
        let mut kept = self.0.kept();
        let mut book = kept.book.clone();
        book.tables.retain(|table, _| !table.is_projection());
        writes.into_iter().try_for_each(|write| book.write(write))?;
        kept.book = book;
        Ok(())
    }

    async fn stale(&self) -> Result<bool, Error> {
        // A rebuild happens in one step, and never half.
        Ok(false)
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error> {
        let hash = blake3::hash(bytes).to_hex().to_string();
        self.0.kept().blobs.insert(hash.clone(), bytes.to_vec());
        Ok(hash)
    }

    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        check_hash(hash)?;
        Ok(self.0.kept().blobs.get(hash).cloned())
    }

    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error> {
        let kept = self.0.kept();
        let later = kept.blobs.iter().filter(|(hash, _)| after.is_none_or(|after| hash.as_str() > after));
        let blob = |(hash, bytes): (&String, &Vec<u8>)| Blob { hash: hash.clone(), size: bytes.len() as u64 };
        Ok(later.take(limit).map(blob).collect())
    }

    async fn pin(&self) -> Result<Box<dyn Lease>, Error> {
        Ok(Box::new(Pin { _shared: Arc::clone(&self.0.pins).read_owned().await }))
    }

    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error> {
        hashes.iter().try_for_each(|hash| check_hash(hash))?;
        // Whoever keeps a blob that nothing refers to yet holds a pin until something does.
        let _alone = self.0.pins.write().await;
        let mut kept = self.0.kept();
        let unused: Vec<_> = hashes.iter().filter(|hash| !kept.refers_to(hash)).collect();
        Ok(unused.into_iter().filter_map(|hash| kept.blobs.remove(hash)).count() as u64)
    }

    async fn info(&self) -> Result<Info, Error> {
        let kept = self.0.kept();
        Ok(Info {
            backend: "shelf".to_owned(),
            streams: kept.book.streams.len() as u64,
            events: kept.book.streams.values().map(|rows| rows.len() as u64).sum(),
            blobs: kept.blobs.len() as u64,
            blob_bytes: kept.blobs.values().map(|bytes| bytes.len() as u64).sum(),
            turns_in_flight: kept.flights.len() as u64,
            ..Info::default()
        })
    }

    async fn release(&self) -> Result<(), Error> {
        // No other process can want what is in the memory of this one.
        Ok(())
    }
}

impl Book {
    fn head(&self, stream: &SessionId) -> Option<Head> {
        let last = self.streams.get(stream)?.last()?;
        Some(Head { seq: last.seq, hash: last.hash.clone() })
    }

    /// Takes a unit in; where that fails, the book is of no use any more.
    fn take(&mut self, unit: Unit) -> Result<(), Error> {
        if unit.folded.iter().any(|turn| self.folded.contains(turn)) {
            return Ok(());
        }
        let Unit { stream, expect, replaced, mut events, writes, folded } = unit;
        let is_here = |event: &Row| {
            self.places.get(&event.id).is_some_and(|(at, seq)| *at == stream && *seq == event.seq)
        };
        let here = events.iter().take_while(|event| is_here(event)).count();
        if here == 0 || here < events.len() {
            let head = match expect {
                Expect::New => None,
                Expect::At(head) => Some(head),
            };
            if self.head(&stream) != head {
                let what = format!("stream {stream} ends elsewhere");
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            replaced.into_iter().try_for_each(|event| self.replace(&stream, event))?;
            events.drain(here..).try_for_each(|event| self.append(&stream, event))?;
            writes.into_iter().try_for_each(|write| self.write(write))?;
        }
        self.folded.extend(folded);
        Ok(())
    }

    fn replace(&mut self, stream: &SessionId, event: Replacement) -> Result<(), Error> {
        let rows = self.streams.get_mut(stream);
        let row = rows.and_then(|rows| rows.iter_mut().find(|row| row.id == event.id));
        let row = row.ok_or_else(|| invalid(format!("event {} is not in {stream}", event.id)))?;
        // Whoever reads it now keeps what was there.
        *row = Arc::new(Row { bytes: event.bytes, ..(**row).clone() });
        Ok(())
    }

    fn append(&mut self, stream: &SessionId, event: Row) -> Result<(), Error> {
        let follows = event.seq == self.head(stream).map_or(1, |head| head.seq + 1);
        let place = (stream.clone(), event.seq);
        if !follows || event.hash.len() > 255 || self.places.insert(event.id.clone(), place).is_some() {
            return Err(invalid(format!("event {} cannot be at {} of {stream}", event.id, event.seq)));
        }
        self.streams.entry(stream.clone()).or_default().push(Arc::new(event));
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<(), Error> {
        if write.key.len() > 1024 {
            return Err(invalid(format!("a key of {} bytes is too long", write.key.len())));
        }
        let entries = self.tables.entry(write.table).or_default();
        match write.value {
            Some(value) => entries.insert(write.key, value),
            None => entries.remove(&write.key),
        };
        Ok(())
    }
}

/// Returns turns in flight, each after the one it is based on.
fn in_order(flights: &[Pending]) -> Vec<&Pending> {
    let mut left: Vec<&Pending> = flights.iter().collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits =
            |turn: &Pending| left.iter().any(|other| turn.header.base.as_ref() == Some(&other.header.turn));
        // Turns that wait for each other in a circle are taken as they come.
        let next = left.iter().position(|turn| !waits(turn)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

/// Returns the turns that are over, unless one that they are based on is not.
fn ready<'a>(ordered: &[&'a Pending]) -> impl Iterator<Item = &'a Pending> {
    let mut held = BTreeSet::new();
    ordered.iter().copied().filter(move |turn| {
        let waits = turn.header.base.as_ref().is_some_and(|base| held.contains(base));
        let ready = turn.state == State::Over && !waits;
        if !ready {
            held.insert(turn.header.turn.clone());
        }
        ready
    })
}

/// A turn in flight. Nothing of it is acknowledged that the shelf does not hold already.
struct Flight {
    shared: Arc<Shared>,
    turn: TurnId,
}

impl Flight {
    fn change(&self, change: impl FnOnce(&mut Pending)) {
        let mut kept = self.shared.kept();
        kept.flights.iter_mut().find(|flight| flight.header.turn == self.turn).map(change);
    }
}

#[async_trait]
impl Turn for Flight {
    fn append(&mut self, record: Vec<u8>) {
        self.change(|flight| flight.records.push(record));
    }

    async fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for Flight {
    /// Ends the turn, finished or not: which of them it was is in its records.
    fn drop(&mut self) {
        self.change(|flight| flight.state = State::Over);
    }
}

/// A blob that is relied on.
struct Pin {
    _shared: OwnedRwLockReadGuard<()>,
}

impl Lease for Pin {}

/// A lease that is held.
struct Held {
    shared: Arc<Shared>,
    session: SessionId,
}

impl Lease for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.kept().leased.remove(&self.session);
        self.shared.freed.notify_waiters();
    }
}
