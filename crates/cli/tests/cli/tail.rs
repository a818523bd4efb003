//! `events tail`: what happens in other processes, each event once, and nobody waits for it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use std::time::Instant;

use serde_json::Value;

use crate::common::{Home, code, signal};

/// A tail that runs, and what it printed.
struct Tail {
    child: Child,
    out: BufReader<ChildStdout>,
    seen: Vec<Value>,
}

impl Tail {
    fn begin(home: &Home, line: &str) -> Self {
        let mut child = home.command(line.split_whitespace()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, seen: Vec::new() }
    }

    /// Reads until an event of a type has come.
    fn until(&mut self, kind: &str) {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended before {kind}: {:?}", self.seen);
            let event: Value = serde_json::from_str(&line).unwrap();
            let done = event["type"] == kind;
            self.seen.push(event);
            if done {
                return;
            }
        }
    }

    fn end(mut self, name: &str) -> (i32, Vec<Value>) {
        signal(&self.child, name);
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.seen.extend(rest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        let (mut err, status) = (String::new(), self.child.wait().unwrap());
        self.child.stderr.unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(err, "");
        (code(status), self.seen)
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn assert_once(events: &[Value]) {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event["id"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

fn files(home: &Home) -> Vec<String> {
    let list = |dir: &str| std::fs::read_dir(home.data().join(dir)).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        list("").chain(list("journal")).map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn turns_of_other_processes_are_told_as_they_happen_and_nothing_is_folded() {
    let home = Home::new();
    let mut tail = Tail::begin(&home, "events tail -f --json");
    let mut sending = home.command(["send", "-m", "openai/c9-l40-stall3", "hi"]).spawn().unwrap();
    tail.until("llm.response.first_chunk");
    assert!(
        tail.seen.iter().all(|event| event["seq"].is_null()),
        "in flight nothing has a place: {:?}",
        tail.seen
    );
    assert!(!files(&home).contains(&"db".to_owned()), "no log was opened: {:?}", files(&home));
    signal(&sending, "INT");
    assert_eq!(code(sending.wait().unwrap()), 130);
    tail.until("turn.interrupted");
    assert!(!files(&home).contains(&"db".to_owned()), "nothing was folded: {:?}", files(&home));
    // Somebody folds; what was told in flight is not told again.
    assert_eq!(home.run("sessions rename @last sky").code, 0);
    tail.until("session.renamed");
    let (code, seen) = tail.end("INT");
    assert_eq!(code, 130);
    assert_once(&seen);
    assert_eq!(
        seen.last().unwrap()["seq"].as_u64().unwrap(),
        seen.len() as u64,
        "all of them: {:?}",
        kinds(&seen)
    );
    let all = home.run("events list sky --json").out;
    for event in &seen {
        assert!(all.contains(event["id"].as_str().unwrap()), "{event}");
    }
}

#[test]
fn a_session_is_followed_through_folds_and_purge() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 -s a one").code, 0);
    assert_eq!(home.run("send -m openai/c1 -s b other").code, 0);
    let mut tail = Tail::begin(&home, "events tail a -f --json --limit 1");
    tail.until("llm.wire.kept");
    assert_eq!(tail.seen.len(), 1);
    assert_eq!(home.run("send -s b more").code, 0);
    assert_eq!(home.run("send -s a two").code, 0);
    tail.until("turn.completed");
    assert_eq!(home.run("sessions list").code, 0);
    assert_eq!(home.run("sessions purge a --yes").code, 0);
    tail.until("session.erased");
    let (code, seen) = tail.end("TERM");
    assert_eq!(code, 143);
    assert_once(&seen);
    assert_eq!(seen.iter().filter(|event| event["type"] == "turn.started").count(), 1, "{:?}", kinds(&seen));
}

#[test]
fn a_tail_holds_nothing_that_a_sender_waits_for() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 -s a one").code, 0);
    let mut tail = Tail::begin(&home, "events tail -f --json");
    tail.until("turn.completed");
    for text in ["two", "three", "four"] {
        let begun = Instant::now();
        let sent = home.run(&format!("send -s a {text}"));
        assert_eq!((sent.code, sent.err.as_str()), (0, ""), "after {:?}", begun.elapsed());
        tail.until("turn.completed");
    }
    assert_eq!(home.run("store verify").code, 0);
    let (_, seen) = tail.end("INT");
    assert_once(&seen);
    assert_eq!(seen.iter().filter(|event| event["type"] == "turn.completed").count(), 4);
}

#[test]
fn a_tail_ends_with_its_reader() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 one").code, 0);
    let mut tail = Tail::begin(&home, "events tail -f --json");
    tail.until("turn.completed");
    drop(tail.out);
    assert_eq!(code(tail.child.wait().unwrap()), 141, "nothing happens, and it ends all the same");
}

#[test]
fn without_follow_it_is_a_list_of_the_last() {
    let home = Home::new();
    assert_eq!(home.run("events tail").all(), "0\n");
    assert!(files(&home).is_empty(), "looking made nothing: {:?}", files(&home));
    assert_eq!(home.run("send -m openai/c1 -s a one").code, 0);
    let waiting = home.run("events tail");
    assert!(
        waiting.out.starts_with("ses_")
            && waiting.out.contains("…  ")
            && waiting.out.contains("turn.completed"),
        "{}",
        waiting.all()
    );
    assert_eq!(home.run("send -m openai/c1 -s b other").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    let both = home.run("events tail --limit 30").out;
    assert_eq!(both.lines().filter(|line| line.starts_with("ses_")).count(), 2, "{both}");
    assert_eq!(home.run("events tail a --limit 2").out.lines().count(), 2);
    assert_eq!(home.run("events tail nothing").code, 66);
}
