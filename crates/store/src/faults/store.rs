//! Turns folded into the log, tables, blobs and rebuilds of the embedded store on a failing disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aichat_message::{EventId, SessionId, TurnId};
use tempfile::TempDir;

use super::power::Luck;
use super::{Faulty, KINDS, Kind, Plan, place};
use crate::error::Error;
use crate::sled::Sled;
use crate::store::{Expect, Row, Store, Table, Unit, Write};
use crate::turn::{Claim, TurnHeader};

/// Past the length from which an event is kept as a blob.
const LARGE: usize = 6 << 10;

fn turn(number: u8) -> TurnId {
    TurnId::from_bits([number; 10])
}

fn session() -> SessionId {
    SessionId::from_bits([1; 10])
}

/// Returns a record; the second of a turn is a large one.
fn record(number: u8, index: u8) -> Vec<u8> {
    vec![number * 16 + index; if index == 1 { LARGE } else { 20 }]
}

/// Folds what is over, and writes a row for each turn and one for all.
async fn fold(store: &Sled) -> Result<(), Error> {
    loop {
        let pending = store.pending(Claim::Fold(64)).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let head = store.head(&session()).await?;
        let mut seq = head.as_ref().map_or(0, |head| head.seq);
        let expect = head.map_or(Expect::New, Expect::At);
        let (mut events, mut writes, mut folded) = (Vec::new(), Vec::new(), Vec::new());
        for pending in pending {
            for bytes in pending.records {
                seq += 1;
                let mut id = [0; 10];
                id[0] = bytes[0];
                events.push(Row { seq, id: EventId::from_bits(id), hash: vec![bytes[0]], bytes });
            }
            writes.push(row(Table::Messages, pending.header.turn.as_str()));
            folded.push(pending.header.turn);
        }
        writes.push(row(Table::Documents, "folded"));
        store.commit(vec![Unit { events, writes, folded, ..Unit::new(session(), expect) }]).await?;
    }
}

fn row(table: Table, key: &str) -> Write {
    Write { table, key: key.into(), value: Some(b"there".to_vec()) }
}

/// A store on a failing disk, and what its callers were promised.
struct Run {
    root: TempDir,
    disk: Arc<Faulty>,
    store: Sled,
    turns: BTreeSet<u8>,
    folded: BTreeSet<u8>,
    blobs: BTreeMap<String, Vec<u8>>,
    rebuilt: bool,
}

impl Run {
    fn new(plan: Plan, seed: u64) -> Self {
        let root = place();
        let disk = Faulty::new(root.path(), plan, seed);
        let store = Sled::on(disk.disk(), root.path().join("data"), Arc::new(|notice| panic!("{notice:?}")));
        let (turns, folded, blobs) = Default::default();
        Self { root, disk, store, turns, folded, blobs, rebuilt: false }
    }

    fn owed<T>(&self, result: Result<T, Error>) -> Option<T> {
        result.inspect_err(|error| self.disk.assert_owed(error)).ok()
    }

    async fn turn(&mut self, number: u8, finish: bool) {
        let header = TurnHeader { session: session(), turn: turn(number), base: None };
        let first = vec![record(number, 0), record(number, 1)];
        let Some(mut turn) = self.owed(self.store.begin(header, first).await) else { return };
        self.turns.insert(number);
        turn.append(record(number, 2));
        if finish && self.owed(turn.finish().await).is_some() {
            self.folded.insert(number);
        }
    }

    async fn script(&mut self) {
        self.turn(1, true).await;
        self.turn(2, false).await;
        self.owed(fold(&self.store).await);
        for bytes in [b"a blob".to_vec(), record(1, 1)] {
            if let Some(hash) = self.owed(self.store.put_blob(&bytes).await) {
                self.blobs.insert(hash, bytes);
            }
        }
        self.turn(3, true).await;
        self.owed(fold(&self.store).await);
        self.owed(self.store.release().await);
        self.turn(4, true).await;
        self.owed(fold(&self.store).await);
        let rebuilt = self.owed(self.store.replace_projections(vec![row(Table::Names, "rebuilt")]).await);
        self.rebuilt = rebuilt.is_some();
    }

    /// Runs the script and looks at what a loss of power would leave; then compacts, ends the faults, goes on, and looks at
    /// everything as another process would.
    async fn whole(mut self) {
        self.script().await;
        for luck in [Luck::None, Luck::Names] {
            let copy = place();
            self.disk.state().power.survivors(luck).write(copy.path());
            self.check(copy.path(), &format!("after a loss of power, luck: {luck:?}")).await;
        }
        self.owed(self.store.compact().await);
        let failed = self.disk.repair();
        self.turn(5, true).await;
        fold(&self.store).await.unwrap_or_else(|error| panic!("{error:?} after {failed:#?}"));
        self.store.release().await.unwrap();
        self.check(self.root.path(), "in the end").await;
    }

    async fn check(&self, root: &Path, when: &str) {
        let when = &format!("{when}: {:#?}", self.disk.state().failed);
        let store = Sled::observed(root.join("data"), |notice| panic!("{notice:?}"));
        fold(&store).await.unwrap_or_else(|error| panic!("{error:?} {when}"));
        let events = store.events(&session(), 1, usize::MAX).await.unwrap();
        let mut counts: BTreeMap<u8, u8> = BTreeMap::new();
        for (event, seq) in events.iter().zip(1..) {
            let (number, index) = (event.bytes[0] / 16, event.bytes[0] % 16);
            assert_eq!((event.seq, &event.bytes), (seq, &record(number, index)), "{when}");
            let count = counts.entry(number).or_default();
            assert_eq!(*count, index, "turn {number} has a gap, or a record twice {when}");
            *count += 1;
        }
        for number in &self.turns {
            let kept = counts.get(number).copied().unwrap_or(0);
            let promised = if self.folded.contains(number) { 3 } else { 2 };
            assert!(kept >= promised, "turn {number}: {kept} of {promised} records {when}");
            assert!(store.folded(&turn(*number)).await.unwrap(), "{when}");
        }
        for (hash, bytes) in &self.blobs {
            assert_eq!(store.blob(hash).await.unwrap().as_ref(), Some(bytes), "{when}");
        }
        if self.rebuilt {
            assert!(!store.stale().await.unwrap(), "{when}");
            assert!(store.get(Table::Names, b"rebuilt").await.unwrap().is_some(), "{when}");
        }
        if !events.is_empty() {
            assert!(store.get(Table::Documents, b"folded").await.unwrap().is_some(), "{when}");
        }
        assert_eq!(store.backlog().await.unwrap(), (0, 0), "{when}");
    }
}

/// Runs the script once for every operation that can fail as planned.
async fn at_every_operation(plan: impl Fn(u64, Kind) -> Plan) {
    let sound = Run::new(Plan::Sound, 0);
    let disk = Arc::clone(&sound.disk);
    sound.whole().await;
    let asked = disk.state().asked_for.clone();
    assert!(asked.len() > 60, "only {} operations", asked.len());
    for (at, kinds) in (0..).zip(asked) {
        for kind in KINDS.into_iter().filter(|kind| kinds.contains(kind)) {
            Run::new(plan(at, kind), at).whole().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failed_operation_loses_nothing() {
    at_every_operation(Plan::Once).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_from_some_operation_on_loses_nothing() {
    at_every_operation(Plan::From).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_failures_lose_nothing() {
    for seed in 0..super::seeds() / 5 {
        Run::new(Plan::Random(2 + seed % 60), seed).whole().await;
    }
}
