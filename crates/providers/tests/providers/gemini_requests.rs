//! What a request looks like on the wire of Google Gemini.

use std::sync::Arc;

use aichat_message::{Json, MediaKind, Message, Origin, Part, PartKind, Protocol, Role, Source, ToolSpec};
use aichat_providers::{
    Call, Driver, Endpoint, Fault, Gemini, Options, Output, Provider, Reasoning, Request, ToolChoice,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::gemini::{FUNCTION_RESPONSE, media, signature, thought};

fn prepare(request: Request) -> Call {
    let endpoint = Endpoint::new("here", "http://localhost/v1beta", Arc::new(Fault::new([])));
    let provider = Driver::new(endpoint, Gemini::new()).unwrap();
    let call = provider.prepare(request.clone()).unwrap();
    assert_eq!(call.body, provider.prepare(request).unwrap().body, "the same request gives the same bytes");
    call
}

fn body(request: Request) -> String {
    let call = prepare(request);
    assert!(call.warnings.is_empty(), "{:?}", call.warnings);
    String::from_utf8(call.body.to_vec()).unwrap()
}

fn told(request: Request) -> (String, String) {
    let call = prepare(request);
    (String::from_utf8(call.body.to_vec()).unwrap(), call.warnings.join("\n"))
}

pub(crate) fn hi(model: &str) -> Request {
    Request::new(model, vec![Message::user("hi")])
}

fn answer(provider: &str, parts: Vec<Part>) -> Message {
    let protocol = if provider == "there" { Protocol::Anthropic } else { Protocol::Gemini };
    let origin = Origin { provider: provider.into(), protocol, model: "m".into(), response_id: None };
    Message { origin: Some(origin), ..Message::new(Role::Assistant, parts) }
}

fn tool(name: &str) -> ToolSpec {
    let parameters = Json::new(r#"{"type":"object","properties":{"zone":{"type":"string"}}}"#).unwrap();
    ToolSpec { name: name.to_owned(), description: Some("Tells it.".to_owned()), parameters, strict: None }
}

/// A conversation with everything that an answer may hold.
fn conversation(provider: &str, model: &str) -> Request {
    let signed = |mut part: Part, data: &str| {
        part.opaque.push(signature(provider, data));
        part
    };
    let mut call =
        signed(Part::tool_call("", "clock", r#"{"zone": "UTC", "n": 123456789012345678901}"#), "S/2==");
    call.extra.push("functionCall.flavour", Json::new("1.0").unwrap());
    let mut text = signed(Part::text("Let me see."), "S/1==");
    text.extra.push("partMetadata", Json::new(r#"{"z":1.50,"a":2}"#).unwrap());
    let code = Json::new(r#"{"executableCode":{"language":"PYTHON","code":"1"}}"#).unwrap();
    let code = Part::new(PartKind::Unknown { type_name: "executableCode".into(), raw: code });
    let mut first = answer(
        provider,
        vec![
            thought("hm"),
            text,
            signed(code, "S/c=="),
            call,
            Part::tool_call("fc_2", "now", ""),
            signed(Part::text(""), "S/3=="),
        ],
    );
    first.extra.push("mood", Json::new(r#""fine""#).unwrap());
    first.extra.push("response.groundingMetadata", Json::new(r#"{"webSearchQueries":["q"]}"#).unwrap());
    let results = vec![Part::tool_result("", "12:00"), Part::tool_result("fc_2", "1")];
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What time is it?"),
        first,
        Message::new(Role::Tool, results),
        Message::user("Well?"),
    ];
    Request { tools: vec![tool("clock"), tool("now")], ..Request::new(model, messages) }
}

#[test]
fn what_this_server_said_goes_back_as_it_came() {
    assert_snapshot!(body(conversation("here", "gemini-3-flash")), @r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"What time is it?"}]},{"role":"model","parts":[{"text":"hm","thought":true},{"text":"Let me see.","partMetadata":{"z":1.50,"a":2},"thoughtSignature":"S/1=="},{"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"S/c=="},{"functionCall":{"name":"clock","args":{"zone": "UTC", "n": 123456789012345678901},"flavour":1.0},"thoughtSignature":"S/2=="},{"functionCall":{"id":"fc_2","name":"now","args":{}}},{"text":"","thoughtSignature":"S/3=="}],"mood":"fine"},{"role":"user","parts":[{"functionResponse":{"name":"clock","response":{"result":"12:00"}}},{"functionResponse":{"id":"fc_2","name":"now","response":{"result":"1"}}},{"text":"Well?"}]}],"tools":[{"functionDeclarations":[{"name":"clock","description":"Tells it.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}}}},{"name":"now","description":"Tells it.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}}}}]}]}"#);
}

#[test]
fn what_another_provider_said_is_rewritten_with_a_warning() {
    let (text, warnings) = told(conversation("there", "gemini-3-flash"));
    assert!(!text.contains("S/") && !text.contains("mood") && !text.contains("flavour"), "{text}");
    assert_snapshot!(text, @r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"What time is it?"}]},{"role":"model","parts":[{"text":"Let me see."},{"functionCall":{"name":"clock","args":{"zone": "UTC", "n": 123456789012345678901}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"id":"fc_2","name":"now","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"clock","response":{"result":"12:00"}}},{"functionResponse":{"id":"fc_2","name":"now","response":{"result":"1"}}},{"text":"Well?"}]}],"tools":[{"functionDeclarations":[{"name":"clock","description":"Tells it.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}}}},{"name":"now","description":"Tells it.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}}}}]}]}"#);
    assert_snapshot!(warnings, @r"
    reasoning of another provider is not sent
    a part that only another provider understands is not sent
    opaque data of another provider is not sent
    a call that this model did not sign is sent with a placeholder
    ");
    // Only models from 3 on want every call signed.
    let (text, _) = told(conversation("there", "models/gemini-2.5-pro"));
    assert!(!text.contains("thoughtSignature"), "{text}");
}

#[test]
fn unknown_fields_of_one_of_two_answers_in_a_row_have_no_place() {
    let mut request = conversation("here", "gemini-3-flash");
    let again = |name: &str| {
        let mut again = answer("here", vec![Part::text("more")]);
        again.extra.push(name, Json::new("1").unwrap());
        again
    };
    let lost = "unknown fields of an answer that is made one with the next are not sent";
    request.messages = vec![Message::user("go"), again("response.x"), again("response.y")];
    assert_eq!(told(request.clone()).1, "");
    request.messages[2] = again("mood");
    let (text, warnings) = told(request.clone());
    assert!(!text.contains("mood") && warnings == lost, "{text} {warnings}");
    request.messages.swap(1, 2);
    assert_eq!(told(request).1, lost);
}

#[test]
fn only_the_first_call_of_an_answer_needs_a_signature() {
    let ours = |parts| {
        let results = vec![Part::tool_result("a", "1"), Part::tool_result("b", "2")];
        let messages = vec![Message::user("go"), answer("here", parts), Message::new(Role::Tool, results)];
        let (text, _) = told(Request::new("gemini-3-pro", messages));
        let body: Value = serde_json::from_str(&text).unwrap();
        let parts = body["contents"][1]["parts"].as_array().unwrap().clone();
        parts.iter().map(|part| part["thoughtSignature"].clone()).collect::<Vec<_>>()
    };
    let call = |id: &str, data: &str| {
        let mut call = Part::tool_call(id, "f", "{}");
        call.opaque.extend((!data.is_empty()).then(|| signature("here", data)));
        call
    };
    assert_eq!(ours(vec![call("a", "S"), call("b", "")]), [json!("S"), json!(null)]);
    let placeholder = json!("skip_thought_signature_validator");
    assert_eq!(ours(vec![call("a", ""), call("b", "S")]), [placeholder.clone(), json!("S")]);
    // A call without a result is not sent; the next one is the first then.
    assert_eq!(ours(vec![call("lost", "S"), call("b", "")]), [placeholder]);
}

#[test]
fn options_stand_in_one_object_and_take_what_the_caller_adds() {
    let mut request = Request { tools: vec![tool("clock")], ..hi("gemini-2.5-flash") };
    request.options = Options {
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        stop: vec!["end".to_owned()],
        seed: Some(-7),
        reasoning: Some(Reasoning::Low),
        ..Options::default()
    };
    for (name, value) in [
        ("safetySettings", r#"[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#),
        ("generationConfig", r#"{"candidateCount":1,"topP":0.50}"#),
        ("tools", r#"[{"googleSearch":{}}]"#),
        ("contents", "[]"),
    ] {
        request.options.other.push(name, Json::new(value).unwrap());
    }
    let (text, warnings) = told(request);
    assert_snapshot!(text, @r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"clock","description":"Tells it.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}}}}]},{"googleSearch":{}}],"generationConfig":{"maxOutputTokens":9,"temperature":0.5,"topP":0.50,"topK":40,"stopSequences":["end"],"seed":-7,"thinkingConfig":{"thinkingBudget":1024,"includeThoughts":true},"candidateCount":1},"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]}"#);
    assert_snapshot!(warnings, @r"contents cannot be replaced by an extra field");
}

#[test]
fn each_family_is_told_its_own_way_how_much_to_think() {
    let asked = |model: &str, reasoning| {
        let mut request = hi(model);
        request.options.reasoning = Some(reasoning);
        let (text, warnings) = told(request);
        let body: Value = serde_json::from_str(&text).unwrap();
        (body["generationConfig"]["thinkingConfig"].clone(), !warnings.is_empty())
    };
    let budget = |tokens, thoughts| json!({"thinkingBudget": tokens, "includeThoughts": thoughts});
    let level = |level, thoughts| json!({"thinkingLevel": level, "includeThoughts": thoughts});
    for (model, reasoning, config, warned) in [
        ("gemini-2.0-flash", Reasoning::None, Value::Null, false),
        ("gemini-2.0-flash", Reasoning::High, Value::Null, true),
        ("gemini-2.5-flash", Reasoning::None, budget(0, false), false),
        ("gemini-2.5-pro", Reasoning::None, budget(128, false), true),
        ("gemini-2.5-pro", Reasoning::Low, budget(1024, true), false),
        ("gemini-2.5-pro", Reasoning::Medium, budget(8192, true), false),
        ("gemini-2.5-pro", Reasoning::High, budget(24576, true), false),
        ("gemini-2.5-pro", Reasoning::Tokens(77), budget(128, true), true),
        ("gemini-2.5-pro", Reasoning::Tokens(128), budget(128, true), false),
        ("gemini-2.5-pro", Reasoning::Tokens(0), budget(128, false), true),
        ("gemini-2.5-flash", Reasoning::Tokens(0), budget(0, false), false),
        ("gemini-2.0-flash", Reasoning::Tokens(0), Value::Null, false),
        ("gemini-3-flash", Reasoning::Tokens(0), level("minimal", false), true),
        ("gemini-3-flash-preview", Reasoning::None, level("minimal", false), true),
        ("gemini-3.1-pro-preview", Reasoning::None, level("low", false), true),
        ("models/gemini-3.1-pro", Reasoning::Low, level("low", true), false),
        ("gemini-flash-latest", Reasoning::Medium, level("medium", true), false),
        ("gemini-3-flash", Reasoning::High, level("high", true), false),
        ("gemini-3-flash", Reasoning::Tokens(77), budget(77, true), false),
    ] {
        assert_eq!(asked(model, reasoning.clone()), (config, warned), "{model} {reasoning:?}");
    }
}

#[test]
fn tools_are_not_replaced_by_what_is_no_list() {
    let mut request = Request { tools: vec![tool("clock")], ..hi("gemini-3-flash") };
    request.options.other.push("tools", Json::new(r#"{"googleSearch":{}}"#).unwrap());
    let (text, warnings) = told(request);
    assert!(text.contains("clock") && !text.contains("googleSearch"), "{text}");
    assert_eq!(warnings, "tools cannot be replaced by an extra field");
}

#[test]
fn tools_are_offered_as_the_choice_says() {
    let with = |choice, strict| {
        let tools = vec![ToolSpec { strict, ..tool("clock") }, tool("now")];
        let text = body(Request { tools, tool_choice: choice, ..hi("gemini-3-flash") });
        serde_json::from_str::<Value>(&text).unwrap()["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(with(None, None), json!(null));
    assert_eq!(with(Some(ToolChoice::Auto), None), json!({"mode": "AUTO"}));
    assert_eq!(with(Some(ToolChoice::None), None), json!({"mode": "NONE"}));
    assert_eq!(with(Some(ToolChoice::Required), Some(true)), json!({"mode": "ANY"}));
    assert_eq!(
        with(Some(ToolChoice::Tool("now".into())), None),
        json!({"mode": "ANY", "allowedFunctionNames": ["now"]})
    );
    assert_eq!(with(None, Some(true)), json!({"mode": "VALIDATED"}));
    let (none, warnings) = told(Request { tool_choice: Some(ToolChoice::Required), ..hi("gemini-3-flash") });
    assert!(!none.contains("toolConfig"), "{none}");
    assert_eq!(warnings, "there is no tool to choose from");
}

#[test]
fn the_form_of_the_answer_is_a_schema_or_just_json() {
    let with = |output| body(Request { output: Some(output), ..hi("m") });
    assert_snapshot!(with(Output::Json), @r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseMimeType":"application/json"}}"#);
    let schema =
        Json::new(r#"{"type":"object","properties":{"z":{"type":"number","maximum":1.0e3},"a":{}}}"#);
    assert_snapshot!(with(Output::Schema { name: "n".into(), schema: schema.unwrap(), strict: Some(true) }), @r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{"z":{"type":"number","maximum":1.0e3},"a":{}}}}}"#);
}

#[test]
fn media_are_bytes_or_addresses() {
    let parts = vec![
        Part::text("look"),
        media(MediaKind::Image, Source::Base64("QUJD".into()), None),
        media(MediaKind::Image, Source::Url("https://example.com/a.png".into()), Some("image/png")),
        media(MediaKind::File, Source::Base64("JVBERg==".into()), Some("application/pdf")),
        media(MediaKind::Audio, Source::Base64("UklGRg==".into()), Some("audio/mpeg")),
        media(MediaKind::Video, Source::FileId("https://host/v1beta/files/1".into()), Some("video/mp4")),
    ];
    let request = Request::new("gemini-3-flash", vec![Message::new(Role::User, parts)]);
    assert_snapshot!(body(request), @r#"{"contents":[{"role":"user","parts":[{"text":"look"},{"inlineData":{"mimeType":"image/png","data":"QUJD"}},{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/a.png"}},{"inlineData":{"mimeType":"application/pdf","data":"JVBERg=="}},{"inlineData":{"mimeType":"audio/mpeg","data":"UklGRg=="}},{"fileData":{"mimeType":"video/mp4","fileUri":"https://host/v1beta/files/1"}}]}]}"#);
}

#[test]
fn results_hold_text_images_and_errors() {
    let result = |id: &str, parts, is_error| {
        Part::new(PartKind::ToolResult { call_id: id.into(), name: None, content: parts, is_error })
    };
    let with = |model: &str| {
        let mut call = Part::tool_call("a", "look", "{}");
        call.opaque.push(signature("here", "S"));
        let image = media(MediaKind::Image, Source::Base64("QUJD".into()), None);
        let far = media(MediaKind::Image, Source::Url("https://example.com/a.png".into()), None);
        let results = vec![
            result("a", vec![Part::text("seen"), image, far], false),
            result("b", vec![Part::text("no"), Part::text("light")], true),
        ];
        let messages = vec![
            Message::user("go"),
            answer("here", vec![call, Part::tool_call("b", "look", "not JSON")]),
            Message::new(Role::Tool, results),
            Message::user("and?"),
        ];
        told(Request::new(model, messages))
    };
    let (text, warnings) = with("gemini-3-flash");
    assert_snapshot!(text, @r#"{"contents":[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"look","args":{}},"thoughtSignature":"S"},{"functionCall":{"id":"b","name":"look","args":{"arguments":"not JSON"}}}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"look","response":{"result":"seen"},"parts":[{"inlineData":{"mimeType":"image/png","data":"QUJD"}}]}},{"functionResponse":{"id":"b","name":"look","response":{"error":"no\n\nlight"}}},{"fileData":{"fileUri":"https://example.com/a.png"}},{"text":"and?"}]}]}"#);
    assert_snapshot!(warnings, @r"arguments that are not a JSON object are sent as the text of one");
    // Models before 3 take no media inside a result.
    let (text, _) = with("gemini-2.5-flash");
    let body: Value = serde_json::from_str(&text).unwrap();
    let kinds = body["contents"][2]["parts"].as_array().unwrap().iter().map(|part| {
        assert!(part[FUNCTION_RESPONSE]["parts"].is_null());
        part.as_object().unwrap().keys().next().unwrap().clone()
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [FUNCTION_RESPONSE, FUNCTION_RESPONSE, "inlineData", "fileData", "text"]
    );
}
