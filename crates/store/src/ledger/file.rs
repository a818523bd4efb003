//! The ledger of the embedded store: an append-only file of entries under a lock of its own.
//!
//! Each line is the CRC-32 of an entry in eight hexadecimal digits, a space, and the entry as JSON. A last line that was
//! torn off is no entry: nobody was told that it was made, and whoever comes next cuts it. Any other line that does not
//! read is damage: what it says is lost, so that no limit can be kept until somebody has it left out. Nothing here opens
//! the log.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Balance, Book, Entry, Hold, Ledger, Verdict};
use crate::error::{Error, ErrorKind};
use crate::journal::disk::{Disk, is_absent};

/// From how many bytes on the file is written anew with what counts of it.
const LARGE: u64 = 64 << 10;
/// How long to wait for others, each of whom needs an instant.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before the lock is asked for again.
const PAUSE: Duration = Duration::from_micros(500);

/// A ledger in a directory. Nothing is read or written before the first call that needs it.
#[derive(Clone)]
pub(crate) struct FileLedger(Arc<Inner>);

struct Inner {
    disk: Disk,
    dir: PathBuf,
    path: PathBuf,
    lock: PathBuf,
    /// Empty; there from a failed sync until the file has been written anew.
    doubt: PathBuf,
    /// Whether a sync failed, also where the disk does not even take a note of it.
    is_doubted: AtomicBool,
}

impl FileLedger {
    pub(crate) fn at(disk: Disk, dir: &Path) -> Self {
        let name = |name| dir.join(name);
        let (path, lock, doubt) = (name("ledger"), name("ledger.lock"), name("ledger.doubt"));
        let is_doubted = AtomicBool::new(false);
        Self(Arc::new(Inner { disk, dir: dir.into(), path, lock, doubt, is_doubted }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Io, "the ledger's work was cut off").with_source(source))
        })
    }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn reserve(&self, hold: Hold) -> Result<Verdict, Error> {
        self.blocking(move |inner| inner.reserve(&hold)).await
    }

    async fn settle(&self, id: &str, spent: Option<u64>) -> Result<(), Error> {
        let id = id.to_owned();
        self.blocking(move |inner| inner.settle(id, spent)).await
    }

    async fn spend(&self, accounts: &[String], amount: u64) -> Result<(), Error> {
        let accounts = accounts.to_vec();
        self.blocking(move |inner| {
            let _lock = inner.lock()?;
            inner.append(&Entry::Spend { amount, accounts }).map(drop)
        })
        .await
    }

    async fn balances(&self) -> Result<Vec<(String, Balance)>, Error> {
        self.blocking(|inner| Ok(inner.read()?.book.balances())).await
    }

    async fn faults(&self) -> Result<Vec<String>, Error> {
        self.blocking(|inner| Ok(inner.read()?.damaged.iter().map(|line| fault(*line)).collect())).await
    }

    async fn leave_out(&self) -> Result<(), Error> {
        self.blocking(Inner::leave_out).await
    }
}

/// What a file says.
#[derive(Default)]
struct Contents {
    book: Book,
    /// The numbers of the lines that do not read, the first is 1.
    damaged: Vec<usize>,
    /// How long the file is without a last line that was torn off.
    whole: u64,
    /// Whether the last line break is missing.
    lacks_break: bool,
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let mut this = Self { whole: bytes.len() as u64, ..Self::default() };
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let ended = line.strip_suffix(b"\n");
            match decode(ended.unwrap_or(line)) {
                Some(entry) => {
                    this.book.apply(&entry);
                    this.lacks_break = ended.is_none();
                }
                None if ended.is_none() => this.whole -= line.len() as u64,
                None => this.damaged.push(number),
            }
        }
        this
    }
}

fn fault(line: usize) -> String {
    format!("line {line} is damaged, and what it says was spent or set aside is not known")
}

impl Inner {
    fn reserve(&self, hold: &Hold) -> Result<Verdict, Error> {
        let file = {
            let _lock = self.lock()?;
            let Contents { book, damaged, .. } = self.read()?;
            let is_limited = hold.accounts.iter().any(|account| account.limit.is_some());
            if let Some(line) = damaged.first().filter(|_| is_limited) {
                let what = format!("in the ledger {} {}", self.path.display(), fault(*line));
                return Err(Error::new(ErrorKind::Corrupt, what));
            }
            let verdict = book.judge(hold);
            if verdict != Verdict::Held || book.holds(&hold.id) {
                return Ok(verdict);
            }
            let file = self.append(&Entry::holding(hold))?;
            if self.is_doubted.load(Ordering::Relaxed) {
                let what =
                    format!("the ledger {} could not be synced, nor written anew", self.path.display());
                return Err(Error::new(ErrorKind::Io, what));
            }
            file
        };
        // Others see it already; that it survives a loss of power concerns us alone. So does the name of its file, which
        // somebody may have changed and not been able to sync.
        self.disk.sync(&self.path, &file).map_err(|source| {
            // A later sync says nothing about the bytes that this one lost.
            self.is_doubted.store(true, Ordering::Relaxed);
            let _ = self.disk.open_or_create(&self.doubt);
            self.fail("sync", source)
        })?;
        self.disk.sync_dir(&self.dir)?;
        Ok(Verdict::Held)
    }

