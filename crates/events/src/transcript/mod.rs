//! The transcript: what was said in a session, folded out of its events.

mod edits;

use std::collections::{HashMap, HashSet};

use aichat_message::{ErrorKind, Finish, Message, MessageId, Role, SessionId, Total, TurnId};
use serde::Serialize;

use crate::cost::tally;
use crate::envelope::Event;
use crate::fact::{
    AgentRef, CostCalculated, CostRevised, Fact, Interruption, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseInterrupted, MessageAssistant, MessageDropped, MessageEdited, MessageSystem, MessageTool,
    MessageUser, Messages, SessionCreated, SessionDeleted, SessionErased, SessionForked, SessionHeadMoved,
    SessionRenamed, SessionSettingsChanged, TurnCompleted, TurnFailed, TurnInterrupted, TurnStarted,
    WarningRaised,
};
use crate::heads::Heads;
use crate::tokens::Tokens;

/// What was said in a session, by whom and with what outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transcript {
    /// The session, unless there are no events.
    pub session: Option<SessionId>,
    /// The session's name.
    pub name: Option<String>,
    /// The model it was begun with, `provider/model`.
    pub model: Option<String>,
    /// When it was created, in microseconds since 1970 UTC.
    pub created: Option<i64>,
    /// When something last happened in it, in microseconds since 1970 UTC.
    pub updated: Option<i64>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The session it was forked from; the messages of that one which it goes on from are among its own.
    pub parent: Option<SessionId>,
    /// Where its branches end.
    #[serde(flatten)]
    pub heads: Heads,
    /// The messages of all branches, in the order of the log.
    pub entries: Vec<Entry>,
    /// The turns, in the order in which they began.
    pub turns: Vec<Turn>,
    /// What its calls consumed.
    pub tokens: Tokens,
    /// What its calls cost.
    pub cost: Total,
    /// Warnings, in the order of the log.
    pub warnings: Vec<Warning>,
}

/// One message in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Names the message; made up where it was erased and no turn names it.
    pub id: MessageId,
    /// The message before it on its branch.
    pub parent: Option<MessageId>,
    /// The turn it was said in.
    pub turn: Option<TurnId>,
    /// Its place in the log.
    pub seq: u64,
    /// When it was said, in microseconds since 1970 UTC.
    pub ts: i64,
    /// Who said it.
    pub role: Role,
    /// What was said; without parts where it was erased.
    pub message: Message,
    /// Whether it was cut off.
    pub partial: bool,
    /// Whether the words are gone for good.
    pub erased: bool,
    /// The message in whose place it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<MessageId>,
}

/// One turn and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Names the turn.
    pub id: TurnId,
    /// The turn that it follows.
    pub base: Option<TurnId>,
    /// The user's message.
    pub input: Option<MessageId>,
    /// The answer, or what there is of it.
    pub answer: Option<MessageId>,
    /// The model asked, `provider/model`.
    pub model: String,
    /// The agent that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// The turn whose answer it asks for once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mends: Option<TurnId>,
    /// When it began, in microseconds since 1970 UTC.
    pub ts: i64,
    /// How it ended.
    #[serde(flatten)]
    pub status: TurnStatus,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TurnStatus {
    /// It did not, or its end is not known.
    Open,
    /// With an answer.
    Completed {
        /// Why the answer ended; `None` where it was erased.
        finish: Option<Finish>,
    },
    /// With an error.
    Failed {
        /// What went wrong; `None` where it was erased.
        kind: Option<ErrorKind>,
        /// The same in a phrase.
        message: String,
    },
    /// Before its end.
    Interrupted {
        /// What stopped it; `None` where it was erased.
        reason: Option<Interruption>,
    },
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Its place in the log.
    pub seq: u64,
    /// The turn it belongs to.
    pub turn: Option<TurnId>,
    /// What happened, in a phrase.
    pub text: String,
}

