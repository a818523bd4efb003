//! Turns that are begun, written, ended and folded on a failing disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aichat_message::{SessionId, TurnId};
use tempfile::TempDir;

use super::power::{LUCK, Survivors};
use super::{Faulty, KINDS, Plan, place};
use crate::error::ErrorKind;
use crate::journal::JournalDir;
use crate::journal::disk::Disk;
use crate::turn::{Pending, Turn, TurnHeader};

fn turn(number: u8) -> TurnId {
    TurnId::from_bits([number; 10])
}

fn session() -> SessionId {
    SessionId::from_bits([1; 10])
}

fn record(number: u8, index: usize) -> Vec<u8> {
    format!("record {index} of turn {number}").into_bytes()
}

/// What was recovered of what was left, as it is mostly the same.
static KNOWN: LazyLock<Mutex<HashMap<Survivors, BTreeMap<u8, usize>>>> = LazyLock::new(Mutex::default);

/// A turn that is being written, and how many records it was given.
struct Open {
    number: u8,
    given: usize,
    turn: Box<dyn Turn>,
}

/// A journal on a failing disk, what its callers were promised, and the log that turns are folded into.
struct Run {
    root: TempDir,
    disk: Arc<Faulty>,
    journal: JournalDir,
    begun: BTreeSet<u8>,
    kept: BTreeMap<u8, usize>,
    log: BTreeMap<u8, usize>,
}

impl Run {
    fn new(plan: Plan, seed: u64) -> Self {
        let root = place();
        let disk = Faulty::new(root.path(), plan, seed);
        let journal = open(disk.disk(), root.path());
        Self { root, disk, journal, begun: BTreeSet::new(), kept: BTreeMap::new(), log: BTreeMap::new() }
    }

    async fn begin(&mut self, number: u8, base: Option<u8>) -> Option<Open> {
        let header = TurnHeader { session: session(), turn: turn(number), base: base.map(turn) };
        match self.journal.begin(header, vec![record(number, 0), record(number, 1)]).await {
            Ok(turn) => {
                self.begun.insert(number);
                self.promise(number, 2);
                Some(Open { number, given: 2, turn })
            }
            Err(error) => {
                self.disk.assert_owed(&error);
                None
            }
        }
    }

    async fn sync(&mut self, open: &mut Option<Open>) {
        let Some(open) = open else { return };
        match open.turn.sync().await {
            Ok(()) => self.promise(open.number, open.given),
            Err(error) => self.disk.assert_owed(&error),
        }
    }

    async fn finish(&mut self, open: Option<Open>) {
        let Some(open) = open else { return };
        match open.turn.finish().await {
            Ok(()) => self.promise(open.number, open.given),
            Err(error) => self.disk.assert_owed(&error),
        }
    }

    /// Folds what is over into the log, which is as durable as can be.
    fn fold(&mut self) {
        match self.journal.claim(64) {
            Ok(claimed) => {
                for pending in claimed {
                    let (number, count) = checked(&pending);
                    check_beside(&self.journal, number);
                    let folded = self.log.entry(number).or_default();
                    *folded = count.max(*folded);
                    if let Err(error) = self.journal.forget(&turn(number), *folded as u64) {
                        self.disk.assert_owed(&error);
                    }
                }
            }
            Err(error) => self.disk.assert_owed(&error),
        }
        self.survives();
    }

    fn promise(&mut self, number: u8, count: usize) {
        self.kept.insert(number, count);
        self.survives();
    }

    /// Asserts that everything promised would be there after a loss of power now.
    fn survives(&self) {
        for luck in LUCK {
            let left = self.disk.state().power.survivors(luck);
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let found = known.entry(left).or_insert_with_key(|left| {
                let copy = place();
                left.write(copy.path());
                recovered(copy.path())
            });
            self.assert_kept(found, &format!("after a loss of power, luck: {luck:?}"));
        }
    }

    fn assert_kept(&self, found: &BTreeMap<u8, usize>, when: &str) {
        for (number, count) in &self.kept {
            let there = found.get(number).max(self.log.get(number)).copied().unwrap_or(0);
            let failed = &self.disk.state().failed;
            assert!(there >= *count, "turn {number}: {there} of {count} records {when}: {failed:#?}");
        }
    }

    /// Does everything that is done with turns, once.
    async fn script(&mut self) -> [Option<Open>; 2] {
        let mut first = self.begin(1, None).await;
        append(&mut first);
        beside(&mut first);
        append(&mut first);
        beside(&mut first);
        self.sync(&mut first).await;
        let mut second = self.begin(2, Some(1)).await;
        append(&mut second);
        beside(&mut second);
        drop(second);
        self.fold();
        append(&mut first);
        self.finish(first).await;
        match self.journal.lease(&session(), Duration::ZERO).await {
            Ok(lease) => drop(lease),
            Err(error) => self.disk.assert_owed(&error),
        }
        for asked in [self.journal.look().map(drop), self.journal.backlog().map(drop)] {
            asked.unwrap_or_else(|error| self.disk.assert_owed(&error));
        }
        let mut third = self.begin(3, None).await;
        beside(&mut third);
        if let Some(third) = &mut third {
            third.turn.clear_beside();
        }
        self.fold();
        append(&mut third);
        self.sync(&mut third).await;
        let mut fourth = self.begin(4, Some(3)).await;
        append(&mut fourth);
        [third, fourth]
    }

