//! Conversations as trees: siblings, branches, forks, and what a purge leaves.

use aichat_engine::{After, Engine, Fork, ForkAt, Send, Status, attach};
use aichat_message::{ErrorKind, Message, MessageId, Part, Role, SessionId};
use aichat_providers::{Error, Scripted, Turn};
use aichat_store::{Memory, Store, Table};

use crate::support::{assert_rebuilds, engine, kinds, model, projections, say};

/// What was sent with a request, in short.
fn sent(provider: &Scripted, number: usize) -> Vec<String> {
    provider.requests()[number].messages.iter().map(Message::text).collect()
}

async fn answer_of(engine: &Engine, session: Option<&SessionId>, text: &str) -> (SessionId, MessageId) {
    let outcome = say(engine, session, text).await;
    (outcome.session, outcome.answer.unwrap())
}

async fn put(engine: &Engine, session: &SessionId, text: &str, after: After) -> MessageId {
    let mut send = Send::to(session.clone(), text);
    send.after = after;
    if text.is_empty() {
        send.message = Message::new(Role::User, Vec::new());
    }
    engine.send(send).await.unwrap().outcome().await.unwrap().answer.unwrap()
}

/// Returns the texts of the branch that a session goes on from.
async fn branch(engine: &Engine, session: &SessionId) -> Vec<String> {
    let transcript = engine.transcript(session).await.unwrap();
    let head = transcript.head().map(|head| head.id.clone()).unwrap();
    transcript.branch(&head).iter().map(|entry| entry.message.text()).collect()
}

