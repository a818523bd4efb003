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
    assert_eq!((done.code, done.out.as_str()), (65, "again\n"), "the answer is printed all the same");
    assert_eq!(format(1), format(0));
    let free = home.run("send -s s --no-schema again");
    assert_eq!((free.code, format(2)), (0, Value::Null));
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
    insta::assert_snapshot!([r#"{"name":"x"}"#, "[]", "hm"].map(|prompt| said(prompt, false).all()).join("\n"), @r#"
    65
    {"name":"x"}
    error: openai/echo: the answer has no age
    hint: the answer is kept as it came; ask again, or another model that keeps to a schema

    65
    []
    error: openai/echo: the answer is JSON, and no object
    hint: the answer is kept as it came; ask again, or another model that keeps to a schema

    65
    hm
    error: openai/echo: the answer is not JSON
    hint: the answer is kept as it came; ask again, or another model that keeps to a schema
    "#);
    let result: Value = serde_json::from_str(&said("hm", true).out).unwrap();
    assert_eq!((&result["status"], &result["text"]), (&"completed".into(), &"hm".into()));
    assert_eq!(result["error"]["kind"], "schema");
    assert_eq!(home.run("send -m openai/echo --schema a/b.json hi").code, 66);
    assert_eq!(home.run("send -m openai/echo --schema a-date,a-date hi").code, 2);
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
