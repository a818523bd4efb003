//! Documents: versions, compare-and-set, what is unknown, export and import, over both stores.

use std::sync::{Arc, Barrier};

use aichat_engine::{Agent, Document, DocumentKind, Engine, Export, Send, Template, Versioned};
use aichat_message::{ErrorKind, SessionId};
use aichat_providers::Scripted;
use aichat_store::{Expect, Memory, Sled, Store, Table, Unit, Write};

use crate::support::{assert_rebuilds, engine, kinds, projections, say};
use crate::transfer::with;

fn agent(system: &str) -> Agent {
    Agent { system: Some(system.into()), model: Some("scripted/test-1".into()), ..Agent::default() }
}

/// What a document holds; `-` where this version says it was deleted.
fn said(version: &Versioned<Agent>) -> String {
    match version.is_deleted() {
        true => "-".to_owned(),
        false => version.read().unwrap().system.unwrap_or_default(),
    }
}

async fn fails<T>(done: impl Future<Output = Result<T, aichat_engine::Error>>, kind: ErrorKind) -> String {
    let error = done.await.err().unwrap();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

async fn every_version_is_kept(store: impl Store + Clone + 'static) {
    let here = engine(&store, &Scripted::echo());
    assert!(here.documents::<Agent>(None).await.unwrap().is_empty());
    let first = here.save_document("reviewer", None, &agent("be strict")).await.unwrap();
    let second = here.save_document("reviewer", Some(&first), &agent("be kind")).await.unwrap();
    let same = here.save_document("reviewer", Some(&second), &agent("be kind")).await.unwrap();
    assert_eq!((first.version(), second.version(), same.version()), (1, 2, 2), "no change, no version");
    here.save_document("a", None, &agent("other")).await.unwrap();
    here.save_document("reviewer", None, &Template { text: "x".into(), ..Template::default() })
        .await
        .unwrap();

    let latest = here.document::<Agent>("reviewer", None).await.unwrap();
    assert_eq!((latest.version(), said(&latest)), (2, "be kind".to_owned()));
    assert_eq!(latest.record(), second.record());
    let old = here.document::<Agent>("reviewer", Some(1)).await.unwrap();
    assert_eq!((said(&old), old.hash()), ("be strict".to_owned(), first.hash()));
    let names = |list: Vec<Versioned<Agent>>| {
        list.iter().map(|agent| format!("{} {}", agent.name(), agent.version())).collect::<Vec<_>>()
    };
    assert_eq!(names(here.documents(None).await.unwrap()), ["a 1", "reviewer 2"]);
    assert_eq!(names(here.documents(Some(1)).await.unwrap()), ["a 1"]);

    here.delete_document(&latest).await.unwrap();
    fails(here.document::<Agent>("reviewer", None), ErrorKind::Input).await;
    assert_eq!(names(here.documents(None).await.unwrap()), ["a 1"]);
    assert_eq!(said(&here.document("reviewer", Some(2)).await.unwrap()), "be kind", "versions stay");
    here.save_document("reviewer", None, &agent("be back")).await.unwrap();
    let history = here.document_history::<Agent>("reviewer").await.unwrap();
    let history: Vec<_> = history.iter().map(|one| (one.version(), said(one))).collect();
    let wanted = [(4, "be back"), (3, "-"), (2, "be kind"), (1, "be strict")];
    assert_eq!(history, wanted.map(|(version, text)| (version, text.to_owned())));

    // Documents are no sessions and no projections, and their stream is verified as every other.
    assert!(here.list(None).await.unwrap().is_empty());
    assert!(projections(&store).await.is_empty());
    let streams = here.sessions().await.unwrap();
    assert_eq!(streams.len(), 1);
    let verified = here.verify(&streams[0]).await.unwrap();
    assert_eq!((verified.events, verified.fault), (6, None));
    say(&here, None, "hello").await;
    assert_rebuilds(&here, &store).await;
    assert_eq!(here.rebuild().await.unwrap().sessions, 1);
    assert_eq!(names(here.documents(None).await.unwrap()), ["a 1", "reviewer 4"], "a rebuild leaves them");
}

#[tokio::test]
async fn every_version_is_kept_in_memory() {
    every_version_is_kept(Memory::new()).await;
}

#[tokio::test]
async fn every_version_is_kept_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    every_version_is_kept(Sled::at(folder.path())).await;
}

