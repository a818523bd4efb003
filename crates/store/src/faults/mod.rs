//! A disk that fails as planned, and what stores in it must not lose.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod ledger;
mod power;
mod reader;
mod store;
mod turns;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;

use self::power::Power;
use crate::error::{Error, ErrorKind};
use crate::journal::disk::{Disk, Fault, Faults, Op};

/// What an operation fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No space, for what needs some.
    Full,
    /// No space after half of a write.
    Half,
    /// The device answers with an error.
    Broken,
}

const KINDS: [Kind; 3] = [Kind::Full, Kind::Half, Kind::Broken];

/// Which operations fail.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Sound,
    /// The one with this number.
    Once(u64, Kind),
    /// All from this number on.
    From(u64, Kind),
    /// One in so many, of any kind.
    Random(u64),
}

/// How many random runs there are; `PROPTEST_CASES` asks for more.
fn seeds() -> u64 {
    proptest::test_runner::Config::default().cases.into()
}

/// Returns an empty directory, in memory where there is such a place: what survives is ours to say.
fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A disk whose operations are counted, and fail as planned until it is repaired.
struct Faulty(Mutex<State>);

struct State {
    plan: Plan,
    random: u64,
    asked: u64,
    /// How each operation could have failed.
    asked_for: Vec<Vec<Kind>>,
    failed: Vec<String>,
    power: Power,
}

impl Faulty {
    /// Returns a disk that holds a directory.
    fn new(dir: &Path, plan: Plan, seed: u64) -> Arc<Self> {
        let random = seed.wrapping_mul(2).wrapping_add(1);
        let power = Power::of(dir);
        Arc::new(Self(Mutex::new(State {
            plan,
            random,
            asked: 0,
            asked_for: Vec::new(),
            failed: Vec::new(),
            power,
        })))
    }

    fn disk(self: &Arc<Self>) -> Disk {
        Disk::with(Arc::clone(self) as Arc<dyn Faults>)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Ends all faults; tells what has failed.
    fn repair(&self) -> Vec<String> {
        let mut state = self.state();
        state.plan = Plan::Sound;
        state.failed.clone()
    }

    /// Returns how many operations there were.
    fn asked(&self) -> u64 {
        self.state().asked
    }

    /// Asserts that a failure says what it is, and that there was a fault to fail of.
    #[track_caller]
    fn assert_owed(&self, error: &Error) {
        assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Io), "{error:?}");
        let failed = &self.state().failed;
        assert!(!failed.is_empty(), "nothing failed but {error:?}");
        let full = failed.iter().any(|failed| !failed.contains("Broken"));
        assert!(full || error.kind() == ErrorKind::Io, "{error:?} of {failed:?}");
    }
}

impl State {
    fn chance(&mut self, one_in: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.is_multiple_of(one_in)
    }

    fn fails(&mut self, op: Op<'_>) -> Option<Kind> {
        let plan = self.plan;
        let kind = match plan {
            Plan::Once(at, kind) if at == self.asked => kind,
            Plan::From(at, kind) if at <= self.asked => kind,
            Plan::Random(one_in) if self.chance(one_in) => {
                let kind = self.random >> 20;
                KINDS[kind as usize % KINDS.len()]
            }
            _ => return None,
        };
        applies(kind, op).then_some(kind)
    }
}

/// Tells whether an operation can fail so.
fn applies(kind: Kind, op: Op<'_>) -> bool {
    match kind {
        Kind::Full => matches!(op, Op::Create | Op::Write(_) | Op::Rename | Op::MakeDir | Op::Sync(_)),
        Kind::Half => matches!(op, Op::Write(_)),
        Kind::Broken => true,
    }
}

impl Faults for Faulty {
    fn meet(&self, op: Op<'_>, path: &Path) -> Result<(), Fault> {
        let mut state = self.state();
        let fails = state.fails(op);
        state.asked += 1;
        state.asked_for.push(KINDS.into_iter().filter(|kind| applies(*kind, op)).collect());
        let Some(kind) = fails else {
            state.power.note(op, path);
            return Ok(());
        };
        state.power.note_failure(op);
        let name = path.file_name().unwrap_or_default();
        let number = state.asked - 1;
        state.failed.push(format!("{number}: {op:?} of {name:?} is {kind:?}"));
        // No space left on the device; input/output error.
        let code = if kind == Kind::Broken { 5 } else { 28 };
        let written = match (op, kind) {
            (Op::Write(length), Kind::Half) => length / 2,
            _ => 0,
        };
        Err(Fault { written, error: io::Error::from_raw_os_error(code) })
    }
}
