//! The ledger on a failing disk: what somebody was told is set aside or spent counts, and nothing counts twice.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::power::Luck;
use super::{Faulty, KINDS, Kind, Plan, place};
use crate::error::Error;
use crate::journal::disk::Disk;
use crate::ledger::file::FileLedger;
use crate::ledger::{Account, Hold, Ledger, Verdict};

/// More than anything here costs.
const LIMIT: u64 = 1_000_000_000;

/// A ledger on a failing disk, and what its callers were promised.
struct Run {
    root: TempDir,
    disk: Arc<Faulty>,
    ledger: FileLedger,
    /// What must count, whatever happens.
    durable: u64,
    /// What must count as long as there is power.
    told: u64,
    /// What may count at most.
    most: u64,
}

impl Run {
    fn new(plan: Plan, seed: u64) -> Self {
        let root = place();
        let disk = Faulty::new(root.path(), plan, seed);
        let ledger = FileLedger::at(disk.disk(), &root.path().join("data"));
        Self { root, disk, ledger, durable: 0, told: 0, most: 0 }
    }

    fn owed<T>(&self, result: Result<T, Error>) -> Option<T> {
        result.inspect_err(|error| self.disk.assert_owed(error)).ok()
    }

    async fn reserve(&mut self, id: &str, amount: u64) -> bool {
        let accounts = vec![Account { key: "day".to_owned(), limit: Some(LIMIT) }];
        self.most += amount;
        let hold = Hold { id: id.to_owned(), amount, accounts };
        let held = self.owed(self.ledger.reserve(hold).await) == Some(Verdict::Held);
        if held {
            self.durable += amount;
            self.told += amount;
        }
        held
    }

    /// Settles what was set aside: it may be that, or what was spent, after a failure.
    async fn settle(&mut self, id: &str, amount: u64, spent: u64) {
        let settled = self.owed(self.ledger.settle(id, Some(spent)).await).is_some();
        self.durable -= amount - spent;
        self.told -= amount - spent;
        if settled {
            // A loss of power may give back what was set aside, never take it away.
            self.most = self.most.max(self.told);
        }
    }

    async fn script(&mut self) {
        for round in 0..4 {
            let id = format!("a/{round}");
            if self.reserve(&id, 1_000).await {
                self.settle(&id, 1_000, 30).await;
            }
            self.most += 5;
            if self.owed(self.ledger.spend(&["day".to_owned()], 5).await).is_some() {
                self.told += 5;
            }
        }
        // So much that the file is written anew.
        let long = vec!["x".repeat(20_000), "y".repeat(20_000), "z".repeat(30_000)];
        self.owed(self.ledger.spend(&long, 1).await);
        self.reserve("open", 700).await;
    }

    async fn check(&self, root: &Path, least: u64, when: &str) {
        let ledger = FileLedger::at(Disk::default(), &root.join("data"));
        let balances = ledger.balances().await.unwrap();
        let used = balances.iter().find(|(key, _)| key == "day").map_or(0, |(_, balance)| balance.used());
        let failed = &self.disk.state().failed;
        assert!(
            (least..=self.most).contains(&used),
            "{used} of {least} to {} {when}: {failed:#?}",
            self.most
        );
    }

    async fn whole(mut self) {
        self.script().await;
        for luck in [Luck::None, Luck::Names] {
            let copy = place();
            self.disk.state().power.survivors(luck).write(copy.path());
            self.check(copy.path(), self.durable, &format!("after a loss of power, luck: {luck:?}")).await;
        }
        self.disk.repair();
        self.check(self.root.path(), self.told, "before the disk is repaired").await;
        self.reserve("late", 11).await;
        self.check(self.root.path(), self.told, "in the end").await;
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

#[tokio::test]
async fn one_failed_operation_of_the_ledger_loses_nothing() {
    at_every_operation(Plan::Once).await;
}

#[tokio::test]
async fn a_disk_that_fails_from_some_operation_on_loses_nothing_of_the_ledger() {
    at_every_operation(Plan::From).await;
}

#[tokio::test]
async fn random_failures_lose_nothing_of_the_ledger() {
    for seed in 0..super::seeds() {
        Run::new(Plan::Random(2 + seed % 40), seed).whole().await;
    }
}