#[tokio::test]
async fn of_two_changes_to_one_version_the_second_is_refused_and_nothing_is_lost() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let first = here.save_document("reviewer", None, &agent("one")).await.unwrap();
    fails(here.save_document("reviewer", None, &agent("mine")), ErrorKind::Input).await;
    here.save_document("reviewer", Some(&first), &agent("two")).await.unwrap();
    fails(here.save_document("reviewer", Some(&first), &agent("late")), ErrorKind::Busy).await;
    fails(here.delete_document(&first), ErrorKind::Busy).await;
    let second = here.document::<Agent>("reviewer", None).await.unwrap();
    assert_eq!(said(&second), "two");
    here.delete_document(&second).await.unwrap();
    fails(here.save_document("reviewer", Some(&second), &agent("late")), ErrorKind::Busy).await;
}

/// Engines of their own over one directory, as processes have them, change one document at the same moment.
#[test]
fn of_many_who_change_a_document_at_once_one_wins() {
    const WRITERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let barrier = Arc::new(Barrier::new(WRITERS));
    let threads: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (place, barrier) = (folder.path().to_owned(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let mine = engine(&Sled::at(place), &Scripted::echo());
                barrier.wait();
                let created = runtime.block_on(mine.save_document("shared", None, &agent("first")));
                let read = runtime.block_on(mine.document::<Agent>("shared", None)).unwrap();
                barrier.wait();
                let text = format!("by {writer}");
                let changed = runtime.block_on(mine.save_document("shared", Some(&read), &agent(&text)));
                (created.map(|_| ()).map_err(|e| e.kind()), changed.map(|_| ()).map_err(|e| e.kind()))
            })
        })
        .collect();
    let (created, changed): (Vec<_>, Vec<_>) =
        threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
    let won = |all: &[Result<(), ErrorKind>]| all.iter().filter(|done| done.is_ok()).count();
    assert_eq!((won(&created), won(&changed)), (1, 1));
    assert!(created.iter().all(|done| done.is_ok() || *done == Err(ErrorKind::Input)), "{created:?}");
    assert!(changed.iter().all(|done| done.is_ok() || *done == Err(ErrorKind::Busy)), "{changed:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let here = engine(&Sled::at(folder.path()), &Scripted::echo());
    assert_eq!(runtime.block_on(here.document_history::<Agent>("shared")).unwrap().len(), 2);
}

#[tokio::test]
async fn names_and_contents_of_no_use_are_refused() {
    let here = engine(&Memory::new(), &Scripted::echo());
    for name in ["", " x", "x ", "a\nb", "a\0b", "\u{1b}[2J", &"x".repeat(201)] {
        let error = fails(here.save_document(name, None, &agent("one")), ErrorKind::Input).await;
        assert!(!error.contains('\u{1b}') && error.len() < 500, "{error:?}");
    }
    for text in [r#"{"model":"gpt"}"#, r#"{"model":"/"}"#, r#"{"max_cost":"-1"}"#, r#"{"max_cost":"0"}"#] {
        let content: Agent = serde_json::from_str(text).unwrap();
        fails(here.save_document("x", None, &content), ErrorKind::Input).await;
    }
    fails(here.save_document("x", None, &agent(&"x".repeat(1 << 20))), ErrorKind::Input).await;
    fails(here.save_document("x", None, &Template::default()), ErrorKind::Input).await;
    fails(here.document_history::<Agent>("x"), ErrorKind::Input).await;
    assert!(here.sessions().await.unwrap().is_empty(), "nothing was recorded");
}

