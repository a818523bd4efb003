//! The bytes of one answer in, its deltas out: framing, decoder and fold, and the law that it ends exactly once.

use std::ops::ControlFlow;

use aichat_message::{Delta, ErrorKind, Fold, Start};

use crate::array::ArrayDecoder;
use crate::classify;
use crate::decoder::{Decoder, Frame};
use crate::error::Error;
use crate::ndjson::NdjsonDecoder;
use crate::sse::{SseDecoder, SseEvent, text};

/// Largest answer taken whole, in bytes.
const MAX_WHOLE: usize = 64 << 20;

/// Reads one answer, synchronously: what the driver does to every response body.
pub struct Intake {
    framing: Framing,
    decoder: Box<dyn Decoder>,
    fold: Fold,
    finished: bool,
}

enum Framing {
    /// Nothing but blanks has arrived.
    Undecided(Declared, Vec<u8>),
    Sse(SseDecoder),
    Ndjson(NdjsonDecoder),
    Array(ArrayDecoder),
    Whole(Vec<u8>),
}

/// What the content type says.
#[derive(Clone, Copy, PartialEq)]
enum Declared {
    Ndjson,
    Json,
    Other,
}

impl Intake {
    /// Returns an intake for a body of this content type.
    pub fn new(content_type: Option<&str>, decoder: Box<dyn Decoder>) -> Self {
        let essence = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let declared = match essence.as_str() {
            lines if is_ndjson(lines) => Declared::Ndjson,
            "application/json" => Declared::Json,
            json if json.ends_with("+json") => Declared::Json,
            _ => Declared::Other,
        };
        Self {
            framing: Framing::Undecided(declared, Vec::new()),
            decoder,
            fold: Fold::new(),
            finished: false,
        }
    }

    /// Takes what the response headers say.
    pub fn start(&mut self, start: Start, out: &mut Vec<Delta>) {
        let delta = Delta::Start(start);
        self.fold.apply(&delta);
        out.push(delta);
    }

    /// Takes the next bytes and appends the deltas they complete to `out`; bytes after the end are ignored.
    ///
    /// # Errors
    /// Fails where the answer reports an error or is malformed; the error carries what had arrived, and `out`
    /// holds the deltas before it. Nothing may be pushed after that.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Delta>) -> Result<(), Error> {
        self.run(out, |this, out| this.take(chunk, out))
    }

    /// Takes the end of the body. Unless the answer ended before, or ends now, that is an error.
    ///
    /// # Errors
    /// Fails as [`push`](Self::push) does, and with kind `truncated` where the terminal marker is missing.
    pub fn finish(&mut self, out: &mut Vec<Delta>) -> Result<(), Error> {
        self.run(out, Self::take_end)?;
        match self.finished {
            true => Ok(()),
            false => {
                Err(self.fail(Error::new(ErrorKind::Truncated, "the stream ended before the answer did")))
            }
        }
    }

    /// Tells whether the answer has ended as its protocol says it should.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Tells whether only trailing facts may still come.
    pub fn is_ending(&self) -> bool {
        self.decoder.is_ending()
    }

    /// Tells whether such a chunk is a part of an answer that is taken whole, and says nothing before its end.
    pub(crate) fn is_growing(&self, chunk: &[u8]) -> bool {
        matches!(self.framing, Framing::Whole(_)) && !chunk.trim_ascii().is_empty()
    }

    /// Returns the answer so far.
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Adds what had arrived to an error that ends the answer.
    pub fn fail(&self, error: Error) -> Error {
        let partial = (!self.fold.is_empty()).then(|| self.fold.message());
        error.with_partial(partial, self.fold.usage().cloned())
    }

    fn run(
        &mut self,
        out: &mut Vec<Delta>,
        step: impl FnOnce(&mut Self, &mut Vec<Delta>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.finished {
            return Ok(());
        }
        let before = out.len();
        let result = step(self, out);
        for delta in &out[before..] {
            self.fold.apply(delta);
        }
        self.finished = matches!(out[before..].last(), Some(Delta::Finish(_)));
        result.map_err(|error| self.fail(error))
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<Delta>) -> Result<(), Error> {
        if let Framing::Undecided(declared, head) = &mut self.framing {
            head.extend_from_slice(chunk);
            let Some(framing) = decide(*declared, head) else { return Ok(()) };
            let head = std::mem::take(head);
            self.framing = framing;
            return self.take(&head, out);
        }
        let (decoder, mut result) = (&mut self.decoder, Ok(()));
        match &mut self.framing {
            Framing::Undecided(..) => unreachable!("decided above"),
            Framing::Sse(sse) => {
                sse.push(chunk, |event| on_event(event, &mut **decoder, out, &mut result))?
            }
            Framing::Ndjson(lines) => {
                lines.push(chunk, |line| step(Frame::Value(line), &mut **decoder, out, &mut result))?;
            }
            Framing::Array(array) => {
                array.push(chunk, |value| step(Frame::Value(value), &mut **decoder, out, &mut result))?;
            }
            Framing::Whole(all) if all.len() + chunk.len() > MAX_WHOLE => {
                let text = format!("the answer is larger than {} MiB", MAX_WHOLE >> 20);
                return Err(Error::new(ErrorKind::Decode, text));
            }
            Framing::Whole(all) => all.extend_from_slice(chunk),
        }
        result
    }

    fn take_end(&mut self, out: &mut Vec<Delta>) -> Result<(), Error> {
        if let Framing::Whole(all) = &mut self.framing
            && is_several(all)
        {
            // Lines under a content type that does not say so.
            let lines = std::mem::take(all);
            self.framing = Framing::Ndjson(NdjsonDecoder::new());
            self.take(&lines, out)?;
        }
        let (decoder, mut result) = (&mut self.decoder, Ok(()));
        let framed = match &mut self.framing {
            Framing::Undecided(..) => Ok(()),
            Framing::Sse(sse) => sse.finish(|event| on_event(event, &mut **decoder, out, &mut result)),
            Framing::Ndjson(lines) => {
                lines.finish(|line| step(Frame::Value(line), &mut **decoder, out, &mut result))
            }
            // An element without its end was cut.
            Framing::Array(_) => Ok(()),
            Framing::Whole(all) => return whole(&std::mem::take(all), &mut **decoder, out),
        };
        // What stands at the very end without its line end may have been cut: no reason to call it malformed.
        match framed.and(result) {
            Err(error) if error.kind() != ErrorKind::Decode => return Err(error),
            _ if matches!(out.last(), Some(Delta::Finish(_))) => return Ok(()),
            _ => {}
        }
        self.decoder.finish(out)
    }
}

