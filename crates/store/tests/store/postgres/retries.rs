//! Units that the server makes give way to others, and that are done again.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, Row};

use aichat_store::contract::Place;
use aichat_store::{Postgres, PostgresAddress, Store, Table, Unit, Write};

use super::server::Server;
use super::{LONG, open, row, server, session, unit};

/// Connects to a database beside the store.
async fn beside(server: &Server, url: &str) -> PgConnection {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(server.socket())
        .port(server.port())
        .username(super::server::USER)
        .database(url.rsplit_once('/').unwrap().1);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Waits until somebody waits for a lock in the database.
async fn until_blocked(connection: &mut PgConnection) {
    for _ in 0..2_000 {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let row = sqlx::query(waiting).fetch_one(&mut *connection).await.unwrap();
        if row.get::<i64, _>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits for a lock");
}

fn writes(value: &[u8]) -> Vec<Write> {
    let keys: [&[u8]; 2] = [b"first", b"second"];
    keys.map(|key| Write { table: Table::Names, key: key.to_vec(), value: Some(value.to_vec()) }).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_breaks_a_deadlock_is_done_again() {
    let Some(server) = server() else { return };
    let url = server.database();
    let store = open(&url, LONG);
    store.commit(vec![Unit { writes: writes(b"1"), ..unit(1, 1..=1) }]).await.unwrap();

    let mut other = beside(server, &url).await;
    let mut looking = beside(server, &url).await;
    // The store's connection finds the circle: this one never looks for it.
    other.execute("SET deadlock_timeout = '10min'; BEGIN").await.unwrap();
    let lock = "UPDATE aichat.entries SET value = 'other' WHERE key = ";
    other.execute(sqlx::AssertSqlSafe(format!("{lock}'second'"))).await.unwrap();
    let committing = tokio::spawn({
        let store = store.clone();
        async move { store.commit(vec![Unit { writes: writes(b"2"), ..unit(1, 2..=2) }]).await }
    });
    until_blocked(&mut looking).await;
    other.execute(sqlx::AssertSqlSafe(format!("{lock}'first'"))).await.unwrap();
    assert!(!committing.is_finished());
    other.execute("COMMIT").await.unwrap();
    committing.await.unwrap().unwrap();

    assert_eq!(store.get(Table::Names, b"first").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.events(&session(1), 1, 10).await.unwrap(), [row(1, 1), row(1, 2)]);
    for _ in 0..500 {
        let deadlocks =
            server.sql(&url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
        if deadlocks != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there was no deadlock");
}

/// Makes a database whose transactions are stricter: serializable as on CockroachDB, or of one snapshot each as on
/// YugabyteDB.
fn strict(server: &Server, level: &str) -> String {
    let url = server.database();
    let name = url.rsplit_once('/').unwrap().1;
    server.sql(&url, &format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"));
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_cannot_be_serialised_is_done_again() {
    let Some(server) = server() else { return };
    let url = strict(server, "serializable");
    let store = open(&url, LONG);
    store.commit(vec![unit(1, 1..=1)]).await.unwrap();
    let mut other = beside(server, &url).await;
    let mut looking = beside(server, &url).await;
    other.execute("BEGIN; UPDATE aichat.streams SET seq = seq").await.unwrap();
    let committing = tokio::spawn({
        let store = store.clone();
        async move { store.commit(vec![unit(1, 2..=2)]).await }
    });
    until_blocked(&mut looking).await;
    // The row that the store waits for is another one now: its snapshot is too old.
    other.execute("COMMIT").await.unwrap();
    committing.await.unwrap().unwrap();
    assert_eq!(store.events(&session(1), 1, 10).await.unwrap(), [row(1, 1), row(1, 2)]);
}

/// The whole contract where transactions are stricter.
macro_rules! contract_at {
    ($name:ident, $level:literal) => {
        mod $name {
            use super::*;

            fn place() -> Option<Place> {
                let store = Postgres::at(PostgresAddress::parse(&strict(server()?, $level)).unwrap());
                Some(Place::new(move || Arc::new(store.clone())))
            }

            aichat_store::contract!(place);
        }
    };
}

contract_at!(serializable, "serializable");
contract_at!(repeatable_read, "repeatable read");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_many_streams_do_not_disturb_each_other() {
    let Some(server) = server() else { return };
    let url = server.database();
    let writers = (1..=12u8).map(|stream| {
        let store = open(&url, LONG);
        tokio::spawn(async move {
            for seq in 1..=15 {
                store.commit(vec![unit(stream, seq..=seq)]).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let store = open(&url, LONG);
    for stream in 1..=12 {
        let wanted: Vec<_> = (1..=15).map(|seq| row(stream, seq)).collect();
        assert_eq!(store.events(&session(stream), 1, 100).await.unwrap(), wanted);
    }
}
