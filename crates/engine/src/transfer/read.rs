//! Reads sessions out of a file, one after another: lines, an object each, or objects in an array.

use std::io::Read;
use std::ops::ControlFlow;

use aichat_events::Hash;
use aichat_message::SessionId;
use serde::Deserialize;

use super::document::{Builder, Document, Rejected};
use super::input::{Fault, Input, MAX_LINE};
use super::line::{self, Line};
use crate::error::Error;

/// How much of a file is looked at to tell what it is, in bytes.
const GLANCE: usize = 4 << 10;

/// What is said of any other file.
const NO_EXPORT: &str = "the file is no export of a session";

/// Who is given what was read.
type Take<'a> = dyn FnMut(Result<Document, Rejected>) -> ControlFlow<()> + 'a;

/// Where among lines a reader is.
enum State {
    /// Before the first session, or after one that was refused.
    Between,
    /// Among lines that belong to no session, which was said.
    Lost,
    /// In a session.
    Begun(Builder),
    /// After the last line of a session: it is given away once nothing but another one follows it.
    Whole(Document),
}

/// Why reading ends before the end of the file.
enum Stop {
    /// Nobody wants more.
    Gone,
    /// What follows cannot be told apart.
    Lost(Box<Rejected>),
}

/// Gives every session of a file to `take`, until it breaks off. One session is held at a time.
pub(super) fn read(input: impl Read, take: &mut Take<'_>) {
    let mut reader = Reader { input: Input::new(input, MAX_LINE), take };
    if let Err(Stop::Lost(refused)) = reader.all() {
        // There is nothing left to break off.
        let _ = take(Err(*refused));
    }
}

/// Returns what packs a file that begins so.
fn packed(head: &[u8]) -> Option<&'static str> {
    const MARKS: &[(&[u8], &str)] = &[
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
    ];
    MARKS.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, name)| *name)
}

struct Reader<'a, 'b, R> {
    input: Input<R>,
    take: &'a mut Take<'b>,
}