impl TurnStatus {
    /// Returns the outcome in one word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Interrupted { .. } => "interrupted",
        }
    }

    /// Reads the outcome that an event states, with the answer it names.
    pub(crate) fn of(event: &Event) -> Option<(Self, Option<MessageId>)> {
        Some(match event.kind() {
            TurnCompleted::TYPE => {
                let fact = TurnCompleted::of(event);
                let answer = fact.as_ref().map(|fact| fact.answer.clone());
                (Self::Completed { finish: fact.map(|fact| fact.finish) }, answer)
            }
            TurnFailed::TYPE => match TurnFailed::of(event) {
                Some(fact) => (Self::Failed { kind: Some(fact.kind), message: fact.message }, fact.answer),
                None => (Self::Failed { kind: None, message: String::new() }, None),
            },
            TurnInterrupted::TYPE => match TurnInterrupted::of(event) {
                Some(fact) => (Self::Interrupted { reason: Some(fact.reason) }, fact.answer),
                None => (Self::Interrupted { reason: None }, None),
            },
            _ => return None,
        })
    }

    /// Tells whether a later event may still say otherwise: a writer that was wrongly taken for dead may complete
    /// its turn after the interruption was recorded.
    pub(crate) const fn is_provisional(&self) -> bool {
        matches!(self, Self::Open | Self::Interrupted { .. })
    }
}

impl Transcript {
    /// Folds the events of one session, in order; types that are not known are skipped.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut folding = Folding::default();
        for event in events {
            folding.take(event);
        }
        folding.finish()
    }

    /// Returns the last message of the branch that the next turn goes on from; a question that nothing answered is
    /// one. Where no branch is known any more, it is the last message of all.
    pub fn head(&self) -> Option<&Entry> {
        self.heads.shown().and_then(|id| self.entry(id)).or(self.entries.last())
    }

    /// Tells whether the branch that the next turn goes on from lacks its beginning, because the session it was forked
    /// from is not here.
    pub fn lacks_past(&self) -> bool {
        let Some(head) = &self.heads.head else { return false };
        self.branch(head).first().is_none_or(|first| first.parent.is_some())
    }

    /// Returns the message of that id.
    pub fn entry(&self, id: &MessageId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// Returns which messages a request repeats, in order, as far as they are here.
    pub fn sent(&self, messages: &Messages) -> Vec<&Entry> {
        match (&messages.listed, &messages.last) {
            (Some(listed), _) => listed.iter().filter_map(|id| self.entry(id)).collect(),
            (None, Some(last)) => {
                let mut branch = self.branch(last);
                branch.retain(|entry| !messages.left_out.contains(&entry.id));
                branch
            }
            (None, None) => Vec::new(),
        }
    }

    /// Returns the messages from the root to `head`; none where there is no such message.
    ///
    /// A parent that is missing, or not before its child in the log, ends the walk.
    pub fn branch(&self, head: &MessageId) -> Vec<&Entry> {
        let places: HashMap<&MessageId, usize> =
            self.entries.iter().enumerate().map(|(at, entry)| (&entry.id, at)).collect();
        let mut branch = Vec::new();
        let mut next = places.get(head).copied();
        while let Some(at) = next {
            let entry = &self.entries[at];
            branch.push(entry);
            next = entry.parent.as_ref().and_then(|id| places.get(id).copied()).filter(|parent| *parent < at);
        }
        branch.reverse();
        branch
    }

    /// Returns what the user asked on the branch that ends with `tip`. What was erased is not among it, nor what was
    /// said in the user's place to have an answer mended.
    pub fn asked(&self, tip: Option<&MessageId>) -> Vec<&Entry> {
        let mending: HashSet<&TurnId> =
            self.turns.iter().filter(|turn| turn.mends.is_some()).map(|turn| &turn.id).collect();
        let is_mending = |entry: &Entry| entry.turn.as_ref().is_some_and(|turn| mending.contains(turn));
        let branch = tip.map(|tip| self.branch(tip)).unwrap_or_default();
        let is_asked = |entry: &&Entry| entry.role == Role::User && !entry.erased && !is_mending(entry);
        branch.into_iter().filter(is_asked).collect()
    }
}

/// A fold under way, with the places of what it found.
#[derive(Default)]
struct Folding {
    done: Transcript,
    entries: HashMap<MessageId, usize>,
    turns: HashMap<TurnId, usize>,
}

