//! Turns in flight as files of a directory: one file a turn, claimed by renaming it.

mod beside;
pub(crate) mod disk;
mod frame;
mod lease;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use aichat_message::{SessionId, TurnId};

use self::disk::Disk;
use self::frame::Content;
use self::lease::FileLease;
use self::writer::FileTurn;
use crate::error::{Error, ErrorKind};
use crate::notice::{Notice, Observer};
use crate::order;
use crate::turn::{Lease, Pending, State, Turn, TurnHeader};

/// Threads of turns that were dropped and still write what they were given.
type Closing = Mutex<Vec<JoinHandle<()>>>;

/// The extension of a journal while it is written.
const WRITTEN: &str = "j";
/// The extension of a journal that waits to be folded.
const CLAIMED: &str = "f";
/// The extension of a new file that takes the place of a journal.
const SPARE: &str = "c";

/// The extension of what is kept beside a turn.
const BESIDE: &str = "wire";

/// The extension of records that came after their turn was folded.
const LATE: &str = "late";
/// The extension of a journal with bytes that are not what was written.
const DAMAGED: &str = "damaged";

/// A directory of turns in flight: `<turn>.j` while one is written, `<turn>.f` once it is claimed; `<turn>.wire` beside
/// either.
pub(crate) struct JournalDir {
    disk: Disk,
    dir: PathBuf,
    observer: Observer,
    closing: Arc<Closing>,
    /// Held while files are claimed or forgotten.
    folding: Mutex<Folding>,
}

/// What a process that folds remembers of the files it has seen.
#[derive(Default)]
struct Folding {
    /// How many records of a turn were handed out.
    claimed: HashMap<TurnId, u64>,
    /// The headers of turns, which never change, and how old their files are: read once, not with every batch.
    headers: HashMap<TurnId, (SystemTime, TurnHeader)>,
}

/// One journal as a listing shows it.
struct Entry {
    header: TurnHeader,
    records: Vec<Vec<u8>>,
    modified: SystemTime,
    state: State,
}

impl JournalDir {
    /// Names the directory; touches nothing.
    pub(crate) fn at(disk: Disk, dir: PathBuf, observer: Observer) -> Self {
        Self { disk, dir, observer, closing: Arc::default(), folding: Mutex::default() }
    }

