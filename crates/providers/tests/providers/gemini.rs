//! Google Gemini: how recorded requests are read back, and what servers do.

use std::sync::Arc;

use aichat_message::{
    ErrorKind, FinishReason, MediaKind, Message, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Role,
    Source,
};
use aichat_providers::{Driver, Endpoint, Fault, Gemini, Plan, Provider, Request};
use serde_json::{Value, json};

use crate::canned::{Canned, driver, play};
use crate::followups::{Writing, each, remove_if};
use crate::gemini_requests::hi;
use crate::recordings::{Recording, chats, provider};

pub(crate) const WRITING: Writing = Writing {
    protocol: "gemini",
    folders: &[("gemini-generate", |transport| provider(transport, Gemini::new()))],
    list: "contents",
    fields: &["systemInstruction", "tools"],
    head: |body| {
        let text = |part: &Value| part["text"].as_str().map(Message::system);
        let parts = &body["systemInstruction"]["parts"];
        text(parts).into_iter().chain(parts.as_array().into_iter().flatten().filter_map(text)).collect()
    },
    tools: |body| {
        let functions =
            body["tools"].as_array().into_iter().flatten().map(|tool| &tool["functionDeclarations"]);
        let functions = functions.flat_map(|list| list.as_array().into_iter().flatten());
        functions.map(|function| serde_json::from_value(function.clone()).unwrap()).collect()
    },
    read: read_content,
    is_answer: |entry| entry["role"] == json!("model"),
    alike: &[
        ("what is null, or the default, need not be said", |body| {
            body.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != json!({}));
            each(body, "contents", |content| {
                each(content, "parts", |part| remove_if(part, "thought", &json!(false)));
            });
            if let Some(system) = body.get_mut("systemInstruction") {
                remove_if(system, "role", &json!("model"));
                each(system, "parts", |part| remove_if(part, "thought", &json!(false)));
                if system["parts"].is_object() {
                    system["parts"] = json!([system["parts"]]);
                }
            }
        }),
        ("names are spelled in two ways", |body| {
            each(body, "contents", |content| {
                each(content, "parts", |part| {
                    for (old, new) in
                        [("function_call", FUNCTION_CALL), ("function_response", FUNCTION_RESPONSE)]
                    {
                        if let Some(value) = part.as_object_mut().unwrap().remove(old) {
                            part[new] = value;
                        }
                    }
                });
            });
        }),
        ("an empty text says nothing", |body| {
            each(body, "contents", |content| {
                content["parts"].as_array_mut().unwrap().retain(|part| *part != json!({"text": ""}));
            });
        }),
        ("what a function takes is said in JSON Schema, or in a subset of it", |body| {
            each(body, "tools", |tool| {
                each(tool, "functionDeclarations", |function| {
                    if let Some(schema) = function.as_object_mut().unwrap().remove("parametersJsonSchema") {
                        function["parameters"] = schema;
                    }
                });
            });
        }),
        ("tools of the provider itself are no part of a request's tools", |body| {
            let Some(tools) = body.get_mut("tools").and_then(Value::as_array_mut) else { return };
            tools.iter_mut().for_each(|tool| remove_if(tool, "codeExecution", &json!(null)));
            tools.retain(|tool| tool.get("functionDeclarations").is_some());
            remove_if(body, "tools", &json!([]));
        }),
        ("a result is text under one name", |body| {
            each(body, "contents", |content| {
                each(content, "parts", |part| {
                    if let Some(result) = part.get_mut(FUNCTION_RESPONSE) {
                        result["response"] = json!({"result": result_text(&result["response"])});
                    }
                });
            });
        }),
        ("the recorded client dropped code and its results, which we keep", |body| {
            each(body, "contents", |content| {
                let ran = ["executableCode", "codeExecutionResult"];
                let is_ran = |part: &Value| ran.iter().any(|name| part.get(name).is_some());
                content["parts"].as_array_mut().unwrap().retain(|part| !is_ran(part));
            });
        }),
        ("the recorded client moved the signature of a text to the thought before it, or lost it", |body| {
            each(body, "contents", |content| {
                let parts = content["parts"].as_array_mut().unwrap();
                for at in 0..parts.len() {
                    let is_text = parts[at].get("text").is_some() && parts[at]["thought"] != json!(true);
                    let Some(signature) = parts[at]
                        .as_object_mut()
                        .filter(|_| is_text)
                        .and_then(|part| part.remove("thoughtSignature"))
                    else {
                        continue;
                    };
                    if at > 0 && parts[at - 1]["thought"] == json!(true) {
                        parts[at - 1]["thoughtSignature"] = signature;
                    }
                }
            });
        }),
    ],
};

