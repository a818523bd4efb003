//! A session on its way in: its events, checked to be one whole chain.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use aichat_events::{Chain, Event, Hash};
use aichat_message::{EventId, SessionId};

use super::line::Blob;
use super::read;
use crate::blobs;
use crate::error::Error;

/// A session that was read, checked to be one whole chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    session: SessionId,
    events: Vec<Event>,
    blobs: BTreeMap<String, Vec<u8>>,
    line: u64,
}

/// A session that was not taken in, and why.
#[derive(Debug)]
pub struct Rejected {
    /// The line at fault; the first is 1.
    pub line: u64,
    /// The session, where it could be told.
    pub session: Option<SessionId>,
    /// Why.
    pub error: Error,
}

impl Document {
    /// Reads a text that holds one session.
    ///
    /// # Errors
    /// Fails with kind `input` where it holds none or several, or one that is not whole.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut found = Vec::new();
        read::read(text.as_bytes(), &mut |one| {
            found.push(one);
            std::ops::ControlFlow::Continue(())
        });
        match found.len() {
            1 => found.remove(0).map_err(|refused| refused.error),
            n => Err(Error::input(format!("the text holds {n} sessions, and one is wanted"))),
        }
    }

    /// Returns the session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Returns the events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the bytes of its attachments under their hashes, as far as they came with it.
    pub fn blobs(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.blobs
    }

    /// Returns the line on which it began.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn refuse(&self, line: u64, why: impl Into<String>) -> Rejected {
        Rejected { line, session: Some(self.session.clone()), error: Error::input(why) }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(session) = &self.session {
            write!(f, "session {session}: ")?;
        }
        write!(f, "{}", self.error)
    }
}

impl std::error::Error for Rejected {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Puts a document together, one piece after another. After the first fault nothing more is kept.
pub(super) struct Builder {
    session: Option<SessionId>,
    line: u64,
    chain: Chain,
    events: Vec<Event>,
    ids: HashSet<EventId>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// What the events refer to.
    wanted: HashSet<String>,
    seen: u64,
    fault: Option<(u64, String)>,
}

impl Builder {
    /// Begins a document on a line.
    pub(super) fn new(line: u64) -> Self {
        Self {
            session: None,
            line,
            chain: Chain::new(),
            events: Vec::new(),
            ids: HashSet::new(),
            blobs: BTreeMap::new(),
            wanted: HashSet::new(),
            seen: 0,
            fault: None,
        }
    }

    /// Says which session it is.
    pub(super) fn name(&mut self, session: SessionId) {
        self.session = Some(session);
    }

    /// Says that something is wrong on a line.
    pub(super) fn fail(&mut self, line: u64, why: impl Into<String>) {
        if self.fault.is_none() {
            self.fault = Some((line, why.into()));
            (self.events, self.ids) = (Vec::new(), HashSet::new());
            (self.blobs, self.wanted) = (BTreeMap::new(), HashSet::new());
        }
    }

    /// Takes the next event.
    pub(super) fn event(&mut self, text: &str, line: u64) {
        self.seen += 1;
        if self.fault.is_none()
            && let Err(why) = self.admit(text)
        {
            self.fail(line, why);
        }
    }

    fn admit(&mut self, text: &str) -> Result<(), String> {
        let seen = self.seen;
        let event = Event::parse(text).map_err(|error| format!("event {seen}: {error}"))?;
        if self.session.as_ref().is_some_and(|session| session != event.session()) {
            return Err(format!("event {seen} belongs to session {}", event.session()));
        }
        self.chain.push(&event).map_err(|fault| fault.to_string())?;
        if !self.ids.insert(event.id().clone()) {
            return Err(format!("event {seen} has the id {} of an event before it", event.id()));
        }
        self.wanted.extend(blobs::of(&event));
        self.events.push(event);
        Ok(())
    }

    /// Takes the bytes of an attachment.
    pub(super) fn blob(&mut self, blob: Blob, line: u64) {
        if self.fault.is_some() {
            return;
        }
        let Blob { hash, base64 } = blob;
        if !blobs::is_name(&hash) {
            return self.fail(line, "the name of a blob is 64 hex digits in lower case");
        }
        match STANDARD.decode(base64) {
            Err(_) => self.fail(line, format!("blob {hash} is not base64")),
            Ok(bytes) if blake3::hash(&bytes).to_hex().as_str() != hash => {
                self.fail(line, format!("the bytes of blob {hash} do not have that hash"));
            }
            Ok(bytes) => {
                if self.blobs.insert(hash.clone(), bytes).is_some() {
                    self.fail(line, format!("blob {hash} comes twice"));
                }
            }
        }
    }

    /// Returns the document, which must have so many events and end with this hash.
    pub(super) fn finish(mut self, line: u64, count: u64, head: &Hash) -> Result<Document, Rejected> {
        let first = self.events.first().map(|event| event.session().clone());
        if self.session.is_none() {
            self.fail(line, "it does not say which session it is");
        } else if first.is_some() && first != self.session {
            self.fail(line, "its events belong to another session");
        } else if self.seen == 0 {
            self.fail(line, "it holds no events");
        } else if self.seen != count {
            let seen = self.seen;
            self.fail(line, format!("it is not whole: it holds {seen} events and says it should be {count}"));
        } else if self.chain.head() != *head {
            self.fail(line, "its last event does not have the hash that it ends with");
        } else if let Some(hash) = self.blobs.keys().find(|hash| !self.wanted.contains(*hash)).cloned() {
            self.fail(line, format!("nothing in it refers to blob {hash}"));
        }
        match (self.fault, self.session) {
            (None, Some(session)) => {
                Ok(Document { session, events: self.events, blobs: self.blobs, line: self.line })
            }
            (fault, session) => {
                let (line, why) = fault.unwrap_or_else(|| (line, "it is not whole".to_owned()));
                Err(Rejected { line, session, error: Error::input(why) })
            }
        }
    }

    /// Returns why the document is not whole, where it ended before its end.
    pub(super) fn cut(self, line: u64, why: &str) -> Rejected {
        let (line, why) = self.fault.unwrap_or_else(|| (line, why.to_owned()));
        Rejected { line, session: self.session, error: Error::input(why) }
    }
}
