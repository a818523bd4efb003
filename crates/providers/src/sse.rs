//! Server-sent events, byte by byte: whole events out of chunks that may be cut anywhere.

use std::ops::ControlFlow;

use memchr::{memchr, memchr2, memrchr};

use aichat_message::ErrorKind;

use crate::error::Error;

/// Largest line or event taken, in bytes; a provider's answer never comes near it.
pub(crate) const MAX_FRAME: usize = 16 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A chunk of this size, in bytes, likely holds whole events.
const LARGE: usize = 512;
/// How much of a chunk is taken at once, in bytes: it is read twice, and so small that it stays at hand.
const BLOCK: usize = 16 << 10;

/// What an event stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseEvent<'a> {
    /// An event with data.
    Message {
        /// The event's name; empty where the server gave none.
        name: &'a str,
        /// Its data lines, joined by line feeds.
        data: &'a str,
    },
    /// A comment, which servers send to keep the connection alive.
    Comment,
}

/// An incremental decoder of `text/event-stream`.
///
/// Lines may end in CR, LF or CRLF; a leading byte order mark is skipped; UTF-8 is decoded once an event is
/// whole. An event whose lines lie in one chunk is handed out without being copied.
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The data lines of the event under way.
    data: Vec<u8>,
    has_data: bool,
    name: Vec<u8>,
    /// Whether the last chunk ended in a CR, so that a LF at the head of the next belongs to it.
    after_cr: bool,
    /// Whether the first line, which may begin with a byte order mark, is over.
    begun: bool,
}

