//! What a binary without an HTTP client does as well: `cargo test -p aichat-cli --no-default-features --test offline`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::path::Path;
use std::process::{Command, Output};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recorded/session.jsonl");

fn run(home: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aichat"));
    command.args(line.split(' ')).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_recorded_session_is_replayed_without_a_network() {
    let home = tempfile::tempdir().unwrap();
    let done = run(home.path(), &format!("sessions import {RECORDED}"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let shown = run(home.path(), "sessions show recorded");
    let done = run(home.path(), "events replay recorded --offline");
    assert_eq!((done.status.code(), text(&done.stderr).as_str()), (Some(0), "3 of 3 turns replayed\n"));
    assert_eq!(done.stdout, shown.stdout);
    assert!(text(&done.stdout).contains("why is the sky blue"));
    let done = run(home.path(), "sessions export recorded");
    assert_eq!(text(&done.stdout), std::fs::read_to_string(RECORDED).unwrap());
}

#[cfg(not(feature = "http"))]
#[test]
fn whoever_wants_to_send_is_told_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let done = run(home.path(), "send -m ollama/any --no-stdin hello");
    let err = text(&done.stderr);
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("built without an HTTP client") && err.contains("feature `http`"), "{err}");
    let done = run(home.path(), "send -m ollama/any --no-stdin --dry-run hello");
    assert!(text(&done.stdout).contains("hello"), "what would be sent is shown: {}", text(&done.stderr));
}
