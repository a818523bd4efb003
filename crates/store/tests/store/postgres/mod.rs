//! What a server, its clients and other processes can do to the store in a PostgreSQL database.

mod child;
mod crash;
mod layout;
mod leases;
mod retries;
pub(crate) mod server;
mod trust;

use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{Expect, Head, Postgres, PostgresAddress, Row, TurnHeader, Unit};

use self::server::Server;

/// The server of this process, started by the first test that needs it.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// Opens a database as another process would, with leases of this length.
fn open(url: &str, lease: Duration) -> Postgres {
    Postgres::leased(PostgresAddress::parse(url).unwrap(), lease)
}

/// A lease that no test outlasts.
const LONG: Duration = Duration::from_secs(60);

fn session(number: u8) -> SessionId {
    SessionId::from_bits([number; 10])
}

fn turn(number: u8) -> TurnId {
    TurnId::from_bits([number; 10])
}

fn header(number: u8) -> TurnHeader {
    TurnHeader { session: session(number), turn: turn(number), base: None }
}

fn row(stream: u8, seq: u64) -> Row {
    let mut bits = [stream; 10];
    bits[..8].copy_from_slice(&seq.to_be_bytes());
    let bytes = format!("event {seq} of {stream}").into_bytes();
    Row { seq, id: EventId::from_bits(bits), hash: bits.to_vec(), bytes }
}

/// Returns a unit that appends events to a stream.
fn unit(stream: u8, seqs: RangeInclusive<u64>) -> Unit {
    let before = seqs.start() - 1;
    let expect = match before {
        0 => Expect::New,
        seq => Expect::At(Head { seq, hash: row(stream, seq).hash }),
    };
    Unit { events: seqs.map(|seq| row(stream, seq)).collect(), ..Unit::new(session(stream), expect) }
}
