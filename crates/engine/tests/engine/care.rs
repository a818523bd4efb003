//! Care of a store: what an examination finds, and copies that are the same store elsewhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aichat_engine::{
    After, Agent, Document, Engine, Export, Finding, Fork, Send, Step, Subject, Work, attach,
};
use aichat_message::{Message, Part, Role, SessionId};
use aichat_providers::Scripted;
use aichat_store::{Claim, Expect, Memory, Replacement, Row, Scan, Sled, Store, Table, Unit, Write};

use futures::StreamExt;

use crate::support::{assert_rebuilds, engine, export, model, projections, say};

const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0an image";

/// Fills a store with a bit of everything and returns its sessions.
async fn fill(engine: &Engine) -> Vec<SessionId> {
    let first = say(engine, None, "one").await.session;
    for number in 0..12 {
        say(engine, Some(&first), &format!("more {number}")).await;
    }
    let mut send = Send::new(model(), "what is this");
    send.message =
        Message::new(Role::User, vec![Part::text("what is this"), attach("a.png", IMAGE).unwrap()]);
    let second = engine.send(send).await.unwrap().outcome().await.unwrap().session;
    let third = say(engine, None, &"large ".repeat(3_000)).await.session;
    engine.rename(&third, Some("third")).await.unwrap();
    let gone = say(engine, None, "deleted").await.session;
    engine.delete(&gone).await.unwrap();
    let agent = Agent { system: Some("be kind".into()), ..Agent::default() };
    let saved = engine.save_document("kind", None, &agent).await.unwrap();
    let agent = Agent { system: Some("be kinder".into()), ..Agent::default() };
    engine.save_document("kind", Some(&saved), &agent).await.unwrap();
    engine.fold().await.unwrap();
    vec![first, second, third, gone]
}

/// Everything that can be read of a store.
async fn everything(store: &dyn Store) -> (Vec<Vec<Row>>, Vec<(Table, Vec<u8>, Vec<u8>)>, Vec<String>) {
    let mut logs = Vec::new();
    for stream in store.streams(None, 1_000).await.unwrap() {
        logs.push(store.events(&stream, 1, 10_000).await.unwrap());
    }
    let mut tables = projections(store).await;
    let documents = store.scan(Table::Documents, Scan::default()).await.unwrap();
    tables.extend(documents.into_iter().map(|(key, value)| (Table::Documents, key, value)));
    let blobs = store.blobs(None, 1_000).await.unwrap().into_iter().map(|blob| blob.hash).collect();
    store.release().await.unwrap();
    (logs, tables, blobs)
}

async fn assert_holds(engine: &Engine) {
    let examined = engine.examine().await.unwrap();
    assert_eq!(examined.findings, []);
}

#[tokio::test]
async fn a_copy_is_the_same_store_in_a_place_of_any_kind() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, sled, again) = (Memory::new(), Sled::at(dir.path()), Memory::new());
    let provider = Scripted::echo();
    let [one, two, three] = [engine(&memory, &provider), engine(&sled, &provider), engine(&again, &provider)];
    fill(&one).await;
    let copied = one.copy_to(&two).await.unwrap();
    assert_eq!((copied.sessions, copied.sessions_added, copied.blobs, copied.documents), (4, 4, 1, 2));
    assert_eq!((copied.turns_in_flight, copied.refused.len()), (0, 0));
    let events: usize = everything(&memory).await.0.iter().map(Vec::len).sum();
    assert_eq!(copied.events, events as u64);
    two.copy_to(&three).await.unwrap();
    let whole = everything(&memory).await;
    assert!(everything(&sled).await == whole && everything(&again).await == whole);
    for engine in [&one, &two, &three] {
        assert_holds(engine).await;
    }

    let nothing = one.copy_to(&two).await.unwrap();
    assert_eq!((nothing.sessions_added, nothing.events, nothing.blobs, nothing.documents), (0, 0, 0, 0));
    assert_eq!(nothing.bytes, 0);
    let session = one.resolve("third").await.unwrap();
    say(&one, Some(&session), "on").await;
    say(&one, None, "and a turn that waits").await;
    let more = one.copy_to(&two).await.unwrap();
    assert_eq!((more.sessions, more.sessions_added), (5, 2));
    assert!(everything(&sled).await == everything(&memory).await);
    // What has gone on there needs nothing from here.
    let behind = three.copy_to(&two).await.unwrap();
    assert_eq!((behind.sessions_added, behind.events, behind.refused.len()), (0, 0, 0));
}

