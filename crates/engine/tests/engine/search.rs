//! Search: what is found, what is not, and in which order.

use aichat_engine::{Engine, Hit, Search, Send};
use aichat_message::{Message, Part, Role};
use aichat_providers::{Scripted, Turn};
use aichat_store::{Memory, Scan, Sled, Store, Table};

use crate::support::{assert_rebuilds, engine, model, say};

fn query(text: &str) -> Search {
    Search { query: text.to_owned(), ..Search::default() }
}

async fn snippets(engine: &Engine, search: &Search) -> Vec<String> {
    engine.search(search).await.unwrap().into_iter().map(|hit| hit.found.snippet).collect()
}

/// Returns what is marked in a hit.
fn marked(hit: &Hit) -> Vec<String> {
    let cut =
        |(start, end): &(usize, usize)| hit.found.snippet.chars().skip(*start).take(end - start).collect();
    hit.found.matches.iter().map(cut).collect()
}

#[tokio::test]
async fn every_word_must_occur_in_one_message_and_the_latest_comes_first() {
    let store = Memory::new();
    let provider = Scripted::new([Turn::text("Rust is a language."), Turn::text("A Straße is a street.")]);
    let engine = engine(&store, &provider);
    let first = say(&engine, None, "What is rust?").await;
    let second = say(&engine, Some(&first.session), "Was ist eine STRASSE,\nbitte?").await;
    assert_eq!(snippets(&engine, &query("RUST")).await, ["Rust is a language.", "What is rust?"]);
    assert_eq!(snippets(&engine, &query("rust language")).await, ["Rust is a language."]);
    assert_eq!(snippets(&engine, &query("rust straße")).await, [""; 0], "not in one message");
    let hits = engine.search(&query("\"strasse\"")).await.unwrap();
    assert_eq!(hits.iter().map(marked).collect::<Vec<_>>(), [["Straße"], ["STRASSE"]]);
    assert_eq!(hits[0].message.as_ref(), second.answer.as_ref());
    assert_eq!((hits[0].role, hits[1].role), (Some(Role::Assistant), Some(Role::User)));
    assert_eq!(hits[1].model.as_deref(), Some("scripted/test-1"));
    assert_eq!(hits[1].found.snippet, "Was ist eine STRASSE, bitte?");
    assert!(hits[0].ts > hits[1].ts);
    assert_eq!(snippets(&engine, &query("\"strasse, bitte\"")).await.len(), 1, "a line break is a blank");
    assert_rebuilds(&engine, &store).await;
    assert_eq!(engine.search(&query("\"strasse\"")).await.unwrap(), hits);
}

#[tokio::test]
async fn filters_narrow_it_down() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let a = say(&engine, None, "needle one").await;
    let mut send = Send::new(aichat_engine::ModelRef::new("scripted", "Other-2"), "needle two");
    send.system = Some("find the needle".into());
    let b = engine.send(send).await.unwrap().outcome().await.unwrap();
    let all = engine.search(&query("needle")).await.unwrap();
    assert_eq!(all.len(), 5);
    let count = |search: Search| {
        let engine = engine.clone();
        async move { engine.search(&search).await.unwrap().len() }
    };
    assert_eq!(count(Search { session: Some(a.session.clone()), ..query("needle") }).await, 2);
    assert_eq!(count(Search { role: Some(Role::User), ..query("needle") }).await, 2);
    assert_eq!(count(Search { role: Some(Role::Developer), ..query("needle") }).await, 1);
    assert_eq!(count(Search { role: Some(Role::Tool), ..query("needle") }).await, 0);
    assert_eq!(count(Search { model: Some("other".into()), ..query("needle") }).await, 3);
    assert_eq!(count(Search { model: Some("scripted/test-1".into()), ..query("needle") }).await, 2);
    let middle = all[3].ts;
    assert_eq!(count(Search { since_us: Some(middle), ..query("needle") }).await, 4);
    assert_eq!(count(Search { until_us: Some(middle), ..query("needle") }).await, 1);
    let two = engine.search(&Search { limit: Some(2), ..query("needle") }).await.unwrap();
    assert_eq!(two, all[..2]);
    engine.archive(&a.session, true).await.unwrap();
    let hits = engine.search(&query("needle")).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.archived).collect::<Vec<_>>(), [false, false, false, true, true]);
    engine.delete(&b.session).await.unwrap();
    assert_eq!(count(query("needle")).await, 2, "what is deleted is not found");
    assert_eq!(engine.search(&query(" ")).await.unwrap_err().kind(), aichat_message::ErrorKind::Input);
}

