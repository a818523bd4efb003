//! Adoption: a foreign conversation becomes a session, or more of one, under ids that are derived from it.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use aichat_events::{
    Draft, Event, Fact, Interruption, LlmResponseCompleted, MessageAssistant, MessageSystem, MessageTool,
    MessageUser, Redactor, Salt, SecretRedacted, SessionCreated, SessionHeadMoved, SessionImportedFrom, Span,
    Timing, TurnCompleted, TurnInterrupted, TurnStarted,
};
use aichat_message::{
    CallId, ErrorKind, EventId, Finish, FinishReason, Json, Message, MessageId, Role, SessionId, TurnId,
    WriterId,
};
use aichat_store::{Lease, Unit};

use super::{Foreign, Said};
use crate::engine::Engine;
use crate::error::Error;
use crate::tail::Tail;
use crate::work::Step;

/// How many conversations one commit takes in.
const BATCH: usize = 64;
/// How much of them, in bytes, once there is more than one.
const BATCH_BYTES: usize = 8 << 20;

/// What became of a foreign conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The session that it is here.
    #[serde(rename = "id")]
    pub session: SessionId,
    /// The tool it was held with.
    pub tool: String,
    /// The tool's own id of the conversation, where it has one.
    pub conversation: Option<String>,
    /// What the tool called the conversation.
    pub name: Option<String>,
    /// How many turns it has.
    pub turns: u64,
    /// How many of them were new here.
    pub new_turns: u64,
    /// Whether its session was deleted here; then nothing was taken in.
    pub deleted: bool,
    /// What of it has no place here, a phrase each.
    pub lost: Vec<String>,
    /// What else is worth knowing, a phrase each.
    pub notes: Vec<String>,
}

/// What is new of some conversations, with what keeps their blobs from being swept until it is in the log.
#[derive(Default)]
struct Batch {
    units: Vec<Unit>,
    pin: Option<Box<dyn Lease>>,
    bytes: usize,
}

/// The messages of a turn, and what tells it apart within its conversation.
struct Turn<'a> {
    key: [u8; 32],
    said: &'a [Said],
}

/// A conversation, and what is here of it.
struct Case<'a> {
    tool: &'a str,
    foreign: &'a Foreign,
    turns: Vec<Turn<'a>>,
    session: SessionId,
    log: Vec<Event>,
}

impl Engine {
    /// Takes in conversations that were held with another tool. Each becomes a session, whole or not at all; doing it
    /// again changes nothing, and a conversation that went on there adds what is new. One that changed there, or went
    /// on both here and there, has a branch for each; what was taken in last is its head.
    ///
    /// # Errors
    /// Fails with kind `input` where a conversation is empty or has ids that are not unique, `busy` where one of the
    /// sessions is being written to, and `store`. The conversations before that one may then have been taken in.
    pub async fn adopt(&self, tool: &str, conversations: &[Foreign]) -> Result<Vec<Adopted>, Error> {
        self.using_store(self.adopt_all(tool, conversations)).await
    }

    async fn adopt_all(&self, tool: &str, conversations: &[Foreign]) -> Result<Vec<Adopted>, Error> {
        self.fold_waiting().await?;
        let (mut all, mut batch) = (Vec::new(), Batch::default());
        let mut names = HashSet::new();
        let mut steps = self.steps(Step::TakeIn, Some(conversations.len()));
        for foreign in conversations {
            let mut case = Case::find(self, tool, foreign).await?;
            // What is not committed yet is not seen, and a conversation may come twice.
            if batch.units.iter().any(|unit| unit.stream == case.session) {
                self.commit_adopted(std::mem::take(&mut batch)).await?;
                case = Case::find(self, tool, foreign).await?;
            }
            all.push(self.plan(&case, &mut names, &mut batch).await?);
            steps.done(1);
            if batch.units.len() == BATCH || batch.bytes > BATCH_BYTES {
                self.commit_adopted(std::mem::take(&mut batch)).await?;
            }
        }
        self.commit_adopted(batch).await?;
        Ok(all)
    }

    async fn commit_adopted(&self, batch: Batch) -> Result<(), Error> {
        if batch.units.is_empty() {
            return Ok(());
        }
        self.0.store.commit(batch.units).await.map_err(|error| match error.kind() {
            aichat_store::ErrorKind::Conflict => {
                Error::new(ErrorKind::Busy, "a session changed while it was taken in; import again")
                    .with_source(error)
            }
            _ => error.into(),
        })
    }