impl Folding {
    fn take(&mut self, event: &Event) {
        self.done.session.get_or_insert_with(|| event.session().clone());
        self.done.updated = Some(event.ts());
        match event.kind() {
            SessionCreated::TYPE => {
                self.done.created = Some(event.ts());
                let fact = SessionCreated::of(event).unwrap_or_default();
                (self.done.name, self.done.model) = (fact.name, fact.model);
            }
            SessionRenamed::TYPE => {
                if let Some(fact) = SessionRenamed::of(event) {
                    self.done.name = fact.name;
                }
            }
            SessionDeleted::TYPE | SessionErased::TYPE => self.done.deleted = true,
            SessionForked::TYPE => {
                if let Some(fact) = SessionForked::of(event) {
                    self.fork(event, fact);
                }
            }
            SessionHeadMoved::TYPE => {
                if let Some(fact) = SessionHeadMoved::of(event) {
                    self.done.heads.moved(event.turn(), fact);
                }
            }
            TurnStarted::TYPE => self.start(event),
            TurnCompleted::TYPE | TurnFailed::TYPE | TurnInterrupted::TYPE => self.end(event),
            MessageSystem::TYPE => {
                let fact = MessageSystem::of(event);
                self.say(event, Role::System, fact.map(|f| (f.id, f.parent, f.message, false)));
            }
            MessageUser::TYPE => {
                let fact = MessageUser::of(event);
                self.say(event, Role::User, fact.map(|f| (f.id, f.parent, f.message, false)));
            }
            MessageAssistant::TYPE => {
                let fact = MessageAssistant::of(event);
                self.say(event, Role::Assistant, fact.map(|f| (f.id, f.parent, f.message, f.partial)));
            }
            MessageTool::TYPE => {
                let fact = MessageTool::of(event);
                self.say(event, Role::Tool, fact.map(|f| (f.id, f.parent, f.message, false)));
            }
            MessageEdited::TYPE => match MessageEdited::of(event) {
                Some(fact) => self.edit(event, fact),
                None if event.payload().is_none() => {}
                None => self.unreadable(event),
            },
            MessageDropped::TYPE => {
                if let Some(fact) = MessageDropped::of(event) {
                    self.leave_out(event, &fact);
                }
            }
            SessionSettingsChanged::TYPE => {
                if let Some(fact) = SessionSettingsChanged::of(event) {
                    self.done.model = fact.model.or(self.done.model.take());
                }
            }
            WarningRaised::TYPE => {
                if let Some(fact) = WarningRaised::of(event) {
                    self.warn(event, fact.text);
                }
            }
            LlmResponseCompleted::TYPE | LlmResponseFailed::TYPE | LlmResponseInterrupted::TYPE => {
                self.done.tokens.count(event);
                tally(&mut self.done.cost, event);
            }
            CostCalculated::TYPE | CostRevised::TYPE => tally(&mut self.done.cost, event),
            _ => {}
        }
    }

    /// Keeps what the fork goes on from, and begins anew with everything else.
    fn fork(&mut self, event: &Event, fact: SessionForked) {
        let branch = fact.head.as_ref().map(|head| self.done.branch(head)).unwrap_or_default();
        let kept: HashSet<MessageId> = branch.into_iter().map(|entry| entry.id.clone()).collect();
        let missing = fact.head.as_ref().is_some_and(|head| !kept.contains(head));
        self.done.entries.retain(|entry| kept.contains(&entry.id));
        self.done.turns.retain(|turn| turn.input.as_ref().is_some_and(|input| kept.contains(input)));
        self.count_places();
        self.turns = self.done.turns.iter().enumerate().map(|(at, turn)| (turn.id.clone(), at)).collect();
        self.done.session = Some(event.session().clone());
        (self.done.name, self.done.model) = (fact.name, fact.model);
        (self.done.created, self.done.deleted) = (Some(event.ts()), false);
        self.done.heads = Heads::at(fact.head);
        self.done.tokens = Tokens::default();
        self.done.cost = Total::default();
        self.done.warnings.clear();
        if missing {
            self.warn(
                event,
                format!("what was said before is in session {}, which is not here", fact.parent),
            );
        }
        self.done.parent = Some(fact.parent);
    }

