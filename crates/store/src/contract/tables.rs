//! Cases of tables and blobs.

use std::sync::{Arc, Mutex, PoisonError};

use super::samples::{after, all, stream, unit, write, writing};
use super::{Place, ok, refused};
use crate::error::ErrorKind;
use crate::store::{Expect, Scan, Store, Table, Write};

async fn fill(store: &dyn Store, keys: &[&[u8]]) {
    let writes = keys.iter().map(|key| write(Table::Recent, key, key)).collect();
    ok(store.commit(vec![writing(1, Expect::New, writes)]).await);
}

async fn keys(store: &dyn Store, scan: Scan) -> Vec<Vec<u8>> {
    ok(store.scan(Table::Recent, scan).await).into_iter().map(|(key, _)| key).collect()
}

/// Entries come in the order of their keys' bytes, and each table is its own.
pub async fn a_table_is_ordered(place: &Place) {
    let store = place.open();
    fill(&*store, &[b"b", b"", b"\xff\xff", b"a\0", b"a", b"\xff"]).await;
    let wanted: [&[u8]; 6] = [b"", b"a", b"a\0", b"b", b"\xff", b"\xff\xff"];
    assert_eq!(keys(&*store, Scan::default()).await, wanted);
    let reverse = keys(&*store, Scan { reverse: true, ..Scan::default() }).await;
    assert_eq!(reverse, wanted.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(ok(store.get(Table::Recent, b"a\0").await), Some(b"a\0".to_vec()));
    for table in Table::ALL.iter().filter(|table| **table != Table::Recent) {
        assert_eq!(all(&*store, *table).await, [], "{table:?}");
    }
}

/// Prefix, start, direction and limit hold together.
pub async fn a_scan_keeps_to_its_bounds(place: &Place) {
    let store = place.open();
    fill(&*store, &[b"a", b"p", b"p1", b"p2", b"p3", b"p\xff", b"q", b"\xff", b"\xffz"]).await;
    let scan = |prefix: &[u8], after: Option<&[u8]>, reverse, limit| Scan {
        prefix: prefix.to_vec(),
        after: after.map(<[u8]>::to_vec),
        reverse,
        limit,
    };
    let cases: [(Scan, &[&[u8]]); 11] = [
        (scan(b"p", None, false, None), &[b"p", b"p1", b"p2", b"p3", b"p\xff"]),
        (scan(b"p", None, true, Some(2)), &[b"p\xff", b"p3"]),
        (scan(b"p", Some(b"p1"), false, Some(2)), &[b"p2", b"p3"]),
        (scan(b"p", Some(b"p2"), true, None), &[b"p1", b"p"]),
        (scan(b"p", Some(b"a"), false, Some(1)), &[b"p"]),
        (scan(b"p", Some(b"z"), true, Some(1)), &[b"p\xff"]),
        (scan(b"p", Some(b"z"), false, None), &[]),
        (scan(b"p", Some(b"a"), true, None), &[]),
        (scan(b"\xff", None, true, None), &[b"\xffz", b"\xff"]),
        (scan(b"", Some(b"q"), false, None), &[b"\xff", b"\xffz"]),
        (scan(b"", None, false, Some(0)), &[]),
    ];
    for (scan, wanted) in cases {
        assert_eq!(keys(&*store, scan.clone()).await, wanted, "{scan:?}");
    }
}

/// A visit shows every entry with a prefix, each once, however many there are and whatever their keys look like.
pub async fn a_visit_sees_every_entry_once(place: &Place) {
    let store = place.open();
    let many = (0..2_500u32).map(|number| [b"m", &number.to_be_bytes()[..]].concat());
    let mut keys: Vec<Vec<u8>> = many.chain([b"m".to_vec(), b"n".to_vec(), b"\xff\xff".to_vec()]).collect();
    keys.sort_unstable();
    let writes = keys.iter().map(|key| write(Table::Recent, key, key)).collect();
    ok(store.commit(vec![writing(1, Expect::New, writes)]).await);
    for prefix in [b"".as_slice(), b"m", b"m\0\0\x01", b"n", b"n2", b"\xff"] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let visitor = move |key: &[u8], value: &[u8]| {
            assert_eq!(key, value, "an entry is shown with its own value");
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(key.to_vec());
        };
        ok(store.visit(Table::Recent, prefix, Arc::new(visitor)).await);
        let mut seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.sort_unstable();
        let wanted: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        assert_eq!(seen, wanted, "{prefix:?}");
    }
}