    /// Drafts what is new of a conversation.
    async fn plan(
        &self,
        case: &Case<'_>,
        names: &mut HashSet<String>,
        batch: &mut Batch,
    ) -> Result<Adopted, Error> {
        let Case { tool, foreign, turns, session, log } = case;
        let masked = |text: &String| self.0.secrets.redactor().redact_str(text).into_owned();
        let mut adopted = Adopted {
            session: session.clone(),
            tool: (*tool).to_owned(),
            conversation: foreign.id.as_ref().map(masked),
            name: foreign.name.as_ref().map(masked),
            turns: turns.len() as u64,
            new_turns: 0,
            deleted: false,
            lost: foreign.lost.iter().map(masked).collect(),
            notes: Vec::new(),
        };
        let summary = match log.is_empty() {
            true => None,
            false => match self.summary(session).await {
                Err(error) if error.kind() == ErrorKind::Input => {
                    adopted.deleted = true;
                    return Ok(adopted);
                }
                summary => Some(summary?),
            },
        };
        let known: HashSet<&TurnId> = started(log).collect();
        let first_new = turns.iter().position(|turn| !known.contains(&turn_id(session, turn)));
        let Some(first_new) = first_new else { return Ok(adopted) };
        if summary.is_some() {
            self.check_idle(session).await?;
        }

        let (before, new) = turns.split_at(first_new);
        // A log that does not reach back to what is here goes on where that ended.
        let mut base = before.last().map(|turn| (turn_id(session, turn), last_message(session, turn)));
        if base.is_none() {
            base = summary.as_ref().and_then(|s| Some((s.last_turn.clone()?, s.heads.head.clone()?)));
        }
        let head = base.as_ref().map(|(_, message)| message);
        if summary.as_ref().is_some_and(|summary| summary.heads.head.as_ref() != head) {
            adopted.notes.push("it had gone on another way, which is kept on a branch of its own".to_owned());
        }
        let name = match (&foreign.id, &foreign.name) {
            (None, Some(name)) if log.is_empty() => {
                let refused = match self.check_name(name).await {
                    Ok(()) if names.insert(name.clone()) => None,
                    Ok(()) => Some("another one of this import has that name".to_owned()),
                    Err(error) if error.kind() == ErrorKind::Input => Some(error.to_string()),
                    Err(error) => return Err(error),
                };
                adopted
                    .notes
                    .extend(refused.iter().map(|why| masked(&format!("it has no name here: {why}"))));
                refused.is_none().then(|| name.clone())
            }
            _ => None,
        };
        let mut tail = Tail::read(self, session).await?;
        let now = self.0.effects.clock.now_us();
        let mut pen = Pen::new(self, session, new, now);
        pen.write(
            &mut tail,
            &new[0].key,
            &SessionImportedFrom {
                tool: (*tool).to_owned(),
                conversation: foreign.id.clone(),
                name: foreign.name.clone(),
                imported: now,
                lost: foreign.lost.clone(),
            },
        );
        if log.is_empty() {
            let model = foreign.said.iter().find_map(|said| model(&said.message));
            pen.write(&mut tail, &new[0].key, &SessionCreated { name, model, scope: None });
        }
        for turn in new {
            let mut messages = Vec::with_capacity(turn.said.len());
            for said in turn.said {
                let message = self.keep_media(&said.message, &mut batch.pin).await?;
                messages.push(pen.redactor.redact_message(&message));
            }
            let follows = base.as_ref().map(|(_, message)| message.clone());
            let heads = tail.heads().filter(|heads| heads.head != follows);
            if let Some(branch) = heads.map(|heads| heads.branch.clone()) {
                pen.write(&mut tail, &turn.key, &SessionHeadMoved { branch, head: follows });
            }
            pen.turn(&mut tail, turn, messages, base);
            base = Some((turn_id(session, turn), last_message(session, turn)));
        }
        adopted.new_turns = new.len() as u64;
        let unit = tail.into_unit();
        batch.bytes += unit.events.iter().map(|row| row.bytes.len()).sum::<usize>();
        batch.units.push(unit);
        Ok(adopted)
    }
}

