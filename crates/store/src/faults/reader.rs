//! A store on a disk that has nothing written, and what those who only read find in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aichat_message::{EventId, SessionId, TurnId};
use tempfile::TempDir;

use crate::error::{Error, ErrorKind};
use crate::journal::disk::{Disk, Fault, Faults, Op};
use crate::notice::Notice;
use crate::sled::{Sled, SledReader};
use crate::store::{Expect, Row, Store, Table, Unit, Write};
use crate::turn::{Claim, State, TurnHeader};

const READ_ONLY: i32 = 30;
const DENIED: i32 = 13;
const FULL: i32 = 28;

/// Refuses, with an error of the system, what would write below a directory, and its lock to those without one.
struct Refusing {
    dir: PathBuf,
    code: i32,
    is_lock_shown: bool,
}

impl Faults for Refusing {
    fn meet(&self, op: Op<'_>, path: &Path) -> Result<(), Fault> {
        let is_refused = match op {
            Op::Open => !self.is_lock_shown && path == self.dir.join("lock"),
            // A disk that is full gives what is there to whoever writes nothing.
            Op::Create => self.code != FULL || !path.exists(),
            Op::Rename | Op::Remove | Op::Cut | Op::Sync(_) | Op::SyncDir => self.code != FULL,
            Op::Write(_) | Op::MakeDir => true,
            Op::Read | Op::Lock | Op::Inspect | Op::List => false,
        };
        match is_refused && path.starts_with(&self.dir) {
            true => Err(Fault { written: 0, error: io::Error::from_raw_os_error(self.code) }),
            false => Ok(()),
        }
    }
}

/// A store as its owner sees it, and a place for copies.
struct Place {
    root: TempDir,
    store: Sled,
    told: Arc<Mutex<Vec<Notice>>>,
}

impl Place {
    fn new() -> Self {
        let root = super::place();
        fs::create_dir(root.path().join("copies")).unwrap();
        Self { store: Sled::at(root.path().join("data")), told: Arc::default(), root }
    }

    fn copies(&self) -> PathBuf {
        self.root.path().join("copies")
    }

    /// Returns the store as others see it, who may not write.
    fn reader(&self, code: i32, is_lock_shown: bool) -> SledReader {
        let dir = self.store.path().to_owned();
        let disk = Disk::with(Arc::new(Refusing { dir: dir.clone(), code, is_lock_shown }));
        let told = Arc::clone(&self.told);
        let store = Sled::on(disk, dir, Arc::new(move |notice| told.lock().unwrap().push(notice.clone())));
        SledReader::over(store, [self.root.path().join("nowhere"), self.copies()])
    }

    fn left(&self) -> usize {
        fs::read_dir(self.copies()).unwrap().count()
    }
}

fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}

fn session() -> SessionId {
    SessionId::from_bits([1; 10])
}

fn header(number: u8) -> TurnHeader {
    TurnHeader { session: session(), turn: TurnId::from_bits([number; 10]), base: None }
}

/// Returns what a turn says; of every other one it is kept as a large value.
fn said(number: u8) -> Vec<u8> {
    vec![number; if number.is_multiple_of(2) { 9_000 } else { 20 }]
}

async fn finish(store: &Sled, number: u8) {
    store.begin(header(number), vec![said(number)]).await.unwrap().finish().await.unwrap();
}

/// Folds what is over, each record as an event.
async fn fold(store: &dyn Store) -> Result<(), Error> {
    loop {
        let pending = store.pending(Claim::Fold(64)).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let head = store.head(&session()).await?;
        let mut unit = Unit::new(session(), head.clone().map_or(Expect::New, Expect::At));
        let first = head.map_or(1, |head| head.seq + 1);
        for (seq, turn) in (first..).zip(pending) {
            let bytes = turn.records.concat();
            let id = EventId::from_bits([bytes[0]; 10]);
            unit.events.push(Row { seq, id, hash: vec![bytes[0]], bytes });
            unit.folded.push(turn.header.turn);
        }
        store.commit(vec![unit]).await?;
    }
}

