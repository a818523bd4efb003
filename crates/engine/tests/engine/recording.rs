//! What is recorded of turns is complete: whatever begins ends once, and nothing that happened is left unsaid.

use std::collections::BTreeMap;
use std::time::Duration;

use aichat_engine::{Engine, ModelRef, RecordWire, Send, Status};
use aichat_events::{
    Event, Fact, Interruption, LlmRequestStarted, LlmResponseCompleted, LlmResponseFirstChunk,
    LlmResponseInterrupted, Messages, SessionModelSwitched, Transcript,
};
use aichat_message::{MessageId, SessionId};
use aichat_providers::{Plan, RetryPolicy, Scripted, Turn};
use aichat_store::{Claim, Memory, Pending, Sled, Store};
use bytes::Bytes;
use futures::StreamExt;
use proptest::prelude::*;

use crate::support::{Counting, Ticking, engine, first_text, kinds, model, quick_retries, say};
use crate::wire::{self, plan, sse};

/// What ends what began, by the type of the beginning.
const ENDS: [(&str, &[&str]); 2] = [
    ("turn.started", &["turn.completed", "turn.failed", "turn.interrupted"]),
    ("llm.request.started", &["llm.response.completed", "llm.response.failed", "llm.response.interrupted"]),
];

/// Asserts that everything that began has one end, of the same turn, call and span.
fn assert_ends(events: &[Event]) {
    for event in events.iter().filter(|event| event.kind().ends_with(".started")) {
        assert!(ENDS.iter().any(|(begins, _)| *begins == event.kind()), "what ends {}?", event.kind());
    }
    for (begins, ends) in ENDS {
        let of = |event: &Event| (event.turn().cloned(), event.call().cloned(), event.span());
        let mut open = BTreeMap::new();
        for event in events {
            let what = format!("{:?}", of(event));
            if event.kind() == begins {
                assert_eq!(open.insert(what, 0), None, "{begins} twice");
            } else if ends.contains(&event.kind()) {
                *open
                    .get_mut(&what)
                    .unwrap_or_else(|| panic!("{} of nothing: {:?}", event.kind(), kinds(events))) += 1;
            }
        }
        assert!(open.values().all(|ends| *ends == 1), "{begins}: {open:?} in {:?}", kinds(events));
    }
}

/// Returns an engine over another process' turn that was killed after so many records.
async fn killed_after(pending: &Pending, records: usize) -> (Engine, SessionId) {
    let store = Memory::new();
    let mut turn = store.begin(pending.header.clone(), pending.records[..1].to_vec()).await.unwrap();
    pending.records[1..records].iter().for_each(|record| turn.append(record.clone()));
    drop(turn);
    (engine(&store, &Scripted::new([])), pending.header.session.clone())
}

#[derive(Clone, Debug)]
enum Act {
    Read,
    Drop,
    Stop,
}

