//! Streams, events and turns to test with, each made from small numbers.

use aichat_message::{EventId, SessionId, TurnId};

use super::ok;
use crate::store::{Expect, Head, Row, Scan, Store, Table, Unit, Write};
use crate::turn::TurnHeader;

fn bits(a: u64, b: u16) -> [u8; 10] {
    let mut bits = [0; 10];
    bits[..8].copy_from_slice(&a.to_be_bytes());
    bits[8..].copy_from_slice(&b.to_be_bytes());
    bits
}

pub(super) fn stream(number: u64) -> SessionId {
    SessionId::from_bits(bits(number, 0))
}

pub(super) fn turn(number: u64) -> TurnId {
    TurnId::from_bits(bits(number, 0))
}

/// Returns the event of a stream at a place.
pub(super) fn row(of: u16, seq: u64) -> Row {
    Row {
        seq,
        id: EventId::from_bits(bits(seq, of)),
        hash: blake3::hash(&bits(seq, of)).as_bytes().to_vec(),
        bytes: format!("{{\"stream\":{of},\"seq\":{seq}}}").into_bytes(),
    }
}

pub(super) fn rows(of: u16, range: std::ops::RangeInclusive<u64>) -> Vec<Row> {
    range.map(|seq| row(of, seq)).collect()
}

/// Returns what a commit expects after the event of a stream at a place; 0 is before the first.
pub(super) fn after(of: u16, seq: u64) -> Expect {
    match seq {
        0 => Expect::New,
        seq => Expect::At(Head { seq, hash: row(of, seq).hash }),
    }
}

/// Returns a unit that appends these events of a stream.
pub(super) fn unit(of: u16, range: std::ops::RangeInclusive<u64>) -> Unit {
    let expect = after(of, range.start() - 1);
    Unit { events: rows(of, range), ..Unit::new(stream(of.into()), expect) }
}

pub(super) fn write(table: Table, key: &[u8], value: &[u8]) -> Write {
    Write { table, key: key.to_vec(), value: Some(value.to_vec()) }
}

/// Returns a unit that writes tables only.
pub(super) fn writing(of: u16, expect: Expect, writes: Vec<Write>) -> Unit {
    Unit { writes, ..Unit::new(stream(of.into()), expect) }
}

pub(super) fn header(session: u64, number: u64, base: Option<u64>) -> TurnHeader {
    TurnHeader { session: stream(session), turn: turn(number), base: base.map(turn) }
}

/// Returns every entry of a table.
pub(super) async fn all(store: &dyn Store, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    ok(store.scan(table, Scan::default()).await)
}
