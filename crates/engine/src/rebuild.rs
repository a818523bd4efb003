//! Rebuilding: every projection is made anew out of the log, also while others go on writing it.

use std::collections::HashMap;

use aichat_events::{Fact, SessionErased};
use aichat_message::{ErrorKind, SessionId};
use aichat_store::{ErrorKind as StoreErrorKind, Expect, Unit};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::Error;
use crate::project::{Projection, Summary};
use crate::session::CONFLICTS;
use crate::work::Step;

/// What a rebuild read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// How many sessions.
    pub sessions: u64,
    /// How many events.
    pub events: u64,
}

/// How far a session was read, and what it was there.
type Seen = HashMap<SessionId, (u64, Option<Summary>)>;

impl Engine {
    /// Makes every projection anew out of the log. What is damaged of the ledger, which no log gives, is left out.
    ///
    /// # Errors
    /// Fails with kind `store`, and with `busy` where sessions are purged again and again meanwhile.
    pub async fn rebuild(&self) -> Result<Rebuilt, Error> {
        self.using_store(async {
            // What waits is folded over the projections there are, which may be what is broken: it comes after.
            let rebuilt = self.rebuild_log().await?;
            self.0.ledger.leave_out().await?;
            self.fold_waiting().await?;
            Ok(rebuilt)
        })
        .await
    }

    /// Finishes a rebuild that was broken off: nothing can be read or folded over half of it.
    pub(crate) async fn freshen(&self) -> Result<(), Error> {
        if self.store().stale().await? {
            self.rebuild_log().await?;
        }
        Ok(())
    }

    async fn rebuild_log(&self) -> Result<Rebuilt, Error> {
        for _ in 0..CONFLICTS {
            let mut rebuilt = Rebuilt::default();
            let mut seen = Seen::new();
            let mut writes = Vec::new();
            let sessions = self.streams().await?;
            let mut steps = self.steps(Step::Read, Some(sessions.len()));
            for session in sessions {
                let mut projection = Projection::after(None);
                let events = self.log(&session).await?;
                events.iter().for_each(|event| projection.apply(event));
                let (summary, projected) = projection.finish();
                writes.extend(projected);
                rebuilt.sessions += u64::from(summary.is_some());
                rebuilt.events += events.len() as u64;
                seen.insert(session, (events.len() as u64, summary));
                steps.done(1);
            }
            drop(steps);
            self.during(Step::Replace, self.store().replace_projections(writes)).await?;
            if self.catch_up(seen).await? {
                return Ok(rebuilt);
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "sessions were purged again and again while projections were made anew",
        ))
    }

    /// Projects what others committed while the projections were replaced, which took it away again. Returns whether
    /// that is all; a session that was purged meanwhile must be read anew.
    async fn catch_up(&self, mut seen: Seen) -> Result<bool, Error> {
        for session in self.streams().await? {
            let (mut seq, mut summary) = seen.remove(&session).unwrap_or_default();
            while let Some(head) = self.store().head(&session).await?.filter(|head| head.seq > seq) {
                let events = self.log_between(&session, seq + 1, head.seq).await?;
                if events.iter().any(|event| SessionErased::of(event).is_some()) {
                    return Ok(false);
                }
                let mut projection = Projection::after(summary.clone());
                events.iter().for_each(|event| projection.apply(event));
                let (now, writes) = projection.finish();
                let reached = head.seq;
                let unit = Unit { writes, ..Unit::new(session.clone(), Expect::At(head)) };
                match self.store().commit(vec![unit]).await {
                    // There is more by now.
                    Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                    done => {
                        done?;
                        (seq, summary) = (reached, now);
                    }
                }
            }
        }
        Ok(true)
    }
}
