//! Cases of streams and commits.

use std::sync::Arc;

use super::samples::{after, all, row, rows, stream, unit, write, writing};
use super::{Place, ok, refused};
use crate::error::ErrorKind;
use crate::store::{Expect, Head, Replacement, Store, Table};

/// A stream begins at 1, ends where its last event is, and gives back what it was given.
pub async fn a_stream_grows_from_its_head(place: &Place) {
    let store = place.open();
    assert_eq!(ok(store.head(&stream(1)).await), None);
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), []);
    let mut pulses = vec![ok(store.pulse().await)];
    for unit in [unit(1, 1..=2), unit(1, 3..=3)] {
        ok(store.commit(vec![unit]).await);
        pulses.push(ok(place.open().pulse().await));
    }
    assert!(
        pulses.iter().all(Option::is_none) || pulses.is_sorted_by(|a, b| a.is_some() && a != b),
        "whoever tells a pulse tells another one after every commit: {pulses:?}"
    );
    assert_eq!(ok(store.head(&stream(1)).await), Some(Head { seq: 3, hash: row(1, 3).hash }));
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), rows(1, 1..=3));
    assert_eq!(ok(store.find(&row(1, 2).id).await), Some((stream(1), 2)));
    assert_eq!(ok(store.find(&row(2, 2).id).await), None);
}

/// Who expects another head than there is gets a conflict, whichever way it differs, and changes nothing.
pub async fn a_stale_head_is_a_conflict(place: &Place) {
    let store = place.open();
    refused(store.commit(vec![unit(1, 2..=2)]).await, ErrorKind::Conflict);
    ok(store.commit(vec![unit(1, 1..=2)]).await);
    let mut other = unit(1, 3..=3);
    other.expect = Expect::New;
    refused(store.commit(vec![other.clone()]).await, ErrorKind::Conflict);
    other.expect = after(1, 1);
    refused(store.commit(vec![other.clone()]).await, ErrorKind::Conflict);
    other.expect = Expect::At(Head { seq: 2, hash: b"another".to_vec() });
    refused(store.commit(vec![other.clone()]).await, ErrorKind::Conflict);
    refused(
        store.commit(vec![writing(1, Expect::New, vec![write(Table::Names, b"n", b"1")])]).await,
        ErrorKind::Conflict,
    );
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), rows(1, 1..=2));
    assert_eq!(all(&*store, Table::Names).await, []);
}

/// An event that does not follow the head is refused.
pub async fn sequence_numbers_have_no_gaps(place: &Place) {
    let store = place.open();
    let mut gap = unit(1, 1..=3);
    gap.events.remove(1);
    refused(store.commit(vec![gap]).await, ErrorKind::Invalid);
    let mut late = unit(1, 1..=3);
    late.events.remove(0);
    refused(store.commit(vec![late]).await, ErrorKind::Invalid);
    let mut twice = unit(1, 1..=2);
    twice.events[1].id = twice.events[0].id.clone();
    refused(store.commit(vec![twice]).await, ErrorKind::Invalid);
    let mut zero = unit(1, 1..=1);
    zero.events[0].seq = 0;
    refused(store.commit(vec![zero]).await, ErrorKind::Invalid);
    assert_eq!(ok(store.head(&stream(1)).await), None);
    assert_eq!(ok(store.streams(None, 10).await), []);
}

/// One refused unit takes the others of its commit with it, events, writes and all.
pub async fn a_commit_is_all_or_nothing(place: &Place) {
    let store = place.open();
    let mut good = unit(1, 1..=2);
    good.writes = vec![write(Table::Sessions, b"one", b"1")];
    refused(store.commit(vec![good.clone(), unit(2, 5..=5)]).await, ErrorKind::Conflict);
    assert_eq!(ok(store.head(&stream(1)).await), None);
    assert_eq!(ok(store.find(&row(1, 1).id).await), None);
    assert_eq!(all(&*store, Table::Sessions).await, []);
    ok(store.commit(vec![good, unit(2, 1..=1)]).await);
    assert_eq!(ok(store.streams(None, 10).await), [stream(1), stream(2)]);
    assert_eq!(all(&*store, Table::Sessions).await, [(b"one".to_vec(), b"1".to_vec())]);
}

