//! The log and the tables as trees of an open database, and what makes a write to them durable.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::iter;
use std::num::NonZero;
use std::ops::Bound;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional, TransactionalTree,
    UnabortableTransactionError,
};
use sled::{Batch, Db, Tree};

use aichat_message::{EventId, SessionId, TurnId};

use super::blobs::Blobs;
use super::data::Data;
use super::mark::Mark;
use super::schema::{self, SCHEMA, STALE_SCHEMA};
use super::value;
use crate::admit::{self, Log, Verdict};
use crate::error::{Error, ErrorKind};
use crate::journal::disk::Disk;
use crate::range::{Range, range};
use crate::store::{Head, Row, Scan, Table, Unit, Visitor, Write};

/// How many entries of a rebuild are written at once.
const BATCH: usize = 512;

/// Keys and values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// What ended a piece of work.
pub(super) enum Failure {
    /// The caller asked for something that cannot be, or a file beside the database failed.
    Refused(Error),
    /// The database failed and must be opened anew.
    Engine(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        Self::Engine(engine_error(error))
    }
}

/// Returns a failure of the engine in the words of this crate.
pub(super) fn engine_error(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(source)
            if !matches!(
                source.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
            ) =>
        {
            Error::io("cannot read or write the log", source)
        }
        sled::Error::Unsupported(what) => {
            Error::new(ErrorKind::Newer, "the log's format is not one this program knows").with_source(what)
        }
        other => Error::new(ErrorKind::Corrupt, "the log is damaged").with_source(other.to_string()),
    }
}

/// An open database. Dropping it closes the trees before it lets the next process in.
pub(super) struct Database {
    log: Vec<Tree>,
    writing: Mutex<()>,
    engine: Db,
    /// The engine's flush does not reach the disk; a sync of this descriptor does.
    data: Data,
    mark: Mark,
    lock: File,
}

/// The trees of a transaction, by their place in it; the tables follow.
const EVENTS: usize = 0;
const HEADS: usize = 1;
const IDS: usize = 2;
const TURNS: usize = 3;
const META: usize = 4;
const TABLES: usize = 5;

/// Keys of the tree `meta`.
const SCHEMA_KEY: &str = "schema";
const COMMITS_KEY: &str = "commits";
const STALE_KEY: &str = "stale";

/// Returns a table's place among the trees.
fn place(table: Table) -> usize {
    TABLES + Table::ALL.iter().position(|known| *known == table).expect("`Table::ALL` names every table")
}

impl Database {
    /// Takes over an engine that was just opened, whose file is `data`, under the lock that keeps others out.
    /// `path` is the store's directory.
    ///
    /// # Errors
    /// Fails with `newer` where a later version wrote it, and with `corrupt` where commits are missing that
    /// `mark` counts.
    pub(super) fn new(
        engine: Db,
        data: Data,
        mark: Mark,
        lock: File,
        disk: &Disk,
        path: &Path,
    ) -> Result<Self, Failure> {
        let meta = engine.open_tree("meta")?;
        let number =
            |key| Ok::<_, Failure>(meta.get(key)?.map(|value| value::read_number(&value)).transpose()?);
        let schema = number(SCHEMA_KEY)?;
        schema::refuse_newer(schema)?;
        // The engine takes damage in the newest part of its file for the end of it.
        let commits = number(COMMITS_KEY)?.unwrap_or(0);
        if commits < mark.commits() {
            let message =
                format!("the log is damaged: it ends after {commits} of {} commits", mark.commits());
            return Err(Failure::Refused(Error::new(ErrorKind::Corrupt, message)));
        }
        let names = ["events", "heads", "ids", "turns", "meta"].into_iter();
        let names = names.chain(Table::ALL.iter().map(|table| table.name()));
        let log = names.map(|name| engine.open_tree(name)).collect::<Result<_, _>>()?;
        let database = Self { log, writing: Mutex::default(), engine, data, mark, lock };
        // First, so that whoever knows less than the trees are of never opens them.
        schema::write(disk, path)?;
        if schema.is_some_and(|schema| schema <= STALE_SCHEMA) {
            database.log[META].insert(STALE_KEY, value::number(1))?;
            database.sync()?;
        }
        if schema != Some(SCHEMA) {
            database.log[META].insert(SCHEMA_KEY, value::number(SCHEMA))?;
            database.sync()?;
        }
        Ok(database)
    }

    /// Returns the engine, to read all there is.
    pub(super) fn engine(&self) -> &Db {
        &self.engine
    }

    /// Closes the trees, and keeps other processes out as long as what is returned.
    pub(super) fn close(self) -> File {
        let Self { log, engine, lock, .. } = self;
        drop(log);
        drop(engine);
        lock
    }

