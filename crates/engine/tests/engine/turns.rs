//! Turns: completed, retried, failed, stopped, dropped, recovered, masked.

use std::time::Duration;

use aichat_engine::{Engine, Form, Progress, Secrets, Send, Status};
use aichat_events::{Interruption, LlmRequestStarted, Transcript};
use aichat_message::{ErrorKind, FinishReason, Json, Message, Part, PartKind, Role};
use aichat_providers::{Error, Output, Scripted, Turn};
use aichat_store::{Claim, Memory, State, Store};
use futures::StreamExt;

use crate::support::{assert_rebuilds, engine, kinds, model, say, text_of};

#[tokio::test]
async fn a_turn_streams_and_is_found_afterwards_as_a_session_and_a_log() {
    let (store, provider) = (Memory::new(), Scripted::new([Turn::new().say("Blue ").say("sky.").stop()]));
    let engine = engine(&store, &provider);
    let mut turn = engine.send(Send::new(model(), "why?")).await.unwrap();
    let text = text_of(&mut turn).await;
    let session = turn.session.clone();
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((text.as_str(), outcome.message.text().as_str()), ("Blue sky.", "Blue sky."));
    assert_eq!((outcome.status, outcome.error.is_none()), (Status::Completed, true));

    let events = engine.events(&session).await.unwrap();
    insta::assert_json_snapshot!(kinds(&events), @r#"
    [
      "session.created",
      "turn.started",
      "message.user",
      "llm.request.started",
      "llm.response.first_chunk",
      "llm.response.completed",
      "cost.calculated",
      "message.assistant",
      "turn.completed"
    ]
    "#);
    assert_eq!(engine.verify(&session).await.unwrap().fault, None);
    let list = engine.list(None).await.unwrap();
    assert_eq!((list.len(), list[0].title.as_deref(), list[0].messages), (1, Some("why?"), 2));
    assert_eq!(list[0].status, Some(Status::Completed));
    assert_eq!(engine.transcript(&session).await.unwrap().head().unwrap().message.text(), "Blue sky.");
}

#[tokio::test]
async fn a_third_turn_repeats_the_conversation_in_order() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let mut first = Send::new(model(), "one");
    first.system = Some("be brief".into());
    let session = engine.send(first).await.unwrap().outcome().await.unwrap().session;
    say(&engine, Some(&session), "two").await;
    say(&engine, Some(&session), "three").await;
    let requests = provider.requests();
    let said: Vec<(Role, String)> = requests[2].messages.iter().map(|m| (m.role, m.text())).collect();
    let expected = [
        (Role::System, "be brief"),
        (Role::User, "one"),
        (Role::Assistant, "one"),
        (Role::User, "two"),
        (Role::Assistant, "two"),
        (Role::User, "three"),
    ];
    assert_eq!(said, expected.map(|(role, text)| (role, text.to_owned())));
    let events = engine.events(&session).await.unwrap();
    let started: Vec<_> = events.iter().filter_map(LlmRequestStarted::of_event).collect();
    let sent = Transcript::fold(&events).sent(&started[2].messages).len();
    assert_eq!(sent, 6, "a request refers to its messages");
    assert_rebuilds(&engine, &store).await;
}

trait OfEvent: Sized {
    fn of_event(event: &aichat_events::Event) -> Option<Self>;
}

impl<F: aichat_events::Fact> OfEvent for F {
    fn of_event(event: &aichat_events::Event) -> Option<Self> {
        F::of(event)
    }
}

