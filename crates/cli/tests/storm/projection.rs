//! What is derived from the logs can be derived again, here and elsewhere, to the same bytes.

use crate::common::{Home, signal};
use crate::ledger;

/// Every list and every export, lossless and readable ones.
fn everything(home: &Home) -> Vec<String> {
    let mut lines = vec!["sessions list".to_owned(), "sessions list --json".to_owned()];
    for id in ledger::sessions(home) {
        lines.extend(["jsonl", "json", "md"].map(|format| format!("sessions export {id} --format {format}")));
        lines.push(format!("sessions show {id} --json"));
        lines.push(format!("events list {id} --json"));
    }
    lines.iter().map(|line| good(home, line)).collect()
}

fn good(home: &Home, line: &str) -> String {
    let done = home.run(line);
    assert_eq!(done.code, 0, "{line}: {}", done.err);
    done.out
}

/// Leaves an answer behind that was killed in the middle.
fn killed(home: &Home, prompt: &str) {
    let before = home.mock.chunks_sent();
    let mut child = home.command(["send", "-m", "openai/c9-l40-stall3", prompt]).spawn().unwrap();
    while home.mock.chunks_sent() < before + 3 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_rebuild_gives_the_same_bytes() {
    let home = Home::new();
    good(&home, "send -s first -m openai/c5 eins");
    good(&home, "send -s first -m openai/c3 zwei");
    good(&home, "send -s gone -m openai/c2 to be deleted");
    good(&home, "send -m openai/c2 without a name");
    assert_eq!(home.run("send -s failing -m openai/e400 refused").code, 1);
    good(&home, "sessions create empty");
    good(&home, "sessions rename first renamed");
    let deleted = ledger::items(&home).into_iter().find(|session| session["name"] == "gone").unwrap();
    good(&home, "sessions delete gone");
    killed(&home, "recovered");
    let before = home.mock.requests().len();
    let mut child =
        home.command(["send", "-s", "stopped", "-m", "openai/c9-l40-stall2", "x"]).spawn().unwrap();
    while home.mock.requests().len() == before || home.mock.requests()[before].sent.len() < 2 {
        std::thread::yield_now();
    }
    signal(&child, "INT");
    child.wait().unwrap();
    let other = Home::new();
    good(&other, "send -s visitor -m openai/c4 hello");
    good(&other, "sessions rename visitor guest");
    std::fs::write(home.path().join("guest"), good(&other, "sessions export guest")).unwrap();
    good(&home, "sessions import guest");

    let before = everything(&home);
    good(&home, "store rebuild");
    let after = everything(&home);
    assert_eq!(before, after);
    assert!(before[0].contains("renamed") && before[0].contains("guest"), "{}", before[0]);
    assert!(before[1].contains("interrupted") && before[1].contains("failed"), "{}", before[1]);
    let deleted = deleted["id"].as_str().unwrap();
    assert!(!before[1].contains(deleted) && !before[1].contains("gone"), "{}", before[1]);
    ledger::verify(&home);
    good(&home, "send -s renamed -m openai/c1 the name holds");
    good(&home, "send -s gone -m openai/c1 the name is free");
}

#[test]
fn what_is_exported_and_imported_is_exported_alike() {
    let home = Home::new();
    good(&home, "send -s first -m openai/c5 eins");
    good(&home, "send -s first -m openai/echo-c3 Grüße_🦀_\"quoted\"_\\n_\u{1}");
    good(&home, "sessions rename first renamed");
    assert_eq!(home.run("send -s renamed -m openai/e400 refused").code, 1);
    killed(&home, "recovered");
    for id in ledger::sessions(&home) {
        for format in ["json", "jsonl"] {
            let elsewhere = Home::new();
            let first = good(&home, &format!("sessions export {id} --format {format}"));
            assert_eq!(elsewhere.pipe("sessions import -", first.as_bytes()).code, 0);
            let other = if format == "json" { "jsonl" } else { "json" };
            for format in [format, other] {
                let line = format!("sessions export {id} --format {format}");
                assert_eq!(good(&elsewhere, &line), good(&home, &line));
            }
            let line = format!("sessions show {id} --json");
            assert_eq!(good(&elsewhere, &line), good(&home, &line));
            good(&elsewhere, "store rebuild");
            let line = format!("sessions export {id} --format {format}");
            assert_eq!(good(&elsewhere, &line), first);
            good(&elsewhere, &format!("send -s {id} -m openai/c1 on"));
            ledger::verify(&elsewhere);
        }
    }
}
