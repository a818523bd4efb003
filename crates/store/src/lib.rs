//! What is remembered: event streams, projections, documents, blobs, and turns in flight.
//!
//! A store knows streams, sequences, keys and bytes. What an event means, and what a projection holds, is its
//! caller's.

mod error;
mod store;
mod turn;

pub use error::{Error, ErrorKind};
pub use store::{Expect, Head, Row, Scan, Store, Table, Unit, Write};
pub use turn::{Claim, Lease, Pending, State, Turn, TurnHeader};
