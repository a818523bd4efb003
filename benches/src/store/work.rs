//! The work every party does: sessions of events with the rows that are derived from them, as units to commit.

use aichat_message::{EventId, SessionId};
use aichat_store::{Expect, Head, Row, Table, Unit, Write};

use crate::corpus::Dice;

/// How long an event is, in bytes; an answer of some lines with its envelope.
const EVENT: usize = 800;
/// How many events a turn has.
pub(super) const TURN: usize = 8;

/// A session under way.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    head: Option<Head>,
    updated: u64,
}

/// Makes units of work, the same in every run.
pub(super) struct Maker {
    dice: Dice,
    time: u64,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self { dice: Dice::new(3), time: 1_700_000_000_000_000 }
    }

    fn bits(&mut self) -> [u8; 10] {
        let (a, b) = (self.dice.next().to_be_bytes(), self.dice.next().to_be_bytes());
        std::array::from_fn(|n| if n < 8 { a[n] } else { b[n - 8] })
    }

    pub(super) fn session(&mut self) -> Session {
        Session { id: SessionId::from_bits(self.bits()), head: None, updated: 0 }
    }

    /// Returns the next `count` events of a session as a unit without anything derived.
    pub(super) fn events(&mut self, session: &mut Session, count: usize) -> Unit {
        let expect = session.head.take().map_or(Expect::New, Expect::At);
        let first = match &expect {
            Expect::New => 1,
            Expect::At(head) => head.seq + 1,
        };
        let events: Vec<Row> = (first..first + count as u64)
            .map(|seq| Row {
                seq,
                id: EventId::from_bits(self.bits()),
                hash: self.hash(),
                bytes: self.text(EVENT),
            })
            .collect();
        session.head = events.last().map(|last| Head { seq: last.seq, hash: last.hash.clone() });
        Unit { events, ..Unit::new(session.id.clone(), expect) }
    }

    /// Returns the next turn of a session with everything that is derived from it.
    pub(super) fn turn(&mut self, session: &mut Session) -> Unit {
        self.grown(session, TURN)
    }

    /// Returns the next `count` events of a session with the rows of one turn.
    pub(super) fn grown(&mut self, session: &mut Session, count: usize) -> Unit {
        let mut unit = self.events(session, count);
        let id = session.id.as_str().as_bytes().to_vec();
        self.time += 1_000_000;
        let recent = |time: u64| [&(!time).to_be_bytes()[..], &id].concat();
        let old = Write { table: Table::Recent, key: recent(session.updated), value: None };
        if session.updated > 0 {
            unit.writes.push(old);
        }
        session.updated = self.time;
        let mut put = |table, key, value| unit.writes.push(Write { table, key, value: Some(value) });
        put(Table::Recent, recent(self.time), Vec::new());
        put(Table::Sessions, id.clone(), self.text(500));
        for _ in 0..2 {
            let message = self.bits().map(|byte| b'a' + byte % 26);
            put(Table::Messages, [&id[..], b"\0msg_", &message].concat(), self.text(150));
            put(Table::Places, [&b"msg_"[..], &message].concat(), self.text(50));
        }
        unit
    }

    fn hash(&mut self) -> Vec<u8> {
        (0..4).flat_map(|_| self.dice.next().to_be_bytes()).collect()
    }

    /// Returns letters, no two runs of them alike.
    fn text(&mut self, len: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(len + 8);
        while text.len() < len {
            text.extend(self.dice.next().to_be_bytes().map(|byte| b'a' + byte % 26));
        }
        text.truncate(len);
        text
    }
}
