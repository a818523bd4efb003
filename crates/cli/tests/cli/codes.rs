//! Exit codes: every row of the documented table, provoked, in words and as JSON, at once or line by line.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::common::{Done, Home, Server, signal};
use crate::published::Published;

/// The documented table.
const TABLE: &str = include_str!("../../../../docs/exit-codes.md");

/// What was done, and the words of the line that did it.
type Line = (&'static str, &'static str);

/// What the mock answers, or nobody is asked for.
const LINES: &[Line] = &[
    ("a flag that does not exist", "send --nonsense hi"),
    ("a flag that does not exist", "sessions list --nonsense"),
    ("a command that does not exist", "nonsense"),
    ("an option without its value", "send -m openai/c1 -o temperature hi"),
    ("purging without --yes", "sessions purge @last"),
    ("an answer that does not keep to its schema", "send -m openai/echo --schema a,b hi"),
    ("an answer without the code block asked for", "send -m openai/c1 -x hi"),
    ("no prompt", "send -m openai/c1"),
    ("a file that is not there", "send -m openai/c1 -f missing hi"),
    ("a file that is no text", "send -m openai/c1 -f binary hi"),
    ("a session that is not there", "sessions show nobody"),
    ("an agent that is not there", "agents show nobody"),
    ("an agent that is not there", "send -m openai/c1 -a nobody hi"),
    ("a provider that does not exist", "send -m nobody/c1 hi"),
    ("a provider that does not exist", "providers show nobody"),
    ("a model that the provider does not have", "send -m openai/nothing hi"),
    ("a server that is not there", "send -m down/c1 hi"),
    ("a server that is not there", "models list down"),
    ("a place for sessions that is none", "send -m openai/c1 --store file hi"),
    ("a place for sessions that is none", "sessions list --store file"),
    ("429", "send -m openai/e429-r60 hi"),
    ("529", "send -m openai/e529-r60 hi"),
    ("503", "send -m openai/e503-r60 hi"),
    ("500", "send -m openai/e500-r60 hi"),
    ("an error in the middle of an answer", "send -m openai/c5-err2 hi"),
    ("504", "send -m openai/e504-r60 hi"),
    ("an answer that stands still", "send -m openai/c5-stall2 --timeout-idle 0.2 hi"),
    ("an answer that ends too early", "send -m openai/c5-end2 hi"),
    ("a connection that breaks in the middle of an answer", "send -m openai/c5-cut2 hi"),
    ("no key", "send -m groq/c1 hi"),
    ("no key", "keys which groq"),
    ("401", "send -m openai/k hi"),
    ("403", "send -m openai/e403 hi"),
    ("402", "send -m openai/e402 hi"),
    ("a configuration with an unknown key", "send --config wrong.toml hi"),
    ("a configuration with an unknown key", "sessions list --config wrong.toml"),
    ("a price that is not known, and a budget", "send -m openai/c1 --max-cost 0.01 hi"),
    ("400", "send -m openai/e400 hi"),
    ("413", "send -m openai/e413 hi"),
    ("501", "send -m openai/e501 hi"),
];

/// What a server of our own answers, by the model that is asked for.
const SCRIPTED: &[Line] = &[
    ("no more quota", "send -m own/quota hi"),
    ("a prompt that is filtered", "send -m own/filtered hi"),
    ("a prompt that is longer than the context", "send -m own/long hi"),
    ("an answer that is not JSON", "send -m own/garbled hi"),
    ("a model that refuses", "send -m own/refusing hi"),
    ("an answer that is filtered", "send -m own/cut_off hi"),
];

fn scripted(_: &str, body: &str) -> (u16, &'static str, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    let refused = |status, code: &str| {
        (
            status,
            "application/json",
            json!({"error": {"message": "no", "type": "x", "code": code}}).to_string(),
        )
    };
    let answered = |message: Value, finish: &str| {
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        (200, "application/json", json!({"choices": [choice]}).to_string())
    };
    match body["model"].as_str().unwrap() {
        "quota" => refused(429, "insufficient_quota"),
        "filtered" => refused(400, "content_filter"),
        "long" => refused(400, "context_length_exceeded"),
        "garbled" => (200, "text/html", "<title>Sign in</title>".to_owned()),
        "refusing" => answered(json!({"role": "assistant", "content": null, "refusal": "I won't"}), "stop"),
        "cut_off" => answered(json!({"role": "assistant", "content": "I"}), "content_filter"),
        other => panic!("nothing is known of {other}"),
    }
}

