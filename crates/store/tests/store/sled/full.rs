//! A disk, or a limit on the size of files, that is used up.

use std::collections::BTreeMap;

use aichat_store::{Sled, Store};

use super::child::{Role, acknowledge, start};
use super::work::{assert_kept, fold, header, names, record, records_of_turns, session, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut child = start(Role::Fill, dir.path(), 1, Some(6 << 10));
    let mut met = false;
    while let Some(line) = child.next() {
        acknowledge(&mut acknowledged, &line);
        met |= line == "full";
    }
    assert!(child.process.wait().unwrap().success() && met, "the child did not meet its limit as it should");
    let store = Sled::at(dir.path());
    let pending = store.backlog().await.unwrap().0;
    assert!(pending > 0, "the turns of the failed commit must wait");
    assert_eq!(fold(&store).await.unwrap(), pending);
    let turns = records_of_turns(&store).await.unwrap();
    assert_kept(&turns, &acknowledged);
    assert_eq!(turns.get(&1), None, "a turn that failed to begin was kept");
    assert!(!store.folded(&turn(1)).await.unwrap());
    assert_eq!(names(&dir.path().join("journal")), Vec::<String>::new());
    let next = store.begin(header(9_999_999), vec![record(9_999_999, 0)]).await.unwrap();
    next.finish().await.unwrap();
    fold(&store).await.unwrap();
    assert!(store.head(&session(9_999_999)).await.unwrap().is_some());
}
