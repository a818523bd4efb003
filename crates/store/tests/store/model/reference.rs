//! The reference: what a store must hold, in maps.

use std::collections::{BTreeMap, BTreeSet};

use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{Expect, Head, Pending, Row, Scan, State, Store, Table, TurnHeader, Unit, Write};

/// A turn in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) header: TurnHeader,
    /// What it was given, in order.
    pub(super) given: Vec<Vec<u8>>,
    /// How many of these must be there.
    pub(super) kept: usize,
    pub(super) over: bool,
}

/// What a store must hold.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) streams: BTreeMap<SessionId, Vec<Row>>,
    pub(super) tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) folded: BTreeSet<TurnId>,
    /// In the order they began.
    pub(super) flights: Vec<Flight>,
    /// Turns that are in the log and may still be in the journal.
    pub(super) leftovers: BTreeSet<TurnId>,
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId::from_bits([number + 1; 10])
}

impl Reference {
    pub(super) fn head(&self, stream: &SessionId) -> Option<Head> {
        let last = self.streams.get(stream)?.last()?;
        Some(Head { seq: last.seq, hash: last.hash.clone() })
    }

    pub(super) fn expect(&self, stream: &SessionId) -> Expect {
        self.head(stream).map_or(Expect::New, Expect::At)
    }

    /// Takes in a unit of which the first `known` events are there.
    pub(super) fn append(&mut self, unit: &Unit, known: usize) {
        if unit.events.len() > known {
            let stream = self.streams.entry(unit.stream.clone()).or_default();
            stream.extend_from_slice(&unit.events[known..]);
        }
        for replaced in &unit.replaced {
            let rows = self.streams.get_mut(&unit.stream).unwrap();
            rows.iter_mut().find(|row| row.id == replaced.id).unwrap().bytes.clone_from(&replaced.bytes);
        }
        self.write(&unit.writes);
        for turn in &unit.folded {
            self.folded.insert(turn.clone());
            self.flights.retain(|flight| flight.header.turn != *turn);
        }
    }

    pub(super) fn write(&mut self, writes: &[Write]) {
        for Write { table, key, value } in writes.iter().cloned() {
            let table = self.tables.entry(table).or_default();
            match value {
                Some(value) => drop(table.insert(key, value)),
                None => drop(table.remove(&key)),
            }
        }
    }

    /// Replaces the projections.
    pub(super) fn rebuild(&mut self, writes: &[Write]) {
        self.tables.retain(|table, _| !table.is_projection());
        self.write(writes);
    }

    /// Returns the turns that a fold may be given: over, and based on none that is not.
    pub(super) fn ready(&self) -> BTreeSet<TurnId> {
        let mut held: BTreeSet<&TurnId> = BTreeSet::new();
        let mut ready = BTreeSet::new();
        for flight in &self.flights {
            // A base has begun before what is based on it.
            let waits = flight.header.base.as_ref().is_some_and(|base| held.contains(base));
            match flight.over && !waits {
                true => drop(ready.insert(flight.header.turn.clone())),
                false => drop(held.insert(&flight.header.turn)),
            }
        }
        ready
    }

    /// Asserts that turns in flight are what was given, each once and after its base, and notes how much of one that
    /// is over there is.
    pub(super) fn check_pending(&mut self, pending: &[Pending]) {
        let mut seen: BTreeSet<&TurnId> = BTreeSet::new();
        let listed: BTreeSet<_> = pending.iter().map(|pending| &pending.header.turn).collect();
        for Pending { header, records, state } in pending {
            let base = header.base.as_ref().filter(|base| listed.contains(base));
            assert!(base.is_none_or(|base| seen.contains(base)), "{header:?} comes before its base");
            assert!(seen.insert(&header.turn), "{header:?} is there twice");
            if self.leftovers.contains(&header.turn) {
                continue;
            }
            let flight = self.flights.iter_mut().find(|flight| flight.header.turn == header.turn);
            let flight = flight.unwrap_or_else(|| panic!("{header:?} never began, or was folded"));
            assert_eq!(flight.header, *header);
            assert_eq!(flight.over, *state == State::Over, "{header:?}");
            assert!(flight.given.starts_with(records), "{header:?} has {records:?} of {:?}", flight.given);
            assert!(records.len() >= flight.kept, "{header:?} lost {records:?} of {:?}", flight.given);
            if flight.over {
                // What is lost stays lost, and what is there stays.
                flight.given.truncate(records.len());
                flight.kept = records.len();
            }
        }
    }

    pub(super) fn scan(&self, table: Table, scan: &Scan) -> Vec<(Vec<u8>, Vec<u8>)> {
        let empty = BTreeMap::new();
        let mut entries: Vec<_> = self
            .tables
            .get(&table)
            .unwrap_or(&empty)
            .iter()
            .filter(|(key, _)| key.starts_with(&scan.prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if scan.reverse {
            entries.reverse();
        }
        let is_after = |key: &Vec<u8>| match &scan.after {
            None => true,
            Some(after) if scan.reverse => key < after,
            Some(after) => key > after,
        };
        entries.retain(|(key, _)| is_after(key));
        entries.truncate(scan.limit.unwrap_or(usize::MAX));
        entries
    }

    /// Asserts that a store holds this and nothing else.
    pub(super) async fn check(&mut self, store: &dyn Store) {
        let streams: Vec<_> = self.streams.keys().cloned().collect();
        assert_eq!(store.streams(None, usize::MAX).await.unwrap(), streams);
        for number in 0..3 {
            let stream = session(number);
            assert_eq!(store.head(&stream).await.unwrap(), self.head(&stream));
            let rows = self.streams.get(&stream).map_or(&[][..], Vec::as_slice);
            assert_eq!(store.events(&stream, 1, usize::MAX).await.unwrap(), rows);
            assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq), "a gap in {rows:?}");
            for row in rows {
                assert_eq!(store.find(&row.id).await.unwrap(), Some((stream.clone(), row.seq)));
            }
        }
        assert_eq!(store.find(&EventId::from_bits([0xff; 10])).await.unwrap(), None);
        for table in Table::ALL {
            let entries = store.scan(*table, Scan::default()).await.unwrap();
            assert_eq!(entries, self.scan(*table, &Scan::default()), "{table:?}");
        }
        for (hash, bytes) in &self.blobs {
            assert_eq!(store.blob(hash).await.unwrap().as_ref(), Some(bytes));
        }
        let hashes: Vec<_> = self.blobs.keys().cloned().collect();
        let found = store.blobs(None, usize::MAX).await.unwrap();
        assert_eq!(found.into_iter().map(|blob| blob.hash).collect::<Vec<_>>(), hashes);
        for turn in &self.folded {
            assert!(store.folded(turn).await.unwrap(), "{turn} was folded");
        }
        for flight in &self.flights {
            assert!(!store.folded(&flight.header.turn).await.unwrap(), "{:?} was not", flight.header);
        }
        assert!(!store.stale().await.unwrap());
        let pending = store.pending(aichat_store::Claim::Look).await.unwrap();
        self.check_pending(&pending);
        let fresh = pending.iter().filter(|pending| !self.leftovers.contains(&pending.header.turn)).count();
        assert_eq!(fresh, self.flights.len(), "a turn in flight is missing");
        let backlog = store.backlog().await.unwrap().0;
        assert!((fresh..=fresh + self.leftovers.len()).contains(&backlog), "{backlog} in the backlog");
    }
}
