//! Cases of blobs, and of a store as a whole.

use std::time::Duration;

use super::samples::{after, header, row, rows, stream, unit, write, writing};
use super::{Place, ok, refused};
use crate::error::ErrorKind;
use crate::store::{Blob, Expect, Scan, Table, Write};

/// A blob is found under the BLAKE3 hash of its bytes, however often it is kept.
pub async fn blobs_are_named_by_their_bytes(place: &Place) {
    let store = place.open();
    for bytes in [Vec::new(), b"small".to_vec(), vec![7; 1 << 20]] {
        let hash = ok(store.put_blob(&bytes).await);
        assert_eq!(hash, blake3::hash(&bytes).to_hex().as_str());
        assert_eq!(ok(store.put_blob(&bytes).await), hash);
        assert_eq!(ok(store.blob(&hash).await), Some(bytes));
    }
    assert_eq!(ok(store.blob(blake3::hash(b"never").to_hex().as_str()).await), None);
    refused(store.blob("../lock").await, ErrorKind::Invalid);
    refused(store.blob("").await, ErrorKind::Invalid);
}

/// Blobs are listed in the order of their hashes, in pages.
pub async fn blobs_are_listed(place: &Place) {
    let store = place.open();
    assert_eq!(ok(store.blobs(None, 10).await), []);
    let mut hashes = Vec::new();
    for size in 1..=5 {
        hashes.push((ok(store.put_blob(&vec![b'x'; size]).await), size as u64));
    }
    hashes.sort();
    let listed =
        |blobs: Vec<Blob>| -> Vec<_> { blobs.into_iter().map(|blob| (blob.hash, blob.size)).collect() };
    assert_eq!(listed(ok(store.blobs(None, 10).await)), hashes);
    assert_eq!(listed(ok(store.blobs(None, 2).await)), hashes[..2]);
    assert_eq!(listed(ok(store.blobs(Some(&hashes[1].0), 2).await)), hashes[2..4]);
    assert_eq!(ok(store.blobs(Some(&hashes[4].0), 2).await), []);
}

/// A blob that an entry or a turn in flight refers to is not removed; another one is.
pub async fn blobs_in_use_stay(place: &Place) {
    let store = place.open();
    let entered = ok(store.put_blob(b"entered").await);
    let flying = ok(store.put_blob(b"flying").await);
    let unused = ok(store.put_blob(b"unused").await);
    let key = [entered.as_bytes(), b"\0by whom"].concat();
    ok(store.commit(vec![writing(1, Expect::New, vec![write(Table::Blobs, &key, b"")])]).await);
    let record = format!("{{\"source\":\"{flying}\"}}").into_bytes();
    let turn = ok(store.begin(header(1, 1, None), vec![record]).await);
    let all = [entered.clone(), flying.clone(), unused.clone()];
    assert_eq!(ok(store.forget_blobs(&all).await), 1);
    assert_eq!(ok(store.blob(&entered).await), Some(b"entered".to_vec()));
    assert_eq!(ok(store.blob(&flying).await), Some(b"flying".to_vec()));
    assert_eq!(ok(store.blob(&unused).await), None);
    ok(turn.finish().await);
    assert_eq!(ok(store.forget_blobs(&all).await), 0);
    let mut folding = unit(1, 1..=1);
    folding.folded = vec![header(1, 1, None).turn];
    folding.writes = vec![Write { table: Table::Blobs, key, value: None }];
    ok(store.commit(vec![folding]).await);
    assert_eq!(ok(store.forget_blobs(&all).await), 2);
    assert_eq!(ok(store.blobs(None, 10).await), []);
    assert_eq!(ok(store.put_blob(b"entered").await), entered);
    assert_eq!(ok(store.blob(&entered).await), Some(b"entered".to_vec()));
    refused(store.forget_blobs(&["../lock".to_owned()]).await, ErrorKind::Invalid);
}

/// As long as somebody relies on a blob that nothing refers to yet, it stays.
pub async fn a_pin_holds_off_removal(place: &Place) {
    let store = place.open();
    let other = place.open();
    let pin = ok(store.pin().await);
    let second = ok(other.pin().await);
    let hash = ok(store.put_blob(b"soon referred to").await);
    let hashes = [hash.clone()];
    let removing = tokio::spawn(async move { ok(other.forget_blobs(&hashes).await) });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!removing.is_finished());
    let key = [hash.as_bytes(), b"\0by whom"].concat();
    ok(store.commit(vec![writing(1, Expect::New, vec![write(Table::Blobs, &key, b"")])]).await);
    ok(store.release().await);
    drop(pin);
    drop(second);
    assert_eq!(removing.await.ok(), Some(0));
    assert_eq!(ok(store.blob(&hash).await), Some(b"soon referred to".to_vec()));
}

/// Giving back space changes nothing that can be read.
pub async fn a_compacted_store_holds_what_it_held(place: &Place) {
    let store = place.open();
    let mut first = unit(1, 1..=300);
    first.events[6].bytes = vec![b'l'; 100_000];
    first.writes = (0..300u32).map(|number| write(Table::Messages, &number.to_be_bytes(), b"m")).collect();
    first.writes.push(write(Table::Documents, b"document", &[b'd'; 50_000]));
    ok(store.commit(vec![first.clone(), unit(2, 1..=2)]).await);
    let hash = ok(store.put_blob(b"blob").await);
    let turn = ok(store.begin(header(3, 3, None), vec![b"begun".to_vec()]).await);
    ok(store.compact().await);
    for store in [store, place.open()] {
        assert_eq!(ok(store.events(&stream(1), 1, 1000).await), first.events);
        assert_eq!(ok(store.events(&stream(2), 1, 1000).await), rows(2, 1..=2));
        assert_eq!(ok(store.find(&row(1, 200).id).await), Some((stream(1), 200)));
        assert_eq!(ok(store.scan(Table::Messages, Scan::default()).await).len(), 300);
        assert_eq!(ok(store.get(Table::Documents, b"document").await), Some(vec![b'd'; 50_000]));
        assert_eq!(ok(store.blob(&hash).await), Some(b"blob".to_vec()));
        assert_eq!(ok(store.backlog().await).0, 1);
        assert!(!ok(store.stale().await));
        ok(store.release().await);
    }
    let store = place.open();
    ok(turn.finish().await);
    let mut next = unit(1, 301..=301);
    next.folded = vec![header(3, 3, None).turn];
    ok(store.commit(vec![next]).await);
    assert_eq!(ok(store.backlog().await).0, 0);
    refused(store.commit(vec![writing(1, after(1, 300), Vec::new())]).await, ErrorKind::Conflict);
}

/// What a store says of itself is what was put into it.
pub async fn a_store_tells_what_is_in_it(place: &Place) {
    let store = place.open();
    let empty = ok(store.info().await);
    assert_eq!((empty.streams, empty.events, empty.blobs, empty.turns_in_flight), (0, 0, 0, 0));
    ok(store.commit(vec![unit(1, 1..=3), unit(2, 1..=2)]).await);
    ok(store.put_blob(b"four").await);
    let turn = ok(store.begin(header(3, 3, None), vec![b"begun".to_vec()]).await);
    let info = ok(store.info().await);
    assert!(!info.backend.is_empty());
    assert_eq!((info.streams, info.events, info.blobs, info.blob_bytes), (2, 5, 1, 4));
    assert_eq!((info.turns_in_flight, info.set_aside), (1, Vec::new()));
    ok(turn.finish().await);
}
