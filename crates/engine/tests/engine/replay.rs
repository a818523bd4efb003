//! Turns run again over what went over the network for them: the same comes of it, or the first difference is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aichat_engine::{
    Adapters, Change, Engine, Error, Fork, ForkAt, ModelRef, RecordWire, ReplayOutcome, Secrets, Send,
    Status, attach,
};
use aichat_events::{Draft, Event, Fact, Hash, Interruption, LlmRequestStarted, LlmWireKept, Salt};
use aichat_message::{ErrorKind, Json, Message, MessageId, Protocol, Role, SessionId};
use aichat_providers::{
    Anthropic, Azure, Driver, Endpoint, Exchange, Fault, Gemini, Octets, Ollama, OpenaiChat, OpenaiResponses,
    Plan, Profile, Provider, ResponsesProfile, Tap, Timeouts, Transport,
};
use aichat_store::{Claim, Expect, Memory, Row, Store, Unit};
use base64::Engine as _;
use bytes::Bytes;
use serde_json::Value;

use crate::support::{Counting, Ticking, first_text, kinds, quick_retries};
use crate::wire::{plan, sse};

/// Speaks every protocol, to a server that nobody reaches.
pub(crate) struct Spoken;

impl Adapters for Spoken {
    fn provider(
        &self,
        asked: &LlmRequestStarted,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Provider>, Error> {
        provider(&asked.protocol, &asked.provider, transport, Timeouts::default())
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "nobody here speaks it"))
    }
}

pub(crate) fn provider(
    protocol: &Protocol,
    name: &str,
    transport: Arc<dyn Transport>,
    timeouts: Timeouts,
) -> Option<Arc<dyn Provider>> {
    let endpoint = Endpoint::new(name, "https://server.example", transport).with_timeouts(timeouts);
    let (chat, responses) =
        (|| OpenaiChat::new(Profile::generic()), || OpenaiResponses::new(ResponsesProfile::generic()));
    Some(match protocol {
        Protocol::OpenaiChat => Arc::new(Driver::new(endpoint, chat()).unwrap()),
        Protocol::OpenaiResponses => Arc::new(Driver::new(endpoint, responses()).unwrap()),
        Protocol::Anthropic => Arc::new(Driver::new(endpoint, Anthropic::new()).unwrap()),
        Protocol::Gemini => Arc::new(Driver::new(endpoint, Gemini::new()).unwrap()),
        Protocol::AzureChat => Arc::new(Driver::new(endpoint, Azure::v1(chat())).unwrap()),
        Protocol::AzureResponses => Arc::new(Driver::new(endpoint, Azure::v1(responses())).unwrap()),
        Protocol::Ollama => Arc::new(Driver::new(endpoint, Ollama::new()).unwrap()),
        _ => return None,
    })
}

/// A provider of which there are clones.
pub(crate) struct Shared(pub(crate) Arc<dyn Provider>);

#[async_trait::async_trait]
impl Provider for Shared {
    fn info(&self) -> &aichat_providers::Info {
        self.0.info()
    }
    fn prepare(
        &self,
        request: aichat_providers::Request,
    ) -> Result<aichat_providers::Call, aichat_providers::Error> {
        self.0.prepare(request)
    }
    async fn stream(
        &self,
        call: aichat_providers::Call,
    ) -> Result<aichat_providers::DeltaStream, aichat_providers::Error> {
        self.0.stream(call).await
    }
}

