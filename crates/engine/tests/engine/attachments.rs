//! Attachments: kept once as blobs, sent as bytes, and left out with a warning where they are gone.

use aichat_engine::{Send, attach};
use aichat_message::{Message, Part, PartKind, Role, Source};
use aichat_providers::Scripted;
use aichat_store::{Memory, Store};

use crate::support::{assert_rebuilds, engine, model, say};

const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0an image";

fn with_image(text: &str) -> Send {
    let mut send = Send::new(model(), text);
    send.message = Message::new(Role::User, vec![Part::text(text), attach("a.png", IMAGE).unwrap()]);
    send
}

fn sources(message: &Message) -> Vec<&Source> {
    let source = |part: &'_ Part| matches!(&part.kind, PartKind::Media { .. });
    let media = message.parts.iter().filter(|part| source(part));
    media
        .map(|part| if let PartKind::Media { source, .. } = &part.kind { source } else { unreachable!() })
        .collect()
}

#[tokio::test]
async fn an_attachment_is_kept_once_and_sent_with_every_turn() {
    let (store, provider) = (Memory::new(), Scripted::echo());
    let engine = engine(&store, &provider);
    let first = engine.send(with_image("one")).await.unwrap().outcome().await.unwrap();
    engine.send(with_image("two")).await.unwrap().outcome().await.unwrap();
    say(&engine, Some(&first.session), "three").await;

    let blobs = store.blobs(None, 10).await.unwrap();
    assert_eq!((blobs.len(), blobs[0].size), (1, IMAGE.len() as u64));
    let hash = blobs[0].hash.clone();
    let transcript = engine.transcript(&first.session).await.unwrap();
    assert_eq!(sources(&transcript.entries[0].message), [&Source::Blob(hash.clone())]);
    let requests = provider.requests();
    for request in &requests {
        assert!(matches!(sources(&request.messages[0])[..], [Source::Base64(_)]), "bytes are sent");
    }
    assert_eq!(requests[2].messages[0].parts, requests[0].messages[0].parts, "the same bytes every time");
    assert_rebuilds(&engine, &store).await;
    assert_eq!(store.forget_blobs(std::slice::from_ref(&hash)).await.unwrap(), 0, "two sessions refer to it");
    store.replace_projections(Vec::new()).await.unwrap();
    assert_eq!(store.forget_blobs(&[hash]).await.unwrap(), 1);
    engine.rebuild().await.unwrap();

    let outcome = say(&engine, Some(&first.session), "four").await;
    assert_eq!(outcome.message.text(), "four");
    assert!(outcome.warnings.iter().any(|text| text.contains("an attachment is left out")), "{outcome:?}");
    let sent = &provider.requests()[3].messages[0];
    assert_eq!((sent.text().as_str(), sent.parts.len()), ("one", 1));
}
