//! What the store remembers, read through the commands that anybody would use.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::Home;

/// A question and what is remembered of its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) answer: String,
    pub(crate) status: String,
}

/// Returns the ids of all sessions.
pub(crate) fn sessions(home: &Home) -> Vec<String> {
    items(home).iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns all sessions as they are listed.
pub(crate) fn items(home: &Home) -> Vec<Value> {
    let done = home.run("sessions list --json");
    assert_eq!(done.code, 0, "{}", done.err);
    let list: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(list["next"], Value::Null);
    list["items"].as_array().unwrap().clone()
}

/// Returns every exchange of every session by its prompt. No prompt may be there twice.
pub(crate) fn exchanges(home: &Home) -> BTreeMap<String, Exchange> {
    let mut all = BTreeMap::new();
    for session in sessions(home) {
        for (prompt, exchange) in exchanges_of(home, &session) {
            let twice = all.insert(prompt.clone(), exchange);
            assert!(twice.is_none(), "{prompt:?} is there twice: {twice:?} and in {session}");
        }
    }
    all
}

/// Returns the exchanges of one session, oldest first.
pub(crate) fn exchanges_of(home: &Home, session: &str) -> Vec<(String, Exchange)> {
    let done = home.run(&format!("sessions show --json {session}"));
    assert_eq!(done.code, 0, "{}", done.err);
    let shown: Value = serde_json::from_str(&done.out).unwrap();
    let entries = shown["entries"].as_array().unwrap();
    let of_turn = |role: &str, turn: &Value| -> Vec<String> {
        let same = |entry: &&Value| entry["role"] == role && entry["turn"] == *turn;
        entries.iter().filter(same).map(text).collect()
    };
    let exchange = |turn: &Value| {
        let (mut asked, mut told) = (of_turn("user", &turn["id"]), of_turn("assistant", &turn["id"]));
        assert!(asked.len() == 1 && told.len() <= 1, "{session}: {asked:?} {told:?}");
        let exchange = Exchange {
            answer: told.pop().unwrap_or_default(),
            status: turn["status"].as_str().unwrap().to_owned(),
        };
        (asked.remove(0), exchange)
    };
    let turns = shown["turns"].as_array().unwrap();
    let users = entries.iter().filter(|entry| entry["role"] == "user").count();
    assert_eq!(users, turns.len(), "{session} has a message of no turn");
    turns.iter().map(exchange).collect()
}

/// Checks the chain of every session.
pub(crate) fn verify(home: &Home) {
    let done = home.run("events verify --all --json");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let list: Value = serde_json::from_str(&done.out).unwrap();
    let verified = list["items"].as_array().unwrap();
    for session in sessions(home) {
        assert!(verified.iter().any(|one| one["session"] == *session && one["fault"].is_null()), "{session}");
    }
}

fn text(entry: &Value) -> String {
    let parts = entry["message"]["parts"].as_array().unwrap();
    parts.iter().filter_map(|part| part["text"].as_str()).collect()
}
