//! Turns with known records, a fold of them, and the check that a store holds what was acknowledged.

use std::collections::BTreeMap;
use std::path::Path;

use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{Claim, Expect, Head, Row, Store, TurnHeader, Unit};

/// How many sessions the turns are spread over.
const SESSIONS: u64 = 5;

pub(super) fn session(number: u64) -> SessionId {
    let mut bits = [0; 10];
    bits[0] = (number % SESSIONS) as u8 + 1;
    SessionId::from_bits(bits)
}

pub(super) fn turn(number: u64) -> TurnId {
    let mut bits = [0; 10];
    bits[..8].copy_from_slice(&number.to_be_bytes());
    TurnId::from_bits(bits)
}

pub(super) fn header(number: u64) -> TurnHeader {
    TurnHeader { session: session(number), turn: turn(number), base: None }
}

/// Returns a record that says where it belongs, of up to 9,000 bytes, so that some become blobs.
pub(super) fn record(turn: u64, index: u64) -> Vec<u8> {
    let seed = (turn * 31 + index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let length = if seed >> 60 == 0 { 9_000 } else { seed >> 33 & 0xff };
    let mut record = format!("{turn} {index} ").into_bytes();
    record.extend((0..length).map(|at| (seed.rotate_left(at as u32) ^ at) as u8));
    record
}

/// Folds everything that is over, 64 turns a commit. Returns how many turns that were.
pub(super) async fn fold(store: &dyn Store) -> Result<usize, aichat_store::Error> {
    let mut total = 0;
    loop {
        let pending = store.pending(Claim::Fold(64)).await?;
        if pending.is_empty() {
            return Ok(total);
        }
        total += pending.len();
        let mut heads: BTreeMap<SessionId, Head> = BTreeMap::new();
        let mut units = Vec::new();
        for turn in pending {
            let stream = turn.header.session;
            let head = match heads.get(&stream) {
                Some(head) => Some(head.clone()),
                None => store.head(&stream).await?,
            };
            let mut last = head.clone().unwrap_or(Head { seq: 0, hash: Vec::new() });
            let mut events = Vec::new();
            for (index, bytes) in turn.records.into_iter().enumerate() {
                let mut bits = [0; 10];
                let source = format!("{} {index}", turn.header.turn);
                bits.copy_from_slice(&blake3::hash(source.as_bytes()).as_bytes()[..10]);
                let hash = link(&last.hash, &bytes);
                last = Head { seq: last.seq + 1, hash: hash.clone() };
                events.push(Row { seq: last.seq, id: EventId::from_bits(bits), hash, bytes });
            }
            heads.insert(stream.clone(), last);
            let expect = head.map_or(Expect::New, Expect::At);
            units.push(Unit { events, folded: vec![turn.header.turn], ..Unit::new(stream, expect) });
        }
        store.commit(units).await?;
    }
}

fn link(previous: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut hash = blake3::Hasher::new();
    hash.update(previous).update(bytes);
    hash.finalize().as_bytes().to_vec()
}

/// Reads every stream, checks that it has no gap, no torn record and an unbroken chain, and returns how many
/// records of each turn there are, from the first on and none twice.
pub(super) async fn records_of_turns(store: &dyn Store) -> Result<BTreeMap<u64, u64>, aichat_store::Error> {
    let mut turns: BTreeMap<u64, u64> = BTreeMap::new();
    for stream in store.streams(None, usize::MAX).await? {
        let events = store.events(&stream, 1, usize::MAX).await?;
        let mut previous = Vec::new();
        for (event, seq) in events.iter().zip(1..) {
            assert_eq!(event.seq, seq);
            assert_eq!(event.hash, link(&previous, &event.bytes), "the chain of {stream} breaks at {seq}");
            previous.clone_from(&event.hash);
            let text = String::from_utf8_lossy(&event.bytes);
            let mut words = text.split(' ').map(|word| word.parse().unwrap());
            let (number, index) = (words.next().unwrap(), words.next().unwrap());
            assert!(event.bytes == record(number, index), "record {index} of turn {number} is torn");
            assert_eq!(stream, session(number));
            let count = turns.entry(number).or_default();
            assert_eq!(*count, index, "turn {number} has a gap, or a record twice");
            *count += 1;
        }
        let head = store.head(&stream).await?.unwrap();
        assert_eq!((head.seq, head.hash), (events.len() as u64, previous));
    }
    Ok(turns)
}

/// Checks that every turn has at least the records that were acknowledged.
pub(super) fn assert_kept(turns: &BTreeMap<u64, u64>, acknowledged: &BTreeMap<u64, u64>) {
    for (number, count) in acknowledged {
        let kept = turns.get(number).copied().unwrap_or(0);
        assert!(kept >= *count, "turn {number} lost records: {kept} of {count} acknowledged");
    }
}

/// Returns the names in a directory, in order.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
