//! The form of what is shown: answers by a schema, and reasoning apart from the answer.

use serde_json::Value;

use crate::common::{Home, Server};

#[test]
fn a_schema_is_sent_recorded_and_kept_on_continued_turns() {
    let home = Home::new();
    let args =
        ["send", "-s", "s", "-m", "openai/echo", "--schema", "name, age int", r#"{"name":"x","age":1}"#];
    let done = crate::common::Done::from(home.command(args).output().unwrap());
    assert_eq!((done.code, done.out.as_str()), (0, "{\"name\":\"x\",\"age\":1}\n"), "{}", done.err);
    let format = |index: usize| {
        let body: Value = serde_json::from_str(&home.mock.requests()[index].body).unwrap();
        body["response_format"].clone()
    };
    insta::assert_snapshot!(format(0), @r#"{"json_schema":{"name":"answer","schema":{"additionalProperties":false,"properties":{"age":{"type":"integer"},"name":{"type":"string"}},"required":["name","age"],"type":"object"},"strict":true},"type":"json_schema"}"#);
    assert!(
        home.run("sessions export s --format jsonl").out.contains(r#""output":{"schema":{"name":"answer""#)
    );

    let done = home.run("send -s s again");
    assert_eq!((done.code, done.out.as_str()), (65, ""), "what does not fit is not printed");
    assert_eq!(format(1), format(0));
    assert_eq!(home.mock.requests().len(), 4, "it is asked for twice more");
    let free = home.run("send -s s --no-schema again");
    assert_eq!((free.code, format(4)), (0, Value::Null));
    assert_eq!(home.run("send -s s again").code, 0, "what was given up stays so");
}

#[test]
fn an_answer_that_does_not_fit_says_why() {
    let home = Home::new();
    let said = |prompt: &str, json: bool| {
        let args = ["send", "-m", "openai/echo", "--schema", "name, age int", prompt];
        let done = home.command(args.into_iter().chain(json.then_some("--json"))).output().unwrap();
        crate::common::Done::from(done)
    };
    let done = said(r#"{"name":"x"}"#, false);
    assert_eq!((done.code, done.out.as_str()), (65, ""));
    let told: Vec<&str> = done.err.lines().collect();
    assert_eq!(
        told[0],
        r##"asking once more: the answer does not keep to its schema: #: "age" is a required property"##
    );
    // The server answers with the complaint, in which the schema stands.
    assert!(
        told[2].starts_with("error: openai/echo: the answer does not keep to its schema: #: "),
        "{told:?}"
    );
    assert!(told[2].ends_with(", and asked 2 times more it did no better"), "{told:?}");
    assert!(told[3].starts_with("hint: the answers are kept as they came"), "{told:?}");
    assert_eq!((told.len(), home.mock.requests().len()), (4, 3));
    let done = said("hm", false);
    assert!(done.err.starts_with("asking once more: the answer is not JSON\n"), "{}", done.err);
    let result: Value = serde_json::from_str(&said("hm", true).out).unwrap();
    assert_eq!(result["status"], "completed");
    assert!(result["text"].as_str().unwrap().starts_with("Your answer does not keep"), "the last answer");
    assert_eq!((&result["json"], &result["mended"]), (&Value::Null, &2.into()));
    assert_eq!(result["error"]["kind"], "schema");
    assert_eq!(home.run("send -m openai/echo --schema a/b.json hi").code, 66);
    assert_eq!(home.run("send -m openai/echo --schema a-date,a-date hi").code, 2);
}

/// A server that gives these answers one after another, and the last for ever.
fn answering(texts: &'static [&'static str]) -> Server {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |_, _| {
        let index = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(texts.len() - 1);
        let message = serde_json::json!({"role": "assistant", "content": texts[index]});
        let usage = serde_json::json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
        let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": "stop"});
        (200, "application/json", serde_json::json!({"choices": [choice], "usage": usage}).to_string())
    })
}

fn own(home: &Home, server: &Server) {
    let url = &server.url;
    home.configure(&format!("[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{url}/v1\"\n"));
}

#[test]
fn an_answer_is_mended_and_printed_once() {
    let home = Home::new();
    let server = answering(&["It is 7.", r#"{"n":"7"}"#, "Here: ```json\n{\"n\": 7}\n```"]);
    own(&home, &server);
    let done = home
        .run(r#"send -m own/m -s s -u --schema {"properties":{"n":{"type":"integer"}},"required":["n"]} hi"#);
    assert_eq!((done.code, done.out.as_str()), (0, "{\"n\": 7}\n"), "{}", done.err);
    assert!(done.err.contains("asking once more: the answer is not JSON"), "{}", done.err);
    assert!(done.err.contains(r##"#/n: "7" is not of type "integer""##), "{}", done.err);
    assert!(done.err.contains("tokens: 15 in, 6 out"), "{}", done.err);
    let bodies = server.requests();
    assert_eq!(bodies.len(), 3);
    assert!(bodies[2].contains("is not of type"), "the model is told what is wrong");
    assert_eq!(home.run("events verify --all").code, 0);
    assert_eq!(home.run("events replay s --offline").code, 0);
    let result: Value = serde_json::from_str(&home.run("send -c --json on").out).unwrap();
    assert_eq!((&result["json"], &result["mended"]), (&serde_json::json!({"n": 7}), &0.into()));
    assert_eq!(result["text"], "Here: ```json\n{\"n\": 7}\n```", "the text is the model's");
}

#[test]
fn a_script_that_follows_is_told_that_the_answer_is_mended() {
    let home = Home::new();
    let server = answering(&["no", r#"{"n":true}"#]);
    own(&home, &server);
    let done = home.run("send -m own/m -n --output-format stream-json --schema {\"required\":[\"n\"]} hi");
    let lines: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!((done.code, types), (0, vec!["start", "delta", "mending", "delta", "result"]), "{}", done.err);
    assert_eq!(lines[2]["message"], "the answer is not JSON");
}

#[test]
fn a_wrong_schema_is_told_with_its_place_and_nobody_is_asked() {
    let home = Home::new();
    for (schema, place) in [
        (r#"{"properties":{"a":{"type":"objekt"}}}"#, "#/properties/a/type"),
        (r#"{"properties":{"a":{"$ref":"http://127.0.0.1:9/a.json"}}}"#, "#/properties/a/$ref"),
        (r#"{"items":{"$ref":"file:///etc/hostname"}}"#, "#/items/$ref"),
        (r#"{"pattern":"("}"#, "#/pattern"),
    ] {
        let args = ["send", "-m", "openai/echo", "--schema", schema, "hi"];
        let done = crate::common::Done::from(home.command(args).output().unwrap());
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{}", done.err);
        assert!(done.err.contains(&format!("the schema is wrong at {place}: ")), "{}", done.err);
    }
    assert_eq!(home.mock.requests().len(), 0);
    assert_eq!(home.run("sessions list").out, "");
}

#[test]
fn mending_keeps_to_the_budget() {
    let home = Home::new();
    std::fs::create_dir_all(home.config_file().parent().unwrap()).unwrap();
    let table = r#"{"date":"2026-01-01","entries":[{"provider":"openai","id":"echo","prices":{"input":"1","output":"100"}}]}"#;
    std::fs::write(home.config_file().with_file_name("models.json"), table).unwrap();
    let args = "send -m openai/echo --json -o max_tokens=100 --max-cost 0.0116 --schema a hm";
    let done = home.run(args);
    let result: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &result["error"]["kind"]), (65, &"schema".into()), "{}", done.out);
    assert_eq!(home.mock.requests().len(), 1, "a second answer could cost more than is left");
    assert!(
        result["warnings"][0].as_str().unwrap().contains("is left of the budget of this turn"),
        "{}",
        done.out
    );
}

#[test]
fn a_dry_run_shows_the_schema() {
    let home = Home::new();
    let done = home.run("send --dry-run -m openai/c1 --schema name hi");
    assert!(done.out.contains(r#""response_format":{"type":"json_schema""#), "{}", done.out);
}

#[test]
fn a_warning_is_said_once_and_is_in_the_result() {
    let home = Home::new();
    let said = home.run("send -m openai/c1 -o top_k=3 hi");
    assert_eq!((said.code, said.out.as_str()), (0, "0 \n"));
    assert_eq!(said.err, "warning: top_k is not known to this server and not sent\n");
    assert_eq!(home.run("send -q -m openai/c1 -o top_k=3 hi").err, "");
    let result: Value =
        serde_json::from_str(&home.run("send --json -m openai/c1 -o top_k=3 hi").out).unwrap();
    assert_eq!(result["warnings"], serde_json::json!(["top_k is not known to this server and not sent"]));
}

fn thinking() -> Server {
    Server::start(|_, _| {
        let events = [
            r#"{"choices":[{"delta":{"reasoning_content":"two and "}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_content":"two"}}]}"#,
            r#"{"choices":[{"delta":{"content":"Four."},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ];
        (200, "text/event-stream", events.map(|event| format!("data: {event}\n\n")).concat())
    })
}

#[test]
fn reasoning_is_shown_apart_unless_it_is_hidden() {
    let home = Home::new();
    let server = thinking();
    home.configure(&format!(
        "[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{}/v1\"\n",
        server.url
    ));
    let all = ["", "-R ", "-q ", "--color always "].map(|flag| {
        let done = home.run(&format!("send {flag}-m own/m hi"));
        assert_eq!((done.code, done.out.as_str()), (0, "Four.\n"));
        format!("{flag}: {:?}", done.err)
    });
    insta::assert_snapshot!(all.join("\n"), @r#"
    : "two and two\n\n"
    -R : ""
    -q : ""
    --color always : "\u{1b}[2mtwo and \u{1b}[0m\u{1b}[2mtwo\u{1b}[0m\u{1b}[2m\n\n\u{1b}[0m"
    "#);
    let result: Value = serde_json::from_str(&home.run("send -R --json -m own/m hi").out).unwrap();
    assert_eq!(result["reasoning"][0]["text"], "two and two");
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_call_of_a_tool_is_no_answer_by_a_schema() {
    let home = Home::new();
    let server = Server::start(|_, _| {
        let call = serde_json::json!({"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
        let message =
            serde_json::json!({"role": "assistant", "content": "Let me see.", "tool_calls": [call]});
        let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        (200, "application/json", serde_json::json!({"choices": [choice]}).to_string())
    });
    own(&home, &server);
    let done = home.run("send -m own/m --schema name hi");
    assert_eq!((done.code, done.out.as_str()), (65, ""), "{}", done.err);
    let told = "error: own/m calls weather, which is not run, and gives no answer by the schema\n";
    assert!(done.err.starts_with(told), "{}", done.err);
    let done = home.run("send -m own/m --json --schema name hi");
    let result: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &result["error"]["kind"]), (65, &"schema".into()));
    assert_eq!((&result["json"], &result["tool_calls"][0]["name"]), (&Value::Null, &"weather".into()));
    assert_eq!(server.requests().len(), 2, "it is not asked again");
}

#[test]
fn an_answer_with_nothing_in_it_is_said_to_be_one() {
    let home = Home::new();
    let server = answering(&[""]);
    own(&home, &server);
    let done = home.run("send -m own/m hi");
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    assert_eq!(done.err, "own/m answered with nothing\n");
    for line in ["send -q -m own/m hi", "send --json -m own/m hi"] {
        assert_eq!(home.run(line).err, "", "{line}");
    }
}
