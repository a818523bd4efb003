//! Answers of Anthropic Messages: block by block against the recordings, read back, and under attack.

use std::sync::Arc;

use aichat_message::{
    Delta, ErrorKind, Executor, FinishReason, Fold, Json, MediaKind, Message, Opaque, OpaqueKind, Part,
    PartKind, Protocol, ReasoningBlock, Role, Source, ToolSpec,
};
use aichat_providers::{
    Adapter, Anthropic, Driver, Endpoint, Error, Http, Intake, Provider, Request, Transport,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::canned::{Canned, Tail, endpoint, play};
use crate::followups::{Writing, each, remove_if};
use crate::recordings::{fixtures, in_folder, own, provider, spoken};

fn connect(transport: Arc<dyn Transport>) -> Box<dyn Provider> {
    provider(transport, Anthropic::new())
}

/// How recorded requests are read back, and what they may differ in.
pub(crate) const WRITING: Writing = Writing {
    protocol: "anthropic",
    folders: &[("anthropic-messages", connect)],
    list: "messages",
    fields: &["system", "tools"],
    head: |body| {
        let blocks = body["system"].as_array().into_iter().flatten();
        let parts: Vec<_> = blocks.map(read_block).collect();
        if parts.is_empty() { Vec::new() } else { vec![Message::new(Role::System, parts)] }
    },
    tools: |body| {
        let tools = body["tools"].as_array().into_iter().flatten();
        let spec = |tool: &Value| ToolSpec {
            name: text(&tool["name"]),
            description: tool["description"].as_str().map(str::to_owned),
            parameters: Json::from_value(&tool["input_schema"]).unwrap(),
            strict: None,
        };
        tools.map(spec).collect()
    },
    read: |entry| {
        let role = if entry["role"] == json!("assistant") { Role::Assistant } else { Role::User };
        Message::new(role, entry["content"].as_array().unwrap().iter().map(read_block).collect())
    },
    is_answer: |entry| entry["role"] == json!("assistant"),
    alike: &[
        ("what is the default need not be said", |body| remove_if(body, "stream", &json!(false))),
        ("the recorded client lost who calls, which we keep", |body| {
            each(body, "messages", |message| {
                each(message, "content", |block| remove_if(block, "caller", &json!({"type": "direct"})));
            });
        }),
    ],
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read_block(block: &Value) -> Part {
    let opaque = |kind, data: &Value| vec![Opaque { provider: "test".to_owned(), kind, data: text(data) }];
    let mut part = match block["type"].as_str().unwrap() {
        "text" => Part::new(PartKind::Text {
            text: text(&block["text"]),
            annotations: serde_json::from_value(block["citations"].clone()).unwrap_or_default(),
        }),
        "thinking" => {
            let words = vec![ReasoningBlock::Text(text(&block["thinking"]))];
            Part {
                opaque: opaque(OpaqueKind::Signature, &block["signature"]),
                ..Part::new(PartKind::Reasoning { blocks: words })
            }
        }
        "redacted_thinking" => {
            Part { opaque: opaque(OpaqueKind::RedactedThinking, &block["data"]), ..Part::reasoning() }
        }
        "tool_use" => {
            Part::tool_call(text(&block["id"]), text(&block["name"]), block["input"].to_string().as_str())
        }
        "tool_result" => Part::new(PartKind::ToolResult {
            call_id: text(&block["tool_use_id"]),
            name: None,
            content: block["content"].as_array().into_iter().flatten().map(read_block).collect(),
            is_error: block["is_error"] == json!(true),
        }),
        "document" => {
            let source = &block["source"];
            let (mime, source) = match source["type"].as_str().unwrap() {
                "file" => (None, Source::FileId(text(&source["file_id"]))),
                "text" => {
                    (Some("text/plain".to_owned()), Source::Base64(STANDARD.encode(text(&source["data"]))))
                }
                other => panic!("a document from {other}"),
            };
            let name = block["title"].as_str().map(str::to_owned);
            let mut part = Part::new(PartKind::Media { media: MediaKind::File, source, mime, name });
            if !block["citations"].is_null() {
                part.extra.push("citations", Json::from_value(&block["citations"]).unwrap());
            }
            part
        }
        other => panic!("a block of type {other}"),
    };
    if !block["cache_control"].is_null() {
        part.extra.push("cache_control", Json::from_value(&block["cache_control"]).unwrap());
    }
    part
}

/// Returns a part as the recordings name it.
fn name(part: &Part) -> String {
    let told = |name: &str| part.extra.get(name).and_then(|name| name.to::<String>().ok());
    match &part.kind {
        PartKind::Text { .. } => "text".to_owned(),
        PartKind::Reasoning { .. } => {
            let redacted = part.opaque.iter().any(|opaque| opaque.kind == OpaqueKind::RedactedThinking);
            if redacted { "redacted_thinking".to_owned() } else { "thinking".to_owned() }
        }
        PartKind::ToolCall { executor: Executor::Client, .. } => "tool_use".to_owned(),
        PartKind::ToolCall { .. } => told("type").unwrap_or_else(|| "server_tool_use".to_owned()),
        PartKind::Unknown { type_name, .. } => type_name.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_block_is_in_its_place_with_its_bytes() {
    let folders = fixtures().map(|root| root.join("anthropic-messages"));
    let folders = folders.into_iter().chain([own().join("anthropic")]);
    let mut wrong = Vec::new();
    for recording in folders.flat_map(|folder| in_folder(spoken("anthropic"), &folder)) {
        let expect = &recording.data["expect"];
        if expect["ambiguous"].is_string() {
            continue;
        }
        let (fold, error) = play(&*connect(Arc::new(recording.canned()))).await;
        let message =
            error.as_ref().map_or_else(|| fold.message(), |e| e.partial().cloned().unwrap_or(fold.message()));
        let reasoning = message.parts.iter().filter_map(|part| {
            let PartKind::Reasoning { blocks } = &part.kind else { return None };
            let text: String = blocks.iter().map(|block| block.text()).collect();
            Some(match part.opaque.as_slice() {
                [one] if one.kind == OpaqueKind::RedactedThinking => {
                    json!({"opaque": one.data, "kind": "redacted_thinking"})
                }
                [one] => json!({"text": text, "signature": one.data}),
                _ => json!({"text": text}),
            })
        });
        let server_calls = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { call_id, name, arguments, executor: Executor::Server } => {
                let arguments: Value = arguments.json().unwrap().to().unwrap();
                Some(json!({"id": call_id, "name": name, "arguments": arguments}))
            }
            _ => None,
        });
        let others = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::Unknown { type_name, raw } => {
                assert_eq!(raw.to::<Value>().unwrap()["type"], json!(type_name));
                Some(json!(type_name))
            }
            _ => None,
        });
        let citations = message.parts.iter().map(|part| match &part.kind {
            PartKind::Text { annotations, .. } => annotations.len(),
            _ => 0,
        });
        let extra = |name: &str| message.extra.get(name).map_or(Value::Null, |value| value.to().unwrap());
        let seen = [
            ("reasoning", Value::from_iter(reasoning)),
            ("server_tool_calls", Value::from_iter(server_calls)),
            ("other_blocks", Value::from_iter(others)),
            ("block_order", message.parts.iter().map(name).collect()),
            ("citations", json!(citations.sum::<usize>())),
            ("stop_sequence", extra("stop_sequence")),
            ("finish_detail", extra("stop_details")),
        ];
        for (name, got) in seen {
            let want = &expect[name];
            if !want.is_null() && got != *want {
                wrong.push(format!("{} {name}: got {got}, want {want}", recording.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", text(&event["type"]))).collect()
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [],
        "usage": {"input_tokens": 11, "output_tokens": 1}}})
}

fn begin(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn fragment(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str) -> [Value; 2] {
    let usage = json!({"output_tokens": 9});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage});
    [delta, json!({"type": "message_stop"})]
}

/// Decodes a body and returns its deltas and its end.
fn decode(content_type: &str, body: &str) -> (Vec<Delta>, Fold, Option<Error>) {
    let info = connect(Arc::new(Canned::sse(&[]))).info().clone();
    assert_eq!(info.protocol, Protocol::Anthropic);
    let decoder = Adapter::decoder(&Anthropic::new(), &info);
    let (mut intake, mut deltas) = (Intake::new(Some(content_type), decoder), Vec::new());
    let error = intake.push(body.as_bytes(), &mut deltas).and_then(|()| intake.finish(&mut deltas)).err();
    let mut fold = Fold::new();
    deltas.iter().for_each(|delta| fold.apply(delta));
    (deltas, fold, error)
}

fn stream(list: &[Value]) -> (Fold, Option<Error>) {
    let (_, fold, error) = decode("text/event-stream", &events(list));
    (fold, error)
}

#[test]
fn an_error_in_the_stream_has_its_kind_wherever_it_comes() {
    let kinds = [
        ("invalid_request_error", ErrorKind::InvalidRequest),
        ("authentication_error", ErrorKind::Auth),
        ("billing_error", ErrorKind::Billing),
        ("permission_error", ErrorKind::Permission),
        ("not_found_error", ErrorKind::NotFound),
        ("request_too_large", ErrorKind::TooLarge),
        ("rate_limit_error", ErrorKind::RateLimited),
        ("timeout_error", ErrorKind::Timeout),
        ("api_error", ErrorKind::Server),
        ("overloaded_error", ErrorKind::Overloaded),
        ("a_later_error", ErrorKind::Server),
    ];
    let call = begin(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}));
    let half = fragment(0, json!({"type": "input_json_delta", "partial_json": "{\"x\""}));
    for (name, kind) in kinds {
        let error = json!({"type": "error", "error": {"type": name, "message": "m"}, "request_id": "req_1"});
        for before in [&[][..], &[start()], &[start(), call.clone(), half.clone()]] {
            let (_, failed) = stream(&[before, &[error.clone(), start()]].concat());
            let failed = failed.unwrap();
            assert_eq!((failed.kind(), failed.code()), (kind, Some(name)));
            assert_eq!((failed.message(), failed.request_id()), ("m", Some("req_1")));
            let parts = failed.partial().map_or(0, |partial| partial.parts.len());
            assert_eq!(parts, usize::from(before.len() == 3), "what had arrived is kept");
        }
    }
    // Shapes of other protocols, which gateways let through.
    let shapes = [
        "data: {\"error\":{\"message\":\"m\",\"type\":\"overloaded_error\"}}\n\n",
        "event: error\ndata: {\"error\":\"overloaded_error: m\",\"type\":\"overloaded_error\"}\n\n",
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}",
    ];
    for shape in shapes {
        let (_, _, error) = decode("text/event-stream", shape);
        assert_eq!(error.unwrap().kind(), ErrorKind::Overloaded, "{shape}");
    }
}

