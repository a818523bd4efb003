//! A server that crashes and comes back: failures say so, and nothing acknowledged is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aichat_store::{Claim, ErrorKind, Store};

use super::server::Server;
use super::{LONG, header, open, row, session, turn, unit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let Some(mut server) = Server::start() else { return };
    let store = open(&server.database(), LONG);
    store.commit(vec![unit(1, 1..=2)]).await.unwrap();
    let mut flight = store.begin(header(7), vec![b"begun".to_vec()]).await.unwrap();
    flight.append(b"synced".to_vec());
    flight.sync().await.unwrap();

    server.crash();
    let error = store.events(&session(1), 1, 10).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error:?}");
    flight.append(b"while it was away".to_vec());
    let error = flight.sync().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error:?}");

    assert!(server.run(), "the server does not come back");
    assert_eq!(store.events(&session(1), 1, 10).await.unwrap(), [row(1, 1), row(1, 2)]);
    flight.append(b"afterwards".to_vec());
    flight.finish().await.unwrap();
    let pending = store.pending(Claim::Fold(9)).await.unwrap();
    assert_eq!(pending[0].header.turn, turn(7));
    let records: [&[u8]; 4] = [b"begun", b"synced", b"while it was away", b"afterwards"];
    assert_eq!(pending[0].records, records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_loses_nothing_and_doubles_nothing() {
    let Some(mut server) = Server::start() else { return };
    let url = server.database();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let store = open(&url, LONG);
    let writer = tokio::spawn({
        let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
        async move {
            let mut failures = 0;
            for seq in 1..=400 {
                while let Err(error) = store.commit(vec![unit(1, seq..=seq)]).await {
                    assert!(error.is_retryable(), "{error:?}");
                    assert_ne!(error.kind(), ErrorKind::Conflict, "a unit was done twice: {error:?}");
                    failures += 1;
                    assert!(failures < 100, "the server does not come back: {error:?}");
                }
                acknowledged.store(seq, Ordering::Relaxed);
            }
        }
    });
    for crash in 1..=3u64 {
        while acknowledged.load(Ordering::Relaxed) < crash * 100 && !writer.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.crash();
        let known = acknowledged.load(Ordering::Relaxed);
        assert!(server.run(), "the server does not come back");
        let events = open(&url, LONG).events(&session(1), 1, 1_000).await.unwrap();
        assert!(events.len() as u64 >= known, "{} of {known} events", events.len());
    }
    writer.await.unwrap();
    let wanted: Vec<_> = (1..=400).map(|seq| row(1, seq)).collect();
    assert_eq!(store.events(&session(1), 1, 1_000).await.unwrap(), wanted);
}