    /// Makes every write so far survive a loss of power.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.engine.flush()?;
        self.data.sync().map_err(Failure::Engine)
    }

    /// Commits units. Returns those of their turns that are in the log, and how many records of each; all of it
    /// is durable. `counts` says how many records of its turns this commit folds.
    pub(super) fn commit(
        &self,
        blobs: &Blobs,
        units: &[Unit],
        counts: &HashMap<TurnId, u64>,
    ) -> Result<Vec<(TurnId, u64)>, Failure> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = units.iter().map(|unit| Prepared::new(blobs, unit)).collect::<Result<Vec<_>, _>>()?;
        let commits = Cell::new(0);
        let committed = self.log.as_slice().transaction(|trees| {
            let log = Staged { trees };
            let mut marked = Vec::new();
            for unit in &prepared {
                let verdict = admit::judge(&log, unit.unit)
                    .and_then(|verdict| verdict.map_err(Stop::Refused))
                    .map_err(ConflictableTransactionError::from)?;
                unit.apply(&log, &verdict, counts).map_err(ConflictableTransactionError::from)?;
                for turn in &unit.unit.folded {
                    if let Some(count) = log.marker(turn).map_err(ConflictableTransactionError::from)? {
                        marked.push((turn.clone(), count));
                    }
                }
            }
            let before = log.number(META, COMMITS_KEY).map_err(ConflictableTransactionError::from)?;
            commits.set(before.unwrap_or(0) + 1);
            trees[META].insert(COMMITS_KEY, value::number(commits.get()))?;
            Ok(marked)
        });
        let marked = match committed {
            Ok(marked) => marked,
            Err(TransactionError::Abort(error)) => return Err(Failure::Refused(error)),
            Err(TransactionError::Storage(error)) => return Err(error.into()),
        };
        // A marker that was there already may be known to the page cache only.
        self.sync()?;
        self.mark.set(commits.get());
        Ok(marked)
    }

    /// Returns how many records of a turn are in the log, or `None` where it was not folded.
    pub(super) fn marker(&self, turn: &TurnId) -> Result<Option<u64>, Failure> {
        Ok(self.log[TURNS].get(turn.as_str())?.map(|value| value::read_number(&value)).transpose()?)
    }

    pub(super) fn head(&self, stream: &SessionId) -> Result<Option<Head>, Failure> {
        Ok(self.log[HEADS].get(stream.as_str())?.map(|value| value::read_head(&value)).transpose()?)
    }

    pub(super) fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Failure> {
        Ok(self.log[IDS].get(event.as_str())?.map(|value| value::read_place(&value)).transpose()?)
    }

    /// Returns events, and makes sure that none is missing among them.
    pub(super) fn events(
        &self,
        blobs: &Blobs,
        stream: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Row>, Failure> {
        let Some(head) = self.head(stream)? else { return Ok(Vec::new()) };
        let mut next = from.max(1);
        let mut rows = Vec::new();
        let keys = value::event_key(stream, next)..=value::event_key(stream, u64::MAX);
        for entry in self.log[EVENTS].range(keys).take(limit) {
            let (key, value) = entry?;
            let row = value::read_event(blobs, &key, &value)?;
            if row.seq != next {
                return Err(missing(stream, next));
            }
            next = next.saturating_add(1);
            rows.push(row);
        }
        match rows.len() < limit && next <= head.seq {
            true => Err(missing(stream, next)),
            false => Ok(rows),
        }
    }

    pub(super) fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Failure> {
        let scan = Scan { after: after.map(|after| after.as_str().into()), ..Scan::default() };
        let Some(range) = range(&scan) else { return Ok(Vec::new()) };
        self.log[HEADS].range(range).take(limit).map(|entry| Ok(value::parse(&entry?.0)?)).collect()
    }

    pub(super) fn get(&self, blobs: &Blobs, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.log[place(table)].get(key)?.map(|value| value::read_bytes(blobs, &value)).transpose()?)
    }

    pub(super) fn rows(
        &self,
        blobs: &Blobs,
        table: Table,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        keys.iter().map(|key| self.get(blobs, table, key)).collect()
    }

    /// Shows entries to a visitor, on as many threads as there are cores.
    pub(super) fn visit(
        &self,
        blobs: &Blobs,
        table: Table,
        prefix: &[u8],
        visitor: &Visitor,
    ) -> Result<(), Failure> {
        let tree = &self.log[place(table)];
        let pieces = pieces(tree, prefix)?;
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                for entry in tree.range::<Vec<u8>, _>(piece.clone()) {
                    let (key, value) = entry?;
                    visitor(&key, &value::lend_bytes(blobs, &value)?);
                }
            }
            Ok(())
        };
        let others = thread::available_parallelism().map_or(1, NonZero::get).min(pieces.len()).max(1) - 1;
        thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let own = work();
            // What the engine asserts on one of the threads is for whoever called.
            let done =
                others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.fold(own, Result::and)
        })
    }

    pub(super) fn scan(&self, blobs: &Blobs, table: Table, scan: &Scan) -> Result<Entries, Failure> {
        let Some(range) = range(scan) else { return Ok(Vec::new()) };
        let limit = scan.limit.unwrap_or(usize::MAX);
        let entries = self.log[place(table)].range(range);
        let read = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = entry?;
            Ok((key.to_vec(), value::read_bytes(blobs, &value)?))
        };
        match scan.reverse {
            true => entries.rev().take(limit).map(read).collect(),
            false => entries.take(limit).map(read).collect(),
        }
    }

    /// Replaces the projections. They are marked as stale meanwhile, because no transaction is as large as they
    /// may be.
    pub(super) fn replace_projections(&self, blobs: &Blobs, writes: &[Write]) -> Result<(), Failure> {
        admit::check_projections(writes)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.log[META].insert(STALE_KEY, value::number(1))?;
        self.sync()?;
        for table in Table::ALL.iter().filter(|table| table.is_projection()) {
            let tree = &self.log[place(*table)];
            tree.clear()?;
            let mut batch = Batch::default();
            for (count, write) in writes.iter().filter(|write| write.table == *table).enumerate() {
                match &write.value {
                    Some(value) => batch.insert(write.key.as_slice(), value::bytes(blobs, value)?),
                    None => batch.remove(write.key.as_slice()),
                }
                if count % BATCH == BATCH - 1 {
                    tree.apply_batch(std::mem::take(&mut batch))?;
                }
            }
            tree.apply_batch(batch)?;
        }
        self.sync()?;
        let commits = self.log[META].get(COMMITS_KEY)?.map(|value| value::read_number(&value)).transpose()?;
        let commits = commits.unwrap_or(0) + 1;
        self.log[META].insert(COMMITS_KEY, value::number(commits))?;
        self.log[META].remove(STALE_KEY)?;
        self.sync()?;
        self.mark.set(commits);
        Ok(())
    }

    /// Tells whether an entry refers to a blob.
    pub(super) fn refers_to(&self, hash: &str) -> Result<bool, Failure> {
        Ok(self.log[place(Table::Blobs)].scan_prefix(hash).next().transpose()?.is_some())
    }

    /// Returns the version of the trees, and how many streams and events there are.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (SCHEMA, self.log[HEADS].len() as u64, self.log[EVENTS].len() as u64)
    }

    pub(super) fn stale(&self) -> Result<bool, Failure> {
        Ok(self.log[META].contains_key(STALE_KEY)?)
    }
}

