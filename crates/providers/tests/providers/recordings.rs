//! Every recording of every protocol, whole and cut at every offset, against what a correct client arrives at.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aichat_message::{Delta, ErrorKind, Executor, Fold, PartKind};
use aichat_providers::contract::Sample;
use aichat_providers::{
    Adapter, Anthropic, Azure, Decoder, Driver, Error, Gemini, Info, Intake, Ollama, OpenaiChat,
    OpenaiResponses, Profile, Provider, ResponsesProfile, Transport,
};
use base64::Engine;
use serde_json::{Value, json};

use crate::canned::{Canned, Outcome, endpoint, outcome, play};

/// A protocol, and the folders whose bodies speak it.
pub(crate) struct Spoken {
    /// The name of the folder of the project's own recordings.
    pub(crate) name: &'static str,
    chats: &'static [&'static str],
    pub(crate) models: &'static [&'static str],
    pub(crate) decoder: fn() -> Box<dyn Decoder>,
    pub(crate) provider: fn(Arc<dyn Transport>) -> Box<dyn Provider>,
}

const PROTOCOLS: &[Spoken] = &[
    Spoken {
        name: "openai-chat",
        chats: &[
            "openai-chat",
            "groq-chat",
            "deepseek-chat",
            "mistral-chat",
            "openrouter-chat",
            "xai-chat",
            "llamacpp-chat",
        ],
        models: &["openai-models", "groq-models", "deepseek-models", "mistral-models", "llamacpp-models"],
        decoder: || decoder(openai_chat()),
        provider: |transport| provider(transport, openai_chat()),
    },
    Spoken {
        name: "anthropic",
        chats: &["anthropic-messages"],
        models: &["anthropic-models"],
        decoder: || decoder(Anthropic::new()),
        provider: |transport| provider(transport, Anthropic::new()),
    },
    Spoken {
        name: "azure",
        chats: &["azure-chat"],
        models: &[],
        decoder: || decoder(Azure::v1(crate::azure::chat())),
        provider: |transport| provider(transport, Azure::v1(crate::azure::chat())),
    },
    Spoken {
        name: "ollama",
        chats: &["ollama-chat"],
        models: &["ollama-models"],
        decoder: || decoder(Ollama::new()),
        provider: |transport| provider(transport, Ollama::new()),
    },
    Spoken {
        name: "gemini",
        chats: &["gemini-generate"],
        models: &["gemini-models"],
        decoder: || decoder(Gemini::new()),
        provider: |transport| provider(transport, Gemini::new()),
    },
    Spoken {
        name: "openai-responses",
        chats: &[
            "openai-responses",
            "openrouter-responses",
            "xai-responses",
            "lmstudio-responses",
            "azure-responses",
        ],
        models: &["openai-models"],
        decoder: || decoder(openai_responses()),
        provider: |transport| provider(transport, openai_responses()),
    },
];

/// Returns every protocol.
pub(crate) fn protocols() -> &'static [Spoken] {
    PROTOCOLS
}

/// Recordings whose source shortened the fragments and not the text that repeats them in the end.
const SHORTENED: [&str; 1] = ["vai-responses-openai-shell-container.1-stream.json"];

/// Returns the protocol of that name.
pub(crate) fn spoken(name: &str) -> &'static Spoken {
    PROTOCOLS.iter().find(|spoken| spoken.name == name).expect("a protocol of the table")
}

fn openai_chat() -> OpenaiChat {
    OpenaiChat::new(Profile::generic())
}

fn openai_responses() -> OpenaiResponses {
    OpenaiResponses::new(ResponsesProfile::generic())
}

fn decoder(adapter: impl Adapter) -> Box<dyn Decoder> {
    let protocol = adapter.protocol();
    adapter.decoder(&Info::new("test", protocol))
}