#[tokio::test]
async fn an_edit_and_a_second_answer_are_siblings() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "one").await;
    answer_of(&engine, Some(&session), "two").await;
    // Edited: another second question after the first answer.
    put(&engine, &session, "zwei", After::Message(first.clone())).await;
    assert_eq!(sent(&provider, 2), ["one", "one", "zwei"]);
    assert_eq!(branch(&engine, &session).await, ["one", "one", "zwei", "zwei"]);
    // Answered once more: the question stays, the answer is another.
    let transcript = engine.transcript(&session).await.unwrap();
    let question = transcript.entries.iter().find(|entry| entry.message.text() == "zwei").unwrap().id.clone();
    let again = put(&engine, &session, "", After::Message(question.clone())).await;
    assert_eq!(sent(&provider, 3), ["one", "one", "zwei"]);
    let transcript = engine.transcript(&session).await.unwrap();
    let siblings: Vec<_> =
        transcript.entries.iter().filter(|entry| entry.parent.as_ref() == Some(&question)).collect();
    assert_eq!((siblings.len(), &siblings[1].id), (2, &again));
    assert_eq!(transcript.entries.iter().filter(|e| e.parent.as_ref() == Some(&first)).count(), 2);
    // Begun anew: nothing goes before it.
    put(&engine, &session, "uno", After::Nothing).await;
    assert_eq!(sent(&provider, 4), ["uno"]);
    assert_eq!(engine.session(&session).await.unwrap().messages, 9);
    assert_eq!(engine.verify(&session).await.unwrap().fault, None);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_answer_that_fails_leaves_the_head_where_it_was() {
    let refused = || Turn::refused(Error::new(ErrorKind::InvalidRequest, "no"));
    let script = [Turn::new().say("one").stop(), refused(), refused(), Turn::new().say("two").stop()];
    let (store, provider) = (Memory::new(), Scripted::new(script));
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "1").await;
    let question = engine.transcript(&session).await.unwrap().entries[0].id.clone();
    for after in [After::Message(question), After::Nothing] {
        let mut send = Send::to(session.clone(), "again");
        send.after = after;
        let outcome = engine.send(send).await.unwrap().outcome().await.unwrap();
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(engine.session(&session).await.unwrap().heads.head, Some(first.clone()));
    }
    assert_eq!(branch(&engine, &session).await, ["again"], "what was asked last is shown");
    say(&engine, Some(&session), "2").await;
    assert_eq!(sent(&provider, 3), ["1", "one", "2"]);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn nothing_is_answered_where_nothing_was_asked() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let nothing = || {
        let mut send = Send::new(model(), "");
        send.message = Message::new(Role::User, Vec::new());
        send
    };
    let error = engine.send(nothing()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    let (session, _) = answer_of(&engine, None, "one").await;
    let mut send = nothing();
    send.session = Some(session.clone());
    assert_eq!(engine.send(send).await.unwrap_err().kind(), ErrorKind::Input, "an answer is no question");
    let mut send = Send::to(session.clone(), "x");
    send.after = After::Message(MessageId::from_bits([9; 10]));
    assert_eq!(engine.send(send).await.unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(engine.session(&session).await.unwrap().turns, 1);
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_gone_on_with() {
    let cut = Turn::new().say("one two").fail(Error::new(ErrorKind::Truncated, "cut"));
    let (store, provider) = (Memory::new(), Scripted::new([cut, Turn::new().say(" three").stop()]));
    let engine = engine(&store, &provider);
    let session = say(&engine, None, "count").await.session;
    put(&engine, &session, "", After::Head).await;
    let sent = sent(&provider, 1);
    assert_eq!(sent[..2], ["count", "one two"]);
    assert!(sent[2].contains("Go on exactly where it stops"));
    assert_eq!(branch(&engine, &session).await[3], " three");
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn branches_have_names_and_are_switched_between() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "one").await;
    let (_, second) = answer_of(&engine, Some(&session), "two").await;
    let summary = engine.branch(&session, &first, Some("other")).await.unwrap();
    assert_eq!((summary.heads.branch.as_str(), summary.heads.head), ("other", Some(first.clone())));
    let (_, third) = answer_of(&engine, Some(&session), "three").await;
    assert_eq!(sent(&provider, 2), ["one", "one", "three"]);
    let summary = engine.switch(&session, "main").await.unwrap();
    assert_eq!(summary.heads.head, Some(second));
    assert_eq!(summary.heads.heads["other"], Some(third.clone()));
    say(&engine, Some(&session), "four").await;
    assert_eq!(sent(&provider, 3), ["one", "one", "two", "two", "four"]);
    assert_eq!(engine.branch(&session, &third, None).await.unwrap().heads.branch, "branch-2");
    assert_eq!(branch(&engine, &session).await, ["one", "one", "three", "three"]);

    for (at, name) in [(&first, "main"), (&first, "other"), (&first, " x"), (&first, ""), (&first, "msg_x")] {
        let error = engine.branch(&session, at, Some(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{name:?}");
    }
    let nowhere = MessageId::from_bits([9; 10]);
    assert_eq!(engine.branch(&session, &nowhere, None).await.unwrap_err().kind(), ErrorKind::Input);
    let error = engine.switch(&session, "never").await.unwrap_err().to_string();
    assert!(error.ends_with("has no branch \"never\"; it is on \"branch-2\" and has main, other"), "{error}");
    assert_eq!(engine.verify(&session).await.unwrap().fault, None);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn messages_are_found_by_a_beginning_and_counted_back() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "one").await;
    let (_, second) = answer_of(&engine, Some(&session), "two").await;
    assert_eq!(engine.message(&session, "@last").await.unwrap(), second);
    assert_eq!(engine.message(&session, "@last~2").await.unwrap(), first);
    assert_eq!(engine.message(&session, &first.as_str()[..12]).await.unwrap(), first);
    assert_eq!(engine.find_message(&second.as_str()[..12]).await.unwrap(), (session.clone(), second));
    for text in ["@last~4", "@last~x", "@lasting", "msg_", "m", "", "msg_00000"] {
        assert_eq!(engine.message(&session, text).await.unwrap_err().kind(), ErrorKind::Input, "{text:?}");
    }
    assert_eq!(engine.find_message("msg_").await.unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(engine.find_message("trn_").await.unwrap_err().kind(), ErrorKind::Input);
}

#[tokio::test]
async fn a_fork_shares_what_was_said_and_leaves_its_parent_alone() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (parent, first) = answer_of(&engine, None, "one").await;
    let (_, second) = answer_of(&engine, Some(&parent), "two").await;
    let before = engine.events(&parent).await.unwrap();
    let clone = engine.fork(&parent, &Fork { name: Some("copy".into()), ..Fork::default() }).await.unwrap();
    let fork = engine.fork(&parent, &Fork::at(ForkAt::Message(first))).await.unwrap();
    let started = before.iter().find(|event| event.kind() == "turn.started").unwrap().id().clone();
    let early = engine.fork(&parent, &Fork::at(ForkAt::Event(started))).await.unwrap();
    let grandchild = engine.fork(&fork, &Fork::default()).await.unwrap();
    for (session, said) in
        [(&clone, &["one", "one", "two", "two"][..]), (&fork, &["one", "one"]), (&early, &[])]
    {
        let transcript = engine.transcript(session).await.unwrap();
        let texts: Vec<_> = transcript.entries.iter().map(|entry| entry.message.text()).collect();
        assert_eq!(texts, said);
        assert_eq!((transcript.session.as_ref(), transcript.parent.as_ref()), (Some(session), Some(&parent)));
        assert_eq!(engine.events(session).await.unwrap().len(), 1, "nothing is copied");
        assert_eq!(engine.verify(session).await.unwrap().fault, None, "it verifies without its parent");
    }
    say(&engine, Some(&grandchild), "three").await;
    assert_eq!(sent(&provider, 2), ["one", "one", "three"]);
    let deep = engine.fork(&grandchild, &Fork::at(ForkAt::Message(second))).await.unwrap_err();
    assert_eq!(deep.kind(), ErrorKind::Input, "what the fork does not share is not in it");
    let root = engine.transcript(&grandchild).await.unwrap().entries[0].id.clone();
    let rooted = engine.fork(&grandchild, &Fork::at(ForkAt::Message(root))).await.unwrap();
    assert_eq!(branch(&engine, &rooted).await, ["one"]);
    put(&engine, &rooted, "", After::Head).await;
    assert_eq!(branch(&engine, &rooted).await, ["one", "one"], "a fork at a question answers it");
    assert_eq!(engine.events(&parent).await.unwrap(), before);
    let summary = engine.session(&clone).await.unwrap();
    assert_eq!((summary.name.as_deref(), summary.title.as_deref()), (Some("copy"), Some("one")));
    assert_eq!(summary.model.as_deref(), Some("scripted/test-1"));
    assert_eq!(engine.resolve("copy").await.unwrap(), clone);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_archived_session_is_hidden_and_found_by_name() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, _) = answer_of(&engine, None, "one").await;
    engine.rename(&session, Some("old")).await.unwrap();
    engine.archive(&session, true).await.unwrap();
    engine.archive(&session, true).await.unwrap();
    assert_eq!(engine.list(None).await.unwrap(), []);
    assert_eq!(engine.resolve("@last").await.unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(engine.resolve("old").await.unwrap(), session);
    assert_eq!(engine.archived(None).await.unwrap()[0].id, session);
    assert_rebuilds(&engine, &store).await;
    engine.archive(&session, false).await.unwrap();
    assert_eq!(engine.list(None).await.unwrap()[0].id, session);
    assert_eq!(engine.archived(None).await.unwrap(), []);
    let kinds: Vec<_> = engine.events(&session).await.unwrap();
    let archived = kinds.iter().filter(|event| event.kind() == "session.archived").count();
    assert_eq!(archived, 2, "{:?}", self::kinds(&kinds));
}

#[tokio::test]
async fn a_purge_leaves_a_chain_and_nothing_that_was_said() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "CANARY one").await;
    engine.rename(&session, Some("CANARY name")).await.unwrap();
    engine.branch(&session, &first, Some("CANARY branch")).await.unwrap();
    let other = say(&engine, None, "other").await.session;
    let fork = engine.fork(&session, &Fork::at(ForkAt::Message(first))).await.unwrap();
    let grandchild =
        engine.fork(&fork, &Fork { scope: Some("CANARY scope".into()), ..Fork::default() }).await.unwrap();

    let error = engine.purge(&session, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains(fork.as_str()) && error.to_string().contains(grandchild.as_str()));
    assert_eq!(engine.purge(&grandchild, false).await.unwrap().len(), 1);
    let purged = engine.purge(&session, true).await.unwrap();
    let ids: Vec<_> = purged.iter().map(|purged| purged.id.clone()).collect();
    assert_eq!(ids, [session.clone(), fork.clone()], "a purged fork depends on nothing");
    assert!(purged.iter().all(|purged| purged.events > 0), "{purged:?}");
    assert_eq!(engine.purge(&session, true).await.unwrap()[0].events, 0, "there is nothing left");

    for session in [&session, &fork, &grandchild] {
        let verified = engine.verify(session).await.unwrap();
        assert_eq!(verified.fault, None);
        let events = engine.events(session).await.unwrap();
        assert!(events.iter().rev().skip(1).all(|event| event.payload().is_none()));
        assert!(events.iter().all(|event| !event.line().contains("CANARY")));
        assert_eq!(engine.session(session).await.unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(engine.resolve_deleted(session.as_str()).await.unwrap(), *session);
    }
    for (table, key, value) in projections(&store).await {
        let text = String::from_utf8_lossy(&[key, value].concat()).into_owned();
        assert!(!text.contains("CANARY"), "{table:?} {text}");
        assert!(table == Table::Sessions || !text.contains(session.as_str()), "{table:?} {text}");
    }
    assert_eq!(engine.list(None).await.unwrap()[0].id, other);
    assert_eq!(engine.resolve("CANARY name").await.unwrap_err().kind(), ErrorKind::Input);
    assert_rebuilds(&engine, &store).await;
    assert!(store.scan(Table::Forks, Default::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_comes_late_to_a_purged_session_says_nothing() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (session, _) = answer_of(&engine, None, "one").await;
    // A writer that is taken for dead, and is not.
    let hang = Scripted::new([Turn::new().say("CANARY half").hang()]);
    let other = crate::support::engine(&store, &hang);
    let mut turn = other.send(Send::to(session.clone(), "CANARY two")).await.unwrap();
    crate::support::first_text(&mut turn).await;
    let pending = store.pending(aichat_store::Claim::Look).await.unwrap();
    let (header, records) = (pending[0].header.clone(), pending[0].records.clone());
    drop(turn);
    other.shutdown().await.unwrap();
    engine.purge(&session, false).await.unwrap();
    let again = aichat_store::TurnHeader { turn: aichat_message::TurnId::from_bits([7; 10]), ..header };
    drop(store.begin(again, records).await.unwrap());
    engine.fold().await.unwrap();
    let events = engine.events(&session).await.unwrap();
    assert!(events.iter().all(|event| !event.line().contains("CANARY")), "{events:#?}");
    assert_eq!(engine.verify(&session).await.unwrap().fault, None);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_fork_without_its_parent_shows_its_own_and_sends_nothing() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let whole = engine(&store, &provider);
    let (parent, answer) = answer_of(&whole, None, "one").await;
    let fork = whole.fork(&parent, &Fork::at(ForkAt::Message(answer))).await.unwrap();
    say(&whole, Some(&fork), "two").await;
    whole.fold().await.unwrap();
    let elsewhere = Memory::new();
    let part = engine(&elsewhere, &provider);
    let rows = store.events(&fork, 1, 100).await.unwrap();
    let unit = aichat_store::Unit::new(fork.clone(), aichat_store::Expect::New);
    elsewhere.commit(vec![aichat_store::Unit { events: rows, ..unit }]).await.unwrap();
    part.rebuild().await.unwrap();
    let transcript = part.transcript(&fork).await.unwrap();
    assert_eq!(transcript.entries.len(), 2);
    assert!(transcript.lacks_past() && transcript.warnings[0].text.contains(parent.as_str()));
    let error = part.send(Send::to(fork.clone(), "three")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("import it first"), "{error}");
    assert!(!whole.transcript(&fork).await.unwrap().lacks_past());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_beside_turns_takes_nothing_away() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let (old, _) = answer_of(&engine, None, "old").await;
    let rebuilding = {
        let engine = engine.clone();
        tokio::spawn(async move {
            for _ in 0..60 {
                engine.rebuild().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    for number in 0..40 {
        say(&engine, Some(&old), &number.to_string()).await;
        say(&engine, None, &number.to_string()).await;
        engine.fold().await.unwrap();
    }
    rebuilding.await.unwrap();
    let before = projections(&store).await;
    engine.rebuild().await.unwrap();
    assert!(projections(&store).await == before, "what was committed beside a rebuild is projected");
    assert_eq!(engine.session(&old).await.unwrap().turns, 41);
}

#[tokio::test]
async fn what_is_taken_back_stays_as_a_branch() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let mut send = Send::new(model(), "one");
    send.system = Some("be brief".into());
    let outcome = engine.send(send).await.unwrap().outcome().await.unwrap();
    let (session, first) = (outcome.session, outcome.answer.unwrap());
    let (_, second) = answer_of(&engine, Some(&session), "two").await;
    assert_eq!(engine.undo(&session).await.unwrap().message.text(), "two");
    let heads = engine.session(&session).await.unwrap().heads;
    assert_eq!((heads.branch.as_str(), heads.head.as_ref()), ("branch-2", Some(&first)));
    assert_eq!(heads.find("main"), Some(Some(&second)));
    // What another branch has already needs no third one; the instruction goes with its message.
    assert_eq!(engine.undo(&session).await.unwrap().message.text(), "one");
    let heads = engine.session(&session).await.unwrap().heads;
    assert_eq!((heads.branch.as_str(), heads.head.as_ref(), heads.heads.len()), ("branch-2", None, 1));
    assert_eq!(engine.undo(&session).await.unwrap_err().kind(), ErrorKind::Input);
    say(&engine, Some(&session), "uno").await;
    assert_eq!(sent(&provider, 2), ["uno"]);
    engine.switch(&session, "main").await.unwrap();
    assert_eq!(branch(&engine, &session).await, ["be brief", "one", "one", "two", "two"]);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_question_without_an_answer_is_taken_back_and_no_branch_begins() {
    let refused = Turn::refused(Error::new(ErrorKind::InvalidRequest, "no"));
    let script = [Turn::new().say("one").stop(), refused, Turn::new().say("three").stop()];
    let (store, provider) = (Memory::new(), Scripted::new(script));
    let engine = engine(&store, &provider);
    let (session, first) = answer_of(&engine, None, "1").await;
    engine.send(Send::to(session.clone(), "2")).await.unwrap().outcome().await.unwrap();
    assert_eq!(engine.undo(&session).await.unwrap().message.text(), "2");
    let heads = engine.session(&session).await.unwrap().heads;
    assert_eq!((heads.shown(), heads.heads.len()), (Some(&first), 0));
    say(&engine, Some(&session), "3").await;
    assert_eq!(sent(&provider, 2), ["1", "one", "3"]);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_edited_message_keeps_what_is_attached_and_begins_a_branch() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let image = attach("a.png", b"\x89PNG\r\n\x1a\n and so on").unwrap();
    let mut send = Send::new(model(), "");
    send.message = Message::new(Role::User, vec![Part::text("what is it"), image]);
    let turn = engine.send(send).await.unwrap();
    let asked = turn.input.clone();
    let session = turn.outcome().await.unwrap().session;
    let (_, last) = answer_of(&engine, Some(&session), "and then").await;
    assert_eq!(engine.edit(&session, &last, "x").await.unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(engine.session(&session).await.unwrap().heads.branch, "main", "nothing was gone back to");
    let mut send = Send::to(session.clone(), "");
    send.message = engine.edit(&session, &asked, "who is it").await.unwrap();
    engine.send(send).await.unwrap().outcome().await.unwrap();
    let requests = provider.requests();
    assert_eq!(requests[2].messages.len(), 1);
    assert_eq!(requests[2].messages[0].parts[0], Part::text("who is it"));
    assert_eq!(requests[2].messages[0].parts[1].kind, requests[0].messages[0].parts[1].kind);
    let heads = engine.session(&session).await.unwrap().heads;
    assert_eq!((heads.branch.as_str(), heads.find("main")), ("branch-2", Some(Some(&last))));
    assert_rebuilds(&engine, &store).await;
}