#[test]
fn every_reason_to_end_is_told_apart() {
    let reasons = [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("pause_turn", FinishReason::Pause),
        ("refusal", FinishReason::Refusal),
        ("model_context_window_exceeded", FinishReason::ContextWindow),
        ("something_new", FinishReason::Other),
    ];
    for (raw, reason) in reasons {
        let (fold, error) = stream(&[&[start()][..], &end(raw)].concat());
        assert!(error.is_none());
        let finish = fold.finish().unwrap();
        assert_eq!((finish.reason, finish.raw.as_deref()), (reason, Some(raw)));
    }
    let whole =
        r#"{"type":"message","content":[{"type":"tool_use","id":"a","name":"f"}],"stop_reason":null}"#;
    let (_, fold, _) = decode("application/json", whole);
    assert_eq!(fold.finish().unwrap().reason, FinishReason::ToolCalls);
    assert!(fold.usage().is_none(), "what was not counted is unknown");
}

#[test]
fn only_message_stop_ends_an_answer() {
    let said = [start(), begin(0, json!({"type": "text", "text": "all"})), stop(0)];
    let whole = [&said[..], &end("end_turn")].concat();
    for most in 0..whole.len() {
        let (fold, error) = stream(&whole[..most]);
        assert_eq!(error.unwrap().kind(), ErrorKind::Truncated, "after {most} events");
        assert!(fold.finish().is_none());
    }
    let other = events(&whole[..whole.len() - 1]) + "data: [DONE]\n\n";
    let (_, _, error) = decode("text/event-stream", &other);
    assert_eq!(error.unwrap().kind(), ErrorKind::Truncated, "the mark of another protocol says nothing");
    let after = [&whole[..], &[begin(1, json!({"type": "text", "text": "more"}))]].concat();
    let (fold, error) = stream(&after);
    assert!(error.is_none());
    assert_eq!(fold.message().text(), "all");
}

