//! The Responses protocol: how recorded requests are read back, what goes back of an answer, what servers do that
//! a client must survive, and a real one.

use std::path::Path;
use std::sync::Arc;

use aichat_message::{
    ErrorKind, FinishReason, Fold, Json, Message, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Role,
    Usage,
};
use aichat_providers::{
    Driver, Endpoint, Error, Http, OpenaiResponses, Provider, Request, ResponsesProfile, Transport,
};
use serde_json::{Value, json};

use crate::canned::{Canned, play};
use crate::followups::{Writing, each, remove_if};
use crate::openai_responses_requests::{said, tool};
use crate::recordings::{Recording, fixtures, in_folder, own, provider, spoken};

pub(crate) fn responses(profile: &str, transport: Arc<dyn Transport>) -> Box<dyn Provider> {
    provider(transport, OpenaiResponses::new(ResponsesProfile::named(profile).unwrap()))
}

pub(crate) const WRITING: Writing = Writing {
    protocol: "openai-responses",
    folders: &[
        ("openai-responses", |transport| responses("openai", transport)),
        ("xai-responses", |transport| responses("xai", transport)),
    ],
    list: "input",
    fields: &["tools"],
    head: |_| Vec::new(),
    tools: |body| {
        let tools = body["tools"].as_array().into_iter().flatten();
        let functions = tools.filter(|tool| tool["type"] == json!("function"));
        functions.map(|tool| serde_json::from_value(tool.clone()).unwrap()).collect()
    },
    read: read_item,
    is_answer: |entry| {
        !["system", "developer", "user"].map(Value::from).contains(&entry["role"])
            && !entry["type"].as_str().is_some_and(|kind| kind.ends_with("_output"))
    },
    alike: &[
        ("what is the default need not be said", |body| {
            each(body, "input", |item| remove_if(item, "type", &json!("message")));
            each(body, "tools", |tool| remove_if(tool, "strict", &json!(null)));
            remove_if(body, "stream", &json!(false));
        }),
        ("a list of one text is that text", |body| {
            each(body, "input", |item| {
                if let Some([part]) = item["content"].as_array().map(Vec::as_slice)
                    && ["input_text", "output_text"].map(Value::from).contains(&part["type"])
                {
                    item["content"] = part["text"].clone();
                }
            });
        }),
        ("the recorded client let the provider keep the answer, or did not ask for its reasoning", |body| {
            remove_if(body, "store", &json!(false));
            remove_if(body, "include", &json!(["reasoning.encrypted_content"]));
        }),
        (
            "the recorded client left out ids, states and phases of messages and calls, which we keep",
            |body| {
                each(body, "input", |item| {
                    for name in ["id", "status", "phase"] {
                        if item["type"] != json!("reasoning") || name == "status" {
                            item.as_object_mut().unwrap().remove(name);
                        }
                    }
                });
            },
        ),
        ("the recorded client wrote arguments anew, where we keep their bytes", |body| {
            each(body, "input", |item| {
                if let Some(text) = item["arguments"].as_str() {
                    item["arguments"] = serde_json::from_str(text).unwrap();
                }
            });
        }),
        ("tools of the provider are passed through, which a test of its own shows", |body| {
            let tools = body.get_mut("tools").and_then(Value::as_array_mut);
            let empty = tools.is_some_and(|tools| {
                tools.retain(|tool| tool["type"] == json!("function"));
                tools.is_empty()
            });
            if empty {
                body.as_object_mut().unwrap().remove("tools");
            }
        }),
        ("with previous_response_id the recorded client sent none of the answers", |body| {
            if body["previous_response_id"].is_string() {
                let items = body["input"].as_array_mut().unwrap();
                items.retain(|item| item["role"] != json!("assistant"));
            }
        }),
    ],
};