/// Says what came of a line in every mode, which must be the same.
fn told(published: &Published, (what, line): Line, run: impl Fn(&[&str]) -> Done) -> (String, i32, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let spoken = run(&words);
    let object = run(&[&words[..], &["--json"]].concat());
    assert_eq!(spoken.code, object.code, "{line}: {} {}", spoken.all(), object.all());
    let kind = match object.out.as_str() {
        "" => {
            assert_eq!(spoken.code, 141, "{line}: {}", object.all());
            "nobody is left to be told".to_owned()
        }
        text => {
            let value: Value = serde_json::from_str(text).unwrap();
            let schema = if words[0] == "send" { "aichat.result/1" } else { "aichat.error/1" };
            assert_eq!(value["schema"], schema, "{line}: {text}");
            published.hold(schema, &value);
            match (&value["error"]["kind"], &value["finish"]["reason"]) {
                (Value::String(kind), _) => kind.clone(),
                (_, reason) => format!("finish {}", reason.as_str().unwrap()),
            }
        }
    };
    if words[0] == "send" {
        let lines = run(&[&words[..], &["--output-format", "stream-json"]].concat());
        assert_eq!(lines.code, spoken.code, "{line}: {}", lines.all());
        let lines: Vec<Value> = lines.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().for_each(|line| published.hold("aichat.stream/1", line));
        let last = lines.last().map(|last| (&last["type"], &last["error"]["kind"]));
        let is_told = last.is_some_and(|(name, last)| name == "result" && (last == &*kind || last.is_null()));
        assert!(is_told || spoken.code == 141, "{line}: {lines:?}");
    }
    let is_said = match spoken.code {
        130 | 143 => spoken.err.contains("interrupted"),
        141 => spoken.err.is_empty(),
        80 if kind.starts_with("finish") => true,
        _ => spoken.err.contains("error: "),
    };
    assert!(is_said, "{line}: {}", spoken.all());
    (format!("{what}: {line} -> {}, {kind}\n", spoken.code), spoken.code, kind)
}

/// Starts an answer that stands still, and returns once it does.
fn standing(home: &Home, words: &[&str]) -> Child {
    let before = home.mock.chunks_sent();
    let child = home.command(words).spawn().unwrap();
    while home.mock.chunks_sent() < before + 2 {
        std::thread::yield_now();
    }
    child
}

