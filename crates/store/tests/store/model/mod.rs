//! Stores held to a simple reference, through any operations in any order, crashes among them.

mod op;
mod play;
mod reference;
#[cfg_attr(not(feature = "sled"), expect(dead_code, reason = "other stores have no files"))]
mod wreck;

use std::sync::Arc;

use aichat_store::Memory;
use aichat_store::contract::Place;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};

use self::play::Play;
use self::wreck::Wreck;

/// Plays so many series of operations, each in a place of its own; `PROPTEST_CASES` asks for more.
fn holds(usual: u32, place: impl Fn() -> Option<(Place, Option<Wreck>)>) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let played = runner.run(&vec(op::op(), 1..60), |ops| {
        if let Some((place, wreck)) = place() {
            runtime.block_on(Play::new(place, wreck).all(ops));
        }
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn memory_is_what_the_reference_is() {
    holds(400, || {
        let store = Memory::new();
        Some((Place::new(move || Arc::new(store.clone())), None))
    });
}

#[cfg(feature = "sled")]
#[test]
fn sled_is_what_the_reference_is() {
    use aichat_store::Sled;

    holds(60, || {
        // In memory where there is such a place: nobody pulls the plug.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let data = dir.path().join("data");
        let wreck = Wreck::of(data.clone());
        let place = Place::new(move || {
            let _kept = &dir;
            Arc::new(Sled::observed(&data, |notice| panic!("{notice:?}")))
        });
        Some((place, Some(wreck)))
    });
}

#[cfg(feature = "postgres")]
#[test]
fn postgres_is_what_the_reference_is() {
    use crate::postgres::server;
    use aichat_store::{Postgres, PostgresAddress};

    let server = server();
    holds(20, || {
        let store = Postgres::at(PostgresAddress::parse(&server.as_ref()?.database()).unwrap());
        Some((Place::new(move || Arc::new(store.clone())), None))
    });
}
