//! The embedded store: turns in flight as journal files, the log in a sled database, large values as files.

mod blobs;
mod compact;
mod copy;
mod data;
mod database;
mod mark;
mod open;
mod pin;
mod reader;
mod schema;
mod scratch;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use aichat_message::{EventId, SessionId, TurnId};

use self::blobs::Blobs;
use self::copy::Copy;
use self::database::{Database, Failure};
use self::mark::Mark;
pub use self::open::is_caught;
use self::pin::Pin;
pub use self::reader::SledReader;
use crate::admit;
use crate::error::{Error, ErrorKind};
use crate::journal::JournalDir;
use crate::journal::disk::Disk;
use crate::ledger::Ledger;
use crate::ledger::file::FileLedger;
use crate::notice::{Notice, Observer};
use crate::store::{Blob, Head, Info, Row, Scan, Store, Table, Unit, Visitor, Write};
use crate::turn::{Claim, Lease, Pending, Turn, TurnHeader};

/// A store in a directory. Clones share it.
///
/// The directory belongs to one user. Several processes may use it at once: turns in flight are files of their
/// own and need nobody's leave; the log is opened by one process at a time, which the others wait for.
/// [`release`](Store::release) lets them in; dropping the last clone does too.
#[derive(Clone)]
pub struct Sled(Arc<Inner>);

struct Inner {
    disk: Disk,
    path: PathBuf,
    observer: Observer,
    journal: JournalDir,
    ledger: FileLedger,
    /// Large values of the log.
    values: Blobs,
    /// What the caller keeps.
    blobs: Blobs,
    database: RwLock<Option<Database>>,
    /// What this goes along with where it is a copy; last, as it is removed once nothing is open.
    #[expect(dead_code, reason = "held for the effect of dropping it")]
    copy: Option<Copy>,
}

impl Sled {
    /// Names a directory. Nothing is read or written before the first call that needs it.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::observed(path, |_| {})
    }

    /// Names a directory and somebody to tell what happens beside the results, such as a long wait for another
    /// process.
    pub fn observed(path: impl Into<PathBuf>, observer: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self::on(Disk::default(), path.into(), Arc::new(observer))
    }

    /// Names a directory on a disk.
    pub(crate) fn on(disk: Disk, path: PathBuf, observer: Observer) -> Self {
        Self(Arc::new(Inner::on(disk, path, observer)))
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Tells whether there is a store in the directory, or a turn in flight of one to come.
    pub fn exists(&self) -> bool {
        ["db", "db.old", "journal"].iter().any(|name| self.0.path.join(name).is_dir())
    }

    /// Runs work that may block on a thread for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Io, "the store's work was cut off").with_source(source))
        })
    }

    /// Sees to it that the database is open.
    async fn ready(&self) -> Result<(), Error> {
        match self.0.database.try_read().is_ok_and(|open| open.is_some()) {
            true => Ok(()),
            false => self.with(|_, _| Ok(())).await,
        }
    }

    /// Runs work on the database, which is opened first where it is not open.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &Database) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        self.blocking(move |inner| inner.with(work)).await
    }
}

impl Inner {
    fn on(disk: Disk, path: PathBuf, observer: Observer) -> Self {
        Self {
            journal: JournalDir::at(disk.clone(), path.join("journal"), Arc::clone(&observer)),
            values: Blobs::compressed(disk.clone(), path.join("blobs")),
            ledger: FileLedger::at(disk.clone(), &path),
            blobs: Blobs::at(disk.clone(), path.join("attached")),
            database: RwLock::default(),
            copy: None,
            disk,
            observer,
            path,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Self, &Database) -> Result<T, Failure>) -> Result<T, Error> {
        loop {
            let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = &*open else {
                drop(open);
                let mut open = self.database.write().unwrap_or_else(PoisonError::into_inner);
                if open.is_none() {
                    *open = Some(self.open()?);
                }
                continue;
            };
            // The engine asserts where it finds its pages inconsistent. It is not used again after that.
            let result = open::caught(|| work(self, database));
            drop(open);
            return match result {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(Failure::Refused(error))) => Err(error),
                Ok(Err(Failure::Engine(error))) => {
                    // After a failed write the engine answers nothing any more; the next call opens it anew.
                    self.close();
                    Err(error)
                }
                Err(_) => {
                    self.close();
                    Err(Error::new(ErrorKind::Corrupt, "the log's pages do not fit together"))
                }
            };
        }
    }

    fn open(&self) -> Result<Database, Error> {
        open::open(&self.disk, &self.path, &self.journal, &self.observer)
    }

    fn compact(&self) -> Result<(), Error> {
        {
            // Whoever holds a pin may need the database to let go of it.
            self.close();
            let _alone = Pin::alone(&self.blobs)?;
            self.blobs.clear_unfinished()?;
        }
        let mut open = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = match open.take() {
            Some(database) => database,
            None => self.open()?,
        };
        open::caught(|| compact::compact(&self.disk, &self.path, &self.values, database))
            .unwrap_or_else(|_| Err(open::inconsistent()))
    }

    fn close(&self) {
        let closed = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping writes what is buffered and may assert as well; then there is nothing left to save.
        let _ = open::caught(|| drop(closed));
    }
}