    fn start(&mut self, event: &Event) {
        let Some(id) = event.turn().cloned() else { return };
        let fact = TurnStarted::of(event);
        if let Some(fact) = &fact {
            self.done.heads.started(&id, &fact.input);
        }
        if self.turns.contains_key(&id) {
            return;
        }
        self.turns.insert(id.clone(), self.done.turns.len());
        self.done.turns.push(Turn {
            id,
            base: fact.as_ref().and_then(|fact| fact.base.clone()),
            input: fact.as_ref().map(|fact| fact.input.clone()),
            answer: None,
            agent: fact.as_ref().and_then(|fact| fact.agent.clone()),
            mends: fact.as_ref().and_then(|fact| fact.mends.clone()),
            model: fact.map(|fact| fact.model).unwrap_or_default(),
            ts: event.ts(),
            status: TurnStatus::Open,
        });
    }

    fn end(&mut self, event: &Event) {
        let turn = event.turn().and_then(|id| self.turns.get(id)).map(|at| &mut self.done.turns[*at]);
        let (Some(turn), Some((status, answer))) = (turn, TurnStatus::of(event)) else { return };
        self.done.heads.ended(&turn.id, answer.as_ref());
        if turn.status.is_provisional() {
            turn.status = status;
            turn.answer = answer.or(turn.answer.take());
        }
    }

    fn say(
        &mut self,
        event: &Event,
        role: Role,
        said: Option<(MessageId, Option<MessageId>, Message, bool)>,
    ) {
        let erased = event.payload().is_none();
        if said.is_none() && !erased {
            return self.unreadable(event);
        }
        if let Some((id, parent, ..)) = &said {
            self.done.heads.said(event.turn(), role, id, parent.as_ref());
        }
        let (id, parent, message, partial) = said.unwrap_or_else(|| {
            let id =
                MessageId::from_bits(event.hash().0[..10].try_into().expect("a hash is longer than that"));
            (
                id,
                self.done.entries.last().map(|entry| entry.id.clone()),
                Message::new(role, Vec::new()),
                false,
            )
        });
        let entry = Entry {
            id,
            parent,
            turn: event.turn().cloned(),
            seq: event.seq(),
            ts: event.ts(),
            role: message.role,
            message,
            partial,
            erased,
            replaces: None,
        };
        match self.entries.get(&entry.id).map(|at| &mut self.done.entries[*at]) {
            None => {
                self.entries.insert(entry.id.clone(), self.done.entries.len());
                self.done.entries.push(entry);
            }
            // The whole answer, after what recovery had found of it.
            Some(known) if known.partial && !entry.partial => {
                (known.message, known.partial, known.role) = (entry.message, false, entry.role);
            }
            Some(_) => self.warn(event, format!("event {} repeats a message", event.seq())),
        }
    }

    fn unreadable(&mut self, event: &Event) {
        let why = if event.is_opaque() { ", a later version wrote it" } else { "" };
        self.warn(event, format!("the message of event {} cannot be read{why}", event.seq()));
    }

    fn warn(&mut self, event: &Event, text: String) {
        self.done.warnings.push(Warning { seq: event.seq(), turn: event.turn().cloned(), text });
    }

    /// Gives erased messages the ids by which their turns name them, so that branches still lead through them.
    fn finish(mut self) -> Transcript {
        let mut names: HashMap<MessageId, MessageId> = HashMap::new();
        for entry in self.done.entries.iter_mut().filter(|entry| entry.erased) {
            let turn = entry.turn.as_ref().and_then(|id| self.turns.get(id)).map(|at| &self.done.turns[*at]);
            let name = turn.and_then(|turn| match entry.role {
                Role::User => turn.input.as_ref(),
                Role::Assistant => turn.answer.as_ref(),
                _ => None,
            });
            if let Some(name) = name.filter(|name| !self.entries.contains_key(*name)) {
                let made_up = std::mem::replace(&mut entry.id, name.clone());
                self.entries.insert(name.clone(), 0);
                names.insert(made_up, name.clone());
            }
        }
        for parent in self.done.entries.iter_mut().filter_map(|entry| entry.parent.as_mut()) {
            if let Some(name) = names.get(parent) {
                parent.clone_from(name);
            }
        }
        self.done
    }
}