#[tokio::test]
async fn importing_twice_changes_nothing_and_what_is_unknown_stays() {
    let record = concat!(
        r#"{"schema":"aichat.agent/1","name":"reviewer","later":1,"body":"#,
        r#"{"later":{"a":12345678901234567890123},"system":"be strict","options":{"seed":1,"later":2}}}"#
    );
    let here = engine(&Memory::new(), &Scripted::echo());
    let taken: Versioned<Agent> = here.import_document(record).await.unwrap();
    insta::assert_snapshot!(taken.record(), @r#"{"schema":"aichat.agent/1","name":"reviewer","version":1,"saved_us":1700000000000000,"body":{"later":{"a":12345678901234567890123},"system":"be strict","options":{"seed":1,"later":2}}}"#);
    for _ in 0..2 {
        let exported = taken.record().get().to_owned();
        assert_eq!(here.import_document::<Agent>(&exported).await.unwrap().version(), 1);
        assert_eq!(here.import_document::<Agent>(record).await.unwrap().version(), 1);
    }
    let mut content = taken.read().unwrap();
    content.system = None;
    content.options.seed = Some(2);
    let changed = here.save_document("reviewer", Some(&taken), &content).await.unwrap();
    insta::assert_snapshot!(changed.record(), @r#"{"schema":"aichat.agent/1","name":"reviewer","version":2,"saved_us":1700000002000000,"body":{"later":{"a":12345678901234567890123},"options":{"seed":2,"later":2}}}"#);

    let there = engine(&Memory::new(), &Scripted::echo());
    let moved: Versioned<Agent> = there.import_document(changed.record().get()).await.unwrap();
    assert_eq!((moved.version(), moved.read().unwrap()), (1, content));
    let back: Versioned<Agent> = here.import_document(record).await.unwrap();
    assert_eq!(back.version(), 3, "what differs is a new version");
}

#[tokio::test]
async fn a_record_that_cannot_be_used_is_refused_and_leaves_nothing() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let record = |schema: &str, name: &str, body: &str| {
        format!(r#"{{"schema":"{schema}","name":"{name}","version":1,"saved_us":0,"body":{body}}}"#)
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let texts = [
        String::new(),
        r#"["aichat.agent/1","x",1,0,{}]"#.to_owned(),
        "hello".to_owned(),
        record("aichat.template/1", "x", r#"{"text":"y"}"#),
        record("aichat.agent/2", "x", "{}"),
        record("aichat.agent/x", "x", "{}"),
        record("agent", "x", "{}"),
        record("aichat.agent/1", "a\\u0000b", "{}"),
        record("aichat.agent/1", "x", "null"),
        record("aichat.agent/1", "x", "[]"),
        record("aichat.agent/1", "x", r#"{"system":1}"#),
        record("aichat.agent/1", "x", r#"{"system":"a","system":"b"}"#),
        record("aichat.agent/1", "x", r#"{"max_cost":0.5}"#),
        record("aichat.agent/1", "x", &format!(r#"{{"options":{deep}}}"#)),
        record("aichat.agent/1", "x", &format!(r#"{{"output":{{"schema":{deep}}}}}"#)),
        deep.clone(),
    ];
    let mut errors = Vec::new();
    for text in texts {
        errors.push(fails(here.import_document::<Agent>(&text), ErrorKind::Input).await);
    }
    insta::assert_snapshot!(errors.join("\n"), @r#"
    the file is no agent: invalid JSON at line 1 column 0
    the file is no agent: it is no object
    the file is no agent: invalid JSON at line 1 column 1
    the file is no agent: it holds the document "x", of schema "aichat.template/1", and no agent
    agent "x", version 1 was saved by a later version of this program
    the file is no agent: "aichat.agent/x" is no schema of a document
    the file is no agent: "agent" is no schema of a document
    agent cannot be named "a\0b": it holds control characters
    agent "x" was deleted
    agent "x", version 1 cannot be read: it is no object
    agent "x", version 1 cannot be read: invalid type: integer `1`, expected a string at line 1 column 11
    agent "x", version 1 cannot be read: duplicate field `system` at line 1 column 22
    agent "x", version 1 cannot be read: invalid type: floating point `0.5`, expected a string at line 1 column 15
    agent "x", version 1 cannot be read: invalid type: sequence, expected u64 at line 1 column 12
    agent "x", version 1 cannot be read: invalid type: sequence, expected a string at line 1 column 21
    the file is no agent: it is no object
    "#);
    assert!(here.sessions().await.unwrap().is_empty(), "nothing was recorded");
    let unknown = record("aichat.agent/1", "x", &format!(r#"{{"later":{deep}}}"#));
    here.import_document::<Agent>(&unknown).await.unwrap();
}

/// A kind as a later version of this program has it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Later {
    something: u32,
}

impl DocumentKind for Later {
    const KIND: &'static str = "agent";
    const FORMAT: u32 = 2;

    fn fault(&self) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn a_later_format_is_listed_and_neither_used_nor_overwritten() {
    let here = engine(&Memory::new(), &Scripted::echo());
    here.save_document("reviewer", None, &Later { something: 1 }).await.unwrap();
    let found = here.documents::<Agent>(None).await.unwrap().remove(0);
    assert!(found.read().unwrap_err().to_string().contains("later version"));
    fails(here.save_document("reviewer", Some(&found), &agent("mine")), ErrorKind::Store).await;
    assert_eq!(here.document::<Later>("reviewer", None).await.unwrap().read().unwrap().something, 1);
}

#[tokio::test]
async fn a_document_that_is_not_what_was_saved_is_found() {
    let store = Memory::new();
    let here = engine(&store, &Scripted::echo());
    let saved = here.save_document("reviewer", None, &agent("be strict")).await.unwrap();
    let stream = here.sessions().await.unwrap().remove(0);
    let record = saved.record().get().replace("strict", "lax");
    let key = b"agent\0reviewer\0\0\0\0\0\0\0\0\x01".to_vec();
    assert!(store.get(Table::Documents, &key).await.unwrap().is_some(), "the key is as it is documented");
    let write = Write { table: Table::Documents, key, value: Some(record.into_bytes()) };
    let elsewhere = Unit::new(SessionId::from_bits([9; 10]), Expect::New);
    let unit = Unit { writes: vec![write], ..elsewhere };
    store.commit(vec![unit]).await.unwrap();
    let fault = here.verify(&stream).await.unwrap().fault.unwrap();
    insta::assert_snapshot!(fault, @r#"at 1: version 1 of agent "reviewer" is not what was saved"#);
}

#[tokio::test]
async fn secrets_in_documents_are_masked() {
    let secrets = aichat_engine::Secrets::new();
    secrets.learn("KEY", "sk-0123456789abcdef");
    let store = Memory::new();
    let here = Engine::builder(store.clone()).secrets(secrets).build();
    let saved = here.save_document("x", None, &agent("use sk-0123456789abcdef")).await.unwrap();
    assert_eq!(said(&saved), "use ‹secret:KEY›");
    let refused = fails(here.save_document("sk-0123456789abcdef", None, &agent("x")), ErrorKind::Input).await;
    assert!(!refused.contains("sk-"), "{refused}");
}

#[tokio::test]
async fn the_stream_of_documents_can_be_read_and_not_be_used_as_a_session() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let id = "ses_0000000000000000";
    fails(here.resolve(id), ErrorKind::Input).await;
    here.save_document("x", None, &agent("one")).await.unwrap();
    let stream = here.resolve(id).await.unwrap();
    let events = here.events(&stream).await.unwrap();
    assert_eq!(kinds(&events), ["document.saved"]);
    fails(here.resolve(&id[..8]), ErrorKind::Input).await;
    fails(here.send(Send::to(stream.clone(), "hello")), ErrorKind::Input).await;
    fails(here.rename(&stream, Some("mine")), ErrorKind::Input).await;
    fails(here.delete(&stream), ErrorKind::Input).await;
    fails(here.purge(&stream, true), ErrorKind::Input).await;
    assert_eq!(here.events(&stream).await.unwrap(), events);
}

#[tokio::test]
async fn a_session_cannot_be_imported_over_the_stream_of_documents() {
    let here = engine(&Memory::new(), &Scripted::echo());
    here.save_document("x", None, &agent("one")).await.unwrap();
    let stream = here.sessions().await.unwrap().remove(0);
    fails(here.export(Export::of([stream.clone()])).text(), ErrorKind::Input).await;
    let events = here.events(&stream).await.unwrap();
    let (last, before) = events.split_last().unwrap();
    let forged = Document::parse(&with(before, last)).unwrap();
    let there = engine(&Memory::new(), &Scripted::echo());
    fails(there.import(&forged), ErrorKind::Input).await;
}
