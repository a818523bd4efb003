//! Compaction: nothing of what was replaced or removed is left, and nothing else is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aichat_message::EventId;
use aichat_store::{ErrorKind, Expect, Head, Replacement, Row, Sled, Store, Table, Unit, Write};

use super::child::{Role, acknowledge, start};
use super::work::{assert_kept, fold, header, names, record, records_of_turns, session};

const CANARY: &str = "canary-7f3a-that-must-go";

/// Returns the files below a directory that hold a text, those with a name that does first.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn rows(count: u64, bytes: impl Fn(u64) -> Vec<u8>) -> Vec<Row> {
    let row = |seq: u64| {
        let mut bits = [9; 10];
        bits[..8].copy_from_slice(&seq.to_be_bytes());
        Row { seq, id: EventId::from_bits(bits), hash: seq.to_be_bytes().to_vec(), bytes: bytes(seq) }
    };
    (1..=count).map(row).collect()
}

fn large(text: &str) -> Vec<u8> {
    text.repeat(1_000).into_bytes()
}

#[tokio::test]
async fn nothing_is_left_of_what_was_replaced_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let stream = session(0);
    let mut events = rows(500, |seq| format!("event {seq}").into_bytes());
    events[20].bytes = format!("small {CANARY}").into_bytes();
    events[21].bytes = large(CANARY);
    let table = [Table::Sessions, Table::Documents, Table::Messages];
    let write = |table, value| Write { table, key: b"key".to_vec(), value };
    let writes = vec![
        write(table[0], Some(CANARY.into())),
        write(table[1], Some(large(&format!("{CANARY} document")))),
        write(table[2], Some(CANARY.into())),
    ];
    let first = Unit { events: events.clone(), writes, ..Unit::new(stream.clone(), Expect::New) };
    store.commit(vec![first]).await.unwrap();
    let kept = store.put_blob(b"a blob of the caller").await.unwrap();
    let last = events.last().unwrap();
    let mut second = Unit::new(stream.clone(), Expect::At(Head { seq: 500, hash: last.hash.clone() }));
    for event in &mut events[20..22] {
        event.bytes = b"a tombstone".to_vec();
        second.replaced.push(Replacement { id: event.id.clone(), bytes: event.bytes.clone() });
    }
    second.writes = vec![
        write(table[0], None),
        write(table[1], Some(large("other things"))),
        write(table[2], Some(b"m".into())),
    ];
    store.commit(vec![second]).await.unwrap();
    store.release().await.unwrap();
    let unfinished = format!("{}-4294967295-0.tmp", blake3::hash(b"never finished").to_hex());
    for name in [
        "db/damaged-snap.0000000000000001",
        &format!("blobs/{unfinished}"),
        &format!("attached/{unfinished}"),
    ] {
        fs::write(dir.path().join(name), CANARY).unwrap();
    }
    let before = holding(dir.path(), CANARY);
    assert!(before.iter().any(|path| path.ends_with("db/db")), "{before:?}");
    assert!(before.iter().filter(|path| path.parent().unwrap().ends_with("blobs")).count() > 2, "{before:?}");
    let mark = fs::read(dir.path().join("mark")).unwrap();

    store.compact().await.unwrap();
    assert_eq!(holding(dir.path(), CANARY), Vec::<PathBuf>::new());
    assert_eq!(fs::read(dir.path().join("mark")).unwrap(), mark);
    for store in [store, Sled::at(dir.path())] {
        assert!(store.events(&stream, 1, 1_000).await.unwrap() == events);
        assert_eq!(store.get(table[0], b"key").await.unwrap(), None);
        assert_eq!(store.get(table[1], b"key").await.unwrap(), Some(large("other things")));
        assert_eq!(store.get(table[2], b"key").await.unwrap(), Some(b"m".to_vec()));
        assert_eq!(store.blob(&kept).await.unwrap().unwrap(), b"a blob of the caller");
        assert_eq!(store.info().await.unwrap().set_aside, Vec::<String>::new());
        store.release().await.unwrap();
    }
    let everything = ["attached", "blobs", "db", "lock", "mark", "schema"];
    assert_eq!(names(dir.path()), everything);
    assert_eq!(names(&dir.path().join("db/blobs")), Vec::<String>::new());
    assert_eq!(names(&dir.path().join("blobs")).len(), 1);
}