/// Tells whether a content type without its parameters, in lower case, is that of newline-delimited JSON.
pub(crate) fn is_ndjson(essence: &str) -> bool {
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
        .contains(&essence)
}

/// Tells whether a body is several values, the first of them a line of its own.
fn is_several(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let Some(end) = memchr::memchr(b'\n', body) else { return false };
    !body[end..].trim_ascii().is_empty()
        && serde_json::from_slice::<serde::de::IgnoredAny>(&body[..end]).is_ok()
}

/// Picks the framing: by the content type, unless the body visibly is something else. A JSON error under an
/// event stream's content type is common, and no event stream begins with a brace.
fn decide(declared: Declared, head: &[u8]) -> Option<Framing> {
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte))?;
    Some(match (declared, first) {
        (Declared::Ndjson, _) => Framing::Ndjson(NdjsonDecoder::new()),
        (_, b'[') => Framing::Array(ArrayDecoder::new()),
        (_, b'{' | b'<') => Framing::Whole(Vec::new()),
        (Declared::Json, first) if !b":deir".contains(first) => Framing::Whole(Vec::new()),
        _ => Framing::Sse(SseDecoder::new()),
    })
}

fn on_event(
    event: SseEvent<'_>,
    decoder: &mut dyn Decoder,
    out: &mut Vec<Delta>,
    result: &mut Result<(), Error>,
) -> ControlFlow<()> {
    match event {
        SseEvent::Message { name, data } => step(Frame::Event { name, data }, decoder, out, result),
        SseEvent::Comment => {
            out.push(Delta::Heartbeat);
            ControlFlow::Continue(())
        }
    }
}

/// Feeds one frame and tells whether the answer goes on.
fn step(
    frame: Frame<'_>,
    decoder: &mut dyn Decoder,
    out: &mut Vec<Delta>,
    result: &mut Result<(), Error>,
) -> ControlFlow<()> {
    *result = decoder.push(frame, out);
    match (&result, out.last()) {
        (Ok(()), Some(Delta::Finish(_))) | (Err(_), _) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

fn whole(body: &[u8], decoder: &mut dyn Decoder, out: &mut Vec<Delta>) -> Result<(), Error> {
    // A body that ends inside a character was cut.
    if std::str::from_utf8(body).is_err_and(|error| error.error_len().is_none()) {
        return Ok(());
    }
    let body = text(body)?.trim_start_matches('\u{feff}').trim();
    if body.starts_with('<') {
        return Err(classify::not_json(body));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(body) {
        Ok(_) => decoder.push(Frame::Whole(body), out)?,
        Err(error) if error.is_eof() => return Ok(()),
        Err(_) => return Err(classify::not_json(body)),
    }
    match out.last() {
        Some(Delta::Finish(_)) => Ok(()),
        _ => decoder.finish(out),
    }
}
