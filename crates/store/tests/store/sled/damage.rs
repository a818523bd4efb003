//! Directories that are none, bytes that changed, and versions to come.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aichat_store::{Claim, ErrorKind, Expect, Notice, Sled, State, Store, TurnHeader, Unit};

use super::work::{fold, header, names, record, records_of_turns, session};

/// Fills a directory with turns and leaves it closed.
async fn filled(dir: &Path, turns: u64) {
    let store = Sled::at(dir);
    for number in 0..turns {
        let mut turn = store.begin(header(number), vec![record(number, 0)]).await.unwrap();
        (1..5).for_each(|index| turn.append(record(number, index)));
        turn.finish().await.unwrap();
    }
    assert_eq!(fold(&store).await.unwrap() as u64, turns);
    store.release().await.unwrap();
    // The engine writes its snapshot when it opens.
    store.head(&session(0)).await.unwrap();
    store.release().await.unwrap();
}

fn observed(dir: &Path) -> (Sled, Arc<Mutex<Vec<Notice>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    (Sled::observed(dir, move |notice| heard.lock().unwrap().push(notice.clone())), notices)
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let names = names(&dir.join("db"));
    names.iter().filter(|name| name.starts_with("snap.")).map(|name| dir.join("db").join(name)).collect()
}

#[tokio::test]
async fn a_damaged_snapshot_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 30).await;
    let whole = records_of_turns(&Sled::at(dir.path())).await.unwrap();
    let found = snapshots(dir.path());
    assert!(!found.is_empty());
    for path in &found {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).unwrap();
    }
    let (store, notices) = observed(dir.path());
    assert_eq!(records_of_turns(&store).await.unwrap(), whole);
    let notices = notices.lock().unwrap().clone();
    let [Notice::SnapshotSetAside { path }] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(path.exists());
}

#[tokio::test]
async fn a_snapshot_that_was_never_finished_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10).await;
    let left = dir.path().join("db/snap.00000000000000AA.generating");
    fs::write(&left, b"half a snap").unwrap();
    let (store, notices) = observed(dir.path());
    assert_eq!(records_of_turns(&store).await.unwrap().len(), 10);
    assert!(!left.exists());
    assert_eq!(*notices.lock().unwrap(), []);
}

/// Every change is either found or harmless: what is read is what was written.
#[tokio::test]
async fn changed_bytes_of_the_log_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("origin");
    filled(&origin, 60).await;
    let whole = records_of_turns(&Sled::at(&origin)).await.unwrap();
    let data = fs::read(origin.join("db/db")).unwrap();
    let used: Vec<usize> = (0..data.len()).filter(|at| data[*at] != 0).collect();
    let (mut found, mut harmless) = (0, 0);
    for step in 0..40 {
        let at = used[(step * 2_654_435_761_usize) % used.len()];
        let copy = dir.path().join(format!("copy{step}"));
        fs::create_dir_all(copy.join("db/blobs")).unwrap();
        for name in names(&origin.join("db")).iter().filter(|name| *name != "blobs") {
            fs::copy(origin.join("db").join(name), copy.join("db").join(name)).unwrap();
        }
        fs::create_dir_all(copy.join("blobs")).unwrap();
        for name in names(&origin.join("blobs")) {
            fs::copy(origin.join("blobs").join(&name), copy.join("blobs").join(&name)).unwrap();
        }
        fs::copy(origin.join("mark"), copy.join("mark")).unwrap();
        let mut bytes = data.clone();
        bytes[at] ^= 0x04;
        fs::write(copy.join("db/db"), bytes).unwrap();
        match records_of_turns(&Sled::at(&copy)).await {
            Ok(turns) => {
                assert_eq!(turns, whole, "a changed byte at {at} takes records away without a word");
                harmless += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
                found += 1;
            }
        }
        fs::remove_dir_all(copy).unwrap();
    }
    eprintln!("{found} changes found, {harmless} harmless");
    assert!(found > 0);
}