    fn settle(&self, id: String, spent: Option<u64>) -> Result<(), Error> {
        let is_absent = self.disk.exists(&self.path).is_ok_and(|exists| !exists);
        if is_absent {
            return Ok(());
        }
        let _lock = self.lock()?;
        if self.read()?.book.holds(&id) {
            self.append(&Entry::Settle { id, spent })?;
        }
        Ok(())
    }

    fn lock(&self) -> Result<File, Error> {
        let opened = match self.disk.open_or_create(&self.lock) {
            Err(error) if is_absent(&error) => {
                self.disk.make_dir(&self.dir)?;
                self.disk.open_or_create(&self.lock)
            }
            opened => opened,
        };
        let file =
            opened.map_err(|source| Error::io(format!("cannot open {}", self.lock.display()), source))?;
        let began = Instant::now();
        while !self.disk.try_lock(&self.lock, &file)? {
            if began.elapsed() > PATIENCE {
                return Err(Error::new(ErrorKind::Busy, "another process holds the ledger"));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(file)
    }

    fn read(&self) -> Result<Contents, Error> {
        Ok(Contents::of(&self.bytes()?))
    }

    fn bytes(&self) -> Result<Vec<u8>, Error> {
        let read =
            self.disk.open_to_read(&self.path).and_then(|mut file| self.disk.read(&self.path, &mut file));
        match read {
            Ok(bytes) => Ok(bytes),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(source) => Err(self.fail("read", source)),
        }
    }

    fn leave_out(&self) -> Result<(), Error> {
        let _lock = self.lock()?;
        let bytes = self.bytes()?;
        let contents = Contents::of(&bytes);
        if contents.damaged.is_empty() {
            return Ok(());
        }
        let beside = self.dir.join("ledger.damaged");
        self.disk.remove(&beside)?;
        let fail = |source| Error::io(format!("cannot write {}", beside.display()), source);
        let mut kept = self.disk.create(&beside).map_err(fail)?;
        self.disk
            .write(&beside, &mut kept, &bytes)
            .and_then(|()| self.disk.sync(&beside, &kept))
            .map_err(fail)?;
        self.rewrite(&contents.book)?;
        self.disk.sync_dir(&self.dir)
    }

    /// Appends an entry, under the lock.
    fn append(&self, entry: &Entry) -> Result<File, Error> {
        let fail = |source| self.fail("write", source);
        let mut file = self.disk.open_or_create(&self.path).map_err(fail)?;
        let mut length = file.seek(SeekFrom::End(0)).map_err(fail)?;
        let mut line = Vec::with_capacity(200);
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1).map_err(fail)?;
        }
        if last != *b"\n" {
            // Whoever wrote last was killed in the middle of a line, which would be damage with another one behind it.
            let contents = self.read()?;
            if contents.whole < length {
                self.disk.cut(&self.path, &file, contents.whole).map_err(fail)?;
                length = file.seek(SeekFrom::End(0)).map_err(fail)?;
            } else if contents.lacks_break {
                line.push(b'\n');
            }
        }
        encode(entry, &mut line);
        if let Err(source) = self.disk.write(&self.path, &mut file, &line) {
            // What arrived of the line is no entry; without it the file is tidier.
            let _ = self.disk.cut(&self.path, &file, length);
            return Err(fail(source));
        }
        if self.disk.exists(&self.doubt)? {
            self.is_doubted.store(true, Ordering::Relaxed);
        }
        match length + line.len() as u64 > LARGE || self.is_doubted.load(Ordering::Relaxed) {
            true => self.compact(file),
            false => Ok(file),
        }
    }

    /// Writes the file anew with what counts of it, under the lock, and returns the one that is in force.
    fn compact(&self, file: File) -> Result<File, Error> {
        let contents = self.read()?;
        // What is damaged is for somebody to see, and does not go by the way.
        if !contents.damaged.is_empty() {
            return Ok(file);
        }
        // Where it fails the file stays as long as it is; the entry is in it.
        Ok(self.rewrite(&contents.book).unwrap_or(file))
    }

    fn rewrite(&self, book: &Book) -> Result<File, Error> {
        let mut bytes = Vec::new();
        book.entries().iter().for_each(|entry| encode(entry, &mut bytes));
        let fresh = self.dir.join("ledger.tmp");
        let written = self.disk.remove(&fresh).and_then(|()| {
            let mut new = self.disk.create(&fresh).map_err(|source| self.fail("rewrite", source))?;
            let done = self.disk.write(&fresh, &mut new, &bytes).and_then(|()| self.disk.sync(&fresh, &new));
            done.and_then(|()| self.disk.rename(&fresh, &self.path))
                .map_err(|source| self.fail("rewrite", source))?;
            Ok(new)
        });
        match &written {
            Ok(_) => {
                self.is_doubted.store(false, Ordering::Relaxed);
                // Where it stays, the file is written anew once more.
                let _ = self.disk.remove(&self.doubt);
            }
            Err(_) => drop(self.disk.remove(&fresh)),
        }
        written
    }

