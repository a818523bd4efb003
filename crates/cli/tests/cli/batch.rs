//! `batch`: many prompts at once, a result for each, and what is left after a crash, a storm and an empty purse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use aichat_message::Money;
use serde_json::{Value, json};

use crate::common::{Done, Home, code, signal};

fn lines(home: &Home, name: &str, lines: impl IntoIterator<Item = Value>) -> PathBuf {
    let path = home.path().join(name);
    let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    path
}

fn prompts(home: &Home, count: usize) -> PathBuf {
    lines(
        home,
        "prompts.jsonl",
        (0..count).map(|n| json!({"id": format!("p{n}"), "prompt": format!("say {n}")})),
    )
}

fn results(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn output(home: &Home) -> Vec<Value> {
    results(&fs::read_to_string(home.path().join("results.jsonl")).unwrap())
}

fn price(home: &Home, model: &str) {
    let prices = r#"{"input":"1","output":"100"}"#;
    let table = format!(
        r#"{{"date":"2026-01-01","entries":[{{"provider":"openai","id":"{model}","prices":{prices}}}]}}"#
    );
    fs::create_dir_all(home.config_file().parent().unwrap()).unwrap();
    fs::write(home.config_file().with_file_name("models.json"), table).unwrap();
}

#[test]
fn every_line_has_a_result_that_says_which_it_is_of() {
    let home = Home::new();
    home.configure("model = \"openai/echo\"\n");
    assert_eq!(home.run("templates create loud {{prompt}}-{{mark}}").code, 0);
    lines(
        &home,
        "prompts.jsonl",
        [
            json!({"id": 7, "prompt": "one"}),
            json!({"prompt": "two", "model": "openai/c2", "options": {"max_tokens": 5, "stop": ["x"]}}),
            json!({"id": "t", "prompt": "three", "template": "loud", "params": {"mark": "!"}}),
            json!({"prompt": "{\"a\":1}", "schema": "a int", "system": "Be brief."}),
            json!({"prompt": "no", "model": "openai/e400"}),
        ],
    );
    let done = home.run("batch prompts.jsonl -j 2 -o max_tokens=9");
    assert_eq!(done.code, 1, "{}", done.err);
    let all: BTreeMap<u64, Value> =
        results(&done.out).into_iter().map(|line| (line["index"].as_u64().unwrap(), line)).collect();
    let said: Vec<_> = all.values().map(|line| (&line["id"], line["text"].as_str().unwrap())).collect();
    let null = &Value::Null;
    let expected: [(&Value, &str); 5] =
        [(&json!(7), "one"), (null, "0 1 "), (&json!("t"), "three-!"), (null, "{\"a\":1}"), (null, "")];
    assert_eq!(said, expected);
    assert_eq!((&all[&3]["json"], &all[&4]["error"]["kind"]), (&json!({"a": 1}), &json!("invalid_request")));
    assert!(all.values().all(|line| line["schema"] == "aichat.result/1" && line["session_id"].is_string()));
    assert!(done.err.contains("4 answered, 1 failed (1 invalid_request); tokens: "), "{}", done.err);
    let bodies: Vec<Value> =
        home.mock.requests().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let limits: BTreeSet<_> = bodies.iter().map(|body| body["max_tokens"].as_u64().unwrap()).collect();
    assert_eq!(limits, BTreeSet::from([5, 9]), "a line goes before a flag");
    assert!(bodies.iter().any(|body| body["messages"][0]["content"] == "Be brief."));
    assert_eq!(home.run("sessions list").out.lines().count(), 5);
    assert_eq!(home.run("events verify --all").code, 0);
    assert_eq!(home.run("batch prompts.jsonl -n").code, 1);
    assert_eq!(home.run("sessions list").out.lines().count(), 5, "-n saves nothing");
}

#[test]
fn lines_may_come_from_a_pipe_as_they_are_made() {
    let home = Home::new();
    let input = "{\"prompt\":\"a\"}\n\n  \r\n{\"prompt\":\"b\"}";
    let done = home.pipe("batch - -m openai/echo", input.as_bytes());
    let texts: BTreeSet<_> = results(&done.out).iter().map(|line| line["text"].to_string()).collect();
    assert_eq!((done.code, texts.len()), (0, 2), "{}", done.err);
    // What came before a wrong line is asked, and what comes after it is not.
    let done = home.pipe("batch - -m openai/echo", b"{\"prompt\":\"a\"}\nnonsense\n{\"prompt\":\"c\"}\n");
    assert_eq!((done.code, results(&done.out).len()), (66, 1), "{}", done.err);
    assert!(done.err.contains("standard input, line 2: it is not JSON"), "{}", done.err);
    assert_eq!(home.pipe("batch - -m openai/echo", b"").code, 0);
}

#[test]
fn what_is_wrong_with_a_file_is_found_before_anything_is_sent() {
    let home = Home::new();
    let deep = format!("{{\"prompt\":\"a\",\"id\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"prompt\":\"{}\"}}", "x".repeat(33 << 20));
    for (line, told) in [
        (&b"{\"prompt\":\"a\""[..], "line 2: it is not JSON"),
        (b"{\"promt\":\"a\"}", "line 2: there is no field \"promt\""),
        (b"{\"prompt\":\"\xff\"}", "line 2: it is not UTF-8"),
        (b"{\"prompt\":\"\"}", "line 2: it has no prompt"),
        (b"{\"prompt\":\"a\",\"model\":\"nobody/x\"}", "line 2: there is no provider named"),
        (b"{\"prompt\":\"a\",\"model\":\"anthropic/x\"}", "line 2: there is no key for anthropic"),
        (b"{\"prompt\":\"a\",\"agent\":\"x\"}", "line 2: "),
        (b"{\"prompt\":\"a\",\"schema\":{\"type\":\"objekt\"}}", "line 2: the schema is wrong at #/type"),
        (b"{\"prompt\":\"a\",\"schema\":\"/etc/hostname\"}", "line 2: in the schema"),
        (deep.as_bytes(), "line 2: "),
        (long.as_bytes(), "line 2: it is longer than 32 MB"),
        (b"\0", "line 2: it is not JSON"),
    ] {
        let text = [b"{\"prompt\":\"first\"}\n", line, b"\n"].concat();
        fs::write(home.path().join("prompts.jsonl"), text).unwrap();
        let done = home.run("batch prompts.jsonl -m openai/echo --output results.jsonl");
        assert!([2, 66, 69, 77].contains(&done.code) && done.out.is_empty(), "{told}: {}", done.err);
        assert!(done.err.contains(told), "{told}: {}", done.err);
    }
    assert_eq!(home.mock.requests().len(), 0);
    assert_eq!(home.run("batch nowhere.jsonl -m openai/echo").code, 66);
    assert_eq!(home.run("batch . -m openai/echo").code, 66);
    assert_eq!(home.run("batch prompts.jsonl -j 0").code, 2);
}

/// Waits until so many results are in the file.
fn wait_for(home: &Home, count: usize) {
    let path = home.path().join("results.jsonl");
    while fs::read(&path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() < count {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn begin(home: &Home, line: &str) -> Child {
    home.command(line.split_whitespace()).spawn().unwrap()
}

#[test]
fn after_kill_9_it_goes_on_where_it_was() {
    let home = Home::new();
    let (count, jobs) = (200, 16);
    // The first batch cannot come to its end: nothing comes of one line the first time it is asked.
    let model = |n| if n == 0 { "openai/echo-stall0-x1" } else { "openai/echo-t20000" };
    let line = |n| json!({"id": format!("p{n}"), "prompt": format!("say {n}"), "model": model(n)});
    lines(&home, "prompts.jsonl", (0..count).map(line));
    let line = format!("batch prompts.jsonl -j {jobs} --output results.jsonl");
    let mut child = begin(&home, &line);
    wait_for(&home, 60);
    while home.mock.requests().iter().all(|request| request.prompt != "say 0") {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = output_lines(&home);
    assert!(before >= 60 && before < count, "{before}");
    // The machine may go down in the middle of a line.
    let path = home.path().join("results.jsonl");
    let torn = [fs::read(&path).unwrap(), b"{\"schema\":\"aichat.result/1\",\"index\":19".to_vec()].concat();
    fs::write(&path, torn).unwrap();
    let done = home.run(&line);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert!(done.err.contains(&format!("{before} answered before")), "{}", done.err);
    let all = output(&home);
    let indexes: BTreeSet<_> = all.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!((all.len(), indexes.len()), (count, count), "each once");
    for line in &all {
        let n = line["index"].as_u64().unwrap();
        assert_eq!((&line["id"], &line["text"]), (&json!(format!("p{n}")), &json!(format!("say {n}"))));
        assert_eq!(line["error"], Value::Null);
    }
    let asked = home.mock.requests().len();
    assert!(asked <= count + jobs, "{asked} requests for {count} prompts");
    let again = home.run(&line);
    assert_eq!((again.code, home.mock.requests().len()), (0, asked), "nothing is left to ask");
    // Another prompt in the place of one that has an answer is no continuation.
    prompts_changed(&home, count);
    let changed = home.run(&line);
    assert_eq!(changed.code, 66, "{}", changed.err);
    assert!(changed.err.contains("line 1: the results have an answer to another prompt"), "{}", changed.err);
    assert_eq!(output(&home).len(), count);
    assert_eq!(home.run("events verify --all").code, 0);
}

fn output_lines(home: &Home) -> usize {
    fs::read_to_string(home.path().join("results.jsonl")).unwrap().lines().count()
}

fn prompts_changed(home: &Home, count: usize) {
    lines(home, "prompts.jsonl", (0..count).map(|n| json!({"prompt": format!("tell {n}")})));
}

#[test]
fn what_failed_is_asked_again_and_what_is_answered_is_not() {
    let home = Home::new();
    lines(
        &home,
        "prompts.jsonl",
        [json!({"prompt": "a"}), json!({"prompt": "b", "model": "openai/e400-x1"}), json!({"prompt": "c"})],
    );
    let line = "batch prompts.jsonl -m openai/echo --output results.jsonl";
    let first = home.run(line);
    assert_eq!((first.code, output(&home).len()), (1, 3), "{}", first.err);
    let second = home.run(line);
    assert_eq!(second.code, 0, "{}", second.err);
    assert!(second.err.contains("1 answered, 2 answered before"), "{}", second.err);
    let all = output(&home);
    assert!(all.len() == 3 && all.iter().all(|line| line["error"].is_null()), "{all:?}");
    assert_eq!(home.mock.requests().len(), 4);
    fs::write(home.path().join("results.jsonl"), "my notes\n").unwrap();
    let foreign = home.run(line);
    assert_eq!((foreign.code, foreign.err.contains("no result of a batch")), (66, true), "{}", foreign.err);
    assert_eq!(fs::read_to_string(home.path().join("results.jsonl")).unwrap(), "my notes\n");
}

#[test]
fn a_storm_of_429_is_sat_out_together() {
    let home = Home::new();
    let count = 12;
    prompts(&home, count);
    let done = home.run("batch prompts.jsonl -m openai/e429-r1-x1-echo -j 6");
    assert_eq!((done.code, results(&done.out).len()), (0, count), "{}", done.err);
    let mut asked: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for request in home.mock.requests() {
        asked.entry(request.prompt).or_default().push(request.at);
    }
    assert_eq!(asked.len(), count);
    for (prompt, times) in asked {
        assert_eq!(times.len(), 2, "{prompt} is asked once more, and not again and again");
        let wait = times[1].duration_since(times[0]).unwrap();
        assert!(wait >= Duration::from_secs(1), "{prompt} waited {wait:?}");
    }
    let dead = home.run("batch prompts.jsonl -m openai/e401 -j 3");
    assert_eq!(dead.code, 77, "{}", dead.err);
    assert!(results(&dead.out).len() <= 3, "a key that is refused is not tried with every line");
    assert!(dead.err.contains(" not sent"), "{}", dead.err);
}

#[test]
fn fifty_at_once_never_spend_more_than_they_may() {
    let home = Home::new();
    price(&home, "c8");
    prompts(&home, 200);
    let done = home.run(
        "batch prompts.jsonl -m openai/c8 -o max_tokens=100 -j 50 --max-cost 0.1 --output results.jsonl",
    );
    assert_eq!(done.code, 79, "{}", done.err);
    let all = output(&home);
    let answered: Vec<_> = all.iter().filter(|line| line["error"].is_null()).collect();
    let spent = answered
        .iter()
        .fold(Money::ZERO, |sum, line| sum + line["cost"]["amount"].as_str().unwrap().parse().unwrap());
    assert!(spent <= "0.1".parse().unwrap(), "{spent}");
    // Everybody else waited for what was only set aside: most of it is spent in the end.
    assert!(spent >= "0.08".parse().unwrap(), "{spent}: {}", done.err);
    assert_eq!(home.mock.requests().len(), answered.len(), "who was refused asked nobody");
    assert!(done.err.contains(" not sent") && done.err.contains("the budget allows no more"), "{}", done.err);
    // What was spent counts when it goes on.
    let more = home.run(
        "batch prompts.jsonl -m openai/c8 -o max_tokens=100 -j 50 --max-cost 0.1 --output results.jsonl",
    );
    assert_eq!((more.code, home.mock.requests().len()), (79, answered.len()), "{}", more.err);
    let rest = home.run(
        "batch prompts.jsonl -m openai/c8 -o max_tokens=100 -j 50 --max-cost 0.5 --output results.jsonl",
    );
    assert_eq!((rest.code, output(&home).len()), (0, 200), "{}", rest.err);
    assert_eq!(home.mock.requests().len(), 200, "each is paid for once");
}

#[test]
fn what_was_in_flight_at_kill_9_is_never_spent_again() {
    let home = Home::new();
    // Nothing comes the first time that a line is asked.
    let model = "echo-stall0-x1";
    price(&home, model);
    prompts(&home, 4);
    let line = |cost: &str| {
        format!(
            "batch prompts.jsonl -m openai/{model} -o max_tokens=100 -j 4 --max-cost {cost} --output results.jsonl"
        )
    };
    // A line may cost 0.0111, and costs a hundredth of it.
    let mut child = begin(&home, &line("0.05"));
    while home.mock.requests().len() < 4 {
        assert!(child.try_wait().unwrap().is_none(), "nothing ends what waits for its answer");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = home.run(&line("0.05"));
    assert_eq!((refused.code, home.mock.requests().len()), (79, 4), "{}", refused.err);
    assert_eq!(home.run(&line("0.054")).code, 79, "nor the second time");
    assert_eq!(home.mock.requests().len(), 4);
    let done = home.run(&line("0.06"));
    assert_eq!((done.code, home.mock.requests().len()), (0, 8), "{}", done.err);
    assert!(output(&home).len() == 4 && output(&home).iter().all(|line| line["error"].is_null()));
    // New results are another batch.
    fs::remove_file(home.path().join("results.jsonl")).unwrap();
    let anew = home.run(&line("0.012"));
    assert_eq!((anew.code, output(&home).len()), (0, 4), "{}", anew.err);
}

#[test]
fn ctrl_c_writes_what_is_there_and_the_rest_is_not_sent() {
    let home = Home::new();
    prompts(&home, 9);
    let line = "batch prompts.jsonl -m openai/c9-stall3 -j 3 --output results.jsonl";
    let child = begin(&home, line);
    while home.mock.chunks_sent() < 9 {
        std::thread::yield_now();
    }
    signal(&child, "INT");
    let output_of = child.wait_with_output().unwrap();
    let done = Done::from(output_of);
    assert_eq!(done.code, 130, "{}", done.err);
    let all = output(&home);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|line| line["status"] == "interrupted" && line["error"]["kind"] == "cancelled"));
    assert!(done.err.contains("0 answered, 3 failed (3 cancelled), 6 not sent"), "{}", done.err);
    let rest = home.run("batch prompts.jsonl -m openai/echo --output results.jsonl");
    assert_eq!((rest.code, output(&home).len()), (0, 9), "{}", rest.err);
}

#[test]
fn one_batch_writes_a_file_at_a_time() {
    let home = Home::new();
    prompts(&home, 2);
    let mut child = begin(&home, "batch prompts.jsonl -m openai/c9-stall3 --output results.jsonl");
    while home.mock.chunks_sent() < 3 {
        std::thread::yield_now();
    }
    let other = home.run("batch prompts.jsonl -m openai/echo --output results.jsonl");
    assert_eq!((other.code, other.err.contains("another batch writes")), (75, true), "{}", other.err);
    signal(&child, "TERM");
    assert_eq!(code(child.wait().unwrap()), 143);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let home = Home::new();
    prompts(&home, 200);
    let mut child = begin(&home, "batch prompts.jsonl -m openai/echo-t20000 -j 2");
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(results(&first).len(), 1);
    let done = Done::from(child.wait_with_output().unwrap());
    // A slow machine says how far it is, meanwhile.
    let told: Vec<&str> = done.err.lines().filter(|line| !line.starts_with("asking: ")).collect();
    assert_eq!((done.code, told.len()), (141, 0), "{}", done.err);
    assert!(home.mock.requests().len() < 200, "nobody is left to ask for");
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn results_that_cannot_be_written_end_it_and_say_why() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full here");
        return;
    };
    let home = Home::new();
    prompts(&home, 200);
    let line = "batch prompts.jsonl -m openai/echo-t20000 -j 2";
    let done = Done::from(home.command(line.split(' ')).stdout(full).output().unwrap());
    assert_eq!(done.code, 74, "{}", done.err);
    assert!(done.err.contains(" not sent; tokens: "), "{}", done.err);
    assert!(done.err.contains("error: cannot write the output: no space left on device"), "{}", done.err);
    assert!(home.mock.requests().len() < 200, "nothing is bought that cannot be kept");
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn the_sum_counts_what_failed_and_says_what_nobody_knows() {
    let home = Home::new();
    prompts(&home, 2);
    let cut = home.run("batch prompts.jsonl -m openai/cut2-c5");
    assert!(cut.err.contains("2 failed (2 truncated); tokens: at least 0 in"), "{}", cut.err);
    assert!(cut.err.contains("cost: unknown (2 calls unpriced);"), "{}", cut.err);
    let refused = home.run("batch prompts.jsonl -m openai/e400");
    assert!(refused.err.contains("; tokens: 0 in, 0 out; cost: $0;"), "who refuses asks for nothing");
    price(&home, "c2");
    lines(
        &home,
        "prompts.jsonl",
        [json!({"prompt": "a"}), json!({"prompt": "b", "model": "openai/cut2-c5"})],
    );
    let both = home.run("batch prompts.jsonl -m openai/c2");
    assert!(both.err.contains("1 answered, 1 failed (1 truncated); tokens: at least 1 in"), "{}", both.err);
    assert!(both.err.contains("cost: at least $0.000201 (1 call unpriced);"), "{}", both.err);
}

#[test]
fn what_broke_off_is_never_spent_again() {
    let home = Home::new();
    price(&home, "cut2-c5");
    prompts(&home, 1);
    // A line may cost 0.0032, and nobody knows what the part that came did.
    let line =
        "batch prompts.jsonl -m openai/cut2-c5 -o max_tokens=20 --max-cost 0.01 --output results.jsonl";
    let codes: Vec<i32> = (0..5).map(|_| home.run(line).code).collect();
    assert_eq!((codes.as_slice(), home.mock.requests().len()), ([1, 1, 1, 79, 79].as_slice(), 3));
}
