//! The envelope: an event before it has a place in its stream, and the line it becomes there.

use std::fmt;
use std::sync::Arc;

use aichat_message::{CallId, EventId, Json, SessionId, TurnId, WriterId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::chain::{Fault, What};
use crate::error::{Error, ErrorKind};
use crate::fact;
use crate::hex::{Hash, Salt, Span};

/// The version of the envelope that this program writes, and the newest that it reads.
pub const ENVELOPE_VERSION: u32 = 1;

/// What is hashed before the head of every event, so that no other hash can be mistaken for one of the chain.
const DOMAIN: &[u8] = b"aichat event v1\n";

const HASH_KEY: &str = ",\"hash\":\"";
const SALT_KEY: &str = ",\"salt\":";
const PAYLOAD_KEY: &str = ",\"payload\":";
const ERASED: &str = ",\"salt\":null,\"payload\":null}";

/// How deep a payload may be nested to be read into a type; deeper ones are kept and verified all the same.
const MAX_DEPTH: usize = 256;

/// An event that has no place in its stream yet: what a journal records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Names the event.
    pub id: EventId,
    /// The stream it belongs to.
    pub session: SessionId,
    /// When it happened, in microseconds since 1970 UTC.
    pub ts: i64,
    /// When it happened, in microseconds since the writer started; for durations, because wall clocks jump.
    pub mono_us: u64,
    /// The process that wrote it.
    pub writer: WriterId,
    /// What happened, a dotted past-tense fact.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the payload.
    pub tv: u32,
    /// The turn it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The call it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The span it starts, ends or falls into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// The span around that span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span: Option<Span>,
    /// The event that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// Random bytes, used for this event alone.
    pub salt: Salt,
    /// What happened in detail; its bytes are kept and hashed as they are.
    pub payload: Json,
}

/// The fields of a line that its hash covers, as they are read.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Head {
    /// Names the event; never used for order.
    #[cfg_attr(test, schemars(with = "crate::schema::EventId"))]
    id: EventId,
    /// The stream it belongs to.
    #[cfg_attr(test, schemars(with = "crate::schema::SessionId"))]
    session: SessionId,
    /// Its place in the stream; the first is 1, and there is no gap.
    seq: u64,
    /// When it happened, in microseconds since 1970 UTC.
    ts: i64,
    /// When it happened, in microseconds since the writer started; for durations, because wall clocks jump.
    mono_us: u64,
    /// The process that wrote it.
    #[cfg_attr(test, schemars(with = "crate::schema::WriterId"))]
    writer: WriterId,
    /// What happened, a dotted past-tense fact.
    #[serde(rename = "type")]
    kind: String,
    /// The version of the payload.
    tv: u32,
    /// The turn it belongs to.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::TurnId>"))]
    turn: Option<TurnId>,
    /// The run it belongs to.
    run: Option<String>,
    /// The call it belongs to.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::CallId>"))]
    call: Option<CallId>,
    /// The span it starts, ends or falls into.
    span: Option<Span>,
    /// The span around that span.
    parent_span: Option<Span>,
    /// The event that led to this one.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::EventId>"))]
    cause: Option<EventId>,
    /// BLAKE3 of the salt's 16 bytes and the payload as it was written.
    payload_hash: Hash,
    /// The hash of the event before; of the first one 64 zeros.
    prev: Hash,
}

/// The same fields in the order in which they are written.
#[derive(Serialize)]
struct HeadLine<'a> {
    v: u32,
    id: &'a EventId,
    session: &'a SessionId,
    seq: u64,
    ts: i64,
    mono_us: u64,
    writer: &'a WriterId,
    #[serde(rename = "type")]
    kind: &'a str,
    tv: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<&'a TurnId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a CallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a EventId>,
    payload_hash: Hash,
    prev: Hash,
}