#[tokio::test]
async fn a_refused_attempt_is_retried_before_the_first_content_and_every_attempt_is_recorded() {
    let busy = || Turn::refused(Error::new(ErrorKind::Overloaded, "no capacity").with_status(529));
    let provider = Scripted::new([busy(), busy(), Turn::text("at last")]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let mut turn = engine.send(Send::new(model(), "hi")).await.unwrap();
    let mut retries = 0;
    while let Some(progress) = turn.next().await {
        retries += u32::from(matches!(progress, Progress::Retrying { .. }));
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((retries, outcome.status, outcome.message.text().as_str()), (2, Status::Completed, "at last"));
    let events = engine.events(&outcome.session).await.unwrap();
    let count = |kind: &str| events.iter().filter(|event| event.kind() == kind).count();
    assert_eq!(
        (count("llm.request.started"), count("llm.response.failed"), count("llm.request.retried")),
        (3, 2, 2)
    );
    assert_eq!((count("llm.response.completed"), count("turn.completed")), (1, 1));
    let timeline = aichat_events::Timeline::of(&events).render(80);
    assert_eq!(
        (timeline.matches("retry ").count(), timeline.matches("failure ").count()),
        (2, 0),
        "{timeline}"
    );
}

#[tokio::test]
async fn an_error_in_mid_stream_is_not_retried_and_keeps_what_had_arrived() {
    let cut = Turn::new().say("half an ans").fail(Error::new(ErrorKind::Truncated, "cut"));
    let (store, provider) = (Memory::new(), Scripted::new([cut, Turn::text("never asked for")]));
    let engine = engine(&store, &provider);
    let outcome = say(&engine, None, "hi").await;
    assert_eq!((outcome.status, outcome.message.text().as_str()), (Status::Failed, "half an ans"));
    assert_eq!(outcome.error.unwrap().kind(), ErrorKind::Truncated);
    assert_eq!(provider.requests().len(), 1);
    let transcript = engine.transcript(&outcome.session).await.unwrap();
    let last = transcript.head().unwrap();
    assert_eq!((last.message.text().as_str(), last.partial), ("half an ans", true));
    let second = say(&engine, Some(&outcome.session), "go on").await;
    assert_eq!(second.status, Status::Completed);
    assert_eq!(provider.requests()[1].messages[1].text(), "half an ans", "the partial answer is context");
}

#[tokio::test]
async fn a_turn_that_fails_without_an_answer_leaves_the_conversation_as_it_was() {
    let refused = Turn::refused(Error::new(ErrorKind::Auth, "refused key").with_status(401));
    let (store, provider) = (Memory::new(), Scripted::new([Turn::text("yes"), refused, Turn::text("now")]));
    let engine = engine(&store, &provider);
    let session = say(&engine, None, "one").await.session;
    let failed = say(&engine, Some(&session), "lost").await;
    assert_eq!((failed.status, failed.answer), (Status::Failed, None));
    say(&engine, Some(&session), "two").await;
    let sent: Vec<String> = provider.requests()[2].messages.iter().map(|m| m.text()).collect();
    assert_eq!(sent, ["one", "yes", "two"]);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_interrupted_turn_keeps_its_text_and_the_next_one_works() {
    let provider = Scripted::new([Turn::new().say("so far").hang(), Turn::text("next")]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let mut turn = engine.send(Send::new(model(), "hi")).await.unwrap();
    while let Some(progress) = turn.next().await {
        if matches!(progress, Progress::Delta(aichat_message::Delta::Text { .. })) {
            turn.interrupt(Interruption::User);
        }
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.message.text().as_str()), (Status::Interrupted, "so far"));
    assert_eq!(outcome.error.unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(provider.dropped(), 1, "the request was stopped");
    assert_eq!(say(&engine, Some(&outcome.session), "again").await.message.text(), "next");
    let events = engine.events(&outcome.session).await.unwrap();
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "turn.interrupted").count(), 1);
}

#[tokio::test]
async fn a_dropped_stream_stops_the_request_and_is_recorded_before_shutdown_returns() {
    let provider = Scripted::new([Turn::new().say("so far").hang()]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let mut turn = engine.send(Send::new(model(), "hi")).await.unwrap();
    while !matches!(turn.next().await, Some(Progress::Delta(aichat_message::Delta::Text { .. }))) {}
    let session = turn.session.clone();
    drop(turn);
    engine.shutdown().await.unwrap();
    assert_eq!(provider.dropped(), 1);
    let events = engine.events(&session).await.unwrap();
    let last = kinds(&events);
    assert_eq!(
        last[last.len() - 4..],
        ["llm.response.interrupted", "cost.calculated", "message.assistant", "turn.interrupted"]
    );
}

// Time stands still until nobody has anything to do but to wait for it.
#[tokio::test(start_paused = true)]
async fn a_turn_whose_process_died_is_recovered_with_its_text() {
    let provider = Scripted::new([Turn::new().say("what had ").say("arrived").hang()]);
    let store = Memory::new();
    let dead = engine(&store, &provider);
    let mut turn = dead.send(Send::new(model(), "hi")).await.unwrap();
    let session = turn.session.clone();
    let mut text = String::new();
    while text != "what had arrived" {
        if let Some(Progress::Delta(aichat_message::Delta::Text { text: piece, .. })) = turn.next().await {
            text.push_str(&piece);
        }
    }
    tokio::time::sleep(Duration::from_millis(80)).await;
    // A second engine over a copy of what is stored at this instant stands for the next process.
    let orphan = store.pending(Claim::Look).await.unwrap().remove(0);
    assert_eq!(orphan.state, State::Running);
    let other = Memory::new();
    drop(other.begin(orphan.header, orphan.records).await.unwrap());
    let next = engine(&other, &Scripted::echo());
    let events = next.events(&session).await.unwrap();
    let end = kinds(&events);
    assert_eq!(
        end[end.len() - 5..],
        [
            "turn.recovered",
            "llm.response.interrupted",
            "cost.calculated",
            "message.assistant",
            "turn.interrupted"
        ]
    );
    let transcript = next.transcript(&session).await.unwrap();
    assert_eq!(transcript.head().unwrap().message.text(), "what had arrived");
    assert!(transcript.head().unwrap().partial);
    assert_eq!(next.verify(&session).await.unwrap().fault, None);
    assert_eq!(say(&next, Some(&session), "go on").await.message.text(), "go on");
    assert_rebuilds(&next, &other).await;
}

#[tokio::test]
async fn a_writer_taken_for_dead_may_complete_late_and_its_answer_becomes_the_head() {
    // One engine writes a whole turn; what it recorded is then played to another store in two instalments.
    let whole = Memory::new();
    let writer = engine(&whole, &Scripted::new([Turn::new().say("the whole ").say("answer").stop()]));
    let session = say(&writer, None, "hi").await.session;
    let turn = whole.pending(Claim::Look).await.unwrap().remove(0);
    let is_end = |record: &Vec<u8>| {
        let text = String::from_utf8_lossy(record);
        ["llm.response.completed", "cost.calculated", "message.assistant", "turn.completed"]
            .iter()
            .any(|kind| text.contains(kind))
    };
    let beginning: Vec<_> = turn.records.iter().filter(|record| !is_end(record)).cloned().collect();

    let store = Memory::new();
    let reader = engine(&store, &Scripted::echo());
    drop(store.begin(turn.header.clone(), beginning).await.unwrap());
    assert_eq!(reader.session(&session).await.unwrap().status, Some(Status::Interrupted));
    store.begin(turn.header.clone(), turn.records.clone()).await.unwrap().finish().await.unwrap();
    let summary = reader.session(&session).await.unwrap();
    assert_eq!(summary.status, Some(Status::Completed));
    let transcript = reader.transcript(&session).await.unwrap();
    let head = transcript.entry(summary.heads.head.as_ref().unwrap()).unwrap();
    assert_eq!((head.message.text().as_str(), head.partial), ("the whole answer", false));
    let events = reader.events(&session).await.unwrap();
    let count = |kind: &str| kinds(&events).iter().filter(|k| **k == kind).count();
    assert_eq!((count("message.user"), count("turn.interrupted"), count("turn.completed")), (1, 1, 1));
    assert_eq!(reader.verify(&session).await.unwrap().fault, None);
    assert_eq!(store.backlog().await.unwrap().0, 0);
    assert_eq!(say(&reader, Some(&session), "next").await.message.text(), "next");
    assert_rebuilds(&reader, &store).await;
}

#[tokio::test]
async fn the_form_of_the_last_answer_is_kept_and_one_that_was_refused_is_not() {
    let refused = || Turn::refused(Error::new(ErrorKind::InvalidRequest, "no such form"));
    let script = [Turn::text("{}"), Turn::text("{}"), refused(), Turn::text("{}")];
    let (store, provider) = (Memory::new(), Scripted::new(script));
    let engine = engine(&store, &provider);
    let schema = |name: &str| {
        let schema = Json::new("{}").unwrap();
        Output::Schema { name: name.to_owned(), schema, strict: None }
    };
    let mut first = Send::new(model(), "a");
    first.form = Form::Of(schema("good"));
    let session = engine.send(first).await.unwrap().outcome().await.unwrap().session;
    let again = || Send::to(session.clone(), "again");
    engine.send(again()).await.unwrap().outcome().await.unwrap();
    let mut bad = again();
    bad.form = Form::Of(schema("bad"));
    assert!(engine.send(bad).await.unwrap().outcome().await.unwrap().error.is_some());
    engine.send(again()).await.unwrap().outcome().await.unwrap();
    let forms: Vec<_> = provider.requests().into_iter().map(|request| request.output.unwrap()).collect();
    assert_eq!(forms, ["good", "good", "bad", "good"].map(schema));
}

#[tokio::test]
async fn two_turns_at_once_on_one_session_are_refused_not_interleaved() {
    let provider = Scripted::new([Turn::text("a"), Turn::new().say("b").hang(), Turn::text("c")]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let session = say(&engine, None, "one").await.session;
    let running = engine.send(Send::to(session.clone(), "two")).await.unwrap();
    let refused = engine.send(Send::to(session.clone(), "three")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    drop(running);
    let mut patient = Send::to(session.clone(), "four");
    patient.wait = Duration::from_secs(20);
    assert_eq!(engine.send(patient).await.unwrap().outcome().await.unwrap().message.text(), "c");
}

#[tokio::test]
async fn a_first_turn_in_flight_keeps_a_second_one_out_as_well() {
    let provider = Scripted::new([Turn::new().say("a").hang(), Turn::text("b")]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let running = engine.send(Send::new(model(), "one")).await.unwrap();
    let refused = engine.send(Send::to(running.session.clone(), "two")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert_eq!(engine.delete(&running.session).await.unwrap_err().kind(), ErrorKind::Busy);
    let session = running.session.clone();
    drop(running);
    engine.shutdown().await.unwrap();
    engine.delete(&session).await.unwrap();
}

#[tokio::test]
async fn a_turn_that_is_still_running_is_listed_and_not_taken_for_interrupted() {
    let (store, provider) = (Memory::new(), Scripted::new([Turn::new().say("a").hang()]));
    let engine = engine(&store, &provider);
    let running = engine.send(Send::new(model(), "one")).await.unwrap();
    let list = engine.list(None).await.unwrap();
    assert_eq!((list.len(), list[0].status, list[0].title.as_deref()), (1, None, Some("one")));
    let events = engine.events(&running.session).await.unwrap();
    assert!(!kinds(&events).contains(&"turn.recovered"));
    assert_eq!(store.head(&running.session).await.unwrap(), None, "nothing of it is in the log yet");
}

#[tokio::test]
async fn an_answer_that_broke_off_before_its_first_word_is_no_answer() {
    let nothing = Turn::new().say("").fail(Error::new(ErrorKind::Truncated, "cut"));
    let (store, provider) = (Memory::new(), Scripted::new([nothing]));
    let outcome = say(&engine(&store, &provider), None, "hi").await;
    assert_eq!((outcome.status, outcome.answer), (Status::Failed, None));
}

#[tokio::test]
async fn a_secret_is_masked_in_the_record_and_not_in_the_answer() {
    let secret = "sk-canary-0123456789";
    let turn = Turn::new().say("the key is sk-can").say("ary-01234").say("56789, keep it").stop();
    let (store, provider) = (Memory::new(), Scripted::new([turn]));
    let secrets = Secrets::new();
    secrets.learn("TEST_KEY", secret);
    let engine = Engine::builder(store.clone()).provider(provider).secrets(secrets).build();
    let outcome = say(&engine, None, &format!("is {secret} good?")).await;
    assert_eq!(outcome.message.text(), format!("the key is {secret}, keep it"));
    for pending in store.pending(Claim::Look).await.unwrap() {
        for record in pending.records {
            assert!(!String::from_utf8(record).unwrap().contains("0123456789"));
        }
    }
    let events = engine.events(&outcome.session).await.unwrap();
    let log: String = events.iter().map(aichat_events::Event::line).collect();
    assert!(
        !log.contains("sk-canary") && log.contains("‹secret:TEST_KEY›") && log.contains("secret.redacted")
    );
    let transcript = engine.transcript(&outcome.session).await.unwrap();
    let PartKind::Text { text, .. } = &transcript.head().unwrap().message.parts[0].kind else {
        panic!("a text part")
    };
    assert_eq!(text, "the key is ‹secret:TEST_KEY›, keep it");
}

#[tokio::test]
async fn a_preview_sends_and_records_nothing() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let call = engine.preview(Send::new(model(), "hi")).await.unwrap().remove(0).ask.unwrap().call;
    assert_eq!(call.request.messages[0].text(), "hi");
    assert!(provider.requests().is_empty() && store.pending(Claim::Look).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_provider_or_session_is_refused_before_anything_is_written() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let send = Send::new(aichat_engine::ModelRef::new("nobody", "x"), "hi");
    assert_eq!(engine.send(send).await.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = aichat_message::SessionId::from_bits([9; 10]);
    assert_eq!(engine.send(Send::to(gone, "hi")).await.unwrap_err().kind(), ErrorKind::Input);
    assert!(store.pending(Claim::Look).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_goes_back_with_its_result_and_not_without() {
    let call = |id| Turn::new().part(0, Part::tool_call(id, "weather", "{}")).finish(FinishReason::ToolCalls);
    let provider = Scripted::new([call("c1"), call("c2"), Turn::text("sunny")]);
    let engine = engine(&Memory::new(), &provider);
    let session = say(&engine, None, "rain?").await.session;
    say(&engine, Some(&session), "never mind; sun?").await;
    let mut send = Send::new(model(), "");
    send.session = Some(session);
    send.message = Message::new(Role::Tool, vec![Part::tool_result("c2", "sun")]);
    engine.send(send).await.unwrap().outcome().await.unwrap();
    let calls: Vec<Vec<String>> = provider
        .requests()
        .iter()
        .map(|request| {
            let parts = request.messages.iter().flat_map(|message| &message.parts);
            let ids = parts.filter_map(|part| match &part.kind {
                PartKind::ToolCall { call_id, .. } => Some(call_id.clone()),
                _ => None,
            });
            ids.collect()
        })
        .collect();
    assert_eq!(calls, [vec![], vec![], vec!["c2".to_owned()]]);
}
