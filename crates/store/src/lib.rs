//! What is remembered: event streams, projections, documents, blobs, and turns in flight.
//!
//! A store knows streams, sequences, keys and bytes. What an event means, and what a projection holds, is its
//! caller's. [`Memory`] keeps everything in the process; `Sled` (feature `sled`) keeps it in a directory, where a
//! turn in flight is a journal file of its own and the log is an embedded database; `SledReader` reads one that
//! cannot be written. A backend of your own passes the cases of [`mod@contract`].
//!
//! ```
//! use aichat_message::{EventId, SessionId};
//! use aichat_store::{Expect, Memory, Row, Store, Unit};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = Memory::new();
//! let stream = SessionId::from_bits([1; 10]);
//! let event = Row { seq: 1, id: EventId::from_bits([2; 10]), hash: vec![3], bytes: b"{}".to_vec() };
//! let unit = Unit { events: vec![event], ..Unit::new(stream, Expect::New) };
//! store.commit(vec![unit.clone()]).await?;
//! assert_eq!(store.events(&unit.stream, 1, 10).await?, unit.events);
//! # Ok::<(), aichat_store::Error>(())
//! # }).unwrap();
//! ```

mod admit;
pub mod contract;
mod error;
#[cfg(all(test, feature = "sled"))]
mod faults;
#[cfg(feature = "sled")]
mod journal;
mod ledger;
mod memory;
#[cfg(feature = "sled")]
mod notice;
mod order;
#[cfg(feature = "postgres")]
mod postgres;
mod range;
#[cfg(feature = "sled")]
mod sled;
mod store;
mod turn;

pub use error::{Error, ErrorKind};
pub use ledger::{Account, Balance, Hold, Ledger, MemoryLedger, Verdict};
pub use memory::Memory;
#[cfg(feature = "sled")]
pub use notice::Notice;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresAddress};
#[cfg(feature = "sled")]
pub use sled::{Sled, SledReader, is_caught};
pub use store::{Blob, Expect, Head, Info, Replacement, Row, Scan, Store, Table, Unit, Visitor, Write};
pub use turn::{Claim, Lease, Pending, State, Turn, TurnHeader};
