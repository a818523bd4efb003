//! What is done to a store, in small numbers whose meaning depends on what is there.

use aichat_store::Table;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// One step. Indices are taken modulo what there is to choose from.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Begin {
        session: u8,
        base: Option<u8>,
        records: u8,
    },
    BeginAgain(u8),
    Append {
        turn: u8,
        size: u16,
    },
    Sync(u8),
    Finish(u8),
    Drop(u8),
    Look,
    Fold {
        limit: usize,
        end: End,
    },
    Commit {
        stream: u8,
        kind: Commit,
        events: u8,
        writes: Vec<Change>,
    },
    Rebuild(Vec<Change>),
    Blob(u8),
    Scan {
        table: u8,
        prefix: Option<u8>,
        after: Option<u8>,
        reverse: bool,
        limit: Option<usize>,
    },
    Release,
    Reopen,
    /// The process ends; so much of what was not acknowledged is lost, in 255ths.
    Crash {
        lost: u8,
    },
}

/// How far a fold gets before its process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// It has claimed.
    Claimed,
    /// It has committed, and removed no journal.
    Committed,
}

/// What is right or wrong with a commit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Commit {
    Valid,
    StaleHead,
    Gap,
    KnownOnly,
    KnownAndMore,
    Elsewhere,
    OfFoldedTurn,
    LongKey,
    OneOfTwoStale,
    Replaces,
}

/// A write to a table; without a value it removes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) table: u8,
    pub(super) key: u8,
    pub(super) value: Option<u16>,
}

/// Returns a table by its number.
pub(super) fn table(number: u8) -> Table {
    Table::ALL[number as usize % Table::ALL.len()]
}

/// Returns a key: of one byte or two, so that there are prefixes.
pub(super) fn key(number: u8) -> Vec<u8> {
    match number % 12 {
        short @ 0..4 => vec![b'a' + short],
        long => vec![b'a' + long % 4, long],
    }
}

/// Returns bytes, some of which are too many to be kept in the log itself.
pub(super) fn bytes(size: u16, mark: u8) -> Vec<u8> {
    vec![mark; if size < 60_000 { size as usize % 40 } else { 9_000 }]
}

fn change() -> impl Strategy<Value = Change> {
    (any::<u8>(), any::<u8>(), option::weighted(0.8, any::<u16>())).prop_map(|(table, key, value)| Change {
        table,
        key,
        value,
    })
}

fn commit() -> impl Strategy<Value = Commit> {
    prop_oneof![
        6 => Just(Commit::Valid),
        1 => Just(Commit::StaleHead),
        1 => Just(Commit::Gap),
        1 => Just(Commit::KnownOnly),
        1 => Just(Commit::KnownAndMore),
        1 => Just(Commit::Elsewhere),
        1 => Just(Commit::OfFoldedTurn),
        1 => Just(Commit::LongKey),
        1 => Just(Commit::OneOfTwoStale),
        1 => Just(Commit::Replaces),
    ]
}

/// Returns what may be done.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let end = prop_oneof![5 => Just(End::Whole), 1 => Just(End::Claimed), 1 => Just(End::Committed)];
    prop_oneof![
        8 => (0..3u8, option::weighted(0.6, any::<u8>()), 0..3u8)
            .prop_map(|(session, base, records)| Op::Begin { session, base, records }),
        1 => any::<u8>().prop_map(Op::BeginAgain),
        10 => any::<(u8, u16)>().prop_map(|(turn, size)| Op::Append { turn, size }),
        3 => any::<u8>().prop_map(Op::Sync),
        5 => any::<u8>().prop_map(Op::Finish),
        3 => any::<u8>().prop_map(Op::Drop),
        2 => Just(Op::Look),
        6 => (1..6usize, end).prop_map(|(limit, end)| Op::Fold { limit, end }),
        6 => (0..3u8, commit(), 0..4u8, vec(change(), 0..4))
            .prop_map(|(stream, kind, events, writes)| Op::Commit { stream, kind, events, writes }),
        1 => vec(change(), 0..6).prop_map(Op::Rebuild),
        1 => any::<u8>().prop_map(Op::Blob),
        3 => (any::<(u8, Option<u8>, Option<u8>, bool)>(), option::of(0..5usize)).prop_map(
            |((table, prefix, after, reverse), limit)| Op::Scan { table, prefix, after, reverse, limit }
        ),
        1 => Just(Op::Release),
        1 => Just(Op::Reopen),
        2 => any::<u8>().prop_map(|lost| Op::Crash { lost }),
    ]
}
