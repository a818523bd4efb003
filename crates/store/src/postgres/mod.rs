//! A store in a PostgreSQL database, for several machines at once: every turn in flight is a row that expires.

mod address;
mod beside;
mod blobs;
mod chunk;
mod connection;
mod failure;
mod flight;
mod layout;
mod lease;
mod ledger;
mod log;
mod pending;
mod removal;
mod server;
mod survey;
mod tables;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use aichat_message::{EventId, SessionId, TurnId};

pub use self::address::PostgresAddress;
use self::flight::Flight;
use self::lease::{Held, Holding};
use self::server::Server;
use crate::admit;
use crate::error::{Error, ErrorKind};
use crate::ledger::Ledger;
use crate::store::{Blob, Head, Info, Row, Scan, Store, Table, Unit, Write};
use crate::turn::{Claim, Lease, Pending, Turn, TurnHeader};

/// How long a row that nobody renews stays in force.
const LEASE: Duration = Duration::from_secs(12);
/// How many bytes a statement carries before another one follows.
const BATCH_BYTES: usize = 4 << 20;
/// How many rows a statement carries before another one follows.
const BATCH_ROWS: usize = 10_000;

/// A store in a PostgreSQL database. Clones share it.
///
/// Any number of processes on any number of machines may use it at once. A turn in flight, and the right to write a
/// session's next turn, are rows that a task of their owner renews every third of the lease; those of a process that
/// died are over when they expire, by the database's clock. The tables are made by the first call that needs them.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    server: Server,
    lease: Duration,
    closing: Closing,
    /// How many records of a turn were handed out to be folded.
    claimed: Mutex<HashMap<TurnId, u64>>,
    /// The leases that this process holds.
    held: Mutex<HashMap<SessionId, Weak<Holding>>>,
}

/// Tasks of turns and leases that were dropped and still write what is left to write.
#[derive(Default)]
struct Closing(Mutex<Vec<JoinHandle<()>>>);

impl Closing {
    fn extend(&self, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        let mut closing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closing.retain(|task| !task.is_finished());
        closing.extend(tasks);
    }

    /// Waits for them.
    async fn settle(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // One whose runtime is gone has nothing left to write.
            let _ = task.await;
        }
    }
}

impl Postgres {
    /// Names a database. Nothing connects before the first call that needs it.
    pub fn at(address: PostgresAddress) -> Self {
        Self::leased(address, LEASE)
    }

    /// Names a database, and says how long a row stays in force that its owner no longer renews: how long the death
    /// of a process goes unnoticed, and how long a process may lose sight of the database before others take over.
    pub fn leased(address: PostgresAddress, lease: Duration) -> Self {
        Self(Arc::new(Inner {
            server: Server::new(address),
            lease,
            closing: Closing::default(),
            claimed: Mutex::default(),
            held: Mutex::default(),
        }))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.0.server.place()).finish()
    }
}

impl Inner {
    /// Returns the lease of a session, where this process holds it.
    fn leased(&self, session: &SessionId) -> Option<Arc<Holding>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get(session)?.upgrade()
    }

    fn hold(&self, session: &SessionId, held: &Held) {
        let mut holdings = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        holdings.retain(|_, holding| holding.strong_count() > 0);
        holdings.insert(session.clone(), Arc::downgrade(held.holding()));
    }
}

/// Does one piece of reading as a unit of work.
macro_rules! read {
    ($self:ident, $what:literal, |$connection:ident| $read:expr) => {
        $self
            .0
            .server
            .work($what, || async {
                let mut lent = $self.0.server.lend().await?;
                let $connection = &mut *lent;
                let done = $read.await;
                lent.settle(done)
            })
            .await
    };
}

/// Does one piece of writing as a unit of work, however much it is.
macro_rules! write {
    ($self:ident, $what:literal, |$connection:ident| $write:expr) => {
        $self
            .0
            .server
            .work_within(server::LONG, $what, || async {
                let mut lent = $self.0.server.begin().await?;
                let $connection = &mut *lent;
                let done = $write.await;
                lent.end(done).await
            })
            .await
    };
}

#[async_trait]
impl Store for Postgres {
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error> {
        Ok(Box::new(Flight::begin(&self.0, header, records).await?))
    }

    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            self.0.closing.settle().await;
            if let Some(held) = Held::take(&self.0, session.as_str().into()).await? {
                self.0.hold(session, &held);
                return Ok(Box::new(held));
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                let message = format!("another turn of session {session} is in flight");
                return Err(Error::new(ErrorKind::Busy, message));
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(ledger::Rows(Arc::clone(&self.0)))
    }

