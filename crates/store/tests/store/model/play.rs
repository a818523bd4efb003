//! Plays operations on a store and on the reference side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use aichat_message::{EventId, TurnId};
use aichat_store::contract::Place;
use aichat_store::{
    Claim, ErrorKind, Expect, Head, Pending, Replacement, Row, Scan, Store, Table, Turn, TurnHeader, Unit,
    Write,
};

use super::op::{Change, Commit, End, Op, bytes, key, table};
use super::reference::{Flight, Reference, session};
use super::wreck::Wreck;

/// A store, the reference it is held to, and the turns that are being written.
pub(super) struct Play {
    place: Place,
    /// What a crash does to the files of a store that has some.
    wreck: Option<Wreck>,
    store: Arc<dyn Store>,
    /// Those that turns were begun with and that others have taken over from.
    former: Vec<Arc<dyn Store>>,
    reference: Reference,
    open: Vec<(TurnId, Box<dyn Turn>)>,
    made: u32,
}

impl Play {
    pub(super) fn new(place: Place, wreck: Option<Wreck>) -> Self {
        let (former, reference, open) = Default::default();
        Self { store: place.open(), place, wreck, former, reference, open, made: 0 }
    }

    /// Plays all, and looks at everything in the end.
    pub(super) async fn all(mut self, ops: Vec<Op>) {
        for op in ops {
            self.step(op).await;
        }
        self.reference.check(&*self.store).await;
        self.crash(0).await;
        self.fold(usize::MAX, End::Whole).await;
        self.reference.check(&*self.store).await;
        assert_eq!(self.store.backlog().await.unwrap().0, 0, "everything is over by now, and folded");
    }

    async fn step(&mut self, op: Op) {
        match op {
            Op::Begin { session, base, records } => self.begin(session, base, records).await,
            Op::BeginAgain(of) => self.begin_again(of).await,
            Op::Append { turn, size } => {
                self.made += 1;
                let record = bytes(size, self.made as u8);
                if let Some((flight, turn)) = self.pick(turn) {
                    turn.append(record.clone());
                    flight.given.push(record);
                }
            }
            Op::Sync(turn) => {
                let Some((flight, turn)) = self.pick(turn) else { return };
                turn.sync().await.unwrap();
                flight.kept = flight.given.len();
                let turn = flight.header.turn.clone();
                self.acknowledged(&turn);
            }
            Op::Finish(turn) => {
                if let Some(turn) = self.end(turn) {
                    turn.finish().await.unwrap();
                }
            }
            Op::Drop(turn) => {
                drop(self.end(turn));
                self.settle().await;
            }
            Op::Look => {
                let pending = self.store.pending(Claim::Look).await.unwrap();
                self.reference.check_pending(&pending);
            }
            Op::Fold { limit, end } => self.fold(limit, end).await,
            Op::Commit { stream, kind, events, writes } => self.commit(stream, kind, events, &writes).await,
            Op::Rebuild(changes) => {
                let mut writes = self::writes(&changes);
                writes.retain(|write| write.table.is_projection());
                self.store.replace_projections(writes.clone()).await.unwrap();
                self.reference.rebuild(&writes);
            }
            Op::Blob(number) => {
                let bytes = vec![number % 4; 100 * usize::from(number % 4)];
                let hash = self.store.put_blob(&bytes).await.unwrap();
                self.reference.blobs.insert(hash, bytes);
            }
            Op::Scan { table, prefix, after, reverse, limit } => {
                let prefix = prefix.map_or(Vec::new(), |prefix| vec![b'a' + prefix % 5]);
                let scan = Scan { prefix, after: after.map(key), reverse, limit };
                let table = self::table(table);
                let found = self.store.scan(table, scan.clone()).await.unwrap();
                assert_eq!(found, self.reference.scan(table, &scan), "{scan:?} of {table:?}");
            }
            Op::Release => self.store.release().await.unwrap(),
            Op::Reopen => {
                self.store.release().await.unwrap();
                self.former.push(std::mem::replace(&mut self.store, self.place.open()));
                self.reference.check(&*self.store).await;
            }
            Op::Crash { lost } => {
                self.crash(lost).await;
                self.reference.check(&*self.store).await;
            }
        }
    }

    async fn begin(&mut self, number: u8, base: Option<u8>, records: u8) {
        self.made += 1;
        let mut bits = [0; 10];
        // Neither order of ids nor of time is the order of bases.
        bits[..4].copy_from_slice(&self.made.wrapping_mul(0x9e37_79b1).to_be_bytes());
        let known: Vec<&TurnId> = self
            .reference
            .flights
            .iter()
            .map(|flight| &flight.header.turn)
            .chain(&self.reference.folded)
            .collect();
        let base = base.and_then(|base| known.get(usize::from(base) % known.len().max(1)).copied().cloned());
        let header = TurnHeader { session: session(number), turn: TurnId::from_bits(bits), base };
        let given: Vec<_> = (0..records).map(|index| bytes(7 + u16::from(index), self.made as u8)).collect();
        let turn = self.store.begin(header.clone(), given.clone()).await.unwrap();
        self.open.push((header.turn.clone(), turn));
        self.acknowledged(&header.turn);
        self.reference.flights.push(Flight { header, kept: given.len(), given, over: false });
    }

