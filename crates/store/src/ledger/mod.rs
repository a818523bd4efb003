//! The ledger: what was spent and is set aside on accounts that several processes draw on at once.

mod book;
#[cfg(feature = "sled")]
pub(crate) mod file;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::Error;

pub(crate) use self::book::{Book, Entry};

/// Accounts of money. Cheap to clone behind an `Arc`; every method may be called at any time from any task.
///
/// Keys of accounts are opaque, amounts are integers of nano-dollars. What was set aside counts against every limit
/// until it is settled, also where whoever set it aside is killed.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Sets an amount aside on every account of `hold`, or on none: where one of them would hold and have spent more
    /// than its limit. Durable when it returns. One that is held already under the same id is left as it is.
    ///
    /// # Errors
    /// Fails with `full`, `io`, `busy` or `unavailable`; then nothing is set aside, or it is under that id. Fails with
    /// `corrupt` where an account has a limit and nobody knows what was spent; then nothing is set aside.
    async fn reserve(&self, hold: Hold) -> Result<Verdict, Error>;

    /// Takes what was set aside under an id as spent: so much of it, or, where nobody knows, all of it. It may be more
    /// than was set aside. Where nothing is held under the id nothing happens.
    ///
    /// # Errors
    /// Fails with `full`, `io`, `busy` or `unavailable`; then it stays set aside, or is settled.
    async fn settle(&self, id: &str, spent: Option<u64>) -> Result<(), Error>;

    /// Notes that an amount was spent for which nothing was set aside. A loss of power may undo it.
    ///
    /// # Errors
    /// Fails with `full`, `io`, `busy` or `unavailable`.
    async fn spend(&self, accounts: &[String], amount: u64) -> Result<(), Error>;

    /// Returns every account that anything was ever spent or set aside on, in the order of their keys.
    ///
    /// # Errors
    /// Fails with `io` or `unavailable`.
    async fn balances(&self) -> Result<Vec<(String, Balance)>, Error>;

    /// Returns what of the ledger is damaged, each in a phrase. What that says does not count in any balance, and until
    /// it is left out nothing is set aside on accounts that have a limit.
    ///
    /// # Errors
    /// Fails with `io` or `unavailable`.
    async fn faults(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Leaves out what is damaged, and keeps the ledger as it was beside it.
    ///
    /// # Errors
    /// Fails with `full`, `io`, `busy` or `unavailable`; then it is as damaged as it was.
    async fn leave_out(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What is set aside, and on which accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Names it; nobody else uses the same.
    pub id: String,
    /// How much, in nano-dollars.
    pub amount: u64,
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// An account, and what may be spent on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its key, at most 255 bytes.
    pub key: String,
    /// The most that may be spent and set aside on it, in nano-dollars; `None` for as much as one likes.
    pub limit: Option<u64>,
}

/// What came of setting an amount aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is set aside.
    Held,
    /// It is not, because of this account.
    Refused {
        /// The account's key.
        account: String,
        /// What is on it.
        balance: Balance,
    },
}

/// What is on an account, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What was spent.
    pub spent: u64,
    /// What is set aside.
    pub held: u64,
}

impl Balance {
    /// Returns what cannot be spent any more: what was, and what may be.
    pub fn used(self) -> u64 {
        self.spent.saturating_add(self.held)
    }
}

/// A ledger that lives and dies with its process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Mutex<Book>>);

impl MemoryLedger {
    fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        // Nothing panics between two changes that belong together, so a poisoned lock guards a whole state.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn reserve(&self, hold: Hold) -> Result<Verdict, Error> {
        Ok(self.with(|book| {
            let verdict = book.judge(&hold);
            if verdict == Verdict::Held {
                book.apply(&Entry::holding(&hold));
            }
            verdict
        }))
    }

    async fn settle(&self, id: &str, spent: Option<u64>) -> Result<(), Error> {
        self.with(|book| book.apply(&Entry::Settle { id: id.to_owned(), spent }));
        Ok(())
    }

    async fn spend(&self, accounts: &[String], amount: u64) -> Result<(), Error> {
        self.with(|book| book.apply(&Entry::Spend { amount, accounts: accounts.to_vec() }));
        Ok(())
    }

    async fn balances(&self) -> Result<Vec<(String, Balance)>, Error> {
        Ok(self.with(|book| book.balances()))
    }
}
