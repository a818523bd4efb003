//! What a request looks like on the wire of Anthropic Messages.

use std::sync::Arc;

use aichat_message::{
    ErrorKind, Executor, Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind, Protocol,
    ReasoningBlock, Role, Source, ToolSpec,
};
use aichat_providers::{Anthropic, Call, Error, Options, Output, Provider, Reasoning, Request, ToolChoice};
use insta::assert_snapshot;

use crate::canned::{Canned, driver};

const MODEL: &str = "claude-sonnet-4-6";

fn prepare(request: Request) -> Result<Call, Error> {
    driver(Arc::new(Canned::sse(&[])), Anthropic::new()).prepare(request)
}

/// Returns the body and what was warned of.
fn encode(request: Request) -> (String, Vec<String>) {
    let call = prepare(request.clone()).unwrap();
    assert_eq!(call.body, prepare(request).unwrap().body, "the same request gives the same bytes");
    (String::from_utf8(call.body.to_vec()).unwrap(), call.warnings)
}

fn body(request: Request) -> String {
    let (body, warnings) = encode(request);
    assert!(warnings.is_empty(), "{warnings:?}");
    body
}

/// Returns the messages of a body, and what was warned of.
fn talk(messages: Vec<Message>) -> (String, Vec<String>) {
    let (body, warnings) = encode(Request::new(MODEL, messages));
    let (_, rest) = body.split_once("\"messages\":").unwrap();
    (rest.trim_end_matches(",\"stream\":true}").to_owned(), warnings)
}

/// Returns what follows the messages of a question with these options, and what was warned of.
fn asked(model: &str, options: Options) -> (String, Vec<String>) {
    let (body, warnings) = encode(Request { options, ..hi(model) });
    let (head, rest) = body
        .split_once("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}],")
        .unwrap();
    let head = head.split_once("\"max_tokens\":").unwrap().1;
    (format!("{head}{}", rest.trim_end_matches("\"stream\":true}")), warnings)
}

fn hi(model: &str) -> Request {
    Request::new(model, vec![Message::user("hi")])
}

fn reasoning(model: &str, reasoning: Reasoning) -> (String, Vec<String>) {
    asked(model, Options { reasoning: Some(reasoning), ..Options::default() })
}

fn tool(name: &str, parameters: &str) -> ToolSpec {
    let parameters = Json::new(parameters).unwrap();
    ToolSpec { name: name.to_owned(), description: None, parameters, strict: None }
}

/// An answer of a provider of that name.
fn answer(provider: &str, parts: Vec<Part>) -> Message {
    let origin = Origin {
        provider: provider.to_owned(),
        protocol: Protocol::Anthropic,
        model: MODEL.to_owned(),
        response_id: None,
    };
    Message { origin: Some(origin), ..Message::new(Role::Assistant, parts) }
}

fn own(parts: Vec<Part>) -> Message {
    answer("test", parts)
}

fn sealed(part: Part, kind: OpaqueKind, data: &str) -> Part {
    let opaque = Opaque { provider: "test".to_owned(), kind, data: data.to_owned() };
    Part { opaque: vec![opaque], ..part }
}

fn thought(text: &str, signature: &str) -> Part {
    let blocks = vec![ReasoningBlock::Text(text.to_owned())];
    sealed(Part::new(PartKind::Reasoning { blocks }), OpaqueKind::Signature, signature)
}

fn server_call(id: &str) -> Part {
    let (call_id, name) = (id.to_owned(), "web_search".to_owned());
    let arguments = r#"{"query": "sky"}"#.into();
    Part::new(PartKind::ToolCall { call_id, name, arguments, executor: Executor::Server })
}

fn unknown(raw: &str) -> Part {
    Part::new(PartKind::Unknown { type_name: "x".to_owned(), raw: Json::new(raw).unwrap() })
}

fn media(media: MediaKind, source: Source, mime: Option<&str>, name: Option<&str>) -> Part {
    let (mime, name) = (mime.map(str::to_owned), name.map(str::to_owned));
    Part::new(PartKind::Media { media, source, mime, name })
}

fn base64(data: &str) -> Source {
    Source::Base64(data.to_owned())
}

