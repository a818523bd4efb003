//! An exchange on its way through a transport: who is told of it, and what of it is kept.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::error::Error;
use crate::exchange::{Chunk, End, Head, How, Piece, Sent, headers};
use crate::redaction::Redactor;
use crate::redaction::{Pieces, of_request};
use crate::transport::{Body, HttpRequest, HttpResponse, Transport};

tokio::task_local! {
    static LABEL: String;
}

/// Labels the exchanges that begin while `future` runs, in its own task: with a turn and an attempt, say, so that
/// whoever is told of many exchanges knows whose each one is. The label is in [`Sent::label`].
pub async fn labelled<F: Future>(label: impl Into<String>, future: F) -> F::Output {
    LABEL.scope(label.into(), future).await
}

/// What happens to an exchange, as it happened: nothing is redacted yet. Chunks are many, and the rest is boxed.
pub(crate) enum Note {
    Begun(Box<(HttpRequest, Option<String>)>),
    Head(u64, StatusCode, Box<HeaderMap>),
    Chunk(u64, Bytes),
    Ended(u64, Box<How>),
}

/// Who is told what happens to one exchange, at once and on the caller's time.
pub(crate) trait Listener: Send + 'static {
    fn hear(&mut self, note: Note);

    /// Hears of a chunk, of which there are many.
    fn hear_chunk(&mut self, at_us: u64, bytes: &Bytes) {
        self.hear(Note::Chunk(at_us, bytes.clone()));
    }
}

/// Sends a request through a transport and tells `listener` of everything that comes of it.
pub(crate) async fn pass<T: Transport + ?Sized>(
    transport: &T,
    request: HttpRequest,
    listener: impl Listener + Unpin,
) -> Result<HttpResponse, Error> {
    let mut line = Line { listener, began: Instant::now(), over: false };
    line.listener.hear(Note::Begun(Box::new((request.clone(), LABEL.try_with(Clone::clone).ok()))));
    match transport.send(request).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let head = Note::Head(line.at_us(), parts.status, Box::new(parts.headers.clone()));
            line.listener.hear(head);
            Ok(HttpResponse::from_parts(parts, Passing { body, line }.boxed()))
        }
        Err(error) => {
            line.end(How::failed(&error));
            Err(error)
        }
    }
}

/// One exchange's line to whoever listens; dropped early it says so.
struct Line<L: Listener> {
    listener: L,
    began: Instant,
    over: bool,
}

impl<L: Listener> Line<L> {
    fn at_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn end(&mut self, how: How) {
        if !std::mem::replace(&mut self.over, true) {
            let at_us = self.at_us();
            self.listener.hear(Note::Ended(at_us, Box::new(how)));
        }
    }
}

impl<L: Listener> Drop for Line<L> {
    fn drop(&mut self) {
        self.end(How::Dropped);
    }
}

/// A body on its way through.
struct Passing<L: Listener> {
    body: Body,
    line: Line<L>,
}

impl<L: Listener + Unpin> Stream for Passing<L> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.body.poll_next_unpin(cx));
        match &item {
            Some(Ok(chunk)) => {
                let at_us = self.line.at_us();
                self.line.listener.hear_chunk(at_us, chunk);
            }
            Some(Err(error)) => self.line.end(How::failed(error)),
            None => self.line.end(How::Complete),
        }
        Poll::Ready(item)
    }
}

/// How much of a request is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All but what is secret.
    Whole,
    /// Not its body, whose hash stands for it, and the headers of a list alone.
    Outline,
}

/// Makes what is kept of one exchange out of what happened to it.
pub(crate) struct Keeper {
    redactor: Redactor,
    extent: Extent,
    pieces: Pieces,
}

impl Keeper {
    /// Begins with the request; what its sensitive headers hold is masked from now on.
    pub(crate) fn new(
        given: Option<Redactor>,
        extent: Extent,
        request: &HttpRequest,
        label: Option<String>,
    ) -> (Self, Piece) {
        let redactor = of_request(given, request.headers());
        let label = label.map(|label| redactor.text(label));
        let sent = Sent { label, ..Sent::of(request, extent, &redactor) };
        let pieces = Pieces::new(redactor.clone());
        (Self { redactor, extent, pieces }, Piece::Request(Box::new(sent)))
    }

    /// Takes what happened next. Pieces of the body may be held back, and are until [`release`](Self::release) unless
    /// the exchange ends.
    pub(crate) fn take(&mut self, note: Note, out: &mut impl FnMut(Piece)) {
        match note {
            Note::Begun(_) => {}
            Note::Head(at_us, status, all) => {
                let headers = headers(&all, self.extent, &self.redactor);
                out(Piece::Answer(Head { at_us, status: status.as_u16(), headers }));
            }
            Note::Chunk(at_us, bytes) => self.take_chunk(at_us, &bytes, out),
            Note::Ended(at_us, mut how) => {
                self.pieces.finish().into_iter().for_each(|piece| out(chunk(piece)));
                if let How::Failed { message, .. } = &mut *how {
                    *message = self.redactor.text(std::mem::take(message));
                }
                out(Piece::End(End { at_us, how: *how }));
            }
        }
    }

    /// Takes what came next of the body, as [`take`](Self::take) does.
    pub(crate) fn take_chunk(&mut self, at_us: u64, bytes: &[u8], out: &mut impl FnMut(Piece)) {
        if self.pieces.hold(at_us, bytes) {
            self.release(out);
        }
    }

    /// Gives out the pieces of the body that hold no secret which may still go on.
    pub(crate) fn release(&mut self, out: &mut impl FnMut(Piece)) {
        self.pieces.release().into_iter().for_each(|piece| out(chunk(piece)));
    }
}

fn chunk((at_us, bytes): (u64, Bytes)) -> Piece {
    Piece::Chunk(Chunk { at_us, bytes: bytes.into() })
}
