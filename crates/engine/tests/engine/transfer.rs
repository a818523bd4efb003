//! Export and import: the same bytes come out again, and a wrong file leaves nothing behind.

use aichat_engine::Document;
use aichat_message::ErrorKind;
use aichat_providers::Scripted;
use aichat_store::Memory;

use crate::support::{assert_rebuilds, engine, projections, say};

#[tokio::test]
async fn export_import_export_gives_the_same_bytes_in_both_forms() {
    let store = Memory::new();
    let here = engine(&store, &Scripted::echo());
    let session = say(&here, None, "one \u{1f600}\n\"two\"").await.session;
    say(&here, Some(&session), "three").await;
    here.rename(&session, Some("kept")).await.unwrap();
    let document = here.export(&session).await.unwrap();
    for text in [document.to_jsonl(), document.to_json()] {
        let other = Memory::new();
        let there = engine(&other, &Scripted::echo());
        let parsed = Document::parse(&text).unwrap();
        let imported = there.import(&parsed).await.unwrap();
        assert_eq!((imported.added, imported.added), (imported.events, document.events().len() as u64));
        assert_eq!(there.import(&parsed).await.unwrap().added, 0, "twice changes nothing");
        let again = there.export(&session).await.unwrap();
        assert_eq!((again.to_jsonl(), again.to_json()), (document.to_jsonl(), document.to_json()));
        assert_eq!(there.resolve("kept").await.unwrap(), session);
        assert!(projections(&other).await == projections(&store).await);
        assert_rebuilds(&there, &other).await;
        say(&there, Some(&session), "goes on").await;
    }
}

#[tokio::test]
async fn an_import_that_is_cut_changed_or_of_another_kind_is_refused_and_leaves_nothing() {
    let store = Memory::new();
    let here = engine(&store, &Scripted::echo());
    let session = say(&here, None, "the prompt").await.session;
    let document = here.export(&session).await.unwrap();
    let jsonl = document.to_jsonl();
    let lines: Vec<&str> = jsonl.lines().collect();
    let without_tail = lines[..lines.len() - 1].join("\n");
    let without_third = [&lines[..3], &lines[4..]].concat().join("\n");
    let changed = jsonl.replace("the prompt", "the PROMPT");
    let newer = jsonl.replace("aichat.session/1", "aichat.session/9");
    let deep = format!("{{\"schema\":{}", "[".repeat(100_000));
    for text in ["", "{}", "[1,2]", "hello", &without_tail, &without_third, &changed, &newer, &deep] {
        let error = Document::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}

#[tokio::test]
async fn a_session_that_went_another_way_is_refused() {
    let (a, b) = (Memory::new(), Memory::new());
    let here = engine(&a, &Scripted::echo());
    let there = engine(&b, &Scripted::echo());
    let session = say(&here, None, "same").await.session;
    there.import(&here.export(&session).await.unwrap()).await.unwrap();
    say(&here, Some(&session), "left").await;
    let longer = here.export(&session).await.unwrap();
    say(&there, Some(&session), "right").await;
    assert_eq!(there.import(&longer).await.unwrap_err().kind(), ErrorKind::Input);
}

#[tokio::test]
async fn an_erased_export_holds_nothing_of_what_was_said_and_still_verifies() {
    let store = Memory::new();
    let here = engine(&store, &Scripted::echo());
    let session = say(&here, None, "the prompt").await.session;
    let erased = here.export(&session).await.unwrap().erased().to_jsonl();
    assert!(!erased.contains("the prompt"));
    let other = Memory::new();
    let there = engine(&other, &Scripted::echo());
    there.import(&Document::parse(&erased).unwrap()).await.unwrap();
    assert_eq!(there.verify(&session).await.unwrap().fault, None);
    assert_eq!(there.export(&session).await.unwrap().to_jsonl(), erased);
}
