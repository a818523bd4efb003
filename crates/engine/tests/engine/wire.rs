//! The wire journal: what went over the network for a turn is one blob, whatever became of the turn.

use std::sync::Arc;
use std::time::Duration;

use aichat_engine::{Engine, Export, ModelRef, RecordWire, Secrets, Send, Status};
use aichat_events::{Event, Fact, Interruption, LlmRequestStarted, LlmWireKept, WarningRaised};
use aichat_message::SessionId;
use aichat_providers::{
    Driver, Endpoint, Exchange, Fault, How, OpenaiChat, Plan, Profile, Replay, RetryPolicy, Tap, Transport,
};
use aichat_store::{Memory, Sled, Store};
use bytes::Bytes;
use futures::StreamExt;
use secrecy::SecretString;

use crate::support::{Counting, Ticking, assert_rebuilds, first_text, kinds, quick_retries};
use crate::transfer::import;

const KEY: &str = "sk-the-key-of-this-test-0123456789";

/// Returns a body that says these words one by one.
pub(crate) fn sse(words: &[&str]) -> String {
    let mut body = String::new();
    for word in words {
        let word = serde_json::to_string(word).unwrap();
        body.push_str(&format!(
            "data: {{\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{word}}}}}]}}\n\n"
        ));
    }
    body.push_str(
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    );
    body.push_str(
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n",
    );
    body + "data: [DONE]\n\n"
}

pub(crate) fn plan(words: &[&str]) -> Plan {
    Plan::body("text/event-stream", sse(words)).pieces(150)
}

/// Returns an engine over a server that behaves so.
pub(crate) fn engine(
    store: &(impl Store + Clone + 'static),
    plans: impl IntoIterator<Item = Plan>,
    record: RecordWire,
    retry: RetryPolicy,
) -> Engine {
    over(store, Arc::new(Tap::new(Fault::new(plans))), record, retry)
}

fn over(
    store: &(impl Store + Clone + 'static),
    transport: Arc<dyn Transport>,
    record: RecordWire,
    retry: RetryPolicy,
) -> Engine {
    let endpoint =
        Endpoint::new("server", "http://localhost:1/v1", transport).with_key(SecretString::from(KEY));
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap();
    let secrets = Secrets::new();
    secrets.learn("server", KEY);
    Engine::builder(store.clone())
        .provider(provider)
        .secrets(secrets)
        .record_wire(record)
        .retry(retry)
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

fn prompt(text: &str) -> Send {
    Send::new(ModelRef::new("server", "m"), text)
}

/// Returns the exchanges that were kept of a session, with the event that refers to each lot.
async fn kept(engine: &Engine, session: &SessionId) -> Vec<(LlmWireKept, Vec<Exchange>)> {
    let mut found = Vec::new();
    for event in engine.events(session).await.unwrap() {
        if let Some(fact) = LlmWireKept::of(&event) {
            found.push((fact, engine.wire(&event).await.unwrap().unwrap()));
        }
    }
    found
}

fn warnings(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(WarningRaised::of).map(|warning| warning.text).collect()
}

#[tokio::test]
async fn every_byte_of_an_answer_is_kept_and_answers_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path().join("data"));
    let words = ["The ", "sky ", "is ", "\"blue\", ", "né?"];
    let engine = engine(&store, [plan(&words)], RecordWire::On, quick_retries());
    let outcome = engine.send(prompt("why?")).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.status, Status::Completed);
    let events = engine.events(&outcome.session).await.unwrap();
    assert_eq!(kinds(&events)[kinds(&events).len() - 2..], ["turn.completed", "llm.wire.kept"]);
    let [(fact, exchanges)] = &kept(&engine, &outcome.session).await[..] else { panic!("one turn") };
    let [exchange] = &exchanges[..] else { panic!("one attempt") };
    assert_eq!(String::from_utf8_lossy(&exchange.body()), sse(&words));
    let started = events.iter().find(|event| event.kind() == LlmRequestStarted::TYPE).unwrap();
    let request = LlmRequestStarted::of(started).unwrap();
    assert_eq!(exchange.request.label, started.span().map(|span| span.to_string()));
    assert_eq!((fact.exchanges[0].span, fact.exchanges[0].status), (started.span(), Some(200)));
    assert_eq!(exchange.request.body_hash.as_deref(), Some(&*request.body_hash.to_string()));
    assert_eq!(
        (request.path.as_str(), request.profile.as_deref()),
        ("/v1/chat/completions", Some("generic"))
    );
    assert_eq!((&exchange.request.path, &exchange.request.body), (&request.path, &None));
    assert_eq!(exchange.end.as_ref().map(|end| &end.how), Some(&How::Dropped));
    let sizes: Vec<usize> = exchange.chunks.iter().map(|chunk| chunk.bytes.len()).collect();
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == 150), "in the pieces it came in: {sizes:?}");

    // The same request over what was kept gives the same answer.
    let replay = Arc::new(Replay::new(exchanges.clone()));
    let again = over(&Memory::new(), replay, RecordWire::Off, quick_retries());
    let second = again.send(prompt("why?")).await.unwrap().outcome().await.unwrap();
    assert_eq!(second.message, outcome.message);
    let other =
        over(&Memory::new(), Arc::new(Replay::new(exchanges.clone())), RecordWire::Off, quick_retries());
    let diverged = other.send(prompt("why not?")).await.unwrap().outcome().await.unwrap();
    assert!(diverged.error.unwrap().to_string().contains("differs from the recording in its body"));
    assert_rebuilds(&engine, &store).await;
    assert_eq!(engine.verify(&outcome.session).await.unwrap().fault, None);
    assert!(
        std::fs::read_dir(dir.path().join("data/journal")).unwrap().next().is_none(),
        "nothing stays beside"
    );
}