impl<'a> Case<'a> {
    /// Finds the session of a conversation. That is the one derived from what the conversation is called, unless
    /// what is here of it lacks its beginning, which nothing can go before any more.
    async fn find(engine: &Engine, tool: &'a str, foreign: &'a Foreign) -> Result<Self, Error> {
        let turns = turns(foreign)?;
        let name = foreign.name.as_deref().unwrap_or_default();
        let first = turns[0].key;
        let called: [&[u8]; 3] = match &foreign.id {
            Some(id) => [b"id", id.as_bytes(), b""],
            None => [b"name", name.as_bytes(), &first],
        };
        for more in [0, 1, turns.len()] {
            let session = {
                let keys = turns[..more].iter().map(|turn| &turn.key[..]);
                let seed = [b"session", tool.as_bytes()].into_iter().chain(called).chain(keys);
                SessionId::from_bits(derive(&seed.collect::<Vec<_>>()))
            };
            let log = engine.log(&session).await?;
            let known: HashSet<&TurnId> = started(&log).collect();
            let mut is_known = turns.iter().map(|turn| known.contains(&turn_id(&session, turn)));
            if is_known.by_ref().all(|known| known) || !is_known.any(|known| known) {
                return Ok(Self { tool, foreign, turns, session, log });
            }
        }
        let called = foreign.id.as_deref().unwrap_or(name);
        Err(Error::input(format!("conversation {called:?} is here in another order")))
    }
}

fn started(log: &[Event]) -> impl Iterator<Item = &TurnId> {
    log.iter().filter(|event| event.kind() == TurnStarted::TYPE).filter_map(Event::turn)
}

/// Divides a conversation into turns.
fn turns(foreign: &Foreign) -> Result<Vec<Turn<'_>>, Error> {
    let called = || foreign.id.as_deref().or(foreign.name.as_deref()).unwrap_or("without a name");
    let asks = |said: &Said| matches!(said.message.role, Role::System | Role::Developer | Role::User);
    let instructs = |said: &Said| asks(said) && said.message.role != Role::User;
    let parts = foreign.said.chunk_by(|before, next| !asks(next) || instructs(before));
    let (mut turns, mut keys, mut before) = (Vec::new(), HashSet::new(), [0; 32]);
    for said in parts {
        let mut hasher = blake3::Hasher::new();
        let has_ids = said.iter().all(|said| said.id.is_some());
        if !has_ids {
            hasher.update(&before);
        }
        for said in said {
            let text = match (&said.id, has_ids) {
                (Some(id), true) => id.clone(),
                _ => serde_json::to_string(&said.message).expect("messages have string keys only"),
            };
            hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
        }
        let key = *hasher.finalize().as_bytes();
        if !keys.insert(key) {
            return Err(Error::input(format!("conversation {:?} has ids that are not unique", called())));
        }
        before = key;
        turns.push(Turn { key, said });
    }
    match turns.is_empty() {
        true => Err(Error::input(format!("conversation {:?} holds no messages", called()))),
        false => Ok(turns),
    }
}

fn turn_id(session: &SessionId, turn: &Turn<'_>) -> TurnId {
    TurnId::from_bits(derive(&[b"turn", session.as_str().as_bytes(), &turn.key]))
}

fn message_id(session: &SessionId, turn: &Turn<'_>, n: usize) -> MessageId {
    MessageId::from_bits(derive(&[b"message", session.as_str().as_bytes(), &turn.key, &n.to_be_bytes()]))
}

fn last_message(session: &SessionId, turn: &Turn<'_>) -> MessageId {
    message_id(session, turn, turn.said.len() - 1)
}

fn model(message: &Message) -> Option<String> {
    message.origin.as_ref().map(|origin| format!("{}/{}", origin.provider, origin.model))
}

/// Returns bits that depend on nothing but the parts, each with its length.
fn derive<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key("aichat adoption v1");
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut bits = [0; N];
    hasher.finalize_xof().fill(&mut bits);
    bits
}

/// Writes the events of one adoption: everything through the redactor, ids derived, salts not. A salt that anybody
/// could work out would not keep what is erased from being guessed.
struct Pen<'a> {
    engine: &'a Engine,
    session: &'a SessionId,
    redactor: Arc<Redactor>,
    writer: WriterId,
    turn: Option<TurnId>,
    call: Option<CallId>,
    cause: Option<EventId>,
    begun: i64,
    now: i64,
    n: usize,
}