#[tokio::test]
async fn a_changed_blob_is_found_and_can_be_kept_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let hash = store.put_blob(b"what was said").await.unwrap();
    fs::write(dir.path().join("attached").join(&hash), b"what was sent").unwrap();
    assert_eq!(store.blob(&hash).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.put_blob(b"what was said").await.unwrap(), hash);
    assert_eq!(store.blob(&hash).await.unwrap().unwrap(), b"what was said");
}

#[tokio::test]
async fn a_path_that_is_a_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"mine").unwrap();
    for path in [file.clone(), file.join("below")] {
        let store = Sled::at(&path);
        let begun = store.begin(header(1), vec![record(1, 0)]).await.err().unwrap();
        let leased = store.lease(&session(1), std::time::Duration::ZERO).await.err().unwrap();
        let opened = store.head(&session(1)).await.unwrap_err();
        for error in [begun, leased, opened] {
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("file is not a directory"), "{error}");
        }
        assert_eq!(store.backlog().await.unwrap_err().kind(), ErrorKind::Io);
    }
    assert_eq!(fs::read(file).unwrap(), b"mine");
}

#[tokio::test]
async fn a_turn_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    store.begin(header(1), vec![record(1, 0)]).await.unwrap().finish().await.unwrap();
    let journal = dir.path().join("journal").join(&names(&dir.path().join("journal"))[0]);
    let mut bytes = fs::read(&journal).unwrap();
    bytes[11] += 1;
    fs::write(&journal, &bytes).unwrap();
    for claim in [Claim::Look, Claim::Fold(64)] {
        assert_eq!(store.pending(claim).await.unwrap_err().kind(), ErrorKind::Newer);
    }
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

#[tokio::test]
async fn everything_belongs_to_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data, 20).await;
    let store = Sled::at(&data);
    let _turn = store.begin(header(99), vec![record(99, 0)]).await.unwrap();
    let _lease = store.lease(&session(1), std::time::Duration::ZERO).await.unwrap();
    store.put_blob(b"bytes").await.unwrap();
    store.head(&session(1)).await.unwrap();
    let mut dirs = vec![data];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o077, 0, "{dir:?}");
        for name in names(&dir) {
            let path = dir.join(name);
            let found = fs::metadata(&path).unwrap();
            if found.is_dir() {
                dirs.push(path);
            } else {
                assert_eq!(found.permissions().mode() & 0o077, 0, "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5);
}

#[tokio::test]
async fn a_journal_that_lost_its_name_is_carried_to_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let mut turn = store.begin(header(1), vec![record(1, 0)]).await.unwrap();
    turn.append(record(1, 1));
    turn.sync().await.unwrap();
    let journal = dir.path().join("journal").join(&names(&dir.path().join("journal"))[0]);
    fs::rename(&journal, journal.with_extension("f")).unwrap();
    turn.append(record(1, 2));
    turn.sync().await.unwrap();
    assert!(journal.exists());
    assert_eq!(store.pending(Claim::Look).await.unwrap()[0].records.len(), 3);
    // What was claimed too early is folded first.
    assert_eq!(fold(&store).await.unwrap(), 1);
    assert_eq!(records_of_turns(&store).await.unwrap()[&1], 3);
    turn.append(record(1, 3));
    turn.finish().await.unwrap();
    drop(store);
    let (store, notices) = observed(dir.path());
    let late = store.pending(Claim::Fold(64)).await.unwrap();
    assert_eq!((late.len(), late[0].records.len()), (1, 4));
    assert!(store.folded(&late[0].header.turn).await.unwrap());
    let saved = fs::read(journal.with_extension("f")).unwrap();
    // Who takes it for a new turn changes nothing, and nothing is lost.
    assert_eq!(fold(&store).await.unwrap(), 1);
    assert_eq!(*notices.lock().unwrap(), [Notice::JournalSetAside { path: journal.with_extension("late") }]);
    assert_eq!(records_of_turns(&store).await.unwrap()[&1], 3);
    // Who knows better says that it is dealt with.
    fs::write(journal.with_extension("f"), saved).unwrap();
    assert_eq!(store.pending(Claim::Fold(64)).await.unwrap(), late);
    let TurnHeader { session: stream, turn, .. } = late[0].header.clone();
    let forget = Unit { folded: vec![turn], ..Unit::new(stream, Expect::New) };
    store.commit(vec![forget]).await.unwrap();
    assert_eq!(store.pending(Claim::Fold(64)).await.unwrap(), []);
    assert_eq!(notices.lock().unwrap().len(), 1);
    assert!(!journal.with_extension("f").exists());
}

/// As after a kill between a commit and the removal of what it folded.
#[tokio::test]
async fn a_journal_that_outlived_its_commit_is_not_folded_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, notices) = observed(dir.path());
    store.begin(header(1), vec![record(1, 0)]).await.unwrap().finish().await.unwrap();
    let journal = dir.path().join("journal").join(&names(&dir.path().join("journal"))[0]);
    let bytes = fs::read(&journal).unwrap();
    assert_eq!(fold(&store).await.unwrap(), 1);
    assert!(!journal.exists());
    for extension in ["f", "j"] {
        fs::write(journal.with_extension(extension), &bytes).unwrap();
        assert_eq!(store.pending(Claim::Fold(64)).await.unwrap(), []);
        assert_eq!(names(&dir.path().join("journal")), Vec::<String>::new());
    }
    assert_eq!(records_of_turns(&store).await.unwrap()[&1], 1);
    assert_eq!(*notices.lock().unwrap(), []);
}

