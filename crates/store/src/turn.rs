//! Turns in flight: what is written while an answer streams, before it enters the log.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use aichat_message::{SessionId, TurnId};

use crate::error::Error;

/// What a turn in flight says about itself before its first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnHeader {
    /// The session the turn belongs to.
    pub session: SessionId,
    /// The turn.
    pub turn: TurnId,
    /// The turn of the same session that this one follows, if any. Turns are folded in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<TurnId>,
}

/// A turn in flight. Records are opaque to the store and keep their order.
///
/// Dropping it without [`finish`](Self::finish) leaves an orphan: what was appended stays and is folded as
/// interrupted, exactly as if the process had died.
#[async_trait]
pub trait Turn: Send {
    /// Takes a record at once and writes it beside the caller within milliseconds, without a sync: from then on it
    /// survives the end of this process, not a loss of power. A failure is reported by the next [`sync`](Self::sync).
    fn append(&mut self, record: Vec<u8>);

    /// Keeps a piece of what is nobody's record beside the turn, as good as it goes: it is never synced, the turn never
    /// waits for it, and where it fails the turn does not notice and no later piece is kept. What was appended before
    /// is written before it. A store may keep nothing.
    fn append_beside(&mut self, piece: Vec<u8>) {
        drop(piece);
    }

    /// Removes what was kept beside the turn so far.
    fn clear_beside(&mut self) {}

    /// Returns when everything appended so far survives a loss of power.
    ///
    /// # Errors
    /// Fails with `full` or `io`. What was appended is then carried in memory to a new place if there is one,
    /// and the error is reported only if that failed as well.
    async fn sync(&mut self) -> Result<(), Error>;

    /// Syncs, marks the turn as over and lets go of it; it now waits to be folded.
    ///
    /// # Errors
    /// Fails as [`sync`](Self::sync) does.
    async fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// The right to write a session's next turn, or to rely on a blob; given back when dropped or when its process ends.
pub trait Lease: Send + Sync {}

/// Whose turns in flight a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Only to look: nothing is claimed, nothing changes; running turns are among them, and so may be one that is
    /// in the log already, where its process died before it was forgotten: [`folded`](crate::Store::folded) tells.
    Look,
    /// To fold: at most so many turns that are finished or whose writer is dead. Each is returned again, to
    /// whoever asks, until a commit has folded it. One that was folded comes back only where its writer was
    /// taken for dead and has written more since: with all of its records, the old ones too.
    Fold(usize),
}

/// A turn that is not in the log yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What it says about itself.
    pub header: TurnHeader,
    /// Its records in order; a torn last one is left out.
    pub records: Vec<Vec<u8>>,
    /// Whether it is still being written.
    pub state: State,
}

impl Pending {
    /// Tells whether a record holds this text, the hash of a blob for one.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.records.iter().any(|record| record.windows(text.len()).any(|window| window == text))
    }
}

/// How far a turn in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its writer is alive.
    Running,
    /// Its writer finished it, or is dead; the records tell which.
    Over,
}