#[tokio::test(start_paused = true)]
async fn an_open_socket_after_the_end_holds_nobody_up_and_a_silent_one_is_given_up() {
    let whole = events(&[&[start()][..], &end("end_turn")].concat());
    let open = Canned::new(200, "text/event-stream", whole).tail(Tail::Hang);
    let (fold, error) = play(&*connect(Arc::new(open))).await;
    assert!(error.is_none() && fold.finish().is_some());
    let silent = Canned::new(200, "text/event-stream", events(&[start(), json!({"type": "ping"})]));
    let (_, error) = play(&*connect(Arc::new(silent.tail(Tail::Hang)))).await;
    assert_eq!(error.unwrap().timeout(), Some(aichat_providers::Timeout::Idle));
}

#[test]
fn keep_alives_and_strangers_between_any_two_events_change_nothing() {
    let plain = [
        start(),
        begin(0, json!({"type": "thinking", "thinking": ""})),
        fragment(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        fragment(0, json!({"type": "signature_delta", "signature": "s=="})),
        stop(0),
        begin(1, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        fragment(1, json!({"type": "input_json_delta", "partial_json": "{}"})),
        stop(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": null}),
    ];
    let last = json!({"type": "message_stop"});
    let (want, _) = stream(&[&plain[..], std::slice::from_ref(&last)].concat());
    let strangers = [
        json!({"type": "ping"}),
        json!({"type": "content_block_hint", "index": [], "delta": "x"}),
        json!({"type": "content_block_delta", "index": 99, "delta": {"type": "future_delta"}}),
        json!({"type": "content_block_stop", "index": 99}),
        json!({"type": "message_delta", "delta": {}, "usage": {}}),
    ];
    let mut noisy = String::from(":\n\n");
    for event in &plain {
        noisy += &events(std::slice::from_ref(event));
        noisy += ": keep-alive\n\n\n\ndata:\n\n";
        noisy += &events(&strangers);
    }
    let (deltas, got, error) = decode("text/event-stream", &(noisy + &events(&[last])));
    assert!(error.is_none(), "{error:?}");
    assert_eq!((got.message(), got.usage(), got.finish()), (want.message(), want.usage(), want.finish()));
    let warnings = deltas.iter().filter(|delta| matches!(delta, Delta::Warning(_))).count();
    assert_eq!(warnings, 1, "a fragment that fits nowhere is named once");
}

#[test]
fn calls_come_in_every_shape() {
    let call =
        |index, id: &str| begin(index, json!({"type": "tool_use", "id": id, "name": "f", "input": {}}));
    let more = |index, text: &str| fragment(index, json!({"type": "input_json_delta", "partial_json": text}));
    let arguments = |list: &[Value]| -> Vec<String> {
        let (fold, error) = stream(&[&[start()][..], list, &end("tool_use")].concat());
        assert!(error.is_none(), "{error:?}");
        let parts = fold.into_message().parts;
        let text = |part: &Part| match &part.kind {
            PartKind::ToolCall { arguments, .. } => arguments.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        parts.iter().map(text).collect()
    };
    assert_eq!(arguments(&[call(0, "a"), stop(0)]), ["{}"]);
    assert_eq!(arguments(&[call(0, "a"), more(0, ""), stop(0)]), ["{}"]);
    assert_eq!(arguments(&[call(0, "a"), more(0, "{\"x\": "), more(0, "1e3 }"), stop(0)]), ["{\"x\": 1e3 }"]);
    assert_eq!(arguments(&[call(0, "a"), more(0, "{\"cut"), stop(0)]), ["{\"cut"], "kept as it came");
    let unstopped = [call(0, "a"), call(1, "b"), more(1, "{\"y\":2}"), more(0, "{\"x\":1}")];
    assert_eq!(arguments(&unstopped), ["{\"x\":1}", "{\"y\":2}"]);
    let again = [call(0, "a"), more(0, "{\"x\":1}"), call(0, "b"), more(0, "{\"y\":2}")];
    assert_eq!(arguments(&again), ["{\"x\":1}", "{\"y\":2}"], "a number that is used again begins anew");
    let whole = begin(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {"z": [1]}}));
    assert_eq!(arguments(&[whole.clone(), stop(0)]), ["{\"z\":[1]}"]);
    assert_eq!(arguments(&[whole, more(0, "{}"), stop(0)]), ["{}"], "fragments replace what it began with");
}

#[test]
fn a_block_that_never_began_is_begun() {
    let text =
        |text: &str| json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}});
    let list = [start(), text("a"), text("b"), json!({"type": "content_block_stop"}), text("c")];
    let (fold, error) = stream(&[&list[..], &end("end_turn")].concat());
    assert!(error.is_none());
    let texts = fold.message().parts.iter().map(|part| part.kind.clone()).collect::<Vec<_>>();
    assert_eq!(texts, [Part::text("ab").kind, Part::text("c").kind]);
}

