//! Forks in which something is different from what they share.

use aichat_engine::{Change, Engine, Fork, ForkAt, ModelRef, Search, Send};
use aichat_message::{ErrorKind, Message, MessageId, Part, Role, SessionId};
use aichat_providers::{Scripted, Turn};
use aichat_store::Memory;
use futures::StreamExt;
use proptest::prelude::*;

use crate::support::{assert_rebuilds, engine, export, kinds, model, say};

/// Returns who says what on the branch that a session goes on from.
async fn branch(engine: &Engine, session: &SessionId) -> Vec<String> {
    let transcript = engine.transcript(session).await.unwrap();
    let head = transcript.head().map(|head| head.id.clone()).unwrap();
    let said = |message: &Message| format!("{}: {}", message.role.as_str(), message.text());
    transcript.branch(&head).iter().map(|entry| said(&entry.message)).collect()
}

async fn ids(engine: &Engine, session: &SessionId) -> Vec<MessageId> {
    let entries = engine.prefix(session, &ForkAt::Head).await.unwrap();
    entries.into_iter().map(|entry| entry.id).collect()
}

/// Answers what the branch ends with.
async fn answer(engine: &Engine, session: &SessionId) -> String {
    let send = Send { message: Message::new(Role::User, Vec::new()), ..Send::to(session.clone(), "") };
    engine.send(send).await.unwrap().outcome().await.unwrap().message.text()
}

/// A session of two turns, the first with a standing instruction.
async fn session(engine: &Engine) -> SessionId {
    let send = Send { system: Some("be brief".into()), ..Send::new(model(), "one") };
    let session = engine.send(send).await.unwrap().outcome().await.unwrap().session;
    say(engine, Some(&session), "two").await;
    session
}

#[tokio::test]
async fn what_is_changed_stands_where_it_was_and_what_follows_is_kept() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let parent = session(&engine).await;
    let of = ids(&engine, &parent).await;
    let before = export(&engine, &parent).await;
    let fork = Fork {
        name: Some("other".into()),
        changes: vec![
            Change::Edit(of[2].clone(), "eins".into()),
            Change::Model(ModelRef::new("scripted", "test-2")),
            Change::System("be long".into()),
            Change::Edit(of[1].clone(), "uno".into()),
        ],
        ..Fork::at(ForkAt::Message(of[3].clone()))
    };
    let fork = engine.fork(&parent, &fork).await.unwrap();
    assert_eq!(
        branch(&engine, &fork).await,
        ["system: be long", "user: uno", "assistant: eins", "user: two"]
    );
    assert_eq!(
        kinds(&engine.events(&fork).await.unwrap()),
        [
            "session.forked",
            "session.settings.changed",
            "message.edited",
            "message.dropped",
            "message.edited",
            "message.edited"
        ]
    );
    let summary = engine.session(&fork).await.unwrap();
    assert_eq!((summary.model.as_deref(), summary.title.as_deref()), (Some("scripted/test-2"), Some("uno")));
    assert_eq!(answer(&engine, &fork).await, "two");
    let request = provider.requests().pop().unwrap();
    let sent: Vec<String> = request.messages.iter().map(Message::text).collect();
    assert_eq!(
        (request.model.as_str(), sent),
        ("test-2", vec!["be long".into(), "uno".into(), "eins".into(), "two".into()])
    );
    let edited = engine.transcript(&fork).await.unwrap();
    let edited = edited.entries.iter().find(|entry| entry.message.text() == "uno").unwrap().clone();
    assert_eq!((edited.replaces.as_ref(), edited.role), (Some(&of[1]), Role::User));
    // A fork of the fork shares what is different in it, wherever it leaves it.
    for (at, last) in [(ForkAt::Head, "assistant: two"), (ForkAt::Message(of[3].clone()), "user: two")] {
        let again = engine.fork(&fork, &Fork::at(at)).await.unwrap();
        let said = branch(&engine, &again).await;
        assert_eq!((said[0].as_str(), said.last().unwrap().as_str()), ("system: be long", last));
        assert_eq!(said[1..3], ["user: uno", "assistant: eins"]);
    }
    let first = engine.fork(&fork, &Fork::at(ForkAt::Message(edited.id))).await.unwrap();
    assert_eq!(branch(&engine, &first).await, ["system: be long", "user: uno"]);
    assert_eq!(export(&engine, &parent).await, before, "what is shared stays as it is");
    for query in ["uno", "long"] {
        assert_eq!(
            engine.search(&Search { query: query.into(), ..Search::default() }).await.unwrap()[0].session,
            fork,
            "{query}"
        );
    }
    assert_rebuilds(&engine, &store).await;
    // It goes elsewhere whole.
    let elsewhere = crate::support::engine(&Memory::new(), &provider);
    let text = std::io::Cursor::new(export(&engine, &fork).await.into_bytes());
    for done in elsewhere.import_from(text).collect::<Vec<_>>().await {
        done.unwrap();
    }
    assert_eq!(branch(&elsewhere, &fork).await, branch(&engine, &fork).await);
    assert_eq!(elsewhere.verify(&fork).await.unwrap().fault, None);
}

