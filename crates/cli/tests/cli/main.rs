//! The command line from outside: the built binary against a mock upstream.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/dictated.rs"]
mod dictated;
#[path = "../../../store/tests/store/postgres/server.rs"]
#[cfg(test)]
#[expect(dead_code, reason = "each program of tests has use for a part of it")]
mod postgres;
#[path = "../common/pty.rs"]
mod pty;
#[path = "../common/published.rs"]
mod published;
#[path = "../common/terminal.rs"]
mod terminal;

mod agents;
mod attachments;
mod batch;
mod chains;
#[cfg(feature = "chat")]
mod chat;
mod checkups;
mod codes;
mod cookbook;
mod costs;
mod databases;
mod doctor;
mod erase;
mod errors;
mod fallbacks;
mod fenced;
mod foreign;
mod forks;
mod forms;
mod help;
#[cfg(feature = "inspect")]
mod inspect;
mod keys;
mod older;
#[cfg(feature = "otel")]
mod otel;
mod places;
mod preview;
mod progress;
mod replay;
mod screen;
mod send;
mod sessions;
mod shapes;
mod shells;
mod stops;
mod store;
mod surroundings;
mod tail;
mod templates;
mod terminals;
mod transfer;
mod trees;
#[cfg(test)]
mod unwritable;
