//! Search: messages and names of sessions that hold every word of a query, the latest first.

mod folded;
mod grams;
mod index;
mod query;
mod snippet;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use aichat_events::{
    Draft, Event, Fact, MessageAssistant, MessageEdited, MessageSystem, MessageTool, MessageUser, TurnStarted,
};
use aichat_message::{Fold, Message, MessageId, Role, SessionId, TurnId};
use aichat_store::{Claim, Scan, Table};

use self::index::{Sieve, Wanted};
use self::query::Query;
use self::words::words;
use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;
use crate::project::{Place, Summary, named_session};
use crate::record::Record;

pub(crate) use self::index::row;
pub use self::snippet::Snippet;

/// What to look for, and where.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words and `"phrases"`, all of which must occur. Case, and whether letters are composed, do not matter.
    pub query: String,
    /// Only in this session.
    pub session: Option<SessionId>,
    /// Only what this role said; system and developer are one.
    pub role: Option<Role>,
    /// Only what was said to or by a model whose `provider/model` has this in it.
    pub model: Option<String>,
    /// Only from this time on, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Only before this time.
    pub until_us: Option<i64>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A message, or the name of a session, that holds what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The session.
    pub session: SessionId,
    /// Its name.
    pub name: Option<String>,
    /// The beginning of its first message.
    pub title: Option<String>,
    /// Whether it was put away.
    pub archived: bool,
    /// The message; `None` where the session's name was found, or an answer that is still arriving.
    pub message: Option<MessageId>,
    /// Who said it; `None` where the session's name was found.
    pub role: Option<Role>,
    /// The model that said it or was asked, `provider/model`.
    pub model: Option<String>,
    /// When it was said, or the session was last used, in microseconds since 1970 UTC.
    pub ts: i64,
    /// Whether the message was cut off, or is still arriving.
    pub partial: bool,
    /// Where it was found.
    #[serde(flatten)]
    pub found: Snippet,
}

/// A message on its way to be compared.
struct Said {
    session: SessionId,
    id: Option<MessageId>,
    turn: Option<TurnId>,
    ts: i64,
    partial: bool,
    message: Message,
}

impl Said {
    fn of(event: &Event) -> Option<Self> {
        let read = |id, message, partial| Self {
            session: event.session().clone(),
            id: Some(id),
            turn: event.turn().cloned(),
            ts: event.ts(),
            partial,
            message,
        };
        MessageUser::of(event)
            .map(|fact| read(fact.id, fact.message, false))
            .or_else(|| MessageAssistant::of(event).map(|fact| read(fact.id, fact.message, fact.partial)))
            .or_else(|| MessageTool::of(event).map(|fact| read(fact.id, fact.message, false)))
            .or_else(|| MessageSystem::of(event).map(|fact| read(fact.id, fact.message, false)))
            .or_else(|| MessageEdited::of(event).map(|fact| read(fact.id, fact.message, false)))
    }
}

impl Engine {
    /// Finds messages and names of sessions, the latest first. Deleted sessions are left out, turns in flight are
    /// looked at as well.
    ///
    /// # Errors
    /// Fails with kind `input` where the query is empty or has more than 32 words, and with kind `store`.
    pub async fn search(&self, search: &Search) -> Result<Vec<Hit>, Error> {
        let query = Query::parse(&search.query)?;
        self.using_store(async {
            self.settle().await?;
            Finding { engine: self, search, query, sessions: HashMap::new() }.find().await
        })
        .await
    }
}

/// A search under way.
struct Finding<'a> {
    engine: &'a Engine,
    search: &'a Search,
    query: Query,
    sessions: HashMap<SessionId, Option<Summary>>,
}