pub(crate) fn provider(transport: Arc<dyn Transport>, adapter: impl Adapter + 'static) -> Box<dyn Provider> {
    Box::new(Driver::new(endpoint(transport), adapter).unwrap())
}

pub(crate) struct Recording {
    pub(crate) spoken: &'static Spoken,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) body: Vec<u8>,
}

impl Recording {
    fn read(spoken: &'static Spoken, path: &Path) -> Self {
        let name = path.display().to_string();
        let data: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let body = data["response"]["body_base64"].as_str().map_or_else(
            || data["response"]["body"].as_str().expect("a body").as_bytes().to_vec(),
            |text| base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        );
        Self { spoken, name, data, body }
    }

    fn status(&self) -> u16 {
        self.data["response"]["status"].as_u64().unwrap() as u16
    }

    /// Tells whether several answers were put into one body; what is expected of it is then a mixture, and a
    /// client stops at the end of the first.
    pub(crate) fn holds_several_answers(&self) -> bool {
        let began = br#""type":"response.created""#;
        self.body.windows(began.len()).filter(|bytes| bytes == began).count() > 1
    }

    fn content_type(&self) -> Option<&str> {
        self.data["response"]["headers"]["content-type"].as_str()
    }

    pub(crate) fn canned(&self) -> Canned {
        let mut canned = Canned::new(self.status(), "", self.body.clone());
        let headers = self.data["response"]["headers"].as_object().unwrap();
        canned.headers = headers.iter().map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())).collect();
        canned
    }
}

pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("AICHAT_WIRE_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/wire"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

pub(crate) fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

pub(crate) fn in_folder(spoken: &'static Spoken, folder: &Path) -> Vec<Recording> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    paths.iter().map(|path| Recording::read(spoken, path)).collect()
}

pub(crate) fn chats() -> Vec<Recording> {
    let (mut all, root) = (Vec::new(), fixtures());
    for spoken in PROTOCOLS {
        let own = in_folder(spoken, &own().join(spoken.name));
        assert!(own.len() >= 5, "the project's own recordings of {} are there", spoken.name);
        all.extend(own);
        for folder in spoken.chats {
            all.extend(root.iter().flat_map(|root| in_folder(spoken, &root.join(folder))));
        }
    }
    if root.is_none() {
        eprintln!("skipped: no folder of recordings");
    }
    all.retain(|recording| {
        recording.data["expect"]["ambiguous"] != json!(true) && !recording.holds_several_answers()
    });
    all
}

/// Returns the project's own recordings of a protocol as samples of the contract.
pub(crate) fn samples(protocol: &str) -> Vec<Sample> {
    let spoken = spoken(protocol);
    let mut samples = Vec::new();
    for recording in in_folder(spoken, &own().join(spoken.name)) {
        let (expect, file) = (&recording.data["expect"], Path::new(&recording.name).file_name().unwrap());
        if expect["ambiguous"] == json!(true) {
            continue;
        }
        let mut sample = Sample::new(file.to_str().unwrap(), "", recording.body.clone())
            .status(recording.status())
            .text(expect["text"].as_str().unwrap_or(""));
        for (name, value) in recording.data["response"]["headers"].as_object().unwrap() {
            sample = sample.header(name, value.as_str().unwrap());
        }
        samples.push(match (&expect["error"], expect["complete"] == json!(true)) {
            (Value::Null, true) => sample,
            (Value::Null, false) => sample.error(ErrorKind::Truncated),
            _ => sample.fails(),
        });
    }
    samples
}

/// Decodes a body in these pieces, without a runtime.
fn decode<'a>(recording: &Recording, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Fold, Option<Error>) {
    let mut intake = Intake::new(recording.content_type(), (recording.spoken.decoder)());
    let mut deltas = Vec::new();
    let run = || {
        for piece in pieces {
            intake.push(piece, &mut deltas)?;
        }
        intake.finish(&mut deltas)
    };
    let error = run().err();
    let mut fold = Fold::new();
    for (at, delta) in deltas.iter().enumerate() {
        assert!(
            !matches!(delta, Delta::Finish(_)) || at + 1 == deltas.len(),
            "nothing comes after the finish"
        );
        fold.apply(delta);
    }
    (fold, error)
}