/// Several values are read at once, also where there are none.
pub async fn rows_come_in_the_order_asked_for(place: &Place) {
    let store = place.open();
    fill(&*store, &[b"a", b"b", b"c"]).await;
    let keys = [b"c".as_slice(), b"x", b"a", b"c"].map(<[u8]>::to_vec).to_vec();
    let wanted = [Some(b"c".to_vec()), None, Some(b"a".to_vec()), Some(b"c".to_vec())];
    assert_eq!(ok(store.rows(Table::Recent, keys).await), wanted);
    assert_eq!(ok(store.rows(Table::Recent, Vec::new()).await), []);
}

/// Writes of a unit are made in their order; removing what is not there is fine.
pub async fn writes_replace_and_remove(place: &Place) {
    let store = place.open();
    let remove = |key: &[u8]| Write { table: Table::Names, key: key.to_vec(), value: None };
    let mut first = unit(1, 1..=1);
    first.writes = vec![
        write(Table::Names, b"kept", b"1"),
        write(Table::Names, b"kept", b"2"),
        write(Table::Names, b"gone", b"1"),
        remove(b"gone"),
        remove(b"never"),
        write(Table::Names, b"empty", b""),
    ];
    ok(store.commit(vec![first]).await);
    let entries = [(b"empty".to_vec(), Vec::new()), (b"kept".to_vec(), b"2".to_vec())];
    assert_eq!(all(&*store, Table::Names).await, entries);
    assert_eq!(ok(store.get(Table::Names, b"gone").await), None);
    ok(store.commit(vec![writing(1, after(1, 1), vec![remove(b"kept")])]).await);
    assert_eq!(ok(store.get(Table::Names, b"kept").await), None);
}

/// A key of 1,024 bytes is taken and a longer one refused.
pub async fn a_key_has_an_end(place: &Place) {
    let store = place.open();
    let key = |size| vec![b'k'; size];
    ok(store.commit(vec![writing(1, Expect::New, vec![write(Table::Names, &key(1024), b"1")])]).await);
    let long = writing(1, Expect::New, vec![write(Table::Names, &key(1025), b"1")]);
    refused(store.commit(vec![long.clone()]).await, ErrorKind::Invalid);
    refused(store.replace_projections(long.writes).await, ErrorKind::Invalid);
    assert_eq!(ok(store.get(Table::Names, &key(1024)).await), Some(b"1".to_vec()));
}

/// A rebuild leaves what it was given in the projections, and everything else alone.
pub async fn a_rebuild_replaces_projections_only(place: &Place) {
    let store = place.open();
    let mut first = unit(1, 1..=2);
    first.writes = Table::ALL.iter().map(|table| write(*table, b"old", b"1")).collect();
    ok(store.commit(vec![first]).await);
    refused(store.replace_projections(vec![write(Table::Documents, b"new", b"1")]).await, ErrorKind::Invalid);
    assert_eq!(ok(store.get(Table::Names, b"old").await), Some(b"1".to_vec()));
    let writes = (0..1500u32).map(|number| write(Table::Messages, &number.to_be_bytes(), b"m"));
    let writes = writes.chain([write(Table::Names, b"new", b"2")]).collect();
    ok(store.replace_projections(writes).await);
    assert!(!ok(store.stale().await));
    assert_eq!(all(&*store, Table::Messages).await.len(), 1500);
    assert_eq!(all(&*store, Table::Names).await, [(b"new".to_vec(), b"2".to_vec())]);
    assert_eq!(all(&*store, Table::Sessions).await, []);
    assert_eq!(ok(store.get(Table::Documents, b"old").await), Some(b"1".to_vec()));
    assert_eq!(ok(store.events(&stream(1), 1, 10).await).len(), 2);
}
