//! What every command prints with `--json`: it keeps to the published schema, and its fields stay what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{Done, Home, Server};
use crate::help;
use crate::published::{Published, outline};

/// Lines that print data: by which name it is published, which begins the line, and the rest of it. Each finds what the
/// ones before it left.
const LINES: &[(&str, &str)] = &[
    ("agents create", "pirate -m openai/c2 --system @note.txt -o temperature=0.5 -o n=1 --description sea"),
    ("agents edit", "pirate --max-cost 0.50 --schema name"),
    ("agents list", ""),
    ("agents show", "pirate"),
    ("agents show --history", "pirate"),
    ("agents export", "pirate"),
    ("templates create", "loud {{prompt}}! --description x"),
    ("templates edit", "loud --description y"),
    ("templates list", ""),
    ("templates show", "loud"),
    ("templates show --history", "loud"),
    ("templates export", "loud"),
    ("send", "-s one -m openai/c2 hello"),
    ("send", "-s one -m own/rich -f note.txt more"),
    ("send", "-s one -m openai/echo --schema a,b no"),
    ("send", "-s one -m openai/e400 --no-schema bad"),
    ("send", "-n -m openai/echo -x word"),
    ("send", "-m own/rich -a kept -t loud -u prompt"),
    ("send --output-format stream-json", "-s two -m own/rich -o top_k=3 hello"),
    ("send --output-format stream-json", "-m openai/c2-e500-x1 --fallback openai/c2 hello"),
    ("send --output-format stream-json", "-m openai/e503-r60 --fallback openai/c2 hello"),
    ("send --output-format stream-json", "-m openai/echo --schema a,b no"),
    ("send --dry-run", "-m openai/c2 --fallback anthropic/x --fallback own/rich hello"),
    ("batch", "prompts.jsonl -j 1"),
    ("sessions create", "empty -m openai/c2"),
    ("sessions list", ""),
    ("sessions show", "one"),
    ("sessions search", "hello"),
    ("sessions rename", "empty void"),
    ("sessions tree", "one"),
    ("sessions branch", "one --at @last --name side"),
    ("sessions heads", "one"),
    ("sessions clone", "one --name copy"),
    ("sessions fork", "one@@last~1 --edit 1=hi --name other"),
    ("sessions fork --n", "2 one@@last --name more"),
    ("sessions fork --answer", "one@@last -- -m openai/c2 --no-schema on"),
    ("sessions show", "other"),
    ("sessions diff", "one copy"),
    ("sessions diff", "one two"),
    ("sessions archive", "void"),
    ("sessions delete", "void"),
    ("sessions export", "one"),
    ("sessions export", "other --format json"),
    ("sessions export", "two --redact"),
    ("sessions import", "exported.jsonl"),
    ("sessions import", "rivers.yaml"),
    ("sessions import", "broken.jsonl"),
    ("sessions purge", "--yes more-1"),
    ("agents import", "agent.json"),
    ("templates import", "template.json"),
    ("agents delete", "pirate"),
    ("templates delete", "loud"),
    ("events list", "one"),
    ("events show", "one 2"),
    ("events show", "one 6"),
    ("events timeline", "one"),
    ("events replay", "one"),
    ("events replay --offline", "one"),
    ("events head", "one"),
    ("events tail", "one"),
    ("events verify", "--all"),
    ("cost", "--by model,session,day,agent,provider,turn,call"),
    ("models list", "--known --limit 3"),
    ("models list", "openai"),
    ("models show", "openai/c1"),
    ("models show", "openai/c2"),
    ("models show", "anthropic/claude-sonnet-4-5 --known"),
    ("keys list", ""),
    ("keys which", "openai"),
    ("keys test", "openai own"),
    ("providers list", ""),
    ("providers show", "own"),
    ("providers test", "openai -m c2"),
    ("settings show", ""),
    ("settings get", "model"),
    ("store info", ""),
    ("store verify", ""),
    ("store rebuild", ""),
    ("store compact", ""),
    ("store backup", "backup"),
    ("store restore", "backup"),
    ("store copy", "backup again"),
    ("doctor", ""),
    ("paths", ""),
];

/// What is published and tried elsewhere: where there is a collector.
const ELSEWHERE: &[&str] = &["events otel"];

/// Commands that print documents of another kind, or none.
const OTHERS: &[&str] = &["completions", "man", "schema", "events report"];

/// Commands that print nothing where they did what was asked.
const SILENT: &[&str] = &["keys set groq", "keys delete groq", "settings set budget.day 5"];

/// Commands that are for people, and say so.
const REFUSED: &[&str] = &["chat", "inspect"];

/// What of an output is somebody else's, whose shape is theirs.
const FOREIGN: &[&str] = &["payload", "raw", "arguments", "messages", "parts", "extra", "prices", "output"];

fn rich(_: &str, _: &str) -> (u16, &'static str, String) {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]}).to_string();
    let call = json!({"index": 0, "id": "c1", "function": {"name": "look", "arguments": "{\"a\":1}"}});
    let events = [
        delta(json!({"reasoning_content": "two and two"})),
        delta(json!({"content": "Four."})),
        delta(json!({"tool_calls": [call]})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}})
        .to_string(),
        "[DONE]".to_owned(),
    ];
    (200, "text/event-stream", events.map(|event| format!("data: {event}\n\n")).concat())
}

