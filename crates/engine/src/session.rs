//! Sessions: create, list, find, read, rename, delete, verify, rebuild.

use std::time::Duration;

use serde::Serialize;

use aichat_events::{
    Chain, Event, Fact, Hash, SessionArchived, SessionCreated, SessionDeleted, SessionRenamed, Transcript,
    Witness,
};
use aichat_message::{ErrorKind, SessionId};
use aichat_store::{Claim, ErrorKind as StoreErrorKind, Scan, Table};

use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;
use crate::name;
use crate::project::{Projection, Summary, index_key, named_session};
use crate::tail::Tail;
use crate::turn::ModelRef;

/// How many events one read fetches.
const PAGE: usize = 1_000;
/// How often a change is tried again because another process changed the session at the same time.
pub(crate) const CONFLICTS: usize = 8;

/// What verifying a session found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The session.
    pub session: SessionId,
    /// How many events hold.
    pub events: u64,
    /// The hash of the last event that holds.
    pub head: Hash,
    /// The first fault, in a phrase; `None` where the chain holds.
    pub fault: Option<String>,
}

impl Engine {
    /// Creates a session without messages.
    ///
    /// # Errors
    /// Fails with kind `input` where the name is taken or cannot be one, and with kind `store`.
    pub async fn create(
        &self,
        name: Option<&str>,
        model: Option<&ModelRef>,
        scope: Option<&str>,
    ) -> Result<SessionId, Error> {
        self.using_store(async {
            self.settle().await?;
            if let Some(name) = name {
                self.check_name(name).await?;
            }
            let session = SessionId::from_bits(self.0.effects.bits());
            let draft = self.scribe(&session).fact(&SessionCreated {
                name: name.map(str::to_owned),
                model: model.map(ModelRef::to_string),
                scope: scope.map(str::to_owned),
            });
            let mut tail = Tail::new(&session);
            tail.append(&draft);
            self.0.store.commit(vec![tail.into_unit()]).await?;
            Ok(session)
        })
        .await
    }