const FUNCTION_CALL: &str = "functionCall";
pub(crate) const FUNCTION_RESPONSE: &str = "functionResponse";

/// Returns the text of a result, under whichever name a client put it.
fn result_text(response: &Value) -> String {
    let value = ["result", "output"].iter().find_map(|name| response.get(name)).unwrap_or(response);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn read_content(content: &Value) -> Message {
    let is_answer = content["role"] == json!("model");
    let (mut parts, mut role) = (Vec::new(), if is_answer { Role::Assistant } else { Role::User });
    for part in content["parts"].as_array().unwrap() {
        let field = |names: [&str; 2]| names.iter().find_map(|name| part.get(name));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut read = if let Some(call) = field([FUNCTION_CALL, "function_call"]) {
            Part::tool_call(text(&call["id"]), text(&call["name"]), call["args"].to_string())
        } else if let Some(result) = field([FUNCTION_RESPONSE, "function_response"]) {
            role = Role::Tool;
            Part::tool_result(text(&result["id"]), result_text(&result["response"]))
        } else if let Some(data) = part.get("inlineData") {
            media(MediaKind::File, Source::Base64(text(&data["data"])), Some(&text(&data["mimeType"])))
        } else if part["thought"] == json!(true) {
            thought(part["text"].as_str().unwrap())
        } else {
            Part::text(part["text"].as_str().unwrap())
        };
        if let Some(data) = part["thoughtSignature"].as_str() {
            read.opaque.push(signature("test", data));
        }
        parts.push(read);
    }
    Message::new(role, parts)
}

pub(crate) fn thought(text: &str) -> Part {
    Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Summary(text.to_owned())] })
}

pub(crate) fn signature(provider: &str, data: &str) -> Opaque {
    Opaque { provider: provider.to_owned(), kind: OpaqueKind::ThoughtSignature, data: data.to_owned() }
}

pub(crate) fn media(media: MediaKind, source: Source, mime: Option<&str>) -> Part {
    Part::new(PartKind::Media { media, source, mime: mime.map(str::to_owned), name: None })
}

/// Returns the parts that a recorded answer holds, with texts that only the stream cut made whole again, or
/// nothing where arguments came in pieces.
fn recorded_parts(recording: &Recording) -> Option<Vec<Value>> {
    let text = std::str::from_utf8(&recording.body).unwrap().replace('\r', "\n");
    let elements: Vec<Value> = match serde_json::from_str(&text) {
        Ok(Value::Array(all)) => all,
        Ok(one) => vec![one],
        Err(_) => {
            let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
            data.filter(|data| !["", "[DONE]"].contains(&data.trim()))
                .map(|data| serde_json::from_str(data).unwrap())
                .collect()
        }
    };
    let mut all: Vec<Value> = Vec::new();
    for element in elements {
        let parts = element["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
        let mut begins = true;
        for part in parts.into_iter().filter(|part| *part != json!({"text": ""}) && *part != json!({})) {
            let call = &part[FUNCTION_CALL];
            if call["willContinue"] == json!(true) || call["partialArgs"].is_array() {
                return None;
            }
            let bare = |part: &Value| {
                let fields = part.as_object().unwrap();
                part["text"].is_string() && fields.keys().all(|name| name == "text" || name == "thought")
            };
            match all.last_mut() {
                Some(last) if begins && bare(last) && bare(&part) && last["thought"] == part["thought"] => {
                    let whole = [last["text"].as_str().unwrap(), part["text"].as_str().unwrap()].concat();
                    last["text"] = json!(whole);
                }
                _ => all.push(part),
            }
            begins = false;
        }
    }
    Some(all)
}

#[tokio::test]
async fn every_part_goes_back_in_its_place() {
    let (mut seen, mut signed) = (0, 0);
    for recording in chats().into_iter().filter(|recording| recording.data["api"] == json!("generate")) {
        if !recording.data["expect"]["error"].is_null() || recording.name.contains("snake") {
            continue;
        }
        let Some(mut want) = recorded_parts(&recording).filter(|parts| !parts.is_empty()) else { continue };
        let provider = provider(Arc::new(recording.canned()), Gemini::new());
        let (fold, error) = play(&*provider).await;
        assert!(error.is_none(), "{}: {error:?}", recording.name);
        let message = fold.message();
        let calls = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { call_id, .. } => Some(Part::tool_result(call_id.as_str(), "ok")),
            _ => None,
        });
        let results = Message::new(Role::Tool, calls.collect());
        let origin = provider.info().origin("gemini-2.5-flash", fold.started());
        let message = Message { origin: Some(origin), ..message };
        let messages = vec![Message::user("go"), message, results];
        let call = provider.prepare(Request::new("gemini-2.5-flash", messages)).unwrap();
        assert!(call.warnings.is_empty(), "{}: {:?}", recording.name, call.warnings);
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        for part in want.iter_mut().filter(|part| part[FUNCTION_CALL].is_object()) {
            let call = part[FUNCTION_CALL].as_object_mut().unwrap();
            call.entry("args").or_insert_with(|| json!({}));
        }
        assert_eq!(body["contents"][1]["parts"], json!(want), "{}", recording.name);
        seen += 1;
        signed += want.iter().filter(|part| part["thoughtSignature"].is_string()).count();
    }
    assert!(seen >= 5 && signed >= 5, "{seen} {signed}");
}

