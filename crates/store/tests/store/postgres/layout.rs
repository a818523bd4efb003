//! How a database comes to have its tables: once, by whoever comes first, and never those of a later version.

use aichat_store::{ErrorKind, Store};

use super::{LONG, header, open, row, server, session, unit};

const TABLES: &str = "SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM information_schema.tables
                      WHERE table_schema = 'aichat'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_start_at_once_on_an_empty_database_all_succeed() {
    let Some(server) = server() else { return };
    for _ in 0..3 {
        let url = server.database();
        let openers = (1..=10u8).map(|stream| {
            let store = open(&url, LONG);
            tokio::spawn(async move { store.commit(vec![unit(stream, 1..=1)]).await })
        });
        for opener in openers.collect::<Vec<_>>() {
            opener.await.unwrap().unwrap();
        }
        assert_eq!(open(&url, LONG).streams(None, 99).await.unwrap().len(), 10);
        assert_eq!(server.sql(&url, "SELECT key, value FROM aichat.meta"), "schema|4");
        assert_eq!(server.sql(&url, "SELECT COUNT(*) FROM aichat.leases"), "0");
    }
}

#[tokio::test]
async fn a_later_layout_is_refused_and_nothing_is_written() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(&url, "CREATE SCHEMA aichat; CREATE TABLE aichat.meta (key TEXT PRIMARY KEY, value BIGINT)");
    server.sql(&url, "INSERT INTO aichat.meta VALUES ('schema', 5)");
    let store = open(&url, LONG);
    for _ in 0..2 {
        let error = store.head(&session(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Newer, "{error:?}");
        assert!(error.to_string().contains("schema 5"), "{error}");
        assert_eq!(store.commit(vec![unit(1, 1..=1)]).await.unwrap_err().kind(), ErrorKind::Newer);
        assert_eq!(store.begin(header(1), vec![]).await.err().unwrap().kind(), ErrorKind::Newer);
    }
    assert_eq!(server.sql(&url, TABLES), "meta");
}

#[tokio::test]
async fn an_older_or_half_made_layout_is_brought_up() {
    let Some(server) = server() else { return };
    let (whole, half) = (server.database(), server.database());
    open(&whole, LONG).head(&session(1)).await.unwrap();
    // One process made some of it, took the lease, and died.
    server.sql(
        &half,
        "CREATE SCHEMA aichat;
         CREATE TABLE aichat.meta (key TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
         CREATE TABLE aichat.leases (name BYTEA NOT NULL PRIMARY KEY, holder BYTEA NOT NULL,
                                     expires TIMESTAMPTZ NOT NULL);
         CREATE TABLE aichat.streams (session BYTEA NOT NULL PRIMARY KEY, seq BIGINT NOT NULL,
                                      hash BYTEA NOT NULL);
         INSERT INTO aichat.meta VALUES ('schema', 0);
         INSERT INTO aichat.leases VALUES ('layout', 'dead', now() + INTERVAL '1 second')",
    );
    let store = open(&half, LONG);
    store.commit(vec![unit(1, 1..=1)]).await.unwrap();
    assert_eq!(store.events(&session(1), 1, 9).await.unwrap(), [row(1, 1)]);
    assert_eq!(server.sql(&half, TABLES), server.sql(&whole, TABLES));
    assert_eq!(server.sql(&half, "SELECT value FROM aichat.meta WHERE key = 'schema'"), "4");
}

#[tokio::test]
async fn damage_is_found_and_named() {
    let Some(server) = server() else { return };
    let url = server.database();
    let store = open(&url, LONG);
    store.commit(vec![unit(1, 1..=5)]).await.unwrap();
    let hash = store.put_blob(&vec![b'x'; 3 << 20]).await.unwrap();
    server.sql(&url, "DELETE FROM aichat.events WHERE seq = 3");
    server.sql(&url, "DELETE FROM aichat.blobs WHERE part = 1");
    let error = store.events(&session(1), 1, 9).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(error.to_string().contains("event 3"), "{error}");
    assert_eq!(store.events(&session(1), 4, 9).await.unwrap(), [row(1, 4), row(1, 5)]);
    assert_eq!(store.blob(&hash).await.unwrap_err().kind(), ErrorKind::Corrupt);
    server.sql(&url, "DELETE FROM aichat.events WHERE seq > 3");
    assert_eq!(store.events(&session(1), 1, 2).await.unwrap().len(), 2);
    assert_eq!(store.events(&session(1), 4, 9).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