#[test]
fn every_row_of_the_table_is_provoked() {
    let home = Home::new();
    let server = Server::start(scripted);
    home.configure(&format!(
        "[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{}/v1\"\n\
         [providers.down]\nprotocol = \"openai-chat\"\nbase_url = \"http://127.0.0.1:9/v1\"\n",
        server.url
    ));
    std::fs::write(home.path().join("wrong.toml"), "modle = \"openai/c1\"\n").unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    std::fs::write(home.path().join("binary"), b"\x89PNG\0\0").unwrap();
    assert_eq!(home.run("send -s one -m openai/c1 hi").code, 0);
    let published = Published::of(&home);
    let plainly = |words: &[&str]| Done::from(home.command(words).output().unwrap());

    let mut all: Vec<_> = LINES.iter().chain(SCRIPTED).map(|line| told(&published, *line, plainly)).collect();
    let busy = ("a session whose turn is in flight", "send -s one -m openai/c1 quick");
    let mut standing_still = standing(&home, &["send", "-s", "one", "-m", "openai/c5-stall2", "slow"]);
    all.push(told(&published, busy, plainly));
    standing_still.kill().unwrap();
    standing_still.wait().unwrap();
    for (what, name) in [("Ctrl-C", "INT"), ("SIGTERM", "TERM")] {
        all.push(told(&published, (what, "send -m openai/c5-stall2 hi"), |words| {
            let child = standing(&home, words);
            signal(&child, name);
            Done::from(child.wait_with_output().unwrap())
        }));
    }
    for line in ["send -m openai/c3 hi", "sessions list"] {
        all.push(told(&published, ("a reader that has gone", line), |words| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Done::from(home.command(words).stdout(Stdio::from(writer)).output().unwrap())
        }));
    }

    insta::assert_snapshot!(all.iter().map(|(line, ..)| line.as_str()).collect::<String>(), @r"
    a flag that does not exist: send --nonsense hi -> 2, usage
    a flag that does not exist: sessions list --nonsense -> 2, usage
    a command that does not exist: nonsense -> 2, usage
    an option without its value: send -m openai/c1 -o temperature hi -> 2, usage
    purging without --yes: sessions purge @last -> 2, usage
    an answer that does not keep to its schema: send -m openai/echo --schema a,b hi -> 65, schema
    an answer without the code block asked for: send -m openai/c1 -x hi -> 65, schema
    no prompt: send -m openai/c1 -> 66, input
    a file that is not there: send -m openai/c1 -f missing hi -> 66, input
    a file that is no text: send -m openai/c1 -f binary hi -> 66, input
    a session that is not there: sessions show nobody -> 66, input
    an agent that is not there: agents show nobody -> 66, input
    an agent that is not there: send -m openai/c1 -a nobody hi -> 66, input
    a provider that does not exist: send -m nobody/c1 hi -> 69, not_found
    a provider that does not exist: providers show nobody -> 69, not_found
    a model that the provider does not have: send -m openai/nothing hi -> 69, not_found
    a server that is not there: send -m down/c1 hi -> 69, transport
    a server that is not there: models list down -> 69, transport
    a place for sessions that is none: send -m openai/c1 --store file hi -> 74, store
    a place for sessions that is none: sessions list --store file -> 74, store
    429: send -m openai/e429-r60 hi -> 75, rate_limited
    529: send -m openai/e529-r60 hi -> 75, overloaded
    503: send -m openai/e503-r60 hi -> 75, overloaded
    500: send -m openai/e500-r60 hi -> 75, server
    an error in the middle of an answer: send -m openai/c5-err2 hi -> 75, server
    504: send -m openai/e504-r60 hi -> 75, timeout
    an answer that stands still: send -m openai/c5-stall2 --timeout-idle 0.2 hi -> 75, timeout
    an answer that ends too early: send -m openai/c5-end2 hi -> 75, truncated
    a connection that breaks in the middle of an answer: send -m openai/c5-cut2 hi -> 75, truncated
    no key: send -m groq/c1 hi -> 77, auth
    no key: keys which groq -> 77, auth
    401: send -m openai/k hi -> 77, auth
    403: send -m openai/e403 hi -> 77, permission
    402: send -m openai/e402 hi -> 77, billing
    a configuration with an unknown key: send --config wrong.toml hi -> 78, config
    a configuration with an unknown key: sessions list --config wrong.toml -> 78, config
    a price that is not known, and a budget: send -m openai/c1 --max-cost 0.01 hi -> 79, budget
    400: send -m openai/e400 hi -> 1, invalid_request
    413: send -m openai/e413 hi -> 1, too_large
    501: send -m openai/e501 hi -> 1, unsupported
    no more quota: send -m own/quota hi -> 77, quota
    a prompt that is filtered: send -m own/filtered hi -> 80, content_filtered
    a prompt that is longer than the context: send -m own/long hi -> 1, context_too_long
    an answer that is not JSON: send -m own/garbled hi -> 75, decode
    a model that refuses: send -m own/refusing hi -> 80, finish refusal
    an answer that is filtered: send -m own/cut_off hi -> 80, finish content_filter
    a session whose turn is in flight: send -s one -m openai/c1 quick -> 75, busy
    Ctrl-C: send -m openai/c5-stall2 hi -> 130, cancelled
    SIGTERM: send -m openai/c5-stall2 hi -> 143, cancelled
    a reader that has gone: send -m openai/c3 hi -> 141, nobody is left to be told
    a reader that has gone: sessions list -> 141, nobody is left to be told
    ");
    for (line, code, kind) in &all {
        let row = format!("| {code} |");
        let row =
            TABLE.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row for {line}"));
        let name = kind.strip_prefix("finish ").unwrap_or(kind);
        assert!(*code == 141 || row.contains(&format!("`{name}`")), "{line}: {row}");
    }
    let kinds: BTreeSet<String> = all.into_iter().map(|(.., kind)| kind).collect();
    let left: Vec<String> = published.kinds().into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert_eq!(left, ["tool_denied"], "no tool can be denied yet");
}
