//! Every example runs and prints what it promises, alone and against a server on the loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

/// Runs an example that was built along with this test.
fn run(name: &str, args: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(built.exists(), "build the examples first: cargo build -p aichat-examples --examples");
    Command::new(built).args(args).env_remove("API_KEY").output().unwrap()
}

/// Runs an example that must succeed in silence but for what it prints.
#[track_caller]
fn printed(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success(), "{name} failed: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Answers one request as a server of the OpenAI protocol would; returns its base url and what it was sent.
fn server() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let chunk = |choice| format!("data: {{\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{choice}]}}\n\n");
    let answer = [
        chunk(r#"{"index":0,"delta":{"role":"assistant","content":"It "}}"#),
        chunk(r#"{"index":0,"delta":{"content":"scatters."},"finish_reason":"stop"}"#),
        "data: [DONE]\n\n".to_owned(),
    ];
    let serve = move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            assert!(stream.read_line(&mut head).unwrap() > 0, "the request was cut off");
            if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let answer = answer.concat();
        let length = answer.len();
        let headers =
            format!("content-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close");
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{answer}").unwrap();
        head + &String::from_utf8(body).unwrap()
    };
    (url, thread::spawn(serve))
}

#[test]
fn message() {
    insta::assert_snapshot!(printed("message", &[]), @r#"
    text:      Let me work that out.
    call:      factor({"n": 123456789012345678901234567890})
    tokens:    Some(12) in, None out
    unknown:   hologram, kept whole: true
    roundtrip: true
    "#);
}

#[test]
fn providers() {
    insta::assert_snapshot!(printed("providers", &[]), @r#"
    scripted <- {"model":"echo","messages":[{"role":"user","parts":[{"type":"text","text":"Name the largest planet."}]}],"tools":[],"tool_choice":null,"options":{"max_tokens":50},"stream":true}
    Name the largest planet.
    finish: Some(Stop)
    "#);
}

#[test]
fn providers_with_a_server() {
    let (url, served) = server();
    let printed = printed("providers", &[&url, "m"]);
    assert!(printed.ends_with("\nIt scatters.\nfinish: Some(Stop)\n"), "{printed}");
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    let body = request.split("\r\n\r\n").nth(1).unwrap();
    assert!(body.contains("Name the largest planet."), "{body}");
    assert_eq!(printed.lines().next(), Some(&*format!("server <- {body}")), "what is shown is what is sent");
}

#[test]
fn tools() {
    insta::assert_snapshot!(printed("tools", &[]), @r#"
    sum({"numbers": [2, 3]}) -> Err("there is no tool named sum")
    add({"numbers": [2, 3]}) -> Ok("5")
    Two and three are five.
    "#);
}

#[test]
fn switching() {
    let printed = printed("switching", &[]);
    let lines: Vec<_> = printed.lines().collect();
    let kept = |line: &&&str| line.contains("EqQBCg");
    assert_eq!(lines.iter().filter(kept).count(), 1, "a signature goes to its maker alone: {printed}");
    assert!(lines[0].starts_with("anthropic: ") && lines[0].contains("EqQBCg"), "{printed}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("  warning: ")).count(), 6, "{printed}");
}

#[test]
fn record_replay() {
    insta::assert_snapshot!(printed("record_replay", &[]), @"
    recorded: It scatters blue light.
    replayed: It scatters blue light.
    the same: true, in 2 pieces
    ");
}

#[test]
fn store() {
    insta::assert_snapshot!(printed("store", &[]), @"
    trn_081040g2081040g2 left 2 records
    1: asked
    2: half an answer
    Conflict: stream ses_040g2081040g2081 does not end where it was expected to
    folded: true
    ");
}

#[test]
fn store_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let first = printed("store", &[path.to_str().unwrap()]);
    assert_eq!(first, printed("store", &[]), "both stores do the same");
    let (_, log) = first.split_once('\n').unwrap();
    assert_eq!(
        printed("store", &[path.to_str().unwrap()]),
        log,
        "the log is there, and nothing is in flight"
    );
}

#[test]
fn events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tea.jsonl");
    let printed = printed("events", &[path.to_str().unwrap()]);
    assert!(printed.starts_with("5 events hold, up to "), "{printed}");
    for line in [
        "tea.brewed of version 1",
        "TEA_KEY ×1",
        "2 cups, and the key is ‹secret:TEA_KEY›",
        "forged: event 4 has a payload that does not match its hash",
        "erased: holds",
    ] {
        assert!(printed.contains(line), "{line:?} is not in {printed}");
    }
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 5);
}

#[test]
fn engine() {
    let directory = tempfile::tempdir().unwrap();
    let printed = printed("engine", &[directory.path().to_str().unwrap()]);
    let (answer, timeline) = printed.split_once("\n\n").unwrap();
    assert_eq!(answer, "Why is the sky blue?", "the script says what it hears");
    for word in ["trn_", " completed ", "scripted/echo", "first content", "stream"] {
        assert!(timeline.contains(word), "{word:?} is not in {timeline}");
    }
}

#[test]
fn engine_with_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let (url, served) = server();
    let printed = printed("engine", &[directory.path().to_str().unwrap(), &url, "m"]);
    assert!(printed.starts_with("It scatters.\n\ntrn_"), "{printed}");
    assert!(printed.contains("server/m"), "{printed}");
    assert!(served.join().unwrap().contains("Why is the sky blue?"));
}

#[test]
fn engine_without_a_place_says_how_it_is_used() {
    let output = run("engine", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: engine DIRECTORY [BASE_URL MODEL]"));
}

/// What embedding the engine takes: fewer than forty lines of code.
#[test]
fn engine_is_short() {
    let source = include_str!("../engine.rs");
    let code = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() < 40);
}

#[test]
fn own_importer() {
    insta::assert_snapshot!(printed("own_importer", &[]), @"
    1 new of 1 turns, without the mood
    0 new of 1 turns, without the mood
    1 new of 2 turns, without the mood
    refused: line 3: nobody says it
    user: Name one.
    assistant: The Rhône.
    user: And a lake?
    assistant: Lake Geneva.
    chain holds: true
    ");
}

#[test]
fn own_provider() {
    insta::assert_snapshot!(printed("own_provider", &[]), @"
         user: I feel my compiler hates me.
    assistant: Do you often feel your compiler hates you?
         user: My nights with the borrow checker.
    assistant: Tell me more about your nights with the borrow checker.
         user: Never mind.
    assistant: Earlier you said: “My nights with the borrow checker.” Please go on.
    ");
}

#[test]
fn own_store() {
    insta::assert_snapshot!(printed("own_store", &[]), @"
    rebuilt 1 session
    kept: 2 messages
    carried over: true
    chain holds:  true
    ");
}