fn plans() -> impl Strategy<Value = Plan> {
    let length = sse(&["one ", "two ", "three"]).len();
    let good = || plan(&["one ", "two ", "three"]);
    let status = |status: u16| {
        let response = http::Response::builder().status(status);
        Plan::answer(response.body(Bytes::from_static(b"{\"error\":{\"message\":\"no\"}}")).unwrap())
    };
    prop_oneof![
        3 => Just(good()),
        2 => (0..length).prop_map(move |at| good().cut(at)),
        2 => (0..length).prop_map(move |at| good().reset(at)),
        2 => (0..length).prop_map(move |at| good().stall(at)),
        1 => Just(Plan::unreachable()),
        2 => prop::sample::select(vec![400u16, 401, 429, 500, 503]).prop_map(status),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_begins_ends_once(
        plans in prop::collection::vec(plans(), 1..5),
        acts in prop::collection::vec(prop::sample::select(vec![Act::Read, Act::Read, Act::Drop, Act::Stop]), 1..4),
        record in prop::sample::select(vec![RecordWire::On, RecordWire::Errors, RecordWire::Off]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = Memory::new();
            let engine = wire::engine(&store, plans, record, quick_retries());
            let mut session = None;
            for act in acts {
                let mut send = Send::new(ModelRef::new("server", "m"), "go");
                send.session = session.clone();
                let mut turn = engine.send(send).await.unwrap();
                session = Some(turn.session.clone());
                match act {
                    // A server that stands still is given up on after a while, on the paused clock.
                    Act::Read => while turn.next().await.is_some() {},
                    Act::Drop => drop(turn),
                    Act::Stop => {
                        let _ = tokio::time::timeout(Duration::from_millis(1), turn.next()).await;
                        turn.interrupt(Interruption::User);
                        turn.outcome().await.unwrap();
                    }
                }
                let pending = store.pending(Claim::Look).await.unwrap();
                for pending in pending {
                    // What a turn begins with is there whole, or there is no turn.
                    let is_request = |record: &Vec<u8>| String::from_utf8_lossy(record).contains("llm.request.started");
                    let first = pending.records.iter().position(is_request).unwrap() + 1;
                    for records in first..=pending.records.len() {
                        let (other, session) = killed_after(&pending, records).await;
                        assert_ends(&other.events(&session).await.unwrap());
                    }
                }
                engine.shutdown().await.unwrap();
                assert_ends(&engine.events(session.as_ref().unwrap()).await.unwrap());
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_stopped_while_it_waits_to_try_again_has_ended_that_attempt() {
    let slow = RetryPolicy { base: Duration::from_secs(60), cap: Duration::from_secs(60), ..quick_retries() };
    let refused =
        aichat_providers::Error::new(aichat_message::ErrorKind::Server, "busy").with_retryable(true);
    let store = Memory::new();
    let engine = Engine::builder(store.clone())
        .provider(Scripted::new([Turn::refused(refused)]))
        .retry(RetryPolicy { max_total: Duration::from_secs(600), ..slow })
        .clock(Ticking::new())
        .entropy(Counting)
        .build();
    let mut turn = engine.send(Send::new(model(), "well?")).await.unwrap();
    let progress = turn.next().await.unwrap();
    assert!(matches!(progress, aichat_engine::Progress::Retrying { .. }), "{progress:?}");
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    let events = engine.events(&outcome.session).await.unwrap();
    assert_ends(&events);
    assert!(!kinds(&events).contains(&"llm.response.interrupted"), "{:?}", kinds(&events));
}

#[tokio::test]
async fn an_answer_says_who_gave_it_and_where_its_time_went() {
    let mut response = http::Response::new(Bytes::from(sse(&["yes"])));
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("x-request-id", "req_1"),
        ("x-ratelimit-remaining-tokens", "9"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    let store = Memory::new();
    let plans = [Plan::unreachable(), Plan::answer(response)];
    let engine = wire::engine(&store, plans, RecordWire::On, quick_retries());
    let outcome =
        engine.send(Send::new(ModelRef::new("server", "m"), "?")).await.unwrap().outcome().await.unwrap();
    let events = engine.events(&outcome.session).await.unwrap();
    let completed = events.iter().find_map(LlmResponseCompleted::of).unwrap();
    assert_eq!(
        (completed.model.as_deref(), completed.response_id.as_deref(), completed.request_id.as_deref()),
        (Some("m-1"), Some("c1"), Some("req_1"))
    );
    assert_eq!(completed.finish.raw.as_deref(), Some("stop"));
    let usage = completed.usage.unwrap();
    assert_eq!(usage.raw.unwrap().get(), r#"{"prompt_tokens":3,"completion_tokens":2}"#);
    assert_eq!(completed.rate_limits, [("x-ratelimit-remaining-tokens".to_owned(), "9".to_owned())]);
    let timing = completed.timing;
    let (queue, byte, content) =
        (timing.queue_us.unwrap(), timing.first_byte_us.unwrap(), timing.first_content_us.unwrap());
    assert!(queue > 0 && byte <= content && content <= timing.total_us, "{timing:?}");
    let first = events.iter().find_map(LlmResponseFirstChunk::of).unwrap();
    assert_eq!((first.first_byte_us, first.first_content_us), (Some(byte), content));
    let retried = kinds(&events).iter().filter(|kind| **kind == "llm.request.retried").count();
    assert_eq!(retried, 1);
}

#[tokio::test]
async fn what_was_kept_of_a_stopped_answer_is_said() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::new([Turn::new().say("four").hang()]));
    let mut turn = engine.send(Send::new(model(), "count")).await.unwrap();
    first_text(&mut turn).await;
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    let events = engine.events(&outcome.session).await.unwrap();
    let interrupted = events.iter().find_map(LlmResponseInterrupted::of).unwrap();
    let kept = interrupted.kept.unwrap();
    assert_eq!((interrupted.reason, kept.parts, kept.text_bytes), (Interruption::User, 1, 4));
}

#[tokio::test]
async fn a_session_that_goes_on_with_another_model_says_so_once() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let session = say(&engine, None, "one").await.session;
    for name in ["test-1", "test-2", "test-2"] {
        let mut send = Send::new(ModelRef::new("scripted", name), "on");
        send.session = Some(session.clone());
        engine.send(send).await.unwrap().outcome().await.unwrap();
    }
    let events = engine.events(&session).await.unwrap();
    let switched: Vec<_> = events.iter().filter_map(SessionModelSwitched::of).collect();
    let expected = SessionModelSwitched { from: "scripted/test-1".into(), to: "scripted/test-2".into() };
    assert_eq!(switched, [expected]);
}

#[tokio::test]
async fn a_request_names_its_messages_by_the_end_of_their_branch() {
    let store = Memory::new();
    let provider = Scripted::echo();
    let engine = engine(&store, &provider);
    let session = say(&engine, None, "one").await.session;
    provider.push(Turn::new());
    for text in ["two", "three"] {
        say(&engine, Some(&session), text).await;
    }
    let events = engine.events(&session).await.unwrap();
    let transcript = Transcript::fold(&events);
    let requests = provider.requests();
    let started: Vec<LlmRequestStarted> = events.iter().filter_map(LlmRequestStarted::of).collect();
    for (request, started) in requests.iter().zip(&started) {
        let sent: Vec<_> =
            transcript.sent(&started.messages).iter().map(|entry| entry.message.text()).collect();
        assert_eq!(sent, request.messages.iter().map(|message| message.text()).collect::<Vec<_>>());
    }
    let ids: Vec<MessageId> =
        transcript.sent(&started[2].messages).iter().map(|entry| entry.id.clone()).collect();
    let listed = Messages { listed: Some(ids.clone()), ..Messages::default() };
    assert_eq!(transcript.sent(&listed).iter().map(|entry| entry.id.clone()).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn a_long_session_says_no_more_of_a_turn_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path().join("data"));
    let words = ["The ", "same ", "answer ", "each ", "time."];
    let engine = wire::engine(&store, [plan(&words)], RecordWire::On, quick_retries());
    let (mut session, mut journals) = (None, Vec::new());
    for _ in 0..60 {
        let mut send = Send::new(ModelRef::new("server", "m"), "the same question");
        send.session = session;
        let outcome = engine.send(send).await.unwrap().outcome().await.unwrap();
        journals.push(store.backlog().await.unwrap().1);
        session = Some(outcome.session);
    }
    let events = engine.events(session.as_ref().unwrap()).await.unwrap();
    let mut turns: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.turn().is_some()) {
        let turn = turns.entry(event.turn().unwrap().to_string()).or_insert((event.seq(), 0));
        turn.1 += event.line().len();
    }
    let mut sizes: Vec<(u64, usize)> = turns.into_values().collect();
    sizes.sort_unstable();
    // Numbers grow by a digit now and then.
    let (early, late) = (sizes[9].1, sizes[59].1);
    assert!(late < early + 100, "turn 10 has {early} bytes in the log, turn 60 has {late}");
    assert!(journals[59] < journals[9] + 200, "{journals:?}");
}
