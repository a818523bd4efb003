//! Facts: their JSON, and that older and newer data opens.

use aichat_events::{
    Fact, Hash, Interruption, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed, MessageAssistant,
    SessionCreated, SessionDeleted, SessionImportedFrom, Timing, TurnInterrupted, TurnStarted,
};
use aichat_message::{ErrorKind, Finish, FinishReason, Json, MessageId, Protocol, TurnId, Usage};

use crate::log::{Log, bits};

fn json<F: Fact + PartialEq + std::fmt::Debug>(fact: &F) -> String {
    let text = serde_json::to_string(fact).unwrap();
    assert_eq!(&serde_json::from_str::<F>(&text).unwrap(), fact);
    text
}

#[test]
fn facts_are_written_without_empty_options() {
    assert_eq!(json(&SessionDeleted {}), "{}");
    let turn = TurnStarted {
        base: Some(TurnId::from_bits(bits(1))),
        input: MessageId::from_bits(bits(2)),
        model: "openai/gpt".into(),
        scope: None,
        agent: None,
    };
    insta::assert_snapshot!(json(&turn), @r#"{"base":"trn_040g2081040g2081","input":"msg_081040g2081040g2","model":"openai/gpt"}"#);
    let request = LlmRequestStarted {
        attempt: 1,
        provider: "openai".into(),
        protocol: Protocol::OpenaiChat,
        host: "api.openai.com".into(),
        model: "gpt".into(),
        options: Json::new(r#"{"seed":123456789012345678901234567890}"#).unwrap(),
        output: None,
        stream: true,
        messages: vec![MessageId::from_bits(bits(2))],
        body_hash: Hash::of(b"body"),
        body_bytes: 4,
        adapter: "0.1.0".into(),
    };
    insta::assert_snapshot!(json(&request), @r#"{"attempt":1,"provider":"openai","protocol":"openai-chat","host":"api.openai.com","model":"gpt","options":{"seed":123456789012345678901234567890},"stream":true,"messages":["msg_081040g2081040g2"],"body_hash":"0be9c598ae63835518e7fb422dc3027f452d75f3dbdb94c90d843298b1180ad9","body_bytes":4,"adapter":"0.1.0"}"#);
    let response = LlmResponseCompleted {
        model: None,
        response_id: Some("r".into()),
        request_id: None,
        finish: Finish { reason: FinishReason::Stop, raw: Some("stop".into()) },
        usage: Some(Usage { input_tokens: Some(1), ..Usage::default() }),
        timing: Timing { first_content_us: Some(2), total_us: 3, chunks: 4, longest_gap_us: 5 },
        rate_limits: vec![("x-remaining".into(), "6".into())],
    };
    insta::assert_snapshot!(json(&response), @r#"{"response_id":"r","finish":{"reason":"stop","raw":"stop"},"usage":{"input_tokens":1},"timing":{"first_content_us":2,"total_us":3,"chunks":4,"longest_gap_us":5},"rate_limits":[["x-remaining","6"]]}"#);
}

#[test]
fn an_import_says_where_from_and_what_was_lost() {
    let import = SessionImportedFrom {
        tool: "llm".into(),
        conversation: Some("01m8".into()),
        name: None,
        imported: 5,
        lost: vec!["temperature".into()],
    };
    insta::assert_snapshot!(json(&import), @r#"{"tool":"llm","conversation":"01m8","imported":5,"lost":["temperature"]}"#);
    assert_eq!(serde_json::from_str::<SessionImportedFrom>("{}").unwrap(), SessionImportedFrom::default());
}

#[test]
fn fields_that_are_missing_or_unknown_are_no_reason_to_refuse() {
    let fact: LlmResponseFailed = serde_json::from_str(r#"{"kind":"later_kind","later":{"a":1}}"#).unwrap();
    assert_eq!((fact.kind, fact.retryable, fact.timing), (ErrorKind::Server, false, None));
    let fact: TurnInterrupted = serde_json::from_str(r#"{"reason":"meteor"}"#).unwrap();
    assert_eq!((fact.reason, fact.reason.as_str()), (Interruption::Other, "other"));
    let text = r#"{"id":"msg_0","message":{"role":"assistant"},"later":[]}"#;
    let fact: MessageAssistant = serde_json::from_str(text).unwrap();
    assert_eq!((fact.partial, fact.parent, fact.message.parts.len()), (false, None, 0));
}

#[test]
fn a_fact_is_read_only_from_its_type_in_a_version_that_is_known() {
    let mut log = Log::new();
    let payload = |text: &str| Json::new(text).unwrap();
    log.add_raw("session.created", 1, payload(r#"{"name":"a"}"#))
        .add_raw("session.created", 2, payload(r#"{"name":"a"}"#))
        .add_raw("session.renamed", 1, payload(r#"{"name":"a"}"#))
        .add_raw("session.created", 1, payload(r#"{"name":[]}"#));
    let names: Vec<_> = log.events.iter().map(|e| SessionCreated::of(e).and_then(|fact| fact.name)).collect();
    assert_eq!(names, [Some("a".to_owned()), None, None, None]);
    assert_eq!(SessionCreated::of(&log.events[0].erase()), None);
}
