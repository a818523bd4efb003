//! The seam to every backend: an atomic compare-and-append beside ordered tables of bytes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use aichat_message::{EventId, SessionId, TurnId};

use crate::error::Error;
use crate::ledger::Ledger;
use crate::turn::{Claim, Lease, Pending, Turn, TurnHeader};

/// A place where sessions are kept. Cheap to clone behind an `Arc`; every method may be called at any time from
/// any task. An acknowledged write survives `kill -9` and a loss of power.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a turn: when this returns, header and `records` survive a loss of power. Opens nothing but the
    /// place for turns in flight. Takes no lease.
    ///
    /// # Errors
    /// Fails with `full`, `io` or `newer`; then nothing of the turn was kept.
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error>;

    /// Takes the right to write a session's next turn, waiting for it at most `wait`.
    ///
    /// # Errors
    /// Fails with `busy` where another turn holds it for longer.
    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error>;

    /// Returns how many turns wait to be folded and how many bytes they hold, with those beside them, without opening
    /// the log.
    ///
    /// # Errors
    /// Fails with `io`.
    async fn backlog(&self) -> Result<(usize, u64), Error>;

    /// Returns a number that is another one after every commit of any process, without opening the log: 0 where nothing
    /// is in it, and `None` where only the log itself tells.
    ///
    /// # Errors
    /// Fails with `io`.
    async fn pulse(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Returns turns that are not in the log yet, each after the one it is based on.
    ///
    /// # Errors
    /// Fails with `io`, or with `newer` where a later version began one.
    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error>;

    /// Returns what is kept beside a turn that is not in the log yet, as far as it came; nothing where nothing is. It
    /// goes with the turn, when that is folded.
    ///
    /// # Errors
    /// Fails with `io`.
    async fn beside(&self, turn: &TurnHeader) -> Result<Vec<Vec<u8>>, Error> {
        let _ = turn;
        Ok(Vec::new())
    }

    /// Appends to streams and writes tables, all of `units` or nothing. An event that is in its stream already
    /// under the same id and sequence number is left as it is; a unit with such events alone changes nothing. The
    /// folded turns of `units` are forgotten afterwards; a turn that was folded before makes its unit a no-op. One
    /// that came back from [`pending`](Self::pending) with later records is forgotten by a unit without events.
    ///
    /// # Errors
    /// Fails with `conflict` where a stream's head is not the expected one, with `invalid` where events do not
    /// follow it without a gap, one is in the log at another place or one that is replaced is not in the stream,
    /// and with `full`, `io` or `corrupt`.
    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error>;

    /// Tells whether a turn has been folded into the log.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn folded(&self, turn: &TurnId) -> Result<bool, Error>;

    /// Returns where a stream ends, or `None` where there is no such stream.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error>;

    /// Returns at most `limit` events of a stream, from `from` on, in order.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error>;

    /// Returns at most `limit` streams in the order of their ids, those after `after` only.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error>;

    /// Returns the stream and the sequence number of an event.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error>;

    /// Returns the value at a key.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Returns entries in the order of their keys.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error>;

    /// Returns the values at keys, in the order of the keys.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn rows(&self, table: Table, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.get(table, &key).await?);
        }
        Ok(values)
    }

    /// Shows every entry whose key begins with `prefix` to `visitor`, each once, in any order and perhaps on several
    /// threads: for whoever looks at much and keeps little.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`; the visitor may have seen some entries by then.
    async fn visit(&self, table: Table, prefix: &[u8], visitor: Visitor) -> Result<(), Error> {
        let mut scan = Scan { prefix: prefix.to_vec(), limit: Some(VISITED), ..Scan::default() };
        loop {
            let entries = self.scan(table, scan.clone()).await?;
            entries.iter().for_each(|(key, value)| visitor(key, value));
            match entries.into_iter().nth(VISITED - 1) {
                Some((last, _)) => scan.after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Replaces the contents of every projection table. A crash on the way leaves the store saying that its
    /// projections are [`stale`](Self::stale).
    ///
    /// # Errors
    /// Fails with `invalid` where a write is not to a projection table, and with `full`, `io` or `corrupt`.
    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error>;

    /// Tells whether the projections must be rebuilt before they are read.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn stale(&self) -> Result<bool, Error>;

    /// Keeps bytes under their BLAKE3 hash, durable when it returns, and returns the hash as 64 hex digits. Bytes
    /// that are kept already are not kept twice. What nothing refers to yet is kept for certain only as long as a
    /// [`pin`](Self::pin) is held.
    ///
    /// # Errors
    /// Fails with `full` or `io`.
    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error>;

    /// Returns the bytes kept under a hash.
    ///
    /// # Errors
    /// Fails with `io`, or with `corrupt` where the bytes do not have that hash.
    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Returns at most `limit` blobs in the order of their hashes, those after `after` only.
    ///
    /// # Errors
    /// Fails with `io`.
    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error>;

    /// Holds off the removal of blobs, in every process, until it is dropped: for whoever keeps bytes now and
    /// refers to them a moment later.
    ///
    /// # Errors
    /// Fails with `io`, and with `busy` where blobs are being removed for too long.
    async fn pin(&self) -> Result<Box<dyn Lease>, Error>;

    /// Removes blobs, and returns how many. One that is referred to stays: where a key of [`Table::Blobs`] begins
    /// with its hash, or a turn in flight mentions it.
    ///
    /// # Errors
    /// Fails with `busy` where somebody holds a [`pin`](Self::pin) for too long, and with `io` or `corrupt`.
    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error>;

    /// Removes what was set aside of these turns, such as a damaged journal, and what may be left beside them. A store that sets nothing aside has
    /// nothing to do.
    ///
    /// # Errors
    /// Fails with `io`.
    async fn discard(&self, turns: &[TurnId]) -> Result<(), Error> {
        let _ = turns;
        Ok(())
    }

    /// Gives back the space of what was replaced or removed. Afterwards none of its bytes is left in any file of
    /// the store. A store that keeps nothing of it has nothing to do.
    ///
    /// # Errors
    /// Fails with `busy`, `full`, `io` or `corrupt`; then the store is as it was.
    async fn compact(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Tells what the store is and how much is in it.
    ///
    /// # Errors
    /// Fails with `io` or `corrupt`.
    async fn info(&self) -> Result<Info, Error>;

    /// Returns the ledger that belongs to the store. It opens nothing but its own place.
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// Gives up whatever keeps other processes out; the next call takes it again.
    ///
    /// # Errors
    /// Fails with `io` where buffered state could not be written.
    async fn release(&self) -> Result<(), Error>;
}

/// Who is shown entries: a key and its value.
pub type Visitor = Arc<dyn Fn(&[u8], &[u8]) + Send + Sync>;

/// How many entries a visit reads at once, where the backend has no way of its own.
const VISITED: usize = 1_000;

/// Where a stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number of its last event; the first is 1.
    pub seq: u64,
    /// The hash of its last event, as the caller gave it.
    pub hash: Vec<u8>,
}

/// One event as the store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the stream.
    pub seq: u64,
    /// Its id.
    pub id: EventId,
    /// Its hash, at most 255 bytes.
    pub hash: Vec<u8>,
    /// The event itself, kept byte for byte.
    pub bytes: Vec<u8>,
}

/// What a commit expects of a stream's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such stream.
    New,
    /// It ends exactly here.
    At(Head),
}