/// A home in which every line finds something.
fn prepared(server: &Server) -> Home {
    let home = Home::new();
    home.configure(&format!(
        "model = \"openai/c2\"\n[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{}/v1\"\n\
         profile = \"deepseek\"\nheaders = {{ X-Team = \"blue\" }}\n",
        server.url
    ));
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let prices = r#"{"date":"2026-01-01","entries":[{"provider":"openai","id":"c2","context_window":1000,"prices":{"input":"1","output":"10"}}]}"#;
    std::fs::write(home.config_file().with_file_name("models.json"), prices).unwrap();
    write("note.txt", "a note");
    write("prompts.jsonl", "{\"id\":7,\"prompt\":\"a\"}\n{\"prompt\":\"b\",\"model\":\"openai/e400\"}\n");
    write("rivers.yaml", include_str!("../../../engine/tests/engine/samples/aichat-rivers.yaml"));
    for line in ["agents create kept --system arr", "send -s gone -m openai/c2 hello"] {
        assert_eq!(home.run(line).code, 0, "{line}");
    }
    let other = Home::new();
    assert_eq!(other.run("send -s far -m openai/c2 hello").code, 0);
    let exported = other.run("sessions export far").out;
    write("exported.jsonl", &exported);
    write("broken.jsonl", &exported.replacen("hello", "hallo", 1));
    for (file, line) in [("agent.json", "agents export kept"), ("template.json", "templates export kept")] {
        assert_eq!(other.run("templates create kept {{prompt}}").code == 0, file == "agent.json");
        write(file, &if file == "agent.json" { home.run(line).out } else { other.run(line).out });
    }
    home
}

fn run(home: &Home, line: &str) -> Done {
    let mut command = home.command(["--json"].into_iter().chain(line.split_whitespace()));
    command.env("OPENAI_API_KEY", "sk-mock-0123456789abcdef").env("GROQ_API_KEY", "gsk-0123456789abcdef");
    Done::from(command.output().unwrap())
}

#[test]
fn what_is_printed_keeps_to_what_is_published_and_to_its_shape() {
    let server = Server::start(rich);
    let home = prepared(&server);
    let published = Published::of(&home);
    let (mut printed, mut faults): (Vec<(&str, Vec<Value>)>, _) = (Vec::new(), Vec::new());
    for (name, rest) in LINES {
        let line = format!("{name} {rest}");
        let done = run(&home, &line);
        // Several values stand one on a line, but an export, which may lay out one as it likes.
        let values: Vec<Value> = serde_json::Deserializer::from_str(&done.out)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", done.all()));
        assert!(!values.is_empty(), "{line}: {}", done.all());
        for value in &values {
            let is_failure = value["schema"] == "aichat.error/1";
            assert!(!is_failure || value.get("items").is_some(), "{line}: {value}");
            faults.extend(published.faults(&format!("aichat {name}"), value));
        }
        match printed.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => all.extend(values),
            None => printed.push((name, values)),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let (_, streamed) = printed.iter().find(|(name, _)| name.contains("stream-json")).unwrap();
    let types: BTreeSet<&str> = streamed.iter().filter_map(|line| line["type"].as_str()).collect();
    let all = ["delta", "mending", "reasoning", "rerouting", "result", "retrying", "start", "warning"];
    assert_eq!(types, BTreeSet::from(all), "every kind of line was tried");

    // What has one shape is told once.
    let mut shapes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, values) in &printed {
        let mut lines = Vec::new();
        outline("", &values.iter().collect::<Vec<_>>(), 0, FOREIGN, &mut lines);
        shapes.entry(lines.join("\n")).or_default().push(name);
    }
    let mut told: Vec<String> = shapes
        .into_iter()
        .map(|(shape, mut names)| {
            names.sort_unstable();
            format!("{}{shape}\n", names.join(", "))
        })
        .collect();
    told.sort();
    insta::assert_snapshot!(told.concat());
}

#[test]
fn every_command_with_data_is_published_and_tried() {
    let home = Home::new();
    let published = Published::of(&home).lines();
    let tried: BTreeSet<String> =
        LINES.iter().map(|(name, _)| *name).chain(ELSEWHERE.iter().copied()).map(str::to_owned).collect();
    assert_eq!(tried, published);
    let is_of = |line: &str, command: &str| line == command || line.starts_with(&format!("{command} "));
    let others: Vec<&str> = [OTHERS, SILENT, REFUSED].concat();
    for command in help::commands() {
        let has_data = published.iter().any(|line| is_of(line, &command));
        let has_none = others.iter().any(|line| is_of(line, &command));
        assert!(
            has_data != has_none,
            "`aichat {command} --json` prints what is published, or is among the others"
        );
    }
    for line in SILENT {
        let mut child =
            home.command(line.split(' ').chain(["--json"])).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"gsk-0123456789abcdef\n").unwrap();
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{line}: {}", done.err);
    }
    for line in REFUSED {
        let object: Value = serde_json::from_str(&run(&home, line).out).unwrap();
        Published::of(&home).hold("aichat.error/1", &object);
        assert_eq!(object["error"]["kind"], "usage", "{line}");
    }
}

#[test]
fn wrong_use_of_any_command_is_an_object_too() {
    let home = Home::new();
    let published = Published::of(&home);
    for command in help::commands() {
        let done = run(&home, &format!("{command} --nonsense"));
        let object: Value =
            serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{command}: {}", done.all()));
        published.hold(if command == "send" { "aichat.result/1" } else { "aichat.error/1" }, &object);
        assert_eq!((done.code, &object["error"]["kind"]), (2, &"usage".into()), "{command}");
    }
}
