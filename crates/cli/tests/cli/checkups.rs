//! `providers test` and `providers show`: what works, what does not and why, and never a key.

use std::io::{Read, Write};

use serde_json::Value;

use crate::common::{Done, Home, Server};

const KEY: &str = "sk-canary-4f9a7c61d2e8";

/// Answers as a server of one's own that can do everything, or only talk.
fn able(everything: bool) -> Server {
    Server::start(move |line, body| {
        let streamed = |delta: &str| {
            let events = [
                format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":"stop"}}]}}"#),
                "[DONE]".to_owned(),
            ];
            (200, "text/event-stream", events.map(|event| format!("data: {event}\n\n")).concat())
        };
        match (line, body) {
            ("GET /v1/models HTTP/1.1", _) => {
                (200, "application/json", r#"{"data":[{"id":"small"},{"id":"large"}]}"#.to_owned())
            }
            (_, body) if body.contains(r#""tools""#) && everything => {
                streamed(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"ping","arguments":""}}]}"#)
            }
            (_, body) if body.contains(r#""tools""#) => {
                let refusal = r#"{"error":{"message":"small does not support tools"}}"#;
                (400, "application/json", refusal.to_owned())
            }
            (_, body) if body.contains("json_schema") && everything => {
                streamed(r#"{"content":"{\"wet\": true}"}"#)
            }
            _ => streamed(r#"{"content":"Hello."}"#),
        }
    })
}

/// Refuses everything in one way.
fn refusing(status: u16, kind: &'static str, body: &'static str) -> Server {
    Server::start(move |_, _| (status, kind, body.to_owned()))
}

fn configure(home: &Home, servers: &[(&str, &str)]) {
    let section = |(name, url): &(&str, &str)| {
        format!(
            "[providers.{name}]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\napi_key_env = \"OWN_KEY\"\n"
        )
    };
    home.configure(&servers.iter().map(section).collect::<String>());
}

fn run(home: &Home, line: &str) -> Done {
    let done = home.command(line.split_whitespace()).env("OWN_KEY", KEY).output().unwrap();
    let done = Done::from(done);
    assert!(!done.all().contains(KEY), "{}", done.all());
    done
}

