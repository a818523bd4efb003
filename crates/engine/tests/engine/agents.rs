//! Agents: what a turn takes from one, and what a session remembers of it.

use aichat_engine::{Agent, Document, Engine, Form, ModelRef, Send, Versioned};
use aichat_events::{Fact, LlmRequestStarted, Transcript, TurnStarted};
use aichat_message::{Json, SessionId};
use aichat_providers::{Options, Output, Scripted};
use aichat_store::Memory;

use crate::support::{assert_rebuilds, engine, export, model};

fn options(text: &str) -> Options {
    serde_json::from_str(text).unwrap()
}

fn pirate() -> Agent {
    Agent {
        system: Some("talk like a pirate".into()),
        model: Some("scripted/ship".into()),
        options: options(r#"{"temperature":0.5,"seed":7}"#),
        ..Agent::default()
    }
}

async fn keep(here: &Engine, before: Option<&Versioned<Agent>>, agent: &Agent) -> Versioned<Agent> {
    here.save_document("pirate", before, agent).await.unwrap()
}

async fn ask(here: &Engine, session: Option<&SessionId>, change: impl FnOnce(&mut Send)) -> SessionId {
    let mut send = Send::new(model(), "ahoy");
    (send.model, send.session) = (None, session.cloned());
    change(&mut send);
    here.send(send).await.unwrap().outcome().await.unwrap().session
}

/// Every turn of a session: model, options, form, and the agent it was recorded for.
async fn turns(here: &Engine, session: &SessionId) -> String {
    let mut all = String::new();
    let events = here.events(session).await.unwrap();
    let transcript = Transcript::fold(&events);
    for event in events {
        if let Some(fact) = TurnStarted::of(&event) {
            let agent = fact.agent.map(|agent| format!("{} {}", agent.name, agent.version));
            all.push_str(&format!("{} of {}: ", fact.model, agent.unwrap_or_default()));
        }
        if let Some(fact) = LlmRequestStarted::of(&event) {
            let form = fact.output.map(|output| format!(" {output}")).unwrap_or_default();
            all.push_str(&format!(
                "{} messages, {}{form}\n",
                transcript.sent(&fact.messages).len(),
                fact.options
            ));
        }
    }
    all
}

#[tokio::test]
async fn a_session_goes_on_with_the_version_it_was_begun_with() {
    let store = Memory::new();
    let here = engine(&store, &Scripted::echo());
    let first = keep(&here, None, &pirate()).await;
    let session = ask(&here, None, |send| send.agent = Some(first.clone())).await;
    let other = Agent { system: Some("talk like a poet".into()), options: Options::default(), ..pirate() };
    let second = keep(&here, Some(&first), &other).await;
    ask(&here, Some(&session), |_| ()).await;
    // Whoever names the version that stands already is not told the same again.
    ask(&here, Some(&session), |send| send.agent = Some(first)).await;
    ask(&here, Some(&session), |send| send.agent = Some(second.clone())).await;
    ask(&here, Some(&session), |send| send.options = options(r#"{"seed":1}"#)).await;
    here.delete_document(&second).await.unwrap();
    ask(&here, Some(&session), |_| ()).await;
    insta::assert_snapshot!(turns(&here, &session).await, @r#"
    scripted/ship of pirate 1: 2 messages, {"temperature":0.5,"seed":7}
    scripted/ship of pirate 1: 4 messages, {"temperature":0.5,"seed":7}
    scripted/ship of pirate 1: 6 messages, {"temperature":0.5,"seed":7}
    scripted/ship of pirate 2: 9 messages, {}
    scripted/ship of pirate 2: 11 messages, {"seed":1}
    scripted/ship of pirate 2: 13 messages, {}
    "#);
    let summary = here.session(&session).await.unwrap();
    assert_eq!(summary.agent.map(|agent| (agent.name, agent.version)), Some(("pirate".into(), 2)));
    let transcript = here.transcript(&session).await.unwrap();
    assert_eq!(transcript.turns[0].agent.as_ref().map(|agent| agent.version), Some(1));
    assert_rebuilds(&here, &store).await;
}

#[tokio::test]
async fn what_the_caller_says_goes_before_what_the_agent_says() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let form = Output::Schema { name: "a".into(), schema: Json::new("{}").unwrap(), strict: None };
    let agent = keep(&here, None, &Agent { output: Some(form), ..pirate() }).await;
    let session = ask(&here, None, |send| {
        send.agent = Some(agent.clone());
        send.model = Some(ModelRef::new("scripted", "raft"));
        send.options = options(r#"{"temperature":1.0,"max_tokens":9}"#);
        send.system = Some("talk like a cook".into());
        send.form = Form::Free;
    })
    .await;
    // The session was begun with another model, and the form of its last answer was free.
    ask(&here, Some(&session), |_| ()).await;
    ask(&here, Some(&session), |send| send.agent = Some(agent)).await;
    insta::assert_snapshot!(turns(&here, &session).await, @r#"
    scripted/raft of pirate 1: 2 messages, {"max_tokens":9,"temperature":1.0,"seed":7}
    scripted/raft of pirate 1: 4 messages, {"temperature":0.5,"seed":7}
    scripted/ship of pirate 1: 7 messages, {"temperature":0.5,"seed":7} {"schema":{"name":"a","schema":{}}}
    "#);
}

#[tokio::test]
async fn a_session_whose_agent_is_elsewhere_goes_on_without_it_and_says_so() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let agent = keep(&here, None, &pirate()).await;
    let session = ask(&here, None, |send| send.agent = Some(agent)).await;
    let there = engine(&Memory::new(), &Scripted::echo());
    // Another agent of the same name and version is not the one.
    keep(&there, None, &Agent { options: options(r#"{"seed":99}"#), ..pirate() }).await;
    let exported = export(&here, &session).await;
    there.import(&Document::parse(&exported).unwrap()).await.unwrap();
    let outcome = there.send(Send::to(session.clone(), "ahoy")).await.unwrap().outcome().await.unwrap();
    insta::assert_snapshot!(outcome.warnings.join("\n"), @r#"agent "pirate", version 1, is not kept here; the session goes on without its options"#);
    insta::assert_snapshot!(turns(&there, &session).await, @r#"
    scripted/ship of pirate 1: 2 messages, {"temperature":0.5,"seed":7}
    scripted/ship of : 4 messages, {}
    "#);
}