fn cut_outcome(recording: &Recording, pieces: &[&[u8]]) -> Outcome {
    let (fold, error) = decode(recording, pieces.iter().copied());
    outcome(&fold, error.as_ref())
}

/// Returns what differs from the recording's expectation.
fn judge(recording: &Recording, fold: &Fold, error: Option<&Error>) -> Vec<String> {
    let expect = &recording.data["expect"];
    let mut wrong = Vec::new();
    let mut check = |what: &str, got: Value, want: Value| {
        if got != want {
            wrong.push(format!("{what}: got {got}, want {want}"));
        }
    };
    let message = match error {
        Some(error) => error.partial().cloned().unwrap_or_else(|| Fold::new().message()),
        None => fold.message(),
    };
    check("text", json!(message.text()), json!(expect["text"].as_str().unwrap_or("")));
    let (mut refusal, mut reasoning, mut opaque, mut calls, mut texts) =
        (String::new(), String::new(), Vec::new(), vec![], vec![]);
    for part in &message.parts {
        opaque.extend(part.opaque.iter().map(|o| o.data.as_str()));
        match &part.kind {
            PartKind::Refusal { text } => refusal += text,
            PartKind::Reasoning { blocks } => reasoning.extend(blocks.iter().map(|block| block.text())),
            PartKind::Text { text, .. } => texts.push(text.as_str()),
            PartKind::ToolCall { call_id, name, arguments, executor: Executor::Client } => {
                calls.push(json!([call_id, name, arguments.as_str()]))
            }
            _ => {}
        }
    }
    check("refusal", json!(refusal), json!(expect["refusal"].as_str().unwrap_or("")));
    let blocks = expect["reasoning"].as_array().cloned().unwrap_or_default();
    let want: String = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    check("reasoning", json!(reasoning), json!(want));
    let sealed = |block: &Value| {
        ["signature", "opaque"].iter().find_map(|name| block[name].as_str().map(str::to_owned))
    };
    let want: Vec<String> = blocks.iter().filter_map(sealed).collect();
    match recording.spoken.name {
        // Entries of one list, which is kept whole.
        "openai-chat" => {
            let whole = opaque.concat();
            want.iter().for_each(|data| check("opaque", json!(whole.contains(data)), json!(true)));
        }
        _ => {
            let calls = want_calls(expect).iter().filter_map(sealed).collect::<Vec<_>>();
            let mut found: Vec<_> = opaque.iter().map(|data| (*data).to_owned()).collect();
            found.retain(|data| !calls.contains(data) || want.contains(data));
            check("opaque", json!(found), json!(want));
        }
    }
    if let Some(blocks) = expect["text_blocks"].as_array() {
        texts.retain(|text| !text.is_empty());
        check("text blocks", json!(texts), json!(blocks));
    }
    let want = want_calls(expect);
    check("number of calls", json!(calls.len()), json!(want.len()));
    for (got, want) in calls.iter().zip(&want) {
        check("call id", got[0].clone(), want["id"].as_str().unwrap_or("").into());
        check("call name", got[1].clone(), want["name"].clone());
        let text = got[2].as_str().unwrap();
        match want.get("arguments_raw").and_then(Value::as_str) {
            Some(raw) => check("raw arguments", json!(text), json!(raw)),
            None => {
                let text = if text.trim().is_empty() { "{}" } else { text };
                let parsed = serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
                // A server that says null for no arguments is understood, and its word is kept.
                let parsed =
                    if parsed.is_null() && want["arguments"].is_object() { json!({}) } else { parsed };
                check("arguments", parsed, want["arguments"].clone());
            }
        }
    }
    let usage = error.map_or(fold.usage(), Error::usage);
    let raw = usage.and_then(|usage| usage.raw.as_ref()).map_or(Value::Null, |raw| raw.to().unwrap());
    check("usage", raw, expect["usage"].clone());
    if let Some(usage) = usage {
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().sum::<u64>();
        let b = usage.disjoint();
        let sub = sum(&[usage.cache_read_tokens, usage.cache_write_tokens, usage.audio_input_tokens]);
        // A part is never more than its whole, and the buckets are all of it.
        check("input parts", json!(usage.input_tokens.is_none_or(|all| sub <= all)), json!(true));
        let sub = sum(&[usage.reasoning_tokens, usage.audio_output_tokens]);
        check("output parts", json!(usage.output_tokens.is_none_or(|all| sub <= all)), json!(true));
        let hour = usage.cache_write_1h_tokens.unwrap_or(0);
        check("cache parts", json!(hour <= usage.cache_write_tokens.unwrap_or(hour)), json!(true));
        if usage.output_tokens.is_some() {
            let parts = sum(&[b.output, b.reasoning, b.audio_output]);
            check("output buckets", json!(parts), json!(usage.output_tokens));
        }
        if usage.input_tokens.is_some() {
            let parts = sum(&[b.input, b.cache_read, b.cache_write, b.cache_write_1h, b.audio_input]);
            check("input buckets", json!(parts), json!(usage.input_tokens));
        }
        let total =
            ["total_tokens", "totalTokenCount"].iter().find_map(|name| expect["usage"][name].as_u64());
        if let (Some(total), Some(_)) = (total, usage.input_tokens) {
            check("total", json!(sum(&[usage.input_tokens, usage.output_tokens])), json!(total));
        }
    }
    match (error, &expect["error"]) {
        (None, Value::Null) => {
            check("complete", json!(true), expect["complete"].clone());
            let want = [&expect["finish"], &expect["block_reason"]].into_iter().find(|word| !word.is_null());
            check("finish", json!(fold.finish().and_then(|f| f.raw.clone())), json!(want));
        }
        (Some(error), Value::Null) => {
            check("complete", json!(false), expect["complete"].clone());
            check("error kind", json!(error.kind()), json!(ErrorKind::Truncated));
        }
        (None, want) => check("error", Value::Null, want.clone()),
        (Some(error), want) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let mut codes = [&want["code"], &want["type"]];
            if recording.spoken.name == "gemini" {
                // Its code only repeats the status.
                codes.reverse();
            }
            let code = codes.into_iter().find(|v| !v.is_null()).map(text);
            check("error code", json!(error.code()), json!(code));
            if recording.status() >= 400 {
                check("status", json!(error.status()), want["status"].clone());
            }
            let message = want["message"].as_str().unwrap_or("");
            match message.is_empty() || message.starts_with('<') {
                true => check("has a message", json!(!error.message().is_empty()), json!(true)),
                false => check("message", json!(error.message()), json!(message)),
            }
            if want["in_stream"] == json!(true) {
                check("truncated", json!(error.kind() == ErrorKind::Truncated), json!(false));
            }
            let wait = error.retry_after().map(|wait| wait.as_secs_f64());
            match want["retry_after"].as_str() {
                None => check("retry after", json!(wait), Value::Null),
                Some(text) => {
                    let seconds = match text.strip_suffix("ms") {
                        Some(ms) => ms.parse::<f64>().ok().map(|ms| ms / 1000.0),
                        None => text.strip_suffix('s').unwrap_or(text).parse().ok(),
                    };
                    match seconds {
                        Some(seconds) => check("retry after", json!(wait), json!(seconds)),
                        None => check("retry after a date", json!(wait.is_some()), json!(true)),
                    }
                }
            }
        }
    }
    wrong
}