    async fn begin_again(&mut self, of: u8) {
        let flights = &self.reference.flights;
        // One that is over may have been claimed, and then it is a stranger's.
        let open: Vec<_> = flights.iter().filter(|flight| !flight.over).collect();
        let Some(flight) = open.get(usize::from(of) % open.len().max(1)) else { return };
        let refused = self.store.begin(flight.header.clone(), vec![b"again".to_vec()]).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    }

    fn pick(&mut self, of: u8) -> Option<(&mut Flight, &mut Box<dyn Turn>)> {
        let at = usize::from(of).checked_rem(self.open.len())?;
        let (id, turn) = &mut self.open[at];
        let flight = self.reference.flights.iter_mut().find(|flight| flight.header.turn == *id)?;
        Some((flight, turn))
    }

    /// Takes a turn whose owner is done with it: all it was given is there from now on.
    fn end(&mut self, of: u8) -> Option<Box<dyn Turn>> {
        let (flight, _) = self.pick(of)?;
        (flight.over, flight.kept) = (true, flight.given.len());
        let turn = flight.header.turn.clone();
        let at = self.open.iter().position(|(open, _)| *open == turn)?;
        Some(self.open.swap_remove(at).1)
    }

    fn acknowledged(&mut self, turn: &TurnId) {
        if let Some(wreck) = &mut self.wreck {
            wreck.acknowledged(turn);
        }
    }

    /// Waits until turns of former stores that were dropped are written.
    async fn settle(&self) {
        for store in &self.former {
            store.release().await.unwrap();
        }
    }

    async fn crash(&mut self, lost: u8) {
        let open: Vec<_> = std::mem::take(&mut self.open);
        let turns: Vec<_> = open.iter().map(|(turn, _)| turn.clone()).collect();
        drop(open);
        self.store.release().await.unwrap();
        self.settle().await;
        self.former.clear();
        for flight in self.reference.flights.iter_mut().filter(|flight| turns.contains(&flight.header.turn)) {
            flight.over = true;
            if self.wreck.is_none() {
                flight.kept = flight.given.len();
            }
        }
        if let Some(wreck) = &mut self.wreck {
            turns.iter().for_each(|turn| wreck.cut(turn, lost));
        }
        self.store = self.place.open();
    }

    async fn fold(&mut self, limit: usize, end: End) {
        loop {
            let claimed = self.store.pending(Claim::Fold(limit)).await.unwrap();
            self.check_claim(&claimed, limit);
            if claimed.is_empty() {
                return;
            }
            if end == End::Claimed {
                return self.crash(128).await;
            }
            let turns: Vec<_> = claimed.iter().map(|pending| pending.header.turn.clone()).collect();
            if let Some(wreck) = self.wreck.as_mut().filter(|_| end == End::Committed) {
                wreck.save(&turns);
            }
            let mut units = Vec::new();
            for pending in claimed {
                let unit = self.folding(pending);
                self.reference.append(&unit, 0);
                units.push(unit);
            }
            self.store.commit(units).await.unwrap();
            if end == End::Committed {
                self.crash(255).await;
                if let Some(wreck) = &mut self.wreck {
                    wreck.restore();
                    self.reference.leftovers.extend(turns);
                }
            }
            if limit != usize::MAX {
                return;
            }
        }
    }

    /// Asserts that a claim is what may be folded, and no less of it than was asked for.
    fn check_claim(&mut self, claimed: &[Pending], limit: usize) {
        self.reference.check_pending(claimed);
        let ready = self.reference.ready();
        let turns: BTreeSet<_> = claimed.iter().map(|pending| pending.header.turn.clone()).collect();
        assert!(turns.is_subset(&ready), "{turns:?} of {ready:?}");
        let wanted = ready.len().min(limit);
        // What was folded and is forgotten on the way counts as well.
        let least = if self.reference.leftovers.is_empty() { wanted } else { wanted.min(1) };
        assert!((least..=wanted).contains(&turns.len()), "{} of {wanted} turns", turns.len());
        if claimed.is_empty() {
            // It has seen them all.
            self.reference.leftovers.clear();
        }
    }

