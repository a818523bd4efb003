//! The mock as its clients see it: bytes over a loopback socket.
#![expect(clippy::unwrap_used, reason = "the helper that asks is part of the tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use aichat_mock::{Mock, Workload};

fn ask_with(mock: &Mock, model: &str, stream: bool, extra: &str) -> String {
    let body = format!(
        r#"{{"model":"{model}","stream":{stream},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"old"}},{{"role":"assistant","content":"x"}},{{"role":"user","content":[{{"type":"text","text":"Gr\u00fc\u00dfe"}}]}}]}}"#
    );
    let mut socket = TcpStream::connect(mock.address()).unwrap();
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(mock: &Mock, model: &str) -> String {
    ask_with(mock, model, true, "")
}

#[test]
fn a_stream_is_numbered_paced_or_not_and_always_the_same_bytes() {
    let mock = Mock::start().unwrap();
    let at_once = ask(&mock, "c3-l5");
    assert_eq!(at_once, ask(&mock, "c3-l5"));
    for part in
        ["0... ", "1... ", "2... ", "\"finish_reason\":\"stop\"", "\"total_tokens\":4", "data: [DONE]"]
    {
        assert!(at_once.contains(part), "{part} in {at_once}");
    }
    let paced = ask(&mock, "c3-l5-d1");
    assert_eq!(
        paced.replace("c3-l5-d1", "c3-l5").matches("data: {").count(),
        at_once.matches("data: {").count()
    );
    assert!(at_once.ends_with("0\r\n\r\n") && paced.ends_with("0\r\n\r\n"));
    assert_eq!(mock.chunks_sent(), 9);
    let seen = mock.requests();
    assert_eq!(seen[2].sent.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(seen[2].sent_by(SystemTime::now()), 3);
    assert_eq!(seen[2].sent_by(seen[2].at), 0);
    assert_eq!(seen[2].prompt, "Grüße");
}

#[test]
fn a_whole_answer_and_an_echo() {
    let mock = Mock::start().unwrap();
    let whole = ask_with(&mock, "c2", false, "");
    assert!(whole.contains(r#""content":"0 1 ""#) && whole.contains("content-length"), "{whole}");
    assert!(ask(&mock, "echo").contains(r#""content":"Grüße""#));
    assert!(ask_with(&mock, "echo", false, "").contains(r#""content":"Grüße""#));
}

#[test]
fn each_fault_is_what_its_word_says() {
    let mock = Mock::start().unwrap();
    let limited = ask(&mock, "e429-r7");
    assert!(limited.starts_with("HTTP/1.1 429 ") && limited.contains("retry-after: 7\r\n"), "{limited}");
    assert!(!ask(&mock, "e429").contains("retry-after"));
    assert!(ask(&mock, "e500").starts_with("HTTP/1.1 500 "));
    assert!(ask(&mock, "gpt-4o").starts_with("HTTP/1.1 404 "));
    let page = ask(&mock, "ehtml502");
    assert!(page.starts_with("HTTP/1.1 502 ") && page.contains("text/html") && page.contains("<html>"));

    let cut = ask(&mock, "c5-cut2");
    assert!(cut.contains("\"1 \"") && !cut.contains("\"2 \"") && !cut.ends_with("0\r\n\r\n"), "{cut}");
    let end = ask(&mock, "c5-end2");
    assert!(end.contains("\"1 \"") && !end.contains("[DONE]") && end.ends_with("0\r\n\r\n"), "{end}");
    let error = ask(&mock, "c5-err2");
    assert!(error.contains("\"1 \"") && error.contains("{\"error\"") && !error.contains("[DONE]"), "{error}");
    assert!(ask(&mock, "badutf8").contains("\u{fffd}\u{fffd}"));
    assert!(ask_with(&mock, "badutf8", false, "").contains("\u{fffd}\u{fffd}"));
    assert!(ask(&mock, "hugeline1").len() > 1 << 20);

    let key = ask_with(&mock, "k", true, "Authorization: Bearer sk-canary\r\n");
    assert_eq!(key.matches("sk-canary").count(), 2, "{key}");
}

#[test]
fn a_fault_with_a_count_heals() {
    let mock = Mock::start().unwrap();
    assert!(ask(&mock, "e500-x2").starts_with("HTTP/1.1 500 "));
    assert!(ask(&mock, "e500-x2").starts_with("HTTP/1.1 500 "));
    assert!(ask(&mock, "e500-x2").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_stalled_stream_waits_for_its_client_and_the_record_says_that_it_left() {
    let mock = Mock::start().unwrap();
    let body = r#"{"model":"c5-stall2","stream":true}"#;
    let mut socket = TcpStream::connect(mock.address()).unwrap();
    write!(socket, "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("\"1 \"") {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).unwrap();
        assert_ne!(read, 0, "closed before its second chunk");
        seen.extend_from_slice(&piece[..read]);
    }
    assert!(!mock.requests()[0].client_left);
    drop(socket);
    while !mock.requests()[0].client_left {
        std::thread::yield_now();
    }
    assert_eq!(mock.chunks_sent(), 2);
}

#[test]
fn the_log_has_every_request_and_every_chunk() {
    let path = std::env::temp_dir().join(format!("aichat-mock-log-{}", std::process::id()));
    let mock = Mock::listen(0, Some(&path)).unwrap();
    ask(&mock, "c2-d1");
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].contains(r#""model":"c2-d1","prompt":"Grüße""#));
    assert!(lines[2].starts_with(r#"{"request":0,"at_us":"#) && lines[2].ends_with(r#""chunks":2}"#));
}

#[test]
fn the_texts_a_test_compares_with_are_the_ones_sent() {
    let mock = Mock::start().unwrap();
    let answer = ask_with(&mock, "c20-l9", false, "");
    assert!(answer.contains(&Workload::parse("c20-l9").unwrap().texts("").concat()));
}