/// Folds, and returns which turns the log holds, each whole.
async fn numbers(store: &dyn Store) -> Vec<u8> {
    fold(store).await.unwrap();
    let rows = store.events(&session(), 1, 1_000).await.unwrap();
    let number = |row: Row| {
        assert_eq!(row.bytes, said(row.hash[0]));
        row.hash[0]
    };
    let mut numbers: Vec<u8> = rows.into_iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn document() -> Unit {
    let write = Write { table: Table::Documents, key: b"key".to_vec(), value: Some(b"value".to_vec()) };
    Unit { writes: vec![write], ..Unit::new(SessionId::from_bits([9; 10]), Expect::New) }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, why: io::ErrorKind) {
    assert_eq!(result.map(drop).unwrap_err().refusal(), Some(why));
}

#[tokio::test]
async fn all_is_read_and_nothing_is_written() {
    for (code, why) in
        [(READ_ONLY, io::ErrorKind::ReadOnlyFilesystem), (DENIED, io::ErrorKind::PermissionDenied)]
    {
        let place = Place::new();
        finish(&place.store, 1).await;
        finish(&place.store, 2).await;
        let blob = place.store.put_blob(b"attached").await.unwrap();
        assert_eq!(numbers(&place.store).await, [1, 2]);
        place.store.release().await.unwrap();
        finish(&place.store, 3).await;
        finish(&place.store, 4).await;
        let running = place.store.begin(header(5), vec![said(5)]).await.unwrap();
        let before = tree(place.store.path());
        let reader = place.reader(code, true);
        assert_eq!(reader.backlog().await.unwrap().0, 3);
        assert_eq!((place.left(), reader.pending(Claim::Look).await.unwrap().len()), (0, 3));
        assert_eq!(numbers(&reader).await, [1, 2, 3, 4]);
        let flying = reader.pending(Claim::Look).await.unwrap();
        assert_eq!((flying.len(), flying[0].state, &flying[0].header), (1, State::Running, &header(5)));
        assert_eq!(reader.backlog().await.unwrap().0, 1);
        assert!(reader.folded(&header(4).turn).await.unwrap());
        assert_eq!(reader.blob(&blob).await.unwrap().unwrap(), b"attached");
        assert_eq!(reader.blobs(None, 10).await.unwrap().len(), 1);
        let info = reader.info().await.unwrap();
        assert_eq!((info.place, info.events), (place.store.path().display().to_string(), 4));
        // What is no fold is refused, as it would be without a copy.
        refused(reader.commit(vec![document()]).await, why);
        refused(reader.replace_projections(Vec::new()).await, why);
        refused(reader.begin(header(6), vec![said(6)]).await, why);
        refused(reader.forget_blobs(std::slice::from_ref(&blob)).await, why);
        refused(reader.compact().await, why);
        refused(reader.ledger().spend(&["day".to_owned()], 1).await, why);
        reader.ledger().settle("unknown", None).await.unwrap();
        assert_eq!(reader.get(Table::Documents, b"key").await.unwrap(), None);
        let copied = Notice::Copied { path: place.store.path().to_owned(), reason: why };
        assert_eq!((place.left(), place.told.lock().unwrap().as_slice()), (1, [copied].as_slice()));
        drop(reader);
        assert_eq!(place.left(), 0);
        assert!(tree(place.store.path()) == before, "something was written");
        drop(running);
        assert_eq!(numbers(&place.store).await, [1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn what_comes_late_to_a_claimed_turn_is_taken_in_and_nothing_after_that() {
    let place = Place::new();
    finish(&place.store, 1).await;
    let reader = place.reader(READ_ONLY, true);
    let claimed = reader.pending(Claim::Fold(64)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let write = |key: &str| Write { table: Table::Messages, key: key.into(), value: Some(b"late".to_vec()) };
    let unit = Unit { writes: vec![write("late")], ..Unit::new(session(), Expect::New) };
    reader.commit(vec![unit.clone()]).await.unwrap();
    assert_eq!(numbers(&reader).await, [1]);
    let head = reader.head(&session()).await.unwrap().unwrap();
    let unit = Unit { expect: Expect::At(head), ..unit };
    refused(reader.commit(vec![unit]).await, io::ErrorKind::ReadOnlyFilesystem);
}

#[tokio::test]
async fn a_disk_without_room_for_what_is_folded_is_read_in_a_copy() {
    let place = Place::new();
    finish(&place.store, 1).await;
    assert_eq!(numbers(&place.store).await, [1]);
    place.store.release().await.unwrap();
    finish(&place.store, 2).await;
    let reader = place.reader(FULL, true);
    assert_eq!((reader.head(&session()).await.unwrap().unwrap().seq, place.left()), (1, 0));
    assert_eq!(numbers(&reader).await, [1, 2]);
    assert_eq!(place.left(), 1);
    refused(reader.commit(vec![document()]).await, io::ErrorKind::StorageFull);
    drop(reader);
    assert_eq!(numbers(&place.store).await, [1, 2]);
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn a_reader_that_let_go_finds_what_others_wrote() {
    let place = Place::new();
    finish(&place.store, 1).await;
    let reader = place.reader(DENIED, true);
    assert_eq!(numbers(&reader).await, [1]);
    finish(&place.store, 2).await;
    // As long as it is used it is what it was.
    assert_eq!(numbers(&reader).await, [1]);
    reader.release().await.unwrap();
    assert_eq!(reader.backlog().await.unwrap().0, 2);
    assert_eq!(numbers(&reader).await, [1, 2]);
    reader.release().await.unwrap();
    assert_eq!((numbers(&reader).await, place.left()), (vec![1, 2], 1));
    reader.release().await.unwrap();
    assert_eq!(numbers(&place.store).await, [1, 2]);
    place.store.release().await.unwrap();
    assert_eq!((numbers(&reader).await, place.left()), (vec![1, 2], 1));
    assert_eq!(place.told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_no_place_takes_a_copy_that_is_the_error() {
    let place = Place::new();
    finish(&place.store, 1).await;
    fs::remove_dir(place.copies()).unwrap();
    let reader = place.reader(READ_ONLY, true);
    for _ in 0..2 {
        let error = fold(&reader).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoCopy);
        let places = format!("made in {0}/nowhere or {0}/copies", place.root.path().display());
        assert!(error.to_string().ends_with(&places), "{error}");
    }
    assert_eq!(*place.told.lock().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_meanwhile_tears_no_copy() {
    for is_lock_shown in [true, false] {
        let place = Place::new();
        finish(&place.store, 1).await;
        assert_eq!(numbers(&place.store).await, [1]);
        place.store.release().await.unwrap();
        let store = place.store.clone();
        let writing = tokio::spawn(async move {
            for number in 2..40 {
                finish(&store, number).await;
                numbers(&store).await;
                store.release().await.unwrap();
            }
        });
        let reader = place.reader(READ_ONLY, is_lock_shown);
        let mut seen = 1;
        while seen < 39 {
            let is_over = writing.is_finished();
            match fold(&reader).await {
                Ok(()) => {
                    let numbers = numbers(&reader).await;
                    assert!(numbers.len() >= seen, "{} after {seen}", numbers.len());
                    assert!((1..).zip(&numbers).all(|(n, number)| n == *number), "{numbers:?}");
                    seen = numbers.len();
                }
                // Without the lock it may never find a quiet moment.
                Err(error) => assert!(!is_lock_shown && error.kind() == ErrorKind::Busy, "{error:?}"),
            }
            assert!(!is_over || seen == 39, "{seen} of 39");
            reader.release().await.unwrap();
        }
        writing.await.unwrap();
    }
}
