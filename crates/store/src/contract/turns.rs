//! Cases of turns in flight and leases.

use std::time::Duration;

use super::samples::{header, row, stream, turn, unit, write, writing};
use super::{Place, ok, refused};
use crate::error::ErrorKind;
use crate::store::{Expect, Store, Table, Unit};
use crate::turn::{Claim, Pending, State};

fn record(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Begins a turn with one record and finishes it.
async fn finished(store: &dyn Store, session: u64, number: u64, base: Option<u64>) {
    let turn = ok(store.begin(header(session, number, base), vec![record("begun")]).await);
    ok(turn.finish().await);
}

/// Returns the numbers of turns among the first hundred.
fn numbers(pending: &[Pending]) -> Vec<u64> {
    pending
        .iter()
        .filter_map(|pending| (0..100).find(|number| pending.header.turn == turn(*number)))
        .collect()
}

/// Returns a unit that folds a turn as the first event of a stream of its own.
fn folding(of: u16, number: u64) -> Unit {
    let mut unit = unit(of, 1..=1);
    unit.folded = vec![turn(number)];
    unit
}

/// A finished turn is found whole, records in their order, and is gone once it is folded.
pub async fn a_turn_is_pending_until_it_is_folded(place: &Place) {
    let store = place.open();
    let mut flight = ok(store.begin(header(1, 1, None), vec![record("one"), record("")]).await);
    flight.append(record("two"));
    ok(flight.sync().await);
    flight.append(vec![0; 100_000]);
    flight.append(record("\n"));
    ok(flight.finish().await);
    let wanted = Pending {
        header: header(1, 1, None),
        records: vec![record("one"), record(""), record("two"), vec![0; 100_000], record("\n")],
        state: State::Over,
    };
    let wanted = [wanted];
    assert_eq!(ok(store.pending(Claim::Look).await), wanted);
    assert_eq!(ok(store.pending(Claim::Fold(64)).await), wanted);
    assert!(!ok(store.folded(&turn(1)).await));
    ok(store.commit(vec![folding(1, 1)]).await);
    assert!(ok(store.folded(&turn(1)).await));
    assert_eq!(ok(store.pending(Claim::Look).await), []);
    assert_eq!(ok(store.pending(Claim::Fold(64)).await), []);
    assert_eq!(ok(store.events(&stream(1), 1, 10).await), [row(1, 1)]);
}

/// A turn that was dropped is over, and everything it was given is there.
pub async fn a_dropped_turn_is_an_orphan(place: &Place) {
    let store = place.open();
    let mut flight = ok(store.begin(header(1, 1, None), vec![record("begun")]).await);
    for number in 0..500 {
        flight.append(record(&number.to_string()));
    }
    drop(flight);
    let pending = ok(store.pending(Claim::Fold(64)).await);
    assert_eq!(numbers(&pending), [1]);
    assert_eq!(pending[0].state, State::Over);
    assert_eq!(pending[0].records.len(), 501);
    assert_eq!(pending[0].records.last(), Some(&record("499")));
}

/// A turn that is being written shows what is durable of it, and nobody folds it.
pub async fn a_running_turn_is_seen_and_not_claimed(place: &Place) {
    let store = place.open();
    let mut flight = ok(store.begin(header(1, 1, None), vec![record("begun")]).await);
    flight.append(record("more"));
    ok(flight.sync().await);
    let seen = ok(store.pending(Claim::Look).await);
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].state, seen[0].records.len()), (State::Running, 2));
    assert_eq!(ok(store.pending(Claim::Fold(64)).await), []);
    flight.append(record("end"));
    ok(flight.finish().await);
    let pending = ok(store.pending(Claim::Fold(64)).await);
    assert_eq!(pending[0].records, [record("begun"), record("more"), record("end")]);
}