#[tokio::test]
async fn what_went_on_differently_is_left_alone_and_the_rest_is_copied() {
    let (here, there) = (Memory::new(), Memory::new());
    let provider = Scripted::echo();
    let (one, two) = (engine(&here, &provider), engine(&there, &provider));
    let sessions = fill(&one).await;
    one.copy_to(&two).await.unwrap();
    for engine in [&one, &two] {
        say(engine, Some(&sessions[0]), "on").await;
        let agent = Agent::default();
        engine.save_document("another", None, &agent).await.unwrap();
    }
    say(&one, Some(&sessions[1]), "on").await;
    two.fold().await.unwrap();
    let before = there.events(&sessions[0], 1, 1_000).await.unwrap();
    let copied = one.copy_to(&two).await.unwrap();
    let refused: Vec<_> = copied.refused.iter().map(|refused| refused.place.as_str()).collect();
    assert_eq!(refused, ["ses_0000000000000000", sessions[0].as_str()]);
    assert_eq!(copied.refused[1].reason, "it went on differently in the two stores");
    assert_eq!((copied.sessions_added, copied.documents), (1, 0));
    assert!(there.events(&sessions[0], 1, 1_000).await.unwrap() == before);
    assert_holds(&two).await;
}

#[tokio::test]
async fn a_copy_that_is_broken_off_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, sled) = (Memory::new(), Sled::at(dir.path()));
    let provider = Scripted::echo();
    let (one, two) = (engine(&memory, &provider), engine(&sled, &provider));
    for _ in 0..5 {
        fill(&one).await;
        one.rename(&one.resolve("third").await.unwrap(), None).await.unwrap();
        let kind = one.document::<Agent>("kind", None).await.unwrap();
        one.delete_document(&kind).await.unwrap();
    }
    let mut broken = 0;
    let done = loop {
        // A little longer every time, so that it is broken off somewhere else.
        let patience = Duration::from_millis(1 << broken.min(14));
        match tokio::time::timeout(patience, one.copy_to(&two)).await {
            Ok(done) => break done.unwrap(),
            Err(_) => broken += 1,
        }
    };
    assert!(broken > 0);
    assert_eq!((done.sessions, done.refused.len()), (20, 0));
    assert!(everything(&sled).await == everything(&memory).await);
    assert_holds(&two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_copied_while_others_write_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Scripted::echo();
    // Each opens the directory for itself, as a process of its own does.
    let at = |name: &str| Sled::at(dir.path().join(name));
    let writer = engine(&at("here"), &provider);
    let sessions = fill(&writer).await;
    let (one, two) = (engine(&at("here"), &provider), engine(&at("there"), &provider));
    let writing = tokio::spawn(async move {
        for number in 0..20 {
            say(&writer, Some(&sessions[number % 3]), "meanwhile").await;
            say(&writer, None, "another").await;
            writer.fold().await.unwrap();
        }
    });
    let mut copies = 0;
    while !writing.is_finished() {
        let copied = one.copy_to(&two).await.unwrap();
        assert_eq!(copied.refused, []);
        copies += 1;
    }
    writing.await.unwrap();
    assert!(copies > 0);
    one.copy_to(&two).await.unwrap();
    assert!(everything(&at("here")).await == everything(&at("there")).await);
    assert_holds(&two).await;
}

fn subjects(findings: &[Finding]) -> Vec<(Subject, &str)> {
    findings.iter().map(|finding| (finding.subject, finding.place.as_str())).collect()
}

async fn write(store: &dyn Store, stream: &SessionId, change: impl FnOnce(&mut Unit)) {
    let expect = store.head(stream).await.unwrap().map_or(Expect::New, Expect::At);
    let mut unit = Unit::new(stream.clone(), expect);
    change(&mut unit);
    store.commit(vec![unit]).await.unwrap();
}

