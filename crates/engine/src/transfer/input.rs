//! Bytes on their way in: lines, and JSON values in the bytes they were written in, with limits to both.

use std::fmt;
use std::io::{self, Read};

/// Longest line or event that is read, in bytes.
pub const MAX_LINE: usize = 256 << 20;
/// How deep an event may be nested: a payload of 256 levels and the event around it.
const MAX_DEPTH: usize = 257;

/// What is wrong with what was read.
#[derive(Debug)]
pub(super) enum Fault {
    /// It could not be read.
    Read(io::Error),
    /// It ends in the middle.
    Cut,
    /// It is longer than this.
    Long(usize),
    /// It is nested deeper than allowed.
    Deep,
    /// It is not UTF-8 from this byte on.
    Text(usize),
    /// It is not JSON.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "it cannot be read: {error}"),
            Self::Cut => f.write_str("the file is cut off"),
            Self::Long(limit) => write!(f, "it is longer than {limit} bytes"),
            Self::Deep => write!(f, "it is nested deeper than {} levels", MAX_DEPTH - 1),
            Self::Text(byte) => write!(f, "it is not UTF-8 text (byte {byte})"),
            Self::Malformed => f.write_str("it is not JSON"),
        }
    }
}

/// A reader that knows on which line it is.
pub(super) struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    line: u64,
    limit: usize,
}

/// Where in a JSON text a byte stands.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes the next byte, and tells whether a value that began outside is over with it.
    fn push(&mut self, byte: u8) -> Result<bool, Fault> {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => {
                self.depth = self.depth.checked_sub(1).ok_or(Fault::Malformed)?
            }
            _ => return Ok(false),
        }
        if self.depth > MAX_DEPTH {
            return Err(Fault::Deep);
        }
        Ok(self.depth == 0 && !self.in_string)
    }
}

impl<R: Read> Input<R> {
    /// Begins to read.
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: Vec::new(), at: 0, ended: false, line: 1, limit }
    }

    /// Returns the line that is read next; the first is 1.
    pub(super) fn line_number(&self) -> u64 {
        self.line
    }

    /// Returns up to `count` bytes that come next, and leaves them to be read.
    pub(super) fn ahead(&mut self, count: usize) -> Result<&[u8], Fault> {
        while !self.ended && self.buffer.len() - self.at < count {
            self.buffer.drain(..self.at);
            self.at = 0;
            let kept = self.buffer.len();
            self.buffer.resize(kept + (64 << 10), 0);
            let read = loop {
                match self.reader.read(&mut self.buffer[kept..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
            self.ended = read.map_err(Fault::Read)? == 0;
        }
        let end = self.buffer.len().min(self.at + count);
        Ok(&self.buffer[self.at..end])
    }

    /// Passes over bytes that were seen ahead.
    pub(super) fn pass(&mut self, count: usize) {
        let passed = &self.buffer[self.at..self.at + count];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += count;
    }

    /// Returns the byte that comes next.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        Ok(self.ahead(1)?.first().copied())
    }

    /// Returns what comes next and is not blank.
    pub(super) fn next_mark(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.pass(1),
                other => return Ok(other),
            }
        }
    }

    /// Passes over a mark that must come next.
    pub(super) fn expect(&mut self, mark: u8) -> Result<(), Fault> {
        match self.next_mark()? {
            Some(byte) if byte == mark => {
                self.pass(1);
                Ok(())
            }
            Some(_) => Err(Fault::Malformed),
            None => Err(Fault::Cut),
        }
    }

    /// Returns the next line without what ends it and the blanks around it; one that is too long or too deep is
    /// passed over.
    pub(super) fn line(&mut self) -> Result<Option<String>, Fault> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let (mut line, mut nesting, mut fault) = (Vec::new(), Nesting::default(), None);
        loop {
            let found = self.ahead(1)?;
            if found.is_empty() {
                break;
            }
            let found = &self.buffer[self.at..];
            let end = found.iter().position(|byte| *byte == b'\n');
            let piece = &found[..end.unwrap_or(found.len())];
            if fault.is_none() {
                // What is too deep is found out here; what is no JSON at all, by whoever reads the line.
                let deep = piece.iter().any(|byte| matches!(nesting.push(*byte), Err(Fault::Deep)));
                match deep {
                    true => fault = Some(Fault::Deep),
                    false if line.len() + piece.len() > self.limit => fault = Some(Fault::Long(self.limit)),
                    false => line.extend_from_slice(piece),
                }
                if fault.is_some() {
                    line = Vec::new();
                }
            }
            let length = piece.len() + usize::from(end.is_some());
            self.pass(length);
            if end.is_some() {
                break;
            }
        }
        match fault {
            Some(fault) => Err(fault),
            None => text(line).map(|text| Some(text.trim_matches(BLANKS).to_owned())),
        }
    }

    /// Returns the next JSON value in the bytes it is written in.
    pub(super) fn value(&mut self) -> Result<String, Fault> {
        let Some(first) = self.next_mark()? else { return Err(Fault::Cut) };
        let (mut value, mut nesting) = (Vec::new(), Nesting::default());
        let is_scalar = !matches!(first, b'{' | b'[' | b'"');
        while let Some(byte) = self.peek()? {
            if is_scalar && matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n') {
                return text(value);
            }
            if value.len() == self.limit {
                return Err(Fault::Long(self.limit));
            }
            value.push(byte);
            self.pass(1);
            if !is_scalar && nesting.push(byte)? {
                return text(value);
            }
        }
        if is_scalar { text(value) } else { Err(Fault::Cut) }
    }
}

