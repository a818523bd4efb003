//! The book: accounts and what is set aside on them, as entries make them one after another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Balance, Hold, Verdict};

/// What changes a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// An amount is set aside.
    Hold { id: String, amount: u64, accounts: Vec<String> },
    /// What was set aside is spent, all of it where no amount is given.
    Settle { id: String, spent: Option<u64> },
    /// An amount is spent for which nothing was set aside.
    Spend { amount: u64, accounts: Vec<String> },
}

impl Entry {
    pub(crate) fn holding(hold: &Hold) -> Self {
        let accounts = hold.accounts.iter().map(|account| account.key.clone()).collect();
        Self::Hold { id: hold.id.clone(), amount: hold.amount, accounts }
    }
}

/// Accounts and what is set aside on them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    spent: BTreeMap<String, u64>,
    holds: BTreeMap<String, (u64, Vec<String>)>,
}

impl Book {
    /// Tells whether an amount can be set aside.
    pub(crate) fn judge(&self, hold: &Hold) -> Verdict {
        if self.holds.contains_key(&hold.id) {
            return Verdict::Held;
        }
        for account in &hold.accounts {
            let balance = self.balance(&account.key);
            let after = balance.used().checked_add(hold.amount);
            if account.limit.is_some_and(|limit| after.is_none_or(|after| after > limit)) {
                return Verdict::Refused { account: account.key.clone(), balance };
            }
        }
        Verdict::Held
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Hold { id, amount, accounts } => {
                self.holds.entry(id.clone()).or_insert_with(|| (*amount, accounts.clone()));
            }
            Entry::Settle { id, spent } => {
                if let Some((held, accounts)) = self.holds.remove(id) {
                    self.spend(&accounts, spent.unwrap_or(held));
                }
            }
            Entry::Spend { amount, accounts } => self.spend(accounts, *amount),
        }
    }

    fn spend(&mut self, accounts: &[String], amount: u64) {
        for account in accounts {
            let spent = self.spent.entry(account.clone()).or_default();
            *spent = spent.saturating_add(amount);
        }
    }

    fn balance(&self, key: &str) -> Balance {
        let on_it = self.holds.values().filter(|(_, accounts)| accounts.iter().any(|account| account == key));
        let held = on_it.fold(0, |sum: u64, (amount, _)| sum.saturating_add(*amount));
        Balance { spent: self.spent.get(key).copied().unwrap_or(0), held }
    }

    /// Returns what is on every account.
    pub(crate) fn balances(&self) -> Vec<(String, Balance)> {
        let mut all: BTreeMap<&String, Balance> = BTreeMap::new();
        for (key, spent) in &self.spent {
            all.entry(key).or_default().spent = *spent;
        }
        for (amount, accounts) in self.holds.values() {
            for key in accounts {
                let balance = all.entry(key).or_default();
                balance.held = balance.held.saturating_add(*amount);
            }
        }
        all.into_iter().map(|(key, balance)| (key.clone(), balance)).collect()
    }

    /// Tells whether something is set aside under an id.
    #[cfg_attr(not(feature = "sled"), expect(dead_code, reason = "asked by the ledger in a file"))]
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.holds.contains_key(id)
    }

    /// Returns the fewest entries that make this book.
    #[cfg_attr(not(feature = "sled"), expect(dead_code, reason = "asked by the ledger in a file"))]
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let spent = self
            .spent
            .iter()
            .map(|(key, amount)| Entry::Spend { amount: *amount, accounts: vec![key.clone()] });
        let holds = self.holds.iter().map(|(id, (amount, accounts))| Entry::Hold {
            id: id.clone(),
            amount: *amount,
            accounts: accounts.clone(),
        });
        spent.chain(holds).collect()
    }
}