impl<R: Read> Reader<'_, '_, R> {
    fn give(&mut self, one: Result<Document, Rejected>) -> Result<(), Stop> {
        match (self.take)(one) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Gone),
        }
    }

    fn lost(&self, why: impl Into<String>) -> Stop {
        let error = Error::input(why);
        Stop::Lost(Box::new(Rejected { line: self.input.line_number(), session: None, error }))
    }

    fn fault(&self, fault: Fault) -> Stop {
        self.lost(match fault {
            Fault::Malformed => NO_EXPORT.to_owned(),
            fault => fault.to_string(),
        })
    }

    fn all(&mut self) -> Result<(), Stop> {
        let head = self.input.ahead(GLANCE).map(<[u8]>::to_vec).map_err(|fault| self.fault(fault))?;
        if let Some(name) = packed(&head) {
            return Err(self.lost(format!("the file is compressed ({name}); unpack it first")));
        }
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(self.lost("the file is UTF-16 text; an export is UTF-8"));
        }
        let mark = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        self.input.pass(mark);
        match self.next_mark()? {
            None => Err(self.lost("the file is empty")),
            Some(_) if self.is_line()? => self.lines(),
            Some(_) if std::str::from_utf8(&head).is_err_and(|error| error.error_len().is_some()) => {
                Err(self.lost("the file is not UTF-8 text"))
            }
            Some(_) => self.values(),
        }
    }

    /// Tells whether a line follows that is an object in itself, and a short one: an export as lines begins so.
    fn is_line(&mut self) -> Result<bool, Stop> {
        let ahead = self.input.ahead(GLANCE).map(<[u8]>::to_vec).map_err(|fault| self.fault(fault))?;
        let line = ahead.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        Ok(line.starts_with(b"{") && std::str::from_utf8(line).is_ok_and(line::is_json))
    }

    /// Reads lines.
    fn lines(&mut self) -> Result<(), Stop> {
        let (mut state, mut found) = (State::Between, false);
        loop {
            let number = self.input.line_number();
            let line = match self.input.line() {
                Ok(None) => break,
                Ok(Some(text)) if text.is_empty() => continue,
                Ok(Some(text)) => Line::read(text),
                Err(fault @ Fault::Read(_)) => return Err(self.fault(fault)),
                Err(fault) => Err(fault.to_string()),
            };
            state = match (state, line) {
                (before, Ok(begins @ (Line::Head(_) | Line::Whole(_)))) => {
                    found = true;
                    match before {
                        State::Begun(builder) => {
                            let why = "it is cut off: another session begins before its last line";
                            self.give(Err(builder.cut(number, why)))?;
                        }
                        State::Whole(document) => self.give(Ok(document))?,
                        State::Between | State::Lost => {}
                    }
                    match begins {
                        Line::Head(session) => {
                            let mut builder = Builder::new(number);
                            builder.name(session);
                            State::Begun(builder)
                        }
                        Line::Whole(text) => {
                            self.one_line(&text, number)?;
                            State::Between
                        }
                        _ => unreachable!("only these begin a session"),
                    }
                }
                (State::Begun(mut builder), line) => match line {
                    Ok(Line::Tail(count, head)) => match builder.finish(number, count, &head) {
                        Ok(document) => State::Whole(document),
                        Err(refused) => {
                            self.give(Err(refused))?;
                            State::Between
                        }
                    },
                    line => {
                        match line {
                            Ok(Line::Event(text)) => builder.event(&text, number),
                            Ok(Line::Blob(blob)) => builder.blob(blob, number),
                            Ok(_) => {}
                            Err(why) => builder.fail(number, why),
                        }
                        State::Begun(builder)
                    }
                },
                (State::Whole(document), _) => {
                    self.give(Err(document.refuse(number, "more follows its last line")))?;
                    State::Lost
                }
                (State::Between, line) => {
                    let what = if found { "the line belongs to no session" } else { NO_EXPORT };
                    let why = line.err().map(|why| format!(": {why}")).unwrap_or_default();
                    let error = Error::input(format!("{what}{why}"));
                    self.give(Err(Rejected { line: number, session: None, error }))?;
                    State::Lost
                }
                (State::Lost, _) => State::Lost,
            };
        }
        match state {
            State::Begun(builder) => {
                let why =
                    "it is cut off: its last line, which gives the hash of the chain's head, is missing";
                self.give(Err(builder.cut(self.input.line_number(), why)))
            }
            State::Whole(document) => self.give(Ok(document)),
            State::Between | State::Lost => Ok(()),
        }
    }

    /// Reads a session that is one line.
    fn one_line(&mut self, text: &str, number: u64) -> Result<(), Stop> {
        let mut inner = Reader { input: Input::new(text.as_bytes(), MAX_LINE), take: self.take };
        let done = inner.object(true).map_err(|stop| match stop {
            Stop::Lost(mut refused) => {
                refused.line = number;
                Stop::Lost(refused)
            }
            stop => stop,
        })?;
        self.give(done.map_err(|refused| Rejected { line: number, ..refused }))
    }

    /// Reads objects, one after another or in an array.
    fn values(&mut self) -> Result<(), Stop> {
        let in_array = self.next_mark()? == Some(b'[');
        if in_array {
            self.input.pass(1);
        }
        let mut found = false;
        loop {
            match self.next_mark()? {
                Some(b']') if !found => return Err(self.fault(Fault::Malformed)),
                Some(b'{') if !in_array && self.is_line()? => return self.lines(),
                Some(b'{') => {}
                Some(b']') if in_array => {
                    self.input.pass(1);
                    return match self.next_mark()? {
                        None => Ok(()),
                        Some(_) => Err(self.lost("more follows the end of the array")),
                    };
                }
                None if !in_array => return Ok(()),
                None => return Err(self.fault(Fault::Cut)),
                Some(_) => return Err(self.fault(Fault::Malformed)),
            }
            let document = self.object(true)?;
            found = true;
            // A session is given away once nothing but another one follows it.
            let follows = match (in_array, self.next_mark()?) {
                (true, Some(b',')) => {
                    self.input.pass(1);
                    None
                }
                (true, Some(b']')) | (false, Some(b'{') | None) => None,
                (true, None) => Some("the file is cut off"),
                (_, Some(_)) => Some("what follows its end is no other session"),
            };
            match (follows, document) {
                (None, document) => self.give(document)?,
                (Some(why), Ok(document)) => {
                    return Err(Stop::Lost(Box::new(document.refuse(self.input.line_number(), why))));
                }
                (Some(why), document) => {
                    self.give(document)?;
                    return Err(self.lost(why));
                }
            }
        }
    }

    fn next_mark(&mut self) -> Result<Option<u8>, Stop> {
        self.input.next_mark().map_err(|fault| self.fault(fault))
    }

    /// Reads an object that is a session. Where it is broken, what follows cannot be told apart.
    fn object(&mut self, outermost: bool) -> Result<Result<Document, Rejected>, Stop> {
        let mut whole = Whole::new(self.input.line_number());
        match self.members(&mut whole, outermost) {
            Ok(()) => {}
            Err(Broken::Stop(stop)) => return Err(stop),
            Err(Broken::Fault(fault)) if whole.schema.is_none() => return Err(self.fault(fault)),
            Err(Broken::Fault(fault)) => {
                let refused = whole.builder.cut(self.input.line_number(), &fault.to_string());
                return Err(Stop::Lost(Box::new(refused)));
            }
        }
        if whole.schema.is_none() {
            return Err(self.fault(Fault::Malformed));
        }
        let line = self.input.line_number();
        Ok(match whole.head {
            Some(head) => whole.builder.finish(line, head.seq, &head.hash),
            None => Err(whole.builder.cut(line, "it does not give the hash of the chain's head")),
        })
    }

    fn members(&mut self, whole: &mut Whole, outermost: bool) -> Result<(), Broken> {
        self.input.expect(b'{')?;
        let mut first = true;
        loop {
            match self.input.next_mark()? {
                Some(b'}') => {
                    self.input.pass(1);
                    return Ok(());
                }
                Some(b',') if !first => self.input.pass(1),
                Some(_) if first => {}
                Some(_) => return Err(Fault::Malformed.into()),
                None => return Err(Fault::Cut.into()),
            }
            first = false;
            let key: String = parse(&self.input.value()?)?;
            self.input.expect(b':')?;
            let line = self.input.line_number();
            match key.as_str() {
                "schema" => {
                    let schema: String = parse(&self.input.value()?)?;
                    if let Err(why) = line::check_schema(&schema) {
                        whole.builder.fail(line, why);
                    }
                    whole.schema = Some(schema);
                }
                "session" => match parse::<SessionId>(&self.input.value()?) {
                    Ok(session) => whole.builder.name(session),
                    Err(_) => whole.builder.fail(line, "its id is none"),
                },
                "head" => whole.head = parse(&self.input.value()?).ok(),
                "events" => self.elements(|reader| {
                    let line = reader.input.line_number();
                    whole.builder.event(&reader.input.value()?, line);
                    Ok(())
                })?,
                "blobs" => self.elements(|reader| {
                    let line = reader.input.line_number();
                    match parse(&reader.input.value()?) {
                        Ok(blob) => whole.builder.blob(blob, line),
                        Err(_) => {
                            whole.builder.fail(line, "a blob does not have a hash and its bytes in base64")
                        }
                    }
                    Ok(())
                })?,
                "documents" => self.elements(|reader| {
                    let line = reader.input.line_number();
                    reader.input.value()?;
                    whole.builder.fail(line, "it holds documents, which this version cannot import");
                    Ok(())
                })?,
                "ancestors" if outermost => self.elements(|reader| {
                    let ancestor = reader.object(false).map_err(Broken::Stop)?;
                    reader.give(ancestor).map_err(Broken::Stop)
                })?,
                _ => {
                    if !line::is_json(&self.input.value()?) {
                        return Err(Fault::Malformed.into());
                    }
                }
            }
        }
    }

    /// Reads the elements of an array.
    fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        self.input.expect(b'[')?;
        if self.input.next_mark()? == Some(b']') {
            self.input.pass(1);
            return Ok(());
        }
        loop {
            self.input.next_mark()?;
            each(self)?;
            match self.input.next_mark()? {
                Some(b',') => self.input.pass(1),
                Some(b']') => {
                    self.input.pass(1);
                    return Ok(());
                }
                Some(_) => return Err(Fault::Malformed.into()),
                None => return Err(Fault::Cut.into()),
            }
        }
    }
}

/// A session in one object, as far as it was read.
struct Whole {
    schema: Option<String>,
    head: Option<Head>,
    builder: Builder,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    hash: Hash,
}

impl Whole {
    fn new(line: u64) -> Self {
        Self { schema: None, head: None, builder: Builder::new(line) }
    }
}

enum Broken {
    Fault(Fault),
    Stop(Stop),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Malformed)
}
