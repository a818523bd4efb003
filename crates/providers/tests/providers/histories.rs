//! Requests by chance: whatever a history holds, an adapter writes JSON or says why not, and sends nothing foreign.

use std::sync::Arc;

use aichat_message::{
    ErrorKind, Executor, Extra, Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind,
    Protocol, ReasoningBlock, Role, Source, ToolSpec,
};
use aichat_providers::{Fault, Options, Reasoning, Request, ToolChoice};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::recordings::{Spoken, protocols};

/// What another provider's opaque data holds, and nothing else does.
const FOREIGN: &str = "FOREIGN";

fn word() -> impl Strategy<Value = String> {
    select(vec!["", "x", "hello there", "é👩‍🚀", "\"\\\n\r\t", "\0\u{7f}\u{2028}", "null", "a b/c?d", "]]>"])
        .prop_map(str::to_owned)
}

/// Ids, few enough that a result often finds its call.
fn id() -> impl Strategy<Value = String> {
    select(vec!["", "call_1", "call_2", "an id that is far too long for some and has / and ä in it"])
        .prop_map(str::to_owned)
}

fn arguments() -> impl Strategy<Value = String> {
    let texts =
        ["", "{}", "{\"a\":1}", " {\"n\": 123456789012345678901} ", "{\"a\":", "null", "[1]", "\"x\"", "no"];
    select(texts.to_vec()).prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = Json> {
    let texts = ["null", "1e400", "\"x\"", "[]", "{}", "{\"type\":\"x\",\"text\":\"y\"}", "[{\"a\":[{}]}]"];
    select(texts.to_vec()).prop_map(|text| Json::new(text).unwrap())
}

fn extra() -> impl Strategy<Value = Extra> {
    let name = select(vec!["x", "type", "role", "content", "cache_control", "thoughtSignature"]);
    vec((name.prop_map(str::to_owned), json()), 0..2).prop_map(Extra::from_iter)
}

fn opaque() -> impl Strategy<Value = Opaque> {
    let kind = select(vec![
        OpaqueKind::Signature,
        OpaqueKind::RedactedThinking,
        OpaqueKind::EncryptedContent,
        OpaqueKind::ReasoningDetails,
        OpaqueKind::ThoughtSignature,
        OpaqueKind::Other("x".to_owned()),
    ]);
    let data =
        select(vec!["", "S==", "[]", "[{\"type\":\"reasoning.text\",\"index\":0}]", "{\"id\":\"x\"}", "[{"]);
    (any::<bool>(), kind, data).prop_map(|(own, kind, data)| match own {
        true => Opaque { provider: "test".to_owned(), kind, data: data.to_owned() },
        false => Opaque { provider: "elsewhere".to_owned(), kind, data: FOREIGN.to_owned() },
    })
}

fn simple() -> impl Strategy<Value = PartKind> {
    let source = prop_oneof![
        select(vec!["QUJD", "", "not base64!"]).prop_map(|text| Source::Base64(text.to_owned())),
        Just(Source::Url("https://h.invalid/a.png".to_owned())),
        word().prop_map(Source::FileId),
    ];
    let media = select(vec![MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::File]);
    let mime = of(select(vec!["image/png", "audio/wav", "application/pdf", "", "x"]).prop_map(str::to_owned));
    prop_oneof![
        3 => (word(), vec(json(), 0..2)).prop_map(|(text, annotations)| PartKind::Text { text, annotations }),
        2 => (media, source, mime, of(word()))
            .prop_map(|(media, source, mime, name)| PartKind::Media { media, source, mime, name }),
    ]
}

fn kind() -> impl Strategy<Value = PartKind> {
    let block = (any::<bool>(), word()).prop_map(|(summary, text)| match summary {
        true => ReasoningBlock::Summary(text),
        false => ReasoningBlock::Text(text),
    });
    let executor = select(vec![Executor::Client, Executor::Client, Executor::Server]);
    prop_oneof![
        4 => simple(),
        1 => word().prop_map(|text| PartKind::Refusal { text }),
        3 => vec(block, 0..3).prop_map(|blocks| PartKind::Reasoning { blocks }),
        3 => (id(), word(), arguments(), executor).prop_map(|(call_id, name, arguments, executor)| {
            PartKind::ToolCall { call_id, name, arguments: arguments.into(), executor }
        }),
        3 => (id(), of(word()), vec(simple().prop_map(Part::new), 0..3), any::<bool>()).prop_map(
            |(call_id, name, content, is_error)| PartKind::ToolResult { call_id, name, content, is_error }
        ),
        1 => (word(), json()).prop_map(|(type_name, raw)| PartKind::Unknown { type_name, raw }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let part = (kind(), of(id()), vec(opaque(), 0..2), extra()).prop_map(|(kind, id, opaque, extra)| Part {
        kind,
        id,
        opaque,
        extra,
    });
    let role =
        select(vec![Role::System, Role::Developer, Role::User, Role::Assistant, Role::Assistant, Role::Tool]);
    let origin = of((
        any::<bool>(),
        select(vec![Protocol::OpenaiChat, Protocol::Anthropic, Protocol::Gemini, Protocol::Ollama]),
    ));
    (role, vec(part, 0..5), origin, extra()).prop_map(|(role, parts, origin, extra)| {
        let origin = origin.map(|(own, protocol)| Origin {
            provider: if own { "test" } else { "elsewhere" }.to_owned(),
            protocol,
            model: "m".to_owned(),
            response_id: None,
        });
        Message { role, parts, origin, extra }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let tool = (word(), of(word()), json(), of(any::<bool>())).prop_map(
        |(name, description, parameters, strict)| ToolSpec { name, description, parameters, strict },
    );
    let choice = of(prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Tool),
    ]);
    let reasoning = of(select(vec![Reasoning::None, Reasoning::Low, Reasoning::High, Reasoning::Tokens(9)]));
    let options = (of(any::<u64>()), of(-1.0f64..3.0), vec(word(), 0..2), reasoning, extra()).prop_map(
        |(max_tokens, temperature, stop, reasoning, other)| Options {
            max_tokens,
            temperature,
            stop,
            reasoning,
            other,
            ..Options::default()
        },
    );
    (vec(message(), 0..7), vec(tool, 0..3), choice, options, any::<bool>()).prop_map(
        |(messages, tools, tool_choice, options, stream)| Request {
            tools,
            tool_choice,
            options,
            stream,
            ..Request::new("m", messages)
        },
    )
}

fn writes(spoken: &Spoken, cases: u32) {
    let provider = (spoken.provider)(Arc::new(Fault::new([])));
    let given = Config::default();
    let config = Config { cases: cases.max(given.cases), failure_persistence: None, ..given };
    let done = TestRunner::new(config).run(&request(), |request| {
        match (provider.prepare(request.clone()), provider.prepare(request)) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(&first.body, &second.body, "the same request gives the same bytes");
                let body = String::from_utf8(first.body.to_vec()).unwrap();
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok(), "{}", body);
                prop_assert!(!body.contains(FOREIGN), "opaque data of another provider is sent: {}", body);
            }
            (Err(error), Err(_)) => {
                let kinds = [ErrorKind::Unsupported, ErrorKind::InvalidRequest];
                prop_assert!(kinds.contains(&error.kind()), "{:?}", error);
            }
            _ => prop_assert!(false, "one request is taken once and refused once"),
        }
        Ok(())
    });
    if let Err(error) = done {
        panic!("{}: {error}", spoken.name);
    }
}

#[test]
fn every_adapter_writes_whatever_is_said() {
    for spoken in protocols() {
        writes(spoken, 1000);
    }
}
