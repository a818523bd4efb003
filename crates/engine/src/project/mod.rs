//! The one projection: events in, table writes out; the same for a live commit, a fold and a rebuild.
//!
//! What it writes depends on the events of one session alone, so that a rebuild in any order gives the same
//! bytes; of the system stream, which is no session, it writes nothing. Keys: `sessions` by id; `recent` by
//! `!updated·id`; `names` by `hash of the name·id`; `scopes` by `hash of the scope·!used·id`; `messages` by
//! `session·0·message`; `places` by `message or turn·0·session`; `blobs` by `blob·0·session·0·message`; `forks` by `parent·0·fork`;
//! `costs` by `ended·session·0·end of the attempt`.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use aichat_events::{
    AgentRef, BudgetCommitted, Event, Fact, Heads, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseInterrupted, LlmWireKept, MessageAssistant, MessageDropped, MessageEdited, MessageSystem,
    MessageTool, MessageUser, SessionArchived, SessionCreated, SessionDeleted, SessionErased, SessionForked,
    SessionHeadMoved, SessionRenamed, SessionRow, SessionSettingsChanged, TurnCompleted, TurnFailed,
    TurnInterrupted, TurnStarted, tally,
};
use aichat_message::{Message, MessageId, Money, Role, SessionId, Total, TurnId, Usage};
use aichat_store::{Table, Write};

use crate::blobs;
use crate::costs::CostRows;
use crate::document::is_system;
use crate::search;
use crate::turn::Status;

/// Longest title taken from a first message, in characters.
const TITLE_CHARS: usize = 80;

/// What is known about a session without reading its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The session.
    pub id: SessionId,
    /// The name it was given.
    pub name: Option<String>,
    /// The beginning of its first message.
    pub title: Option<String>,
    /// The model it was begun with, or that its agent was first asked as, `provider/model`.
    pub model: Option<String>,
    /// The agent it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// When its first event happened, in microseconds since 1970, UTC.
    pub created_us: i64,
    /// When its latest event happened, in microseconds since 1970, UTC.
    pub updated_us: i64,
    /// How many turns it has.
    pub turns: u64,
    /// How many messages it has.
    pub messages: u64,
    /// How its latest turn ended; `None` while none has.
    pub status: Option<Status>,
    /// The sum of the input tokens that were reported.
    pub input_tokens: u64,
    /// The sum of the output tokens that were reported.
    pub output_tokens: u64,
    /// How many calls ended without reporting both.
    pub calls_without_usage: u64,
    /// What its calls cost.
    #[serde(default)]
    pub cost: Total,
    /// How much of its budgets was taken as spent beside that, because nobody knows what calls cost, in dollars.
    #[serde(default)]
    pub unproven: Money,
    /// Where its branches end.
    #[serde(flatten)]
    pub heads: Heads,
    /// The latest turn.
    pub last_turn: Option<TurnId>,
    /// The session it was forked from.
    #[serde(default)]
    pub parent: Option<SessionId>,
    /// Whether it was put away, which hides it from lists.
    #[serde(default)]
    pub archived: bool,
    /// Whether it was deleted, which hides it.
    pub deleted: bool,
    /// Whether it was purged: there is a log, and nothing is left of what was said.
    #[serde(default)]
    pub erased: bool,
    /// Where it was used, and when last.
    pub scopes: Vec<(String, i64)>,
}