#[tokio::test]
async fn an_examination_names_what_does_not_hold_and_goes_on() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let sessions = fill(&engine).await;
    let whole = engine.examine().await.unwrap();
    assert_eq!((whole.sessions, whole.blobs, whole.documents, &whole.findings[..]), (4, 1, 2, &[][..]));

    let (backup, elsewhere) = (Memory::new(), Memory::new());
    let [saved, other] = [&backup, &elsewhere].map(|store| crate::support::engine(store, &provider));
    engine.copy_to(&saved).await.unwrap();
    let keys = store.scan(Table::Messages, Scan::default()).await.unwrap();
    write(&store, &sessions[0], |unit| {
        let key = keys[0].0.clone();
        unit.writes.push(Write { table: Table::Messages, key, value: None });
        let key = keys[1].0.clone();
        unit.writes.push(Write { table: Table::Messages, key, value: Some(b"{}".to_vec()) });
        let key = b"nobody's".to_vec();
        unit.writes.push(Write { table: Table::Names, key, value: Some(Vec::new()) });
    })
    .await;
    let found = engine.examine().await.unwrap().findings;
    assert_eq!(subjects(&found), [(Subject::Projection, "names"), (Subject::Projection, "messages")]);
    assert_eq!(found[0].fault, "0 rows are missing, 0 differ and 1 are too many");
    assert_eq!(found[1].fault, "1 rows are missing, 1 differ and 0 are too many");
    assert!(found.iter().all(|finding| finding.remedy.contains("aichat store rebuild")));
    engine.rebuild().await.unwrap();
    assert_holds(&engine).await;

    let document = store.scan(Table::Documents, Scan::default()).await.unwrap().remove(0);
    let row = store.events(&sessions[2], 3, 1).await.unwrap().remove(0);
    let text = String::from_utf8(row.bytes).unwrap();
    let mut bytes = text.into_bytes();
    let at = bytes.windows(5).rposition(|window| window == b"large").unwrap();
    bytes[at] = b'b';
    write(&store, &sessions[2], |unit| {
        unit.replaced.push(Replacement { id: row.id, bytes });
        unit.writes.push(Write { table: Table::Documents, key: document.0, value: Some(b"{}".to_vec()) });
    })
    .await;
    let name = store.blobs(None, 1).await.unwrap().remove(0).hash;
    let rows = projections(&store).await;
    store.replace_projections(Vec::new()).await.unwrap();
    store.forget_blobs(std::slice::from_ref(&name)).await.unwrap();
    let writes = rows.into_iter().map(|(table, key, value)| Write { table, key, value: Some(value) });
    store.replace_projections(writes.collect()).await.unwrap();
    let found = engine.examine().await.unwrap().findings;
    let places = [
        (Subject::Log, "ses_0000000000000000"),
        (Subject::Log, sessions[2].as_str()),
        (Subject::Blob, &name),
    ];
    assert_eq!(subjects(&found), places, "{found:?}");
    assert!(found[1].fault.starts_with("at 3: event 3 has a payload that does not match"), "{found:?}");
    assert!(found.iter().all(|finding| finding.remedy.contains("restore")));

    // A copy names the same, and brings the rest.
    let copied = engine.copy_to(&other).await.unwrap();
    let refused: Vec<_> = copied.refused.iter().map(|refused| refused.place.clone()).collect();
    assert_eq!(refused, [sessions[2].to_string(), format!("blob {name}"), places[0].1.to_owned()]);
    assert_eq!(elsewhere.head(&sessions[2]).await.unwrap().unwrap().seq, 2);

    // A backup repairs it.
    let copied = saved.copy_to(&engine).await.unwrap();
    assert_eq!((copied.repaired, copied.blobs, copied.events, copied.refused.len()), (2, 1, 0, 0));
    assert_holds(&engine).await;
    assert!(everything(&store).await == everything(&backup).await);
}

#[tokio::test]
async fn compaction_removes_blobs_that_nothing_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let (store, provider) = (Sled::at(dir.path()), Scripted::echo());
    let engine = engine(&store, &provider);
    fill(&engine).await;
    store.put_blob(b"nothing refers to this").await.unwrap();
    let before = engine.overview().await.unwrap();
    assert_eq!((before.sessions, before.blobs, before.turns_in_flight), (4, 2, 0));
    let compacted = engine.compact().await.unwrap();
    assert_eq!(compacted.blobs_removed, 1);
    let after = engine.overview().await.unwrap();
    assert_eq!((after.sessions, after.events, after.blobs), (4, before.events, 1));
    assert!(compacted.bytes_before.is_some() && compacted.bytes.is_some());
    assert_holds(&engine).await;
}