impl Draft {
    /// Returns the event at place `seq` (the first is 1) after the event whose hash is `prev`.
    pub fn seal(&self, seq: u64, prev: &Hash) -> Event {
        let payload_hash = hash_payload(&self.salt, self.payload.get());
        let head = HeadLine {
            v: ENVELOPE_VERSION,
            id: &self.id,
            session: &self.session,
            seq,
            ts: self.ts,
            mono_us: self.mono_us,
            writer: &self.writer,
            kind: &self.kind,
            tv: self.tv,
            turn: self.turn.as_ref(),
            run: self.run.as_deref(),
            call: self.call.as_ref(),
            span: self.span,
            parent_span: self.parent_span,
            cause: self.cause.as_ref(),
            payload_hash,
            prev: *prev,
        };
        let mut line = serde_json::to_string(&head).expect("a head holds only numbers and text");
        line.truncate(line.len() - 1);
        let head_len = line.len();
        let hash = hash_head(&line);
        line.push_str(&format!("{HASH_KEY}{hash}\"{SALT_KEY}\"{}\"{PAYLOAD_KEY}", self.salt));
        line.push_str(self.payload.get());
        line.push('}');
        let head = Head {
            id: self.id.clone(),
            session: self.session.clone(),
            seq,
            ts: self.ts,
            mono_us: self.mono_us,
            writer: self.writer.clone(),
            kind: self.kind.clone(),
            tv: self.tv,
            turn: self.turn.clone(),
            run: self.run.clone(),
            call: self.call.clone(),
            span: self.span,
            parent_span: self.parent_span,
            cause: self.cause.clone(),
            payload_hash,
            prev: *prev,
        };
        Event(Arc::new(Inner { line, head_len, head, hash, body: Some((self.salt, self.payload.clone())) }))
    }
}

/// An event in its place: one line of the log, byte for byte, and what it says.
///
/// The line begins with the *head*, flat fields that the hash covers, among them the hash of the payload and
/// the hash of the event before. Hash, salt and payload follow. Because the hash covers the payload only
/// through its salted hash, salt and payload can be erased and the chain still verifies. Cheap to clone.
///
/// `payload_hash` is BLAKE3 of the 16 bytes of the salt and the payload as written. `hash` is BLAKE3 of
/// `aichat event v1`, a line feed, and the line as written up to before `,"hash":`.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    line: String,
    head_len: usize,
    head: Head,
    hash: Hash,
    body: Option<(Salt, Json)>,
}

