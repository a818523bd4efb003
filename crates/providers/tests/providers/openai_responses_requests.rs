//! What requests of the Responses protocol look like.

use std::sync::Arc;

use aichat_message::{
    Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind, Protocol, ReasoningBlock, Role,
    Source, ToolSpec,
};
use aichat_providers::{Call, Options, Output, Reasoning, Request, ToolChoice};
use insta::assert_snapshot;

use crate::canned::Canned;
use crate::openai_responses::responses;

pub(crate) fn said(provider: &str, message: Message) -> Message {
    let protocol = Protocol::OpenaiResponses;
    let origin = Origin { provider: provider.to_owned(), protocol, model: "m".to_owned(), response_id: None };
    Message { origin: Some(origin), ..message }
}

fn encode(profile: &str, request: Request) -> Call {
    let provider = responses(profile, Arc::new(Canned::sse(&[])));
    let call = provider.prepare(request.clone()).unwrap();
    assert_eq!(call.body, provider.prepare(request).unwrap().body, "the same request gives the same bytes");
    call
}

/// Returns the body, and below it the warnings.
fn body(profile: &str, request: Request) -> String {
    let call = encode(profile, request);
    let warnings: String = call.warnings.iter().map(|warning| format!("\n! {warning}")).collect();
    format!("{}{warnings}", String::from_utf8(call.body.to_vec()).unwrap())
}