    async fn backlog(&self) -> Result<(usize, u64), Error> {
        self.0.backlog().await
    }

    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        self.0.pending(claim).await
    }

    async fn beside(&self, turn: &TurnHeader) -> Result<Vec<Vec<u8>>, Error> {
        self.0.closing.settle().await;
        read!(self, "read what is beside a turn", |connection| beside::read(connection, turn))
    }

    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error> {
        let counts = self.0.counts(&units).await?;
        let done = write!(self, "commit", |connection| log::commit(connection, &units, &counts));
        // After a conflict they are claimed anew, if there is anything left of them.
        if done.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::Conflict) {
            let mut claimed = self.0.claimed.lock().unwrap_or_else(PoisonError::into_inner);
            claimed.retain(|turn, _| !units.iter().any(|unit| unit.folded.contains(turn)));
        }
        done
    }

    async fn folded(&self, turn: &TurnId) -> Result<bool, Error> {
        let turns = std::slice::from_ref(turn);
        Ok(read!(self, "look up a turn", |connection| log::markers(connection, turns))?.contains_key(turn))
    }

    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error> {
        read!(self, "read the end of a stream", |connection| log::head(connection, stream))
    }

    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error> {
        read!(self, "read events", |connection| log::events(connection, stream, from, limit))
    }

    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error> {
        read!(self, "list streams", |connection| log::streams(connection, after, limit))
    }

    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error> {
        let events = [event];
        Ok(read!(self, "look up an event", |connection| log::places(connection, &events))?.remove(event))
    }

    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        read!(self, "read an entry", |connection| tables::get(connection, table, key))
    }

    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        read!(self, "read entries", |connection| tables::scan(connection, table, &scan))
    }

    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error> {
        admit::check_projections(&writes)?;
        write!(self, "replace the projections", |connection| tables::replace(connection, &writes))
    }

    /// A rebuild is one transaction: it is done or it was never begun. A new layout may want one.
    async fn stale(&self) -> Result<bool, Error> {
        read!(self, "look whether projections are stale", |connection| tables::stale(connection))
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error> {
        let hash = blake3::hash(bytes);
        write!(self, "keep a blob", |connection| blobs::put(connection, hash.as_bytes(), bytes))?;
        Ok(hash.to_hex().to_string())
    }

    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        let hash = blob(hash)?;
        read!(self, "read a blob", |connection| blobs::get(connection, &hash))
    }

    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error> {
        let after = after.map(blob).transpose()?;
        read!(self, "list blobs", |connection| blobs::list(connection, after.as_ref(), limit))
    }

    async fn pin(&self) -> Result<Box<dyn Lease>, Error> {
        Ok(Box::new(self.0.pin().await?))
    }

    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error> {
        let hashes = hashes.iter().map(|hash| blob(hash)).collect::<Result<Vec<_>, _>>()?;
        self.0.forget_blobs(&hashes).await
    }

    async fn compact(&self) -> Result<(), Error> {
        self.0.compact().await
    }

    async fn info(&self) -> Result<Info, Error> {
        self.0.info().await
    }

    /// Waits for what was dropped; connections are kept, because they keep nobody out.
    async fn release(&self) -> Result<(), Error> {
        self.0.closing.settle().await;
        Ok(())
    }
}

/// Returns an id that was read from a row.
fn parsed<T: FromStr>(bytes: &[u8]) -> Result<T, Error> {
    let id = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a row of the database holds no id where one belongs"))
}

/// Returns the hash that names a blob.
fn blob(hash: &str) -> Result<blake3::Hash, Error> {
    admit::check_hash(hash)?;
    Ok(blake3::Hash::from_hex(hash).expect("64 hex digits were checked"))
}

/// Returns a number as the database counts.
fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number)
        .map_err(|_| Error::new(ErrorKind::Invalid, format!("{number} is larger than the database counts")))
}

/// Cuts rows into statements of a few megabytes each.
fn batches<T>(rows: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH_ROWS).take_while(|row| {
            bytes += size(row);
            bytes <= BATCH_BYTES
        });
        let count = fits.count().max(1).min(rest.len());
        let (batch, later) = rest.split_at(count);
        rest = later;
        (!batch.is_empty()).then_some(batch)
    })
}