/// Bytes kept under their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The BLAKE3 hash, 64 hex digits.
    pub hash: String,
    /// How many bytes there are.
    pub size: u64,
}

/// What a store is and how much is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// What kind of store it is, in a word.
    pub backend: String,
    /// Where it is; never a secret.
    pub place: String,
    /// The version of its layout; 0 where nothing is laid out.
    pub schema: u64,
    /// How many streams there are.
    pub streams: u64,
    /// How many events there are in all of them.
    pub events: u64,
    /// How many blobs there are.
    pub blobs: u64,
    /// How many bytes the blobs have.
    pub blob_bytes: u64,
    /// How many bytes everything takes where it is kept; `None` where that is not known.
    pub bytes: Option<u64>,
    /// How many turns wait to be folded or are being written.
    pub turns_in_flight: u64,
    /// What was set aside because it was damaged or late, by name.
    pub set_aside: Vec<String>,
}

/// What one commit makes durable together for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The stream.
    pub stream: SessionId,
    /// Where it must end for the unit to apply.
    pub expect: Expect,
    /// Events of the stream whose bytes become others; their places, ids and hashes stay.
    pub replaced: Vec<Replacement>,
    /// What is appended, without a gap.
    pub events: Vec<Row>,
    /// What is written to tables.
    pub writes: Vec<Write>,
    /// The turns in flight that are in the log with this unit.
    pub folded: Vec<TurnId>,
}

impl Unit {
    /// Returns a unit that changes nothing, and applies only where the stream ends as expected.
    pub fn new(stream: SessionId, expect: Expect) -> Self {
        Self {
            stream,
            expect,
            replaced: Vec::new(),
            events: Vec::new(),
            writes: Vec::new(),
            folded: Vec::new(),
        }
    }
}

/// Other bytes for an event that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The event.
    pub id: EventId,
    /// What it shall be.
    pub bytes: Vec<u8>,
}

/// One write to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: Table,
    /// The key, at most 1,024 bytes.
    pub key: Vec<u8>,
    /// The value, or `None` to remove the entry.
    pub value: Option<Vec<u8>>,
}

/// An ordered table of bytes. What its keys and values mean is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// Projection: one row a session.
    Sessions,
    /// Projection: sessions by recency.
    Recent,
    /// Projection: sessions by name.
    Names,
    /// Projection: sessions by the scope they were used in.
    Scopes,
    /// Projection: messages of a session.
    Messages,
    /// Projection: places of messages and turns by their ids.
    Places,
    /// Projection: sessions by the session they were forked from.
    Forks,
    /// Projection: what refers to a blob. Every key begins with the hash of a blob, 64 hex digits; the blob is not
    /// removed as long as there is one.
    Blobs,
    /// Projection: the words of messages, made ready to be searched.
    Words,
    /// Projection: what every call cost, by the time it ended.
    Costs,
    /// Small versioned records outside sessions; no projection.
    Documents,
}

impl Table {
    /// Every table.
    pub const ALL: &'static [Self] = &[
        Self::Sessions,
        Self::Recent,
        Self::Names,
        Self::Scopes,
        Self::Messages,
        Self::Places,
        Self::Forks,
        Self::Blobs,
        Self::Words,
        Self::Costs,
        Self::Documents,
    ];

    /// Returns the table's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Recent => "recent",
            Self::Names => "names",
            Self::Scopes => "scopes",
            Self::Messages => "messages",
            Self::Places => "places",
            Self::Forks => "forks",
            Self::Blobs => "blobs",
            Self::Words => "words",
            Self::Costs => "costs",
            Self::Documents => "documents",
        }
    }

    /// Tells whether the table can be rebuilt from the log.
    pub const fn is_projection(self) -> bool {
        !matches!(self, Self::Documents)
    }
}

/// Which entries of a table, in which direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that begin so.
    pub prefix: Vec<u8>,
    /// Only keys after this one, in the direction of the scan.
    pub after: Option<Vec<u8>>,
    /// From the last key to the first.
    pub reverse: bool,
    /// At most so many; `None` for all.
    pub limit: Option<usize>,
}