    /// Returns a unit that folds a turn, after what the reference holds by now.
    fn folding(&mut self, pending: Pending) -> Unit {
        let TurnHeader { session, turn, .. } = pending.header;
        let head = self.reference.head(&session);
        let seq = head.as_ref().map_or(0, |head| head.seq);
        let events =
            pending.records.into_iter().zip(seq + 1..).map(|(bytes, seq)| self.row(seq, bytes)).collect();
        let expect = head.map_or(Expect::New, Expect::At);
        let value = Some(turn.as_str().as_bytes().to_vec());
        let writes = vec![Write { table: Table::Places, key: turn.as_str().into(), value }];
        Unit { events, writes, folded: vec![turn], ..Unit::new(session, expect) }
    }

    fn row(&mut self, seq: u64, bytes: Vec<u8>) -> Row {
        self.made += 1;
        let mut id = [0; 10];
        id[..4].copy_from_slice(&self.made.to_be_bytes());
        Row { seq, id: EventId::from_bits(id), hash: self.made.to_be_bytes().to_vec(), bytes }
    }

    async fn commit(&mut self, number: u8, kind: Commit, events: u8, changes: &[Change]) {
        let stream = session(number);
        let other = session((number + 1) % 3);
        let mut unit = self.unit(number, events);
        unit.writes = writes(changes);
        let mut known = 0;
        let stale = Expect::At(Head { seq: 1_000_000, hash: b"never".to_vec() });
        let there = self.reference.streams.get(&stream).cloned().unwrap_or_default();
        let mut units = Vec::new();
        let refused = match kind {
            Commit::Valid => None,
            Commit::StaleHead => {
                unit.expect = if there.is_empty() || events.is_multiple_of(2) { stale } else { Expect::New };
                Some(ErrorKind::Conflict)
            }
            Commit::Gap => {
                unit.events = self.unit(number, events + 1).events;
                unit.events.last_mut().unwrap().seq += 1;
                Some(ErrorKind::Invalid)
            }
            Commit::KnownOnly => {
                // Whatever it expects and writes, nothing changes.
                let Some(from) = there.len().checked_sub(1 + usize::from(events)) else { return };
                (unit.events, unit.expect) = (there[from..].to_vec(), stale);
                known = unit.events.len();
                None
            }
            Commit::KnownAndMore => {
                let Some(last) = there.last() else { return };
                unit.events.insert(0, last.clone());
                known = 1;
                if events == 0 {
                    unit.writes.clear();
                }
                None
            }
            Commit::Elsewhere => {
                let Some(elsewhere) = self.reference.streams.get(&other).and_then(|rows| rows.first()) else {
                    return;
                };
                let id = elsewhere.id.clone();
                unit.events = self.unit(number, events + 1).events;
                unit.events.last_mut().unwrap().id = id;
                Some(ErrorKind::Invalid)
            }
            Commit::OfFoldedTurn => {
                let Some(turn) = self.reference.folded.first() else { return };
                unit.folded.push(turn.clone());
                self.store.commit(vec![unit]).await.unwrap();
                return self.reference.check(&*self.store).await;
            }
            Commit::LongKey => {
                unit.writes.push(Write { table: Table::Names, key: vec![0; 1025], value: None });
                Some(ErrorKind::Invalid)
            }
            Commit::OneOfTwoStale => {
                let mut second = self.unit((number + 1) % 3, 1);
                second.expect = stale;
                units.push(second);
                Some(ErrorKind::Conflict)
            }
            Commit::Replaces => {
                let Some(row) = there.get(usize::from(events)) else { return };
                unit.replaced.push(Replacement { id: row.id.clone(), bytes: b"erased".to_vec() });
                None
            }
        };
        units.insert(0, unit.clone());
        let result = self.store.commit(units).await;
        match refused {
            Some(kind) => {
                assert_eq!(result.err().map(|error| error.kind()), Some(kind));
                assert_eq!(self.store.head(&stream).await.unwrap(), self.reference.head(&stream));
            }
            None => {
                result.unwrap();
                if known == 0 || known < unit.events.len() {
                    self.reference.append(&unit, known);
                }
                let expected = self.reference.streams.get(&stream).cloned().unwrap_or_default();
                assert_eq!(self.store.events(&stream, 1, usize::MAX).await.unwrap(), expected);
            }
        }
    }

    /// Returns a unit that appends events.
    fn unit(&mut self, number: u8, events: u8) -> Unit {
        let stream = session(number);
        let expect = self.reference.expect(&stream);
        let seq = self.reference.head(&stream).map_or(0, |head| head.seq);
        let rows =
            (1..=u64::from(events)).map(|n| self.row(seq + n, format!("event {n}").into_bytes())).collect();
        Unit { events: rows, ..Unit::new(stream, expect) }
    }
}

fn writes(changes: &[Change]) -> Vec<Write> {
    let write = |change: &Change| Write {
        table: table(change.table),
        key: key(change.key),
        value: change.value.map(|size| bytes(size, change.key)),
    };
    changes.iter().map(write).collect()
}