impl<'a> Pen<'a> {
    fn new(engine: &'a Engine, session: &'a SessionId, turns: &[Turn<'_>], now: i64) -> Self {
        let begun = turns.iter().flat_map(|turn| turn.said).find_map(|said| said.at).unwrap_or(now);
        Self {
            engine,
            session,
            redactor: Arc::new(engine.0.secrets.redactor().counted()),
            writer: WriterId::from_bits(derive(&[b"writer", session.as_str().as_bytes()])),
            turn: None,
            call: None,
            cause: None,
            begun,
            now: begun,
            n: 0,
        }
    }

    fn turn(
        &mut self,
        tail: &mut Tail,
        turn: &Turn<'_>,
        messages: Vec<Message>,
        base: Option<(TurnId, MessageId)>,
    ) {
        let (key, id) = (&turn.key, |n| message_id(self.session, turn, n));
        let ids: Vec<MessageId> = (0..turn.said.len()).map(id).collect();
        let input = turn.said.iter().position(|said| said.message.role == Role::User).unwrap_or(0);
        let answer = turn.said.iter().rposition(|said| said.message.role == Role::Assistant);
        let (base, mut parent) = base.unzip();
        let model = turn.said.iter().find_map(|said| model(&said.message)).unwrap_or_default();
        self.now = turn.said[0].at.unwrap_or(self.now);
        (self.turn, self.n) = (Some(turn_id(self.session, turn)), 0);
        self.write(
            tail,
            key,
            &TurnStarted { base, input: ids[input].clone(), model, agent: None, scope: None, mends: None },
        );
        let mut finish = unknown();
        for ((n, said), message) in turn.said.iter().enumerate().zip(messages) {
            self.now = said.at.unwrap_or(self.now);
            let id = ids[n].clone();
            let before = parent.replace(id.clone());
            match said.message.role {
                Role::System | Role::Developer => {
                    self.masked(tail, key, &MessageSystem { id, parent: before, message });
                }
                Role::Assistant => {
                    let response = said.response.clone().unwrap_or_else(silent);
                    finish = response.finish.clone();
                    self.call = Some(CallId::from_bits(derive(&[b"call", id.as_str().as_bytes()])));
                    self.write(tail, key, &response);
                    self.masked(tail, key, &MessageAssistant { id, parent: before, message, partial: false });
                }
                Role::Tool => self.masked(tail, key, &MessageTool { id, parent: before, message }),
                _ => self.masked(tail, key, &MessageUser { id, parent: before, message }),
            }
        }
        let counts = self.redactor.take_counts();
        if !counts.is_empty() {
            self.masked(tail, key, &SecretRedacted { counts });
        }
        match answer {
            Some(at) if at + 1 == ids.len() => {
                self.write(tail, key, &TurnCompleted { answer: ids[at].clone(), finish });
            }
            at => {
                let answer = at.map(|at| ids[at].clone());
                self.write(tail, key, &TurnInterrupted { reason: Interruption::Other, answer });
            }
        }
    }

    /// Writes a fact whose every string is masked.
    fn write<F: Fact>(&mut self, tail: &mut Tail, key: &[u8], fact: &F) {
        let payload = self.redactor.redact_json(&json(fact));
        self.draft::<F>(tail, key, payload);
    }

    /// Writes a fact about a message that is masked already.
    fn masked<F: Fact>(&mut self, tail: &mut Tail, key: &[u8], fact: &F) {
        self.draft::<F>(tail, key, json(fact));
    }

    fn draft<F: Fact>(&mut self, tail: &mut Tail, key: &[u8], payload: Json) {
        self.n += 1;
        let session = self.session.as_str().as_bytes();
        let id =
            EventId::from_bits(derive(&[b"event", session, key, F::TYPE.as_bytes(), &self.n.to_be_bytes()]));
        let span = |what: &[u8], id: &str| Span(derive(&[what, id.as_bytes()]));
        let call = self.call.as_ref().filter(|_| F::TYPE.starts_with("llm."));
        let turn_span = self.turn.as_ref().map(|turn| span(b"span", turn.as_str()));
        tail.append(&Draft {
            id: id.clone(),
            session: self.session.clone(),
            ts: self.now,
            mono_us: u64::try_from(self.now.saturating_sub(self.begun)).unwrap_or(0),
            writer: self.writer.clone(),
            kind: F::TYPE.to_owned(),
            tv: F::VERSION,
            turn: self.turn.clone(),
            run: None,
            call: call.cloned(),
            span: call.map(|call| span(b"span", call.as_str())).or(turn_span),
            parent_span: call.and(turn_span),
            cause: self.cause.replace(id),
            salt: Salt(self.engine.0.effects.bits()),
            payload,
        });
    }
}

fn json<F: Serialize>(fact: &F) -> Json {
    Json::from_value(fact).expect("facts have string keys only")
}

fn unknown() -> Finish {
    Finish { reason: FinishReason::Other, raw: None }
}

/// Returns what an answer says that says nothing of itself: it took tokens, and nobody knows how many.
fn silent() -> LlmResponseCompleted {
    LlmResponseCompleted {
        model: None,
        response_id: None,
        request_id: None,
        finish: unknown(),
        usage: None,
        timing: Timing::default(),
        rate_limits: Vec::new(),
    }
}