async fn played(body: impl Into<bytes::Bytes>) -> (aichat_message::Fold, Option<aichat_providers::Error>) {
    play(&driver(Arc::new(Canned::new(200, "text/event-stream", body)), Gemini::new())).await
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

#[tokio::test]
async fn ends_have_their_reasons() {
    let text = r#"{"text":"x"}"#;
    let call = r#"{"functionCall":{"name":"f","args":{}}}"#;
    for (part, word, reason) in [
        (text, "STOP", FinishReason::Stop),
        (call, "STOP", FinishReason::ToolCalls),
        (call, "FUNCTION_CALL", FinishReason::ToolCalls),
        (text, "MAX_TOKENS", FinishReason::Length),
        (call, "MAX_TOKENS", FinishReason::Length),
        (text, "SAFETY", FinishReason::ContentFilter),
        (text, "RECITATION", FinishReason::ContentFilter),
        (text, "BLOCKLIST", FinishReason::ContentFilter),
        (text, "PROHIBITED_CONTENT", FinishReason::ContentFilter),
        (text, "SPII", FinishReason::ContentFilter),
        (text, "IMAGE_SAFETY", FinishReason::ContentFilter),
        (text, "IMAGE_PROHIBITED_CONTENT", FinishReason::ContentFilter),
        (text, "IMAGE_RECITATION", FinishReason::ContentFilter),
        (text, "LANGUAGE", FinishReason::Other),
        (text, "OTHER", FinishReason::Other),
        (text, "NO_IMAGE", FinishReason::Other),
        (text, "IMAGE_OTHER", FinishReason::Other),
        (text, "MALFORMED_FUNCTION_CALL", FinishReason::Other),
        (text, "UNEXPECTED_TOOL_CALL", FinishReason::Other),
        (text, "TOO_MANY_TOOL_CALLS", FinishReason::Other),
        (text, "A_NEW_ONE", FinishReason::Other),
    ] {
        let last =
            format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"{word}"}}]}}"#);
        let (fold, error) = played(event(&last)).await;
        assert!(error.is_none(), "{word}: {error:?}");
        let finish = fold.finish().unwrap();
        assert_eq!((finish.reason, finish.raw.as_deref()), (reason, Some(word)));
    }
    for unsaid in ["\"\"", "null", "\"FINISH_REASON_UNSPECIFIED\""] {
        let last =
            format!(r#"{{"candidates":[{{"content":{{"parts":[{text}]}},"finishReason":{unsaid}}}]}}"#);
        let error = played(event(&last)).await.1.unwrap();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{unsaid}");
    }
}

#[tokio::test]
async fn a_blocked_question_is_an_answer_that_was_filtered() {
    let block = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let (fold, error) = played(event(block)).await;
    assert!(error.is_none(), "{error:?}");
    let finish = fold.finish().unwrap();
    assert_eq!((finish.reason, finish.raw.as_deref()), (FinishReason::ContentFilter, Some("SAFETY")));
    assert!(fold.message().parts.is_empty());
    assert_eq!(fold.usage().unwrap().input_tokens, Some(4));
    assert_eq!(
        fold.message().extra.get("response.promptFeedback").unwrap().get(),
        r#"{"blockReason":"SAFETY"}"#
    );
}

