//! Facts: their JSON, and that older and newer data opens.

use aichat_events::{
    Draft, Event, Fact, Hash, Interruption, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    MessageAssistant, Messages, RowKind, Salt, SessionCreated, SessionDeleted, SessionImportedFrom, Timeline,
    Timing, Transcript, TurnInterrupted, TurnStarted, Upcast,
};
use aichat_message::{
    ErrorKind, EventId, Extra, Finish, FinishReason, Json, JsonError, MessageId, Protocol, SessionId, TurnId,
    Usage, WriterId,
};
use serde::{Deserialize, Serialize};

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
        mends: None,
    };
    insta::assert_snapshot!(json(&turn), @r#"{"base":"trn_040g2081040g2081","input":"msg_081040g2081040g2","model":"openai/gpt"}"#);
    let request = LlmRequestStarted {
        attempt: 1,
        provider: "openai".into(),
        protocol: Protocol::OpenaiChat,
        profile: Some("openai".into()),
        api_version: None,
        host: "api.openai.com".into(),
        local: false,
        path: "/v1/chat/completions".into(),
        model: "gpt".into(),
        options: Json::new(r#"{"seed":123456789012345678901234567890}"#).unwrap(),
        output: None,
        stream: true,
        messages: Messages { last: Some(MessageId::from_bits(bits(2))), ..Messages::default() },
        body_hash: Hash::of(b"body"),
        body_bytes: 4,
        adapter: "0.1.0".into(),
    };
    insta::assert_snapshot!(json(&request), @r#"{"attempt":1,"provider":"openai","protocol":"openai-chat","profile":"openai","host":"api.openai.com","path":"/v1/chat/completions","model":"gpt","options":{"seed":123456789012345678901234567890},"stream":true,"messages":{"last":"msg_081040g2081040g2"},"body_hash":"0be9c598ae63835518e7fb422dc3027f452d75f3dbdb94c90d843298b1180ad9","body_bytes":4,"adapter":"0.1.0"}"#);
    let response = LlmResponseCompleted {
        model: None,
        response_id: Some("r".into()),
        request_id: None,
        finish: Finish { reason: FinishReason::Stop, raw: Some("stop".into()) },
        usage: Some(Usage { input_tokens: Some(1), ..Usage::default() }),
        timing: Timing {
            queue_us: Some(1),
            first_byte_us: None,
            first_content_us: Some(2),
            total_us: 3,
            chunks: 4,
            longest_gap_us: 5,
        },
        rate_limits: vec![("x-remaining".into(), "6".into())],
    };
    insta::assert_snapshot!(json(&response), @r#"{"response_id":"r","finish":{"reason":"stop","raw":"stop"},"usage":{"input_tokens":1},"timing":{"queue_us":1,"first_content_us":2,"total_us":3,"chunks":4,"longest_gap_us":5},"rate_limits":[["x-remaining","6"]]}"#);
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

/// A fact that has changed twice: from degrees Fahrenheit, and then to a place beside the temperature.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WeatherMeasured {
    celsius: i64,
    place: String,
}

impl Fact for WeatherMeasured {
    const TYPE: &'static str = "weather.measured";
    const UPCASTS: &'static [Upcast] = &[v1, v2];
}

fn v1(old: &Json) -> Result<Json, JsonError> {
    #[derive(Deserialize)]
    struct V1 {
        fahrenheit: i64,
    }
    let old: V1 = old.to()?;
    Json::from_value(&serde_json::json!({ "celsius": (old.fahrenheit - 32) * 5 / 9 }))
}

fn v2(old: &Json) -> Result<Json, JsonError> {
    let mut fields: Extra = old.to()?;
    fields.set("place", Json::from_value("somewhere")?);
    Json::from_value(&fields)
}

#[test]
fn payloads_of_every_earlier_version_are_read_as_the_current_one_and_stay_as_they_are() {
    assert_eq!((WeatherMeasured::VERSION, SessionCreated::VERSION), (3, 1));
    let mut log = Log::new();
    let payloads = [
        (0, r#"{"kelvin":300}"#),
        (1, r#"{"fahrenheit":68}"#),
        (1, r#"{"celsius":20}"#),
        (2, r#"{"celsius":20,"later":12345678901234567890}"#),
        (3, r#"{"celsius":20,"place":"Turku"}"#),
        (4, r#"{"celsius":20,"place":"Turku"}"#),
        (u32::MAX, r#"{"celsius":20,"place":"Turku"}"#),
    ];
    for (tv, payload) in payloads {
        log.add_raw(WeatherMeasured::TYPE, tv, Json::new(payload).unwrap());
    }
    let read: Vec<_> = log.events.iter().map(WeatherMeasured::of).collect();
    let at = |place: &str| Some(WeatherMeasured { celsius: 20, place: place.into() });
    assert_eq!(read, [None, at("somewhere"), None, at("somewhere"), at("Turku"), None, None]);
    for (event, (tv, payload)) in log.events.iter().zip(payloads) {
        assert_eq!((event.tv(), event.payload().unwrap().get()), (tv, payload));
        assert!(event.is_opaque(), "the crate does not know it");
        assert_eq!(Event::parse(event.line()).unwrap().line(), event.line());
    }
}

#[test]
fn what_is_neither_known_nor_readable_is_opaque_and_no_reason_to_refuse() {
    let mut log = Log::new();
    log.ask(1, None, "Why?").request(1);
    log.add_raw("model.dreamt", 1, Json::new(r#"{"of":"sheep"}"#).unwrap());
    log.add_raw(MessageAssistant::TYPE, 9, Json::new(r#"{"said":"in another way"}"#).unwrap());
    log.complete(1);
    let opaque: Vec<_> = log.events.iter().map(Event::is_opaque).collect();
    assert_eq!(opaque, [false, false, false, true, true, false]);
    let warnings: Vec<_> = Transcript::fold(&log.events).warnings.into_iter().map(|w| w.text).collect();
    assert_eq!(warnings, ["the message of event 5 cannot be read, a later version wrote it"]);
    let rows = Timeline::of(&log.events).turns.remove(0).rows;
    let notes: Vec<_> = rows.iter().filter(|row| row.what == RowKind::Opaque).map(|row| &row.note).collect();
    let note = |text: &str| Some(text.to_owned());
    assert_eq!(notes, [&note("model.dreamt of version 1"), &note("message.assistant of version 9")]);
}

#[test]
fn a_request_of_the_first_version_lists_its_messages() {
    let payload = r#"{"attempt":1,"protocol":"openai-chat","options":{"seed":12345678901234567890},"messages":["msg_1","msg_2"],"body_hash":"0be9c598ae63835518e7fb422dc3027f452d75f3dbdb94c90d843298b1180ad9"}"#;
    let draft = |tv| Draft {
        id: EventId::from_bits(bits(1)),
        session: SessionId::from_bits(bits(1)),
        ts: 0,
        mono_us: 0,
        writer: WriterId::from_bits(bits(1)),
        kind: LlmRequestStarted::TYPE.into(),
        tv,
        turn: None,
        run: None,
        call: None,
        span: None,
        parent_span: None,
        cause: None,
        salt: Salt([0; 16]),
        payload: Json::new(payload).unwrap(),
    };
    let first = LlmRequestStarted::of(&draft(1).seal(1, &Hash::ZERO)).unwrap();
    let ids = ["msg_1", "msg_2"].map(|id| id.parse::<MessageId>().unwrap());
    let listed = Messages { last: Some(ids[1].clone()), left_out: vec![], listed: Some(ids.to_vec()) };
    assert_eq!((first.messages, first.options.get()), (listed, r#"{"seed":12345678901234567890}"#));
    assert_eq!(LlmRequestStarted::VERSION, 2);
    assert_eq!(LlmRequestStarted::of(&draft(2).seal(1, &Hash::ZERO)), None, "the second has no list");
}