fn read_item(entry: &Value) -> Message {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = entry["id"].as_str().map(str::to_owned);
    let (role, parts) = match entry["type"].as_str().unwrap_or("message") {
        "message" => {
            let role = match entry["role"].as_str().unwrap() {
                "system" => Role::System,
                "developer" => Role::Developer,
                "assistant" => Role::Assistant,
                _ => Role::User,
            };
            let parts = match &entry["content"] {
                Value::String(text) => vec![Part::text(text)],
                list => {
                    let list = list.as_array().unwrap().iter();
                    list.map(|part| Part::text(part["text"].as_str().unwrap())).collect()
                }
            };
            (role, parts)
        }
        "reasoning" => {
            let summary = entry["summary"].as_array().unwrap().iter();
            let blocks = summary.map(|block| ReasoningBlock::Summary(text(&block["text"]))).collect();
            let opaque = entry["encrypted_content"].as_str().map(|data| Opaque {
                provider: "test".to_owned(),
                kind: OpaqueKind::EncryptedContent,
                data: data.to_owned(),
            });
            let opaque = opaque.into_iter().collect();
            (Role::Assistant, vec![Part { opaque, ..Part::new(PartKind::Reasoning { blocks }) }])
        }
        "function_call" => {
            let (call_id, name) = (text(&entry["call_id"]), text(&entry["name"]));
            (Role::Assistant, vec![Part::tool_call(call_id, name, text(&entry["arguments"]))])
        }
        "function_call_output" => {
            (Role::Tool, vec![Part::tool_result(text(&entry["call_id"]), text(&entry["output"]))])
        }
        other => {
            let raw = Json::from_value(entry).unwrap();
            (Role::Assistant, vec![Part::new(PartKind::Unknown { type_name: other.to_owned(), raw })])
        }
    };
    let parts = parts.into_iter().map(|part| Part { id: id.clone(), ..part }).collect();
    Message::new(role, parts)
}

fn recordings() -> Vec<Recording> {
    let spoken = spoken("openai-responses");
    let mut all = in_folder(spoken, &own().join("openai-responses"));
    if let Some(root) = fixtures() {
        for folder in ["openai", "openrouter", "xai", "lmstudio", "azure"] {
            all.extend(in_folder(spoken, &root.join(Path::new(&format!("{folder}-responses")))));
        }
    }
    all.retain(|recording| !recording.holds_several_answers());
    all
}

/// Returns the type of the item that a part came from.
fn item_type(part: &Part) -> &str {
    match &part.kind {
        PartKind::Text { .. } | PartKind::Refusal { .. } => "message",
        PartKind::Reasoning { .. } => "reasoning",
        PartKind::ToolCall { .. } if part.extra.get("type").is_some() => "custom_tool_call",
        PartKind::ToolCall { .. } => "function_call",
        PartKind::Media { .. } => "image_generation_call",
        PartKind::Unknown { type_name, .. } => type_name,
        _ => "?",
    }
}

/// Returns the parts by the items they came from.
fn items(message: &Message) -> Vec<&[Part]> {
    message.parts.chunk_by(|a, b| a.id.is_some() && a.id == b.id).collect()
}

#[tokio::test]
async fn items_keep_their_order_ids_and_fields() {
    let mut wrong = Vec::new();
    for recording in recordings() {
        let (fold, error) = play(&*responses("generic", Arc::new(recording.canned()))).await;
        let message =
            error.as_ref().map_or_else(|| fold.message(), |e| e.partial().cloned().unwrap_or(fold.message()));
        let expect = &recording.data["expect"];
        let mut check = |what: &str, got: Value, want: &Value| {
            if !want.is_null() && got != *want {
                wrong.push(format!("{}: {what}: got {got}, want {want}", recording.name));
            }
        };
        let items = items(&message);
        let kinds: Vec<_> = items.iter().map(|parts| item_type(&parts[0])).collect();
        check("order", json!(kinds), &expect["block_order"]);
        let of = |kind: &'static str| {
            items.iter().filter(move |parts| item_type(&parts[0]) == kind).map(|parts| &parts[0])
        };
        let ids: Vec<_> = of("reasoning").map(|part| part.id.clone()).collect();
        let want: Vec<_> = expect["reasoning"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
        check("reasoning ids", json!(ids), &json!(want));
        let phases: Vec<_> =
            of("message").filter_map(|part| part.extra.get("phase")?.to::<String>().ok()).collect();
        check("phases", json!(phases), &expect["phases"]);
        let server = |part: &&Part| {
            !["message", "reasoning", "function_call", "custom_tool_call"].contains(&item_type(part))
        };
        let server: Vec<_> = message.parts.iter().filter(server).collect();
        let ids: Vec<_> = server.iter().map(|part| (item_type(part), part.id.clone().unwrap())).collect();
        for want in expect["server_tool_calls"].as_array().into_iter().flatten() {
            let known = ids.iter().any(|(kind, id)| want["type"] == json!(kind) && want["id"] == json!(id));
            check("server tool call", json!(known), &json!(true));
        }
        for want in expect["other_blocks"].as_array().into_iter().flatten() {
            check("other item", json!(kinds.iter().any(|kind| want == kind)), &json!(true));
        }
        let annotations = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::Text { annotations, .. } => Some(annotations),
            _ => None,
        });
        let annotations: Vec<Value> = annotations.flatten().map(|a| a.to().unwrap()).collect();
        check("citations", json!(annotations), &expect["citations"]);
        check("response id", json!(fold.started().response_id), &expect["response_id"]);
        let reason = fold.finish().map(|finish| finish.reason);
        if expect["finish_detail"] == json!("max_output_tokens") {
            check("reason", json!(reason), &json!(FinishReason::Length));
        }
        for want in expect["tool_calls"].as_array().into_iter().flatten() {
            let known = message.parts.iter().any(|part| part.id.as_deref() == want["item_id"].as_str());
            check("id of a call's item", json!(known), &json!(true));
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the items that an answer consists of, as its body gives them.
fn output(recording: &Recording) -> Vec<Value> {
    let body = String::from_utf8(recording.canned().chunks.concat()).unwrap();
    let events =
        body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok());
    let (mut done, mut last) = (Vec::new(), serde_json::from_str(&body).unwrap_or(Value::Null));
    for event in events {
        match event["type"].as_str() {
            Some("response.output_item.done") => {
                done.push((event["output_index"].as_u64(), event["item"].clone()))
            }
            Some("response.completed" | "response.incomplete") => last = event["response"].clone(),
            _ => {}
        }
    }
    let all = last["output"].as_array().cloned().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    let mut items: Vec<_> = done.into_iter().map(|(_, item)| item).collect();
    items.extend(all.into_iter().skip(items.len()));
    items
}

