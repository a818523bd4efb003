//! Answers that do not keep to their form: asked for once more, in turns of their own, and given up in the end.

use std::sync::Arc;

use aichat_engine::{Check, Engine, Form, MAX_MENDS, Outcome, Progress, Send, Status, Validator, Violation};
use aichat_events::Interruption;
use aichat_message::{Delta, ErrorKind, FinishReason, Json, Role, Usage};
use aichat_providers::{Error, Output, Scripted, Turn};
use aichat_store::Memory;
use futures::StreamExt;
use serde_json::Value;

use crate::support::{Counting, Ticking, assert_rebuilds, kinds, model, quick_retries};

/// Wants `{"ok":true}`, and knows schemas that are a word.
struct Ok;

impl Validator for Ok {
    fn compile(&self, schema: &str) -> Result<Arc<dyn Check>, Violation> {
        let wrong = Violation { pointer: "/x".to_owned(), message: "it is a number".to_owned() };
        if schema == "1" { Err(wrong) } else { Result::Ok(Arc::new(Self)) }
    }
}

impl Check for Ok {
    fn violations(&self, value: &Value, _: usize) -> Vec<Violation> {
        let wrong = Violation { pointer: "/ok".to_owned(), message: "true is wanted".to_owned() };
        if value["ok"] == true { Vec::new() } else { vec![wrong] }
    }
}

