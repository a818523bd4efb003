//! Ollama's own protocol: what its requests look like, how recorded ones are read back, and what servers do.

use std::sync::Arc;

use aichat_message::{
    ErrorKind, FinishReason, Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind, Protocol,
    ReasoningBlock, Role, Source, ToolSpec,
};
use aichat_providers::{
    Call, Driver, Endpoint, Fault, Http, Ollama, Options, Output, Plan, Provider, Reasoning, Request,
    ToolChoice,
};
use futures::StreamExt;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::canned::{Canned, ask, driver, play};
use crate::followups::{Writing, each, remove_if};
use crate::recordings::provider;

pub(crate) const WRITING: Writing = Writing {
    protocol: "ollama",
    folders: &[("ollama-chat", |transport| provider(transport, Ollama::new()))],
    list: "messages",
    fields: &["tools"],
    head: |_| Vec::new(),
    tools: |body| {
        let tools = body["tools"].as_array().into_iter().flatten();
        tools.map(|tool| serde_json::from_value(tool["function"].clone()).unwrap()).collect()
    },
    read: read_entry,
    is_answer: |entry| entry["role"] == json!("assistant"),
    alike: &[("what is empty need not be said", |body| {
        each(body, "messages", |message| remove_if(message, "tool_calls", &json!([])));
        remove_if(body, "options", &json!({}));
    })],
};

fn read_entry(entry: &Value) -> Message {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let role = match entry["role"].as_str().unwrap() {
        "system" => Role::System,
        "assistant" => Role::Assistant,
        "tool" => {
            let result = Part::tool_result(text(&entry["tool_call_id"]), text(&entry["content"]));
            return Message::new(Role::Tool, vec![result]);
        }
        _ => Role::User,
    };
    let mut parts = Vec::new();
    if let Some(thought) = entry["thinking"].as_str() {
        parts.push(thinking(thought));
    }
    parts.push(Part::text(text(&entry["content"])));
    for call in entry["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        parts.push(Part::tool_call(
            text(&call["id"]),
            text(&function["name"]),
            function["arguments"].to_string(),
        ));
    }
    Message::new(role, parts)
}

fn thinking(text: &str) -> Part {
    Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text(text.to_owned())] })
}

fn prepare(request: Request) -> Call {
    let endpoint = Endpoint::new("here", "http://localhost:11434", Arc::new(Fault::new([])));
    Driver::new(endpoint, Ollama::new()).unwrap().prepare(request).unwrap()
}

fn body(request: Request) -> String {
    String::from_utf8(prepare(request).body.to_vec()).unwrap()
}

fn warnings(request: Request) -> String {
    prepare(request).warnings.join("\n")
}

fn answer(provider: &str, parts: Vec<Part>) -> Message {
    let protocol = if provider == "here" { Protocol::Ollama } else { Protocol::Anthropic };
    let origin = Origin { provider: provider.into(), protocol, model: "m".into(), response_id: None };
    Message { origin: Some(origin), ..Message::new(Role::Assistant, parts) }
}