impl Finding<'_> {
    async fn find(mut self) -> Result<Vec<Hit>, Error> {
        let limit = self.search.limit.unwrap_or(usize::MAX);
        let wanted = Wanted {
            session: self.search.session.clone(),
            role: self.search.role,
            since_us: self.search.since_us,
            until_us: self.search.until_us,
        };
        let mut hits = self.names(&wanted).await?;
        hits.extend(self.in_flight(&wanted).await?);

        let sieve = Sieve::new(&self.query, wanted);
        let visitor = sieve.clone();
        let prefix = sieve.prefix();
        let look = move |key: &[u8], value: &[u8]| visitor.look(key, value);
        self.engine.store().visit(Table::Words, &prefix, Arc::new(look)).await?;
        let mut seen: HashSet<MessageId> = hits.iter().filter_map(|hit| hit.message.clone()).collect();
        let mut found = 0;
        for candidate in sieve.into_candidates() {
            if found == limit {
                break;
            }
            if self.session(&candidate.session).await?.is_none() {
                continue;
            }
            let rows = self.engine.store().events(&candidate.session, candidate.seq, 1).await?;
            let event = rows.first().and_then(|row| std::str::from_utf8(&row.bytes).ok()).map(Event::parse);
            let Some(said) = event.transpose()?.as_ref().and_then(Said::of) else { continue };
            if said.id.as_ref().is_some_and(|id| seen.contains(id)) {
                continue;
            }
            if let Some(hit) = self.hit(said, None).await? {
                seen.extend(hit.message.clone());
                hits.push(hit);
                found += 1;
            }
        }
        hits.sort_by(|a, b| b.ts.cmp(&a.ts).then_with(|| a.session.cmp(&b.session)));
        hits.truncate(limit);
        Ok(hits)
    }

    /// Compares a message. `model` is the model that was asked, where that is known.
    async fn hit(&mut self, said: Said, model: Option<String>) -> Result<Option<Hit>, Error> {
        let text = words(&said.message);
        let Some(found) = self.query.find(&text) else { return Ok(None) };
        let model = match (&said.message.origin, model, &said.turn) {
            (Some(origin), _, _) => Some(format!("{}/{}", origin.provider, origin.model)),
            (None, Some(asked), _) => Some(asked),
            (None, None, Some(turn)) => self.asked(turn, &said.session).await?,
            (None, None, None) => None,
        };
        if !self.takes_model(model.as_deref()) {
            return Ok(None);
        }
        let session = self.session(&said.session).await?;
        Ok(Some(Hit {
            name: session.and_then(|session| session.name.clone()),
            title: session.and_then(|session| session.title.clone()),
            archived: session.is_some_and(|session| session.archived),
            message: said.id,
            role: Some(said.message.role),
            model,
            ts: said.ts,
            partial: said.partial,
            found: Snippet::cut(&text, &found),
            session: said.session,
        }))
    }

    fn takes_model(&self, model: Option<&str>) -> bool {
        let Some(wanted) = &self.search.model else { return true };
        model.is_some_and(|model| model.to_lowercase().contains(&wanted.to_lowercase()))
    }

    /// Returns what is known of a session, unless it was deleted; a new one whose turn is in flight is not known.
    async fn session(&mut self, id: &SessionId) -> Result<Option<&Summary>, Error> {
        if !self.sessions.contains_key(id) {
            let row = self.engine.row(id.as_str().as_bytes()).await?;
            self.sessions.insert(id.clone(), row.filter(|row| !row.deleted));
        }
        Ok(self.sessions[id].as_ref())
    }

    /// Returns the model that a turn of the log asked.
    async fn asked(&self, turn: &TurnId, session: &SessionId) -> Result<Option<String>, Error> {
        let store = self.engine.store();
        let place = store.get(Table::Places, &Place::key(turn.as_str(), session)).await?;
        let Some(place) = place.and_then(|place| serde_json::from_slice::<Place>(&place).ok()) else {
            return Ok(None);
        };
        let rows = store.events(&place.session, place.seq, 1).await?;
        let line = rows.first().and_then(|row| std::str::from_utf8(&row.bytes).ok());
        let event = line.and_then(|line| Event::parse(line).ok());
        Ok(event.as_ref().and_then(TurnStarted::of).map(|fact| fact.model))
    }

    /// Finds sessions by their names.
    async fn names(&mut self, wanted: &Wanted) -> Result<Vec<Hit>, Error> {
        if wanted.role.is_some() {
            return Ok(Vec::new());
        }
        let store = self.engine.store();
        let keys = match &wanted.session {
            Some(session) => vec![session.as_str().as_bytes().to_vec()],
            None => {
                // Most sessions have no name, and their rows need not be read.
                let named = store.scan(Table::Names, Scan::default()).await?;
                named.iter().filter_map(|(key, _)| Some(named_session(key)?.to_vec())).collect()
            }
        };
        let rows = store.rows(Table::Sessions, keys).await?;
        let mut hits = Vec::new();
        for row in rows.iter().flatten().filter_map(|row| Summary::decode(row)) {
            let found = row.name.as_deref().and_then(|name| Some((name, self.query.find(name)?)));
            let Some((name, found)) = found else { continue };
            let in_time = wanted.since_us.is_none_or(|since| row.updated_us >= since)
                && wanted.until_us.is_none_or(|until| row.updated_us < until);
            if !row.deleted && in_time && self.takes_model(row.model.as_deref()) {
                hits.push(Hit {
                    found: Snippet::cut(name, &found),
                    session: row.id,
                    name: row.name,
                    title: row.title,
                    archived: row.archived,
                    message: None,
                    role: None,
                    model: row.model,
                    ts: row.updated_us,
                    partial: false,
                });
            }
        }
        Ok(hits)
    }

    /// Finds messages of turns that are not in the log, an answer that is still arriving among them.
    async fn in_flight(&mut self, wanted: &Wanted) -> Result<Vec<Hit>, Error> {
        let mut hits = Vec::new();
        for pending in self.engine.store().pending(Claim::Look).await? {
            let session = &pending.header.session;
            if wanted.session.as_ref().is_some_and(|wanted| wanted != session)
                || self.engine.store().folded(&pending.header.turn).await?
                || self.engine.row(session.as_str().as_bytes()).await?.is_some_and(|row| row.deleted)
            {
                continue;
            }
            let drafts = drafts(self.engine, &pending);
            let asked = read::<TurnStarted>(&drafts).next().map(|(_, fact)| fact.model);
            let mut said: Vec<Said> = Vec::new();
            let mut say = |draft: &Draft, id, message, partial| {
                let (session, turn, ts) = (draft.session.clone(), draft.turn.clone(), draft.ts);
                said.push(Said { session, id: Some(id), turn, ts, partial, message });
            };
            read::<MessageSystem>(&drafts).for_each(|(draft, fact)| say(draft, fact.id, fact.message, false));
            read::<MessageUser>(&drafts).for_each(|(draft, fact)| say(draft, fact.id, fact.message, false));
            read::<MessageTool>(&drafts).for_each(|(draft, fact)| say(draft, fact.id, fact.message, false));
            read::<MessageAssistant>(&drafts)
                .for_each(|(draft, fact)| say(draft, fact.id, fact.message, fact.partial));
            if said.iter().all(|said| said.message.role != Role::Assistant) {
                let mut fold = Fold::new();
                for record in &pending.records {
                    if let Some(Record::Delta(delta)) = Record::decode(record) {
                        fold.apply(&delta);
                    }
                }
                let ts = drafts.last().map_or(0, |draft| draft.ts);
                let session = session.clone();
                let turn = Some(pending.header.turn.clone());
                said.push(Said { session, id: None, turn, ts, partial: true, message: fold.message() });
            }
            for said in said {
                if wanted.takes(said.message.role, said.ts) {
                    hits.extend(self.hit(said, asked.clone()).await?);
                }
            }
        }
        Ok(hits)
    }
}

/// Returns the drafts of one kind with what they say.
fn read<F: Fact>(drafts: &[Draft]) -> impl Iterator<Item = (&Draft, F)> {
    drafts.iter().filter_map(|draft| Some((draft, F::of_draft(draft)?)))
}
