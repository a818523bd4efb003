//! Storms: the built binary killed, crowded, stopped, starved of space and asked to tell secrets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[expect(dead_code, reason = "the other tests use more of it")]
#[path = "../common/mod.rs"]
mod common;

mod budget;
mod canary;
mod chance;
mod crowd;
mod full;
mod kill;
mod ledger;
mod projection;
mod race;
mod readers;
mod stop;
mod sweep;