#[tokio::test]
async fn space_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let events = rows(1_000, |seq| seq.to_string().repeat(1_000).into_bytes());
    let first = Unit { events: events.clone(), ..Unit::new(session(0), Expect::New) };
    store.commit(vec![first]).await.unwrap();
    let erase = |event: &Row| Replacement { id: event.id.clone(), bytes: b"a tombstone".to_vec() };
    let head = Expect::At(Head { seq: 1_000, hash: events[999].hash.clone() });
    let erased = Unit { replaced: events.iter().map(erase).collect(), ..Unit::new(session(0), head) };
    store.commit(vec![erased]).await.unwrap();
    let size = async || store.info().await.unwrap().bytes.unwrap();
    let before = size().await;
    store.compact().await.unwrap();
    let after = size().await;
    assert!(after < before / 2, "{before} bytes before, {after} after");
}

/// How many processes are killed; the variable asks for more.
fn rounds() -> u64 {
    std::env::var("AICHAT_STORE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(25)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_that_is_killed_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut acknowledged = BTreeMap::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut found = BTreeMap::new();
    for round in 1..=rounds() {
        let mut child = start(Role::Compact, &data, round * 1_000_000, None);
        loop {
            let line = child.next().expect("a child says when it compacts before it is killed");
            acknowledge(&mut acknowledged, &line);
            if line == "compacting" {
                break;
            }
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The instant is the point of this pause: somewhere in a compaction.
        std::thread::sleep(Duration::from_micros(random >> 40 & 0xffff));
        child.kill(&mut acknowledged);
        let logs: Vec<_> = names(&data).into_iter().filter(|name| name.starts_with("db")).collect();
        *found.entry(logs.join(" ")).or_insert(0) += 1;
    }
    let store = Sled::at(&data);
    fold(&store).await.unwrap();
    let turns = records_of_turns(&store).await.unwrap();
    assert_kept(&turns, &acknowledged);
    eprintln!("{} turns acknowledged, {} kept; left behind: {found:?}", acknowledged.len(), turns.len());
    store.compact().await.unwrap();
    assert_eq!(records_of_turns(&store).await.unwrap(), turns);
    assert!(names(&data).iter().all(|name| name != "db.new" && name != "db.old"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_go_on_while_another_process_compacts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut acknowledged = BTreeMap::new();
    let mut compacting = start(Role::Compact, &data, 1_000_000, None);
    while compacting.next().unwrap() != "compacting" {}
    let children: Vec<_> = (1..=3).map(|of| start(Role::Begin, &data, of * 100, None)).collect();
    children.into_iter().for_each(|child| child.finish(&mut acknowledged));
    compacting.kill(&mut acknowledged);
    let store = Sled::at(&data);
    fold(&store).await.unwrap();
    assert_kept(&records_of_turns(&store).await.unwrap(), &acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_without_room_leaves_the_store_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    for number in 0..200 {
        let mut turn = store.begin(header(number), vec![record(number, 0)]).await.unwrap();
        (1..60).for_each(|index| turn.append(record(number, index)));
        turn.finish().await.unwrap();
    }
    fold(&store).await.unwrap();
    store.release().await.unwrap();
    // The engine writes its snapshot when it opens.
    let turns = records_of_turns(&store).await.unwrap();
    store.release().await.unwrap();
    let before = fs::read(dir.path().join("db/db")).unwrap();
    for blocks in [200, 1_000, 2_000] {
        let mut child = start(Role::Squeeze, dir.path(), 0, Some(blocks));
        assert_eq!(child.next().as_deref(), Some("full"), "{blocks}");
        child.finish(&mut BTreeMap::new());
        assert!(!dir.path().join("db.new").exists());
        assert!(fs::read(dir.path().join("db/db")).unwrap() == before);
    }
    assert_eq!(records_of_turns(&store).await.unwrap(), turns);
    store.compact().await.unwrap();
    assert_eq!(records_of_turns(&store).await.unwrap(), turns);
}

#[tokio::test]
async fn a_value_of_a_later_version_is_not_compacted_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let events = rows(3, |_| b"bytes".to_vec());
    store.commit(vec![Unit { events, ..Unit::new(session(0), Expect::New) }]).await.unwrap();
    store.release().await.unwrap();
    let raw = sled::Config::new().path(dir.path().join("db")).flush_every_ms(None).open().unwrap();
    raw.open_tree("documents").unwrap().insert("key", b"i\x02from the future".as_slice()).unwrap();
    raw.flush().unwrap();
    drop(raw);
    assert_eq!(store.compact().await.unwrap_err().kind(), ErrorKind::Newer);
    assert_eq!(store.events(&session(0), 1, 10).await.unwrap().len(), 3);
    assert!(!dir.path().join("db.new").exists());
}
