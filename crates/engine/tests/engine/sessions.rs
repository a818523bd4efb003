//! Sessions: names, look-up, order, scopes, deletion, verification.

use aichat_engine::Send;
use aichat_message::ErrorKind;
use aichat_providers::Scripted;
use aichat_store::Memory;

use crate::support::{assert_rebuilds, engine, model, say};

#[tokio::test]
async fn names_are_unique_can_be_changed_and_are_freed_by_deletion() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let first = engine.create(Some("work"), Some(&model()), None).await.unwrap();
    assert_eq!(engine.create(Some("work"), None, None).await.unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(engine.resolve("work").await.unwrap(), first);
    engine.rename(&first, Some("play")).await.unwrap();
    assert_eq!(engine.resolve("work").await.unwrap_err().kind(), ErrorKind::Input);
    let second = engine.create(Some("work"), None, None).await.unwrap();
    engine.delete(&first).await.unwrap();
    assert!(engine.resolve("play").await.is_err() && engine.resolve(first.as_str()).await.is_err());
    assert!(engine.delete(&first).await.is_err(), "what is deleted is gone");
    assert_eq!(engine.list(None).await.unwrap().iter().map(|s| &s.id).collect::<Vec<_>>(), [&second]);
    assert_eq!(engine.verify(&first).await.unwrap().events, 3, "its log stays");
    for name in ["", " x", "ses_1", "@last", "a\nb", &"x".repeat(201)] {
        assert_eq!(
            engine.create(Some(name), None, None).await.unwrap_err().kind(),
            ErrorKind::Input,
            "{name:?}"
        );
    }
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn sessions_are_found_by_prefix_and_by_recency() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let a = say(&engine, None, "first").await.session;
    let b = say(&engine, None, "second").await.session;
    assert_eq!(engine.resolve("@last").await.unwrap(), b);
    assert_eq!(engine.resolve("@last~1").await.unwrap(), a);
    assert!(engine.resolve("@last~2").await.is_err() && engine.resolve("@last~x").await.is_err());
    assert_eq!(engine.resolve(a.as_str()).await.unwrap(), a);
    assert!(engine.resolve("ses_").await.is_err());
    let shared: usize = a.as_str().bytes().zip(b.as_str().bytes()).take_while(|(x, y)| x == y).count();
    assert_eq!(engine.resolve(&a.as_str()[..=shared]).await.unwrap(), a);
    if shared > 4 {
        let error = engine.resolve(&a.as_str()[..shared]).await.unwrap_err();
        assert!(error.to_string().contains("first") && error.to_string().contains("second"), "{error}");
    }
    say(&engine, Some(&a), "third").await;
    assert_eq!(engine.resolve("@last").await.unwrap(), a);
    assert_eq!(engine.list(Some(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_session_of_a_scope_is_not_the_last_of_another() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let mut sessions = Vec::new();
    for (scope, text) in [("tty1", "a"), ("tty2", "b"), ("tty1", "c")] {
        let mut send = Send::new(model(), text);
        send.scope = Some(scope.into());
        sessions.push(engine.send(send).await.unwrap().outcome().await.unwrap().session);
    }
    assert_eq!(engine.last_in_scope("tty1").await.unwrap().as_ref(), Some(&sessions[2]));
    assert_eq!(engine.last_in_scope("tty2").await.unwrap().as_ref(), Some(&sessions[1]));
    assert_eq!(engine.last_in_scope("tty3").await.unwrap(), None);
    engine.delete(&sessions[2]).await.unwrap();
    assert_eq!(engine.last_in_scope("tty1").await.unwrap().as_ref(), Some(&sessions[0]));
    assert_rebuilds(&engine, &store).await;
}