fn over(
    store: &(impl Store + Clone + 'static),
    protocol: &Protocol,
    plans: impl IntoIterator<Item = Plan>,
) -> Engine {
    let timeouts = Timeouts { first_byte: Duration::from_secs(7), idle: Duration::from_secs(5) };
    let tap = Arc::new(Tap::new(Fault::new(plans)));
    Engine::builder(store.clone())
        .provider(Shared(provider(protocol, "server", tap, timeouts).unwrap()))
        .retry(quick_retries())
        .adapters(Spoken)
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

fn chat(store: &(impl Store + Clone + 'static), plans: impl IntoIterator<Item = Plan>) -> Engine {
    over(store, &Protocol::OpenaiChat, plans)
}

fn prompt(text: &str) -> Send {
    Send::new(ModelRef::new("server", "m"), text)
}

async fn outcomes(engine: &Engine, session: &SessionId) -> Vec<ReplayOutcome> {
    engine.replay(session).await.unwrap().turns.into_iter().map(|turn| turn.outcome).collect()
}

fn same() -> ReplayOutcome {
    ReplayOutcome::Same { notes: Vec::new() }
}

/// Asserts that every turn of a session comes out the same, and that looking changes nothing.
pub(crate) async fn assert_same(engine: &Engine, session: &SessionId) {
    let before = engine.events(session).await.unwrap();
    let outcomes = outcomes(engine, session).await;
    assert!(
        !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == same()),
        "{outcomes:#?}\n{:?}",
        kinds(&before)
    );
    assert_eq!(engine.events(session).await.unwrap(), before);
}

/// The folders of recordings, by the protocol that their bodies speak.
const FOLDERS: [(&[&str], Protocol); 7] = [
    (
        &[
            "openai-chat",
            "groq-chat",
            "deepseek-chat",
            "mistral-chat",
            "openrouter-chat",
            "xai-chat",
            "llamacpp-chat",
        ],
        Protocol::OpenaiChat,
    ),
    (&["anthropic", "anthropic-messages"], Protocol::Anthropic),
    (&["azure", "azure-chat"], Protocol::AzureChat),
    (&["azure-responses"], Protocol::AzureResponses),
    (&["ollama", "ollama-chat"], Protocol::Ollama),
    (&["gemini", "gemini-generate"], Protocol::Gemini),
    (
        &["openai-responses", "openrouter-responses", "xai-responses", "lmstudio-responses"],
        Protocol::OpenaiResponses,
    ),
];

fn recordings() -> (Vec<(Protocol, PathBuf)>, bool) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("AICHAT_WIRE_FIXTURES")
        .map_or_else(|| here.join("../../../shared/fixtures/wire"), PathBuf::from);
    let (mut found, is_shared) = (Vec::new(), shared.is_dir());
    for (root, (folders, protocol)) in [here.join("../providers/tests/recordings"), shared]
        .iter()
        .flat_map(|root| FOLDERS.map(|of| (root, of)))
    {
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
            let paths = entries.map(|entry| entry.unwrap().path());
            found.extend(
                paths
                    .filter(|path| path.extension().is_some_and(|it| it == "json"))
                    .map(|path| (protocol.clone(), path)),
            );
        }
    }
    found.sort_by(|(_, a), (_, b)| a.cmp(b));
    (found, is_shared)
}

/// Returns what a recorded server answers, and whether it streams.
fn answer(path: &Path) -> (Plan, bool) {
    let data: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let response = &data["response"];
    let body = match response["body_base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        None => response["body"].as_str().unwrap().as_bytes().to_vec(),
    };
    let mut built = http::Response::builder().status(response["status"].as_u64().unwrap() as u16);
    for (name, value) in response["headers"].as_object().unwrap() {
        built = built.header(name, value.as_str().unwrap());
    }
    let kind = response["headers"]["content-type"].as_str().unwrap_or_default();
    (Plan::answer(built.body(Bytes::from(body)).unwrap()), kind.contains("stream") || kind.contains("ndjson"))
}

