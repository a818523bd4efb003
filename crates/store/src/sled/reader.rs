//! The embedded store for those who only read: where it cannot be written, a private copy of it is read instead.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use aichat_message::{EventId, SessionId, TurnId};

use super::{Inner, Sled, copy, size};
use crate::error::{Error, ErrorKind};
use crate::ledger::{Balance, Hold, Ledger, Verdict};
use crate::notice::Notice;
use crate::store::{Blob, Head, Info, Row, Scan, Store, Table, Unit, Visitor, Write};
use crate::turn::{Claim, Lease, Pending, Turn, TurnHeader};

/// A store in a directory that may be on a read-only file system, somebody else's, or on a full disk. Clones share it.
///
/// As long as the directory can be written, this is the [`Sled`] it was made of. Where it cannot, what is needed of it
/// is copied to a private temporary directory; turns that wait are folded there, and all that is read is read from
/// there, except large values and blobs, which are read where they are. Nothing else is ever written to the copy:
/// whatever changes the store fails as it does without one. A copy that others have left behind by writing to the
/// store is made anew after a [`release`](Store::release). It is removed with the last clone, or, where its process is
/// killed, by the next process that makes one in the same place.
///
/// ```
/// # let home = std::env::temp_dir().join("nobody/here");
/// use aichat_store::{Sled, SledReader};
///
/// let store = SledReader::over(Sled::at(home), [std::env::temp_dir(), "/dev/shm".into()]);
/// ```
#[derive(Clone)]
pub struct SledReader(Arc<Reader>);

struct Reader {
    original: Sled,
    places: Vec<PathBuf>,
    state: Mutex<State>,
    /// The sessions of the turns that were claimed last.
    claimed: std::sync::Mutex<HashSet<SessionId>>,
    /// Whether the store was released and nothing has opened it since.
    is_at_rest: AtomicBool,
}

#[derive(Default)]
struct State {
    copy: Option<Made>,
    /// Why no copy could be made; it is not tried again.
    failed: Option<Reason>,
    /// Whether somebody was told that a copy is read.
    is_told: bool,
}

/// A copy that was made.
struct Made {
    store: Sled,
    /// Why the original is not written.
    why: Reason,
    /// What the original was like.
    seen: Seen,
}

/// What tells that others have written to a store: its pulse, and its turns in flight with their bytes.
type Seen = (Option<u64>, (usize, u64));

/// An error that is returned more than once.
struct Reason {
    kind: ErrorKind,
    message: String,
    source: Option<io::ErrorKind>,
}

impl Reason {
    fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.to_string(), source: error.refusal() }
    }

    fn error(&self) -> Error {
        let error = Error::new(self.kind, &*self.message);
        match self.source {
            Some(source) => error.with_source(io::Error::from(source)),
            None => error,
        }
    }
}

impl SledReader {
    /// Reads `store`, and, where it cannot be written, a copy in the first of `places` that has room for it.
    pub fn over(store: Sled, places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(Arc::new(Reader {
            original: store,
            places: places.into_iter().collect(),
            state: Mutex::default(),
            claimed: std::sync::Mutex::default(),
            is_at_rest: AtomicBool::new(true),
        }))
    }

    /// Returns what is read now, without opening it.
    async fn current(&self) -> Result<Sled, Error> {
        let mut state = self.0.state.lock().await;
        if let Some(made) = &state.copy
            && self.0.is_at_rest.load(Ordering::Relaxed)
            && self.seen().await? != made.seen
        {
            state.copy = None;
        }
        Ok(state.copy.as_ref().map_or(&self.0.original, |made| &made.store).clone())
    }

    async fn seen(&self) -> Result<Seen, Error> {
        Ok((self.0.original.pulse().await?, self.0.original.backlog().await?))
    }

    /// Returns what is read now, open.
    async fn open(&self) -> Result<Sled, Error> {
        let store = self.current().await?;
        self.0.is_at_rest.store(false, Ordering::Relaxed);
        match store.ready().await {
            Ok(()) => Ok(store),
            Err(error) => self.copy(error).await,
        }
    }

    /// Returns a copy, after what was done with the original has failed.
    async fn copy(&self, error: Error) -> Result<Sled, Error> {
        let Some(reason) = error.refusal() else { return Err(error) };
        let mut state = self.0.state.lock().await;
        if let Some(made) = &state.copy {
            return Ok(made.store.clone());
        }
        if let Some(failed) = &state.failed {
            return Err(failed.error());
        }
        let seen = self.seen().await?;
        let places = self.0.places.clone();
        let made = self.0.original.blocking(move |inner: &Inner| {
            inner.journal.settle();
            inner.close();
            copy::copy(inner, &places)
        });
        match made.await {
            Ok(store) => {
                if !std::mem::replace(&mut state.is_told, true) {
                    let path = self.0.original.path().to_owned();
                    (self.0.original.0.observer)(&Notice::Copied { path, reason });
                }
                state.copy = Some(Made { store: store.clone(), why: Reason::of(&error), seen });
                Ok(store)
            }
            // What cannot be read either is as it always was.
            Err(unread) if unread.refusal() == Some(io::ErrorKind::PermissionDenied) => Err(error),
            Err(failed) => {
                // Who is busy may be at rest later.
                state.failed = (!failed.is_retryable()).then(|| Reason::of(&failed));
                Err(failed)
            }
        }
    }