#[tokio::test]
async fn what_was_purged_is_purged_in_the_copy_and_does_not_come_back() {
    let (here, there) = (Memory::new(), Memory::new());
    let provider = Scripted::echo();
    let (one, two) = (engine(&here, &provider), engine(&there, &provider));
    let sessions = fill(&one).await;
    one.copy_to(&two).await.unwrap();
    one.purge(&sessions[1], false).await.unwrap();
    let back = two.copy_to(&one).await.unwrap();
    assert_eq!((back.events, back.blobs, back.refused.len()), (0, 0, 0));
    assert_eq!(here.blobs(None, 10).await.unwrap(), []);
    let copied = one.copy_to(&two).await.unwrap();
    assert_eq!((copied.erased, copied.events, copied.refused.len()), (1, 1, 0));
    assert!(everything(&there).await == everything(&here).await);
    assert_eq!(there.blobs(None, 10).await.unwrap(), []);
    assert_holds(&two).await;
    assert_eq!(one.copy_to(&two).await.unwrap().erased, 0);
}

#[tokio::test]
async fn a_fork_of_a_parent_that_is_another_one_is_found() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let here = engine(&store, &provider);
    let sessions = fill(&here).await;
    let fork = here.fork(&sessions[0], &Fork { name: Some("fork".into()), ..Fork::default() }).await.unwrap();
    say(&here, Some(&fork), "on").await;
    assert_holds(&here).await;
    let elsewhere = Memory::new();
    let other = engine(&elsewhere, &provider);
    // The fork without its parent, whose place another session takes.
    let text = export(&here, &fork).await;
    let alone = &text[text.rfind("{\"schema\":\"aichat.session/1\",\"kind\":\"head\"").unwrap()..];
    let document = Document::parse(alone).unwrap();
    other.import(&document).await.unwrap();
    assert_holds(&other).await;
    let mut rows = store.events(&sessions[1], 1, 100).await.unwrap();
    let last = store.head(&sessions[0]).await.unwrap().unwrap().seq;
    rows.truncate(usize::try_from(last).unwrap());
    let unit = Unit { events: rows, ..Unit::new(sessions[0].clone(), Expect::New) };
    elsewhere.commit(vec![unit]).await.unwrap();
    let found = other.examine().await.unwrap().findings;
    let of_fork: Vec<_> = found.iter().filter(|finding| finding.subject == Subject::Fork).collect();
    assert_eq!(of_fork.len(), 1, "{found:?}");
    assert_eq!(of_fork[0].place, fork.as_str());
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Whatever was done, what is derived from the logs is what deriving it anew gives, to the byte.
#[tokio::test]
async fn a_rebuild_after_anything_gives_the_same_bytes() {
    for seed in 1..=6 {
        let (store, provider) = (Memory::new(), Scripted::echo());
        let here = engine(&store, &provider);
        let mut dice = Dice(seed);
        let mut sessions: Vec<SessionId> = Vec::new();
        for step in 0..60 {
            let some = (!sessions.is_empty()).then(|| sessions[dice.below(sessions.len())].clone());
            // Some of it is refused, of sessions that are deleted or purged for one; that changes nothing.
            match (dice.below(12), some) {
                (0..=1, _) | (_, None) => {
                    let mut send = Send::new(model(), format!("step {step}"));
                    send.scope = Some(format!("scope {}", dice.below(3)));
                    let turn = here.send(send).await.unwrap();
                    sessions.push(turn.outcome().await.unwrap().session);
                }
                (2..=4, Some(session)) => {
                    let mut send = Send::new(model(), format!("step {step}"));
                    if dice.below(2) == 0 {
                        send.message.parts.push(attach("a.png", IMAGE).unwrap());
                    }
                    send.session = Some(session.clone());
                    let Ok(turn) = here.send(send).await else { continue };
                    match dice.below(4) {
                        // Whoever asked went away.
                        0 => drop(turn),
                        _ => drop(turn.outcome().await.unwrap()),
                    }
                }
                (5, Some(session)) => drop(here.rename(&session, Some(&format!("name {step}"))).await),
                (6, Some(session)) => drop(here.delete(&session).await),
                (7, Some(session)) => drop(here.archive(&session, dice.below(2) == 0).await),
                (8, Some(session)) => {
                    sessions.extend(
                        here.fork(&session, &Fork { scope: Some("forked".into()), ..Fork::default() }).await,
                    );
                }
                (9, Some(session)) => drop(here.purge(&session, dice.below(2) == 0).await),
                (10, Some(session)) => {
                    let Ok(message) = here.message(&session, "@last~1").await else { continue };
                    let mut send = Send::new(model(), format!("instead {step}"));
                    (send.session, send.after) = (Some(session), After::Message(message));
                    let Ok(turn) = here.send(send).await else { continue };
                    drop(turn.outcome().await.unwrap());
                }
                (_, Some(session)) => {
                    let before = here.export(Export::of([session])).text().await;
                    let elsewhere = engine(&Memory::new(), &provider);
                    if let Ok(text) = before {
                        let done: Vec<_> = elsewhere.import_from(std::io::Cursor::new(text)).collect().await;
                        assert!(done.iter().all(Result::is_ok), "seed {seed}, step {step}: {done:?}");
                    }
                }
            }
            if step % 10 == 9 {
                here.fold().await.unwrap();
                assert_rebuilds(&here, &store).await;
                let rows = projections(&store).await;
                here.rebuild().await.unwrap();
                assert!(projections(&store).await == rows, "seed {seed}, step {step}");
                assert_eq!(here.examine().await.unwrap().findings, [], "seed {seed}, step {step}");
            }
        }
        let copy = Memory::new();
        let other = engine(&copy, &provider);
        assert_eq!(here.copy_to(&other).await.unwrap().refused, []);
        assert!(everything(&copy).await == everything(&store).await, "seed {seed}");
    }
}

