//! The chain: checks that events follow each other without a gap and that nobody changed them.

use std::fmt;

use aichat_message::SessionId;

use crate::envelope::{Draft, Event};
use crate::hex::Hash;

/// Verifies the events of one stream, one after another.
///
/// A local chain finds corruption and partial edits. It does not stop someone who rewrites all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    head: Hash,
    session: Option<SessionId>,
}

/// Where and how a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The sequence number that the faulty event states.
    pub seq: u64,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong with an event of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// It belongs to another session than the events before.
    Session,
    /// Its sequence number does not follow the one before.
    Seq,
    /// It does not name the hash of the event before.
    Link,
    /// Its head is not what its hash was made of.
    Hash,
    /// Its payload is not what its payload hash was made of.
    Payload,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Session => "belongs to another session",
            What::Seq => "does not follow the event before it",
            What::Link => "does not name the hash of the event before it",
            What::Hash => "does not match its hash",
            What::Payload => "has a payload that does not match its hash",
        };
        write!(f, "event {} {what}", self.seq)
    }
}

impl std::error::Error for Fault {}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// Returns the chain of a stream without events.
    pub const fn new() -> Self {
        Self::from(0, Hash::ZERO)
    }

    /// Returns a chain whose last event was `seq` with this hash.
    pub const fn from(seq: u64, head: Hash) -> Self {
        Self { seq, head, session: None }
    }

    /// Returns a draft in its place after the last event; it is not taken yet.
    pub fn seal(&self, draft: &Draft) -> Event {
        draft.seal(self.seq + 1, &self.head)
    }

    /// Takes the next event; a faulty one leaves the chain as it was.
    ///
    /// # Errors
    /// Returns what is wrong with the event or its place.
    pub fn push(&mut self, event: &Event) -> Result<(), Fault> {
        let fault = |what| Err(Fault { seq: event.seq(), what });
        if self.session.as_ref().is_some_and(|session| session != event.session()) {
            return fault(What::Session);
        }
        if self.seq.checked_add(1) != Some(event.seq()) {
            return fault(What::Seq);
        }
        event.verify(&self.head)?;
        if self.session.is_none() {
            self.session = Some(event.session().clone());
        }
        self.seq = event.seq();
        self.head = *event.hash();
        Ok(())
    }

    /// Returns the sequence number of the last event, 0 where there is none.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the hash of the last event.
    pub fn head(&self) -> Hash {
        self.head
    }
}