#[tokio::test]
async fn every_attempt_is_an_exchange_and_what_is_kept_can_be_chosen() {
    let refused = || {
        let response =
            http::Response::builder().status(503).header("x-request-id", "req_7").header("set-cookie", "c");
        Plan::answer(response.body(Bytes::from_static(b"{\"error\":{\"message\":\"busy\"}}")).unwrap())
    };
    for (record, expected) in [(RecordWire::On, 2), (RecordWire::Errors, 1), (RecordWire::Off, 0)] {
        let store = Memory::new();
        let plans = [refused(), plan(&["yes"]), plan(&["again"])];
        let engine = engine(&store, plans, record, quick_retries());
        let outcome = engine.send(prompt("well?")).await.unwrap().outcome().await.unwrap();
        assert_eq!(outcome.status, Status::Completed, "{record:?}");
        let mut next = prompt("and?");
        next.session = Some(outcome.session.clone());
        engine.send(next).await.unwrap().outcome().await.unwrap();
        let kept = kept(&engine, &outcome.session).await;
        let found: Vec<&Exchange> = kept.iter().flat_map(|(_, exchanges)| exchanges).collect();
        assert_eq!(found.len(), if record == RecordWire::On { 3 } else { expected }, "{record:?}");
        let Some(first) = found.first() else { continue };
        let answer = first.answer.as_ref().unwrap();
        assert_eq!((answer.status, &first.body()[..]), (503, &b"{\"error\":{\"message\":\"busy\"}}"[..]));
        assert_eq!(answer.headers.len(), 1, "of a list only: {:?}", answer.headers);
        let spans: std::collections::BTreeSet<_> = found.iter().map(|it| it.request.label.clone()).collect();
        assert_eq!(spans.len(), found.len(), "each attempt has its own");
    }
}

#[tokio::test]
async fn answers_that_are_not_streamed_and_networks_that_fail_are_kept_too() {
    let whole = r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;
    let store = Memory::new();
    let plans =
        [Plan::body("application/json", whole), plan(&["half ", "of it"]).reset(200), Plan::unreachable()];
    let never = RetryPolicy { max_attempts: 1, ..quick_retries() };
    let engine = engine(&store, plans, RecordWire::Errors, never);
    let mut send = prompt("one");
    send.stream = false;
    let one = engine.send(send).await.unwrap().outcome().await.unwrap();
    let two = engine.send(prompt("two")).await.unwrap().outcome().await.unwrap();
    let three = engine.send(prompt("three")).await.unwrap().outcome().await.unwrap();
    assert_eq!([one.status, two.status, three.status], [Status::Completed, Status::Failed, Status::Failed]);
    assert!(kept(&engine, &one.session).await.is_empty(), "it came to its end");
    let [(_, broken)] = &kept(&engine, &two.session).await[..] else { panic!("one turn") };
    assert_eq!(broken[0].body().len(), 200);
    assert!(matches!(broken[0].end.as_ref().unwrap().how, How::Failed { .. }));
    let [(fact, refused)] = &kept(&engine, &three.session).await[..] else { panic!("one turn") };
    assert!(
        refused[0].answer.is_none() && matches!(refused[0].end.as_ref().unwrap().how, How::Failed { .. })
    );
    assert_eq!((fact.exchanges[0].status, fact.exchanges[0].end.as_deref()), (None, Some("failed")));
}

