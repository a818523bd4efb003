//! Export and import: a session as lines of JSON that carry every event byte for byte.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use aichat_events::{Chain, Event, Hash};
use aichat_message::{ErrorKind, SessionId};

use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::tail::Tail;

/// What every export says it is.
const SCHEMA: &str = "aichat.session/1";

/// A session on its way out or in: its events, checked to be one whole chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    session: SessionId,
    events: Vec<Event>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The session.
    pub session: SessionId,
    /// How many events it has.
    pub events: u64,
    /// How many of them were new here.
    pub added: u64,
}

#[derive(Serialize, Deserialize)]
struct HeadLine {
    schema: String,
    kind: String,
    session: SessionId,
}

#[derive(Serialize, Deserialize)]
struct TailLine {
    schema: String,
    kind: String,
    events: u64,
    head: Hash,
}

#[derive(Deserialize)]
struct Whole<'a> {
    schema: String,
    session: SessionId,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    documents: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    blobs: Vec<&'a RawValue>,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    hash: Hash,
}

impl Document {
    /// Returns the session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Returns the events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the session with every payload replaced by a tombstone; its chain still verifies.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self { session: self.session.clone(), events: self.events.iter().map(Event::erase).collect() }
    }

    fn head(&self) -> (u64, Hash) {
        self.events.last().map_or((0, Hash::ZERO), |last| (last.seq(), *last.hash()))
    }

    /// Returns the session as lines: a head, one event a line, a tail with the hash of the last event.
    pub fn to_jsonl(&self) -> String {
        let (events, head) = self.head();
        let first = HeadLine { schema: SCHEMA.into(), kind: "head".into(), session: self.session.clone() };
        let last = TailLine { schema: SCHEMA.into(), kind: "tail".into(), events, head };
        let mut text = line(&first);
        for event in &self.events {
            text.push_str(event.line());
            text.push('\n');
        }
        text.push_str(&line(&last));
        text
    }

    /// Returns the session as one JSON object.
    pub fn to_json(&self) -> String {
        let (seq, hash) = self.head();
        let mut text = format!("{{\"schema\":\"{SCHEMA}\",\"session\":\"{}\",\"events\":[", self.session);
        for (n, event) in self.events.iter().enumerate() {
            text.push_str(if n == 0 { "\n" } else { ",\n" });
            text.push_str(event.line());
        }
        write!(text, "\n],\"documents\":[],\"blobs\":[],\"head\":{{\"seq\":{seq},\"hash\":\"{hash}\"}}}}\n")
            .expect("writing to a string does not fail");
        text
    }

    /// Reads either form.
    ///
    /// # Errors
    /// Fails with kind `input` where the text is neither, is cut off, or does not hold one whole chain.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().next().unwrap_or_default();
        let (session, lines, events, head) = match serde_json::from_str::<HeadLine>(first) {
            Ok(head) if head.kind == "head" => {
                expect_schema(&head.schema)?;
                let mut lines: Vec<&str> =
                    text.lines().skip(1).filter(|line| !line.trim().is_empty()).collect();
                let tail = lines.pop().and_then(|line| serde_json::from_str::<TailLine>(line).ok());
                let tail = tail.filter(|tail| tail.kind == "tail").ok_or_else(|| {
                    Error::input(
                        "the file is cut off: its last line does not give the hash of the chain's head",
                    )
                })?;
                expect_schema(&tail.schema)?;
                (head.session, lines, tail.events, tail.head)
            }
            _ => {
                let whole: Whole<'_> = serde_json::from_str(text).map_err(|error| {
                    let place = format!("line {} column {}", error.line(), error.column());
                    Error::input(format!("the file is no export of a session: {place}")).with_source(error)
                })?;
                expect_schema(&whole.schema)?;
                if !whole.documents.is_empty() || !whole.blobs.is_empty() {
                    return Err(Error::input(
                        "the file holds documents or blobs, which this version cannot import",
                    ));
                }
                let lines = whole.events.iter().map(|raw| raw.get()).collect();
                (whole.session, lines, whole.head.seq, whole.head.hash)
            }
        };
        Self::check(session, &lines, events, head)
    }

    fn check(session: SessionId, lines: &[&str], count: u64, head: Hash) -> Result<Self, Error> {
        let mut chain = Chain::new();
        let mut events = Vec::with_capacity(lines.len());
        for (n, line) in lines.iter().enumerate() {
            let refuse = |what: String| Error::input(format!("event {} of the file: {what}", n + 1));
            let event = Event::parse(line).map_err(|error| refuse(error.to_string()))?;
            if *event.session() != session {
                return Err(refuse("it belongs to another session".into()));
            }
            chain.push(&event).map_err(|fault| refuse(fault.to_string()))?;
            events.push(event);
        }
        if events.is_empty() {
            return Err(Error::input("the file holds no events"));
        }
        if chain.seq() != count || chain.head() != head {
            return Err(Error::input(format!(
                "the file is not whole: it holds {} events and says it should be {count}",
                chain.seq()
            )));
        }
        Ok(Self { session, events })
    }
}

fn expect_schema(schema: &str) -> Result<(), Error> {
    match schema {
        SCHEMA => Ok(()),
        other => Err(Error::input(format!("the file's schema is {other:?}; this version reads {SCHEMA:?}"))),
    }
}

fn line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).expect("export lines have string keys only");
    text.push('\n');
    text
}

impl Engine {
    /// Returns a session for export. Turns that wait are folded first, since an export gives places and hashes.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn export(&self, session: &SessionId) -> Result<Document, Error> {
        self.using_store(async {
            self.fold_waiting().await?;
            let events = self.log(session).await?;
            match events.is_empty() {
                true => Err(Error::input(format!("there is no session {session}"))),
                false => Ok(Document { session: session.clone(), events }),
            }
        })
        .await
    }

    /// Takes a session in. Importing it again changes nothing; a longer export of a session that is here already
    /// adds what is new.
    ///
    /// # Errors
    /// Fails with kind `input` where the session is here and went another way, or one of its events is here in
    /// another session, and with kind `store`. Then nothing was taken in.
    pub async fn import(&self, document: &Document) -> Result<Imported, Error> {
        self.using_store(self.take_in(document)).await
    }

    async fn take_in(&self, document: &Document) -> Result<Imported, Error> {
        self.fold_waiting().await?;
        let session = &document.session;
        if is_system(session) {
            return Err(Error::input(format!("{session} is no session: documents are taken in one by one")));
        }
        let here = self.log(session).await?;
        let shared = here.iter().zip(&document.events).take_while(|(a, b)| a.hash() == b.hash()).count();
        if shared < here.len() && shared < document.events.len() {
            return Err(Error::input(format!(
                "session {session} is here already and differs from event {} on",
                shared + 1
            )));
        }
        let new = document.events.get(here.len()..).unwrap_or_default();
        for event in new {
            if let Some((other, _)) = self.0.store.find(event.id()).await? {
                return Err(Error::input(format!(
                    "event {} is here already, in session {other}",
                    event.id()
                )));
            }
        }
        if !new.is_empty() {
            let mut tail = Tail::read(self.store(), session).await?;
            new.iter().for_each(|event| tail.push(event.clone()));
            self.0.store.commit(vec![tail.into_unit()]).await.map_err(|error| match error.kind() {
                aichat_store::ErrorKind::Conflict => {
                    Error::new(ErrorKind::Busy, format!("session {session} changed meanwhile"))
                        .with_source(error)
                }
                _ => error.into(),
            })?;
        }
        Ok(Imported {
            session: session.clone(),
            events: here.len().max(document.events.len()) as u64,
            added: new.len() as u64,
        })
    }
}