/// Leaves out of an item what says nothing.
fn plain(item: &mut Value) {
    match item {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let empty = *value == json!([]) && ["annotations", "content"].contains(&name.as_str());
                // No arguments at all are an empty object.
                if name == "arguments" && *value == json!("") {
                    *value = json!("{}");
                }
                !value.is_null() && !empty && name != "logprobs"
            });
            fields.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

#[tokio::test]
async fn what_was_read_goes_back_as_it_was() {
    let mut seen = 0;
    for recording in recordings() {
        let provider = responses("generic", Arc::new(recording.canned()));
        let (fold, error) = play(&*provider).await;
        if error.is_some() {
            continue;
        }
        let message = said("test", fold.message());
        let calls = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { call_id, .. } => Some(Part::tool_result(call_id, "ok")),
            _ => None,
        });
        let results = calls.collect();
        let request = Request::new("m", vec![message, Message::new(Role::Tool, results)]);
        let body: Value = serde_json::from_slice(&provider.prepare(request).unwrap().body).unwrap();
        let mut sent = body["input"].as_array().unwrap().clone();
        sent.retain(|item| !item["type"].as_str().unwrap().ends_with("tool_call_output"));
        sent.retain(|item| item["type"] != json!("function_call_output"));
        let mut want = output(&recording);
        sent.iter_mut().chain(&mut want).for_each(plain);
        assert_eq!(json!(sent), json!(want), "{}", recording.name);
        seen += want.len();
    }
    assert!(seen >= 15, "{seen} items were compared");
}

#[tokio::test]
async fn of_several_answers_in_one_body_each_is_one() {
    let Some(root) = fixtures() else { return eprintln!("skipped: no folder of recordings") };
    for folder in ["openai-responses", "azure-responses"] {
        let all = in_folder(spoken("openai-responses"), &root.join(folder));
        let recording = all.iter().find(|recording| recording.holds_several_answers()).unwrap();
        let body = String::from_utf8(recording.canned().chunks.concat()).unwrap();
        let mut answers: Vec<String> = Vec::new();
        for event in body.split_inclusive("\n\n") {
            if event.contains(r#""type":"response.created""#) {
                answers.push(String::new());
            }
            answers.last_mut().unwrap().push_str(event);
        }
        assert_eq!(answers.len(), 4);
        let mut last = None;
        for answer in &answers {
            let canned = Canned::new(200, "text/event-stream", answer.clone());
            let (fold, error) = play(&*responses("openai", Arc::new(canned))).await;
            assert!(error.is_none(), "{error:?}");
            last = Some(fold);
        }
        let (first, error) = play(&*responses("openai", Arc::new(recording.canned()))).await;
        assert!(error.is_none(), "{error:?}");
        let sealed: Vec<_> = first.message().parts.iter().flat_map(|part| part.opaque.clone()).collect();
        let done = answers[0]
            .lines()
            .find(|line| line.starts_with("data") && line.contains("output_item.done"))
            .unwrap();
        assert!(sealed.len() == 1 && done.contains(&sealed[0].data), "{sealed:?}");
        let (last, expect) = (last.unwrap(), &recording.data["expect"]);
        assert_eq!(json!(last.message().text()), expect["text"]);
        assert_eq!(json!(last.started().response_id), expect["response_id"]);
        let raw = last.usage().unwrap().raw.as_ref().unwrap().to::<Value>().unwrap();
        assert_eq!(raw, expect["usage"]);
    }
}

