//! What is remembered: a turn in flight outlives its writer, then enters the log once and only once.
//!
//! `cargo run --example store [DIRECTORY]`; without a directory everything is in memory.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::sync::Arc;

use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{Claim, Expect, Memory, Row, Sled, Store, Table, TurnHeader, Unit, Write};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store: Arc<dyn Store> = match std::env::args().nth(1) {
        Some(directory) => Arc::new(Sled::at(directory)),
        None => Arc::new(Memory::new()),
    };
    // Ids are random in earnest; here they are fixed, so that a second run finds what the first one left.
    let session = SessionId::from_bits([1; 10]);
    let turn = TurnId::from_bits([2; 10]);

    if store.head(&session).await?.is_none() {
        // The header and the first records are durable before `begin` returns: this is what a request waits for.
        let header = TurnHeader { session: session.clone(), turn: turn.clone(), base: None };
        let mut flight = store.begin(header, vec![b"asked".to_vec()]).await?;
        // Appending never waits for the disk; `sync` does.
        flight.append(b"half an answer".to_vec());
        flight.sync().await?;
        // The writer goes without a word, as it would if its process were killed.
        drop(flight);
    }

    // Whoever comes next finds what it left and folds it into the log.
    for orphan in store.pending(Claim::Fold(64)).await? {
        println!("{} left {} records", orphan.header.turn, orphan.records.len());
        let events = orphan.records.into_iter().zip(1..).map(|(bytes, seq)| Row {
            seq,
            id: EventId::from_bits([seq as u8; 10]),
            hash: vec![seq as u8],
            bytes,
        });
        let unit = Unit {
            events: events.collect(),
            // The same commit writes what can be looked up without reading the log.
            writes: vec![Write { table: Table::Names, key: b"demo".to_vec(), value: Some(b"1".to_vec()) }],
            folded: vec![orphan.header.turn],
            // Compare and append: the commit holds only if the stream ends where we believe it does.
            ..Unit::new(session.clone(), Expect::New)
        };
        store.commit(vec![unit.clone()]).await?;
        // Two processes may fold the same turn; the second one changes nothing.
        store.commit(vec![unit]).await?;
    }

    for event in store.events(&session, 1, 100).await? {
        println!("{}: {}", event.seq, String::from_utf8_lossy(&event.bytes));
    }
    // Who appends to a stream that has moved on is told so.
    let stale = Unit::new(session, Expect::New);
    if let Err(error) = store.commit(vec![stale]).await {
        println!("{:?}: {error}", error.kind());
    }
    println!("folded: {}", store.folded(&turn).await?);
    store.release().await?;
    Ok(())
}