#[test]
fn a_block_of_a_later_version_is_kept_whole() {
    let raw = r#"{"type":"compaction","z":1,"content":null,"n":123456789012345678901,"a":{"b":1}}"#;
    let list = [
        events(&[start()]),
        format!("data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{raw}}}\n\n"),
        events(&[
            fragment(0, json!({"type": "compaction_delta", "content": "one "})),
            fragment(0, json!({"type": "compaction_delta", "content": "two", "a": {"c": 2}})),
            stop(0),
        ]),
        events(&end("end_turn")),
    ];
    let (_, fold, error) = decode("text/event-stream", &list.concat());
    assert!(error.is_none());
    let PartKind::Unknown { type_name, raw } = &fold.message().parts[0].kind else { panic!("unknown") };
    let grown = r#"{"type":"compaction","z":1,"content":"one two","n":123456789012345678901,"a":{"c":2}}"#;
    assert_eq!((type_name.as_str(), raw.get()), ("compaction", grown));
}

#[test]
fn malformed_events_are_an_error_that_shows_them() {
    for event in ["{\"type\":\"message_start\",", "data", "{\"type\":\"content_block_delta\",\"delta\":7}"] {
        let (_, _, error) = decode("text/event-stream", &format!("data: {event}\n\n"));
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Decode, "{event}");
        assert!(error.raw_body().is_some());
    }
    let (_, _, error) = decode("text/html", "<html><title>502 Bad Gateway</title></html>");
    assert_eq!(error.unwrap().kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let told = |status, headers: &[(&str, &str)], body: &str| {
        let mut canned = Canned::new(status, "application/json", body.to_owned());
        let more = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        canned.headers.extend(more);
        async { play(&*connect(Arc::new(canned))).await.1.unwrap() }
    };
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    let headers = [
        ("retry-after", "7"),
        ("request-id", "req_1"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-11-24T07:00:00Z"),
    ];
    let slow = told(429, &headers, body).await;
    assert_eq!((slow.kind(), slow.is_retryable()), (ErrorKind::RateLimited, true));
    assert_eq!((slow.request_id(), slow.retry_after().map(|wait| wait.as_secs())), (Some("req_1"), Some(7)));
    assert_eq!(slow.rate_limits().len(), 2);
    let busy = told(529, &[], r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#).await;
    assert_eq!((busy.kind(), busy.is_retryable()), (ErrorKind::Overloaded, true));
    let never = told(529, &[("x-should-retry", "false")], "").await;
    assert!(!never.is_retryable());
    let page = told(502, &[], "<html><head><title>502 Bad Gateway</title></head></html>").await;
    assert_eq!(page.kind(), ErrorKind::Server);
}

#[tokio::test]
async fn the_key_and_the_version_are_sent_as_asked_for() {
    let sent = |adapter: Anthropic| async move {
        let canned = Arc::new(Canned::new(200, "text/event-stream", events(&end("end_turn"))));
        let transport: Arc<dyn Transport> = Arc::clone(&canned) as Arc<dyn Transport>;
        let endpoint = endpoint(transport).with_key("sk-ant-CANARY".to_owned().into());
        play(&Driver::new(endpoint, adapter).unwrap()).await;
        let headers = canned.seen.lock().unwrap()[0].headers().clone();
        assert!(!format!("{headers:?}").contains("CANARY"));
        headers
    };
    let plain = sent(Anthropic::new()).await;
    assert_eq!(
        (&plain["x-api-key"], &plain["anthropic-version"]),
        (&"sk-ant-CANARY".parse().unwrap(), &"2023-06-01".parse().unwrap())
    );
    assert!(!plain.contains_key("authorization") && !plain.contains_key("anthropic-beta"));
    let other = sent(Anthropic::new().with_bearer(true).with_betas(&["a-1", "b-2"]).unwrap()).await;
    assert_eq!(
        (&other["authorization"], &other["anthropic-beta"]),
        (&"Bearer sk-ant-CANARY".parse().unwrap(), &"a-1,b-2".parse().unwrap())
    );
    assert!(!other.contains_key("x-api-key"));
    assert_eq!(Anthropic::new().with_betas(&["a\nb"]).unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_list_of_models_is_read_page_by_page() {
    let adapter = Anthropic::new();
    let first = r#"{"data":[{"type":"model","id":"claude-a","display_name":"A","created_at":"2026-07-24T00:00:00Z",
        "max_input_tokens":1000000,"max_tokens":128000,"capabilities":{"image_input":{"supported":true},
        "thinking":{"supported":false}}},{"type":"model","id":"claude-b","created_at":"1970-01-01T00:00:00Z"}],
        "has_more":true,"first_id":"claude-a","last_id":"claude-b"}"#;
    let page = adapter.models(first).unwrap();
    assert_eq!(page.next.as_deref(), Some("claude-b"));
    let [a, b] = page.models.as_slice() else { panic!("two models") };
    assert_eq!(
        (a.context_window, a.output_limit, a.created),
        (Some(1_000_000), Some(128_000), Some(1_784_851_200))
    );
    assert_eq!((a.images, a.reasoning, a.tools), (Some(true), Some(false), None));
    assert_eq!((b.context_window, b.output_limit, b.created, b.images), (None, None, None, None));
    assert_eq!(adapter.models_path(None).unwrap(), "/models?limit=1000");
    assert_eq!(adapter.models_path(Some("a/b")).unwrap(), "/models?limit=1000&after_id=a%2Fb");
    let last = adapter.models(r#"{"data":[],"has_more":false,"last_id":"claude-b"}"#).unwrap();
    assert_eq!(last.next, None);
    assert_eq!(
        adapter.models(r#"{"type":"error","error":{"type":"overloaded_error"}}"#).unwrap_err().kind(),
        ErrorKind::Overloaded
    );
    assert_eq!(adapter.models("<html>").unwrap_err().kind(), ErrorKind::Decode);
}

/// Against a server that is there: `AICHAT_MESSAGES_URL`, up to its version, and `AICHAT_MESSAGES_MODEL` of it.
#[tokio::test]
async fn a_real_server_answers() {
    let (Ok(url), Ok(model)) = (std::env::var("AICHAT_MESSAGES_URL"), std::env::var("AICHAT_MESSAGES_MODEL"))
    else {
        return eprintln!("skipped: no AICHAT_MESSAGES_URL and AICHAT_MESSAGES_MODEL");
    };
    let at = Endpoint::new("here", url, Arc::new(Http::new())).with_key("none".to_owned().into());
    let here = Driver::new(at, Anthropic::new()).unwrap();
    let models = here.models().await.unwrap();
    eprintln!("models: {:?}", models.iter().map(|model| &model.id).collect::<Vec<_>>());
    let mut messages = vec![Message::system("Be brief."), Message::user("What is your name?")];
    for stream in [true, false, true] {
        let mut request = Request { stream, ..Request::new(&model, messages.clone()) };
        request.options.max_tokens = Some(24);
        request.options.stop = vec!["\n\n".to_owned(), "###".to_owned()];
        let call = here.prepare(request).unwrap();
        eprintln!("warned: {:?}", call.warnings);
        let (mut deltas, mut fold) = (here.stream(call).await.unwrap(), Fold::new());
        while let Some(delta) = deltas.next().await {
            fold.apply(&delta.unwrap());
        }
        eprintln!("stream {stream}: {:?} {:?} {:?}", fold.message().text(), fold.usage(), fold.finish());
        assert!(!fold.message().text().is_empty() && fold.finish().is_some());
        assert!(fold.usage().unwrap().output_tokens.is_some_and(|tokens| (1..=24).contains(&tokens)));
        let origin = Some(here.info().origin(&model, fold.started()));
        messages.extend([Message { origin, ..fold.message() }, Message::user("And what can you do?")]);
    }
}
