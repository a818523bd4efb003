//! Looking: events are read as they are, those of turns in flight included, and nothing is folded.

use aichat_events::{Event, Hash};
use aichat_message::SessionId;
use aichat_store::Claim;

use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;

/// What there is of a session from a place on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What is in the log.
    pub events: Vec<Event>,
    /// What is in flight, as it would follow now; its places are not final.
    pub flying: Vec<Event>,
}

/// Tells, compared with an earlier one, whether anything may have happened meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The store's own; `None` where only the log itself tells.
    pub(crate) log: Option<u64>,
    /// How many turns are in flight, and how many bytes of them.
    pub(crate) flights: (usize, u64),
}

impl Pulse {
    /// Tells whether anything may have happened since an earlier one.
    pub fn is_after(&self, earlier: &Self) -> bool {
        self.log.is_none() || self != earlier
    }
}

impl Engine {
    /// Returns a sign of life of the store, for which no log is opened.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn pulse(&self) -> Result<Pulse, Error> {
        let log = self.store().pulse().await?;
        Ok(Pulse { log, flights: self.store().backlog().await? })
    }

    /// Returns what happened in a session after the first `after` events. Nothing is folded or written.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn look(&self, session: &SessionId, after: u64) -> Result<Looked, Error> {
        self.using_store(async {
            let events = self.log_between(session, after.saturating_add(1), u64::MAX).await?;
            let mut seq = after.saturating_add(events.len() as u64);
            let mut flying = Vec::new();
            for pending in self.store().pending(Claim::Look).await? {
                if pending.header.session != *session || self.store().folded(&pending.header.turn).await? {
                    continue;
                }
                for draft in drafts(self, &pending) {
                    seq += 1;
                    flying.push(draft.seal(seq, &Hash::ZERO));
                }
            }
            Ok(Looked { events, flying })
        })
        .await
    }
}