#[tokio::test]
async fn a_turn_that_is_left_beside_a_log_that_has_it_is_folded_once() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let outcome = say(&engine, None, "one").await;
    let pending = store.pending(Claim::Look).await.unwrap();
    engine.fold().await.unwrap();
    // The log was lost and came back from a copy; the journal had stayed.
    let other = Memory::new();
    let copy = crate::support::engine(&other, &provider);
    engine.copy_to(&copy).await.unwrap();
    let turn = pending[0].clone();
    other.begin(turn.header, turn.records).await.unwrap().finish().await.unwrap();
    assert_eq!(copy.fold().await.unwrap(), 1);
    assert_eq!(other.backlog().await.unwrap().0, 0);
    assert_eq!(copy.events(&outcome.session).await.unwrap(), engine.events(&outcome.session).await.unwrap());
    assert_eq!(copy.examine().await.unwrap().findings, []);
}

#[tokio::test]
async fn long_work_says_how_far_it_is() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let watch = move |work: Work| kept.lock().unwrap().push(work);
    let engine = Engine::builder(Memory::new()).provider(Scripted::echo()).watch(watch).build();
    for prompt in ["one", "two", "three"] {
        say(&engine, None, prompt).await;
    }
    engine.fold().await.unwrap();
    assert_eq!(*told.lock().unwrap(), [], "a turn is no long work");
    engine.rebuild().await.unwrap();
    engine.compact().await.unwrap();
    let target = Engine::builder(Memory::new()).build();
    engine.copy_to(&target).await.unwrap();
    engine.examine().await.unwrap();
    let ids: Vec<SessionId> =
        engine.list(None).await.unwrap().into_iter().map(|session| session.id).collect();
    engine.export(Export::of(ids)).text().await.unwrap();
    let told = told.lock().unwrap();
    for step in [Step::Read, Step::Copy, Step::Verify, Step::Export] {
        let counts: Vec<u64> = told
            .iter()
            .filter(|work| work.step == step && !work.over)
            .map(|work| work.done)
            .take(4)
            .collect();
        assert_eq!(counts, [0, 1, 2, 3], "{step:?}");
    }
    for step in [Step::Replace, Step::Compact] {
        assert!(told.iter().any(|work| work.step == step), "{step:?}");
    }
    for step in told.iter().map(|work| work.step) {
        assert!(told.iter().rfind(|work| work.step == step).is_some_and(|last| last.over), "{step:?} ends");
    }
    assert!(told.iter().all(|work| work.of.is_none_or(|of| work.done <= of)));
}