    /// Lists the sessions, the latest first; archived and deleted ones are left out.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn list(&self, limit: Option<usize>) -> Result<Vec<Summary>, Error> {
        if self.sees_nothing().await? {
            return Ok(Vec::new());
        }
        self.using_store(async {
            self.settle().await?;
            self.recent(limit).await
        })
        .await
    }

    async fn recent(&self, limit: Option<usize>) -> Result<Vec<Summary>, Error> {
        let scan = Scan { limit, ..Scan::default() };
        let recent = self.0.store.scan(Table::Recent, scan).await?;
        let ids = recent.into_iter().map(|(key, _)| key.get(8..).unwrap_or_default().to_vec()).collect();
        let rows = self.0.store.rows(Table::Sessions, ids).await?;
        let mut list: Vec<Summary> = rows.iter().flatten().filter_map(|row| Summary::decode(row)).collect();
        for unfolded in self.unfolded().await?.into_iter().filter(|summary| !summary.archived) {
            list.retain(|summary: &Summary| summary.id != unfolded.id);
            list.push(unfolded);
        }
        list.sort_by(|a, b| b.updated_us.cmp(&a.updated_us).then_with(|| a.id.cmp(&b.id)));
        list.truncate(limit.unwrap_or(usize::MAX));
        Ok(list)
    }

    /// Returns the sessions as they will be once what waits is folded; nothing waits unless the store cannot
    /// be written, or the turn is still running.
    async fn unfolded(&self) -> Result<Vec<Summary>, Error> {
        let mut sessions: Vec<SessionId> = Vec::new();
        for pending in self.0.store.pending(Claim::Look).await? {
            if !sessions.contains(&pending.header.session) {
                sessions.push(pending.header.session);
            }
        }
        let mut summaries = Vec::new();
        for session in sessions {
            let mut projection = Projection::after(None);
            self.read(&session).await?.iter().for_each(|event| projection.apply(event));
            summaries.extend(projection.finish().0.filter(|summary| !summary.deleted));
        }
        Ok(summaries)
    }

    /// Lists the sessions that were put away, the latest first.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn archived(&self, limit: Option<usize>) -> Result<Vec<Summary>, Error> {
        self.using_store(async {
            self.settle().await?;
            let rows = self.0.store.scan(Table::Sessions, Scan::default()).await?;
            let rows = rows.iter().filter_map(|(_, row)| Summary::decode(row));
            let mut list: Vec<Summary> = rows.filter(|row| row.archived && !row.deleted).collect();
            list.sort_by(|a, b| b.updated_us.cmp(&a.updated_us).then_with(|| a.id.cmp(&b.id)));
            list.truncate(limit.unwrap_or(usize::MAX));
            Ok(list)
        })
        .await
    }

    /// Finds a session by its id, a unique beginning of it, its name, `@last` or `@last~N`.
    ///
    /// # Errors
    /// Fails with kind `input` where nothing or more than one session matches, and with kind `store`.
    pub async fn resolve(&self, text: &str) -> Result<SessionId, Error> {
        if self.sees_nothing().await? {
            return Err(nothing(text));
        }
        self.using_store(async {
            self.settle().await?;
            self.look_up(text).await
        })
        .await
    }

    pub(crate) async fn look_up(&self, text: &str) -> Result<SessionId, Error> {
        let nothing = || nothing(text);
        if let Some(rest) = text.strip_prefix("@last") {
            let back = match rest.strip_prefix('~') {
                None if rest.is_empty() => 0,
                Some(digits) => digits.parse().map_err(|_| nothing())?,
                None => return Err(nothing()),
            };
            let list = self.recent(Some(usize::saturating_add(back, 1))).await?;
            return list.get(back).map(|summary| summary.id.clone()).ok_or_else(nothing);
        }
        // The stream of what happened outside sessions has events to read, and no summary that is found.
        if let Some(system) = text.parse().ok().filter(is_system)
            && self.0.store.head(&system).await?.is_some()
        {
            return Ok(system);
        }
        // A name that looks like an id cannot be given here; one that was imported does not stand for another session.
        let matches = match text.starts_with("ses_") {
            false => self.named(text).await?,
            true => self.beginning_with(text).await?,
        };
        match &matches[..] {
            [] => Err(nothing()),
            [one] => Ok(one.id.clone()),
            several => match several.iter().find(|summary| summary.id.as_str() == text) {
                Some(exact) => Ok(exact.id.clone()),
                None => {
                    let candidates: Vec<String> = several
                        .iter()
                        .take(8)
                        .map(|s| {
                            format!("{} ({})", s.id, s.name.as_deref().or(s.title.as_deref()).unwrap_or("-"))
                        })
                        .collect();
                    let message = format!("{text:?} is ambiguous: {}", candidates.join(", "));
                    Err(Error::input(message))
                }
            },
        }
    }

    async fn named(&self, name: &str) -> Result<Vec<Summary>, Error> {
        let scan = Scan { prefix: index_key(name).to_vec(), ..Scan::default() };
        let mut found = Vec::new();
        for (key, _) in self.0.store.scan(Table::Names, scan).await? {
            found.extend(self.row(named_session(&key).unwrap_or_default()).await?);
        }
        for unfolded in self.unfolded().await? {
            found.retain(|summary: &Summary| summary.id != unfolded.id);
            if unfolded.name.as_deref() == Some(name) {
                found.push(unfolded);
            }
        }
        Ok(found)
    }

    async fn beginning_with(&self, text: &str) -> Result<Vec<Summary>, Error> {
        // Anything shorter would match every session there is.
        if text.len() <= SessionId::KIND.len() + 1 || !text.starts_with(SessionId::KIND) {
            return Ok(Vec::new());
        }
        let scan = Scan { prefix: text.as_bytes().to_vec(), ..Scan::default() };
        let rows = self.0.store.scan(Table::Sessions, scan).await?;
        let mut found: Vec<Summary> = rows.iter().filter_map(|(_, row)| Summary::decode(row)).collect();
        for unfolded in self.unfolded().await? {
            if unfolded.id.as_str().starts_with(text)
                && !found.iter().any(|summary| summary.id == unfolded.id)
            {
                found.push(unfolded);
            }
        }
        found.retain(|summary| !summary.deleted);
        Ok(found)
    }

    /// Returns the session last used in a scope: a terminal, a directory.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn last_in_scope(&self, scope: &str) -> Result<Option<SessionId>, Error> {
        let rows = self
            .using_store(async {
                self.settle().await?;
                let scan = Scan { prefix: index_key(scope).to_vec(), limit: Some(1), ..Scan::default() };
                Ok(self.0.store.scan(Table::Scopes, scan).await?)
            })
            .await?;
        let id = rows.first().and_then(|(key, _)| std::str::from_utf8(key.get(24..)?).ok());
        Ok(id.and_then(|id| id.parse().ok()))
    }

    /// Returns what is known about a session without reading its log.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn session(&self, session: &SessionId) -> Result<Summary, Error> {
        self.using_store(async {
            self.settle().await?;
            self.summary(session).await
        })
        .await
    }

    pub(crate) async fn summary(&self, session: &SessionId) -> Result<Summary, Error> {
        let mut summary = self.row(session.as_str().as_bytes()).await?;
        if summary.is_none() {
            summary = self.unfolded().await?.into_iter().find(|unfolded| unfolded.id == *session);
        }
        summary
            .filter(|summary| !summary.deleted)
            .ok_or_else(|| Error::input(format!("there is no session {session}")))
    }

    pub(crate) async fn row(&self, id: &[u8]) -> Result<Option<Summary>, Error> {
        Ok(self.0.store.get(Table::Sessions, id).await?.as_deref().and_then(Summary::decode))
    }

    /// Returns everything that happened in a session, in order.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn events(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        self.using_store(async {
            self.settle().await?;
            let events = self.read(session).await?;
            match events.is_empty() {
                true => Err(Error::input(format!("there is no session {session}"))),
                false => Ok(events),
            }
        })
        .await
    }

    /// Returns what was said in a session, and in those it was forked from before that.
    ///
    /// # Errors
    /// Fails as [`events`](Self::events) does.
    pub async fn transcript(&self, session: &SessionId) -> Result<Transcript, Error> {
        self.using_store(async {
            self.settle().await?;
            let events = self.lineage(session).await?;
            match events.is_empty() {
                true => Err(Error::input(format!("there is no session {session}"))),
                false => Ok(Transcript::fold(&events)),
            }
        })
        .await
    }

    /// Reads a stream. Turns that wait follow as they would be folded now.
    pub(crate) async fn read(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        let mut events = self.log(session).await?;
        let (mut seq, mut hash) = events.last().map_or((0, Hash::ZERO), |last| (last.seq(), *last.hash()));
        for pending in self.0.store.pending(Claim::Look).await? {
            if pending.header.session != *session || self.0.store.folded(&pending.header.turn).await? {
                continue;
            }
            for draft in drafts(self, &pending) {
                let event = draft.seal(seq + 1, &hash);
                (seq, hash) = (event.seq(), *event.hash());
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Reads what a stream holds in the log.
    pub(crate) async fn log(&self, session: &SessionId) -> Result<Vec<Event>, Error> {
        self.log_between(session, 1, u64::MAX).await
    }

    /// Reads what a stream holds in the log from one place to another, both included.
    pub(crate) async fn log_between(
        &self,
        session: &SessionId,
        first: u64,
        last: u64,
    ) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        loop {
            let next = first + events.len() as u64;
            let left = last.saturating_add(1).saturating_sub(next);
            let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
            let rows = self.0.store.events(session, next, limit).await?;
            let done = rows.len() < PAGE;
            for row in rows {
                let line = String::from_utf8(row.bytes).map_err(|error| {
                    let message = format!("event {} of session {session} is damaged", row.seq);
                    Error::new(ErrorKind::Store, message).with_source(error)
                })?;
                events.push(Event::parse(&line)?);
            }
            if done {
                return Ok(events);
            }
        }
    }

    /// Gives a session a name, or takes it away.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, or the name is taken or cannot be one, and with
    /// kind `store`.
    pub async fn rename(&self, session: &SessionId, name: Option<&str>) -> Result<(), Error> {
        self.using_store(async {
            self.settle().await?;
            if let Some(name) = name {
                self.check_name(name).await?;
            }
            self.change(session, &SessionRenamed { name: name.map(str::to_owned) }).await
        })
        .await
    }

    /// Puts a session away, which hides it from lists, or takes it up again.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn archive(&self, session: &SessionId, archived: bool) -> Result<(), Error> {
        self.using_store(async {
            self.settle().await?;
            match self.summary(session).await?.archived == archived {
                true => Ok(()),
                false => self.change(session, &SessionArchived { archived }).await,
            }
        })
        .await
    }

    /// Hides a session and frees its name; its log stays.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, with `busy` where one of its turns is in flight, and
    /// with kind `store`.
    pub async fn delete(&self, session: &SessionId) -> Result<(), Error> {
        // An answer that is paid for shall not end in a session that is hidden.
        let _lease = self.store().lease(session, Duration::ZERO).await?;
        self.using_store(async {
            self.settle().await?;
            self.check_idle(session).await?;
            self.change(session, &SessionDeleted {}).await
        })
        .await
    }

    /// Appends a fact to a session that is there.
    pub(crate) async fn change<F: Fact>(&self, session: &SessionId, fact: &F) -> Result<(), Error> {
        let draft = self.scribe(session).fact(fact);
        let mut conflicts = 0;
        loop {
            self.summary(session).await?;
            let mut tail = Tail::read(self, session).await?;
            tail.append(&draft);
            match self.0.store.commit(vec![tail.into_unit()]).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict && conflicts < CONFLICTS => {
                    conflicts += 1
                }
                done => return Ok(done?),
            }
        }
    }

    pub(crate) async fn check_name(&self, name: &str) -> Result<(), Error> {
        name::check("a session", name, &["ses_", "@"])?;
        match self.named(name).await?.first() {
            Some(taken) => {
                Err(name::refused("a session", name, &format!("session {} has that name", taken.id)))
            }
            None => Ok(()),
        }
    }

    /// Checks the chain of a session.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store` where the log cannot be
    /// read at all.
    pub async fn verify(&self, session: &SessionId) -> Result<Verified, Error> {
        self.verify_against(session, &[]).await
    }

    /// Checks the chain of a session, and that it holds what was written down of it: that nothing was cut off its end,
    /// and that it was not written anew as a whole. Witnesses of other sessions say nothing of this one.
    ///
    /// # Errors
    /// Fails as [`verify`](Self::verify) does.
    pub async fn verify_against(
        &self,
        session: &SessionId,
        witnesses: &[Witness],
    ) -> Result<Verified, Error> {
        self.using_store(async {
            self.settle().await?;
            self.verify_log(session, witnesses).await
        })
        .await
    }

    pub(crate) async fn verify_log(
        &self,
        session: &SessionId,
        witnesses: &[Witness],
    ) -> Result<Verified, Error> {
        let witnesses = || witnesses.iter().filter(|witness| witness.session == *session);
        let mut chain = Chain::new();
        let mut fault = None;
        let mut page = PAGE;
        'log: loop {
            let rows = match self.0.store.events(session, chain.seq() + 1, page).await {
                Ok(rows) => rows,
                Err(error) if error.kind() == StoreErrorKind::Corrupt && page > 1 => {
                    // One by one, to name the first that cannot be read.
                    page = 1;
                    continue;
                }
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    fault = Some(format!("at {}: {error}", chain.seq() + 1));
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let done = rows.len() < page;
            for row in rows {
                let text = String::from_utf8_lossy(&row.bytes);
                let checked = match Event::parse(&text) {
                    Ok(event) if event.session() != session => Err("belongs to another session".to_owned()),
                    Ok(event) if witnesses().any(|one| one.seq == row.seq && one.hash != *event.hash()) => {
                        Err("another event was here when its hash was written down".to_owned())
                    }
                    Ok(event) => chain.push(&event).map_err(|fault| fault.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(what) = checked {
                    fault = Some(format!("at {}: {what}", row.seq));
                    break 'log;
                }
            }
            if done {
                break;
            }
        }
        let head = self.0.store.head(session).await?;
        match &head {
            None if witnesses().next().is_some() => {
                fault = Some("the session is not here, and was once".to_owned());
            }
            None => return Err(Error::input(format!("there is no session {session}"))),
            Some(head) if fault.is_none() && (head.seq != chain.seq() || head.hash != chain.head().0) => {
                fault = Some(format!("the log ends at {} and its head says {}", chain.seq(), head.seq));
            }
            Some(_) if fault.is_none() && witnesses().any(|one| one.seq > chain.seq()) => {
                let last = witnesses().map(|one| one.seq).max().unwrap_or_default();
                fault = Some(format!("the log ends at {}, and there was an event {last} once", chain.seq()));
            }
            Some(_) if fault.is_none() && is_system(session) => fault = self.document_fault().await?,
            Some(_) => {}
        }
        Ok(Verified { session: session.clone(), events: chain.seq(), head: chain.head(), fault })
    }

    /// Lists every session there is, deleted ones included, in the order of their ids; among them the stream of what
    /// happened outside sessions, where something did.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        self.using_store(async {
            self.settle().await?;
            self.streams().await
        })
        .await
    }

    pub(crate) async fn streams(&self) -> Result<Vec<SessionId>, Error> {
        let mut all: Vec<SessionId> = Vec::new();
        loop {
            let page = self.0.store.streams(all.last(), PAGE).await?;
            let done = page.len() < PAGE;
            all.extend(page);
            if done {
                return Ok(all);
            }
        }
    }

    /// Folds what waits before something is read. Where the store has no room or cannot be written, readers
    /// see what waits unfolded.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        if self.0.folds && self.0.store.backlog().await?.0 > 0 {
            match self.fold_waiting().await {
                Err(error) if error.kind() == ErrorKind::Store && error.is_unwritable() => {}
                folded => {
                    folded?;
                }
            }
        }
        self.freshen().await
    }
}

fn nothing(text: &str) -> Error {
    Error::input(format!("no session matches {text:?}"))
}