/// The third turn of a conversation with tools, its answers made by `provider`.
fn third_turn(provider: &str) -> Request {
    let sealed = |data: &str| Opaque {
        provider: provider.to_owned(),
        kind: OpaqueKind::EncryptedContent,
        data: data.to_owned(),
    };
    let blocks = vec![ReasoningBlock::Summary("hm".to_owned())];
    let thought = Part {
        id: Some("rs_1".to_owned()),
        opaque: vec![sealed("gA+/==")],
        ..Part::new(PartKind::Reasoning { blocks })
    };
    let empty = Part { id: Some("rs_2".to_owned()), opaque: vec![sealed("gB==")], ..Part::reasoning() };
    let mut call = Part::tool_call("call_1", "clock", r#"{"zone": "UTC", "n": 123456789012345678901}"#);
    call.id = Some("fc_1".to_owned());
    call.extra.push("status", Json::new("\"completed\"").unwrap());
    let mut custom = Part::tool_call("call_2", "patch", "*** \"free\"");
    custom.id = Some("ctc_1".to_owned());
    custom.extra.push("type", Json::new("\"custom_tool_call\"").unwrap());
    let raw = Json::new(r#"{"type":"web_search_call","id":"ws_1","n":1.0}"#).unwrap();
    let search = Part::new(PartKind::Unknown { type_name: "web_search_call".to_owned(), raw });
    let mut noon = Part::text("Noon.");
    noon.id = Some("msg_1".to_owned());
    noon.extra.push("status", Json::new("\"completed\"").unwrap());
    noon.extra.push("phase", Json::new("\"final_answer\"").unwrap());
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What time is it?"),
        said(provider, Message::new(Role::Assistant, vec![thought, search, call, empty, custom])),
        Message::new(
            Role::Tool,
            vec![Part::tool_result("call_1", "12:00"), Part::tool_result("call_2", "done")],
        ),
        said(provider, Message::new(Role::Assistant, vec![noon])),
        Message::user("Thanks"),
    ];
    Request::new("m", messages)
}

pub(crate) fn tool(name: &str, strict: Option<bool>) -> ToolSpec {
    let parameters = Json::new(r#"{"type":"object","properties":{"z":{"type":"string"},"a":{}}}"#).unwrap();
    ToolSpec { name: name.to_owned(), description: Some("Tells.".to_owned()), parameters, strict }
}

#[test]
fn a_third_turn_to_the_same_provider() {
    assert_snapshot!(body("openai", third_turn("test")), @r##"{"model":"m","input":[{"type":"message","role":"system","content":"Be brief."},{"type":"message","role":"user","content":"What time is it?"},{"type":"reasoning","id":"rs_1","summary":[{"text":"hm","type":"summary_text"}],"encrypted_content":"gA+/=="},{"type":"web_search_call","id":"ws_1","n":1.0},{"type":"function_call","id":"fc_1","call_id":"call_1","name":"clock","arguments":"{\"zone\": \"UTC\", \"n\": 123456789012345678901}","status":"completed"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gB=="},{"type":"custom_tool_call","id":"ctc_1","call_id":"call_2","name":"patch","input":"*** \"free\""},{"type":"function_call_output","call_id":"call_1","output":"12:00"},{"type":"custom_tool_call_output","call_id":"call_2","output":"done"},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Noon."}],"status":"completed","phase":"final_answer"},{"type":"message","role":"user","content":"Thanks"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}"##);
}

#[test]
fn a_third_turn_after_a_move() {
    assert_snapshot!(body("openai", third_turn("elsewhere")), @r##"
    {"model":"m","input":[{"type":"message","role":"system","content":"Be brief."},{"type":"message","role":"user","content":"What time is it?"},{"type":"function_call","call_id":"call_1","name":"clock","arguments":"{\"zone\": \"UTC\", \"n\": 123456789012345678901}"},{"type":"function_call","call_id":"call_2","name":"patch","arguments":"{\"arguments\":\"*** \\\"free\\\"\"}"},{"type":"function_call_output","call_id":"call_1","output":"12:00"},{"type":"function_call_output","call_id":"call_2","output":"done"},{"type":"message","role":"assistant","content":"Noon."},{"type":"message","role":"user","content":"Thanks"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}
    ! reasoning of another provider is not sent
    ! a part that only another provider understands is not sent
    ! opaque data of another provider is not sent
    ! arguments that are not a JSON object are sent as the text of one
    "##);
}

#[test]
fn reasoning_that_the_provider_did_not_keep() {
    let mut request = third_turn("test");
    request.messages[2].parts[0].opaque.clear();
    request.messages.truncate(4);
    assert_snapshot!(body("openai", request.clone()), @r##"
    {"model":"m","input":[{"type":"message","role":"system","content":"Be brief."},{"type":"message","role":"user","content":"What time is it?"},{"type":"web_search_call","id":"ws_1","n":1.0},{"type":"function_call","call_id":"call_1","name":"clock","arguments":"{\"zone\": \"UTC\", \"n\": 123456789012345678901}","status":"completed"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gB=="},{"type":"custom_tool_call","call_id":"call_2","name":"patch","input":"*** \"free\""},{"type":"function_call_output","call_id":"call_1","output":"12:00"},{"type":"custom_tool_call_output","call_id":"call_2","output":"done"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}
    ! reasoning that came without its encrypted content is not sent
    "##);
    let llama = body("llamacpp", request.clone());
    assert!(
        !llama.contains("rs_")
            && llama.ends_with("! reasoning that this server takes only in words is not sent")
    );
    let whole = body("xai", request.clone());
    assert!(
        whole.contains(r#"{"type":"reasoning","id":"rs_1","summary":[{"text":"hm","type":"summary_text"}]}"#),
        "{whole}"
    );
    request.options.other.push("store", Json::new("true").unwrap());
    let stored = body("openai", request);
    assert!(stored.contains(r#""id":"rs_1""#) && stored.contains(r#""store":true"#), "{stored}");
}

#[test]
fn reasoning_without_what_it_led_to_is_not_sent_to_who_refuses_it() {
    let mut request = third_turn("test");
    request.messages[2].parts.truncate(1);
    request.messages.drain(3..5);
    assert_snapshot!(body("openai", request.clone()), @r##"
    {"model":"m","input":[{"type":"message","role":"system","content":"Be brief."},{"type":"message","role":"user","content":"What time is it?"},{"type":"message","role":"user","content":"Thanks"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}
    ! reasoning without what it led to is not sent
    "##);
    assert!(body("openrouter", request).contains("gA+/=="));
}

#[test]
fn tools_forced_parallel_and_of_the_provider() {
    let mut request = Request::new("gpt-5.6", vec![Message::user("hi")]);
    request.tools = vec![tool("clock", Some(true)), tool("now", None)];
    request.tool_choice = Some(ToolChoice::Tool("clock".to_owned()));
    let other = &mut request.options.other;
    other.push("parallel_tool_calls", Json::new("false").unwrap());
    other.push("tools", Json::new(r#"[{"type":"web_search","external_web_access":true}]"#).unwrap());
    assert_snapshot!(body("openai", request.clone()), @r##"{"model":"gpt-5.6","input":[{"type":"message","role":"user","content":"hi"}],"tools":[{"type":"function","name":"clock","description":"Tells.","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{}}},"strict":true},{"type":"function","name":"now","description":"Tells.","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{}}}},{"type":"web_search","external_web_access":true}],"store":false,"include":["reasoning.encrypted_content"],"tool_choice":{"name":"clock","type":"function"},"stream":true,"parallel_tool_calls":false}"##);
    for (choice, want) in
        [(ToolChoice::Auto, "auto"), (ToolChoice::None, "none"), (ToolChoice::Required, "required")]
    {
        request.tool_choice = Some(choice);
        let body = body("openai", request.clone());
        assert!(body.contains(&format!(r#""tool_choice":"{want}""#)), "{body}");
    }
}

#[test]
fn a_choice_is_left_out_where_there_is_no_tool() {
    let mut request = Request::new("m", vec![Message::user("hi")]);
    request.tool_choice = Some(ToolChoice::Auto);
    let auto = body("openai", request.clone());
    assert!(!auto.contains("tool_choice") && !auto.contains('!'), "{auto}");
    request.tool_choice = Some(ToolChoice::Required);
    let none = body("openai", request.clone());
    assert!(!none.contains("tool_choice"), "{none}");
    assert!(none.ends_with("\n! there is no tool to choose from"), "{none}");
    request.options.other.push("tools", Json::new(r#"[{"type":"web_search"}]"#).unwrap());
    let hosted = body("openai", request);
    assert!(hosted.contains(r#""tool_choice":"required""#) && !hosted.contains('!'), "{hosted}");
}

#[test]
fn options_that_can_be_told_and_that_cannot() {
    let options = Options {
        max_tokens: Some(90),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        stop: vec!["end".to_owned()],
        seed: Some(7),
        reasoning: Some(Reasoning::Tokens(1024)),
        ..Options::default()
    };
    let mut request = Request::new("m", vec![Message::user("hi")]);
    (request.options, request.stream) = (options, false);
    assert_snapshot!(body("openai", request.clone()), @r##"
    {"model":"m","input":[{"type":"message","role":"user","content":"hi"}],"store":false,"include":["reasoning.encrypted_content"],"max_output_tokens":90,"temperature":0.5,"top_p":0.9}
    ! stop is not known to this protocol and not sent
    ! seed is not known to this protocol and not sent
    ! top_k is not known to this protocol and not sent
    ! the amount of reasoning in tokens cannot be told to this server
    "##);
    assert_snapshot!(body("llamacpp", request.clone()), @r##"
    {"model":"m","input":[{"type":"message","role":"user","content":"hi"}],"store":false,"include":["reasoning.encrypted_content"],"max_output_tokens":90,"temperature":0.5,"top_p":0.9,"stop":["end"],"seed":7,"top_k":40}
    ! the amount of reasoning in tokens cannot be told to this server
    "##);
    assert!(body("openrouter", request).contains(r#""reasoning":{"max_tokens":1024}"#));
}

#[test]
fn reasoning_is_asked_for_by_level_and_never_of_who_does_not_reason() {
    let ask = |model: &str, reasoning| {
        let mut request = Request::new(model, vec![Message::user("hi")]);
        request.options.reasoning = reasoning;
        body("openai", request)
    };
    for (level, want) in [
        (Reasoning::None, r#""reasoning":{"effort":"none"}"#),
        (Reasoning::Low, r#""reasoning":{"effort":"low"}"#),
        (Reasoning::Medium, r#""reasoning":{"effort":"medium"}"#),
        (Reasoning::High, r#""reasoning":{"effort":"high"}"#),
    ] {
        let body = ask("o3", Some(level));
        assert!(body.contains(want) && body.contains("reasoning.encrypted_content"), "{body}");
    }
    for model in [
        "gpt-4.1-mini",
        "openai/gpt-4o",
        "ft:gpt-4o:org:x",
        "gpt-5-chat-latest",
        "gpt-5.2-chat",
        "gpt-3.5-turbo",
    ] {
        assert!(!ask(model, None).contains("include"), "{model}");
    }
    assert!(ask("gpt-5", None).contains("include"));
}

#[test]
fn a_deployment_s_name_does_not_tell_whether_it_reasons() {
    let ask = |reasoning| {
        let mut request = Request::new("my-deployment", vec![Message::user("hi")]);
        request.options.reasoning = reasoning;
        body("azure", request)
    };
    assert!(!ask(None).contains("include"));
    assert!(!ask(Some(Reasoning::None)).contains("include"));
    assert!(ask(Some(Reasoning::Low)).contains(r#""include":["reasoning.encrypted_content"]"#));
}

#[test]
fn a_summary_of_the_reasoning_is_asked_for_by_an_extra_field() {
    let mut request = Request::new("gpt-5", vec![Message::user("hi")]);
    request.options.reasoning = Some(Reasoning::High);
    let field = r#""reasoning":{"effort":"low","summary":"auto"}"#;
    let value = Json::new(field.trim_start_matches("\"reasoning\":")).unwrap();
    request.options.other.push("reasoning", value);
    let body = body("openai", request);
    assert!(body.contains(field) && body.matches("effort").count() == 1, "{body}");
}

#[test]
fn an_answer_of_a_given_form() {
    let mut request = Request::new("m", vec![Message::user("hi")]);
    let schema = Json::new(r#"{"type":"object","properties":{"z":{"const":1e3},"a":{}}}"#).unwrap();
    request.output = Some(Output::Schema { name: "shape".to_owned(), schema, strict: Some(true) });
    assert_snapshot!(body("openai", request.clone()), @r##"{"model":"m","input":[{"type":"message","role":"user","content":"hi"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true,"text":{"format":{"type":"json_schema","name":"shape","schema":{"type":"object","properties":{"z":{"const":1e3},"a":{}}},"strict":true}}}"##);
    let llama = body("llamacpp", request.clone());
    assert!(
        llama.contains(r#""response_format":{"type":"json_schema","json_schema":{"name":"shape","schema":{"#)
    );
    request.output = Some(Output::Json);
    assert!(body("openai", request).contains(r#""text":{"format":{"type":"json_object"}}"#));
}

fn media(media: MediaKind, source: Source, mime: &str) -> Part {
    let name = (media == MediaKind::File).then(|| "report.pdf".to_owned());
    Part::new(PartKind::Media { media, source, mime: Some(mime.to_owned()), name })
}

#[test]
fn images_files_and_what_a_tool_returns() {
    let data = || Source::Base64("QUJD".to_owned());
    let url = || Source::Url("https://example.org/a".to_owned());
    let id = || Source::FileId("file-1".to_owned());
    let parts = vec![
        Part::text("look"),
        media(MediaKind::Image, data(), "image/jpeg"),
        media(MediaKind::Image, url(), "image/png"),
        media(MediaKind::Image, id(), "image/png"),
        media(MediaKind::File, data(), "application/pdf"),
        media(MediaKind::File, url(), "application/pdf"),
        media(MediaKind::File, id(), "application/pdf"),
        media(MediaKind::Audio, data(), "audio/mpeg"),
    ];
    let call = Part::tool_call("c", "draw", "");
    let result = Part::new(PartKind::ToolResult {
        call_id: "c".to_owned(),
        name: None,
        content: vec![Part::text("drawn"), media(MediaKind::Image, data(), "image/png")],
        is_error: true,
    });
    let messages = vec![
        Message::new(Role::Developer, vec![Part::text("Be kind.")]),
        Message::new(Role::User, parts),
        Message::new(Role::Assistant, vec![call]),
        Message::new(Role::Tool, vec![result]),
    ];
    assert_snapshot!(body("openai", Request::new("m", messages)), @r##"
    {"model":"m","input":[{"type":"message","role":"developer","content":"Be kind."},{"type":"message","role":"user","content":[{"type":"input_text","text":"look"},{"image_url":"data:image/jpeg;base64,QUJD","type":"input_image"},{"image_url":"https://example.org/a","type":"input_image"},{"file_id":"file-1","type":"input_image"},{"file_data":"data:application/pdf;base64,QUJD","filename":"report.pdf","type":"input_file"},{"file_url":"https://example.org/a","type":"input_file"},{"file_id":"file-1","type":"input_file"}]},{"type":"function_call","call_id":"c","name":"draw","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"text":"drawn","type":"input_text"},{"image_url":"data:image/png;base64,QUJD","type":"input_image"}]}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}
    ! that a tool failed is not told to this server
    ! media of a kind or source that this protocol does not take is not sent
    "##);
}

#[test]
fn a_message_that_never_ended_goes_back_without_its_id() {
    let part = Part { id: Some("msg_1".to_owned()), ..Part::text("Half an ans") };
    let answer = said("test", Message::new(Role::Assistant, vec![part]));
    let request = Request::new("m", vec![Message::user("a"), answer, Message::user("go on")]);
    assert_snapshot!(body("openai", request), @r##"{"model":"m","input":[{"type":"message","role":"user","content":"a"},{"type":"message","role":"assistant","content":"Half an ans"},{"type":"message","role":"user","content":"go on"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}"##);
}
