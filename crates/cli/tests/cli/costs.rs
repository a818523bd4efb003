//! What calls cost, as commands show it, and budgets as flags and settings set them.

use serde_json::Value;

use crate::common::Home;

/// A home where an answer of two words to one costs 1 * 1 + 2 * 10 = 21 micro-dollars.
fn home() -> Home {
    let home = Home::new();
    home.configure("");
    let entry = |model: &str| {
        format!(r#"{{"provider":"openai","id":"{model}","prices":{{"input":"1","output":"10"}}}}"#)
    };
    let table = format!(r#"{{"date":"2026-01-01","entries":[{},{}]}}"#, entry("c2"), entry("c4-e500"));
    std::fs::write(home.config_file().with_file_name("models.json"), table).unwrap();
    home
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn one_cost_is_shown_everywhere() {
    let home = home();
    let done = home.run("send -u --json -m openai/c2 -s named hello");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(json(&done.out)["cost"], json(r#"{"amount":"0.000021","currency":"USD","status":"exact"}"#));
    assert!(done.err.contains("; cost: 0.000021 USD (exact)"), "{}", done.err);
    let shown = json(&home.run("sessions show named --json").out);
    assert_eq!(shown["cost"]["amount"], "0.000021");
    assert!(home.run("sessions show named").out.contains("- cost: $0.000021\n"));
    let listed = json(&home.run("sessions list --json").out);
    assert_eq!(listed["items"][0]["cost"], shown["cost"]);
    let exported = home.run("sessions export named --format jsonl").out;
    let event = exported.lines().map(json).find(|event| event["type"] == "cost.calculated").unwrap();
    let payload = &event["payload"];
    assert_eq!((&payload["amount"], &payload["status"]), (&json(r#""0.000021""#), &json(r#""exact""#)));
    assert_eq!(payload["lines"][1]["quantity"], 2);
    assert_eq!(payload["price"]["table_date"], "2026-01-01");

    home.run("send -m openai/c3 -s named hello");
    let costs = home.run("cost");
    insta::assert_snapshot!(costs.out, @r"
    openai/c2  $0.000021                             1 call   1 in, 2 out
    openai/c3  unknown (1 call unpriced)             1 call   1 in, 3 out
    total      at least $0.000021 (1 call unpriced)  2 calls  2 in, 5 out
    ");
    let by = json(&home.run("cost --by session,model --limit 1 --json").out);
    assert_eq!((by["items"].as_array().unwrap().len(), &by["total"]["calls"]), (1, &2.into()));
    assert_eq!(
        (&by["items"][0]["model"], &by["items"][0]["amount"]),
        (&"openai/c2".into(), &"0.000021".into())
    );
    assert_eq!(by["items"][0]["session"], listed["items"][0]["id"]);
    let unknown = json(&home.run("cost --since 2000-01-01 --by model --json").out)["items"][1].clone();
    assert_eq!((&unknown["amount"], &unknown["unpriced"]), (&Value::Null, &1.into()));
    assert_eq!(json(&home.run("cost --until 2000-01-01 --json").out)["total"]["calls"], 0);
    // Midnight may be meanwhile.
    let days = json(&home.run("cost -s named --by day --json").out)["items"].as_array().unwrap().clone();
    assert_eq!(days.iter().map(|day| day["calls"].as_u64().unwrap()).sum::<u64>(), 2);
}

#[test]
fn a_call_is_priced_later_where_its_price_becomes_known() {
    let home = home();
    home.run("send -m openai/c3 -s named hello");
    assert_eq!(home.run("cost --reprice").err, "0 calls have a price now that had none\n");
    let table = r#"{"date":"2026-01-01","entries":[{"provider":"openai","id":"c3","prices":{"input":"1","output":"10"}}]}"#;
    std::fs::write(home.config_file().with_file_name("models.json"), table).unwrap();
    let done = home.run("cost --reprice");
    assert_eq!(done.err, "1 call has a price now that had none\n");
    assert_eq!(
        done.out,
        "openai/c3  $0.000031  1 call  1 in, 3 out\ntotal      $0.000031  1 call  1 in, 3 out\n"
    );
    assert!(home.run("cost --reprice").err.contains("0 calls"));
    assert_eq!(json(&home.run("sessions show named --json").out)["cost"]["amount"], "0.000031");
    assert_eq!(home.run("events verify --all").code, 0);
    let before = home.run("cost --json").out;
    assert_eq!(home.run("store rebuild").code, 0);
    assert_eq!(home.run("cost --json").out, before);
}

#[test]
fn what_a_budget_does_not_allow_is_not_sent() {
    let home = home();
    let done = home.run("send --json --max-cost 0.001 -o max_tokens=500 -m openai/c2 hello");
    assert_eq!(done.code, 79, "{}", done.err);
    let result = json(&done.out);
    assert_eq!((&result["status"], &result["error"]["kind"]), (&"failed".into(), &"budget".into()));
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains("0.001 USD of 0.001 USD is left of the budget of this turn"), "{message}");
    assert!(result["error"]["hint"].as_str().unwrap().contains("--max-cost"));
    assert_eq!(home.mock.requests().len(), 0);
    let done = home.run("send --max-cost 0.001 -m openai/c9 hello");
    assert_eq!((done.code, home.mock.requests().len()), (79, 0));
    assert!(done.err.contains("--allow-unpriced"), "{}", done.err);
    assert_eq!(home.run("send --max-cost 0.001 --allow-unpriced -m openai/c9 hello").code, 0);
    let done = home.run("send --max-cost 0.01 -m openai/c2 hello");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.starts_with("warning: max_tokens is "), "{}", done.err);
    assert!(
        home.mock.requests()[1].body.contains("\"max_completion_tokens\":")
            || home.mock.requests()[1].body.contains("\"max_tokens\":")
    );
    for text in ["0", "-1", "1e3", "free"] {
        assert_eq!(home.run(&format!("send --max-cost={text} -m openai/c2 hello")).code, 2, "{text}");
    }
}

#[test]
fn an_agents_limit_and_the_settings_hold() {
    let home = home();
    assert_eq!(home.run("agents create cheap -m openai/c2 --max-cost 0.0001 -o max_tokens=100").code, 0);
    assert_eq!(home.run("send -a cheap hello").code, 79);
    assert_eq!(home.run("send -a cheap --max-cost 0.1 hello").code, 0);
    assert_eq!(home.run("settings set budget.session 0.0025").code, 0);
    assert_eq!(home.run("settings set budget.providers.openai 1").code, 0);
    assert_eq!(home.run("settings get budget.session").out, "0.0025\n");
    assert!(home.run("settings show").out.contains("budget.providers.openai"));
    assert_eq!(home.run("settings set budget.month 1").code, 2);
    assert_eq!(home.run("settings set budget.day free").code, 78);
    assert_eq!(home.run("send -m openai/c2 -o max_tokens=100 -s s hello").code, 0);
    assert_eq!(home.run("settings set budget.day 0.0001").code, 0);
    let done = home.run("send -n -m openai/c2 -o max_tokens=100 hello");
    assert_eq!(done.code, 79, "nothing is saved, and it counts: {}", done.err);
    assert_eq!(home.mock.requests().len(), 2);
}

#[test]
fn a_turn_under_a_budget_is_replayed_as_it_was() {
    let home = home();
    let local = format!(
        "[providers.near]\nprotocol = \"openai-chat\"\nbase_url = \"{}\"\nlocal = true\n",
        home.mock.url()
    );
    home.configure(&local);
    assert_eq!(home.run("send --max-cost 0.01 -m openai/c2 -s bound hello").code, 0);
    assert_eq!(home.run("send --max-cost 0.01 -m near/c2 -s near hello").code, 0);
    let before = home.run("cost --json").out;
    for session in ["bound", "near"] {
        let done = home.run(&format!("events replay {session} --offline"));
        assert_eq!(done.code, 0, "{}", done.all());
    }
    assert_eq!(home.run("cost --json").out, before, "what is replayed costs nothing");
    assert_eq!(
        home.run("cost --by provider").out.lines().next().map(|line| line.starts_with("openai")),
        Some(true)
    );
    assert_eq!(json(&before)["items"][1]["amount"], "0");
}