/// Returns how many bytes the files below a directory have.
fn size(dir: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in open::files(dir)? {
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => bytes += size(&path)?,
            Ok(found) => bytes += found.len(),
            // Gone since it was listed.
            Err(_) => {}
        }
    }
    Ok(bytes)
}

#[async_trait]
impl Store for Sled {
    async fn begin(&self, header: TurnHeader, records: Vec<Vec<u8>>) -> Result<Box<dyn Turn>, Error> {
        self.0.journal.begin(header, records).await
    }

    async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        self.0.journal.lease(session, wait).await
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.0.ledger.clone())
    }

    async fn backlog(&self) -> Result<(usize, u64), Error> {
        self.blocking(|inner| inner.journal.backlog()).await
    }

    async fn pulse(&self) -> Result<Option<u64>, Error> {
        self.blocking(|inner| {
            let unknown = if inner.path.join("db").is_dir() { u64::MAX } else { 0 };
            Ok(Some(Mark::peek(&inner.path.join("mark")).unwrap_or(unknown)))
        })
        .await
    }

    async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        match claim {
            Claim::Look => self.blocking(|inner| inner.journal.look()).await,
            Claim::Fold(limit) => self.with(move |inner, database| inner.claim(database, limit)).await,
        }
    }

    async fn beside(&self, turn: &TurnHeader) -> Result<Vec<Vec<u8>>, Error> {
        let turn = turn.turn.clone();
        self.blocking(move |inner| inner.journal.beside(&turn)).await
    }

    async fn commit(&self, units: Vec<Unit>) -> Result<(), Error> {
        self.with(move |inner, database| {
            let counts = units
                .iter()
                .flat_map(|unit| &unit.folded)
                .map(|turn| Ok((turn.clone(), inner.journal.records(turn)?)))
                .collect::<Result<_, Error>>()?;
            for (turn, count) in database.commit(&inner.values, &units, &counts)? {
                // The commit is durable whatever becomes of its journals: the next claim finds their markers, tries
                // again and reports a failure.
                let _ = inner.journal.forget(&turn, count);
            }
            Ok(())
        })
        .await
    }

    async fn folded(&self, turn: &TurnId) -> Result<bool, Error> {
        let turn = turn.clone();
        self.with(move |_, database| Ok(database.marker(&turn)?.is_some())).await
    }

    async fn head(&self, stream: &SessionId) -> Result<Option<Head>, Error> {
        let stream = stream.clone();
        self.with(move |_, database| database.head(&stream)).await
    }

    async fn events(&self, stream: &SessionId, from: u64, limit: usize) -> Result<Vec<Row>, Error> {
        let stream = stream.clone();
        self.with(move |inner, database| database.events(&inner.values, &stream, from, limit)).await
    }

    async fn streams(&self, after: Option<&SessionId>, limit: usize) -> Result<Vec<SessionId>, Error> {
        let after = after.cloned();
        self.with(move |_, database| database.streams(after.as_ref(), limit)).await
    }

    async fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Error> {
        let event = event.clone();
        self.with(move |_, database| database.find(&event)).await
    }

    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let key = key.to_vec();
        self.with(move |inner, database| database.get(&inner.values, table, &key)).await
    }

    async fn scan(&self, table: Table, scan: Scan) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        self.with(move |inner, database| database.scan(&inner.values, table, &scan)).await
    }

    async fn rows(&self, table: Table, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.with(move |inner, database| database.rows(&inner.values, table, &keys)).await
    }

    async fn visit(&self, table: Table, prefix: &[u8], visitor: Visitor) -> Result<(), Error> {
        let prefix = prefix.to_vec();
        self.with(move |inner, database| database.visit(&inner.values, table, &prefix, &visitor)).await
    }

    async fn replace_projections(&self, writes: Vec<Write>) -> Result<(), Error> {
        self.with(move |inner, database| database.replace_projections(&inner.values, &writes)).await
    }

    async fn stale(&self) -> Result<bool, Error> {
        self.with(|_, database| database.stale()).await
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, Error> {
        let bytes = bytes.to_vec();
        self.blocking(move |inner| {
            // Nobody clears away what is half written.
            let _pin = Pin::shared(&inner.blobs)?;
            Ok(inner.blobs.put(&bytes)?.to_hex().to_string())
        })
        .await
    }

    async fn blob(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        admit::check_hash(hash)?;
        let hash = blake3::Hash::from_hex(hash).expect("64 hex digits are a hash");
        self.blocking(move |inner| inner.blobs.get(&hash)).await
    }

    async fn blobs(&self, after: Option<&str>, limit: usize) -> Result<Vec<Blob>, Error> {
        let after = after.map(str::to_owned);
        self.blocking(move |inner| {
            let mut blobs = inner.blobs.list()?;
            blobs.retain(|blob| after.as_ref().is_none_or(|after| blob.hash > *after));
            blobs.truncate(limit);
            Ok(blobs)
        })
        .await
    }

    async fn pin(&self) -> Result<Box<dyn Lease>, Error> {
        self.blocking(|inner| Ok(Box::new(Pin::shared(&inner.blobs)?) as Box<dyn Lease>)).await
    }

    async fn forget_blobs(&self, hashes: &[String]) -> Result<u64, Error> {
        hashes.iter().try_for_each(|hash| admit::check_hash(hash))?;
        let hashes = hashes.to_vec();
        self.blocking(move |inner| {
            let begun = Instant::now();
            loop {
                // The database first, as whoever pins with it open takes them; and let go of while somebody pins, who
                // may need it before that ends.
                let done = inner.with(|inner, database| match Pin::alone(&inner.blobs)? {
                    Some(_alone) => inner.forget_blobs(database, &hashes).map(Some),
                    None => Ok(None),
                })?;
                if let Some(removed) = done {
                    return Ok(removed);
                }
                inner.close();
                pin::wait(begun, "blobs are being kept")?;
            }
        })
        .await
    }

    async fn discard(&self, turns: &[TurnId]) -> Result<(), Error> {
        let turns = turns.to_vec();
        self.blocking(move |inner| inner.journal.discard(&turns)).await
    }

    async fn compact(&self) -> Result<(), Error> {
        self.blocking(Inner::compact).await
    }

    async fn info(&self) -> Result<Info, Error> {
        self.with(|inner, database| {
            let (schema, streams, events) = database.counts();
            let blobs = inner.blobs.list()?;
            Ok(Info {
                backend: "sled".to_owned(),
                place: inner.path.display().to_string(),
                schema,
                streams,
                events,
                blobs: blobs.len() as u64,
                blob_bytes: blobs.iter().map(|blob| blob.size).sum(),
                bytes: Some(size(&inner.path)?),
                turns_in_flight: inner.journal.backlog()?.0 as u64,
                set_aside: inner.set_aside()?,
            })
        })
        .await
    }

    async fn release(&self) -> Result<(), Error> {
        if self.0.is_at_rest() {
            // No thread is started to close what nobody opened.
            return Ok(());
        }
        self.blocking(|inner| {
            inner.journal.settle();
            inner.close();
            Ok(())
        })
        .await
    }
}