fn want_calls(expect: &Value) -> Vec<Value> {
    expect["tool_calls"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn every_recording_is_understood() {
    let mut wrong = Vec::new();
    for recording in chats() {
        let (fold, error) = play(&*(recording.spoken.provider)(Arc::new(recording.canned()))).await;
        wrong.extend(
            judge(&recording, &fold, error.as_ref()).iter().map(|text| format!("{}: {text}", recording.name)),
        );
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_cut_changes_an_answer() {
    let recordings: Vec<_> = chats().into_iter().filter(|recording| recording.status() == 200).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(recording) = recordings.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let body = recording.body.as_slice();
                    let whole = cut_outcome(recording, &[body]);
                    for at in cuts(body.len()) {
                        let (head, tail) = body.split_at(at);
                        let split = cut_outcome(recording, &[head, tail]);
                        assert_eq!(split, whole, "{} cut at {at}", recording.name);
                    }
                    for size in [1, 7, 220] {
                        let pieces: Vec<_> = body.chunks(size).collect();
                        let split = cut_outcome(recording, &pieces);
                        assert_eq!(split, whole, "{} in pieces of {size}", recording.name);
                    }
                }
            });
        }
    });
}

/// Every offset up to 16 KiB; of a larger body the first and last 4 KiB and 1,000 places between.
fn cuts(len: usize) -> Vec<usize> {
    if len <= 16 << 10 {
        return (1..len).collect();
    }
    let mut seed = 0x9e37_79b9_u64;
    let between = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 33) as usize % (len - 1)
    });
    (1..4096).chain(len - 4096..len).chain(between.take(1000)).collect()
}

