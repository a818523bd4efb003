//! Rows that expire: those of a dead process are over, and those of a living one are not lost in silence.

use std::time::Duration;

use aichat_store::{Claim, ErrorKind, State, Store};

use super::{LONG, child, header, open, server, session, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_held_is_free_once_it_has_expired() {
    let Some(server) = server() else { return };
    let url = server.database();
    let mut child = child::start(&url, Duration::from_secs(2));
    let store = open(&url, LONG);
    let error = store.lease(&session(1), Duration::from_millis(2_500)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy, "a living process renews its lease");
    assert_eq!(store.pending(Claim::Look).await.unwrap()[0].state, State::Running);
    assert_eq!(store.pending(Claim::Fold(9)).await.unwrap(), []);

    child.kill().unwrap();
    child.wait().unwrap();
    let lease = store.lease(&session(1), Duration::from_secs(60)).await.unwrap();
    let mut pending = Vec::new();
    for _ in 0..600 {
        pending = store.pending(Claim::Fold(9)).await.unwrap();
        if !pending.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((&pending[0].header, pending[0].state), (&header(1), State::Over));
    assert_eq!(pending[0].records, [b"begun".to_vec(), b"written".to_vec()]);
    drop(lease);
    drop(store.lease(&session(1), Duration::ZERO).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_under_a_lost_lease_does_not_go_on_in_silence() {
    let Some(server) = server() else { return };
    let url = server.database();
    let store = open(&url, LONG);
    let lease = store.lease(&session(1), Duration::ZERO).await.unwrap();
    let mut flight = store.begin(header(1), vec![b"begun".to_vec()]).await.unwrap();
    flight.append(b"held".to_vec());
    flight.sync().await.unwrap();
    server.sql(&url, "UPDATE aichat.leases SET holder = 'another'");
    flight.append(b"lost".to_vec());
    let error = flight.sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.to_string().contains("lease was lost"), "{error}");
    assert_eq!(flight.finish().await.unwrap_err().kind(), ErrorKind::Busy);
    // What was written all the same is kept, and so is the other's lease.
    let records: [&[u8]; 3] = [b"begun", b"held", b"lost"];
    assert_eq!(store.pending(Claim::Fold(9)).await.unwrap()[0].records, records);
    drop(lease);
    store.release().await.unwrap();
    assert_eq!(server.sql(&url, "SELECT COUNT(*) FROM aichat.leases"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_was_folded_under_its_writer_comes_back_whole() {
    let Some(server) = server() else { return };
    let url = server.database();
    let (store, other) = (open(&url, LONG), open(&url, LONG));
    let mut flight = store.begin(header(1), vec![b"begun".to_vec()]).await.unwrap();
    server.sql(&url, "UPDATE aichat.flights SET expires = now() - INTERVAL '1 second'");
    assert_eq!(other.pending(Claim::Fold(9)).await.unwrap().len(), 1);
    let folding = aichat_store::Unit { folded: vec![turn(1)], ..super::unit(1, 1..=1) };
    other.commit(vec![folding]).await.unwrap();
    assert_eq!(other.backlog().await.unwrap().0, 0);

    flight.append(b"late".to_vec());
    let error = flight.sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.to_string().contains("taken for dead"), "{error}");
    flight.append(b"later".to_vec());
    flight.finish().await.unwrap();
    let pending = other.pending(Claim::Fold(9)).await.unwrap();
    let records: [&[u8]; 3] = [b"begun", b"late", b"later"];
    assert_eq!(pending[0].records, records);
    assert!(other.folded(&turn(1)).await.unwrap());
    // Folded once more, by a unit without events, it is forgotten.
    let head = other.head(&session(1)).await.unwrap().unwrap();
    let mut forget = aichat_store::Unit::new(session(1), aichat_store::Expect::At(head));
    forget.folded = vec![turn(1)];
    other.commit(vec![forget]).await.unwrap();
    assert_eq!(other.pending(Claim::Look).await.unwrap(), []);
    assert_eq!(server.sql(&url, "SELECT COUNT(*) FROM aichat.chunks"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_may_begin_with_nothing() {
    let Some(server) = server() else { return };
    let store = open(&server.database(), LONG);
    let mut flight = store.begin(header(1), vec![]).await.unwrap();
    assert_eq!(store.pending(Claim::Look).await.unwrap()[0].records, Vec::<Vec<u8>>::new());
    flight.append(b"first".to_vec());
    flight.sync().await.unwrap();
    flight.append(b"second".to_vec());
    flight.finish().await.unwrap();
    let records: [&[u8]; 2] = [b"first", b"second"];
    assert_eq!(store.pending(Claim::Fold(9)).await.unwrap()[0].records, records);
    assert_eq!(store.backlog().await.unwrap(), (1, 11));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_turn_outlives_its_lease() {
    let Some(server) = server() else { return };
    let url = server.database();
    let (store, other) = (open(&url, Duration::from_millis(1_500)), open(&url, LONG));
    let flight = store.begin(header(1), vec![b"begun".to_vec()]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(other.pending(Claim::Fold(9)).await.unwrap(), []);
    flight.finish().await.unwrap();
    assert_eq!(other.pending(Claim::Fold(9)).await.unwrap().len(), 1);
}