/// What may stand around a value.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn text(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| Fault::Text(error.utf8_error().valid_up_to() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &[u8]) -> Input<&[u8]> {
        Input::new(text, 16)
    }

    #[test]
    fn lines_have_a_limit_and_numbers() {
        let mut lines = input(b" a \r\n0123456789abcdef\n0123456789abcdefg\n\xff\n[]");
        assert_eq!(lines.line().unwrap().unwrap(), "a");
        assert_eq!(lines.line().unwrap().unwrap(), "0123456789abcdef");
        assert!(matches!(lines.line(), Err(Fault::Long(16))));
        assert!(matches!(lines.line(), Err(Fault::Text(1))));
        assert_eq!(lines.line_number(), 5);
        assert_eq!(lines.line().unwrap().unwrap(), "[]");
        assert!(lines.line().unwrap().is_none());
    }

    #[test]
    fn values_are_taken_in_their_own_bytes() {
        let mut values = input(b"  {\"a\": [1 ]}\n\"]\\\"\" 12,\"0123456789abcdefg\"");
        let all: Vec<String> = (0..3).map(|_| values.value().unwrap()).collect();
        assert_eq!(all, ["{\"a\": [1 ]}", "\"]\\\"\"", "12"]);
        values.expect(b',').unwrap();
        assert!(matches!(values.value(), Err(Fault::Long(16))));
        assert!(matches!(input(b"[1").value(), Err(Fault::Cut)));
        assert!(matches!(input(b"]").value(), Ok(empty) if empty.is_empty()));
    }

    #[test]
    fn what_is_nested_too_deep_is_no_line_and_no_value() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let read = |depth| Input::new(nested(depth).as_bytes(), 1 << 20).value().map(|value| value.len());
        assert!(matches!(read(MAX_DEPTH), Ok(length) if length == 2 * MAX_DEPTH));
        assert!(matches!(read(MAX_DEPTH + 1), Err(Fault::Deep)));
        let bomb = nested(100_000) + "\nnext";
        let mut lines = Input::new(bomb.as_bytes(), 1 << 20);
        assert!(matches!(lines.line(), Err(Fault::Deep)));
        assert_eq!(lines.line().unwrap().unwrap(), "next");
    }
}
