//! Following: what happens in sessions, each event once, as soon as it is in a journal or in the log.
//!
//! Turns in flight are looked at, which opens no log and claims nothing. The log is opened for a moment where its
//! pulse says that something was committed, and let go of at once. Nothing is folded or written.

use std::collections::{HashMap, HashSet};

use aichat_events::{Draft, Event};
use aichat_message::{EventId, SessionId, TurnId};
use aichat_store::{Claim, Scan, Table};

use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;
use crate::look::Pulse;

/// How many sessions are asked for news, the last used first, beside those that are known.
const RECENT: usize = 64;
/// After how many looks without news turns in flight are read all the same: that a writer died moves nothing.
const PATIENCE: u32 = 10;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// In a turn in flight: it has no place in the log yet.
    Flying(Box<Draft>),
    /// In the log.
    Logged(Event),
}

/// What happens in one session, or in all.
pub struct Follow {
    engine: Engine,
    session: Option<SessionId>,
    /// What comes next in the log of each session that is known.
    next: HashMap<SessionId, u64>,
    /// How many events of each turn in flight were told.
    flights: HashMap<TurnId, usize>,
    /// Events that were told while they were in flight and are not in the log yet.
    told: HashSet<EventId>,
    pulse: Option<Pulse>,
    quiet: u32,
    begun_us: i64,
}

impl Engine {
    /// Follows a session, or all of them.
    pub fn follow(&self, session: Option<SessionId>) -> Follow {
        Follow {
            engine: self.clone(),
            session,
            next: HashMap::new(),
            flights: HashMap::new(),
            told: HashSet::new(),
            pulse: None,
            quiet: 0,
            begun_us: self.0.effects.clock.now_us(),
        }
    }
}

impl Follow {
    /// Returns the last events that there are; what comes after them is [`news`](Self::news).
    ///
    /// Of all sessions, those of the sessions last used are told in the order of time.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn last(&mut self, count: usize) -> Result<Vec<Happened>, Error> {
        let engine = self.engine.clone();
        let pulse = engine.pulse().await?;
        engine
            .using_store(async {
                let flying = self.flying(pulse.log != Some(0)).await?;
                let mut events = Vec::new();
                if pulse.log != Some(0) {
                    for session in self.sessions().await? {
                        let Some(head) = engine.store().head(&session).await? else { continue };
                        let first = head.seq.saturating_sub(count as u64) + 1;
                        self.next.insert(session.clone(), head.seq + 1);
                        events.extend(engine.log_between(&session, first, head.seq).await?);
                    }
                }
                self.pulse = Some(pulse);
                if self.session.is_none() {
                    events.sort_by_key(Event::ts);
                }
                let mut all: Vec<_> = events.into_iter().map(Happened::Logged).chain(flying).collect();
                Ok(all.split_off(all.len().saturating_sub(count)))
            })
            .await
    }

    /// Returns what happened since the last time.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn news(&mut self) -> Result<Vec<Happened>, Error> {
        let engine = self.engine.clone();
        let now = engine.pulse().await?;
        let before = self.pulse.unwrap_or_default();
        self.quiet += 1;
        let mut news = Vec::new();
        // Turns before the log: what is folded in between is then in both, and told once.
        if now.flights != before.flights || now.log.is_none() || self.quiet >= PATIENCE {
            self.quiet = 0;
            news.extend(self.flying(false).await?);
        }
        if self.pulse.is_none() || now.log.is_none() || now.log != before.log {
            news.extend(engine.using_store(self.logged()).await?);
        }
        self.pulse = Some(now);
        Ok(news)
    }

    /// Reads what is new in turns in flight. One whose process died before it was forgotten is in the log already.
    async fn flying(&mut self, check: bool) -> Result<Vec<Happened>, Error> {
        let mut news = Vec::new();
        let mut there = HashSet::new();
        for pending in self.engine.store().pending(Claim::Look).await? {
            let turn = pending.header.turn.clone();
            if self.session.as_ref().is_some_and(|session| *session != pending.header.session) {
                continue;
            }
            there.insert(turn.clone());
            let drafts = drafts(&self.engine, &pending);
            let known = self.flights.entry(turn.clone()).or_insert(0);
            if check && self.engine.store().folded(&turn).await? {
                *known = drafts.len();
            }
            let after = std::mem::replace(known, drafts.len().max(*known));
            for draft in drafts.into_iter().skip(after) {
                if self.told.insert(draft.id.clone()) {
                    news.push(Happened::Flying(Box::new(draft)));
                }
            }
        }
        self.flights.retain(|turn, _| there.contains(turn));
        Ok(news)
    }

    /// Reads what is new in the log.
    async fn logged(&mut self) -> Result<Vec<Happened>, Error> {
        let mut news = Vec::new();
        let mut sessions = self.sessions().await?;
        let known: Vec<_> = self.next.keys().filter(|known| !sessions.contains(known)).cloned().collect();
        sessions.extend(known);
        for session in sessions {
            let Some(head) = self.engine.store().head(&session).await? else { continue };
            let known = self.next.insert(session.clone(), head.seq + 1);
            if known.is_some_and(|next| next > head.seq) {
                continue;
            }
            for event in self.engine.log_between(&session, known.unwrap_or(1), head.seq).await? {
                // A session that was not among the last ones has a past, which is no news.
                let is_news = known.is_some() || self.session.is_some() || event.ts() >= self.begun_us;
                if !self.told.remove(event.id()) && is_news {
                    news.push(Happened::Logged(event));
                }
            }
        }
        Ok(news)
    }

    /// Returns the sessions to ask for news.
    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        if let Some(session) = &self.session {
            return Ok(vec![session.clone()]);
        }
        let scan = Scan { limit: Some(RECENT), ..Scan::default() };
        let recent = self.engine.store().scan(Table::Recent, scan).await?;
        let id = |key: &[u8]| std::str::from_utf8(key.get(8..)?).ok()?.parse().ok();
        Ok(recent.iter().filter_map(|(key, _)| id(key)).collect())
    }
}