fn results(parts: Vec<Part>) -> Message {
    Message::new(Role::Tool, parts)
}

#[test]
fn first_turn() {
    let mut marked = Part::text("Be brief.");
    marked.extra.push("cache_control", Json::new(r#"{"type":"ephemeral","ttl":"1h"}"#).unwrap());
    marked.extra.push("detail", Json::new("1").unwrap());
    let messages =
        vec![Message::system("Be kind."), Message::new(Role::Developer, vec![marked]), Message::user("Why?")];
    assert_snapshot!(body(Request::new(MODEL, messages)), @r#"{"model":"claude-sonnet-4-6","max_tokens":16384,"system":[{"type":"text","text":"Be kind."},{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Why?"}]}],"stream":true}"#);
    let whole = Request { stream: false, ..hi("claude-3-haiku-20240307") };
    assert_snapshot!(body(whole), @r#"{"model":"claude-3-haiku-20240307","max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#);
}

#[test]
fn the_next_turn_carries_every_block_of_the_last_answer_in_its_place() {
    let mut call =
        Part::tool_call("toolu_1", "clock", r#"{"zone": "UTC", "n": 123456789012345678901, "a":1e3}"#);
    call.extra.push("caller", Json::new(r#"{"type":"direct"}"#).unwrap());
    let cited = Part::new(PartKind::Text {
        text: "Blue.".to_owned(),
        annotations: vec![Json::new(r#"{"type":"char_location","z":1,"a":2}"#).unwrap()],
    });
    let mut mcp = server_call("mcptoolu_1");
    mcp.extra.push("type", Json::new("\"mcp_tool_use\"").unwrap());
    mcp.extra.push("server_name", Json::new("\"echo\"").unwrap());
    let parts = vec![
        thought("", "sig+1/=="),
        unknown(r#"{"type":"fallback","to":{"model":"b"},"from":{"model":"a"}}"#),
        sealed(Part::reasoning(), OpaqueKind::RedactedThinking, "blob=="),
        server_call("srvtoolu_1"),
        unknown(r#"{"tool_use_id":"srvtoolu_1","type":"web_search_tool_result","content":[{"n":1.0}]}"#),
        cited,
        mcp,
        unknown(r#"{"type":"mcp_tool_result","tool_use_id":"mcptoolu_1","is_error":false,"content":[]}"#),
        thought("hm", "sig+2/=="),
        call,
        Part::tool_call("toolu_2", "now", ""),
    ];
    let messages = vec![
        Message::user("What time is it?"),
        own(parts),
        results(vec![Part::tool_result("toolu_1", "12:00"), Part::tool_result("toolu_2", "noon")]),
    ];
    let (talk, warnings) = talk(messages);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_snapshot!(talk, @r#"[{"role":"user","content":[{"type":"text","text":"What time is it?"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"sig+1/=="},{"type":"fallback","to":{"model":"b"},"from":{"model":"a"}},{"type":"redacted_thinking","data":"blob=="},{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query": "sky"}},{"tool_use_id":"srvtoolu_1","type":"web_search_tool_result","content":[{"n":1.0}]},{"type":"text","text":"Blue.","citations":[{"type":"char_location","z":1,"a":2}]},{"type":"mcp_tool_use","id":"mcptoolu_1","name":"web_search","input":{"query": "sky"},"server_name":"echo"},{"type":"mcp_tool_result","tool_use_id":"mcptoolu_1","is_error":false,"content":[]},{"type":"thinking","thinking":"hm","signature":"sig+2/=="},{"type":"tool_use","id":"toolu_1","name":"clock","input":{"zone": "UTC", "n": 123456789012345678901, "a":1e3},"caller":{"type":"direct"}},{"type":"tool_use","id":"toolu_2","name":"now","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"12:00"}]},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"noon"}]}]}]"#);
}

#[test]
fn what_another_provider_made_stays_behind() {
    let mut call = Part::tool_call("call|1", "clock", "{}");
    call.extra.push("caller", Json::new("1").unwrap());
    let cited =
        Part::new(PartKind::Text { text: "Blue.".to_owned(), annotations: vec![Json::new("{}").unwrap()] });
    let parts = vec![thought("hm", "foreign"), unknown("{}"), server_call("s"), cited, call];
    let messages = vec![
        Message::user("a"),
        answer("elsewhere", parts),
        results(vec![Part::tool_result("call|1", "x")]),
        answer("elsewhere", vec![Part::refusal("No."), Part::text(" ")]),
        answer("third", vec![Part::text("b")]),
        Message::user("c"),
    ];
    let (talk, warnings) = talk(messages);
    assert_snapshot!(talk, @r#"[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"text","text":"Blue."},{"type":"tool_use","id":"call_1","name":"clock","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"x"}]}]},{"role":"assistant","content":[{"type":"text","text":"No."}]},{"role":"user","content":[{"type":"text","text":"Continue."}]},{"role":"assistant","content":[{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"c"}]}]"#);
    assert_snapshot!(warnings.join("\n"), @r#"
    reasoning of another provider is not sent
    a part that only another provider understands is not sent
    a tool call that another provider ran itself is not sent
    opaque data of another provider is not sent
    citations of another provider are not sent
    a text of nothing but white space is not sent
    this model does not continue an answer: "Continue." is put after it
    "#);
}

#[test]
fn reasoning_goes_back_only_to_a_model_that_takes_it() {
    let mut made = own(vec![thought("hm", "s1"), Part::text("so")]);
    made.origin.as_mut().unwrap().model = "claude-fable-5-20260609".to_owned();
    let messages = vec![Message::user("hi"), made, Message::user("and?")];
    let (body, warnings) = encode(Request::new("claude-fable-5", messages.clone()));
    assert!(body.contains("\"s1\"") && warnings.is_empty(), "{body} {warnings:?}");
    let (body, warnings) = encode(Request::new("claude-opus-5", messages));
    assert!(!body.contains("\"s1\"") && body.contains("\"so\""), "{body}");
    assert_eq!(warnings, ["reasoning of another model is not sent"]);
}

#[test]
fn results_come_first_with_their_images_and_errors() {
    let content = vec![
        Part::text("see"),
        media(MediaKind::Image, base64("iVBORw0KGgo="), None, None),
        media(MediaKind::Audio, base64("AA=="), None, None),
        Part::text(""),
    ];
    let result = |id: &str, content, is_error| {
        Part::new(PartKind::ToolResult { call_id: id.to_owned(), name: None, content, is_error })
    };
    let calls = ["a", "b", "c"].map(|id| Part::tool_call(id, "f", "{}"));
    let messages = vec![
        Message::user("go"),
        own(calls.to_vec()),
        Message::user("meanwhile"),
        results(vec![result("a", content, false), result("b", vec![], true), result("c", vec![], false)]),
        Message::user("and?"),
    ];
    let (talk, warnings) = talk(messages);
    assert_snapshot!(talk, @r#"[{"role":"user","content":[{"type":"text","text":"go"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}},{"type":"tool_use","id":"c","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"see"},{"type":"image","source":{"data":"iVBORw0KGgo=","media_type":"image/png","type":"base64"}}]},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"the tool failed"}],"is_error":true},{"type":"tool_result","tool_use_id":"c"},{"type":"text","text":"meanwhile"},{"type":"text","text":"and?"}]}]"#);
    assert_eq!(warnings, ["media that is neither an image nor a file is not sent"]);
}

#[test]
fn images_and_documents() {
    let image = |source, mime| media(MediaKind::Image, source, mime, None);
    let file = |source, mime, name| media(MediaKind::File, source, mime, name);
    let mut cited = file(base64("R3LDvMOfZQ=="), Some("text/plain; charset=utf-8"), Some("Greeting"));
    cited.extra.push("citations", Json::new(r#"{"enabled":true}"#).unwrap());
    let parts = vec![
        image(base64("AA=="), Some("image/webp")),
        image(base64("/9j/AA=="), None),
        image(base64("AA=="), Some("image/jpg")),
        image(Source::Url("https://example.org/a.png".to_owned()), None),
        image(Source::FileId("file_1".to_owned()), None),
        file(base64("JVBERi0="), Some("application/pdf"), Some("a.pdf")),
        file(Source::Url("https://example.org/a.pdf".to_owned()), None, None),
        file(Source::FileId("file_2".to_owned()), None, None),
        cited,
    ];
    let (said, warnings) = talk(vec![Message::new(Role::User, parts)]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_snapshot!(said, @r#"[{"role":"user","content":[{"type":"image","source":{"data":"AA==","media_type":"image/webp","type":"base64"}},{"type":"image","source":{"data":"/9j/AA==","media_type":"image/jpeg","type":"base64"}},{"type":"image","source":{"data":"AA==","media_type":"image/jpeg","type":"base64"}},{"type":"image","source":{"type":"url","url":"https://example.org/a.png"}},{"type":"image","source":{"file_id":"file_1","type":"file"}},{"type":"document","source":{"data":"JVBERi0=","media_type":"application/pdf","type":"base64"},"title":"a.pdf"},{"type":"document","source":{"type":"url","url":"https://example.org/a.pdf"}},{"type":"document","source":{"file_id":"file_2","type":"file"}},{"type":"document","source":{"data":"Grüße","media_type":"text/plain","type":"text"},"title":"Greeting","citations":{"enabled":true}}]}]"#);
    let lost = vec![
        Part::text("kept"),
        image(base64("AA=="), Some("image/svg+xml")),
        image(base64("AA=="), None),
        file(base64("AA=="), Some("application/zip"), None),
        file(base64("/w=="), Some("text/plain"), None),
        media(MediaKind::Video, Source::Url("https://example.org/a.mp4".to_owned()), None, None),
    ];
    let (said, warnings) = talk(vec![Message::new(Role::User, lost)]);
    assert_eq!(said, r#"[{"role":"user","content":[{"type":"text","text":"kept"}]}]"#);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    let drawn = vec![Message::user("draw"), own(vec![image(base64("iVBOR"), None)]), Message::user("thanks")];
    let (said, warnings) = talk(drawn);
    assert_eq!(
        said,
        r#"[{"role":"user","content":[{"type":"text","text":"draw"},{"type":"text","text":"thanks"}]}]"#
    );
    assert_eq!(warnings, ["media in an answer is not sent"]);
}

#[test]
fn a_conversation_begins_with_the_user_and_ends_where_the_model_can_go_on() {
    let (begun, warnings) = talk(vec![Message::assistant("Welcome."), Message::user("hi")]);
    assert!(
        begun.starts_with(
            r#"[{"role":"user","content":[{"type":"text","text":"Begin."}]},{"role":"assistant""#
        )
    );
    assert_eq!(warnings.len(), 1);
    let half = |model: &str| {
        let messages = vec![Message::user("hi"), own(vec![Part::text("Half \n")])];
        let (body, warnings) = encode(Request::new(model, messages));
        (body.split_once("\"assistant\",").unwrap().1.to_owned(), warnings)
    };
    let (talk, warnings) = half(MODEL);
    assert_snapshot!(talk, @r#""content":[{"type":"text","text":"Half"}]},{"role":"user","content":[{"type":"text","text":"Continue."}]}],"stream":true}"#);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (talk, warnings) = half("claude-haiku-4-5");
    assert_snapshot!(talk, @r#""content":[{"type":"text","text":"Half"}]}],"stream":true}"#);
    assert_eq!(warnings, ["white space at the end of an answer to be continued is not sent"]);
    for nothing in [vec![], vec![Message::system("x")], vec![Message::user(" \n")]] {
        assert_eq!(prepare(Request::new(MODEL, nothing)).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}

#[test]
fn a_call_the_provider_runs_itself_stays_where_it_can_still_be_answered() {
    let asked = || Message::user("hi");
    let paused = vec![asked(), own(vec![Part::text("so "), server_call("s1")])];
    let (said, warnings) = talk(paused);
    assert!(
        said.ends_with(
            r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query": "sky"}}]}]"#
        ),
        "{said}"
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    let waits = vec![
        asked(),
        own(vec![server_call("s1"), Part::tool_call("a", "f", "")]),
        results(vec![Part::tool_result("a", "x")]),
    ];
    let (said, warnings) = talk(waits);
    assert!(said.contains("\"s1\"") && warnings.is_empty(), "{said} {warnings:?}");
    let given_up = vec![asked(), own(vec![Part::text("so"), server_call("s1")]), Message::user("never mind")];
    let (said, warnings) = talk(given_up);
    assert!(!said.contains("\"s1\""), "{said}");
    assert_eq!(warnings, ["a tool call that the provider itself did not finish is not sent"]);
    let later = vec![
        asked(),
        own(vec![server_call("s1"), Part::tool_call("a", "f", "")]),
        results(vec![Part::tool_result("a", "x")]),
        own(vec![unknown(r#"{"type":"code_execution_tool_result","tool_use_id":"s1"}"#), Part::text("so")]),
        Message::user("and?"),
    ];
    let (said, warnings) = talk(later);
    assert!(said.contains("\"s1\",\"name\"") && warnings.is_empty(), "{said} {warnings:?}");
}

#[test]
fn an_answer_that_was_carried_on_goes_back_as_it_was_asked_for() {
    let asked = |model: &str| {
        let half = own(vec![Part::text("Half")]);
        let messages = vec![Message::user("hi"), half, own(vec![Part::text("whole")]), Message::user("and?")];
        let (body, warnings) = encode(Request::new(model, messages));
        (body.matches("Continue.").count(), body.matches("\"assistant\"").count(), warnings.len())
    };
    assert_eq!(asked(MODEL), (1, 2, 1));
    assert_eq!(asked("claude-haiku-4-5"), (0, 1, 0));
    let found = unknown(r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}"#);
    let paused = own(vec![server_call("s1")]);
    let messages =
        vec![Message::user("hi"), paused, own(vec![found, Part::text("so")]), Message::user("and?")];
    let (said, warnings) = talk(messages);
    assert!(!said.contains("Continue.") && warnings.is_empty(), "{said} {warnings:?}");
}

#[test]
fn an_answer_is_paused_where_it_ends_at_work_of_the_provider() {
    let found = || unknown(r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}"#);
    let goes_on = "{\"type\":\"text\",\"text\":\"Continue.\"}";
    let last = |parts| talk(vec![Message::user("hi"), own(parts)]);
    let (said, warnings) = last(vec![server_call("s1"), found(), Part::text("It is bl ")]);
    assert!(said.contains("\"It is bl\"") && said.contains(goes_on), "{said}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (said, warnings) = last(vec![server_call("s1"), found()]);
    assert!(!said.contains(goes_on) && warnings.is_empty(), "{said} {warnings:?}");
    let mut cut = server_call("s2");
    let PartKind::ToolCall { arguments, .. } = &mut cut.kind else { panic!("{cut:?}") };
    *arguments = "{\"que".into();
    let (said, warnings) = last(vec![server_call("s1"), found(), Part::text("so"), cut]);
    assert!(!said.contains("s2") && said.contains(goes_on), "{said}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn reasoning_without_a_signature_and_broken_arguments() {
    let unsigned = Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text("cut o".to_owned())] });
    let messages = vec![
        Message::user("hi"),
        own(vec![unsigned, Part::text("\n\n"), Part::tool_call("a", "f", "{\"cut")]),
        results(vec![Part::tool_result("a", "x")]),
    ];
    let (talk, warnings) = talk(messages);
    assert_snapshot!(talk, @r#"[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"arguments":"{\"cut"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"x"}]}]}]"#);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn an_answer_broken_off_in_its_reasoning_does_not_end_with_it() {
    let redacted = sealed(Part::reasoning(), OpaqueKind::RedactedThinking, "blob==");
    let lost = Part::tool_call("a", "f", "{}");
    let messages = vec![
        Message::user("one"),
        own(vec![thought("hm", "s1"), Part::text("so"), thought("then", "s2"), redacted, lost]),
        Message::user("two"),
        own(vec![thought("", "s3"), Part::text(" ")]),
        Message::user("three"),
    ];
    let (talk, warnings) = talk(messages);
    assert_snapshot!(talk, @r#"[{"role":"user","content":[{"type":"text","text":"one"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s1"},{"type":"text","text":"so"}]},{"role":"user","content":[{"type":"text","text":"two"},{"type":"text","text":"three"}]}]"#);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn tools_and_which_of_them_to_call() {
    let mut strict = tool("clock", r#"{"type":"object","properties":{"zone":{"type":"string"}}}"#);
    strict.description = Some("Tells the time.".to_owned());
    strict.strict = Some(true);
    let tools = vec![strict, tool("now", "{}")];
    let chosen = |choice, tools: &[ToolSpec]| {
        let request = Request { tool_choice: Some(choice), tools: tools.to_vec(), ..hi(MODEL) };
        let (body, warnings) = encode(request);
        (body.split_once("}]}],").unwrap().1.to_owned(), warnings)
    };
    assert_snapshot!(chosen(ToolChoice::Auto, &tools).0, @r#""tools":[{"name":"clock","description":"Tells the time.","input_schema":{"type":"object","properties":{"zone":{"type":"string"}}},"strict":true},{"name":"now","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},"stream":true}"#);
    for (choice, word) in [
        (ToolChoice::None, r#"{"type":"none"}"#),
        (ToolChoice::Required, r#"{"type":"any"}"#),
        (ToolChoice::Tool("now".to_owned()), r#"{"name":"now","type":"tool"}"#),
    ] {
        assert!(chosen(choice, &tools).0.contains(&format!("\"tool_choice\":{word}")));
    }
    for (model, word, reasons) in [
        ("claude-opus-5", r#"{"type":"any"}"#, false),
        ("claude-fable-5", r#"{"type":"any"}"#, false),
        ("claude-opus-5-5", r#"{"type":"auto"}"#, true),
        ("claude-fable-5-1", r#"{"type":"auto"}"#, true),
    ] {
        let mut request =
            Request { tool_choice: Some(ToolChoice::Required), tools: tools.clone(), ..hi(model) };
        request.options.reasoning = Some(Reasoning::High);
        let (body, warnings) = encode(request);
        assert!(body.contains(&format!("\"tool_choice\":{word}")), "{body}");
        assert_eq!((body.contains("\"thinking\""), warnings.len()), (reasons, 1), "{model} {warnings:?}");
    }
    let (none, warnings) = chosen(ToolChoice::Required, &[]);
    assert!(!none.contains("tool_choice"));
    assert_eq!(warnings, ["there is no tool to choose from"]);

    let mut request = Request { tools: vec![tool("now", "{}")], ..hi(MODEL) };
    request
        .options
        .other
        .push("tools", Json::new(r#"[{"type":"web_search_20260209","name":"web_search"}]"#).unwrap());
    request.options.other.push("metadata", Json::new(r#"{"user_id":"u"}"#).unwrap());
    assert_snapshot!(body(request).split_once("}]}],").unwrap().1, @r#""tools":[{"name":"now","input_schema":{"type":"object"}},{"type":"web_search_20260209","name":"web_search"}],"stream":true,"metadata":{"user_id":"u"}}"#);
}

#[test]
fn reasoning_as_each_generation_takes_it() {
    let levels = |model| {
        let levels =
            [Reasoning::None, Reasoning::Low, Reasoning::Medium, Reasoning::High, Reasoning::Tokens(5000)];
        let lines = levels.map(|level| {
            let (body, warnings) = reasoning(model, level);
            format!("{body} {}", warnings.join("; ")).trim_end().to_owned()
        });
        lines.join("\n")
    };
    assert_snapshot!(levels("claude-haiku-4-5"), @r#"
    16384,
    18432,"thinking":{"budget_tokens":2048,"type":"enabled"},
    24576,"thinking":{"budget_tokens":8192,"type":"enabled"},
    40960,"thinking":{"budget_tokens":24576,"type":"enabled"},
    21384,"thinking":{"budget_tokens":5000,"type":"enabled"},
    "#);
    assert_snapshot!(levels("claude-opus-4-6"), @r#"
    16384,
    18432,"output_config":{"effort":"low"},"thinking":{"type":"adaptive"},
    24576,"output_config":{"effort":"medium"},"thinking":{"type":"adaptive"},
    40960,"output_config":{"effort":"high"},"thinking":{"type":"adaptive"},
    21384,"thinking":{"budget_tokens":5000,"type":"enabled"},
    "#);
    assert_snapshot!(levels("claude-opus-4-8"), @r#"
    16384,
    18432,"output_config":{"effort":"low"},"thinking":{"display":"summarized","type":"adaptive"},
    24576,"output_config":{"effort":"medium"},"thinking":{"display":"summarized","type":"adaptive"},
    40960,"output_config":{"effort":"high"},"thinking":{"display":"summarized","type":"adaptive"},
    21384,"output_config":{"effort":"medium"},"thinking":{"display":"summarized","type":"adaptive"}, this model takes no number of tokens to reason with, only an effort
    "#);
    assert_snapshot!(levels("claude-fable-5"), @r#"
    16384,"output_config":{"effort":"low"}, this model always reasons; the least effort is asked for
    18432,"output_config":{"effort":"low"},"thinking":{"display":"summarized","type":"adaptive"},
    24576,"output_config":{"effort":"medium"},"thinking":{"display":"summarized","type":"adaptive"},
    40960,"output_config":{"effort":"high"},"thinking":{"display":"summarized","type":"adaptive"},
    21384,"output_config":{"effort":"medium"},"thinking":{"display":"summarized","type":"adaptive"}, this model takes no number of tokens to reason with, only an effort
    "#);
    assert_snapshot!(levels("claude-3-5-haiku-latest"), @r#"
    8192,
    8192, this model does not reason
    8192, this model does not reason
    8192, this model does not reason
    8192, this model does not reason
    "#);
    assert_snapshot!(levels("some-local-model"), @r#"
    16384,"thinking":{"type":"disabled"},
    18432,"thinking":{"budget_tokens":2048,"type":"enabled"},
    24576,"thinking":{"budget_tokens":8192,"type":"enabled"},
    32000,"thinking":{"budget_tokens":24576,"type":"enabled"},
    21384,"thinking":{"budget_tokens":5000,"type":"enabled"},
    "#);
}

#[test]
fn a_budget_fits_into_the_answer_and_waits_where_it_may_not_begin() {
    let budget = |max_tokens, tokens| {
        let options = Options { max_tokens: Some(max_tokens), reasoning: Some(tokens), ..Options::default() };
        asked("claude-haiku-4-5", options)
    };
    let (body, warnings) = budget(2000, Reasoning::High);
    assert_eq!(body, r#"2000,"thinking":{"budget_tokens":1999,"type":"enabled"},"#);
    assert_eq!(warnings.len(), 1);
    let (body, warnings) = budget(1024, Reasoning::Low);
    assert_eq!((body.as_str(), warnings.len()), ("1024,", 1));
    let (body, _) = budget(9000, Reasoning::Tokens(10));
    assert_eq!(body, r#"9000,"thinking":{"budget_tokens":1024,"type":"enabled"},"#);

    let with = |model: &str, messages, choice| {
        let mut request =
            Request { tools: vec![tool("f", "{}")], tool_choice: choice, ..Request::new(model, messages) };
        request.options.reasoning = Some(Reasoning::Low);
        let (body, warnings) = encode(request);
        (body.contains("\"thinking\":{"), warnings.len())
    };
    let asked = || Message::user("hi");
    let looped = |first: Vec<Part>| {
        let call = |id: &str| Part::tool_call(id, "f", "");
        let first = own([first, vec![call("a")]].concat());
        let result = |id: &str| results(vec![Part::tool_result(id, "x")]);
        vec![asked(), first, result("a"), own(vec![call("b")]), result("b")]
    };
    let old = "claude-haiku-4-5";
    assert_eq!(with(old, looped(vec![]), None), (false, 1));
    assert_eq!(with(old, looped(vec![thought("hm", "s")]), None), (true, 0));
    let after = [looped(vec![]), vec![own(vec![Part::text("done")]), asked()]].concat();
    assert_eq!(with(old, after, None), (true, 0), "a loop that is over binds nobody");
    assert_eq!(with("claude-opus-4-8", looped(vec![]), None), (true, 0));
    for model in [old, "claude-opus-4-8"] {
        assert_eq!(with(model, vec![asked()], Some(ToolChoice::Required)), (false, 1));
    }
}

#[test]
fn sampling_as_each_generation_takes_it() {
    let all = |model, reasoning| {
        let options = Options {
            max_tokens: Some(50_000),
            temperature: Some(1.5),
            top_p: Some(0.9),
            top_k: Some(40),
            seed: Some(7),
            stop: vec!["\n".to_owned(), "END".to_owned(), String::new()],
            reasoning,
            ..Options::default()
        };
        let (body, warnings) = asked(model, options);
        format!("{body}\n{}", warnings.join("\n"))
    };
    assert_snapshot!(all("some-local-model", None), @r#"
    50000,"temperature":1.0,"top_p":0.9,"top_k":40,"stop_sequences":["END"],
    a temperature above 1 is sent as 1
    a stop sequence of nothing but white space is not sent
    a seed is not known to this protocol and not sent
    "#);
    assert_snapshot!(all("claude-sonnet-4-6", None), @r#"
    50000,"temperature":1.0,"top_k":40,"stop_sequences":["END"],
    a temperature above 1 is sent as 1
    top_p cannot be set together with temperature and is not sent
    a stop sequence of nothing but white space is not sent
    a seed is not known to this protocol and not sent
    "#);
    assert_snapshot!(all("claude-sonnet-4-6", Some(Reasoning::Low)), @r#"
    50000,"output_config":{"effort":"low"},"thinking":{"type":"adaptive"},"stop_sequences":["END"],
    temperature cannot be set together with reasoning and is not sent
    top_p cannot be set together with reasoning and is not sent
    top_k cannot be set together with reasoning and is not sent
    a stop sequence of nothing but white space is not sent
    a seed is not known to this protocol and not sent
    "#);
    assert_snapshot!(all("claude-opus-5", None), @r#"
    50000,"stop_sequences":["END"],
    temperature cannot be set for this model and is not sent
    top_p cannot be set for this model and is not sent
    top_k cannot be set for this model and is not sent
    a stop sequence of nothing but white space is not sent
    a seed is not known to this protocol and not sent
    "#);
    let plain = Options { temperature: Some(1.0), top_p: Some(1.0), ..Options::default() };
    assert_eq!(asked("claude-opus-5", plain), ("16384,".to_owned(), vec![]));
}

#[test]
fn an_answer_with_a_form() {
    let schema = Json::new(r#"{"type":"object","z":1,"additionalProperties":false}"#).unwrap();
    let output = Output::Schema { name: "n".to_owned(), schema, strict: Some(true) };
    let mut request = Request { output: Some(output), ..hi("claude-opus-4-8") };
    request.options.reasoning = Some(Reasoning::Low);
    assert_snapshot!(body(request.clone()).split_once("}]}],").unwrap().1, @r#""output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object","z":1,"additionalProperties":false}}},"thinking":{"display":"summarized","type":"adaptive"},"stream":true}"#);
    // What the protocol has no field for, or not for this model, is said as a standing instruction.
    for (request, instruction) in [
        (
            Request { model: "claude-sonnet-4-0".to_owned(), ..request.clone() },
            "keeps to the JSON Schema below",
        ),
        (Request { output: Some(Output::Json), ..request }, "Answer with one JSON object"),
    ] {
        let body = body(request);
        assert!(!body.contains("json_schema"), "{body}");
        let system = body.split_once("\"system\":").unwrap().1;
        assert!(system.contains(instruction), "{body}");
    }
}

#[test]
fn the_adapter_s_own_fields_cannot_be_replaced_and_the_others_can() {
    let mut request = hi(MODEL);
    request.options.reasoning = Some(Reasoning::High);
    for (name, value) in
        [("model", "\"x\""), ("thinking", r#"{"type":"adaptive","display":"omitted"}"#), ("max_tokens", "7")]
    {
        request.options.other.push(name, Json::new(value).unwrap());
    }
    let (body, warnings) = encode(request);
    assert_snapshot!(body, @r#"{"model":"claude-sonnet-4-6","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"output_config":{"effort":"high"},"stream":true,"thinking":{"type":"adaptive","display":"omitted"},"max_tokens":7}"#);
    assert_eq!(warnings, ["model cannot be replaced by an extra field"]);
}
