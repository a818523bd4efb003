//! Fallbacks: who answers where the model gives no answer, and how that is told.

use serde_json::Value;

use crate::common::{Done, Home};

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.all()))
}

#[test]
fn another_model_answers_and_everybody_is_told() {
    let home = Home::new();
    let done = home.run("send -m openai/e401 --fallback openai/e404,openai/c2 hi");
    assert_eq!((done.code, done.out.as_str()), (0, "0 1 \n"), "{}", done.all());
    insta::assert_snapshot!(home.plain(&done.err));
    let events = home.run("events list @last --json").out;
    assert_eq!(events.matches("\"type\":\"llm.request.rerouted\"").count(), 2, "{events}");

    let done = home.run("send --json -m openai/e401 --fallback openai/c2 hi");
    let result = json(&done);
    assert_eq!((done.code, done.err.lines().count()), (0, 1), "{}", done.err);
    assert_eq!((&result["provider"], &result["model"]), (&"openai".into(), &"c2".into()));
    let warning = result["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("openai/e401 failed (401 auth): "), "{warning}");
    assert!(warning.ends_with("; asking openai/c2"), "{warning}");

    let done = home.run("send --output-format stream-json -m openai/e401 --fallback openai/c2 hi");
    let line = done.out.lines().find(|line| line.contains("rerouting")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["from"], &line["error"]["status"]), (&"openai/e401".into(), &401.into()));
    assert_eq!(home.run("events replay @last --offline").code, 0);
}

#[test]
fn the_exit_code_is_that_of_the_last_and_all_of_them_are_told() {
    let home = Home::new();
    let done = home.run("send -m openai/e401 --fallback openai/e404 hi");
    assert_eq!((done.code, done.out.as_str()), (69, ""), "{}", done.all());
    let error = done.err.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("openai/e401: ") && error.contains("; openai/e404: "), "{error}");
    let result = json(&home.run("send --json -m openai/e401 --fallback openai/e404 hi"));
    assert_eq!((&result["error"]["kind"], &result["model"]), (&"not_found".into(), &"e404".into()));
    // What is wrong with a request is wrong with everybody.
    let done = home.run("send -m openai/e400 --fallback openai/c2 hi");
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{}", done.all());
    // Once something was shown, nothing else is.
    let done = home.run("send -m openai/c3-cut2 --fallback openai/c2 hi");
    assert_eq!((done.code, done.out.as_str()), (75, "0 1 \n"), "{}", done.all());
    // Names are looked at before anybody is asked.
    let asked = home.mock.requests().len();
    assert_eq!(home.run("send -m openai/e401 --fallback opnai/c2 hi").code, 69);
    assert_eq!(home.mock.requests().len(), asked);
}

#[test]
fn a_missing_key_is_a_reason_to_ask_another() {
    let home = Home::new();
    let done = home.run("send -m anthropic/claude-haiku-5-5 --fallback openai/c2 hi");
    assert_eq!((done.code, done.out.as_str()), (0, "0 1 \n"), "{}", done.all());
    let told = "anthropic/claude-haiku-5-5 failed (auth): there is no key for anthropic; asking openai/c2\n";
    assert_eq!(done.err, told);
    let done = home.run("send -m openai/e401 --fallback anthropic/claude-haiku-5-5 hi");
    assert_eq!(done.code, 77, "{}", done.all());
    assert!(done.err.contains("hint: run `aichat keys set anthropic`"), "{}", done.err);
}