/// Cuts the keys that begin with `prefix` into ranges that several threads can take in turn, by the first byte in
/// which the first and the last of them differ.
fn pieces(tree: &Tree, prefix: &[u8]) -> Result<Vec<Range>, Failure> {
    let whole = Scan { prefix: prefix.to_vec(), ..Scan::default() };
    let Some((low, high)) = range(&whole) else { return Ok(Vec::new()) };
    let mut ends = tree.range::<Vec<u8>, _>((low.clone(), high.clone())).keys();
    let Some(first) = ends.next().transpose()? else { return Ok(Vec::new()) };
    let last = ends.next_back().transpose()?.unwrap_or_else(|| first.clone());
    let same = first.iter().zip(last.iter()).take_while(|(a, b)| a == b).count();
    let byte = |key: &[u8]| key.get(same).copied().unwrap_or(0);
    let cuts = byte(&first)..byte(&last);
    let cut = |byte: u8| [&last[..same], &[byte + 1]].concat();
    let lows = iter::once(low).chain(cuts.clone().map(|byte| Bound::Included(cut(byte))));
    let highs = cuts.map(|byte| Bound::Excluded(cut(byte))).chain(iter::once(high));
    Ok(lows.zip(highs).collect())
}

fn missing(stream: &SessionId, seq: u64) -> Failure {
    Failure::Refused(Error::new(ErrorKind::Corrupt, format!("event {seq} of stream {stream} is missing")))
}

/// A unit with the values it may write.
struct Prepared<'a> {
    unit: &'a Unit,
    replaced: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
    writes: Vec<Option<Vec<u8>>>,
}

