//! Forks: a new session that goes on from a place in another one and shares what was said up to there.

use std::collections::HashSet;

use aichat_events::{Event, Fact, SessionForked, Transcript, TurnCompleted, TurnFailed, TurnInterrupted};
use aichat_message::{EventId, MessageId, SessionId};
use aichat_store::{ErrorKind as StoreErrorKind, Expect, Unit};

use crate::engine::Engine;
use crate::error::Error;
use crate::session::CONFLICTS;
use crate::tail::Tail;

/// Where a fork leaves the session that it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForkAt {
    /// Where it goes on by itself: a clone.
    #[default]
    Head,
    /// After this message.
    Message(MessageId),
    /// After this event of the session's own log.
    Event(EventId),
}

impl Engine {
    /// Begins a session that goes on from a place in another one. Nothing is copied: its first event names the place
    /// and the hash of the event there. A turn that is in flight meanwhile is not among what is shared.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session or place in it, or the name is taken or cannot be one,
    /// and with kind `store`.
    pub async fn fork(
        &self,
        session: &SessionId,
        at: &ForkAt,
        name: Option<&str>,
        scope: Option<&str>,
    ) -> Result<SessionId, Error> {
        self.using_store(async {
            self.settle().await?;
            if let Some(name) = name {
                self.check_name(name).await?;
            }
            let fork = SessionId::from_bits(self.0.effects.bits());
            let mut scribe = self.scribe(&fork);
            let mut conflicts = 0;
            loop {
                let shared = self.shared(session, at).await?;
                let summary = self.summary(session).await?;
                let draft = scribe.fact(&SessionForked {
                    parent: session.clone(),
                    seq: shared.last.seq(),
                    hash: *shared.last.hash(),
                    head: shared.head,
                    name: name.map(str::to_owned),
                    title: summary.title,
                    model: summary.model,
                    agent: summary.agent,
                    scope: scope.map(str::to_owned),
                });
                let mut tail = Tail::new(&fork);
                tail.append(&draft);
                // Whoever purges the parent meanwhile moves its head.
                let head = self.store().head(session).await?;
                let unchanged = Unit::new(session.clone(), head.map_or(Expect::New, Expect::At));
                match self.store().commit(vec![tail.into_unit(), unchanged]).await {
                    Err(error) if error.kind() == StoreErrorKind::Conflict && conflicts < CONFLICTS => {
                        conflicts += 1;
                    }
                    done => {
                        done?;
                        return Ok(fork);
                    }
                }
            }
        })
        .await
    }

    /// Finds the last event that a fork shares, and the message that it goes on from.
    async fn shared(&self, session: &SessionId, at: &ForkAt) -> Result<Shared, Error> {
        let own = self.log(session).await?;
        let Some(last) = own.last() else {
            return Err(Error::input(format!("nothing of session {session} is in the log yet")));
        };
        let mut lineage = self.inherited(session).await?;
        let before = lineage.len();
        lineage.extend(own.iter().cloned());
        match at {
            ForkAt::Head => {
                let head = Transcript::fold(&lineage).heads.head;
                Ok(Shared { last: last.clone(), head })
            }
            ForkAt::Event(id) => {
                let nothing = || Error::input(format!("there is no event {id} in session {session}"));
                let place = own.iter().position(|event| event.id() == id).ok_or_else(nothing)?;
                let head = Transcript::fold(&lineage[..=before + place]).heads.head;
                Ok(Shared { last: own[place].clone(), head })
            }
            ForkAt::Message(id) => {
                let transcript = Transcript::fold(&lineage);
                let entry = transcript.entry(id).filter(|entry| !entry.erased);
                let entry = entry
                    .ok_or_else(|| Error::input(format!("there is no message {id} in session {session}")))?;
                // The end of the turn belongs to its answer, and what was inherited to the first event.
                let ends = |event: &&Event| {
                    let kinds = [TurnCompleted::TYPE, TurnFailed::TYPE, TurnInterrupted::TYPE];
                    event.turn() == entry.turn.as_ref() && kinds.contains(&event.kind())
                };
                let is_answer = transcript.turns.iter().any(|turn| turn.answer.as_ref() == Some(id));
                let said =
                    own.iter().find(|event| event.seq() == entry.seq && event.turn() == entry.turn.as_ref());
                let end = own.iter().rev().find(ends).filter(|_| is_answer);
                let last = end.or(said).unwrap_or(&own[0]).clone();
                Ok(Shared { last, head: Some(id.clone()) })
            }
        }
    }

    /// Reads a session with everything that it shares with those it was forked from, the oldest first. Turns that
    /// wait follow as they would be folded now.
    pub(crate) async fn lineage(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        let mut events = self.inherited(session).await?;
        events.extend(self.read(session).await?);
        Ok(events)
    }

    /// Reads what a session shares with those it was forked from; nothing where it is no fork, or where they are not
    /// here.
    async fn inherited(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        let mut parts = Vec::new();
        let mut seen = HashSet::from([session.clone()]);
        let mut next = self.origin(session).await?;
        while let Some(fork) = next {
            let parent = fork.parent;
            // An import may be of forks that name each other.
            if !seen.insert(parent.clone()) {
                break;
            }
            let events = self.log_between(&parent, 1, fork.seq).await?;
            // What is here under that name may be less, or have gone another way.
            if events.last().is_none_or(|last| last.seq() != fork.seq || *last.hash() != fork.hash) {
                break;
            }
            parts.push(events);
            next = self.origin(&parent).await?;
        }
        Ok(parts.into_iter().rev().flatten().collect())
    }

    /// Returns what a fork's first event says of where it comes from.
    pub(crate) async fn origin(&self, session: &SessionId) -> Result<Option<SessionForked>, Error> {
        let rows = self.store().events(session, 1, 1).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(SessionForked::of(&Event::parse(&String::from_utf8_lossy(&row.bytes))?))
    }
}

/// What a fork has in common with its parent.
struct Shared {
    last: Event,
    head: Option<MessageId>,
}