impl Inner {
    /// Tells whether the database is closed and nothing is being written that must be waited for.
    fn is_at_rest(&self) -> bool {
        self.database.try_read().is_ok_and(|open| open.is_none()) && self.journal.is_settled()
    }

    fn forget_blobs(&self, database: &Database, hashes: &[String]) -> Result<u64, Failure> {
        let flights = self.journal.look()?;
        let mut removed = 0;
        for hash in hashes {
            let mentioned = flights.iter().any(|flight| flight.mentions(hash));
            if !mentioned && !database.refers_to(hash)? && self.blobs.remove(hash)? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Lists the files that were set aside, by their paths below the store's directory.
    fn set_aside(&self) -> Result<Vec<String>, Error> {
        let mut paths = self.journal.set_aside_files()?;
        let log = self.path.join("db");
        if log.is_dir() {
            paths.extend(open::snapshots_set_aside(&log)?);
        }
        let name = |path: &PathBuf| path.strip_prefix(&self.path).unwrap_or(path).display().to_string();
        let mut names: Vec<String> = paths.iter().map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Claims turns to fold. Those that a process folded and did not live to forget are forgotten on the way; one
    /// with more records than were folded comes back.
    fn claim(&self, database: &Database, limit: usize) -> Result<Vec<Pending>, Failure> {
        loop {
            let claimed = self.journal.claim(limit)?;
            let mut fresh = Vec::with_capacity(claimed.len());
            let mut stale = Vec::new();
            for turn in claimed {
                match database.marker(&turn.header.turn)? {
                    Some(count) if turn.records.len() as u64 <= count => {
                        stale.push((turn.header.turn, count))
                    }
                    _ => fresh.push(turn),
                }
            }
            if stale.is_empty() {
                return Ok(fresh);
            }
            database.sync()?;
            for (turn, count) in stale {
                self.journal.forget(&turn, count)?;
            }
            if !fresh.is_empty() {
                return Ok(fresh);
            }
        }
    }
}
