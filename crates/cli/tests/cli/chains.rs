//! Chains: what was cut off or written anew is found by whoever wrote down where they ended.

use serde_json::Value;

use crate::common::Home;

/// Returns an export without its last `n` events, whole by its own account.
fn shortened(export: &str, n: usize) -> String {
    let mut lines: Vec<String> = export.lines().map(str::to_owned).collect();
    lines.truncate(lines.len() - 1 - n);
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    lines.push(
        serde_json::json!({
            "schema": "aichat.session/1", "kind": "tail", "events": last["seq"], "head": last["hash"],
        })
        .to_string(),
    );
    lines.join("\n") + "\n"
}

#[test]
fn a_head_that_was_written_down_holds_through_everything_that_may_happen() {
    let home = Home::new();
    for line in ["send -s one -m openai/c2 first", "send -s two -m openai/c2 second"] {
        assert_eq!(home.run(line).code, 0);
    }
    let heads = home.run("events head --all").out;
    assert_eq!(heads.lines().count(), 2, "{heads}");
    std::fs::write(home.path().join("heads"), &heads).unwrap();
    std::fs::write(home.path().join("heads.json"), home.run("events head --all --json").out).unwrap();
    std::fs::write(home.path().join("one"), home.run("events head one").out).unwrap();
    let steps = [
        "events list one",
        "send -s one -m openai/c2 more",
        "sessions rename two three",
        "sessions purge three --yes",
        "store compact",
        "store rebuild",
    ];
    for line in steps {
        let done = home.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.all());
        for against in ["--all --against heads", "--all --against heads.json", "one --against one"] {
            let verified = home.run(&format!("events verify {against}"));
            assert_eq!(verified.code, 0, "{line}: {against}: {}", verified.all());
        }
    }
}

#[test]
fn what_was_cut_off_written_anew_or_taken_away_is_found() {
    let home = Home::new();
    home.configure("[record]\nwire = \"off\"\n");
    assert_eq!(home.run("send -s one -m openai/c2 first").code, 0);
    let whole = home.run("sessions export one").out;
    let head = home.run("events head one").out;

    let cut = Home::new();
    assert_eq!(cut.pipe("sessions import -", shortened(&whole, 3).as_bytes()).code, 0);
    std::fs::write(cut.path().join("heads"), &head).unwrap();
    let alone = cut.run("events verify --all");
    assert_eq!(alone.code, 0, "the chain alone knows nothing of its end");
    assert_eq!(alone.err, "all holds: 1 chain, 6 events\n");
    assert_eq!(cut.run("events verify --all --json").err, "");
    let found = cut.run("events verify --all --against heads");
    assert_eq!(found.code, 74, "{}", found.all());
    assert!(found.out.contains("broken: the log ends at 6, and there was an event 9 once"), "{}", found.out);
    assert_eq!(found.err, "broken: 1 of 1 chain; 6 events hold\n");

    let gone = Home::new();
    std::fs::write(gone.path().join("heads"), &head).unwrap();
    let found = gone.run("events verify --all --against heads --json");
    assert_eq!(found.code, 74, "{}", found.all());
    assert!(found.out.contains("the session is not here, and was once"), "{}", found.out);

    // What was written anew has another hash at the same place.
    let other = head.split_whitespace().nth(1).unwrap().split('@').next().unwrap();
    let anew = head.replace(other, &"0f".repeat(32));
    std::fs::write(home.path().join("heads"), anew).unwrap();
    let found = home.run("events verify one --against heads");
    assert_eq!(found.code, 74, "{}", found.all());
    assert!(
        found.out.contains("at 9: another event was here when its hash was written down"),
        "{}",
        found.out
    );

    std::fs::write(home.path().join("heads"), "nonsense\n").unwrap();
    let refused = home.run("events verify one --against heads");
    assert_eq!(refused.code, 66, "{}", refused.all());
    assert!(refused.err.contains("heads: line 1: not of the form SESSION HASH@SEQ"), "{}", refused.err);
}

#[test]
fn chains_hold_without_what_was_said() {
    let home = Home::new();
    assert_eq!(home.run("send -s one -m openai/c2 apples").code, 0);
    let head = home.run("events head one").out;
    let redacted = home.run("sessions export one --redact").out;
    assert!(!redacted.contains("apples"), "{redacted}");
    let there = Home::new();
    assert_eq!(there.pipe("sessions import -", redacted.as_bytes()).code, 0);
    std::fs::write(there.path().join("heads"), &head).unwrap();
    let verified = there.run("events verify --all --against heads");
    assert_eq!(verified.code, 0, "{}", verified.all());
    assert_eq!(there.run("events head --all").out, head);
}
