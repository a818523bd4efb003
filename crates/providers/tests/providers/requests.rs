//! What a request looks like on the wire.

use std::sync::Arc;

use aichat_message::{
    Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind, Protocol, ReasoningBlock, Role,
    Source, ToolSpec,
};
use aichat_providers::{
    Call, Driver, Endpoint, OpenaiChat, Options, Profile, Provider, Reasoning, Request, ToolChoice,
};
use insta::assert_snapshot;

use crate::canned::Canned;

fn encode(profile: &str, request: Request) -> Call {
    let endpoint = Endpoint::new("here", "http://localhost/v1", Arc::new(Canned::sse(&[])));
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::named(profile).unwrap())).unwrap();
    let call = provider.prepare(request.clone()).unwrap();
    assert_eq!(call.body, provider.prepare(request).unwrap().body, "the same request gives the same bytes");
    call
}

fn body(profile: &str, request: Request) -> String {
    let call = encode(profile, request);
    assert!(call.warnings.is_empty(), "{:?}", call.warnings);
    String::from_utf8(call.body.to_vec()).unwrap()
}

/// The third turn of a conversation with a tool, its answers made by `provider`.
fn third_turn(provider: &str) -> Request {
    let origin = Origin {
        provider: provider.to_owned(),
        protocol: Protocol::OpenaiChat,
        model: "m".to_owned(),
        response_id: None,
    };
    let mut thought = Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text("hm".to_owned())] });
    thought.opaque.push(Opaque {
        provider: provider.to_owned(),
        kind: OpaqueKind::ReasoningDetails,
        data: r#"[{"z":1,"signature":"S==","n":123456789012345678901}]"#.to_owned(),
    });
    let mut call = Part::tool_call("call_1", "clock", r#"{"zone": "UTC", "n": 123456789012345678901}"#);
    call.extra.push("extra_content", Json::new(r#"{"g":{"s":"x"}}"#).unwrap());
    let mut answer = Message::new(Role::Assistant, vec![thought, call]);
    answer.origin = Some(origin);
    answer.extra.push("response.service_tier", Json::new("\"default\"").unwrap());
    answer.extra.push("audio", Json::new(r#"{"id":"a"}"#).unwrap());
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What time is it?"),
        answer,
        Message::new(Role::Tool, vec![Part::tool_result("call_1", "12:00")]),
        Message::assistant("Noon."),
        Message::user("Thanks"),
    ];
    let mut request = Request::new("m", messages);
    let parameters = Json::new(r#"{"type":"object","properties":{"zone":{"type":"string"}}}"#).unwrap();
    request.tools.push(ToolSpec { name: "clock".to_owned(), description: None, parameters, strict: None });
    request
}

#[test]
fn first_turn() {
    let request = Request::new("m", vec![Message::system("Be brief."), Message::user("Why?")]);
    assert_snapshot!(body("generic", request), @r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}],"stream":true,"stream_options":{"include_usage":true}}"#);
}

#[test]
fn third_turn_to_the_same_provider() {
    assert_snapshot!(body("openrouter", third_turn("here")), @r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What time is it?"},{"role":"assistant","reasoning_details":[{"z":1,"signature":"S==","n":123456789012345678901}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"clock","arguments":"{\"zone\": \"UTC\", \"n\": 123456789012345678901}"},"extra_content":{"g":{"s":"x"}}}],"audio":{"id":"a"}},{"role":"tool","content":"12:00","tool_call_id":"call_1"},{"role":"assistant","content":"Noon."},{"role":"user","content":"Thanks"}],"tools":[{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}],"stream":true,"stream_options":{"include_usage":true}}"#);
}

#[test]
fn third_turn_after_a_move() {
    let call = encode("openrouter", third_turn("elsewhere"));
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What time is it?"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"clock","arguments":"{\"zone\": \"UTC\", \"n\": 123456789012345678901}"}}]},{"role":"tool","content":"12:00","tool_call_id":"call_1"},{"role":"assistant","content":"Noon."},{"role":"user","content":"Thanks"}],"tools":[{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}],"stream":true,"stream_options":{"include_usage":true}}"#);
    assert_snapshot!(call.warnings.join("\n"), @r"
    reasoning of another provider is not sent
    opaque data of another provider is not sent
    ");
}