    /// Runs the script, ends the faults, goes on, and looks at everything as another process would. Returns how
    /// many operations there were.
    async fn whole(mut self, alone: bool) -> u64 {
        let open = self.script().await;
        let asked = self.disk.asked();
        let failed = self.disk.repair();
        for turn in open {
            let mut turn = turn;
            append(&mut turn);
            if let Some(open) = turn {
                open.turn.finish().await.unwrap();
                self.promise(open.number, open.given);
            }
        }
        let last = self.begin(5, None).await.unwrap();
        last.turn.finish().await.unwrap();
        self.journal.lease(&session(), Duration::ZERO).await.unwrap();
        self.journal.settle();
        self.assert_kept(&look(self.root.path()), "to somebody who looks");
        let found = recovered(self.root.path());
        self.assert_kept(&found, "in the end");
        let unasked = |number: &&u8| !self.begun.contains(number);
        assert!(!alone || !found.keys().any(|number| unasked(&number)), "began in spite of {failed:?}");
        let orphan = found.get(&2).or(self.log.get(&2)).copied();
        assert!(
            !alone || matches!(orphan, None | Some(3)),
            "a dropped turn kept {orphan:?} in spite of {failed:?}"
        );
        let left: Vec<_> = std::fs::read_dir(self.root.path().join("data/journal")).unwrap().collect();
        assert!(left.is_empty(), "{left:?} after {failed:?}");
        asked
    }
}

fn append(open: &mut Option<Open>) {
    if let Some(open) = open {
        open.turn.append(record(open.number, open.given));
        open.given += 1;
    }
}

/// Keeps something beside a turn, which must never be noticed.
fn beside(open: &mut Option<Open>) {
    if let Some(open) = open {
        open.turn.append_beside(format!("beside {}", open.number).into_bytes());
    }
}

fn open(disk: Disk, root: &Path) -> JournalDir {
    let quiet = Arc::new(|notice: &_| panic!("{notice:?}"));
    JournalDir::at(disk, root.join("data/journal"), quiet)
}

/// Asserts that what is beside a turn is some of what was written, whole.
fn check_beside(journal: &JournalDir, number: u8) {
    match journal.beside(&turn(number)) {
        Ok(pieces) => {
            let written = format!("beside {number}").into_bytes();
            assert!(pieces.len() <= 2 && pieces.iter().all(|piece| *piece == written), "{pieces:?}");
        }
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Io), "{error:?}"),
    }
}

/// Returns number and count of records of a turn, each of which is what was written.
fn checked(pending: &Pending) -> (u8, usize) {
    let number = (1..=5).find(|number| pending.header.turn == turn(*number)).unwrap();
    for (index, found) in pending.records.iter().enumerate() {
        assert_eq!(String::from_utf8_lossy(found), String::from_utf8_lossy(&record(number, index)));
    }
    (number, pending.records.len())
}

fn look(root: &Path) -> BTreeMap<u8, usize> {
    open(Disk::default(), root).look().unwrap().iter().map(checked).collect()
}

/// Folds everything there is as a new process would.
fn recovered(root: &Path) -> BTreeMap<u8, usize> {
    let journal = open(Disk::default(), root);
    let mut found = BTreeMap::new();
    for pending in journal.claim(64).unwrap() {
        let (number, count) = checked(&pending);
        check_beside(&journal, number);
        assert_eq!(found.insert(number, count), None, "turn {number} is there twice");
        journal.forget(&turn(number), count as u64).unwrap();
    }
    assert_eq!(journal.claim(64).unwrap(), []);
    found
}

/// Runs the script once for every operation it asks for.
async fn at_every_operation(plan: impl Fn(u64) -> Plan, alone: bool) {
    let mut at = 0;
    loop {
        if Run::new(plan(at), at).whole(alone).await <= at {
            break;
        }
        at += 1;
    }
    assert!(at > 60, "only {at} operations");
}

#[tokio::test]
async fn one_failed_operation_loses_nothing() {
    for kind in KINDS {
        at_every_operation(|at| Plan::Once(at, kind), true).await;
    }
}

#[tokio::test]
async fn a_disk_that_fails_from_some_operation_on_loses_nothing() {
    for kind in KINDS {
        at_every_operation(|at| Plan::From(at, kind), false).await;
    }
}

#[tokio::test]
async fn random_failures_lose_nothing() {
    for seed in 0..super::seeds() {
        Run::new(Plan::Random(2 + seed % 30), seed).whole(false).await;
    }
}