#[tokio::test]
async fn what_was_purged_leaves_no_words() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let session = say(&engine, None, "a secret plan").await.session;
    assert_eq!(engine.search(&query("secret")).await.unwrap().len(), 2);
    engine.purge(&session, false).await.unwrap();
    assert!(engine.search(&query("secret")).await.unwrap().is_empty());
    assert!(store.scan(Table::Words, Scan::default()).await.unwrap().is_empty());
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn names_calls_and_results_are_found() {
    let store = Memory::new();
    let call = Part::tool_call("call_1", "read_file", r#"{"path":"src\u002fma\u00eft.rs"}"#);
    let provider = Scripted::new([Turn::new().part(0, call).stop(), Turn::text("done")]);
    let engine = engine(&store, &provider);
    let session = engine.create(Some("Große Reise"), Some(&model()), None).await.unwrap();
    say(&engine, Some(&session), "go").await;
    let hits = engine.search(&query("grosse")).await.unwrap();
    assert_eq!((hits.len(), &hits[0].message, hits[0].role), (1, &None, None));
    assert_eq!((hits[0].session.clone(), marked(&hits[0])), (session.clone(), vec!["Große".to_owned()]));
    assert_eq!(engine.search(&query("read_file src/maït.rs")).await.unwrap().len(), 1);
    let mut send = Send::to(session, "");
    send.message = Message::new(Role::User, vec![Part::tool_result("call_1", "fn main")]);
    engine.send(send).await.unwrap().outcome().await.unwrap();
    assert_eq!(snippets(&engine, &query("\"fn main\"")).await, ["fn main"]);
}

#[tokio::test]
async fn a_long_message_is_found_by_words_far_apart() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::new([Turn::text("ok")]));
    let text = format!("alpha {} omega {} final", "filler ".repeat(3_000), "more ".repeat(3_000));
    say(&engine, None, &text).await;
    let long = format!("\"{} omega\"", "filler ".repeat(100).trim_end());
    for words in ["alpha omega final", "\"filler omega more\"", "alpha", "final", &long] {
        assert_eq!(snippets(&engine, &query(words)).await.len(), 1, "{words}");
    }
    assert!(snippets(&engine, &query("alpha omega absent")).await.is_empty());
    assert!(snippets(&engine, &query(&long.replace("omega", "gamma"))).await.is_empty());
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_turn_in_flight_is_found_with_what_has_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Scripted::new([Turn::new().say("half an answer").hang()]);
    let here = engine(&Sled::at(folder.path()), &provider);
    let mut running = here.send(Send::new(model(), "a question")).await.unwrap();
    while !matches!(
        futures::StreamExt::next(&mut running).await,
        Some(aichat_engine::Progress::Delta(aichat_message::Delta::Text { .. }))
    ) {}
    let other = engine(&Sled::at(folder.path()), &Scripted::echo());
    let hits = other.search(&query("question")).await.unwrap();
    assert_eq!((hits.len(), hits[0].partial, hits[0].role), (1, false, Some(Role::User)));
    assert_eq!(hits[0].model.as_deref(), Some("scripted/test-1"));
    drop(running);
    here.shutdown().await.unwrap();
    let hits = other.search(&query("half")).await.unwrap();
    assert_eq!((hits.len(), hits[0].partial, hits[0].role), (1, true, Some(Role::Assistant)));
}
