//! A JSON array that arrives in pieces, byte by byte: whole elements out of chunks that may be cut anywhere.

use std::ops::ControlFlow;

use memchr::memchr2;

use crate::error::Error;
use crate::sse::{MAX_FRAME, text, too_long};

/// An incremental decoder of one JSON array of objects, which some servers stream instead of events.
///
/// Elements are told apart by their brackets alone; whoever reads them finds out whether they are JSON. What
/// follows the array is ignored.
#[derive(Debug, Default)]
pub struct ArrayDecoder {
    element: Vec<u8>,
    /// How many brackets are open, the array's own included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl ArrayDecoder {
    /// Returns a decoder at the beginning of an array.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and hands every element they complete to `each`, until it breaks.
    ///
    /// # Errors
    /// Fails with kind `decode` where an element is not UTF-8 or larger than 16 MiB.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        // Where the part of the element under way begins that lies in this chunk.
        let mut from = 0;
        let mut at = 0;
        while !self.ended && at < chunk.len() {
            let byte = chunk[at];
            at += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => at += memchr2(b'"', b'\\', &chunk[at..]).unwrap_or(chunk.len() - at),
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 1 => {}
                _ if self.depth > 1 => {
                    // Nothing but these changes the state inside an element.
                    let next = chunk[at..].iter().position(|byte| b"\"[{]}".contains(byte));
                    at += next.unwrap_or(chunk.len() - at);
                    continue;
                }
                _ => continue,
            }
            if self.depth > 1 || self.in_string || byte == b'{' {
                continue;
            }
            // The array begins, or an element ends: with its own bracket, a comma or the array.
            let end = if self.depth == 1 && byte != b',' { at } else { at - 1 };
            let flow = match byte {
                b'[' => ControlFlow::Continue(()),
                _ => self.complete(&chunk[from..end], &mut each)?,
            };
            self.element.clear();
            (from, self.ended) = (at, self.depth == 0 || flow.is_break());
        }
        if self.ended {
            return Ok(());
        }
        if self.element.len() + (chunk.len() - from) > MAX_FRAME {
            return Err(too_long());
        }
        self.element.extend_from_slice(&chunk[from..]);
        Ok(())
    }

    /// Hands out the element whose last bytes are `tail`, unless there is none.
    fn complete(
        &mut self,
        tail: &[u8],
        each: &mut impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let flow = if self.element.is_empty() {
            element(tail, each)
        } else {
            self.element.extend_from_slice(tail);
            element(&self.element, each)
        };
        self.element.clear();
        flow
    }
}

fn element(bytes: &[u8], each: &mut impl FnMut(&str) -> ControlFlow<()>) -> Result<ControlFlow<()>, Error> {
    match text(bytes)?.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}') {
        "" => Ok(ControlFlow::Continue(())),
        element => Ok(each(element)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut decoder, mut all) = (ArrayDecoder::new(), Vec::new());
        for piece in pieces {
            let each = |element: &str| {
                all.push(element.to_owned());
                ControlFlow::Continue(())
            };
            decoder.push(piece, each).unwrap();
        }
        all
    }

    #[test]
    fn elements_are_the_same_wherever_the_array_is_cut() {
        let body = "\u{feff}[{\"a\":\"]},{[\\\"\\\\\"}\n,\r\n{\"b\":[1,{\"c\":\"😀\"},[]]}, {} ,[1,2]\n] [{\"after\":1}]";
        let whole = elements([body.as_bytes()]);
        assert_eq!(whole, [r#"{"a":"]},{[\"\\"}"#, r#"{"b":[1,{"c":"😀"},[]]}"#, "{}", "[1,2]"]);
        for at in 0..body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            assert_eq!(elements([head, tail]), whole, "cut at {at}");
        }
        assert_eq!(elements(body.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn brackets_without_end_are_looked_at_once() {
        // To look for the next bracket of each kind from every one of them would take hours.
        let body = ["[", &"{\"a\":1,".repeat(500_000)].concat();
        assert!(elements([body.as_bytes()]).is_empty());
    }

    #[test]
    fn an_empty_or_unfinished_array_has_no_more_than_its_whole_elements() {
        assert!(elements([b"[]".as_slice()]).is_empty());
        assert_eq!(elements([br#"[{"a":1},{"b":"#.as_slice()]), [r#"{"a":1}"#]);
        assert_eq!(elements([b"[ 1, \"a,b\" ]".as_slice()]), ["1", "\"a,b\""]);
    }
}