#[tokio::test]
async fn usage_is_what_was_said_and_nothing_else() {
    let counts = |usage: &'static str| async move {
        let usage = if usage.is_empty() { String::new() } else { format!(r#","usageMetadata":{usage}"#) };
        let (fold, _) =
            played(event(&format!(r#"{{"candidates":[{{"finishReason":"STOP"}}]{usage}}}"#))).await;
        fold.usage().map(|u| (u.input_tokens, u.output_tokens, u.cache_read_tokens, u.reasoning_tokens))
    };
    for nothing in ["", "null", "{}", "[]", "\"x\""] {
        assert_eq!(counts(nothing).await, None, "{nothing}");
    }
    assert_eq!(counts(r#"{"promptTokenCount":3}"#).await, Some((Some(3), None, None, None)));
    let more_cached = r#"{"promptTokenCount":3,"cachedContentTokenCount":9,"thoughtsTokenCount":2}"#;
    assert_eq!(counts(more_cached).await, Some((Some(3), Some(2), Some(9), Some(2))));
}

#[tokio::test]
async fn a_stream_of_one_array_that_is_cut_is_truncated() {
    let whole = r#"[{"candidates":[{"content":{"parts":[{"text":"half"}]}}]},{"candidates":[{"content":{"parts":[{"text":"!"}]},"finishReason":"STOP"}]}]"#;
    let end = whole.rfind('}').unwrap();
    for at in 1..end {
        let canned = Canned::new(200, "application/json; charset=UTF-8", whole[..at].to_owned());
        let error = play(&driver(Arc::new(canned), Gemini::new())).await.1.unwrap();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{at}");
        let partial = error.partial().map(Message::text).unwrap_or_default();
        assert_eq!(partial, if at >= whole.find(",{").unwrap() { "half" } else { &partial[..0] }, "{at}");
    }
}

#[tokio::test]
async fn some_models_say_stop_with_everything_they_say() {
    let said = |text: &str| {
        event(&format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP"}}]}}"#
        ))
    };
    let usage = event(r#"{"usageMetadata":{"promptTokenCount":2}}"#);
    let (fold, error) = played([said("a"), said("b"), usage].concat()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((fold.message().text(), fold.message().parts.len()), ("ab".to_owned(), 1));
    assert_eq!(fold.usage().unwrap().input_tokens, Some(2));
}

#[tokio::test]
async fn only_a_text_that_the_stream_cut_is_made_whole() {
    let all = [
        r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"c"},{"text":"d"}]},"finishReason":"STOP"}]}"#,
    ];
    let (fold, error) = played(all.map(event).concat()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(fold.message().parts, ["a", "bc", "d"].map(Part::text));
}

#[tokio::test]
async fn what_stands_beside_the_first_answer_is_named() {
    use aichat_message::Delta;
    use futures::StreamExt;
    let all = [
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"no"}]}},{"index":0,"content":{"parts":[{"text":"yes"}]}}]}"#,
        r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}}]}"#,
        r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["b"]},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"bad"}]}"#,
    ];
    let provider = driver(Arc::new(Canned::sse(&all)), Gemini::new());
    let mut stream = provider.stream(provider.prepare(hi("m")).unwrap()).await.unwrap();
    let (mut warnings, mut fold) = (Vec::new(), aichat_message::Fold::new());
    while let Some(delta) = stream.next().await {
        let delta = delta.unwrap();
        fold.apply(&delta);
        if let Delta::Warning(text) = delta {
            warnings.push(text);
        }
    }
    assert_eq!(fold.message().text(), "yes");
    assert_eq!(
        warnings,
        [
            "of several answers only the first is kept",
            "the model called a tool in a way that cannot be used: bad"
        ]
    );
    let extra = fold.message().extra;
    let extra: Vec<_> = extra.iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(
        extra,
        [
            r#"response.groundingMetadata {"webSearchQueries":["a"]}"#,
            r#"response.groundingMetadata.2 {"webSearchQueries":["b"]}"#,
            r#"response.finishMessage "bad""#,
        ]
    );
}