    pub(crate) async fn begin(
        &self,
        header: TurnHeader,
        records: Vec<Vec<u8>>,
    ) -> Result<Box<dyn Turn>, Error> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        Ok(Box::new(FileTurn::begin(disk, dir, header, records, Arc::clone(&self.closing)).await?))
    }

    /// Takes a session's lock, asking again until `wait` is over.
    pub(crate) async fn lease(&self, session: &SessionId, wait: Duration) -> Result<Box<dyn Lease>, Error> {
        self.disk.make_dir(&self.dir)?;
        let path = self.dir.join(format!("{session}.lock"));
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(lease) = FileLease::take(&self.disk, path.clone())? {
                return Ok(Box::new(lease));
            }
            if waited >= wait {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("another turn of session {session} is in flight"),
                ));
            }
            let nap = pause.min(wait - waited);
            tokio::time::sleep(nap).await;
            waited += nap;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Counts turns that wait, and their bytes.
    pub(crate) fn backlog(&self) -> Result<(usize, u64), Error> {
        let mut backlog = (0, 0);
        for (path, _, extension) in self.list(&[WRITTEN, CLAIMED, BESIDE])? {
            match self.disk.length(&path) {
                Ok(length) => {
                    backlog.0 += usize::from(extension != BESIDE);
                    backlog.1 += length;
                }
                // It was folded or carried by its owner.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(format!("cannot inspect {}", path.display()), error)),
            }
        }
        Ok(backlog)
    }

    /// Refuses a directory with turns of a later version, of which it reads the first bytes only.
    pub(crate) fn refuse_newer(&self) -> Result<(), Error> {
        for (path, turn, _) in self.list(&[WRITTEN, CLAIMED])? {
            let Some(file) = self.open(&path)? else { continue };
            let head = self
                .disk
                .read(&path, &mut file.take(frame::HEAD as u64))
                .map_err(|source| Error::io(format!("cannot read {}", path.display()), source))?;
            frame::read(&turn, &head)?;
        }
        Ok(())
    }

    /// Reads every turn and claims none.
    pub(crate) fn look(&self) -> Result<Vec<Pending>, Error> {
        let pending =
            |entry: Entry| Pending { header: entry.header, records: entry.records, state: entry.state };
        Ok(self.entries()?.into_iter().map(pending).collect())
    }

    /// Claims at most `limit` turns that are over. A turn whose base is still being written waits for it.
    pub(crate) fn claim(&self, limit: usize) -> Result<Vec<Pending>, Error> {
        let mut folding = self.folding();
        let mut pending = Vec::new();
        let mut held = HashSet::new();
        for header in self.headers(&mut folding.headers)? {
            if pending.len() == limit {
                break;
            }
            let ready = !header.base.as_ref().is_some_and(|base| held.contains(base));
            match if ready { self.take(&header.turn)? } else { None } {
                Some(turn) => {
                    folding.claimed.insert(header.turn, turn.records.len() as u64);
                    pending.push(turn);
                }
                None => {
                    held.insert(header.turn);
                }
            }
        }
        Ok(pending)
    }

    /// Returns how many records of a turn a commit of this process folds: those it was handed, or those there are.
    pub(crate) fn records(&self, turn: &TurnId) -> Result<u64, Error> {
        if let Some(count) = self.folding().claimed.get(turn) {
            return Ok(*count);
        }
        for path in [self.path(turn, CLAIMED), self.path(turn, WRITTEN)] {
            if let Some((Content::Turn(journal), ..)) = self.read(turn, &path)? {
                return Ok(journal.records.len() as u64);
            }
        }
        Ok(0)
    }

    /// Forgets a turn of which `folded` records are durable in the log. A journal that holds more, or damage, is
    /// set aside instead.
    pub(crate) fn forget(&self, turn: &TurnId, folded: u64) -> Result<(), Error> {
        let mut folding = self.folding();
        folding.claimed.remove(turn);
        self.settle();
        for extension in [CLAIMED, WRITTEN] {
            let path = self.path(turn, extension);
            let found = match extension {
                // A journal with a living writer is looked at again when it is over.
                WRITTEN => self.read_dead(turn, &path)?.map(|(content, _lock)| content),
                _ => self.read(turn, &path)?.map(|(content, ..)| content),
            };
            let Some(content) = found else { continue };
            // First, so that it never outlives what leads to it.
            self.disk.remove(&self.path(turn, BESIDE))?;
            match content {
                Content::Turn(journal) if journal.records.len() as u64 > folded => {
                    self.set_aside(&path, LATE)?
                }
                Content::Turn(journal) if journal.damaged => self.set_aside(&path, DAMAGED)?,
                Content::Damaged => self.set_aside(&path, DAMAGED)?,
                Content::Turn(_) | Content::Unborn => self.disk.remove(&path)?,
            }
        }
        Ok(())
    }

    /// Returns what is kept beside a turn, up to what did not get there whole.
    pub(crate) fn beside(&self, turn: &TurnId) -> Result<Vec<Vec<u8>>, Error> {
        self.settle();
        let path = self.path(turn, BESIDE);
        let Some(mut file) = self.open(&path)? else { return Ok(Vec::new()) };
        let image = self.disk.read(&path, &mut file);
        let image = image.map_err(|source| Error::io(format!("cannot read {}", path.display()), source))?;
        Ok(frame::pieces(&image))
    }

    /// Copies every turn to another directory. Returns the files of those that are still being written, which are taken
    /// for such as long as these are open.
    pub(crate) fn copy_to(&self, dir: &Path) -> Result<Vec<File>, Error> {
        let mut running = Vec::new();
        for (path, turn, extension) in self.list(&[WRITTEN, CLAIMED])? {
            let (opened, extension) = match self.open(&path)? {
                // It was claimed, that is renamed, since it was listed.
                None => (self.open(&self.path(&turn, CLAIMED))?, CLAIMED),
                opened => (opened, extension),
            };
            let Some(mut file) = opened else { continue };
            let is_over = extension == CLAIMED || self.disk.is_free(&path, &file)?;
            let image = self.disk.read(&path, &mut file);
            let image =
                image.map_err(|source| Error::io(format!("cannot read {}", path.display()), source))?;
            let path = dir.join(format!("{turn}.{extension}"));
            let fail = |source| Error::io(format!("cannot write {}", path.display()), source);
            self.disk.make_dir(dir)?;
            let mut copy = match self.disk.create(&path) {
                // It was copied under its new name already.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created.map_err(fail)?,
            };
            self.disk.write(&path, &mut copy, &image).map_err(fail)?;
            // Their order is that of the originals.
            copy.set_modified(modified(&file)).map_err(fail)?;
            if !is_over && self.disk.try_lock(&path, &copy)? {
                running.push(copy);
            }
        }
        Ok(running)
    }

    /// Waits for turns that were dropped in this process to be written.
    pub(crate) fn settle(&self) {
        let threads = std::mem::take(&mut *self.closing.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has nothing left to write.
            let _ = thread.join();
        }
    }

    /// Tells whether no turn that was dropped in this process may still be written.
    pub(crate) fn is_settled(&self) -> bool {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn folding(&self) -> MutexGuard<'_, Folding> {
        self.folding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, turn: &TurnId, extension: &str) -> PathBuf {
        self.dir.join(format!("{turn}.{extension}"))
    }

    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        match self.disk.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            paths => paths.map_err(|source| Error::io(format!("cannot list {}", self.dir.display()), source)),
        }
    }

    /// Lists the files of turns that have one of these extensions.
    fn list(&self, extensions: &[&'static str]) -> Result<Vec<(PathBuf, TurnId, &'static str)>, Error> {
        let mut found = Vec::new();
        for path in self.paths()? {
            let extension = extensions.iter().find(|known| path.extension().is_some_and(|it| it == **known));
            let turn = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let (Some(extension), Some(turn)) = (extension, turn) {
                found.push((path, turn, *extension));
            }
        }
        Ok(found)
    }

    /// Returns the header of every turn, each after its base and otherwise the older one first. What no turn can
    /// come of goes on the way.
    fn headers(
        &self,
        known: &mut HashMap<TurnId, (SystemTime, TurnHeader)>,
    ) -> Result<Vec<TurnHeader>, Error> {
        self.settle();
        let mut listed = HashSet::new();
        for (path, turn, extension) in self.list(&[WRITTEN, CLAIMED, SPARE])? {
            if extension != SPARE
                && !known.contains_key(&turn)
                && let Some((Content::Turn(journal), _, file)) = self.read(&turn, &path)?
            {
                known.insert(turn.clone(), (modified(&file), journal.header));
            }
            if extension == SPARE || !known.contains_key(&turn) {
                self.clear(&path, &turn, extension)?;
            } else {
                listed.insert(turn);
            }
        }
        known.retain(|turn, _| listed.contains(turn));
        let mut headers: Vec<_> = known.values().collect();
        headers.sort_by(|(a, first), (b, second)| (a, &first.turn).cmp(&(b, &second.turn)));
        let headers: Vec<_> = headers.into_iter().map(|(_, header)| header).collect();
        Ok(order::by_base(&headers).into_iter().map(|at| headers[at].clone()).collect())
    }

    /// Clears away a journal that never began or the spare file of a dead writer, and sets damage aside.
    fn clear(&self, path: &Path, turn: &TurnId, extension: &str) -> Result<(), Error> {
        // What was read without the lock may have been the beginnings of a turn that has begun since.
        match self.read_dead(turn, path)? {
            None => Ok(()),
            Some((Content::Turn(_), _)) if extension != SPARE => Ok(()),
            Some((Content::Damaged, _lock)) if extension != SPARE => self.set_aside(path, DAMAGED),
            Some((_, _lock)) => self.disk.remove(path),
        }
    }

    /// Reads every journal that holds a turn, each after its base and otherwise the older one first.
    fn entries(&self) -> Result<Vec<Entry>, Error> {
        self.settle();
        let mut entries: HashMap<TurnId, Entry> = HashMap::new();
        for (path, turn, extension) in self.list(&[WRITTEN, CLAIMED])? {
            let (found, claimed) = match self.read(&turn, &path)? {
                // It was claimed, that is renamed, since it was listed.
                None => (self.read(&turn, &self.path(&turn, CLAIMED))?, true),
                found => (found, extension == CLAIMED),
            };
            let Some((Content::Turn(journal), free, file)) = found else { continue };
            let modified = modified(&file);
            let state = if claimed || free { State::Over } else { State::Running };
            let entry = Entry { header: journal.header, records: journal.records, modified, state };
            match entries.get(&turn) {
                Some(known) if known.records.len() >= entry.records.len() => {}
                _ => {
                    entries.insert(turn, entry);
                }
            }
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        entries.sort_by(|a, b| (a.modified, &a.header.turn).cmp(&(b.modified, &b.header.turn)));
        let order = order::by_base(&entries.iter().map(|entry| &entry.header).collect::<Vec<_>>());
        let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|at| entries[at].take()).collect())
    }

    /// Claims one turn and reads it, or returns `None` where its writer is alive or it is gone.
    fn take(&self, turn: &TurnId) -> Result<Option<Pending>, Error> {
        let claimed = self.path(turn, CLAIMED);
        if !self.disk.exists(&claimed)? && !self.rename(turn, &claimed)? {
            return Ok(None);
        }
        match self.read(turn, &claimed)? {
            Some((Content::Turn(journal), ..)) => {
                Ok(Some(Pending { header: journal.header, records: journal.records, state: State::Over }))
            }
            _ => Ok(None),
        }
    }

    /// Renames a journal whose writer is dead. Its lock is held meanwhile, and the name checked, so that nobody
    /// else renames another file onto ours.
    fn rename(&self, turn: &TurnId, claimed: &Path) -> Result<bool, Error> {
        let path = self.path(turn, WRITTEN);
        for attempt in 0..3 {
            let file = match self.disk.open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return self.disk.exists(claimed),
                Err(error) => return Err(Error::io(format!("cannot open {}", path.display()), error)),
            };
            if self.disk.try_lock(&path, &file)? {
                if self.disk.names(&path, &file)? && !self.disk.exists(claimed)? {
                    self.disk
                        .rename(&path, claimed)
                        .map_err(|source| Error::io(format!("cannot claim {}", path.display()), source))?;
                }
                return self.disk.exists(claimed);
            }
            // Somebody who only looks holds the lock for an instant.
            if attempt < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(false)
    }

    /// Lists the files that were set aside.
    pub(crate) fn set_aside_files(&self) -> Result<Vec<PathBuf>, Error> {
        let paths = self.paths()?;
        let is_aside = |path: &PathBuf| {
            let mark = path.extension().and_then(|mark| mark.to_str()).unwrap_or_default();
            [LATE, DAMAGED].contains(&mark.trim_end_matches(|c: char| c.is_ascii_digit()))
        };
        Ok(paths.into_iter().filter(is_aside).collect())
    }

    /// Removes what was set aside of these turns.
    pub(crate) fn discard(&self, turns: &[TurnId]) -> Result<(), Error> {
        for turn in turns {
            self.disk.remove(&self.path(turn, BESIDE))?;
        }
        for path in self.set_aside_files()? {
            let turn = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if turn.is_some_and(|turn: TurnId| turns.contains(&turn)) {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Moves a journal out of the way, to a name that is not taken.
    fn set_aside(&self, path: &Path, mark: &str) -> Result<(), Error> {
        let mut aside = path.with_extension(mark);
        let mut number = 1;
        while self.disk.exists(&aside)? {
            number += 1;
            aside = path.with_extension(format!("{mark}{number}"));
        }
        self.disk
            .rename(path, &aside)
            .map_err(|source| Error::io(format!("cannot set {} aside", path.display()), source))?;
        (self.observer)(&Notice::JournalSetAside { path: aside });
        Ok(())
    }

    /// Reads a journal, or returns `None` where there is none. Tells as well whether nobody held its lock before it
    /// was read, that is, whether what was read is all there will be.
    fn read(&self, turn: &TurnId, path: &Path) -> Result<Option<(Content, bool, File)>, Error> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        let free = self.disk.is_free(path, &file)?;
        Ok(Some((self.content(turn, path, &mut file)?, free, file)))
    }

    /// Reads a journal under its lock, which comes with it; `None` where there is none or its writer is alive.
    fn read_dead(&self, turn: &TurnId, path: &Path) -> Result<Option<(Content, File)>, Error> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        if !(self.disk.try_lock(path, &file)? && self.disk.names(path, &file)?) {
            return Ok(None);
        }
        Ok(Some((self.content(turn, path, &mut file)?, file)))
    }

    /// Opens a journal to read it, which must work where nothing can be written.
    fn open(&self, path: &Path) -> Result<Option<File>, Error> {
        match self.disk.open_to_read(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot open {}", path.display()), error)),
        }
    }

    fn content(&self, turn: &TurnId, path: &Path, file: &mut File) -> Result<Content, Error> {
        let image = self
            .disk
            .read(path, file)
            .map_err(|source| Error::io(format!("cannot read {}", path.display()), source))?;
        frame::read(turn, &image)
    }
}

/// Returns how old a file is, for an order that nothing but habit depends on.
fn modified(file: &File) -> SystemTime {
    file.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