#[tokio::test]
async fn a_journal_with_a_changed_byte_is_folded_as_far_as_it_goes_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, notices) = observed(dir.path());
    let mut turn = store.begin(header(1), vec![record(1, 0)]).await.unwrap();
    (1..4).for_each(|index| turn.append(record(1, index)));
    turn.finish().await.unwrap();
    let journal = dir.path().join("journal").join(&names(&dir.path().join("journal"))[0]);
    let mut bytes = fs::read(&journal).unwrap();
    let last = record(1, 3).len();
    let at = bytes.len() - last - 20;
    bytes[at] ^= 1;
    fs::write(&journal, bytes).unwrap();
    assert_eq!(fold(&store).await.unwrap(), 1);
    assert_eq!(records_of_turns(&store).await.unwrap()[&1], 2);
    let kept = journal.with_extension("damaged");
    assert!(kept.exists());
    assert_eq!(*notices.lock().unwrap(), [Notice::JournalSetAside { path: kept }]);
}

#[tokio::test]
async fn what_is_appended_reaches_the_file_without_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let mut turn = store.begin(header(1), vec![record(1, 0)]).await.unwrap();
    turn.append(record(1, 1));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let seen = store.pending(Claim::Look).await.unwrap();
        assert_eq!(seen[0].state, State::Running);
        if seen[0].records.len() == 2 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the record never reached the file");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn strangers_in_the_directory_of_turns_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    store.begin(header(1), vec![record(1, 0)]).await.unwrap().finish().await.unwrap();
    let journal = dir.path().join("journal");
    for name in ["notes.txt", ".j", "trn_.j", "trn_0.x", "..f"] {
        fs::write(journal.join(name), b"a stranger's").unwrap();
    }
    fs::write(journal.join("trn_00.j"), b"aichat").unwrap();
    fs::write(journal.join("trn_01.c"), b"the spare file of a dead writer").unwrap();
    assert_eq!(store.backlog().await.unwrap().0, 2);
    assert_eq!(fold(&store).await.unwrap(), 1);
    assert_eq!(names(&journal), ["..f", ".j", "notes.txt", "trn_.j", "trn_0.x"]);
}
