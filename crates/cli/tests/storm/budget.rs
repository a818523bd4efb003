//! Many sends at once under one budget: it is never overdrawn, also where one in ten is killed.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use aichat_message::Money;
use serde_json::Value;

use crate::chance;
use crate::common::{Done, Home, code};
use crate::ledger;

/// How many processes run at once.
const CROWD: usize = 50;
/// An answer of 24 chunks, each of them a token.
const MODEL: &str = "c24-d7000";
/// What may be spent in nano-dollars; an attempt may cost a ninth of it, and costs a fortieth: however they come one
/// after another, there is not enough for all of them.
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

/// The accounts of days after an entry of the ledger; there are two where midnight was meanwhile.
#[derive(Clone, Default)]
struct Balance {
    /// What is spent, by day.
    spent: BTreeMap<String, u64>,
    /// What is set aside and on which day, by the name of the hold.
    holds: BTreeMap<String, (u64, String)>,
}

impl Balance {
    fn held(&self) -> u64 {
        self.holds.values().map(|(held, _)| held).sum()
    }

    fn spent(&self) -> u64 {
        self.spent.values().sum()
    }

    fn spend(&mut self, day: String, amount: u64) {
        *self.spent.entry(day).or_default() += amount;
    }

    /// Returns what is spent and set aside on each day.
    fn used(&self) -> BTreeMap<&str, u64> {
        let mut used: BTreeMap<&str, u64> = BTreeMap::new();
        let held = self.holds.values().map(|(held, day)| (day, held));
        self.spent.iter().chain(held).for_each(|(day, amount)| *used.entry(day).or_default() += amount);
        used
    }
}

/// Returns the day that an entry is of; its accounts are that of the day, and that of the provider in it.
fn day(entry: &Value) -> String {
    entry["accounts"][0].as_str().unwrap().to_owned()
}

/// Reads the ledger, entry by entry, and returns the balance after each of them.
fn balances(home: &Home) -> Vec<Balance> {
    let text = fs::read_to_string(home.data().join("ledger")).unwrap();
    let entry = |line: &str| -> Value { serde_json::from_str(line.split_once(' ').unwrap().1).unwrap() };
    let mut balance = Balance::default();
    let after = text.lines().map(|line| {
        let entry = entry(line);
        if let Some(hold) = entry.get("hold") {
            let held = (hold["amount"].as_u64().unwrap(), day(hold));
            balance.holds.insert(hold["id"].as_str().unwrap().to_owned(), held);
        } else if let Some(settle) = entry.get("settle") {
            let (held, day) = balance.holds.remove(settle["id"].as_str().unwrap()).unwrap();
            balance.spend(day, settle["spent"].as_u64().unwrap_or(held));
        } else {
            balance.spend(day(&entry["spend"]), entry["spend"]["amount"].as_u64().unwrap());
        }
        balance.clone()
    });
    after.collect()
}

/// Returns what the events of all sessions say that attempts cost, by the name of the hold.
fn committed(home: &Home) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for session in ledger::sessions(home) {
        let listed = home.run(&format!("events list {session} --type budget.committed --json"));
        let listed: Value = serde_json::from_str(&listed.out).unwrap();
        for event in listed["items"].as_array().unwrap() {
            let (turn, attempt) = (event["turn"].as_str().unwrap(), &event["payload"]["attempt"]);
            let amount: Money = event["payload"]["amount"].as_str().unwrap().parse().unwrap();
            all.insert(format!("{turn}/{attempt}"), amount.nano_dollars_up());
        }
    }
    all
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
    for balance in balances(home) {
        let used = balance.used();
        assert!(used.values().all(|used| *used <= BUDGET), "{used:?} of {BUDGET}");
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
    let last = balances(&home).pop().unwrap();
    assert_eq!(last.holds, BTreeMap::new());
    // What the ledger counts is what the sessions say, to the last digit.
    let costs = home.run("cost --by day --json");
    let costs: Value = serde_json::from_str(&costs.out).unwrap();
    assert_eq!(costs["total"]["calls"], done);
    let amount: Money = costs["total"]["amount"].as_str().unwrap().parse().unwrap();
    assert_eq!(amount.nano_dollars_up(), last.spent());
    let days = costs["items"].as_array().unwrap().iter().map(|day| day["amount"].as_str().unwrap());
    assert_eq!(days.fold(Money::ZERO, |sum, day| sum + day.parse().unwrap()), amount);
}

#[test]
fn one_in_ten_killed_overspends_nothing() {
    let home = home();
    let codes = storm(&home, |index| index % 10 == 3);
    let killed = codes.iter().filter(|code| **code == 137).count();
    // Whoever was killed holds what it set aside until its turn is folded. That takes all of it as spent, unless the
    // turn had come to write down what it cost.
    let before = balances(&home).pop().unwrap();
    assert_eq!(home.run("sessions list").code, 0);
    let after = balances(&home).pop().unwrap();
    let committed = committed(&home);
    let taken: u64 = before.holds.iter().map(|(id, (held, _))| committed.get(id).unwrap_or(held)).sum();
    assert_eq!((after.spent(), after.holds.len()), (before.spent() + taken, 0));
    assert_kept(&home, &codes);
    let known = home.run("cost --by day --json");
    let known: Value = serde_json::from_str(&known.out).unwrap();
    let known: Money = known["total"]["amount"].as_str().unwrap().parse().unwrap();
    assert!(known.nano_dollars_up() <= after.spent());
    println!("{killed} killed; {taken} nano-dollars of {} set aside are taken as spent", before.held());
}