fn engine(store: &Memory, provider: &Scripted) -> Engine {
    Engine::builder(store.clone())
        .provider(provider.clone())
        .validator(Ok)
        .retry(quick_retries())
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

fn said(text: &str) -> Turn {
    let usage = Usage { input_tokens: Some(10), output_tokens: Some(2), ..Usage::default() };
    Turn::new().say(text).delta(Delta::Usage(usage)).finish(FinishReason::Stop)
}

fn wanted(schema: &str) -> Send {
    let schema = Json::new(schema).unwrap();
    let form = Form::Of(Output::Schema { name: "answer".to_owned(), schema, strict: None });
    Send { form, ..Send::new(model(), "well?") }
}

async fn ask(engine: &Engine) -> Outcome {
    engine.send(wanted(r#"{"type":"object"}"#)).await.unwrap().outcome().await.unwrap()
}

#[tokio::test]
async fn an_answer_is_mended_in_turns_of_the_same_session() {
    let store = Memory::new();
    let provider = Scripted::new([said("no"), said("{\"ok\":false}"), said("so: {\"ok\": true}")]);
    let engine = engine(&store, &provider);
    let mut turn = engine.send(wanted(r#"{"type":"object"}"#)).await.unwrap();
    let mut told = Vec::new();
    while let Some(progress) = turn.next().await {
        if let Progress::Mending { number, misfit } = progress {
            told.push(format!("{number}: {misfit}"));
        }
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(
        told,
        ["1: the answer is not JSON", "2: the answer does not keep to its schema: #/ok: true is wanted"]
    );
    assert_eq!(outcome.formed, Some(Result::Ok("{\"ok\": true}".to_owned())));
    assert_eq!((outcome.message.text().as_str(), outcome.mended), ("so: {\"ok\": true}", 2));
    assert_eq!(outcome.costs.len(), 3, "every answer is paid for");
    let usage = outcome.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(30), Some(6)));
    // The model is told what was wrong, after what it said.
    let requests = provider.requests();
    let last: Vec<_> = requests[2].messages.iter().map(|message| (message.role, message.text())).collect();
    assert_eq!(last.len(), 5);
    assert_eq!(last[3], (Role::Assistant, "{\"ok\":false}".to_owned()));
    assert!(last[4].1.contains("- #/ok: true is wanted") && last[4].1.contains(r#"{"type":"object"}"#));
    // Everything is in the log, in order, and the next turn goes on from it.
    let events = engine.events(&outcome.session).await.unwrap();
    let count = |kind: &str| kinds(&events).iter().filter(|other| **other == kind).count();
    assert_eq!((count("turn.started"), count("turn.completed"), count("message.assistant")), (3, 3, 3));
    assert_eq!(engine.verify(&outcome.session).await.unwrap().fault, None);
    assert_rebuilds(&engine, &store).await;
    provider.push(said("{\"ok\":true,\"more\":1}"));
    let next = Send { form: Form::Kept, ..Send::to(outcome.session.clone(), "and?") };
    let next = engine.send(next).await.unwrap().outcome().await.unwrap();
    assert_eq!(next.formed, Some(Result::Ok("{\"ok\":true,\"more\":1}".to_owned())), "the form is kept");
    assert_eq!(provider.requests()[3].messages.len(), 7);
}

#[tokio::test]
async fn an_answer_that_was_mended_is_taken_back_with_its_question() {
    let store = Memory::new();
    let provider = Scripted::new([said("{\"ok\":true}"), said("no"), said("no"), said("{\"ok\":true}")]);
    let engine = engine(&store, &provider);
    let first = ask(&engine).await;
    let session = first.session.clone();
    let again = || Send { form: wanted("{}").form, ..Send::to(session.clone(), "really?") };
    let second = engine.send(again()).await.unwrap().outcome().await.unwrap();
    assert_eq!((second.mended, second.formed), (2, Some(Result::Ok("{\"ok\":true}".to_owned()))));
    let asked = || async {
        let transcript = engine.transcript(&session).await.unwrap();
        let asked = transcript.asked(transcript.heads.shown());
        asked.iter().map(|entry| entry.message.text()).collect::<Vec<_>>()
    };
    assert_eq!(asked().await, ["well?", "really?"], "nobody asked to have it mended");
    // What mended an answer is no message of the user.
    let complaint = engine.message(&session, "@last~1").await.unwrap();
    assert_eq!(engine.edit(&session, &complaint, "x").await.unwrap_err().kind(), ErrorKind::Input);

    assert_eq!(engine.undo(&session).await.unwrap().message.text(), "really?");
    let heads = engine.session(&session).await.unwrap().heads;
    assert_eq!(
        (heads.head.as_ref(), heads.find("main")),
        (first.answer.as_ref(), Some(second.answer.as_ref()))
    );
    assert_eq!(asked().await, ["well?"]);
    provider.push(said("no"));
    provider.push(said("{\"ok\":true}"));
    let third = engine.send(again()).await.unwrap().outcome().await.unwrap();
    assert_eq!(
        (third.mended, provider.requests()[4].messages.len()),
        (1, 3),
        "it is asked as if for the first time"
    );
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_answer_is_given_up_after_so_many_times() {
    let provider = Scripted::new((0..9).map(|n| said(&format!("no {n}"))));
    let outcome = ask(&engine(&Memory::new(), &provider)).await;
    assert_eq!((outcome.mended, outcome.status), (MAX_MENDS, Status::Completed));
    assert_eq!((outcome.message.text().as_str(), provider.requests().len()), ("no 2", 3));
    assert_eq!(outcome.formed.unwrap().unwrap_err().to_string(), "the answer is not JSON");
}

#[tokio::test]
async fn what_cannot_be_mended_is_not_asked_for_again() {
    let cut = Turn::new().say("{\"ok\":").finish(FinishReason::Length);
    let refused = Turn::new().say("no").finish(FinishReason::Refusal);
    for (turn, misfit) in
        [(cut, Some("the answer is not JSON: it was cut off by its length limit")), (refused, None)]
    {
        let provider = Scripted::new([turn, said("{\"ok\":true}")]);
        let outcome = ask(&engine(&Memory::new(), &provider)).await;
        let formed = outcome.formed.map(|formed| formed.unwrap_err().to_string());
        assert_eq!((formed.as_deref(), provider.requests().len()), (misfit, 1));
    }
    // An engine without a validator looks at the outline, and asks once.
    let provider = Scripted::new([said("no"), said("{\"ok\":true}")]);
    let outcome = ask(&crate::support::engine(&Memory::new(), &provider)).await;
    assert_eq!((outcome.formed.unwrap().is_err(), provider.requests().len()), (true, 1));
}

#[tokio::test]
async fn the_answer_stays_where_asking_again_fails() {
    let refused = Error::new(ErrorKind::Auth, "the key is gone");
    let provider = Scripted::new([said("no"), Turn::refused(refused)]);
    let outcome = ask(&engine(&Memory::new(), &provider)).await;
    assert_eq!((outcome.status, outcome.message.text().as_str()), (Status::Completed, "no"));
    assert!(outcome.formed.unwrap().is_err());
    assert!(outcome.warnings[0].contains("asked for again, which failed: "), "{:?}", outcome.warnings);
}

#[tokio::test]
async fn whoever_stops_the_second_answer_has_stopped_the_turn() {
    let provider = Scripted::new([said("no"), Turn::new().say("{").hang()]);
    let mut turn = engine(&Memory::new(), &provider).send(wanted("{}")).await.unwrap();
    let mut texts = 0;
    while let Some(progress) = turn.next().await {
        texts += u32::from(matches!(progress, Progress::Delta(Delta::Text { .. })));
        if texts == 2 {
            turn.interrupt(Interruption::User);
        }
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.message.text().as_str()), (Status::Interrupted, "{"));
}

#[tokio::test]
async fn a_wrong_schema_is_sent_to_nobody() {
    let provider = Scripted::new([said("{}")]);
    let error = engine(&Memory::new(), &provider).send(wanted("1")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "the schema is wrong at #/x: it is a number")
    );
    assert_eq!(provider.requests().len(), 0);
}