#[tokio::test(start_paused = true)]
async fn every_recording_comes_out_the_same() {
    let (all, is_shared) = recordings();
    if !is_shared {
        eprintln!("skipped: no folder of recordings");
    }
    assert!(all.len() >= 30, "the project's own recordings are there");
    let (mut wrong, mut completed) = (Vec::new(), 0);
    for (protocol, path) in &all {
        let store = Memory::new();
        let (plan, stream) = answer(path);
        // Some statuses are tried again.
        let plans: Vec<Plan> = (0..3).map(|_| plan.clone().pieces(97)).collect();
        let engine = over(&store, protocol, plans);
        let sent = engine.send(Send { stream, ..prompt("hello") }).await.unwrap().outcome().await.unwrap();
        completed += usize::from(sent.status == Status::Completed);
        let outcomes = outcomes(&engine, &sent.session).await;
        if outcomes != [same()] {
            wrong.push(format!("{}: {outcomes:#?}", path.display()));
        }
    }
    eprintln!("{} recordings replayed, {completed} of them whole answers", all.len());
    assert!(completed * 2 > all.len(), "{completed} of {}", all.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn attempts_time_outs_and_losses_come_out_the_same() {
    let status = |status: u16| {
        let answer = http::Response::builder().status(status).header("retry-after", "2");
        Plan::answer(
            answer.body(Bytes::from_static(b"{\"error\":{\"message\":\"no\",\"code\":\"x\"}}")).unwrap(),
        )
    };
    let good = || plan(&["one ", "two ", "three"]);
    for (plans, kinds) in [
        (vec![status(503), status(429), good()], "retried retried completed"),
        (vec![status(503), status(503), status(503)], "retried retried failed"),
        (vec![status(400)], "failed"),
        (vec![Plan::unreachable(), good()], "retried completed"),
        (vec![good().stall(0), good()], "retried completed"),
        (vec![good().stall(200)], "failed"),
        (vec![Plan::silent(), good()], "retried completed"),
        (vec![good().cut(200)], "failed"),
        (vec![good().reset(200)], "failed"),
        (vec![good().flip(60, 0x20)], ""),
    ] {
        let store = Memory::new();
        let engine = chat(&store, plans);
        let session = engine.send(prompt("hello")).await.unwrap().outcome().await.unwrap().session;
        let events = engine.events(&session).await.unwrap();
        let ends: Vec<&str> = events
            .iter()
            .filter_map(|e| e.kind().strip_prefix("llm.request.").or(e.kind().strip_prefix("turn.")))
            .collect();
        let ends: Vec<&str> = ends.into_iter().filter(|end| *end != "started").collect();
        assert!(kinds.is_empty() || ends.join(" ") == kinds, "{ends:?}");
        assert_same(&engine, &session).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_stopped_is_stopped_again() {
    let store = Memory::new();
    // In the middle of the answer.
    let engine = chat(&store, [plan(&["one ", "two ", "three"]).stall(300)]);
    let mut turn = engine.send(prompt("hello")).await.unwrap();
    first_text(&mut turn).await;
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    assert_same(&engine, &outcome.session).await;
    // Before anything came.
    let engine = chat(&store, [Plan::silent()]);
    let mut turn = engine.send(prompt("hello")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(outcome.answer, None);
    assert_same(&engine, &outcome.session).await;
    // While it waits to try again.
    let refused = http::Response::builder().status(503).header("retry-after", "5");
    let engine = chat(&store, [Plan::answer(refused.body(Bytes::new()).unwrap())]);
    let mut turn = engine.send(prompt("hello")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    let events = engine.events(&outcome.session).await.unwrap();
    assert!(kinds(&events).contains(&"llm.request.retried"));
    assert_same(&engine, &outcome.session).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_left_comes_out_as_far_as_both_go() {
    let store = Memory::new();
    let engine = chat(&store, [plan(&["one ", "two ", "three ", "four"]).stall(500)]);
    let mut turn = engine.send(prompt("hello")).await.unwrap();
    first_text(&mut turn).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let pending = store.pending(Claim::Look).await.unwrap().remove(0);
    let beside = store.beside(&pending.header).await.unwrap();
    for records in 4..=pending.records.len() {
        let left = Memory::new();
        let mut turn = left.begin(pending.header.clone(), pending.records[..1].to_vec()).await.unwrap();
        pending.records[1..records].iter().for_each(|record| turn.append(record.clone()));
        beside.iter().for_each(|piece| turn.append_beside(piece.clone()));
        drop(turn);
        let engine = chat(&left, []);
        engine.fold().await.unwrap();
        let session = &pending.header.session;
        let events = engine.events(session).await.unwrap();
        assert!(kinds(&events).contains(&"turn.recovered"));
        assert_same(&engine, session).await;
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_branches_attachments_and_forks_come_out_the_same() {
    let store = Memory::new();
    let engine = chat(&store, (0..9).map(|n| plan(&["answer ", &n.to_string()])));
    let first = Send { system: Some("be brief".into()), ..prompt("one") };
    let session = engine.send(first).await.unwrap().outcome().await.unwrap().session;
    let mut second = Send::to(session.clone(), "two");
    second.options.max_tokens = Some(7);
    second.stream = false;
    second.message.parts.extend(attach("notes.txt", b"a note"));
    second.message.parts.extend(attach("dot.png", b"\x89PNG\r\n\x1a\nrest"));
    let outcome = engine.send(second).await.unwrap().outcome().await.unwrap();
    let of: Vec<MessageId> =
        engine.prefix(&session, &ForkAt::Head).await.unwrap().into_iter().map(|entry| entry.id).collect();
    let mut sibling = Send::to(session.clone(), "zwei");
    sibling.after = aichat_engine::After::Message(of[2].clone());
    engine.send(sibling).await.unwrap().outcome().await.unwrap();
    assert_same(&engine, &session).await;
    assert_eq!(engine.replay(&session).await.unwrap().turns.len(), 3);
    assert!(outcome.answer.is_some());

    let changes = vec![
        Change::System("be long".into()),
        Change::Edit(of[2].clone(), "something else".into()),
        Change::Model(ModelRef::new("server", "m-2")),
    ];
    let fork =
        engine.fork(&session, &Fork { changes, ..Fork::at(ForkAt::Message(of[3].clone())) }).await.unwrap();
    let again = Send { message: Message::new(Role::User, Vec::new()), ..Send::to(fork.clone(), "") };
    engine.send(again).await.unwrap().outcome().await.unwrap();
    engine.send(Send::to(fork.clone(), "three")).await.unwrap().outcome().await.unwrap();
    assert_same(&engine, &fork).await;
    assert_eq!(engine.replay(&fork).await.unwrap().turns.len(), 2, "those of the parent are the parent's");

    // The bytes of a request are those that were sent, and those of an answer are there.
    for event in engine.events(&fork).await.unwrap().iter().filter(|e| e.kind() == LlmRequestStarted::TYPE) {
        let request = engine.raw_request(&fork, event.id()).await.unwrap();
        assert!(request.is_exact && String::from_utf8_lossy(&request.body).contains("be long"));
        let answer = engine.raw_response(&fork, event.id()).await.unwrap().unwrap();
        assert!(answer.chunks.len() > 1 && String::from_utf8_lossy(&answer.body()).contains("answer "));
        assert_eq!(request.exchange, Some(answer));
    }
}

/// Returns an engine over a copy of a session in which something else was recorded, and which holds together.
async fn recorded_otherwise(
    engine: &Engine,
    session: &SessionId,
    mut exchanges: impl FnMut(&mut Vec<Exchange>),
    mut payload: impl FnMut(&Event, String) -> String,
) -> Engine {
    let store = Memory::new();
    let (mut prev, mut rows) = (Hash::ZERO, Vec::new());
    for event in engine.events(session).await.unwrap() {
        let mut text = event.payload().unwrap().get().to_owned();
        if let Some(mut kept) = LlmWireKept::of(&event) {
            let mut all = engine.wire(&event).await.unwrap().unwrap();
            exchanges(&mut all);
            let blob = zstd::bulk::compress(&Exchange::pack(&all), 3).unwrap();
            kept.blob = store.put_blob(&blob).await.unwrap().parse().unwrap();
            text = serde_json::to_string(&kept).unwrap();
        }
        let sealed = Draft {
            id: event.id().clone(),
            session: session.clone(),
            ts: event.ts(),
            mono_us: event.mono_us(),
            writer: event.writer().clone(),
            kind: event.kind().to_owned(),
            tv: event.tv(),
            turn: event.turn().cloned(),
            run: event.run().map(str::to_owned),
            call: event.call().cloned(),
            span: event.span(),
            parent_span: event.parent_span(),
            cause: event.cause().cloned(),
            salt: Salt([7; 16]),
            payload: Json::new(payload(&event, text)).unwrap(),
        }
        .seal(event.seq(), &prev);
        prev = *sealed.hash();
        rows.push(Row {
            seq: sealed.seq(),
            id: sealed.id().clone(),
            hash: prev.0.to_vec(),
            bytes: sealed.line().as_bytes().to_vec(),
        });
    }
    store.commit(vec![Unit { events: rows, ..Unit::new(session.clone(), Expect::New) }]).await.unwrap();
    let other = chat(&store, []);
    other.rebuild().await.unwrap();
    assert_eq!(other.verify(session).await.unwrap().fault, None);
    other
}

/// Replaces a text in the pieces of a recorded body by one of the same length.
fn replace(exchanges: &mut [Exchange], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut found = false;
    for chunk in exchanges.iter_mut().flat_map(|exchange| &mut exchange.chunks) {
        let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
        found |= text.contains(from);
        chunk.bytes = Octets::from(text.replace(from, to));
    }
    assert!(found, "{from} is in one piece");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_byte_is_found_where_it_first_shows() {
    let store = Memory::new();
    let one = Plan::body("text/event-stream", sse(&["The ", "sky ", "is blue"])).pieces(10_000);
    let engine = chat(&store, [one]);
    let session = engine.send(prompt("why?")).await.unwrap().outcome().await.unwrap().session;
    assert_same(&engine, &session).await;
    for (from, to, kind, field, expected, got) in [
        (
            "sky",
            "ski",
            "message.assistant",
            "message.parts[0].text",
            "\"The sky is blue\"",
            "\"The ski is blue\"",
        ),
        ("prompt_tokens\":3", "prompt_tokens\":7", "llm.response.completed", "usage.input_tokens", "3", "7"),
        ("\"stop\"", "\"stoq\"", "llm.response.completed", "finish.raw", "\"stop\"", "\"stoq\""),
        ("m-1", "m-0", "llm.response.completed", "model", "\"m-1\"", "\"m-0\""),
        (
            "[DONE]",
            "[DONF]",
            "llm.response.completed",
            "type",
            "\"llm.response.completed\"",
            "\"llm.response.failed\"",
        ),
    ] {
        let other =
            recorded_otherwise(&engine, &session, |all| replace(all, from, to), |_, payload| payload).await;
        let replayed = other.replay(&session).await.unwrap();
        let (turn, difference) = replayed.difference().unwrap_or_else(|| panic!("{from}: {replayed:?}"));
        let text = |json: &Option<Json>| json.as_ref().map(|json| json.get().to_owned()).unwrap_or_default();
        assert_eq!(
            (
                difference.event.as_str(),
                difference.field.as_str(),
                &*text(&difference.expected),
                &*text(&difference.got)
            ),
            (kind, field, expected, got),
            "{from}"
        );
        let events = other.events(&session).await.unwrap();
        let place = events.iter().find(|event| event.kind() == kind).map(Event::seq);
        assert_eq!((difference.seq, turn.seq), (place, 2), "{from}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_would_be_written_otherwise_is_a_difference() {
    let store = Memory::new();
    let engine = chat(&store, [plan(&["blue"])]);
    let session = engine.send(prompt("why?")).await.unwrap().outcome().await.unwrap().session;
    let other = recorded_otherwise(
        &engine,
        &session,
        |_| (),
        |event, payload| {
            if event.kind() == "message.user" { payload.replace("why?", "how?") } else { payload }
        },
    )
    .await;
    let replayed = other.replay(&session).await.unwrap();
    let (_, difference) = replayed.difference().unwrap();
    assert_eq!((difference.event.as_str(), difference.field.as_str()), ("llm.request.started", "body_hash"));
    let request =
        other.events(&session).await.unwrap().into_iter().find(|e| e.kind() == "llm.request.started");
    assert!(!other.raw_request(&session, request.unwrap().id()).await.unwrap().is_exact);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replayed_is_not_said_to_be_the_same() {
    let why = |outcome: &ReplayOutcome| match outcome {
        ReplayOutcome::NotReplayable { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    // Nothing was kept.
    let store = Memory::new();
    let tap = Arc::new(Tap::new(Fault::new([plan(&["one"])])));
    let builder = Engine::builder(store.clone())
        .provider(Shared(provider(&Protocol::OpenaiChat, "server", tap, Timeouts::default()).unwrap()));
    let engine = builder.record_wire(RecordWire::Off).adapters(Spoken).build();
    let session = engine.send(prompt("hello")).await.unwrap().outcome().await.unwrap().session;
    assert!(why(&outcomes(&engine, &session).await[0]).contains("is not kept"));
    // It is gone.
    let engine = chat(&store, [plan(&["one"])]);
    let session = engine.send(prompt("hello")).await.unwrap().outcome().await.unwrap().session;
    let lost = |event: &Event, payload: String| match LlmWireKept::of(event) {
        Some(kept) => serde_json::to_string(&LlmWireKept { blob: Hash([7; 32]), ..kept }).unwrap(),
        None => payload,
    };
    let other = recorded_otherwise(&engine, &session, |_| (), lost).await;
    assert!(why(&outcomes(&other, &session).await[0]).contains("gone"));
    // A secret was masked in the question: the answer is replayed, the request not compared.
    let tap = Arc::new(Tap::new(Fault::new([plan(&["one"])])));
    let secrets = Secrets::new();
    secrets.learn("mine", "a-long-secret-0123456789");
    let engine = Engine::builder(store.clone())
        .provider(Shared(provider(&Protocol::OpenaiChat, "server", tap, Timeouts::default()).unwrap()))
        .secrets(secrets)
        .adapters(Spoken)
        .build();
    let asked = prompt("is a-long-secret-0123456789 safe?");
    let session = engine.send(asked).await.unwrap().outcome().await.unwrap().session;
    let outcomes = outcomes(&engine, &session).await;
    let ReplayOutcome::Same { notes } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(notes[0].contains("masked"), "{notes:?}");
    // Nobody is asked where nobody speaks.
    let mute = Engine::builder(store).build();
    assert_eq!(mute.replay(&session).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