#[tokio::test]
async fn what_was_stopped_is_kept_as_far_as_it_came() {
    let store = Memory::new();
    let engine =
        engine(&store, [plan(&["one ", "two ", "three"]).stall(300)], RecordWire::Errors, quick_retries());
    let mut turn = engine.send(prompt("count")).await.unwrap();
    first_text(&mut turn).await;
    turn.interrupt(Interruption::User);
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    let [(_, exchanges)] = &kept(&engine, &outcome.session).await[..] else { panic!("one turn") };
    assert_eq!(exchanges[0].body().len(), 300);
    assert_eq!(exchanges[0].end.as_ref().map(|end| &end.how), Some(&How::Dropped));
}

/// Lets a turn write for a while, and then takes it for dead: its task is gone with its runtime.
#[test]
fn what_a_dead_process_left_is_kept_as_far_as_it_came() {
    for (words, is_kept) in [(vec!["one "; 12], true), (spread(), false)] {
        let store = Memory::new();
        let engine =
            engine(&store, [plan(&words).stall(sse(&words).len() - 300)], RecordWire::On, quick_retries());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let session = runtime.block_on(async {
            let mut turn = engine.send(prompt("count")).await.unwrap();
            first_text(&mut turn).await;
            // Time stands still until nobody has anything to do but to wait for it.
            tokio::time::sleep(Duration::from_secs(1)).await;
            turn.session.clone()
        });
        drop(runtime);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let events = engine.events(&session).await.unwrap();
            assert!(kinds(&events).contains(&"turn.recovered"), "{:?}", kinds(&events));
            let kept = kept(&engine, &session).await;
            assert_eq!(kept.len(), usize::from(is_kept));
            assert_eq!(warnings(&events).len(), usize::from(!is_kept), "{:?}", warnings(&events));
            if let [(_, exchanges)] = &kept[..] {
                let body = exchanges[0].body();
                assert!(body.len() > 150 && sse(&words).as_bytes().starts_with(&body), "{}", body.len());
                assert_eq!(exchanges[0].end, None, "the recording broke off");
            }
        });
    }
}

/// Returns words that together hold the key, and none of them does.
fn spread() -> Vec<&'static str> {
    let (first, rest) = KEY.split_at(11);
    let (second, third) = rest.split_at(11);
    [vec!["it is ", first, second, third], vec![" and more"; 9]].concat()
}

#[tokio::test]
async fn a_wire_with_a_secret_spread_over_it_is_not_kept() {
    let store = Memory::new();
    let engine = engine(&store, [plan(&spread())], RecordWire::On, quick_retries());
    let outcome = engine.send(prompt("what is the key?")).await.unwrap().outcome().await.unwrap();
    let events = engine.events(&outcome.session).await.unwrap();
    assert!(kept(&engine, &outcome.session).await.is_empty());
    assert_eq!(
        warnings(&events),
        ["what went over the network is not kept, because a secret was masked in the answer"]
    );
    assert_eq!(outcome.warnings, warnings(&events));
    assert!(outcome.message.text().contains(KEY), "the answer itself is never altered");
}

#[tokio::test]
async fn the_blob_of_a_wire_goes_where_its_session_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path().join("data"));
    let engine = engine(&store, [plan(&["yes"])], RecordWire::On, quick_retries());
    let session = engine.send(prompt("well?")).await.unwrap().outcome().await.unwrap().session;
    let [(fact, exchanges)] = &kept(&engine, &session).await[..] else { panic!("one turn") };
    let text = engine.export(Export::of([session.clone()])).text().await.unwrap();
    let elsewhere = Memory::new();
    let other = self::engine(&elsewhere, [], RecordWire::On, quick_retries());
    import(&other, text).await[0].as_ref().unwrap();
    assert_eq!(&kept(&other, &session).await[0].1, exchanges);
    let name = fact.blob.to_string();
    assert!(store.blob(&name).await.unwrap().is_some());
    let purged = engine.purge(&session, false).await.unwrap();
    assert_eq!(purged[0].blobs, 1);
    assert!(store.blob(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_cannot_keep_the_blob_keeps_the_turn() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sled::at(dir.path().join("data"));
    let engine = engine(&store, [plan(&["yes"])], RecordWire::On, quick_retries());
    let mut turn = engine.send(prompt("well?")).await.unwrap();
    while turn.next().await.is_some() {}
    let session = turn.session.clone();
    turn.outcome().await.unwrap();
    // A file where the directory of blobs shall be.
    std::fs::remove_dir_all(dir.path().join("data/attached")).ok();
    std::fs::write(dir.path().join("data/attached"), "in the way").unwrap();
    let events = engine.events(&session).await.unwrap();
    assert!(kinds(&events).contains(&"turn.completed"));
    let warned = warnings(&events);
    assert!(warned[0].starts_with("what went over the network could not be kept"), "{warned:?}");
}