/// Returns a total in a few characters: a lower bound is marked as one, and what nobody knows is a question mark.
fn in_words(cost: &Total) -> String {
    let Some(amount) = cost.known() else { return "?".to_owned() };
    let bound = if cost.is_whole() { "" } else { "≥" };
    let micros = amount.pico_dollars() / 1_000_000;
    match micros {
        0 if amount != Money::ZERO => "<0.000001".to_owned(),
        0 => format!("{bound}0"),
        1_000_000.. => format!("{bound}{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000),
        _ => format!("{bound}0.{micros:06}"),
    }
}

impl Summary {
    fn new(id: SessionId, ts: i64) -> Self {
        Self {
            id,
            name: None,
            title: None,
            model: None,
            agent: None,
            created_us: ts,
            updated_us: ts,
            turns: 0,
            messages: 0,
            status: None,
            input_tokens: 0,
            output_tokens: 0,
            calls_without_usage: 0,
            cost: Total::default(),
            unproven: Money::ZERO,
            heads: Heads::default(),
            last_turn: None,
            parent: None,
            archived: false,
            deleted: false,
            erased: false,
            scopes: Vec::new(),
        }
    }

    /// Returns the row that shows it in a list.
    pub fn row(&self) -> SessionRow {
        SessionRow {
            id: self.id.clone(),
            name: self.name.clone(),
            title: self.title.clone(),
            model: self.model.clone(),
            turns: self.turns,
            branches: self.heads.heads.len() + 1,
            tokens: (self.input_tokens, self.output_tokens),
            calls_without_usage: self.calls_without_usage,
            cost: (self.cost.calls > 0).then(|| in_words(&self.cost)),
            status: self.status.map(Status::as_str),
            updated_us: self.updated_us,
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    fn used(&mut self, scope: Option<String>, ts: i64) {
        let Some(scope) = scope else { return };
        match self.scopes.iter_mut().find(|(s, _)| *s == scope) {
            Some((_, last)) => *last = (*last).max(ts),
            None => self.scopes.push((scope, ts)),
        }
    }

    fn count(&mut self, usage: Option<&Usage>) {
        let (input, output) = usage.map_or((None, None), |u| (u.input_tokens, u.output_tokens));
        self.input_tokens = self.input_tokens.saturating_add(input.unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(output.unwrap_or(0));
        if input.is_none() || output.is_none() {
            self.calls_without_usage += 1;
        }
    }

    fn end(&mut self, turn: Option<&TurnId>, status: Status, answer: Option<&MessageId>) {
        self.status = Some(status);
        if let Some(turn) = turn {
            self.heads.ended(turn, answer);
        }
    }
}

/// Where a message or a turn is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) session: SessionId,
    pub(crate) seq: u64,
}

impl Place {
    /// Returns the key of the place of a message or turn in a session. Nothing keeps two sessions from naming the same
    /// one, where both were taken in.
    pub(crate) fn key(id: &str, session: &SessionId) -> Vec<u8> {
        format!("{id}\0{session}").into_bytes()
    }
}

/// What the `messages` table says about a message; its text is in the event at `seq`.
#[derive(Serialize)]
struct Entry<'a> {
    seq: u64,
    role: Role,
    parent: Option<&'a MessageId>,
    turn: Option<&'a TurnId>,
    partial: bool,
}

/// Projects the events of one session, one after another.
pub(crate) struct Projection {
    before: Option<Summary>,
    now: Option<Summary>,
    writes: Vec<Write>,
    costs: CostRows,
}

impl Projection {
    /// Continues after the events that gave `summary`.
    pub(crate) fn after(summary: Option<Summary>) -> Self {
        Self { before: summary.clone(), now: summary, writes: Vec::new(), costs: CostRows::default() }
    }

    /// Tells whether the session was purged.
    pub(crate) fn is_erased(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.erased)
    }

    /// Returns where the session's branches end by now.
    pub(crate) fn heads(&self) -> Option<&Heads> {
        self.now.as_ref().map(|now| &now.heads)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        if is_system(event.session()) {
            return;
        }
        let now = self.now.get_or_insert_with(|| Summary::new(event.session().clone(), event.ts()));
        now.updated_us = now.updated_us.max(event.ts());
        let ts = event.ts();
        tally(&mut now.cost, event);
        self.costs.take(event);
        if let Some(fact) = SessionCreated::of(event) {
            now.name = fact.name;
            now.model = fact.model;
            now.used(fact.scope, ts);
        } else if let Some(fact) = SessionRenamed::of(event) {
            now.name = fact.name;
        } else if SessionDeleted::of(event).is_some() {
            now.deleted = true;
        } else if SessionErased::of(event).is_some() {
            (now.deleted, now.erased) = (true, true);
        } else if let Some(fact) = SessionArchived::of(event) {
            now.archived = fact.archived;
        } else if let Some(fact) = SessionHeadMoved::of(event) {
            now.heads.moved(event.turn(), fact);
        } else if let Some(fact) = SessionForked::of(event) {
            now.used(fact.scope, ts);
            (now.name, now.title, now.model) = (fact.name, fact.title, fact.model);
            now.agent = fact.agent;
            now.heads = Heads::at(fact.head);
            let key = format!("{}\0{}", fact.parent, event.session()).into_bytes();
            now.parent = Some(fact.parent);
            self.writes.push(Write { table: Table::Forks, key, value: Some(Vec::new()) });
        } else if let Some(fact) = TurnStarted::of(event) {
            now.turns += 1;
            now.last_turn = event.turn().cloned();
            if fact.agent.is_some() && fact.agent != now.agent {
                (now.agent, now.model) = (fact.agent, Some(fact.model));
            } else {
                now.model.get_or_insert(fact.model);
            }
            now.used(fact.scope, ts);
            if let Some(turn) = event.turn() {
                now.heads.started(turn, &fact.input);
                self.place(event, turn.as_str());
            }
        } else if let Some(fact) = MessageSystem::of(event) {
            self.message(event, &fact.id, fact.parent.as_ref(), &fact.message, false);
        } else if let Some(fact) = MessageUser::of(event) {
            if now.title.is_none() {
                now.title = title(&fact.message);
            }
            self.message(event, &fact.id, fact.parent.as_ref(), &fact.message, false);
        } else if let Some(fact) = MessageTool::of(event) {
            self.message(event, &fact.id, fact.parent.as_ref(), &fact.message, false);
        } else if let Some(fact) = MessageAssistant::of(event) {
            self.message(event, &fact.id, fact.parent.as_ref(), &fact.message, fact.partial);
        } else if let Some(fact) = MessageEdited::of(event) {
            match &fact.replaces {
                Some(old) => now.heads.replaced(old, Some(&fact.id)),
                None => now.heads.inserted(&fact.id, fact.parent.as_ref()),
            }
            self.keep(event, &fact.id, fact.parent.as_ref(), &fact.message, false);
        } else if let Some(fact) = MessageDropped::of(event) {
            now.heads.replaced(&fact.id, fact.parent.as_ref());
        } else if let Some(fact) = SessionSettingsChanged::of(event) {
            now.model = fact.model.or(now.model.take());
        } else if let Some(fact) = LlmWireKept::of(event) {
            let key = format!("{}\0{}\0{}", fact.blob, event.session(), event.id()).into_bytes();
            self.writes.push(Write { table: Table::Blobs, key, value: Some(Vec::new()) });
        } else if let Some(fact) = LlmResponseCompleted::of(event) {
            now.count(fact.usage.as_ref());
        } else if let Some(fact) = LlmResponseInterrupted::of(event) {
            now.count(fact.usage.as_ref());
        } else if let Some(fact) = LlmResponseFailed::of(event) {
            // A refused request is no call whose tokens are missing; one cut in mid-stream is.
            if fact.timing.is_some_and(|timing| timing.first_content_us.is_some()) {
                now.count(fact.usage.as_ref());
            }
        } else if let Some(fact) = BudgetCommitted::of(event) {
            now.unproven = now.unproven + fact.unproven;
        } else if let Some(fact) = TurnCompleted::of(event) {
            now.end(event.turn(), Status::Completed, Some(&fact.answer));
        } else if let Some(fact) = TurnFailed::of(event) {
            now.end(event.turn(), Status::Failed, fact.answer.as_ref());
        } else if let Some(fact) = TurnInterrupted::of(event) {
            now.end(event.turn(), Status::Interrupted, fact.answer.as_ref());
        }
    }

    fn message(
        &mut self,
        event: &Event,
        id: &MessageId,
        parent: Option<&MessageId>,
        message: &Message,
        partial: bool,
    ) {
        let now = self.now.as_mut().expect("apply began the summary");
        now.heads.said(event.turn(), message.role, id, parent);
        self.keep(event, id, parent, message, partial);
    }

    /// Writes where a message is and what is in it.
    fn keep(
        &mut self,
        event: &Event,
        id: &MessageId,
        parent: Option<&MessageId>,
        message: &Message,
        partial: bool,
    ) {
        self.now.as_mut().expect("apply began the summary").messages += 1;
        let entry = Entry { seq: event.seq(), role: message.role, parent, turn: event.turn(), partial };
        let key = format!("{}\0{id}", event.session());
        self.put(Table::Messages, key.into_bytes(), &entry);
        self.writes.extend(search::row(event, message));
        for name in blobs::names(&message.parts) {
            let key = format!("{name}\0{}\0{id}", event.session()).into_bytes();
            self.writes.push(Write { table: Table::Blobs, key, value: Some(Vec::new()) });
        }
        self.place(event, id.as_str());
    }

    fn place(&mut self, event: &Event, id: &str) {
        let place = Place { session: event.session().clone(), seq: event.seq() };
        self.put(Table::Places, Place::key(id, event.session()), &place);
    }

    fn put<T: Serialize>(&mut self, table: Table, key: Vec<u8>, value: &T) {
        let value = serde_json::to_vec(value).expect("projections have string keys only");
        self.writes.push(Write { table, key, value: Some(value) });
    }

    /// Returns what the session is now, and everything to write for it.
    pub(crate) fn finish(mut self) -> (Option<Summary>, Vec<Write>) {
        self.writes.extend(std::mem::take(&mut self.costs).into_writes());
        let Some(now) = self.now.take() else { return (None, self.writes) };
        let old = self.before.as_ref().map(places).unwrap_or_default();
        let new = places(&now);
        for (table, key) in &old {
            if !new.iter().any(|(t, k)| t == table && k == key) {
                self.writes.push(Write { table: *table, key: key.clone(), value: None });
            }
        }
        for (table, key) in new {
            self.writes.push(Write { table, key, value: Some(Vec::new()) });
        }
        self.put(Table::Sessions, now.id.as_str().as_bytes().to_vec(), &now);
        (Some(now), self.writes)
    }
}

/// Returns the index entries of a session.
fn places(summary: &Summary) -> Vec<(Table, Vec<u8>)> {
    if summary.deleted {
        return Vec::new();
    }
    let mut entries = Vec::new();
    if let Some(name) = &summary.name {
        entries.push((Table::Names, [&index_key(name)[..], summary.id.as_str().as_bytes()].concat()));
    }
    if summary.archived {
        return entries;
    }
    let recent = [&newest_first(summary.updated_us)[..], summary.id.as_str().as_bytes()].concat();
    entries.push((Table::Recent, recent));
    for (scope, used) in &summary.scopes {
        let key = [&index_key(scope)[..], &newest_first(*used), summary.id.as_str().as_bytes()].concat();
        entries.push((Table::Scopes, key));
    }
    entries
}

/// Returns what a name or a scope is looked up by: a hash, because texts may be longer than any key.
pub(crate) fn index_key(text: &str) -> [u8; 16] {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes")
}

/// Returns the session of a key of the table of names.
pub(crate) fn named_session(key: &[u8]) -> Option<&[u8]> {
    key.get(16..)
}

/// Returns bytes that sort later times first.
fn newest_first(ts: i64) -> [u8; 8] {
    (!u64::try_from(ts).unwrap_or(0)).to_be_bytes()
}

/// Returns the beginning of the first message of the user.
pub(crate) fn first_title(messages: &[Message]) -> Option<String> {
    messages.iter().filter(|message| message.role == Role::User).find_map(title)
}

fn title(message: &Message) -> Option<String> {
    let text = message.text();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(match line.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    })
}