#[tokio::test]
async fn errors_are_told_apart() {
    let error = |code: u16, status: &str, message: &str, details: &str| {
        let error = format!(
            r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{details}]}}}}"#
        );
        (code, error)
    };
    let key = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}"#;
    let day = r#"{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}"#;
    let minute = r#"{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]}"#;
    let wait = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.400s"}"#;
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let gone = "Resource has been exhausted";
    let spent = "Your project has exceeded its monthly spending cap.";
    let long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    for ((status, body), kind, retryable, seconds) in [
        (error(400, "INVALID_ARGUMENT", "API key not valid.", key), ErrorKind::Auth, false, None),
        (error(400, "INVALID_ARGUMENT", long, ""), ErrorKind::ContextTooLong, false, None),
        (
            error(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature", ""),
            ErrorKind::InvalidRequest,
            false,
            None,
        ),
        (error(401, "UNAUTHENTICATED", "m", ""), ErrorKind::Auth, false, None),
        (error(403, "PERMISSION_DENIED", "m", ""), ErrorKind::Permission, false, None),
        (error(404, "NOT_FOUND", "m", ""), ErrorKind::NotFound, false, None),
        (
            error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", ""),
            ErrorKind::RateLimited,
            true,
            None,
        ),
        (
            error(429, "RESOURCE_EXHAUSTED", quota, &[minute, wait].join(",")),
            ErrorKind::RateLimited,
            true,
            Some(34.4),
        ),
        (
            error(429, "RESOURCE_EXHAUSTED", quota, &[day, wait].join(",")),
            ErrorKind::Quota,
            false,
            Some(34.4),
        ),
        (error(429, "RESOURCE_EXHAUSTED", spent, wait), ErrorKind::Quota, false, Some(34.4)),
        (error(429, "RESOURCE_EXHAUSTED", gone, day), ErrorKind::Quota, false, None),
        (error(500, "INTERNAL", "m", ""), ErrorKind::Server, true, None),
        (error(503, "UNAVAILABLE", "m", ""), ErrorKind::Overloaded, true, None),
        (error(504, "DEADLINE_EXCEEDED", "m", ""), ErrorKind::Timeout, true, None),
    ] {
        for (status, body) in [
            (status, body.clone()),
            (status, format!("[{body}]")),
            (200, event(&body)),
            (200, format!("[{body}]")),
        ] {
            let canned = Canned::new(status, "application/json", body.clone());
            let error = play(&driver(Arc::new(canned), Gemini::new())).await.1.unwrap();
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status} {body}");
            assert_eq!(error.retry_after().map(|wait| wait.as_secs_f64()), seconds, "{status} {body}");
            assert!(error.code().unwrap().chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{error}");
        }
    }
}

#[tokio::test]
async fn arguments_without_a_place_are_an_error_with_what_came() {
    let begin = r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f","willContinue":true,"partialArgs":[{"jsonPath":"$.a","numberValue":1}]}}]}}]}"#;
    let again = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.a","numberValue":2}]}}]}}]}"#;
    let error = played([event(begin), event(again)].concat()).await.1.unwrap();
    assert_eq!((error.kind(), error.partial().unwrap().text().as_str()), (ErrorKind::Decode, "a"));
}

#[tokio::test]
async fn the_key_is_a_header_and_a_model_is_a_path() {
    let stop = event(r#"{"candidates":[{"finishReason":"STOP"}]}"#);
    for (model, stream, want) in [
        ("gemini-3-flash", true, "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-3-flash", false, "/v1beta/models/gemini-3-flash:generateContent"),
        ("tunedModels/a b", true, "/v1beta/tunedModels/a%20b:streamGenerateContent?alt=sse"),
    ] {
        let canned = Arc::new(Canned::new(200, "text/event-stream", stop.clone()));
        let endpoint = Endpoint::new("g", "http://localhost/v1beta/", canned.clone());
        let provider = Driver::new(endpoint.with_key("SECRET".to_owned().into()), Gemini::new()).unwrap();
        let mut request = hi(model);
        request.stream = stream;
        drop(provider.stream(provider.prepare(request).unwrap()).await.unwrap());
        let seen = canned.seen.lock().unwrap().remove(0);
        assert_eq!(seen.uri().path_and_query().unwrap().as_str(), want);
        assert_eq!(seen.headers()["x-goog-api-key"], "SECRET");
        assert!(!seen.headers().contains_key("authorization"));
    }
}

#[tokio::test]
async fn models_come_in_pages_with_their_limits() {
    let first = r#"{"models":[{"name":"models/gemini-3-flash","displayName":"Gemini 3 Flash","inputTokenLimit":1048576,"outputTokenLimit":65536,"thinking":true,"supportedGenerationMethods":["generateContent"]}],"nextPageToken":"a+b="}"#;
    let second = r#"{"models":[{"name":"tunedModels/mine"}]}"#;
    let fault = Fault::new([Plan::body("application/json", first), Plan::body("application/json", second)]);
    let models = driver(Arc::new(fault.clone()), Gemini::new()).models().await.unwrap();
    let facts = |at: usize| {
        let model = &models[at];
        (model.id.as_str(), model.name.as_deref(), model.context_window, model.output_limit, model.reasoning)
    };
    assert_eq!(facts(0), ("gemini-3-flash", Some("Gemini 3 Flash"), Some(1048576), Some(65536), Some(true)));
    assert_eq!((facts(1), models.len()), (("tunedModels/mine", None, None, None, None), 2));
    let asked: Vec<_> =
        fault.requests().iter().map(|request| request.uri().query().unwrap().to_owned()).collect();
    assert_eq!(asked, ["pageSize=1000", "pageSize=1000&pageToken=a%2Bb%3D"]);
}
