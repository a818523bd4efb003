//! That `docs/events.md` says what the types say, and that what is written has the schema that it gives.
#![cfg(test)]

use std::fmt::Write;
use std::{env, fs, path};

use aichat_message::{
    Executor, Extra, FinishReason, MediaKind, Opaque, OpaqueKind, Origin, Part, PartKind, ReasoningBlock,
    Role, Source,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, transform};
use serde_json::{Map, Value};

use super::Envelope;
use crate::envelope::Draft;
use crate::fact::{self, Fact, LlmResponseFailed, MessageAssistant, Timing};
use crate::hex::{Hash, Salt, Span};

/// What the page goes on with after the part that is written by hand.
const BEGINS: &str = "<!-- From here on it is generated from the Rust types by `INSTA_UPDATE=always cargo test -p aichat-events schema`. -->\n";

/// Everything that the page shows.
struct Schemas {
    envelope: Value,
    facts: Vec<((&'static str, u32), Value)>,
    shared: Map<String, Value>,
}

impl Schemas {
    fn new() -> Self {
        let mut generator = SchemaGenerator::default();
        let envelope = plain(Envelope::json_schema(&mut generator));
        let facts = fact::schemas(&mut generator);
        let facts = facts.into_iter().map(|(about, schema)| (about, plain(schema))).collect();
        let shared = generator.take_definitions(false);
        let shared =
            shared.into_iter().map(|(name, schema)| (name, plain(schema.try_into().unwrap()))).collect();
        Self { envelope, facts, shared }
    }

    fn page(&self) -> String {
        let mut page = String::from(BEGINS);
        let mut row = |text: String| page.push_str(&(text + "\n"));
        row(format!("\n## The envelope\n\n{}\n", code(&self.envelope)));
        row("## The types of events\n\n| type | version | what happened |\n|---|---|---|".to_owned());
        for ((kind, version), schema) in &self.facts {
            row(format!("| [`{kind}`](#{}) | {version} | {} |", kind.replace('.', ""), said(schema)));
        }
        for ((kind, version), schema) in &self.facts {
            row(format!("\n### `{kind}`\n\nVersion {version}. {}\n\n{}", said(schema), code(schema)));
        }
        let shared = serde_json::json!({ "$defs": self.shared });
        row(format!("\n## What payloads are made of\n\n{}", code(&shared)));
        page
    }

    /// Tells where a value does not have a schema, or holds a field that the schema does not name.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = match schema {
            Value::Object(schema) => schema,
            _ => return Ok(()),
        };
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return self.check(&self.shared[name.strip_prefix("#/$defs/").unwrap()], value, at);
        }
        for among in ["anyOf", "oneOf"] {
            if let Some(Value::Array(among)) = schema.get(among) {
                // What all have in common may stand beside.
                let common = Value::Object(schema.clone());
                let one = |one: &Value| {
                    let mut merged = one.clone();
                    let own = merged.as_object_mut().unwrap();
                    if let (Some(fields), Some(more)) = (own.get_mut("properties"), common.get("properties"))
                    {
                        let more = more.as_object().unwrap().clone();
                        fields.as_object_mut().unwrap().extend(more);
                    }
                    self.check(&merged, value, at)
                };
                let errors: Vec<String> = among.iter().filter_map(|schema| one(schema).err()).collect();
                return if errors.len() < among.len() { Ok(()) } else { Err(errors.join("; ")) };
            }
        }
        let wrong = |why: String| Err(format!("{at}: {why}"));
        if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
            return wrong(format!("{value} is not {expected}"));
        }
        if let Some(words) = schema.get("enum").filter(|words| !words.as_array().unwrap().contains(value)) {
            return wrong(format!("{value} is not among {words}"));
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        match schema.get("type") {
            Some(Value::String(only)) if only != kind => return wrong(format!("{value} is no {only}")),
            Some(Value::Array(kinds)) if !kinds.iter().any(|one| one == kind) => {
                return wrong(format!("{value} is none of {kinds:?}"));
            }
            Some(_) => {}
            None => return Ok(()),
        }
        match value {
            Value::Array(items) => {
                let any = Value::Bool(true);
                let tuple = schema.get("prefixItems").and_then(Value::as_array);
                for (n, item) in items.iter().enumerate() {
                    let of = tuple.and_then(|tuple| tuple.get(n)).or(schema.get("items")).unwrap_or(&any);
                    self.check(of, item, &format!("{at}[{n}]"))?;
                }
                Ok(())
            }
            Value::Object(fields) => {
                for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                    if !fields.contains_key(name.as_str().unwrap()) {
                        return wrong(format!("{name} is missing"));
                    }
                }
                for (name, value) in fields {
                    let of = schema.get("properties").and_then(|known| known.get(name));
                    match of.or(schema.get("additionalProperties")) {
                        Some(of) => self.check(of, value, &format!("{at}.{name}"))?,
                        None => return wrong(format!("{name} is not described")),
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_fact<F: Fact>(&self, fact: &F) {
        let (_, schema) = self.facts.iter().find(|((kind, _), _)| *kind == F::TYPE).unwrap();
        self.check(schema, &serde_json::to_value(fact).unwrap(), F::TYPE).unwrap();
    }
}

/// Takes out what only says how the schema was made, and puts every description on one line.
fn plain(mut schema: Schema) -> Value {
    fn flow(schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        schema.remove("title");
        transform::transform_subschemas(&mut flow, schema);
    }
    flow(&mut schema);
    schema.into()
}

fn said(schema: &Value) -> &str {
    schema["description"].as_str().expect("every payload has a doc comment")
}

fn code(schema: &Value) -> String {
    let mut text = String::from("```json\n");
    print(schema, 0, &mut text);
    text.push_str("\n```");
    text
}

/// Prints JSON with as much on a line as fits.
fn print(json: &Value, indent: usize, out: &mut String) {
    let short = json.to_string();
    let inner = "  ".repeat(indent + 1);
    let end = "  ".repeat(indent);
    match json {
        Value::Object(fields) if indent * 2 + short.len() > 100 => {
            let fields = fields.iter().map(|(name, value)| {
                let mut field = format!("{inner}{}: ", Value::from(name.as_str()));
                print(value, indent + 1, &mut field);
                field
            });
            write!(out, "{{\n{}\n{end}}}", fields.collect::<Vec<_>>().join(",\n")).unwrap();
        }
        Value::Array(items) if indent * 2 + short.len() > 100 => {
            let items = items.iter().map(|item| {
                let mut text = inner.clone();
                print(item, indent + 1, &mut text);
                text
            });
            write!(out, "[\n{}\n{end}]", items.collect::<Vec<_>>().join(",\n")).unwrap();
        }
        _ => out.push_str(&short),
    }
}

#[test]
fn the_page_about_events_is_what_the_types_say() {
    let page = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let text = fs::read_to_string(&page).unwrap();
    let (by_hand, _) = text.split_once(BEGINS).expect("the page says where the generated part begins");
    let expected = format!("{by_hand}{}", Schemas::new().page());
    if env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        return fs::write(&page, expected).unwrap();
    }
    let differs = text.lines().zip(expected.lines()).position(|(is, shall)| is != shall);
    assert!(
        text == expected,
        "docs/events.md differs from the types, line {}: run `INSTA_UPDATE=always cargo test -p aichat-events schema`",
        differs.unwrap_or(text.lines().count().min(expected.lines().count())) + 1,
    );
}

#[test]
fn everything_that_may_be_written_is_described() {
    let schemas = Schemas::new();
    let json = |text: &str| aichat_message::Json::new(text).unwrap();
    let extra = || Extra::from_iter([("later".to_owned(), json("[1]"))]);
    let kinds = vec![
        PartKind::Text { text: "t".into(), annotations: vec![json("{}")] },
        PartKind::Refusal { text: "t".into() },
        PartKind::Reasoning {
            blocks: vec![ReasoningBlock::Summary("s".into()), ReasoningBlock::Text("t".into())],
        },
        PartKind::ToolCall {
            call_id: "c".into(),
            name: "n".into(),
            arguments: "{".into(),
            executor: Executor::Server,
        },
        PartKind::ToolResult {
            call_id: "c".into(),
            name: Some("n".into()),
            content: vec![Part::text("t")],
            is_error: true,
        },
        PartKind::Media {
            media: MediaKind::Image,
            source: Source::Blob("b".into()),
            mime: Some("image/png".into()),
            name: Some("n".into()),
        },
        PartKind::Unknown { type_name: "later".into(), raw: json("1") },
    ];
    let part = |kind| Part {
        kind,
        id: Some("i".into()),
        opaque: vec![Opaque {
            provider: "p".into(),
            kind: OpaqueKind::Other("later".into()),
            data: "d".into(),
        }],
        extra: extra(),
    };
    let message = aichat_message::Message {
        role: Role::Assistant,
        parts: kinds.into_iter().map(part).collect(),
        origin: Some(Origin {
            provider: "p".into(),
            protocol: aichat_message::Protocol::Ollama,
            model: "m".into(),
            response_id: Some("r".into()),
        }),
        extra: extra(),
    };
    let id = aichat_message::MessageId::from_bits([1; 10]);
    schemas.check_fact(&MessageAssistant { id: id.clone(), parent: Some(id), message, partial: true });
    let usage = aichat_message::Usage {
        input_tokens: Some(1),
        output_tokens: Some(1),
        cache_read_tokens: Some(1),
        cache_write_tokens: Some(1),
        cache_write_1h_tokens: Some(1),
        reasoning_tokens: Some(1),
        audio_input_tokens: Some(1),
        audio_output_tokens: Some(1),
        cost: Some(aichat_message::Money::from_nano_dollars(1)),
        raw: Some(json("{}")),
    };
    use aichat_message::CostStatus as Status;
    for status in [
        Status::Exact,
        Status::Estimated,
        Status::Partial,
        Status::LocalFree,
        Status::ProviderReported,
        Status::Unknown,
    ] {
        let amount = usage.cost;
        let line = fact::CostLine { bucket: "input".into(), quantity: 1, price_per_million: amount, amount };
        let cost = fact::CostCalculated {
            amount,
            status,
            lines: vec![line],
            price: Some(json("{}")),
            calculated: amount,
            agent: Some("a".into()),
            input_tokens: Some(1),
            output_tokens: Some(1),
            ..Default::default()
        };
        schemas.check_fact(&cost);
        schemas.check_fact(&fact::CostRevised { was: amount, was_status: status, cost });
        schemas.check_fact(&fact::BudgetExceeded { needed: amount, ..Default::default() });
        schemas.check_fact(&fact::BudgetReserved { output_tokens: Some(1), ..Default::default() });
    }
    for kind in aichat_message::ErrorKind::ALL {
        schemas.check_fact(&LlmResponseFailed {
            kind: *kind,
            message: "m".into(),
            status: Some(500),
            code: Some("c".into()),
            request_id: Some("r".into()),
            retryable: true,
            retry_after_ms: Some(1),
            usage: Some(usage.clone()),
            timing: Some(Timing {
                queue_us: Some(1),
                first_byte_us: Some(1),
                first_content_us: Some(1),
                ..Timing::default()
            }),
            kept: Some(fact::Kept { parts: 1, text_bytes: 1 }),
        });
    }
    let finish = |reason| aichat_message::Finish { reason, raw: Some("raw".into()) };
    for reason in [FinishReason::Stop, FinishReason::ToolCalls, FinishReason::Other] {
        let finish = finish(reason);
        schemas.check_fact(&fact::TurnCompleted {
            answer: aichat_message::MessageId::from_bits([1; 10]),
            finish,
        });
    }
    let draft = Draft {
        id: aichat_message::EventId::from_bits([1; 10]),
        session: aichat_message::SessionId::from_bits([1; 10]),
        ts: -1,
        mono_us: 1,
        writer: aichat_message::WriterId::from_bits([1; 10]),
        kind: "later".into(),
        tv: 1,
        turn: Some(aichat_message::TurnId::from_bits([1; 10])),
        run: Some("r".into()),
        call: Some(aichat_message::CallId::from_bits([1; 10])),
        span: Some(Span([1; 8])),
        parent_span: Some(Span([1; 8])),
        cause: Some(aichat_message::EventId::from_bits([1; 10])),
        salt: Salt([1; 16]),
        payload: json("{}"),
    };
    let event = draft.seal(1, &Hash::ZERO);
    for event in [event.erase(), event] {
        schemas.check(&schemas.envelope, &serde_json::from_str(event.line()).unwrap(), "the event").unwrap();
    }
}

#[test]
fn what_is_not_described_is_found() {
    let schemas = Schemas::new();
    let (_, schema) = schemas.facts.iter().find(|((kind, _), _)| *kind == "message.user").unwrap();
    let check = |text: &str| schemas.check(schema, &serde_json::from_str(text).unwrap(), "it");
    let good = r#"{"id":"msg_1","message":{"role":"user","parts":[{"type":"text","text":"t"}]}}"#;
    assert_eq!(check(good), Ok(()));
    for (from, to) in [
        ("\"id\":\"msg_1\",", ""),
        ("\"role\":", "\"roll\":1,\"role\":"),
        ("\"user\"", "\"usher\""),
        ("\"text\":\"t\"", "\"text\":1"),
        ("\"text\":\"t\"", "\"text\":\"t\",\"test\":1"),
        ("\"type\":\"text\"", "\"type\":\"textile\""),
    ] {
        assert!(good.contains(from));
        assert!(check(&good.replacen(from, to, 1)).is_err(), "{from} {to}");
    }
}
