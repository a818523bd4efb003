//! Many sends at once over one data directory, and lists that fold what others are still writing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::chance;
use crate::common::{Done, Home, code};
use crate::ledger;

/// How many processes run at once.
const AT_ONCE: usize = 32;

/// Calls `send` for 1 to `count`, from 32 threads; after some of them the sessions are listed.
fn crowd(home: &Home, count: usize, send: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        index if index > count => break,
                        index => send(index),
                    }
                    if chance::below(8) == 0 {
                        let done = home.run("sessions list");
                        assert_eq!(done.code, 0, "{}", done.err);
                    }
                }
            });
        }
    });
}

fn prompt(index: usize) -> String {
    format!("ask {index}: wie heißt die Krabbe? 🦀")
}

#[test]
fn many_sends_at_once_keep_every_pair() {
    let home = Home::new();
    let count = chance::number("AICHAT_STORM_SENDS", 64);
    crowd(&home, count, |index| {
        let prompt = prompt(index);
        let done = home.command(["send", "-m", "openai/echo-c4-d1000", &prompt]).output().unwrap();
        let done = Done::from(done);
        assert_eq!((done.code, done.out, done.err), (0, format!("{prompt}\n"), String::new()));
    });
    let kept = ledger::exchanges(&home);
    let pairs: BTreeMap<_, _> =
        kept.iter().map(|(prompt, kept)| (prompt.clone(), kept.answer.clone())).collect();
    let expected: BTreeMap<_, _> = (1..=count).map(|index| (prompt(index), prompt(index))).collect();
    assert_eq!(pairs, expected);
    assert!(kept.values().all(|kept| kept.status == "completed"));
    assert_eq!(home.mock.requests().len(), count);
    ledger::verify(&home);
}

#[test]
fn sixty_four_at_once_on_a_fresh_store_lose_nothing() {
    const CROWD: usize = 64;
    for round in 1..=3 {
        let home = Home::new();
        let send =
            |index| home.command(["send", "-m", "openai/echo-c4-d1000", &prompt(index)]).spawn().unwrap();
        let sent: Vec<_> = (1..=CROWD).map(|index| (prompt(index), send(index))).collect();
        for (prompt, child) in sent {
            let done = Done::from(child.wait_with_output().unwrap());
            assert_eq!(
                (done.code, done.out, done.err),
                (0, format!("{prompt}\n"), String::new()),
                "round {round}"
            );
        }
        let kept = ledger::exchanges(&home);
        assert_eq!(kept.len(), CROWD, "round {round}");
        assert!(kept.iter().all(|(prompt, kept)| kept.answer == *prompt && kept.status == "completed"));
        ledger::verify(&home);
    }
}

#[test]
fn one_in_ten_killed_takes_nobody_along() {
    let home = Home::new();
    let count = chance::number("AICHAT_STORM_SENDS", 64);
    let killed = Mutex::new(Vec::new());
    crowd(&home, count, |index| {
        let prompt = prompt(index);
        let mut child = home.command(["send", "-m", "openai/echo-c8-d20000", &prompt]).spawn().unwrap();
        if index % 10 == 0 {
            thread::sleep(chance::shorter_than(Duration::from_millis(200)));
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        if code(output.status) == 137 {
            killed.lock().unwrap().push(prompt);
        } else {
            let done = Done::from(output);
            assert_eq!((done.code, done.out, done.err), (0, format!("{prompt}\n"), String::new()));
        }
    });
    let killed = killed.into_inner().unwrap();
    let kept = ledger::exchanges(&home);
    for request in home.mock.requests() {
        assert!(kept.contains_key(&request.prompt), "{:?} was asked and lost", request.prompt);
    }
    for (prompt, kept) in &kept {
        match killed.contains(prompt) {
            true => assert!(prompt.starts_with(&kept.answer), "{kept:?}"),
            false => assert_eq!((&kept.answer, kept.status.as_str()), (prompt, "completed")),
        }
    }
    let whole = (1..=count).map(prompt).filter(|prompt| !killed.contains(prompt));
    assert!(whole.into_iter().all(|prompt| kept.contains_key(&prompt)));
    println!("{count} sends, {} killed, {} kept", killed.len(), kept.len());
    ledger::verify(&home);
}