#[tokio::test]
async fn what_is_left_out_is_gone_from_the_fork_alone() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let parent = session(&engine).await;
    let of = ids(&engine, &parent).await;
    let drop = |at: &[usize]| Fork {
        changes: at.iter().map(|at| Change::Drop(of[*at].clone())).collect(),
        ..Fork::default()
    };
    let fork = engine.fork(&parent, &drop(&[0, 2, 4])).await.unwrap();
    assert_eq!(branch(&engine, &fork).await, ["user: one", "user: two"]);
    assert_eq!(answer(&engine, &fork).await, "two");
    let all = engine.fork(&parent, &drop(&[4, 3, 2, 1, 0])).await.unwrap();
    assert!(engine.transcript(&all).await.unwrap().entries.is_empty());
    assert_eq!(engine.session(&all).await.unwrap().heads.head, None);
    say(&engine, Some(&all), "anew").await;
    assert_eq!(branch(&engine, &all).await, ["user: anew", "assistant: anew"]);
    let without = Fork { changes: vec![Change::System(String::new())], ..Fork::default() };
    let without = engine.fork(&parent, &without).await.unwrap();
    assert_eq!(branch(&engine, &without).await[0], "user: one");
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_change_that_cannot_be_made_begins_nothing() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let parent = session(&engine).await;
    let of = ids(&engine, &parent).await;
    let edit = |at: usize| Change::Edit(of[at].clone(), "x".into());
    for (changes, kind) in [
        (vec![edit(4)], ErrorKind::Input),
        (vec![Change::Edit(of[1].clone(), String::new())], ErrorKind::Input),
        (vec![edit(1), edit(1)], ErrorKind::Usage),
        (vec![edit(1), Change::Drop(of[1].clone())], ErrorKind::Usage),
        (vec![edit(0), Change::System("x".into())], ErrorKind::Usage),
        (vec![Change::Model(model()), Change::Model(model())], ErrorKind::Usage),
    ] {
        let fork = Fork { changes: changes.clone(), ..Fork::at(ForkAt::Message(of[3].clone())) };
        assert_eq!(engine.fork(&parent, &fork).await.unwrap_err().kind(), kind, "{changes:?}");
    }
    assert_eq!(engine.list(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_edited_answer_keeps_its_calls_and_loses_what_was_thought() {
    let provider = Scripted::new([Turn::new()
        .part(0, Part::reasoning())
        .part(1, Part::text("looking"))
        .part(2, Part::tool_call("c1", "weather", r#"{"city":"Rome"}"#))
        .stop()]);
    let store = Memory::new();
    let engine = engine(&store, &provider);
    let parent = say(&engine, None, "how warm is it?").await.session;
    let of = ids(&engine, &parent).await;
    let change = Change::Edit(of[1].clone(), "let me see".into());
    let fork = engine.fork(&parent, &Fork { changes: vec![change], ..Fork::default() }).await.unwrap();
    let entry = engine.prefix(&fork, &ForkAt::Head).await.unwrap().pop().unwrap();
    let parts = [Part::text("let me see"), Part::tool_call("c1", "weather", r#"{"city":"Rome"}"#)];
    assert_eq!((entry.message.parts.as_slice(), entry.message.origin), (parts.as_slice(), None));
}

/// Something that is done to a conversation.
#[derive(Clone, Debug)]
enum Act {
    Say(String),
    Fail,
    Again,
    Fork { edit: usize, drop: usize, text: String },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let text = || "[a-z\\x1b\u{202e} #>`\n]{1,12}";
    let act = prop_oneof![
        4 => text().prop_map(Act::Say),
        1 => Just(Act::Fail),
        1 => Just(Act::Again),
        2 => (0..6usize, 0..6usize, text()).prop_map(|(edit, drop, text)| Act::Fork { edit, drop, text }),
    ];
    proptest::collection::vec(act, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_exported_and_taken_in_elsewhere_reads_the_same(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, provider) = (Memory::new(), Scripted::echo());
            let here = engine(&store, &provider);
            let mut session = session(&here).await;
            for act in acts {
                match act {
                    Act::Say(text) => drop(say(&here, Some(&session), &text).await),
                    Act::Fail => {
                        let broken = Scripted::new([Turn::new().say("half").hang()]);
                        let other = engine(&store, &broken);
                        let mut turn = other.send(Send::to(session.clone(), "broken")).await.unwrap();
                        crate::support::first_text(&mut turn).await;
                        drop(turn);
                        other.shutdown().await.unwrap();
                    }
                    Act::Again => {
                        let branch = here.prefix(&session, &ForkAt::Head).await.unwrap();
                        let question = branch.iter().rfind(|entry| entry.role == Role::User);
                        if let Some(question) = question {
                            let after = aichat_engine::After::Message(question.id.clone());
                            let message = Message::new(Role::User, Vec::new());
                            let send = Send { after, message, ..Send::to(session.clone(), "") };
                            here.send(send).await.unwrap().outcome().await.unwrap();
                        }
                    }
                    Act::Fork { edit, drop, text } => {
                        let of = ids(&here, &session).await;
                        let mut changes: Vec<Change> =
                            of.get(edit).map(|id| Change::Edit(id.clone(), text)).into_iter().collect();
                        changes.extend(of.get(drop).filter(|_| drop != edit).map(|id| Change::Drop(id.clone())));
                        session = here.fork(&session, &Fork { changes, ..Fork::default() }).await.unwrap();
                    }
                }
            }
            let there = engine(&Memory::new(), &provider);
            let text = std::io::Cursor::new(export(&here, &session).await.into_bytes());
            for done in there.import_from(text).collect::<Vec<_>>().await {
                done.unwrap();
            }
            let (before, after) = (here.transcript(&session).await.unwrap(), there.transcript(&session).await.unwrap());
            assert_eq!(before.to_markdown(), after.to_markdown());
            assert_eq!(before, after);
            assert_rebuilds(&here, &store).await;
        });
    }
}
