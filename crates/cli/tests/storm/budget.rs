//! Many sends at once under one budget: it is never overdrawn, also where one in ten is killed.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::chance;
use crate::common::{Done, Home, code};
use crate::ledger;

/// How many processes run at once.
const CROWD: usize = 50;
/// An answer of eight chunks, each of them a token.
const MODEL: &str = "c8-d20000";
/// What may be spent in nano-dollars; an attempt may cost a ninth of it, and costs less than a tenth of that.
const BUDGET: u64 = 100_000_000;

fn home() -> Home {
    let home = Home::new();
    home.configure("[budget]\nday = \"0.1\"\n");
    let prices = r#"{"input":"1","output":"100"}"#;
    let table = format!(
        r#"{{"date":"2026-01-01","entries":[{{"provider":"openai","id":"{MODEL}","prices":{prices}}}]}}"#
    );
    fs::write(home.config_file().with_file_name("models.json"), table).unwrap();
    home
}

fn prompt(index: usize) -> String {
    format!("question {index} of {CROWD}")
}

/// What is on the day's account after an entry of the ledger: spent and set aside.
type Balance = (u64, u64);

/// Reads the ledger, entry by entry, and returns the balance after each of them.
fn balances(home: &Home) -> Vec<Balance> {
    let text = fs::read_to_string(home.data().join("ledger")).unwrap();
    let mut holds: BTreeMap<String, u64> = BTreeMap::new();
    let mut spent = 0;
    let entry = |line: &str| -> Value { serde_json::from_str(line.split_once(' ').unwrap().1).unwrap() };
    let after = text.lines().map(|line| {
        let entry = entry(line);
        if let Some(hold) = entry.get("hold") {
            holds.insert(hold["id"].as_str().unwrap().to_owned(), hold["amount"].as_u64().unwrap());
        } else if let Some(settle) = entry.get("settle") {
            let held = holds.remove(settle["id"].as_str().unwrap()).unwrap();
            spent += settle["spent"].as_u64().unwrap_or(held);
        } else {
            spent += entry["spend"]["amount"].as_u64().unwrap();
        }
        (spent, holds.values().sum())
    });
    after.collect()
}

/// Sends from everybody at once, and kills some of them; returns the exit codes.
fn storm(home: &Home, kills: impl Fn(usize) -> bool + Sync) -> Vec<i32> {
    let send = |index: usize| {
        let prompt = prompt(index);
        home.command(["send", "-m", &format!("openai/{MODEL}"), "-o", "max_tokens=100", &prompt])
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..CROWD).map(send).collect();
    let wait = |(index, mut child): (usize, std::process::Child)| {
        if kills(index) {
            // Killed wherever it is by then: before its request, in its answer, or afterwards.
            thread::sleep(chance::shorter_than(Duration::from_millis(400)));
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let code = code(output.status);
        if code != 137 {
            let done = Done::from(output);
            let told = done.err.contains("USD is left of the budget of this day");
            assert!(code == 0 || (code == 79 && told), "{code}: {}", done.err);
        }
        code
    };
    thread::scope(|scope| {
        let waiting: Vec<_> =
            children.into_iter().enumerate().map(|child| scope.spawn(move || wait(child))).collect();
        waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect()
    })
}

/// Asserts that nothing was overdrawn at any instant, and that whoever was refused asked nobody.
fn assert_kept(home: &Home, codes: &[i32]) {
    for (spent, held) in balances(home) {
        assert!(spent + held <= BUDGET, "{spent} spent and {held} set aside of {BUDGET}");
    }
    let asked: Vec<String> = home.mock.requests().into_iter().map(|request| request.prompt).collect();
    for (index, code) in codes.iter().enumerate() {
        let times = asked.iter().filter(|asked| **asked == prompt(index)).count();
        match code {
            79 => assert_eq!(times, 0, "question {index} was refused and asked"),
            0 => assert_eq!(times, 1, "question {index}"),
            _ => assert!(times <= 1, "question {index}"),
        }
    }
    ledger::verify(home);
}

#[test]
fn fifty_at_once_never_overspend_a_day() {
    let home = home();
    let codes = storm(&home, |_| false);
    let done = codes.iter().filter(|code| **code == 0).count();
    let refused = codes.iter().filter(|code| **code == 79).count();
    println!("{done} answered, {refused} refused");
    assert!(done >= 1 && refused >= 1 && done + refused == CROWD, "{done} answered, {refused} refused");
    assert_kept(&home, &codes);
    let (spent, held) = *balances(&home).last().unwrap();
    assert_eq!(held, 0);
    // What the ledger counts is what the sessions say, to the last digit.
    let costs = home.run("cost --by day --json");
    let costs: Value = serde_json::from_str(&costs.out).unwrap();
    assert_eq!(costs["total"]["calls"], done);
    let amount: aichat_message::Money = costs["total"]["amount"].as_str().unwrap().parse().unwrap();
    assert_eq!(amount.nano_dollars_up(), spent);
    assert_eq!(costs["items"][0]["amount"], costs["total"]["amount"]);
}

#[test]
fn one_in_ten_killed_overspends_nothing() {
    let home = home();
    let codes = storm(&home, |index| index % 10 == 3);
    let killed = codes.iter().filter(|code| **code == 137).count();
    // Whoever was killed holds what it set aside until its turn is folded, which takes it as spent.
    let (before, held) = *balances(&home).last().unwrap();
    assert_eq!(home.run("sessions list").code, 0);
    let (after, left) = *balances(&home).last().unwrap();
    assert_eq!((after, left), (before + held, 0));
    assert_kept(&home, &codes);
    let known = home.run("cost --by day --json");
    let known: Value = serde_json::from_str(&known.out).unwrap();
    let known: aichat_message::Money = known["total"]["amount"].as_str().unwrap().parse().unwrap();
    assert!(known.nano_dollars_up() <= after);
    println!("{killed} killed; {held} nano-dollars of theirs are taken as spent");
}