impl SseDecoder {
    /// Returns a decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and hands every event they complete to `each`, until it breaks.
    ///
    /// After a break or an error the rest of the stream is of no use.
    ///
    /// # Errors
    /// Fails with kind `decode` where an event is not UTF-8 or larger than 16 MiB.
    pub fn push(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(SseEvent<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
        }
        let mut is_large = chunk.len() >= LARGE;
        loop {
            if is_large && self.is_between_events() {
                is_large = false;
                match self.plain_events(chunk, &mut each) {
                    ControlFlow::Continue(rest) => chunk = rest,
                    ControlFlow::Break(()) => return Ok(()),
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', chunk) else { break };
            let (head, rest) = chunk.split_at(end);
            chunk = self.after_line_end(rest);
            let flow = if self.line.is_empty() {
                self.line_end(head, &mut chunk, &mut each)?
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                let flow = self.line_end(&line, &mut chunk, &mut each)?;
                line.clear();
                self.line = line;
                flow
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        if self.line.len() + chunk.len() > MAX_FRAME {
            return Err(too_long());
        }
        self.line.extend_from_slice(chunk);
        Ok(())
    }

    fn is_between_events(&self) -> bool {
        self.begun && self.line.is_empty() && !self.has_data && self.name.is_empty()
    }

    /// Hands out the events at the head of a chunk that are of the usual form, and returns the rest.
    ///
    /// UTF-8 is checked for many events at once, which is quicker, as is looking for one kind of line end.
    fn plain_events<'c>(
        &mut self,
        mut chunk: &'c [u8],
        each: &mut impl FnMut(SseEvent<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<(), &'c [u8]> {
        loop {
            let block = &chunk[..chunk.len().min(BLOCK)];
            let Some(last) = memrchr(b'\n', block) else { break };
            let block = &block[..=last];
            if memchr(b'\r', block).is_some() {
                break;
            }
            // What is wrong is found again by whom it concerns: events before it are whole.
            let Ok(lines) = std::str::from_utf8(block) else { break };
            let (name, rest) = plain_events(lines, each)?;
            self.name.extend_from_slice(name.as_bytes());
            let goes_on = name.is_empty() && rest.is_empty() && chunk.len() > BLOCK;
            chunk = &chunk[block.len() - rest.len()..];
            if !goes_on {
                break;
            }
        }
        ControlFlow::Continue(chunk)
    }

    /// Takes the end of the stream; an event that lacks its blank line is handed out all the same.
    ///
    /// # Errors
    /// Fails as [`push`](Self::push) does.
    pub fn finish(&mut self, mut each: impl FnMut(SseEvent<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && self.line_end(&line, &mut &[][..], &mut each)?.is_break() {
            return Ok(());
        }
        self.dispatch(&mut each).map(|_| ())
    }

    /// Skips the line ending that `rest` begins with.
    fn after_line_end<'c>(&mut self, rest: &'c [u8]) -> &'c [u8] {
        match rest {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_cr = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => rest,
        }
    }

    /// Handles a whole line; `rest` is what follows it.
    fn line_end(
        &mut self,
        mut line: &[u8],
        rest: &mut &[u8],
        each: &mut impl FnMut(SseEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(each);
        }
        // By far the commonest event: one data line and its blank line, both here.
        if let (Some(value), Some(b'\n' | b'\r')) = (line.strip_prefix(b"data: "), rest.first())
            && !self.has_data
        {
            *rest = self.after_line_end(rest);
            let flow = each(event(&self.name, value)?);
            self.name.clear();
            return Ok(flow);
        }
        let Some(colon) = memchr(b':', line) else {
            // A field name alone is that field with an empty value.
            return self.field(line, b"");
        };
        if colon == 0 {
            return Ok(each(SseEvent::Comment));
        }
        let value = &line[colon + 1..];
        self.field(&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<ControlFlow<()>, Error> {
        match name {
            b"data" => {
                if self.data.len() + value.len() > MAX_FRAME {
                    return Err(too_long());
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn dispatch(
        &mut self,
        each: &mut impl FnMut(SseEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let flow = match std::mem::take(&mut self.has_data) {
            true => each(event(&self.name, &self.data)?),
            false => ControlFlow::Continue(()),
        };
        self.data.clear();
        self.name.clear();
        Ok(flow)
    }
}

/// Hands out events of one data line, with a name or without; `lines` begins and ends with a line and has no CR.
/// Returns the name of the event under way, and the first line that belongs to no such event with all after it.
fn plain_events<'t>(
    mut lines: &'t str,
    each: &mut impl FnMut(SseEvent<'_>) -> ControlFlow<()>,
) -> ControlFlow<(), (&'t str, &'t str)> {
    let mut name = "";
    loop {
        if let Some(value) = lines.strip_prefix("data: ") {
            let Some(end) = memchr(b'\n', value.as_bytes()) else { break };
            let Some(rest) = value[end + 1..].strip_prefix('\n') else { break };
            each(SseEvent::Message { name, data: &value[..end] })?;
            (name, lines) = ("", rest);
        } else if let Some(value) = lines.strip_prefix("event: ") {
            let Some(end) = memchr(b'\n', value.as_bytes()) else { break };
            (name, lines) = (&value[..end], &value[end + 1..]);
        } else {
            break;
        }
    }
    ControlFlow::Continue((name, lines))
}

fn event<'a>(name: &'a [u8], data: &'a [u8]) -> Result<SseEvent<'a>, Error> {
    let name = if name.is_empty() { "" } else { text(name)? };
    Ok(SseEvent::Message { name, data: text(data)? })
}

/// Decodes one whole frame.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::Decode, "the answer is not valid utf-8"))
}

pub(crate) fn too_long() -> Error {
    Error::new(ErrorKind::Decode, format!("one event of the answer is larger than {} MiB", MAX_FRAME >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let (mut decoder, mut events) = (SseDecoder::new(), Vec::new());
        let mut each = |event: SseEvent<'_>| {
            events.push(match event {
                SseEvent::Message { name, data } => (name.to_owned(), data.to_owned()),
                SseEvent::Comment => (":".to_owned(), String::new()),
            });
            ControlFlow::Continue(())
        };
        for chunk in chunks {
            decoder.push(chunk, &mut each).unwrap();
        }
        decoder.finish(&mut each).unwrap();
        events
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect()
    }

    #[test]
    fn fields_comments_and_all_line_endings() {
        let body = b"\xef\xbb\xbf: hi\r\n\r\nevent: a\rdata: 1\rdata:2\r\rdata\n\nid: 7\nretry: 1\ndata:  x\n\ndata: last";
        assert_eq!(
            decode([&body[..]]),
            pairs(&[(":", ""), ("a", "1\n2"), ("", ""), ("", " x"), ("", "last")])
        );
    }

    #[test]
    fn an_event_without_data_is_none_and_its_name_does_not_stay() {
        assert_eq!(decode([&b"event: a\n\ndata: x\n\n"[..]]), pairs(&[("", "x")]));
    }

    #[test]
    fn a_name_belongs_to_its_event_wherever_it_stands() {
        for pad in 0..20 {
            let body = format!("data: {}\n\n{}", "x".repeat(pad), "event: n\ndata: a\n\n".repeat(3_000));
            let events = decode([b":\n", body.as_bytes()]);
            assert_eq!(events.len(), 3_002);
            assert!(events[2..].iter().all(|(name, _)| name == "n"), "pad {pad}");
        }
    }

    #[test]
    fn a_line_begun_before_a_chunk_goes_on_in_it() {
        let events = decode([&b":\nx"[..], &b"data: a\n\n".repeat(100)]);
        assert_eq!(events.len(), 100, "the comment, and all but the field xdata");
    }

    #[test]
    fn a_break_stops_the_chunk() {
        let mut seen = 0;
        let each = |_: SseEvent<'_>| {
            seen += 1;
            ControlFlow::Break(())
        };
        SseDecoder::new().push(b"data: 1\n\ndata: 2\n\n", each).unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn bad_utf8_and_endless_lines_are_errors() {
        let go = |_: SseEvent<'_>| ControlFlow::Continue(());
        let error = SseDecoder::new().push(b"data: \xff\n\n", go).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let (mut seen, body) = (0, [&b"data: x\n\n".repeat(100)[..], b"data: \xff\n\n"].concat());
        let count = |_: SseEvent<'_>| {
            seen += 1;
            ControlFlow::Continue(())
        };
        assert!(SseDecoder::new().push(&body, count).is_err());
        assert_eq!(seen, 100, "what came before is handed out");
        let (mut decoder, chunk) = (SseDecoder::new(), vec![b'x'; 1 << 20]);
        let error = (0..17).find_map(|_| decoder.push(&chunk, go).err()).unwrap();
        assert_eq!(error.message(), "one event of the answer is larger than 16 MiB");
        let (mut decoder, line) = (SseDecoder::new(), [&b"data:"[..], &chunk, b"\n"].concat());
        assert!((0..17).any(|_| decoder.push(&line, go).is_err()), "many data lines make one event");
    }

    const LINES: [&str; 15] = [
        "data: a",
        "data: a",
        "data: b",
        "data:é👩‍🚀",
        "data: é👩‍🚀",
        "data",
        "event: n",
        "event: ",
        "",
        "",
        "",
        ": c",
        "id: 1",
        "x",
        "xdata: a",
    ];

    proptest! {
        #[test]
        fn events_do_not_depend_on_cuts(
            lines in prop::collection::vec(prop::sample::select(LINES.to_vec()), 1..30),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 30),
            one_end in any::<bool>(),
            times in 1usize..120,
            cuts in prop::collection::vec(prop::sample::select(vec![1usize, 2, 3, 6, 100, 600, 2_000, 20_000]), 1..40),
        ) {
            let end = |at: usize| if one_end { "\n" } else { ends[at] };
            let body: String = lines.iter().enumerate().map(|(at, line)| format!("{line}{}", end(at))).collect();
            let body = body.repeat(times);
            let (mut rest, mut chunks) = (body.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            let small = decode(body.as_bytes().chunks(7));
            prop_assert_eq!(decode(chunks), small.clone());
            prop_assert_eq!(decode([body.as_bytes()]), small);
        }
    }
}