impl Event {
    /// Reads a line of a log; it is not verified yet.
    ///
    /// Types and flat head fields that this version does not know are kept with the line.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Newer`] where a later version of the envelope was written, and with
    /// [`ErrorKind::Malformed`] where the line is not exactly one event.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let digits = line.strip_prefix("{\"v\":").and_then(|rest| rest.split(',').next());
        let version: u32 = digits
            .filter(|digits| !digits.starts_with('+'))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Error::malformed("the line does not begin as an event does"))?;
        if version > ENVELOPE_VERSION {
            let text =
                format!("the event has version {version}, this program reads up to {ENVELOPE_VERSION}");
            return Err(Error::new(ErrorKind::Newer, text));
        }
        if line.contains(['\n', '\r']) {
            return Err(Error::malformed("the event holds a line break"));
        }
        // Outside a string the quote after the comma starts a key, and inside one it would be escaped: the
        // first occurrence is the key itself.
        let head_len = line.find(HASH_KEY).ok_or_else(|| Error::malformed("the event has no hash"))?;
        let (hash, body) = Self::parse_tail(&line[head_len..])
            .ok_or_else(|| Error::malformed("the end of the event is not hash, salt and payload"))?;
        let head: Head = serde_json::from_str(&format!("{}}}", &line[..head_len])).map_err(|e| {
            Error::malformed(format!("the head of the event does not read at column {}", e.column()))
        })?;
        Ok(Self(Arc::new(Inner { line: line.to_owned(), head_len, head, hash, body })))
    }

    /// Reads everything from the hash on; its layout is fixed to the byte.
    fn parse_tail(tail: &str) -> Option<(Hash, Option<(Salt, Json)>)> {
        let (hash, rest) = tail.strip_prefix(HASH_KEY)?.split_once('"')?;
        let hash = hash.parse().ok()?;
        if rest == ERASED {
            return Some((hash, None));
        }
        let (salt, rest) = rest.strip_prefix(SALT_KEY)?.strip_prefix('"')?.split_once('"')?;
        let text = rest.strip_prefix(PAYLOAD_KEY)?.strip_suffix('}')?;
        let payload = Json::new(text).ok().filter(|payload| payload.get() == text)?;
        Some((hash, Some((salt.parse().ok()?, payload))))
    }

    /// Returns the line, without a line break.
    pub fn line(&self) -> &str {
        &self.0.line
    }

    /// Returns the event's name.
    pub fn id(&self) -> &EventId {
        &self.0.head.id
    }

    /// Returns the stream it belongs to.
    pub fn session(&self) -> &SessionId {
        &self.0.head.session
    }

    /// Returns its place in the stream; the first is 1.
    pub fn seq(&self) -> u64 {
        self.0.head.seq
    }

    /// Returns when it happened, in microseconds since 1970 UTC.
    pub fn ts(&self) -> i64 {
        self.0.head.ts
    }

    /// Returns when it happened, in microseconds since the writer started.
    pub fn mono_us(&self) -> u64 {
        self.0.head.mono_us
    }

    /// Returns the process that wrote it.
    pub fn writer(&self) -> &WriterId {
        &self.0.head.writer
    }

    /// Returns what happened.
    pub fn kind(&self) -> &str {
        &self.0.head.kind
    }

    /// Returns the version of the payload.
    pub fn tv(&self) -> u32 {
        self.0.head.tv
    }

    /// Returns the turn it belongs to.
    pub fn turn(&self) -> Option<&TurnId> {
        self.0.head.turn.as_ref()
    }

    /// Returns the run it belongs to.
    pub fn run(&self) -> Option<&str> {
        self.0.head.run.as_deref()
    }

    /// Returns the call it belongs to.
    pub fn call(&self) -> Option<&CallId> {
        self.0.head.call.as_ref()
    }

    /// Returns the span it starts, ends or falls into.
    pub fn span(&self) -> Option<Span> {
        self.0.head.span
    }

    /// Returns the span around that span.
    pub fn parent_span(&self) -> Option<Span> {
        self.0.head.parent_span
    }

    /// Returns the event that led to this one.
    pub fn cause(&self) -> Option<&EventId> {
        self.0.head.cause.as_ref()
    }

    /// Returns the hash that the event states for itself.
    pub fn hash(&self) -> &Hash {
        &self.0.hash
    }

    /// Returns the hash that the event states for the one before it.
    pub fn prev(&self) -> &Hash {
        &self.0.head.prev
    }

    /// Returns the payload, or `None` where it was erased.
    pub fn payload(&self) -> Option<&Json> {
        self.0.body.as_ref().map(|(_, payload)| payload)
    }

    /// Reads the payload as a `T`.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Erased`] where there is no payload any more, and with [`ErrorKind::Shape`]
    /// where it is not a `T` or is nested deeper than 256 levels.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let payload =
            self.payload().ok_or_else(|| Error::new(ErrorKind::Erased, "the payload was erased"))?;
        read(payload)
    }

    /// Tells whether this version of the program does not know what the event says: its type, or the version of its
    /// payload. Such an event is kept and handed on as it is.
    pub fn is_opaque(&self) -> bool {
        !fact::is_known(self.kind(), self.tv())
    }

    /// Returns the event without salt and payload; its hash, and so the chain, stays as it is.
    pub fn erase(&self) -> Self {
        let end = self.0.head_len + HASH_KEY.len() + 2 * self.0.hash.0.len() + 1;
        let line = format!("{}{ERASED}", &self.0.line[..end]);
        let (head_len, hash) = (self.0.head_len, self.0.hash);
        Self(Arc::new(Inner { line, head_len, head: self.0.head.clone(), hash, body: None }))
    }

    /// Checks the bytes of the line against the hashes in it, and its link to the event before.
    ///
    /// # Errors
    /// Returns what does not match. An erased payload is no fault.
    pub fn verify(&self, prev: &Hash) -> Result<(), Fault> {
        let fault = |what| Err(Fault { seq: self.seq(), what });
        if self.prev() != prev {
            return fault(What::Link);
        }
        if hash_head(&self.0.line[..self.0.head_len]) != self.0.hash {
            return fault(What::Hash);
        }
        match &self.0.body {
            Some((salt, payload)) if hash_payload(salt, payload.get()) != self.0.head.payload_hash => {
                fault(What::Payload)
            }
            _ => Ok(()),
        }
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.0.line == other.0.line
    }
}

impl Eq for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.line)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.line)
    }
}

/// Reads a payload into a type.
pub(crate) fn read<T: DeserializeOwned>(payload: &Json) -> Result<T, Error> {
    // Parts inside parts are read by recursion, and a hostile log shall not exhaust the stack.
    if depth(payload.get()) > MAX_DEPTH {
        return Err(Error::new(ErrorKind::Shape, "the payload is nested too deeply"));
    }
    payload
        .to()
        .map_err(|e| Error::new(ErrorKind::Shape, format!("the payload does not have its shape: {e}")))
}

fn hash_payload(salt: &Salt, payload: &str) -> Hash {
    Hash(*blake3::Hasher::new().update(&salt.0).update(payload.as_bytes()).finalize().as_bytes())
}

fn hash_head(head: &str) -> Hash {
    Hash(*blake3::Hasher::new().update(DOMAIN).update(head.as_bytes()).finalize().as_bytes())
}

/// Returns how deep the objects and arrays of a valid JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