/// A later unit of a commit stands on the earlier ones.
pub async fn units_of_one_commit_see_each_other(place: &Place) {
    let store = place.open();
    let mut first = unit(1, 1..=2);
    first.writes = vec![write(Table::Names, b"name", b"first")];
    let mut second = unit(1, 3..=4);
    second.writes = vec![write(Table::Names, b"name", b"second")];
    ok(store.commit(vec![first, second]).await);
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), rows(1, 1..=4));
    assert_eq!(ok(store.get(Table::Names, b"name").await), Some(b"second".to_vec()));
    refused(store.commit(vec![unit(2, 1..=1), unit(2, 1..=2)]).await, ErrorKind::Conflict);
    assert_eq!(ok(store.head(&stream(2)).await), None);
}

/// A unit whose events are all there is accepted and changes nothing; one that begins with events that are there
/// appends the rest.
pub async fn known_events_stay_as_they_are(place: &Place) {
    let store = place.open();
    ok(store.commit(vec![unit(1, 1..=3)]).await);
    let mut again = unit(1, 1..=3);
    again.events[1].bytes = b"forged".to_vec();
    again.writes = vec![write(Table::Names, b"again", b"1")];
    ok(store.commit(vec![again]).await);
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), rows(1, 1..=3));
    assert_eq!(all(&*store, Table::Names).await, []);
    let mut more = unit(1, 2..=5);
    more.expect = after(1, 3);
    ok(store.commit(vec![more]).await);
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), rows(1, 1..=5));
}

/// An event that is in the log cannot enter it elsewhere.
pub async fn an_event_has_one_place(place: &Place) {
    let store = place.open();
    ok(store.commit(vec![unit(1, 1..=2)]).await);
    let mut elsewhere = unit(2, 1..=1);
    elsewhere.events[0].id = row(1, 1).id;
    refused(store.commit(vec![elsewhere]).await, ErrorKind::Invalid);
    let mut later = unit(1, 3..=3);
    later.events[0].id = row(1, 1).id;
    refused(store.commit(vec![later]).await, ErrorKind::Invalid);
    assert_eq!(ok(store.find(&row(1, 1).id).await), Some((stream(1), 1)));
    assert_eq!(ok(store.head(&stream(2)).await), None);
}

/// Events come from where they are asked for, in order, and no more than are asked for.
pub async fn events_are_paged(place: &Place) {
    let store = place.open();
    ok(store.commit(vec![unit(1, 1..=300), unit(2, 1..=3)]).await);
    assert_eq!(ok(store.events(&stream(1), 0, 2).await), rows(1, 1..=2));
    assert_eq!(ok(store.events(&stream(1), 255, 3).await), rows(1, 255..=257));
    assert_eq!(ok(store.events(&stream(1), 299, 100).await), rows(1, 299..=300));
    assert_eq!(ok(store.events(&stream(1), 301, 100).await), []);
    assert_eq!(ok(store.events(&stream(1), 1, 0).await), []);
    assert_eq!(ok(store.events(&stream(1), 1, usize::MAX).await), rows(1, 1..=300));
}

/// Streams come in the order of their ids, after the one that is named.
pub async fn streams_are_paged(place: &Place) {
    let store = place.open();
    ok(store.commit([4, 2, 5, 1, 3].map(|of| unit(of, 1..=1)).to_vec()).await);
    assert_eq!(ok(store.streams(None, 2).await), [stream(1), stream(2)]);
    assert_eq!(ok(store.streams(Some(&stream(2)), 2).await), [stream(3), stream(4)]);
    assert_eq!(ok(store.streams(Some(&stream(4)), 9).await), [stream(5)]);
    assert_eq!(ok(store.streams(Some(&stream(5)), 9).await), []);
}

/// Events and values of any size come back byte for byte, zero bytes and line ends included.
pub async fn large_values_come_back(place: &Place) {
    let store = place.open();
    let sizes = [0, 1, 5 << 10, (5 << 10) + 1, 8 << 10, (8 << 10) + 1, 1 << 20];
    let mut all = unit(1, 1..=sizes.len() as u64);
    for (event, size) in all.events.iter_mut().zip(sizes) {
        event.bytes = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        all.writes.push(write(Table::Documents, &event.seq.to_be_bytes(), &event.bytes));
    }
    ok(store.commit(vec![all.clone()]).await);
    ok(store.release().await);
    drop(store);
    let store = place.open();
    assert_eq!(ok(store.events(&stream(1), 1, 100).await), all.events);
    for event in all.events {
        let value = ok(store.get(Table::Documents, &event.seq.to_be_bytes()).await);
        assert_eq!(value, Some(event.bytes), "event {}", event.seq);
    }
}