impl<'a> Prepared<'a> {
    /// Encodes a unit's values. Large ones are durable blobs afterwards, before anything refers to them.
    fn new(blobs: &Blobs, unit: &'a Unit) -> Result<Self, Error> {
        let replaced = unit.replaced.iter().map(|event| value::bytes(blobs, &event.bytes));
        let replaced = replaced.collect::<Result<_, _>>()?;
        let events = unit.events.iter().map(|row| value::event(blobs, row)).collect::<Result<_, _>>()?;
        let write = |write: &Write| write.value.as_ref().map(|bytes| value::bytes(blobs, bytes)).transpose();
        let writes = unit.writes.iter().map(write).collect::<Result<_, _>>()?;
        Ok(Self { unit, replaced, events, writes })
    }

    fn apply(&self, log: &Staged<'_>, verdict: &Verdict, counts: &HashMap<TurnId, u64>) -> Result<(), Stop> {
        let trees = log.trees;
        let stream = &self.unit.stream;
        if let Verdict::Append(from) = verdict {
            for (row, value) in self.unit.events.iter().zip(&self.events).skip(*from) {
                trees[EVENTS].insert(value::event_key(stream, row.seq), value.as_slice())?;
                trees[IDS].insert(row.id.as_str(), value::place(stream, row.seq))?;
            }
            for (event, bytes) in self.unit.replaced.iter().zip(&self.replaced) {
                let (_, seq) = log.find(&event.id)?.ok_or_else(|| gone(&event.id))?;
                let key = value::event_key(stream, seq);
                let old = trees[EVENTS].get(&key)?.ok_or_else(|| gone(&event.id))?;
                let new = value::with_bytes(&old, bytes).map_err(Stop::Refused)?;
                trees[EVENTS].insert(key, new)?;
            }
            if let Some(last) = self.unit.events[*from..].last() {
                let head = Head { seq: last.seq, hash: last.hash.clone() };
                trees[HEADS].insert(stream.as_str(), value::head(&head))?;
            }
            for (write, value) in self.unit.writes.iter().zip(&self.writes) {
                let tree = &trees[place(write.table)];
                match value {
                    Some(value) => tree.insert(write.key.as_slice(), value.as_slice())?,
                    None => tree.remove(write.key.as_slice())?,
                };
            }
        }
        for turn in &self.unit.folded {
            let count = counts.get(turn).copied().unwrap_or(0);
            let marked = match verdict {
                Verdict::Folded => log.marker(turn)?,
                Verdict::Known | Verdict::Append(_) => None,
            };
            let writes = match marked {
                // Whoever forgets a turn without events has dealt with what came after it was folded.
                Some(marked) => self.unit.events.is_empty() && count > marked,
                None => *verdict != Verdict::Folded,
            };
            if writes {
                trees[TURNS].insert(turn.as_str(), value::number(count))?;
            }
        }
        Ok(())
    }
}

fn gone(event: &EventId) -> Stop {
    Stop::Refused(Error::new(ErrorKind::Corrupt, format!("event {event} is missing")))
}

/// What ends a transaction before its time.
enum Stop {
    Refused(Error),
    Engine(UnabortableTransactionError),
}

impl From<UnabortableTransactionError> for Stop {
    fn from(error: UnabortableTransactionError) -> Self {
        Self::Engine(error)
    }
}

impl From<Stop> for ConflictableTransactionError<Error> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(error) => Self::Abort(error),
            Stop::Engine(error) => error.into(),
        }
    }
}

/// The log as a transaction sees it.
struct Staged<'a> {
    trees: &'a [TransactionalTree],
}

impl Staged<'_> {
    fn marker(&self, turn: &TurnId) -> Result<Option<u64>, Stop> {
        self.number(TURNS, turn.as_str())
    }

    fn number(&self, tree: usize, key: &str) -> Result<Option<u64>, Stop> {
        let value = self.trees[tree].get(key)?;
        value.map(|value| value::read_number(&value)).transpose().map_err(Stop::Refused)
    }
}

impl Log for Staged<'_> {
    type Error = Stop;

    fn head(&self, stream: &SessionId) -> Result<Option<Head>, Stop> {
        let value = self.trees[HEADS].get(stream.as_str())?;
        value.map(|value| value::read_head(&value)).transpose().map_err(Stop::Refused)
    }

    fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Stop> {
        let value = self.trees[IDS].get(event.as_str())?;
        value.map(|value| value::read_place(&value)).transpose().map_err(Stop::Refused)
    }

    fn folded(&self, turn: &TurnId) -> Result<bool, Stop> {
        Ok(self.marker(turn)?.is_some())
    }
}