/// Whoever claims without a commit leaves the turns to the next, no more at once than asked for.
pub async fn a_claim_is_repeated_until_the_commit(place: &Place) {
    let store = place.open();
    for number in 1..=5 {
        finished(&*store, number, number, None).await;
    }
    let first = ok(store.pending(Claim::Fold(2)).await);
    assert_eq!(first.len(), 2);
    assert_eq!(ok(store.pending(Claim::Fold(2)).await), first);
    assert_eq!(ok(store.pending(Claim::Look).await).len(), 5);
    ok(store.release().await);
    drop(store);
    let store = place.open();
    assert_eq!(ok(store.pending(Claim::Fold(2)).await), first);
    let folded = numbers(&first)[0];
    ok(store.commit(vec![folding(1, folded)]).await);
    let rest = numbers(&ok(store.pending(Claim::Fold(64)).await));
    assert_eq!(rest.len(), 4);
    assert!(!rest.contains(&folded));
}

/// A unit with a turn that was folded before changes nothing, whatever else is in it.
pub async fn a_folded_turn_is_folded_once(place: &Place) {
    let store = place.open();
    finished(&*store, 1, 1, None).await;
    ok(store.commit(vec![folding(1, 1)]).await);
    let mut again = folding(2, 1);
    again.writes = vec![write(Table::Names, b"again", b"1")];
    again.expect = Expect::New;
    ok(store.commit(vec![again.clone(), unit(3, 1..=1)]).await);
    assert_eq!(ok(store.head(&stream(2)).await), None);
    assert_eq!(ok(store.get(Table::Names, b"again").await), None);
    assert_eq!(ok(store.head(&stream(3)).await).map(|head| head.seq), Some(1));
    finished(&*store, 4, 4, None).await;
    let mut twice = folding(4, 4);
    twice.events.clear();
    let second = folding(5, 4);
    ok(store.commit(vec![twice, second]).await);
    assert!(ok(store.folded(&turn(4)).await));
    assert_eq!(ok(store.head(&stream(5)).await), None);
}

/// A commit that is refused forgets nothing.
pub async fn a_failed_commit_keeps_its_turns(place: &Place) {
    let store = place.open();
    finished(&*store, 1, 1, None).await;
    let mut wrong = folding(1, 1);
    wrong.events[0].seq = 9;
    refused(store.commit(vec![wrong]).await, ErrorKind::Invalid);
    assert!(!ok(store.folded(&turn(1)).await));
    assert_eq!(numbers(&ok(store.pending(Claim::Fold(64)).await)), [1]);
}

/// Turns come after the ones they are based on, whichever began first.
pub async fn turns_follow_their_base(place: &Place) {
    let store = place.open();
    for (number, base) in [(9, Some(5)), (5, Some(7)), (7, Some(2)), (3, None), (2, Some(80)), (4, Some(9))] {
        finished(&*store, 1, number, base).await;
    }
    for claim in [Claim::Look, Claim::Fold(64)] {
        let order = numbers(&ok(store.pending(claim).await));
        let chain: Vec<_> = order.iter().copied().filter(|number| *number != 3).collect();
        assert_eq!(chain, [2, 7, 5, 9, 4], "{claim:?}");
        assert_eq!(order.len(), 6);
    }
    let first = numbers(&ok(store.pending(Claim::Fold(2)).await));
    assert!([vec![2, 7], vec![2, 3], vec![3, 2]].contains(&first), "{first:?}");
}

/// A turn whose base is still being written is not folded before it.
pub async fn a_turn_waits_for_a_running_base(place: &Place) {
    let store = place.open();
    let base = ok(store.begin(header(1, 1, None), vec![record("begun")]).await);
    finished(&*store, 1, 2, Some(1)).await;
    finished(&*store, 1, 3, Some(2)).await;
    finished(&*store, 2, 4, None).await;
    assert_eq!(numbers(&ok(store.pending(Claim::Fold(64)).await)), [4]);
    ok(base.finish().await);
    let mut order = numbers(&ok(store.pending(Claim::Fold(64)).await));
    order.retain(|number| *number != 4);
    assert_eq!(order, [1, 2, 3]);
}