#[test]
fn reasoning_goes_back_as_the_server_wants_it() {
    let mut request = third_turn("here");
    for part in &mut request.messages[2].parts {
        part.opaque.clear();
    }
    let text = body("deepseek", request.clone());
    assert!(text.contains(r#""content":"","reasoning_content":"hm""#), "{text}");
    assert!(!body("generic", request).contains("hm"));
}

#[test]
fn mistral_gets_short_ids_and_no_unknown_fields() {
    let mut request = third_turn("here");
    request.messages[2].parts.remove(0);
    let text = body("mistral", request);
    assert!(text.contains(r#""id":"call00001""#) && text.contains(r#""tool_call_id":"call00001""#), "{text}");
    assert!(
        !text.contains("stream_options") && !text.contains("extra_content") && !text.contains("audio"),
        "{text}"
    );
}

#[test]
fn options_have_the_server_s_names() {
    let mut options = Options {
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_k: Some(40),
        stop: vec!["end".to_owned()],
        seed: Some(7),
        reasoning: Some(Reasoning::Low),
        ..Options::default()
    };
    options.other.push("temperature", Json::new("0.25").unwrap());
    options.other.push("logit_bias", Json::new(r#"{"50256":-100}"#).unwrap());
    let mut request = Request::new("m", vec![Message::user("hi")]);
    (request.options, request.stream, request.tool_choice) = (options, false, Some(ToolChoice::Required));
    let call = encode("openai", request.clone());
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9,"stop":["end"],"seed":7,"reasoning_effort":"low","temperature":0.25,"logit_bias":{"50256":-100}}"#);
    assert_eq!(
        call.warnings,
        ["there is no tool to choose from", "top_k is not known to this server and not sent"]
    );
    request.tool_choice = None;
    assert_snapshot!(body("openrouter", request), @r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":9,"top_k":40,"stop":["end"],"seed":7,"reasoning":{"effort":"low"},"temperature":0.25,"logit_bias":{"50256":-100}}"#);
}

#[test]
fn that_a_tool_failed_has_no_place() {
    let result = |is_error| {
        let (call_id, content) = ("c".to_owned(), vec![Part::text("no such file")]);
        let result = Part::new(PartKind::ToolResult { call_id, name: None, content, is_error });
        let call = Message::new(Role::Assistant, vec![Part::tool_call("c", "read", "{}")]);
        let messages = vec![Message::user("hi"), call, Message::new(Role::Tool, vec![result])];
        encode("openai", Request::new("m", messages)).warnings
    };
    assert_eq!(result(true), ["that a tool failed is not told to this server"]);
    assert!(result(false).is_empty());
}

#[test]
fn a_choice_is_told_where_there_are_tools() {
    let parameters = Json::new(r#"{"type":"object"}"#).unwrap();
    let clock = ToolSpec { name: "clock".to_owned(), description: None, parameters, strict: None };
    for (choice, word) in [
        (ToolChoice::Auto, r#""auto""#),
        (ToolChoice::None, r#""none""#),
        (ToolChoice::Required, r#""required""#),
        (ToolChoice::Tool("clock".to_owned()), r#"{"function":{"name":"clock"},"type":"function"}"#),
    ] {
        let mut request = Request::new("m", vec![Message::user("hi")]);
        (request.tools, request.tool_choice) = (vec![clock.clone()], Some(choice));
        let body = body("openai", request);
        assert!(body.contains(&format!("\"tool_choice\":{word}")), "{body}");
    }
}

#[test]
fn media_makes_a_list_of_parts() {
    let media = |media, source, mime: &str| {
        Part::new(PartKind::Media { media, source, mime: Some(mime.to_owned()), name: Some("f".to_owned()) })
    };
    let parts = vec![
        Part::text("look"),
        media(MediaKind::Image, Source::Base64("QUJD".to_owned()), "image/jpeg"),
        media(MediaKind::Audio, Source::Base64("QUJD".to_owned()), "audio/mpeg"),
        media(MediaKind::File, Source::Base64("QUJD".to_owned()), "application/pdf"),
        media(MediaKind::Video, Source::Url("http://v".to_owned()), "video/mp4"),
    ];
    let call = encode("generic", Request::new("m", vec![Message::new(Role::User, parts)]));
    assert_snapshot!(String::from_utf8_lossy(&call.body), @r#"{"model":"m","messages":[{"role":"user","content":[{"text":"look","type":"text"},{"image_url":{"url":"data:image/jpeg;base64,QUJD"},"type":"image_url"},{"input_audio":{"data":"QUJD","format":"mp3"},"type":"input_audio"},{"file":{"file_data":"data:application/pdf;base64,QUJD","filename":"f"},"type":"file"}]}],"stream":true,"stream_options":{"include_usage":true}}"#);
    assert_snapshot!(call.warnings.join("\n"), @r"media of a kind or source that this protocol does not take is not sent");
}

#[test]
fn calls_without_ids_keep_their_results() {
    let calls = vec![Part::tool_call("", "f", ""), Part::tool_call("", "g", "{}")];
    let results = vec![Part::tool_result("", "1"), Part::tool_result("", "2")];
    let messages =
        vec![Message::user("go"), Message::new(Role::Assistant, calls), Message::new(Role::Tool, results)];
    assert_snapshot!(body("generic", Request::new("m", messages)), @r#"{"model":"m","messages":[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},{"role":"tool","content":"1","tool_call_id":"call_1"},{"role":"tool","content":"2","tool_call_id":"call_2"}],"stream":true,"stream_options":{"include_usage":true}}"#);
}

#[test]
fn a_refusal_goes_back_with_an_empty_content() {
    let refusal = Part::new(PartKind::Refusal { text: "no".to_owned() });
    let messages = vec![Message::user("a"), Message::new(Role::Assistant, vec![refusal]), Message::user("b")];
    assert_snapshot!(body("openai", Request::new("m", messages)), @r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","refusal":"no"},{"role":"user","content":"b"}],"stream":true,"stream_options":{"include_usage":true}}"#);
}
