//! Newline-delimited JSON, byte by byte: whole lines out of chunks that may be cut anywhere.

use std::ops::ControlFlow;

use memchr::memchr;

use crate::error::Error;
use crate::sse::{MAX_FRAME, text, too_long};

/// An incremental decoder of `application/x-ndjson`.
///
/// Blank lines are skipped and a CR before the line feed is dropped. A line that lies in one chunk is handed
/// out without being copied.
#[derive(Debug, Default)]
pub struct NdjsonDecoder {
    line: Vec<u8>,
}

impl NdjsonDecoder {
    /// Returns a decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and hands every line they complete to `each`, until it breaks.
    ///
    /// # Errors
    /// Fails with kind `decode` where a line is not UTF-8 or larger than 16 MiB.
    pub fn push(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        while let Some(end) = memchr(b'\n', chunk) {
            let flow = if self.line.is_empty() {
                line(&chunk[..end], &mut each)?
            } else {
                self.line.extend_from_slice(&chunk[..end]);
                let flow = line(&self.line, &mut each)?;
                self.line.clear();
                flow
            };
            if flow.is_break() {
                return Ok(());
            }
            chunk = &chunk[end + 1..];
        }
        if self.line.len() + chunk.len() > MAX_FRAME {
            return Err(too_long());
        }
        self.line.extend_from_slice(chunk);
        Ok(())
    }

    /// Takes the end of the stream; a last line without a line feed is handed out all the same.
    ///
    /// # Errors
    /// Fails as [`push`](Self::push) does.
    pub fn finish(&mut self, mut each: impl FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        line(&std::mem::take(&mut self.line), &mut each).map(|_| ())
    }
}

fn line(bytes: &[u8], each: &mut impl FnMut(&str) -> ControlFlow<()>) -> Result<ControlFlow<()>, Error> {
    match text(bytes)?.trim() {
        "" => Ok(ControlFlow::Continue(())),
        line => Ok(each(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut decoder, mut lines) = (NdjsonDecoder::new(), Vec::new());
        let mut each = |line: &str| {
            lines.push(line.to_owned());
            ControlFlow::Continue(())
        };
        for chunk in chunks {
            decoder.push(chunk, &mut each).unwrap();
        }
        decoder.finish(&mut each).unwrap();
        lines
    }

    #[test]
    fn lines_blank_lines_and_a_last_line_without_end() {
        assert_eq!(decode([&b"{\"a\":1}\r\n\n  \n[2]\n3"[..]]), ["{\"a\":1}", "[2]", "3"]);
    }

    #[test]
    fn bad_utf8_and_endless_lines_are_errors() {
        let go = |_: &str| ControlFlow::Continue(());
        assert!(NdjsonDecoder::new().push(b"\xff\n", go).is_err());
        let (mut decoder, chunk) = (NdjsonDecoder::new(), vec![b'x'; 1 << 20]);
        assert!((0..17).any(|_| decoder.push(&chunk, go).is_err()));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_cuts(body in "([a-é👩]{0,3}(\r\n|\n)){0,12}", cut in 1usize..9) {
            prop_assert_eq!(decode(body.as_bytes().chunks(cut)), decode([body.as_bytes()]));
        }
    }
}