    /// Returns why nothing is written, where a copy is read.
    async fn refusal(&self) -> Option<Error> {
        self.0.state.lock().await.copy.as_ref().map(|made| made.why.error())
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.0.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_original(&self, store: &Sled) -> bool {
        Arc::ptr_eq(&store.0, &self.0.original.0)
    }

    /// Returns where to do again what the original failed to do, and the error where there is no such place.
    async fn instead(&self, store: &Sled, error: Error) -> Result<Sled, Error> {
        match self.is_original(store) {
            true => self.copy(error).await,
            false => Err(error),
        }
    }
}

#[async_trait]
impl Store for SledReader {
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error> {
        self.0.original.begin(header, records).await
    }

    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        self.0.original.lease(session, wait).await
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(Accounts(self.clone()))
    }

    async fn backlog(&self) -> Result<(usize, u64), Error> {
        self.current().await?.backlog().await
    }

    async fn pulse(&self) -> Result<Option<u64>, Error> {
        // Others write to the original.
        self.0.original.pulse().await
    }

    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        if claim == Claim::Look {
            return self.current().await?.pending(claim).await;
        }
        let store = self.open().await?;
        let pending = match store.pending(claim).await {
            Err(error) => self.instead(&store, error).await?.pending(claim).await?,
            Ok(pending) => pending,
        };
        *self.claimed() = pending.iter().map(|turn| turn.header.session.clone()).collect();
        Ok(pending)
    }

    async fn beside(&self, turn: &TurnHeader) -> Result<Vec<Vec<u8>>, Error> {
        // It is not copied.
        self.0.original.beside(turn).await
    }

    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error> {
        // What came late to a turn is appended by a unit that does not fold it once more.
        let folds = {
            let claimed = self.claimed();
            units.iter().all(|unit| !unit.folded.is_empty() || claimed.contains(&unit.stream))
        };
        let mut store = self.open().await?;
        if self.is_original(&store) {
            match store.commit(units.clone()).await {
                Err(error) if folds => store = self.copy(error).await?,
                done => return done,
            }
        }
        match self.refusal().await {
            Some(refusal) if !folds => Err(refusal),
            _ => store.commit(units).await,
        }
    }

    async fn folded(&self, turn: &TurnId) -> Result<bool, Error> {
        self.open().await?.folded(turn).await
    }

    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error> {
        self.open().await?.head(stream).await
    }

    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error> {
        self.open().await?.events(stream, from, limit).await
    }

    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error> {
        self.open().await?.streams(after, limit).await
    }

    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error> {
        self.open().await?.find(event).await
    }

    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.open().await?.get(table, key).await
    }

    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        self.open().await?.scan(table, scan).await
    }

    async fn rows(&self, table: Table, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.open().await?.rows(table, keys).await
    }

    async fn visit(&self, table: Table, prefix: &[u8], visitor: Visitor) -> Result<(), Error> {
        self.open().await?.visit(table, prefix, visitor).await
    }

    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error> {
        let mut store = self.open().await?;
        if self.is_original(&store) {
            match store.replace_projections(writes.clone()).await {
                Err(error) => store = self.copy(error).await?,
                done => return done,
            }
        }
        match self.refusal().await {
            // Stale ones cannot be read.
            Some(refusal) if !store.stale().await? => Err(refusal),
            _ => store.replace_projections(writes).await,
        }
    }

    async fn stale(&self) -> Result<bool, Error> {
        self.open().await?.stale().await
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error> {
        let store = self.current().await?;
        match store.put_blob(bytes).await {
            Err(error) => self.instead(&store, error).await?.put_blob(bytes).await,
            put => put,
        }
    }

    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        self.current().await?.blob(hash).await
    }

    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error> {
        self.current().await?.blobs(after, limit).await
    }

    async fn pin(&self) -> Result<Box<dyn Lease>, Error> {
        let store = self.current().await?;
        match store.pin().await {
            Err(error) => self.instead(&store, error).await?.pin().await,
            pin => pin,
        }
    }

    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error> {
        self.0.original.forget_blobs(hashes).await
    }

    async fn discard(&self, turns: &[TurnId]) -> Result<(), Error> {
        self.0.original.discard(turns).await
    }

    async fn compact(&self) -> Result<(), Error> {
        self.0.original.compact().await
    }

    async fn info(&self) -> Result<Info, Error> {
        let store = self.open().await?;
        let info = store.info().await?;
        if self.is_original(&store) {
            return Ok(info);
        }
        self.0
            .original
            .blocking(move |inner| {
                let place = inner.path.display().to_string();
                Ok(Info { place, bytes: Some(size(&inner.path)?), set_aside: inner.set_aside()?, ..info })
            })
            .await
    }

    async fn release(&self) -> Result<(), Error> {
        self.0.is_at_rest.store(true, Ordering::Relaxed);
        let copy = self.0.state.lock().await.copy.as_ref().map(|made| made.store.clone());
        if let Some(copy) = copy {
            copy.release().await?;
        }
        self.0.original.release().await
    }
}

/// The ledger of what is read.
struct Accounts(SledReader);

#[async_trait]
impl Ledger for Accounts {
    async fn reserve(&self, hold: Hold) -> Result<Verdict, Error> {
        self.0.0.original.ledger().reserve(hold).await
    }

    async fn settle(&self, id: &str, spent: Option<u64>) -> Result<(), Error> {
        // Folding does so.
        let store = self.0.current().await?;
        match store.ledger().settle(id, spent).await {
            Err(error) => self.0.instead(&store, error).await?.ledger().settle(id, spent).await,
            settled => settled,
        }
    }

    async fn spend(&self, accounts: &[String], amount: u64) -> Result<(), Error> {
        self.0.0.original.ledger().spend(accounts, amount).await
    }

    async fn balances(&self) -> Result<Vec<(String, Balance)>, Error> {
        self.0.current().await?.ledger().balances().await
    }

    async fn faults(&self) -> Result<Vec<String>, Error> {
        self.0.current().await?.ledger().faults().await
    }

    async fn leave_out(&self) -> Result<(), Error> {
        self.0.0.original.ledger().leave_out().await
    }
}