#[test]
fn a_stream_cut_short_is_truncated_and_keeps_what_came() {
    for recording in chats() {
        if !["sse", "ndjson"].map(Value::from).contains(&recording.data["response"]["framing"])
            || !recording.data["expect"]["error"].is_null()
            || SHORTENED.iter().any(|name| recording.name.ends_with(name))
        {
            continue;
        }
        let whole = decode(&recording, [recording.body.as_slice()]).0.message().text();
        for end in (0..recording.body.len()).step_by(recording.body.len() / 60 + 1) {
            let (fold, error) = decode(&recording, [&recording.body[..end]]);
            assert!(whole.starts_with(&fold.message().text()), "{} to {end}", recording.name);
            match error {
                Some(error) => assert_eq!(error.kind(), ErrorKind::Truncated, "{} to {end}", recording.name),
                None => assert!(fold.finish().is_some()),
            }
        }
    }
}

#[tokio::test]
async fn lists_of_models_are_read() {
    let Some(root) = fixtures() else { return eprintln!("skipped: no folder of recordings") };
    let mut lists = 0;
    let folders =
        PROTOCOLS.iter().flat_map(|spoken| spoken.models.iter().map(move |folder| (spoken, folder)));
    for recording in folders.flat_map(|(spoken, folder)| in_folder(spoken, &root.join(folder))) {
        let expect = &recording.data["expect"];
        match (recording.spoken.provider)(Arc::new(recording.canned())).models().await {
            Ok(models) => {
                let mut ids: Vec<_> = models.into_iter().map(|model| model.id).collect();
                let want = expect["models"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
                let want: Vec<_> = want.map(|id| id.strip_prefix("models/").unwrap_or(id)).collect();
                if !expect["nextPageToken"].is_null() {
                    // The page that was recorded is the next one, too.
                    assert_eq!(ids.split_off(want.len()), want, "{}", recording.name);
                }
                assert_eq!(ids, want, "{}", recording.name);
                lists += 1;
            }
            Err(error) => {
                assert_eq!(json!(error.status()), expect["error"]["status"], "{}", recording.name);
                assert_eq!(json!(error.message()), expect["error"]["message"], "{}", recording.name);
                assert_eq!(error.kind(), ErrorKind::Auth, "{}", recording.name);
            }
        }
    }
    assert!(lists > 0);
}
