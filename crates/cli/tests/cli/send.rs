//! `send` where all goes well: what is on standard output, and what is remembered.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Done, Home};

#[test]
fn standard_output_is_the_answer_and_nothing_else() {
    let home = Home::new();
    let done = home.run("send -m openai/c3 why is the sky blue");
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "0 1 2 \n", ""));
    assert_eq!(home.mock.requests()[0].prompt, "why is the sky blue");
    let whole = home.run("send -S -m openai/c3 hi");
    assert_eq!((whole.code, whole.out.as_str()), (0, "0 1 2 \n"));
    assert!(
        home.mock.requests()[1].body.contains("\"stream\":false")
            || !home.mock.requests()[1].body.contains("\"stream\"")
    );
}

#[test]
fn json_is_one_object_in_a_fixed_order() {
    let home = Home::new();
    let done = home.run("send --json -m openai/c3 hi");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    insta::assert_snapshot!(home.plain(&done.out), @r#"{"schema":"aichat.result/1","status":"completed","text":"0 1 2 ","reasoning":[],"tool_calls":[],"finish":{"reason":"stop","raw":"stop"},"usage":{"input_tokens":1,"output_tokens":3,"cache_read_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null,"raw":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}},"cost":{"amount":null,"currency":"USD","status":"unknown"},"provider":"openai","model":"c3","session_id":"ses_ID","turn_id":"trn_ID","message_id":"msg_ID","request_id":"req_mock","timing":{"first_token_ms":N,"total_ms":N},"warnings":[],"error":null}"#);
    let unsaved = home.run("send --json -n -m openai/c3 hi");
    let unsaved: Value = serde_json::from_str(&unsaved.out).unwrap();
    for id in ["session_id", "turn_id", "message_id"] {
        assert!(unsaved[id].is_null(), "{id}");
    }
    assert_eq!(home.run("sessions list --json").out.matches("\"id\"").count(), 1);
}

#[test]
fn the_result_has_exactly_the_fields_of_its_schema() {
    let home = Home::new();
    let result: Value = serde_json::from_str(&home.run("send --json -m openai/c1 hi").out).unwrap();
    let failed: Value = serde_json::from_str(&home.run("send --json -m openai/e500 hi").out).unwrap();
    let schema: Value = serde_json::from_str(&home.run("schema").out).unwrap();
    let check = |value: &Value, schema: &Value| {
        let mut ours: Vec<&String> = value.as_object().unwrap().keys().collect();
        let mut required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        ours.sort();
        required.sort_unstable();
        assert_eq!(ours, required);
    };
    let described = &schema["$defs"]["aichat.result/1"];
    check(&result, described);
    for part in ["usage", "cost", "timing"] {
        check(&result[part], &described["properties"][part]);
    }
    check(&failed["error"], &schema["$defs"]["error"]);
}

#[test]
fn a_stream_of_json_ends_with_the_result() {
    let home = Home::new();
    let done = home.run("send --output-format stream-json -m openai/c2 hi");
    insta::assert_snapshot!(home.plain(&done.out), @r#"
    {"type":"start","session_id":"ses_ID","turn_id":"trn_ID"}
    {"type":"delta","text":"0 "}
    {"type":"delta","text":"1 "}
    {"type":"result","schema":"aichat.result/1","status":"completed","text":"0 1 ","reasoning":[],"tool_calls":[],"finish":{"reason":"stop","raw":"stop"},"usage":{"input_tokens":1,"output_tokens":2,"cache_read_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null,"raw":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}},"cost":{"amount":null,"currency":"USD","status":"unknown"},"provider":"openai","model":"c2","session_id":"ses_ID","turn_id":"trn_ID","message_id":"msg_ID","request_id":"req_mock","timing":{"first_token_ms":N,"total_ms":N},"warnings":[],"error":null}
    "#);
}

#[test]
fn usage_is_told_on_standard_error() {
    let home = Home::new();
    let done = home.run("send -u -q -m openai/c2 hi");
    assert_eq!(done.out, "0 1 \n");
    insta::assert_snapshot!(home.plain(&done.err), @r#"tokens: 1 in, 2 out; cost: unknown; first token: N ms; total: N ms"#);
}

#[test]
fn a_session_is_continued_by_name_by_terminal_and_from_anywhere() {
    let home = Home::new();
    assert_eq!(home.run("send -s trip -m openai/echo one").out, "one\n");
    assert_eq!(home.run("send -s trip two").out, "two\n");
    let last = home.run("send -c three");
    assert_eq!(last.out, "three\n");
    assert!(last.err.starts_with("continuing ses_") && last.err.contains("(trip)"), "{}", last.err);
    let bodies: Vec<String> = home.mock.requests().into_iter().map(|request| request.body).collect();
    assert!(bodies[2].contains("one") && bodies[2].contains("two") && bodies[2].contains("three"));

    let elsewhere = |args: &[&str]| {
        Done::from(home.command(args).env("AICHAT_SCOPE", "another terminal").output().unwrap())
    };
    assert_eq!(elsewhere(&["send", "-c", "four"]).code, 66);
    assert_eq!(elsewhere(&["send", "-c", "--global", "four"]).code, 0);
    assert_eq!(home.run("send -s ses_u hi").code, 66);
    assert_eq!(home.run("send -s @last~9 hi").code, 66);
    assert_eq!(home.run("sessions list --json").out.matches("\"id\"").count(), 1);
}

#[test]
fn data_files_and_instructions_reach_the_model() {
    let home = Home::new();
    std::fs::write(home.path().join("notes.txt"), "remember").unwrap();
    std::fs::write(home.path().join("rules"), "be brief\n").unwrap();
    let done = home.pipe("send -m openai/echo --system @rules -f notes.txt sum up", b"1\n2\n");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(
        done.out,
        "sum up\n\n<file name=\"notes.txt\">\nremember\n</file>\n\n<stdin>\n1\n2\n</stdin>\n"
    );
    assert!(home.mock.requests()[0].body.contains("be brief"));
    assert_eq!(home.pipe("send -m openai/echo -", b"from a pipe").out, "from a pipe\n");
}

#[test]
fn the_answer_goes_to_a_file_where_one_is_named() {
    let home = Home::new();
    let done = home.run("send -m openai/c2 --output answer.txt hi");
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(home.path().join("answer.txt")).unwrap(), "0 1 \n");
    assert_eq!(home.run("send -m openai/c2 --output no/such/dir hi").code, 74);
    assert_eq!(home.mock.requests().len(), 1, "what cannot be written is not asked");
}

#[test]
fn the_default_model_is_configured_or_the_first_of_ones_own_server() {
    let home = Home::new();
    let done = home.run("send hi");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("no model is named; using openai/"), "{}", done.err);
    assert_eq!(home.run("settings set model openai/echo").code, 0);
    let done = home.run("send hi");
    assert_eq!((done.out.as_str(), done.err.as_str()), ("hi\n", ""));
}

#[test]
fn retries_are_told_and_end_well() {
    let home = Home::new();
    let done = home.run("send -m openai/e500-x1 hi");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.starts_with("retrying in "), "{}", done.err);
    assert_eq!(home.mock.requests().len(), 2);
}

#[test]
fn a_call_of_a_tool_is_told_where_nothing_else_is() {
    let home = Home::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", server.local_addr().unwrap());
    std::thread::spawn(move || {
        let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"weather","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
        for mut socket in server.incoming().flatten() {
            let _ = socket.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(socket, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    home.configure(&format!("[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\n"));
    let done = home.run("send -m own/m hi");
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert_eq!(done.err, "own/m calls weather, which is not run\n");
    let done = home.run("send --json -m own/m hi");
    let result: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.err.as_str(), &result["tool_calls"][0]["name"]), ("", &"weather".into()));
}

#[test]
fn nobody_needs_to_listen_but_what_is_lost_is_said() {
    let home = Home::new();
    let done = home.command(["send", "-m", "openai/c1", "hi"]).stdout(Stdio::null()).output().unwrap();
    assert_eq!(Done::from(done).code, 0);
    let full = std::fs::File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        let done = home.command(["send", "-m", "openai/c1", "hi"]).stdout(full).output().unwrap();
        let done = Done::from(done);
        assert_eq!(done.code, 74);
        assert!(done.err.contains("no space left on device"), "{}", done.err);
    }
}

#[test]
fn prices_of_ones_own_go_before_the_built_in_ones() {
    let home = Home::new();
    let cost = |done: &Done| {
        let from = done.out.find("\"cost\":").unwrap_or_else(|| panic!("{}", done.all()));
        done.out[from..].split_inclusive('}').next().unwrap().to_owned()
    };
    let file = home.path().join(".config/aichat/models.json");
    home.configure("");
    let entry = r#"{"provider":"openai","id":"c3","prices":{"input":"1","output":"2.5"}}"#;
    std::fs::write(&file, format!(r#"{{"date":"2026-11-01","entries":[{entry}]}}"#)).unwrap();
    // 1 * 1 + 3 * 2.5 micro-dollars
    let done = home.run("send --json -n -m openai/c3 hi");
    assert_eq!(cost(&done), r#""cost":{"amount":"0.0000085","currency":"USD","status":"exact"}"#);
    assert!(home.run("models list --known --json").out.contains(r#"{"provider":"openai","id":"c3","#));

    std::fs::write(&file, r#"{"date":"2026-11-01","entries":[{"provider":"openai","id":"c3","price":{}}]}"#)
        .unwrap();
    let done = home.run("send -n -m openai/c3 hi");
    assert_eq!(done.code, 78);
    let complaint = "/.config/aichat/models.json: price table: entries[0], openai/c3: unknown field `price`";
    assert!(done.err.contains(complaint), "{}", done.all());
}
