//! Forks: a new session that goes on from a place in another one and shares what was said up to there.

mod change;

use std::collections::HashSet;

use aichat_events::{
    Entry, Event, Fact, MessageDropped, MessageEdited, SessionForked, Transcript, TurnCompleted, TurnFailed,
    TurnInterrupted,
};
use aichat_message::{EventId, MessageId, SessionId};
use aichat_store::{ErrorKind as StoreErrorKind, Expect, Unit};

pub use self::change::Change;
use self::change::Fact as Changed;
pub(crate) use self::change::saying;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::first_title;
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

/// How a fork begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    /// Where it leaves the session that it comes from.
    pub at: ForkAt,
    /// Its name.
    pub name: Option<String>,
    /// Where the caller is, as in [`Send::scope`](crate::Send::scope).
    pub scope: Option<String>,
    /// What is different in it from what it shares.
    pub changes: Vec<Change>,
}

impl Fork {
    /// Returns a fork at a place, without a name and without changes.
    pub fn at(at: ForkAt) -> Self {
        Self { at, ..Self::default() }
    }
}

impl Engine {
    /// Begins a session that goes on from a place in another one. Nothing is copied: its first event names the place
    /// and the hash of the event there, and what is different follows as events of its own. A turn that is in flight
    /// meanwhile is not among what is shared.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session or place in it, where the name is taken or cannot be one,
    /// or where a changed message is not before the place; with kind `usage` where something is changed twice; and with
    /// kind `store`.
    pub async fn fork(&self, session: &SessionId, fork: &Fork) -> Result<SessionId, Error> {
        self.using_store(async {
            self.settle().await?;
            if let Some(name) = &fork.name {
                self.check_name(name).await?;
            }
            let id = SessionId::from_bits(self.0.effects.bits());
            let mut scribe = self.scribe(&id);
            let mut conflicts = 0;
            loop {
                let shared = self.shared(session, &fork.at).await?;
                let summary = self.summary(session).await?;
                let fresh = || MessageId::from_bits(self.0.effects.bits());
                let (changed, messages) = change::facts(&shared.branch, &fork.changes, fresh)?;
                let drafted = scribe.fact(&SessionForked {
                    parent: session.clone(),
                    seq: shared.last.seq(),
                    hash: *shared.last.hash(),
                    head: shared.head,
                    name: fork.name.clone(),
                    title: if changed.is_empty() { summary.title } else { first_title(&messages) },
                    model: summary.model,
                    agent: summary.agent,
                    scope: fork.scope.clone(),
                });
                let mut tail = Tail::new(&id);
                tail.append(&drafted);
                for fact in changed {
                    let draft = match fact {
                        Changed::Settings(fact) => scribe.fact(&fact),
                        Changed::Dropped(fact) => scribe.fact(&fact),
                        Changed::Edited(fact) => scribe.fact(&fact),
                    };
                    tail.append(&draft);
                }
                if let Some(draft) = scribe.masked_counts() {
                    tail.append(&draft);
                }
                // Whoever purges the parent meanwhile moves its head.
                let head = self.store().head(session).await?;
                let unchanged = Unit::new(session.clone(), head.map_or(Expect::New, Expect::At));
                match self.store().commit(vec![tail.into_unit(), unchanged]).await {
                    Err(error) if error.kind() == StoreErrorKind::Conflict && conflicts < CONFLICTS => {
                        conflicts += 1;
                    }
                    done => {
                        done?;
                        return Ok(id);
                    }
                }
            }
        })
        .await
    }

    /// Returns the messages that a fork at a place shares, the oldest first.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session or place in it, and with kind `store`.
    pub async fn prefix(&self, session: &SessionId, at: &ForkAt) -> Result<Vec<Entry>, Error> {
        self.using_store(async {
            self.settle().await?;
            Ok(self.shared(session, at).await?.branch)
        })
        .await
    }

    /// Returns everything that happened in a session, after what it shares with those it was forked from.
    ///
    /// # Errors
    /// Fails as [`events`](Self::events) does.
    pub async fn history(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        self.using_store(async {
            self.settle().await?;
            let events = self.lineage(session).await?;
            match events.is_empty() {
                true => Err(Error::input(format!("there is no session {session}"))),
                false => Ok(events),
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
        let (transcript, last, head) = match at {
            ForkAt::Head => {
                let transcript = Transcript::fold(&lineage);
                let head = transcript.heads.head.clone();
                (transcript, last.clone(), head)
            }
            ForkAt::Event(id) => {
                let nothing = || Error::input(format!("there is no event {id} in session {session}"));
                let place = own.iter().position(|event| event.id() == id).ok_or_else(nothing)?;
                let transcript = Transcript::fold(&lineage[..=before + place]);
                let head = transcript.heads.head.clone();
                (transcript, own[place].clone(), head)
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
                let said = own.iter().position(|event| says(event, entry));
                let end = own.iter().rposition(|event| ends(&event)).filter(|_| is_answer);
                // Edits go before whatever was said in the session itself, and come with all of it.
                let edits = own.iter().rposition(|event| EDITS.contains(&event.kind())).unwrap_or(0);
                let last = own[end.or(said).unwrap_or(0).max(edits)].clone();
                (transcript, last, Some(id.clone()))
            }
        };
        let branch = head.iter().flat_map(|head| transcript.branch(head)).cloned().collect();
        Ok(Shared { branch, last, head })
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
    pub(crate) async fn inherited(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
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
    branch: Vec<Entry>,
    last: Event,
    head: Option<MessageId>,
}

/// The events that change what a fork shares, between its first event and everything else.
const EDITS: [&str; 2] = [MessageEdited::TYPE, MessageDropped::TYPE];

/// Tells whether an event of the session itself is the one that says a message.
fn says(event: &Event, entry: &Entry) -> bool {
    let is_edit = || MessageEdited::of(event).is_some_and(|fact| fact.id == entry.id);
    event.seq() == entry.seq && (event.turn() == entry.turn.as_ref() || is_edit())
}