/// Replaces times and ports.
fn plain(home: &Home, done: &Done) -> String {
    let words = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        for at in 1..words.len() {
            if words[at] == "ms" {
                words[at - 1] = "N";
            }
        }
        let indent = if line.starts_with(' ') { "  " } else { "" };
        format!("{indent}{}", words.join(" "))
    };
    home.plain(&done.all()).lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_step_of_a_server_that_can_do_everything() {
    let home = Home::new();
    let server = able(true);
    configure(&home, &[("own", &format!("{}/v1", server.url))]);
    insta::assert_snapshot!(plain(&home, &run(&home, "providers test own")), @r#"
    0
    own (openai-chat) at http://127.0.0.1:PORT/v1, small
      name ok N ms
      connection ok N ms
      tls skipped the address begins with http://
      key ok N ms 2 models
      model ok small
      stream ok N ms first token after N ms
      tools ok N ms
      schema ok N ms
    asking for three short answers each, which costs a few tokens
    "#);
    let asked: Vec<Value> = server
        .requests()
        .iter()
        .filter_map(|request| serde_json::from_str(request.split_once('\n')?.1).ok())
        .collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|body| body["model"] == "small" && body["max_tokens"].as_u64() <= Some(1024)));
    assert_eq!(asked[1]["tool_choice"]["function"]["name"], "ping");

    assert_eq!(run(&home, "providers test own -m own/large -q").err, "");
    assert!(server.requests().last().unwrap().contains(r#""model":"large""#));
}

#[test]
fn what_a_model_cannot_do_is_no_failure() {
    let home = Home::new();
    let server = able(false);
    configure(&home, &[("own", &format!("{}/v1", server.url))]);
    insta::assert_snapshot!(plain(&home, &run(&home, "providers test own")), @r#"
    0
    own (openai-chat) at http://127.0.0.1:PORT/v1, small
      name ok N ms
      connection ok N ms
      tls skipped the address begins with http://
      key ok N ms 2 models
      model ok small
      stream ok N ms first token after N ms
      tools unsupported N ms the provider refuses it: small does not support tools
      schema unsupported N ms the answer did not keep to the schema
    asking for three short answers each, which costs a few tokens
    "#);
}

#[test]
fn failures_are_told_apart() {
    let home = Home::new();
    let page = "<html><head><title>Welcome</title></head></html>";
    let servers = [
        (
            "key",
            refusing(
                401,
                "application/json",
                r#"{"error":{"message":"Incorrect API key provided: sk-canary-4f9a7c61d2e8"}}"#,
            ),
        ),
        ("forbidden", refusing(403, "application/json", r#"{"error":{"message":"not for you"}}"#)),
        ("page", refusing(404, "text/html", page)),
        ("front", refusing(200, "text/html", page)),
        ("moved", refusing(301, "text/html", "")),
        (
            "quota",
            refusing(
                429,
                "application/json",
                r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#,
            ),
        ),
        ("limit", refusing(429, "application/json", r#"{"error":{"message":"slow down"}}"#)),
        ("broken", refusing(500, "text/html", page)),
    ];
    let list: Vec<(&str, String)> =
        servers.iter().map(|(name, server)| (*name, format!("{}/v1", server.url))).collect();
    configure(&home, &list.iter().map(|(name, url)| (*name, url.as_str())).collect::<Vec<_>>());
    let mut all = String::new();
    for (name, _) in &list {
        let done = run(&home, &format!("providers test -q {name}"));
        let said = plain(&home, &done);
        let lines = said.lines().filter(|line| !line.contains(" skipped ") && !line.contains(" ok "));
        all.push_str(&format!("{}\n", lines.collect::<Vec<_>>().join("\n")));
    }
    insta::assert_snapshot!(all, @r#"
    77
    key (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms key: Incorrect API key provided: ‹secret:OWN_KEY›
      hint: run `aichat keys set key`, or set OWN_KEY
    77
    forbidden (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms permission: not for you
      hint: the key may not do this; `aichat keys which forbidden` shows which one was used
    69
    page (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms wrong_path: the server answered with a web page: Welcome
      hint: check the path in providers.page.base_url: it usually ends in /v1
    69
    front (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms wrong_path: the server answered with a web page: Welcome
      hint: check the path in providers.front.base_url: it usually ends in /v1
    69
    moved (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms wrong_path: the server redirects elsewhere (moved permanently), which is not followed
      hint: check the path in providers.moved.base_url: it usually ends in /v1
    77
    quota (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms quota: You exceeded your current quota
      hint: check plan and billing of your account at quota
    75
    limit (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms rate_limit: slow down
      hint: try again in a moment
    75
    broken (openai-chat) at http://127.0.0.1:PORT/v1, no model
      key failed N ms server: the server answered with a web page: Welcome
      hint: try again; the provider has a problem of its own
    "#);
}

#[test]
fn the_way_to_a_server_is_looked_at_step_by_step() {
    let home = Home::new();
    let (free, _held) = home.nobody();
    let no_tls = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = format!("https://{}", no_tls.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut socket in no_tls.incoming().flatten() {
            let _ = socket.read(&mut [0; 512]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    configure(
        &home,
        &[
            ("down", &format!("http://{free}/v1")),
            ("nowhere", "http://nosuch.invalid/v1"),
            ("tls", &format!("{tls}/v1")),
        ],
    );
    let said = |name: &str| {
        let said = plain(&home, &run(&home, &format!("providers test -q {name}")));
        said.lines().filter(|line| !line.contains(" a step before ")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(["down", "nowhere", "tls"].map(said).join("\n"), @r#"
    69
    down (openai-chat) at http://127.0.0.1:PORT/v1, no model
      name ok N ms
      connection failed N ms refused: the connection was refused; is the server running?
      hint: start the server, or check the port in providers.down.base_url
    69
    nowhere (openai-chat) at http://nosuch.invalid/v1, no model
      name failed N ms dns: the host's name cannot be resolved
      hint: check the host in providers.nowhere.base_url, and whether this machine resolves names at all
    69
    tls (openai-chat) at https://127.0.0.1:PORT/v1, no model
      name ok N ms
      connection ok N ms
      tls failed N ms tls: tls failed: the server does not speak tls
      hint: the server may want http:// instead of https:// in providers.tls.base_url
    "#);
    let all = run(&home, "providers test --json --all");
    let object: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!((all.code, &object["ok"]), (69, &Value::from(false)));
    let schema: Value = serde_json::from_str(&home.run("schema").out).unwrap();
    let described = &schema["$defs"]["aichat.provider_test/1"];
    has_the_fields(&object, described);
    let provider = &described["properties"]["providers"]["items"];
    has_the_fields(&object["providers"][0], provider);
    for step in object["providers"].as_array().unwrap().iter().flat_map(|p| p["steps"].as_array().unwrap()) {
        let described = &provider["properties"]["steps"]["items"];
        has_the_fields(step, described);
        for field in ["step", "verdict", "cause"] {
            let words = described["properties"][field]["enum"].as_array().unwrap();
            assert!(words.contains(&step[field]), "{field}: {}", step[field]);
        }
    }
    let names: Vec<&str> =
        object["providers"].as_array().unwrap().iter().map(|p| p["provider"].as_str().unwrap()).collect();
    assert_eq!(names, ["openai", "down", "nowhere", "tls"], "those that are configured");
}

fn has_the_fields(value: &Value, described: &Value) {
    let mut ours: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut required: Vec<&str> =
        described["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    ours.sort_unstable();
    required.sort_unstable();
    assert_eq!(ours, required);
}

#[test]
fn a_missing_key_is_a_step_that_failed() {
    let home = Home::new();
    insta::assert_snapshot!(plain(&home, &home.run("providers test -q groq")), @r#"
    77
    groq (openai-chat) at https://api.groq.com/openai/v1, no model
      name skipped not tried
      connection skipped not tried
      tls skipped not tried
      key failed key: there is no key for groq
      model skipped not tried
      stream skipped not tried
      tools skipped not tried
      schema skipped not tried
      hint: run `aichat keys set groq`, or set GROQ_API_KEY
    "#);
    assert_eq!(home.run("providers test").code, 2, "nobody is named");
    assert_eq!(home.run("providers test azure").code, 78, "it has no address");
}

#[test]
fn a_provider_is_shown_without_its_key() {
    let home = Home::new();
    home.configure(
        "[providers.own]\nprotocol = \"azure-chat\"\nbase_url = \"https://user:hunter2hunter2@x.openai.azure.com\"\n\
         api_key_env = \"OWN_KEY\"\napi_version = \"2024-10-21\"\nheaders = { X-Team = \"blue\" }\n",
    );
    insta::assert_snapshot!(run(&home, "providers show own").all(), @r#"
    0
    name         own
    protocol     azure-chat
    base_url     https://x.openai.azure.com
    origin       file line 1
    key          key from environment
    api_version  2024-10-21
    headers      x-team
    "#);
    insta::assert_snapshot!(run(&home, "providers show --json own").out, @r#"{"schema":"aichat.provider/1","name":"own","protocol":"azure-chat","base_url":"https://x.openai.azure.com","key":"environment","local":false,"origin":"file line 1","needs_key":true,"key_variables":["OWN_KEY"],"profile":null,"api_version":"2024-10-21","headers":["x-team"],"default_model":null}"#);
    assert_eq!(home.run("providers show nosuch").code, 69);
}