    fn fail(&self, what: &str, source: std::io::Error) -> Error {
        Error::io(format!("cannot {what} the ledger {}", self.path.display()), source)
    }
}

fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let json = serde_json::to_string(entry).expect("entries have string keys only");
    out.extend(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).as_bytes());
}

fn decode(line: &[u8]) -> Option<Entry> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    (crc32fast::hash(json) == sum).then(|| serde_json::from_slice(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Account;

    fn hold(id: &str, amount: u64, limit: u64) -> Hold {
        let account = |key: &str, limit| Account { key: key.into(), limit };
        Hold { id: id.into(), amount, accounts: vec![account("day", Some(limit)), account("all", None)] }
    }

    fn ledger(dir: &Path) -> FileLedger {
        FileLedger::at(Disk::default(), dir)
    }

    async fn day(ledger: &FileLedger) -> Balance {
        let all = ledger.balances().await.unwrap();
        all.into_iter().find(|(key, _)| key == "day").map(|(_, balance)| balance).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_torn_line_is_no_entry_and_the_next_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        assert_eq!(ledger(&place).reserve(hold("a", 3, 10)).await.unwrap(), Verdict::Held);
        let whole = std::fs::read(place.join("ledger")).unwrap();
        assert_eq!(ledger(&place).reserve(hold("b", 4, 10)).await.unwrap(), Verdict::Held);
        let both = std::fs::read(place.join("ledger")).unwrap();
        for end in whole.len()..both.len() {
            std::fs::write(place.join("ledger"), &both[..end]).unwrap();
            // Only the line break may be missing from an entry.
            let held = if end == both.len() - 1 { 7 } else { 3 };
            assert_eq!(day(&ledger(&place)).await, Balance { spent: 0, held }, "{end}");
            ledger(&place).settle("a", Some(2)).await.unwrap();
            assert_eq!(day(&ledger(&place)).await, Balance { spent: 2, held: held - 3 }, "{end}");
        }
    }

    #[tokio::test]
    async fn a_damaged_line_is_named_and_keeps_no_limit_until_it_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = ledger(dir.path());
        ledger.reserve(hold("a", 3, 10)).await.unwrap();
        ledger.reserve(hold("b", 4, 10)).await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for at in 0..first {
            for bit in [0x01, 0x20] {
                let mut bytes = whole.clone();
                bytes[at] ^= bit;
                // A digit in capitals is the same digit.
                if decode(&bytes[..first]).is_some() || bytes[at] == b'\n' {
                    continue;
                }
                std::fs::write(&path, &bytes).unwrap();
                let faults = ledger.faults().await.unwrap();
                assert!(faults.len() == 1 && faults[0].starts_with("line 1 is damaged"), "{at}: {faults:?}");
                let error = ledger.reserve(hold("c", 1, 10)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{at}");
                assert!(error.to_string().contains("line 1 is damaged"), "{error}");
                assert_eq!(std::fs::read(&path).unwrap(), bytes);
            }
        }
        // What has no limit goes on, and what is damaged stays for somebody to see.
        let damaged = std::fs::read(&path).unwrap();
        let mut free = hold("d", 2, 10);
        free.accounts.iter_mut().for_each(|account| account.limit = None);
        assert_eq!(ledger.reserve(free).await.unwrap(), Verdict::Held);
        ledger.spend(&["day".to_owned()], 1).await.unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(&damaged));
        let before = std::fs::read(&path).unwrap();
        ledger.leave_out().await.unwrap();
        assert_eq!(ledger.faults().await.unwrap(), [] as [String; 0]);
        assert_eq!(std::fs::read(dir.path().join("ledger.damaged")).unwrap(), before);
        assert_eq!(day(&ledger).await, Balance { spent: 1, held: 4 + 2 });
        assert_eq!(ledger.reserve(hold("c", 1, 10)).await.unwrap(), Verdict::Held);
    }

    #[tokio::test]
    async fn a_large_file_is_written_anew_and_means_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path());
        ledger.reserve(hold("kept", 5, 10_000)).await.unwrap();
        for n in 0..1_500 {
            ledger.spend(&["day".to_owned(), "all".to_owned()], 1).await.unwrap();
            if n % 100 == 0 {
                ledger.reserve(hold("short", 7, 10_000)).await.unwrap();
                ledger.settle("short", None).await.unwrap();
            }
        }
        assert_eq!(day(&ledger).await, Balance { spent: 1_500 + 15 * 7, held: 5 });
        assert!(std::fs::metadata(dir.path().join("ledger")).unwrap().len() <= LARGE);
        assert!(!dir.path().join("ledger.tmp").exists());
    }
}