async fn read(events: &[&str]) -> (Fold, Option<Error>) {
    play(&*responses("generic", Arc::new(Canned::sse(events)))).await
}

const DONE: &str = r#"{"type":"response.completed","response":{"id":"r","status":"completed"}}"#;

#[tokio::test]
async fn an_error_in_an_accepted_answer_is_an_error_wherever_it_stands() {
    let text = r#"{"type":"response.output_text.delta","output_index":0,"delta":"half"}"#;
    let call = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a"}}"#;
    for (shape, kind, code) in [
        (r#"{"type":"error","code":null,"message":"no","param":null}"#, ErrorKind::Server, None),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"no"}}"#,
            ErrorKind::RateLimited,
            Some("rate_limit_exceeded"),
        ),
        (r#"{"error":{"message":"no","code":503}}"#, ErrorKind::Overloaded, Some("503")),
        (r#"{"object":"error","message":"no","code":400}"#, ErrorKind::InvalidRequest, Some("400")),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"invalid_prompt","message":"no"}}}"#,
            ErrorKind::InvalidRequest,
            Some("invalid_prompt"),
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"bio_policy","message":"no"}}}"#,
            ErrorKind::ContentFiltered,
            Some("bio_policy"),
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"image_file_not_found","message":"no"}}}"#,
            ErrorKind::InvalidRequest,
            Some("image_file_not_found"),
        ),
        (
            r#"{"type":"response.completed","response":{"status":"failed","error":{"code":"vector_store_timeout","message":"no"}}}"#,
            ErrorKind::Timeout,
            Some("vector_store_timeout"),
        ),
    ] {
        for before in [&[][..], &[text], &[call]] {
            let (fold, error) = read(&[before, &[shape, DONE]].concat()).await;
            let error = error.unwrap_or_else(|| panic!("{shape}: {fold:?}"));
            assert_eq!((error.kind(), error.code(), error.message()), (kind, code, "no"), "{shape}");
            assert_eq!(error.partial().is_some(), !before.is_empty(), "{shape}");
        }
    }
    let (_, error) =
        read(&[r#"{"type":"response.failed","response":{"status":"failed","error":null}}"#]).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Server);
    let (_, error) = read(&[r#"{"type":"response.cancelled","response":{"status":"cancelled"}}"#]).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn only_a_terminal_event_ends_an_answer() {
    let text = r#"{"type":"response.output_text.delta","output_index":0,"delta":"half"}"#;
    for last in ["[DONE]", r#"{"type":"response.in_progress","response":{"id":"r","status":"completed"}}"#] {
        let (_, error) = read(&[text, last]).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.partial().unwrap().text().as_str()), (ErrorKind::Truncated, "half"));
    }
    let (fold, error) = read(&[text, DONE, text, r#"{"error":"late"}"#]).await;
    assert!(error.is_none() && fold.message().text() == "half");
    let whole = r#"{"id":"r","object":"response","status":"in_progress","output":[],"background":true}"#;
    let (_, error) = play(&*responses("openai", Arc::new(Canned::new(200, "application/json", whole)))).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Truncated);
}

#[tokio::test]
async fn what_a_server_leaves_out_or_makes_up_is_survived() {
    let (fold, error) = read(&[
        r#"{"type":"response.created"}"#,
        r#"{"type":"response.output_item.added","item":null}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c","name":"f","arguments":{"a": 1}}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","call_id":"d","name":"g","arguments":"{\"cut"}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"message","role":"assistant","content":"plain"}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"message","content":null}}"#,
        r#"{"type":"response.output_item.done","item":"nonsense"}"#,
        r#"{"type":"response.brand_new.delta","delta":{"x":[]},"output_index":"zero"}"#,
        r#"{"type":"response.completed","response":{"status":"splendid","usage":{},"output":null}}"#,
    ])
    .await;
    assert!(error.is_none(), "{error:?}");
    let message = fold.message();
    let arguments = message.parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall { arguments, .. } => Some(arguments.as_str()),
        _ => None,
    });
    assert_eq!(arguments.collect::<Vec<_>>(), [r#"{"a": 1}"#, "{\"cut"]);
    assert_eq!((message.text().as_str(), fold.usage()), ("plain", None));
    let finish = fold.finish().unwrap();
    assert_eq!((finish.reason, finish.raw.as_deref()), (FinishReason::Other, Some("splendid")));
}

#[tokio::test]
async fn a_text_that_is_repeated_otherwise_is_replaced() {
    let (fold, _) = read(&[
        r#"{"type":"response.output_text.delta","output_index":0,"item_id":"m","delta":"draft"}"#,
        r#"{"type":"response.output_text.delta","output_index":1,"item_id":"n","delta":"kept"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"m","type":"message","content":[{"type":"output_text","text":"final"}]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"id":"n","type":"message","content":[{"type":"output_text","text":""}]}}"#,
        DONE,
    ])
    .await;
    assert_eq!(fold.message().text(), "finalkept");
}

#[tokio::test]
async fn events_are_told_apart_by_ids_where_there_are_no_indexes() {
    let (fold, error) = read(&[
        r#"{"type":"response.output_item.added","item":{"type":"function_call","id":"f","call_id":"c","name":"f","arguments":""}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"message","id":"m","content":[]}}"#,
        r#"{"type":"response.output_text.delta","item_id":"m","delta":"one "}"#,
        r#"{"type":"response.function_call_arguments.delta","item_id":"f","delta":"{}"}"#,
        r#"{"type":"response.output_text.delta","item_id":"m","delta":"two"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","id":"f","call_id":"c","name":"f","arguments":"{}"}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"message","id":"m","content":[{"type":"output_text","text":"one two"}]}}"#,
        DONE,
    ])
    .await;
    assert!(error.is_none(), "{error:?}");
    let message = fold.message();
    assert_eq!((message.text().as_str(), message.parts.len()), ("one two", 2));
    let PartKind::ToolCall { arguments, .. } = &message.parts[0].kind else { panic!("{message:?}") };
    assert_eq!(arguments.as_str(), "{}");
}

#[tokio::test]
async fn a_call_without_an_item_id_is_one_call() {
    let call =
        |n: u8| format!(r#"{{"type":"function_call","call_id":"c{n}","name":"f{n}","arguments":"{{}}"}}"#);
    let event = |kind: &str, item: &str| format!(r#"{{"type":"response.output_item.{kind}","item":{item}}}"#);
    let end = |output: &[&str]| {
        let output = output.join(",");
        format!(r#"{{"type":"response.completed","response":{{"status":"completed","output":[{output}]}}}}"#)
    };
    let calls = |fold: &Fold| -> Vec<String> {
        let message = fold.message();
        let parts = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { call_id, name, .. } => Some(format!("{call_id} {name}")),
            _ => None,
        });
        parts.collect()
    };
    let text = r#"{"type":"message","content":[{"type":"output_text","text":"so"}]}"#;
    let (one, two) = (call(1), call(2));
    for before in [&[][..], &[text]] {
        for told in [&[one.as_str()][..], &[&one, &two]] {
            let items = [before, told].concat();
            let ended = items.iter().map(|item| event("done", item));
            for told in [
                items.iter().map(|item| event("added", item)).chain(ended.clone()).collect::<Vec<_>>(),
                ended.clone().rev().collect(),
                Vec::new(),
            ] {
                let events: Vec<_> = told.into_iter().chain([end(&items)]).collect();
                let (fold, error) = read(&events.iter().map(String::as_str).collect::<Vec<_>>()).await;
                assert!(error.is_none(), "{error:?}");
                let mut calls = calls(&fold);
                calls.sort();
                let want = ["c1 f1", "c2 f2"];
                assert_eq!(calls, want[..items.len() - before.len()], "{events:?}");
                assert_eq!(fold.message().text().len(), 2 * before.len(), "{events:?}");
            }
        }
    }
    // One of which only the last event tells is new.
    let (fold, _) = read(&[&event("added", &one), &event("done", &one), &end(&[&one, &two])]).await;
    assert_eq!(calls(&fold), ["c1 f1", "c2 f2"]);
}

#[tokio::test]
async fn why_an_answer_ended() {
    let refusal = r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{"}"#;
    for (status, details, output, want) in [
        ("completed", "null", "", FinishReason::Stop),
        ("completed", "null", refusal, FinishReason::Refusal),
        ("completed", "null", call, FinishReason::ToolCalls),
        ("incomplete", r#"{"reason":"max_output_tokens"}"#, call, FinishReason::Length),
        ("incomplete", r#"{"reason":"content_filter"}"#, "", FinishReason::ContentFilter),
        ("incomplete", r#"{"reason":"boredom"}"#, "", FinishReason::Other),
        ("incomplete", "null", "", FinishReason::Other),
    ] {
        let response =
            format!(r#"{{"status":"{status}","incomplete_details":{details},"output":[{output}]}}"#);
        let last = format!(r#"{{"type":"response.{status}","response":{response}}}"#);
        let streamed = read(&[&last]).await.0;
        let whole = Canned::new(200, "application/json", response);
        let (whole, _) = play(&*responses("generic", Arc::new(whole))).await;
        for fold in [streamed, whole] {
            let finish = fold.finish().unwrap();
            assert_eq!((finish.reason, finish.raw.as_deref()), (want, Some(status)), "{last}");
        }
    }
}

#[tokio::test]
async fn counts_that_are_not_given_are_unknown() {
    let usage = |usage: &str| {
        let last =
            format!(r#"{{"type":"response.completed","response":{{"status":"completed","usage":{usage}}}}}"#);
        async move { read(&[&last]).await.0.usage().cloned() }
    };
    for none in ["null", "{}", "[]", r#""many""#] {
        assert_eq!(usage(none).await, None, "{none}");
    }
    let told = usage(
        r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":9},"output_tokens_details":null}"#,
    );
    let told = told.await.unwrap();
    let want = Usage {
        input_tokens: Some(5),
        cache_read_tokens: Some(9),
        raw: told.raw.clone(),
        ..Usage::default()
    };
    assert_eq!(told, want);
    assert_eq!(told.disjoint().input, Some(0));
}

/// Talks to a real server: `AICHAT_LIVE_RESPONSES` is its base address, `AICHAT_LIVE_MODEL` a model.
#[tokio::test]
async fn a_real_server_answers() {
    let Ok(base) = std::env::var("AICHAT_LIVE_RESPONSES") else {
        return eprintln!("skipped: AICHAT_LIVE_RESPONSES is not set");
    };
    let model = std::env::var("AICHAT_LIVE_MODEL").unwrap_or_else(|_| "m".to_owned());
    let key = std::env::var("AICHAT_LIVE_KEY").unwrap_or_else(|_| "none".to_owned());
    let endpoint = Endpoint::new("live", base, Arc::new(Http::new())).with_key(key.into());
    let profile = std::env::var("AICHAT_LIVE_PROFILE").unwrap_or_else(|_| "generic".to_owned());
    let profile = ResponsesProfile::named(&profile).unwrap();
    let provider = Driver::new(endpoint, OpenaiResponses::new(profile)).unwrap();
    eprintln!("models: {:?}", provider.models().await.map(|models| models.len()));
    let mut messages = vec![Message::system("Be brief.")];
    let questions = ["hello", "What is the weather in Paris and Rome?", "think about it"];
    for (question, stream) in questions.into_iter().zip([true, true, false]) {
        messages.push(Message::user(question));
        loop {
            let mut request = Request::new(&model, messages.clone());
            (request.stream, request.tools) = (stream, vec![tool("get_weather", None)]);
            request.options.max_tokens = Some(32);
            let call = provider.prepare(request).unwrap();
            eprintln!("sent: {} {:?}", String::from_utf8_lossy(&call.body), call.warnings);
            let mut fold = Fold::new();
            let mut deltas = provider.stream(call).await.unwrap();
            while let Some(delta) = futures::StreamExt::next(&mut deltas).await {
                fold.apply(&delta.unwrap());
            }
            eprintln!("got: {:?} {:?} {:?}", fold.message(), fold.usage(), fold.finish());
            messages.push(said("live", fold.message()));
            let calls = fold.message().parts.into_iter().filter_map(|part| match part.kind {
                PartKind::ToolCall { call_id, .. } => Some(Part::tool_result(call_id, "sunny")),
                _ => None,
            });
            let results: Vec<_> = calls.collect();
            if results.is_empty() {
                break;
            }
            assert_eq!(fold.finish().unwrap().reason, FinishReason::ToolCalls);
            messages.push(Message::new(Role::Tool, results));
        }
    }
}