fn tool(name: &str) -> ToolSpec {
    let parameters = Json::new(r#"{"type":"object","properties":{"zone":{"type":"string"}}}"#).unwrap();
    ToolSpec { name: name.to_owned(), description: Some("Tells it.".to_owned()), parameters, strict: None }
}

/// A conversation with a parallel call, one of them without arguments, and an answer to it.
fn conversation(provider: &str) -> Request {
    let mut call = Part::tool_call("call_a", "clock", r#"{"zone": "UTC", "n": 123456789012345678901}"#);
    call.extra.push("function.flavour", Json::new("1.0").unwrap());
    let mut first = answer(provider, vec![thinking("hm"), call, Part::tool_call("call_b", "now", "")]);
    first.extra.push("mood", Json::new(r#""fine""#).unwrap());
    first.extra.push("response.remote_model", Json::new(r#""big""#).unwrap());
    let results = vec![Part::tool_result("call_a", "12:00"), Part::tool_result("call_b", "1")];
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What time is it?"),
        first,
        Message::new(Role::Tool, results),
        answer(provider, vec![Part::text("No"), Part::text("on.")]),
        Message::user("Thanks"),
    ];
    Request { tools: vec![tool("clock"), tool("now")], ..Request::new("m", messages) }
}

#[test]
fn what_this_server_said_goes_back_as_it_came() {
    let call = prepare(conversation("here"));
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What time is it?"},{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"call_a","function":{"index":0,"name":"clock","arguments":{"zone": "UTC", "n": 123456789012345678901},"flavour":1.0}},{"id":"call_b","function":{"index":1,"name":"now","arguments":{}}}],"mood":"fine"},{"role":"tool","content":"12:00","tool_name":"clock","tool_call_id":"call_a"},{"role":"tool","content":"1","tool_name":"now","tool_call_id":"call_b"},{"role":"assistant","content":"Noon."},{"role":"user","content":"Thanks"}],"tools":[{"type":"function","function":{"name":"clock","description":"Tells it.","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}},{"type":"function","function":{"name":"now","description":"Tells it.","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}],"stream":true}"#);
    assert!(call.warnings.is_empty(), "{:?}", call.warnings);
}

#[test]
fn what_another_provider_said_is_rewritten_with_a_warning() {
    let mut request = conversation("there");
    let signature =
        Opaque { provider: "there".into(), kind: OpaqueKind::Signature, data: "CANARY".to_owned() };
    request.messages[2].parts[0].opaque.push(signature);
    let call = prepare(request);
    let text = String::from_utf8_lossy(&call.body).into_owned();
    assert!(!text.contains("CANARY") && !text.contains("thinking") && !text.contains("mood"), "{text}");
    assert!(text.contains(r#"{"id":"call_a","function":{"index":0,"name":"clock","arguments":{"zone": "UTC", "n": 123456789012345678901}}}"#), "{text}");
    assert_snapshot!(call.warnings.join("\n"), @r"
    reasoning of another provider is not sent
    opaque data of another provider is not sent
    ");
}

#[test]
fn calls_without_ids_are_told_by_their_order_and_name() {
    let calls = vec![Part::tool_call("", "f", "{}"), Part::tool_call("", "g", "not JSON")];
    let results = vec![Part::tool_result("", "1"), Part::tool_result("", "2")];
    let messages = vec![Message::user("go"), answer("here", calls), Message::new(Role::Tool, results)];
    let call = prepare(Request::new("m", messages));
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"user","content":"go"},{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{}}},{"function":{"index":1,"name":"g","arguments":{"arguments":"not JSON"}}}]},{"role":"tool","content":"1","tool_name":"f"},{"role":"tool","content":"2","tool_name":"g"}],"stream":true}"#);
    assert_snapshot!(call.warnings.join("\n"), @r"arguments that are not a JSON object are sent as the text of one");
}

#[test]
fn options_have_the_server_s_names_and_places() {
    let mut options = Options {
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        stop: vec!["end".to_owned()],
        seed: Some(-7),
        reasoning: Some(Reasoning::None),
        ..Options::default()
    };
    for (name, value) in [
        ("keep_alive", r#""5m""#),
        ("num_ctx", "8192"),
        ("temperature", "0.25"),
        ("options", r#"{"min_p":0.050,"seed":8}"#),
        ("stream", "null"),
    ] {
        options.other.push(name, Json::new(value).unwrap());
    }
    let mut request = Request::new("m", vec![Message::user("hi")]);
    (request.options, request.stream) = (options, false);
    assert_snapshot!(body(request.clone()), @r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"think":false,"options":{"num_predict":9,"top_p":0.9,"top_k":40,"stop":["end"],"num_ctx":8192,"temperature":0.25,"min_p":0.050,"seed":8},"keep_alive":"5m"}"#);
    assert_snapshot!(warnings(request), @r"stream cannot be replaced by an extra field");
}

#[test]
fn reasoning_is_a_level_only_where_the_model_takes_one() {
    let asked = |model: &str, reasoning| {
        let mut request = Request::new(model, vec![Message::user("hi")]);
        request.options.reasoning = Some(reasoning);
        let call = prepare(request);
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        (body["think"].clone(), call.warnings.len())
    };
    for model in ["gpt-oss:20b", "hf.co/someone/GPT-OSS-20b-GGUF"] {
        assert_eq!(asked(model, Reasoning::Low), (json!("low"), 0));
        assert_eq!(asked(model, Reasoning::High), (json!("high"), 0));
        assert_eq!(asked(model, Reasoning::None), (json!(false), 1));
        assert_eq!(asked(model, Reasoning::Tokens(9)), (json!(true), 1));
    }
    assert_eq!(asked("qwen3:4b", Reasoning::None), (json!(false), 0));
    assert_eq!(asked("qwen3:4b", Reasoning::Medium), (json!(true), 1));

    let mut request = Request::new("qwen3:4b", vec![Message::user("hi")]);
    request.options.reasoning = Some(Reasoning::High);
    request.options.other.push("think", Json::new(r#""max""#).unwrap());
    assert_eq!(warnings(request.clone()), "");
    assert!(body(request).contains(r#""think":"max""#));
}

#[test]
fn tools_are_offered_as_the_choice_says() {
    let with = |choice| {
        let mut request = Request::new("m", vec![Message::user("hi")]);
        (request.tools, request.tool_choice) = (vec![tool("clock"), tool("now")], Some(choice));
        let call = prepare(request);
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = tools.iter().map(|tool| tool["function"]["name"].clone()).collect();
        (json!(names), call.warnings.len())
    };
    assert_eq!(with(ToolChoice::Auto), (json!(["clock", "now"]), 0));
    assert_eq!(with(ToolChoice::None), (json!([]), 0));
    assert_eq!(with(ToolChoice::Required), (json!(["clock", "now"]), 1));
    assert_eq!(with(ToolChoice::Tool("now".to_owned())), (json!(["now"]), 1));
}

#[test]
fn images_are_bytes_and_other_media_stay_behind() {
    let media = |media, source| {
        Part::new(PartKind::Media { media, source, mime: Some("image/png".into()), name: None })
    };
    let image = || media(MediaKind::Image, Source::Base64("QUJD".into()));
    let call = Part::tool_call("c", "look", "{}");
    let mut result = Part::tool_result("c", "seen");
    if let PartKind::ToolResult { content, is_error, .. } = &mut result.kind {
        content.push(image());
        *is_error = true;
    }
    let messages = vec![
        Message::new(
            Role::User,
            vec![
                Part::text("look"),
                image(),
                Part::text("here"),
                media(MediaKind::Image, Source::Url("https://example.com/a.png".into())),
                media(MediaKind::File, Source::Base64("JVBERg==".into())),
            ],
        ),
        answer("here", vec![call]),
        Message::new(Role::Tool, vec![result]),
    ];
    let call = prepare(Request::new("m", messages));
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"user","content":"look\n\nhere","images":["QUJD"]},{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"look","arguments":{}}}]},{"role":"tool","content":"seen","images":["QUJD"],"tool_name":"look","tool_call_id":"c"}],"stream":true}"#);
    assert_snapshot!(call.warnings.join("\n"), @r"
    that a tool failed is not told to this server
    an image that is elsewhere is not sent; this protocol takes only its bytes
    media of a kind that this protocol does not take is not sent
    ");
}

#[test]
fn the_form_of_the_answer_is_a_schema_or_just_json() {
    let with =
        |output| body(Request { output: Some(output), ..Request::new("m", vec![Message::user("hi")]) });
    assert_snapshot!(with(Output::Json), @r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"format":"json"}"#);
    let schema =
        Json::new(r#"{"type":"object","properties":{"z":{"type":"number","maximum":1.0e3},"a":{}}}"#);
    let schema = Output::Schema { name: "n".into(), schema: schema.unwrap(), strict: Some(true) };
    assert_snapshot!(with(schema), @r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"format":{"type":"object","properties":{"z":{"type":"number","maximum":1.0e3},"a":{}}}}"#);
}

#[test]
fn the_base_address_may_name_either_of_the_server_s_protocols() {
    for base in ["http://box:11434", "http://box:11434/", "http://box:11434/api", "http://box:11434/v1/"] {
        let endpoint = Endpoint::new("here", base, Arc::new(Fault::new([])));
        let call = Driver::new(endpoint, Ollama::new()).unwrap().prepare(ask()).unwrap();
        assert_eq!(call.url, "http://box:11434/api/chat", "{base}");
    }
    let endpoint = Endpoint::new("here", "https://box/ollama", Arc::new(Fault::new([])));
    let call = Driver::new(endpoint, Ollama::new()).unwrap().prepare(ask()).unwrap();
    assert_eq!(call.url, "https://box/ollama/api/chat");
}

async fn failed(status: u16, body: &str) -> aichat_providers::Error {
    let canned = Canned::new(status, "application/json", body.to_owned());
    play(&driver(Arc::new(canned), Ollama::new())).await.1.unwrap()
}

#[tokio::test]
async fn errors_are_plain_sentences_and_still_told_apart() {
    let sign_in = r#"{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=box&key=k"}"#;
    let cases = [
        (400, r#"{"error":"\"m\" does not support tools"}"#, ErrorKind::Unsupported, false),
        (
            400,
            r#"{"error":"think value \"high\" is not supported for this model"}"#,
            ErrorKind::Unsupported,
            false,
        ),
        (400, r#"{"error":"the input length exceeds the context length"}"#, ErrorKind::ContextTooLong, false),
        (
            400,
            r#"{"error":"invalid character '}' looking for the beginning of value"}"#,
            ErrorKind::InvalidRequest,
            false,
        ),
        (401, sign_in, ErrorKind::Auth, false),
        (200, sign_in, ErrorKind::Auth, false),
        (404, r#"{"error":"model 'm' not found"}"#, ErrorKind::NotFound, false),
        (429, r#"{"error":"too many concurrent requests"}"#, ErrorKind::RateLimited, true),
        (500, r#"{"error":"llama runner process has terminated: exit status 2"}"#, ErrorKind::Server, true),
        (
            500,
            r#"{"error":"model requires more system memory (5.6 GiB) than is available (3.1 GiB)"}"#,
            ErrorKind::Server,
            false,
        ),
        (
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            ErrorKind::Overloaded,
            true,
        ),
        (200, r#"{"error":"an error was encountered while running the model"}"#, ErrorKind::Server, true),
        (200, r#"{"detail":"Not Found"}"#, ErrorKind::Server, true),
        (200, "{\"done\":false}", ErrorKind::Server, true),
        (200, "[]", ErrorKind::Truncated, true),
        (200, "<html><title>Proxy</title></html>", ErrorKind::Decode, false),
    ];
    for (status, body, kind, retryable) in cases {
        let error = failed(status, body).await;
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status} {body}: {error:?}");
        assert!(!error.to_string().contains("key=k"), "{error}");
    }
}

#[tokio::test]
async fn a_call_ends_with_stop_and_still_waits_for_its_result() {
    let line = r#"{"model":"m","message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true,"done_reason":"stop"}"#;
    let canned = Canned::new(200, "application/x-ndjson", format!("{line}\n"));
    let (fold, error) = play(&driver(Arc::new(canned), Ollama::new())).await;
    assert!(error.is_none());
    assert_eq!(fold.finish().unwrap().reason, FinishReason::ToolCalls);
    assert_eq!(fold.started().model.as_deref(), Some("m"));
}

#[tokio::test]
async fn what_is_not_counted_is_not_known() {
    let counted = async |counters: &str| {
        let line = format!(r#"{{"message":{{"content":"a"}},"done":true{counters}}}"#);
        let canned = Canned::new(200, "application/x-ndjson", line + "\n");
        let (fold, error) = play(&driver(Arc::new(canned), Ollama::new())).await;
        assert!(error.is_none());
        fold.usage().map(|usage| (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens))
    };
    assert_eq!(counted("").await, None);
    assert_eq!(counted(r#","prompt_eval_count":7,"eval_count":0"#).await, Some((Some(7), Some(0), None)));
    assert_eq!(counted(r#","eval_count":9,"total_duration":5"#).await, Some((None, Some(9), None)));
    assert_eq!(counted(r#","prompt_eval_count":null,"eval_count":-1"#).await, Some((None, None, None)));
}

#[tokio::test]
async fn parts_stand_in_the_order_they_came_in() {
    let said = [
        r#"{"thinking":"one ","content":""}"#,
        r#"{"thinking":"two","content":"three "}"#,
        r#"{"content":"four","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"cut\":"}}]}"#,
        r#"{"thinking":"five"}"#,
    ];
    let mut lines: String =
        said.iter().map(|said| format!("{{\"message\":{said},\"done\":false}}\n")).collect();
    lines += "{\"done\":true}\n";
    let (fold, _) =
        play(&driver(Arc::new(Canned::new(200, "application/x-ndjson", lines)), Ollama::new())).await;
    let call = Part::tool_call("c", "f", r#"{"cut":"#);
    let want = [thinking("one two"), Part::text("three four"), call, thinking("five")];
    assert_eq!(fold.message().parts, want);
}

#[tokio::test]
async fn a_model_says_what_it_can() {
    let show = r#"{"details":{"family":"qwen3"},"model_info":{"general.architecture":"qwen3","qwen3.context_length":40960,"tokenizer.ggml.tokens":null},"capabilities":["completion","tools","thinking"]}"#;
    let canned = Arc::new(Canned::new(200, "application/json", show));
    let model = driver(canned.clone(), Ollama::new()).model("qwen3:4b").await.unwrap();
    assert_eq!(
        (model.id.as_str(), model.context_window, model.tools, model.images, model.reasoning),
        ("qwen3:4b", Some(40960), Some(true), Some(false), Some(true))
    );
    let asked = canned.seen.lock().unwrap().remove(0);
    assert_eq!((asked.uri().path(), &asked.body()[..]), ("/api/show", &br#"{"model":"qwen3:4b"}"#[..]));

    // Servers of earlier versions tell less.
    let provider = driver(Arc::new(Canned::new(200, "application/json", "{}")), Ollama::new());
    let model = provider.model("m").await.unwrap();
    assert_eq!((model.context_window, model.tools, model.images), (None, None, None));
    let canned = Canned::new(404, "application/json", r#"{"error":"model 'm' not found"}"#);
    let error = driver(Arc::new(canned), Ollama::new()).model("m").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Against a server that is there: `AICHAT_OLLAMA_URL`, and `AICHAT_OLLAMA_MODEL` of it.
#[tokio::test]
async fn a_real_server_answers() {
    let (Ok(url), Ok(model)) = (std::env::var("AICHAT_OLLAMA_URL"), std::env::var("AICHAT_OLLAMA_MODEL"))
    else {
        return eprintln!("skipped: no AICHAT_OLLAMA_URL and AICHAT_OLLAMA_MODEL");
    };
    let provider = Driver::new(Endpoint::new("ollama", url, Arc::new(Http::new())), Ollama::new()).unwrap();
    let models = provider.models().await.unwrap();
    eprintln!("models: {:?}", models.iter().map(|model| &model.id).collect::<Vec<_>>());
    assert!(models.iter().any(|known| known.id.starts_with(&model)), "{model} is in the list");
    eprintln!("one model: {:?}", provider.model(&model).await);
    for stream in [true, false] {
        let mut request = Request::new(&model, vec![Message::user("hello")]);
        request.stream = stream;
        request.options.max_tokens = Some(32);
        let mut fold = aichat_message::Fold::new();
        match provider.stream(provider.prepare(request).unwrap()).await {
            Ok(mut answer) => {
                while let Some(delta) = answer.next().await {
                    fold.apply(&delta.unwrap());
                }
                eprintln!(
                    "stream {stream}: {:?} {:?} {:?}",
                    fold.message().text(),
                    fold.usage(),
                    fold.finish()
                );
                assert!(fold.finish().is_some());
            }
            Err(error) => eprintln!("stream {stream}: {error:?}"),
        }
    }
    let none = Request::new("no-such-model", vec![Message::user("hello")]);
    let error = provider.stream(provider.prepare(none).unwrap()).await.err();
    eprintln!("no such model: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_cut_by_a_stall_is_a_time_out_with_what_came() {
    let head = "{\"message\":{\"content\":\"half\"},\"done\":false}\n{\"message\":{\"con";
    let fault = Fault::new([Plan::body("application/x-ndjson", head).stall(head.len())]);
    let (_, error) = play(&driver(Arc::new(fault), Ollama::new())).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.partial().unwrap().text().as_str()), (ErrorKind::Timeout, "half"));
}