/// What is kept beside a turn is there in its order while the turn is, or nothing is, and goes with it or at a word. It
/// is no part of the turn.
pub async fn what_is_beside_a_turn_goes_with_it(place: &Place) {
    let store = place.open();
    let pieces: Vec<Vec<u8>> = (0..40u8).map(|number| vec![number; usize::from(number) * 1000]).collect();
    let mut flight = ok(store.begin(header(1, 1, None), vec![record("begun")]).await);
    for piece in &pieces {
        flight.append_beside(piece.clone());
        flight.append(record("more"));
    }
    ok(flight.finish().await);
    let pending = ok(store.pending(Claim::Fold(64)).await);
    assert_eq!(pending[0].records.len(), 1 + pieces.len());
    let found = ok(store.beside(&header(1, 1, None)).await);
    assert!(found == pieces || found.is_empty(), "{} pieces", found.len());
    // Whoever ends without a word leaves it; whoever clears it away has only what came later.
    let mut orphan = ok(store.begin(header(1, 2, Some(1)), vec![record("begun")]).await);
    orphan.append_beside(record("first"));
    drop(orphan);
    let mut cleared = ok(store.begin(header(2, 3, None), vec![record("begun")]).await);
    cleared.append_beside(record("a secret"));
    ok(cleared.sync().await);
    cleared.clear_beside();
    ok(cleared.finish().await);
    assert_eq!(ok(store.pending(Claim::Fold(64)).await).len(), 3);
    let found = ok(store.beside(&header(1, 2, Some(1))).await);
    assert!(found == [record("first")] || found.is_empty(), "{found:?}");
    assert!(ok(store.beside(&header(2, 3, None)).await).is_empty());
    let mut first = folding(1, 1);
    first.folded.push(turn(2));
    ok(store.commit(vec![first, folding(2, 3)]).await);
    for header in [header(1, 1, None), header(1, 2, Some(1)), header(2, 3, None), header(9, 9, None)] {
        assert!(ok(store.beside(&header).await).is_empty());
    }
    assert_eq!(ok(store.backlog().await), (0, 0));
}

/// A turn in flight cannot begin once more.
pub async fn a_turn_begins_once(place: &Place) {
    let store = place.open();
    let flight = ok(store.begin(header(1, 1, None), vec![record("first")]).await);
    refused(store.begin(header(1, 1, None), vec![record("second")]).await, ErrorKind::Invalid);
    ok(flight.finish().await);
    assert_eq!(ok(store.pending(Claim::Look).await)[0].records, [record("first")]);
}

/// The backlog grows with what waits, and is empty when nothing does.
pub async fn the_backlog_counts_what_waits(place: &Place) {
    let store = place.open();
    assert_eq!(ok(store.backlog().await), (0, 0));
    for number in 1..=3 {
        let flight = ok(store.begin(header(number, number, None), vec![vec![1; 1000]]).await);
        ok(flight.finish().await);
    }
    let (turns, bytes) = ok(store.backlog().await);
    assert_eq!(turns, 3);
    assert!((3000..6000).contains(&bytes), "{bytes}");
    ok(store.pending(Claim::Fold(2)).await);
    assert_eq!(ok(store.backlog().await).0, 3);
    ok(store.commit(vec![folding(1, 1), folding(2, 2), folding(3, 3)]).await);
    assert_eq!(ok(store.backlog().await), (0, 0));
    ok(store.commit(vec![writing(9, Expect::New, Vec::new())]).await);
}

/// A session's lease has one holder at a time, whoever asks; another session's is free.
pub async fn a_lease_has_one_holder(place: &Place) {
    let store = place.open();
    let other = place.open();
    let held = ok(store.lease(&stream(1), Duration::ZERO).await);
    refused(store.lease(&stream(1), Duration::ZERO).await, ErrorKind::Busy);
    refused(other.lease(&stream(1), Duration::from_millis(20)).await, ErrorKind::Busy);
    drop(ok(store.lease(&stream(2), Duration::ZERO).await));
    let begun = ok(store.begin(header(1, 1, None), vec![record("begun")]).await);
    let release = tokio::spawn(async move {
        tokio::task::yield_now().await;
        drop(held);
    });
    drop(ok(other.lease(&stream(1), Duration::from_secs(20)).await));
    assert!(release.await.is_ok(), "dropping a lease panicked");
    drop(ok(store.lease(&stream(1), Duration::ZERO).await));
    ok(begun.finish().await);
}
