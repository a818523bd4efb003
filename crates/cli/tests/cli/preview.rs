//! `send --dry-run`: everything about a request but the request.

use serde_json::Value;

use crate::common::{Done, Home};

fn json(done: &Done) -> Value {
    assert_eq!(done.code, 0, "{}", done.all());
    serde_json::from_str(&done.out).unwrap()
}

/// Returns the names of everything below a directory.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        all.push(entry.path());
        if entry.path().is_dir() {
            all.extend(files(&entry.path()));
        }
    }
    all
}

#[test]
fn a_dry_run_sends_and_keeps_nothing() {
    let home = Home::new();
    let done = home.run("send --dry-run -s new -m openai/c1 -o temperature=0.5 -o n=1 hi");
    assert_eq!(done.code, 0, "{}", done.err);
    insta::assert_snapshot!(home.plain(&format!("{}{}", done.out, done.err)));
    let shown = json(&home.run("send --dry-run --json -m openai/c1 --fallback openai/c2 hi"));
    assert_eq!(shown["body"]["messages"][0]["content"], "hi");
    assert!(home.mock.requests().is_empty());
    assert_eq!(files(home.path()), Vec::<std::path::PathBuf>::new(), "nothing is written");
    assert_eq!(home.run("sessions list").out, "");
}

#[test]
fn it_goes_where_the_answer_would() {
    let home = Home::new();
    let path = home.path().join("shown.json");
    for (line, schema) in [("", None), (" --json", Some("aichat.preview/1"))] {
        std::fs::write(&path, "what was there ".repeat(100)).unwrap();
        let done = home.run(&format!("send --dry-run --output shown.json -m openai/c1 hi{line}"));
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
        let shown: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(shown["schema"].as_str(), schema);
    }
    if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
        let line = ["send", "--dry-run", "-m", "openai/c1", "hi"];
        assert_eq!(Done::from(home.command(line).stdout(full).output().unwrap()).code, 74);
    }
}

#[test]
fn it_says_what_it_may_cost_and_what_the_budgets_say() {
    let home = Home::new();
    home.configure("[budget]\nday = \"0.01\"\n");
    let prices = r#"{"date":"2026-11-01","entries":[
        {"provider":"openai","id":"c3","output_limit":1000,"prices":{"input":"1","output":"2"}},
        {"provider":"openai","id":"c4","output_limit":1000000,"prices":{"input":"1","output":"200"}}]}"#;
    std::fs::write(home.path().join(".config/aichat/models.json"), prices).unwrap();
    let line = "send --dry-run -m openai/c3 --fallback openai/c4,openai/c5,anthropic/claude-haiku-5-5 hi";
    let shown = json(&home.run(&format!("{line} --json")));
    assert_eq!((&shown["provider"], &shown["model"]), (&"openai".into(), &"c3".into()));
    assert_eq!((&shown["tokens"]["input"], &shown["tokens"]["output_most"]), (&5.into(), &1000.into()));
    // Five tokens at a millionth; all that can be read and a thousand at two.
    assert_eq!(
        (&shown["cost"]["least"], &shown["cost"]["status"]),
        (&"0.000005".into(), &"estimated".into())
    );
    let most = shown["tokens"]["input_most"].as_u64().unwrap() + 2000;
    assert_eq!(shown["cost"]["most"], format!("0.00{most}"));
    assert_eq!(
        (&shown["budget"]["verdict"], &shown["budget"]["remaining"]),
        (&"allowed".into(), &"0.01".into())
    );
    let fallbacks = shown["fallbacks"].as_array().unwrap();
    let verdicts: Vec<&str> =
        fallbacks.iter().map(|fallback| fallback["budget"]["verdict"].as_str().unwrap()).collect();
    // The answer of the second is made to fit; nobody knows what the third costs.
    assert_eq!(verdicts, ["allowed", "refused", "allowed"], "{shown}");
    assert!(fallbacks[0]["warnings"][0].as_str().unwrap().starts_with("max_tokens is "), "{shown}");
    assert_eq!(fallbacks[1]["cost"]["status"], "unknown");
    assert_eq!(fallbacks[2]["protocol"], "anthropic");
    let done = home.run(&format!("{line} -q"));
    assert_eq!((done.err.as_str(), done.out.lines().count()), ("", 1));
    let done = home.run(line);
    assert!(done.err.contains("\nbudget: allowed, 0.01 USD are left\n"), "{}", done.err);
    assert!(done.err.contains("\n  budget: refused: openai/c5: what it costs is not known"), "{}", done.err);
    assert!(home.mock.requests().is_empty());
    assert!(!home.data().exists(), "{:?}", files(home.path()));
}

#[test]
fn a_key_in_the_prompt_is_not_shown() {
    let home = Home::new();
    let key = "sk-0123456789abcdef-0123456789";
    let done =
        home.command(["send", "--dry-run", "-m", "openai/c1", key]).env("OPENAI_API_KEY", key).output();
    let done = Done::from(done.unwrap());
    assert!(done.code == 0 && !done.all().contains(key) && done.out.contains("secret:"), "{}", done.all());
}
