//! The lines of an export: where a session begins, its events and blobs, where it ends.

use std::borrow::Cow;

use aichat_events::Hash;
use aichat_message::SessionId;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::SCHEMA;

/// What a line says.
pub(super) enum Line {
    /// A session begins.
    Head(SessionId),
    /// An event, which is not read yet.
    Event(String),
    /// It is over, after so many events, the last of which has this hash.
    Tail(u64, Hash),
    /// Bytes of an attachment.
    Blob(Blob),
    /// A whole session in one object.
    Whole(String),
}

#[derive(Serialize)]
struct HeadLine<'a> {
    schema: &'static str,
    kind: &'static str,
    session: &'a SessionId,
}

#[derive(Serialize)]
struct TailLine<'a> {
    schema: &'static str,
    kind: &'static str,
    events: u64,
    head: &'a Hash,
}

/// Bytes under their hash; in an object they stand in an array of these.
#[derive(Deserialize)]
pub(super) struct Blob {
    pub(super) hash: String,
    pub(super) base64: String,
}

/// Any of them, as it is read.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    schema: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Head {
    session: SessionId,
}

#[derive(Deserialize)]
struct Tail {
    events: u64,
    head: Hash,
}

/// Returns the line that a session begins with.
pub(super) fn head(session: &SessionId) -> String {
    text(&HeadLine { schema: SCHEMA, kind: "head", session })
}

/// Returns the line that a session ends with.
pub(super) fn tail(events: u64, head: &Hash) -> String {
    text(&TailLine { schema: SCHEMA, kind: "tail", events, head })
}

/// Returns what stands before and after the base64 of a blob, on a line of its own or in an array.
pub(super) fn around_blob(hash: &str, on_a_line: bool) -> (String, &'static str) {
    match on_a_line {
        true => (
            format!("{{\"schema\":\"{SCHEMA}\",\"kind\":\"blob\",\"hash\":\"{hash}\",\"base64\":\""),
            "\"}\n",
        ),
        false => (format!("{{\"hash\":\"{hash}\",\"base64\":\""), "\"}"),
    }
}

fn text(line: &impl Serialize) -> String {
    let mut text = serde_json::to_string(line).expect("export lines have string keys only");
    text.push('\n');
    text
}

/// Tells whether a text is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Refuses an export of another kind or version.
pub(super) fn check_schema(schema: &str) -> Result<(), String> {
    match schema {
        SCHEMA => Ok(()),
        other => Err(format!("its schema is {other:?}; this version reads {SCHEMA:?}")),
    }
}

impl Line {
    /// Reads a line, or says what is wrong with it.
    pub(super) fn read(text: String) -> Result<Self, String> {
        if text.starts_with("{\"v\":") {
            return Ok(Self::Event(text));
        }
        match Self::kind(&text)? {
            None => Ok(Self::Whole(text)),
            Some(line) => Ok(line),
        }
    }

    fn kind(text: &str) -> Result<Option<Self>, String> {
        let broken = |_| "the line is no event and no other line of an export".to_owned();
        let fields: Fields<'_> = serde_json::from_str(text).map_err(broken)?;
        let schema = fields.schema.ok_or_else(|| "the line does not say what it is".to_owned())?;
        check_schema(&schema)?;
        match fields.kind.as_deref() {
            None => Ok(None),
            Some("head") => {
                let head: Head = serde_json::from_str(text).map_err(|_| "the head line names no session")?;
                Ok(Some(Self::Head(head.session)))
            }
            Some("tail") => {
                let tail: Tail = serde_json::from_str(text).map_err(
                    |_| "the last line does not give the number of events and the hash of the last",
                )?;
                Ok(Some(Self::Tail(tail.events, tail.head)))
            }
            Some("blob") => match serde_json::from_str(text) {
                Ok(blob) => Ok(Some(Self::Blob(blob))),
                Err(_) => Err("the blob does not have a hash and its bytes in base64".to_owned()),
            },
            Some(other) => Err(format!("a line of kind {other:?}, which this version cannot import")),
        }
    }
}