/// Two tasks that append to one stream, each trying again on a conflict, both get all of it in.
pub async fn two_writers_lose_nothing(place: &Place) {
    const EACH: u16 = 20;
    let store = place.open();
    let append = |store: Arc<dyn Store>, writer: u16| async move {
        let mut conflicts = 0;
        for number in 1..=EACH {
            loop {
                let head = ok(store.head(&stream(1)).await);
                let mut event = row(writer, number.into());
                event.seq = head.as_ref().map_or(1, |head| head.seq + 1);
                let mut unit = unit(1, 1..=1);
                unit.expect = head.map_or(Expect::New, Expect::At);
                unit.events = vec![event];
                match store.commit(vec![unit]).await {
                    Ok(()) => break,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
                }
                conflicts += 1;
                assert!(conflicts < 10_000, "a writer starves");
            }
        }
    };
    let other = tokio::spawn(append(Arc::clone(&store), 7));
    append(Arc::clone(&store), 8).await;
    assert!(other.await.is_ok(), "the other writer panicked");
    let events = ok(store.events(&stream(1), 1, 1000).await);
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
    for writer in [7, 8] {
        let ids: Vec<_> = (1..=EACH).map(|number| row(writer, number.into()).id).collect();
        let found: Vec<_> =
            events.iter().map(|event| event.id.clone()).filter(|id| ids.contains(id)).collect();
        assert_eq!(found, ids, "writer {writer}");
    }
    assert_eq!(events.len(), 2 * usize::from(EACH));
}

/// A store that was released lets another in, and takes everything up again when it is used.
pub async fn a_released_store_goes_on(place: &Place) {
    let first = place.open();
    ok(first.commit(vec![unit(1, 1..=1)]).await);
    ok(first.release().await);
    let second = place.open();
    assert_eq!(ok(second.events(&stream(1), 1, 10).await), rows(1, 1..=1));
    ok(second.commit(vec![unit(1, 2..=2)]).await);
    ok(second.release().await);
    assert_eq!(ok(first.events(&stream(1), 1, 10).await), rows(1, 1..=2));
    ok(first.release().await);
    ok(first.release().await);
}

/// A replaced event has other bytes, and everything else of it stays; one of another stream is refused.
pub async fn replaced_events_keep_their_place(place: &Place) {
    let store = place.open();
    let mut first = unit(1, 1..=3);
    first.events[1].bytes = vec![b'x'; 50_000];
    ok(store.commit(vec![first, unit(2, 1..=1)]).await);
    let replacement = |of, seq, bytes: &[u8]| Replacement { id: row(of, seq).id, bytes: bytes.to_vec() };
    let mut next = unit(1, 4..=4);
    next.replaced =
        vec![replacement(1, 1, b"short"), replacement(1, 2, b"gone"), replacement(1, 3, &[7; 60_000])];
    let mut elsewhere = next.clone();
    elsewhere.replaced.push(replacement(2, 1, b"of another stream"));
    refused(store.commit(vec![elsewhere]).await, ErrorKind::Invalid);
    let mut never = next.clone();
    never.replaced.push(replacement(1, 9, b"never written"));
    refused(store.commit(vec![never]).await, ErrorKind::Invalid);
    assert_eq!(ok(store.events(&stream(1), 1, 1).await), [row(1, 1)]);
    ok(store.commit(vec![next.clone()]).await);
    let mut wanted = rows(1, 1..=4);
    wanted[0].bytes = b"short".to_vec();
    wanted[1].bytes = b"gone".to_vec();
    wanted[2].bytes = vec![7; 60_000];
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), wanted);
    assert_eq!(ok(store.find(&row(1, 2).id).await), Some((stream(1), 2)));
    next.events.clear();
    next.replaced = vec![replacement(1, 4, b"alone")];
    refused(store.commit(vec![next.clone()]).await, ErrorKind::Conflict);
    next.expect = after(1, 4);
    ok(store.commit(vec![next]).await);
    assert_eq!(ok(store.events(&stream(1), 4, 10).await)[0].bytes, b"alone");
    assert_eq!(ok(store.head(&stream(1)).await), Some(Head { seq: 4, hash: row(1, 4).hash }));
}
