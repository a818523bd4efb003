//! Processes that are killed, and processes that come at once.

use std::collections::BTreeMap;
use std::time::Duration;

use aichat_store::{Claim, Sled, Store};

use super::child::{Role, acknowledge, start};
use super::work::{assert_kept, fold, names, records_of_turns, session};

/// How many times processes are killed; the variable asks for more.
fn rounds() -> u64 {
    std::env::var("AICHAT_STORE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(500)
}

/// Two that write and fold, or one of them and one or two that only fold.
const CREWS: [&[Role]; 3] =
    [&[Role::Work, Role::Work], &[Role::Work, Role::Fold], &[Role::Work, Role::Fold, Role::Fold]];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut acknowledged = BTreeMap::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 1..=rounds() {
        let first = round * 1_000_000;
        let crew = CREWS[round as usize % CREWS.len()].iter().zip(0..);
        let mut children: Vec<_> =
            crew.map(|(role, of)| start(*role, &data, first + of * 300_001, None)).collect();
        for child in &mut children {
            acknowledge(
                &mut acknowledged,
                &child.next().expect("a child says what it keeps before it is killed"),
            );
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The instant is the point of this pause: somewhere in the work, the fold and the open of a child. Most are
        // short, as all of it happens in the first milliseconds.
        std::thread::sleep(Duration::from_micros((random >> 40) % (1 << (10 + random % 8))));
        children.into_iter().for_each(|child| child.kill(&mut acknowledged));
    }
    let store = Sled::at(&data);
    fold(&store).await.unwrap();
    let turns = records_of_turns(&store).await.unwrap();
    assert_kept(&turns, &acknowledged);
    eprintln!("{} turns acknowledged, {} kept, {} rounds", acknowledged.len(), turns.len(), rounds());
    assert!(acknowledged.len() as u64 > rounds(), "the children did too little to prove anything");
    assert_eq!(names(&data.join("journal")), Vec::<String>::new());
    assert_eq!(
        names(&data.join("db/blobs")),
        Vec::<String>::new(),
        "the engine keeps values in files it does not sync"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_begin_at_once_on_a_fresh_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("some/where/data");
    let mut acknowledged = BTreeMap::new();
    let children: Vec<_> = (1..=8).map(|child| start(Role::Begin, &data, child * 100, None)).collect();
    children.into_iter().for_each(|child| child.finish(&mut acknowledged));
    assert_eq!(acknowledged.len(), 160);
    assert_eq!(names(&data), ["journal"], "a turn in flight opens nothing");
    let store = Sled::at(&data);
    assert_eq!(store.backlog().await.unwrap().0, 160);
    assert_eq!(fold(&store).await.unwrap(), 160);
    assert_eq!(records_of_turns(&store).await.unwrap(), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_begin_while_another_process_folds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path());
    let mut acknowledged = BTreeMap::new();
    let mut children: Vec<_> = (1..=4).map(|of| start(Role::Begin, dir.path(), of * 100, None)).collect();
    let mut folded = 0;
    while children.iter_mut().any(|child| child.process.try_wait().unwrap().is_none()) {
        folded += fold(&store).await.unwrap();
    }
    children.into_iter().for_each(|child| child.finish(&mut acknowledged));
    folded += fold(&store).await.unwrap();
    assert_eq!((acknowledged.len(), folded), (80, 80));
    assert_eq!(records_of_turns(&store).await.unwrap(), acknowledged);
    assert_eq!(names(&dir.path().join("journal")), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_waits_for_the_one_that_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = start(Role::Hold, dir.path(), 0, None);
    assert_eq!(holder.next().as_deref(), Some("open"));
    let store = Sled::at(dir.path());
    // The journal is everybody's.
    assert_eq!(store.pending(Claim::Look).await.unwrap(), []);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.head(&session(0)).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "two processes have the log open at once");
    holder.kill(&mut BTreeMap::new());
    assert_eq!(waiting.await.unwrap().unwrap(), None);
}
