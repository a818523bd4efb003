//! A transport that whoever makes a call can listen to, and one that nobody listens to costs nothing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::exchange::Piece;
use crate::passing::{Extent, Keeper, Listener, Note, pass};
use crate::redaction::Redactor;
use crate::transport::{HttpRequest, HttpResponse, Transport};

tokio::task_local! {
    static WIRE: Wire;
}

/// A transport that passes everything through as it is, and tells the [`Wire`] of whoever makes the call.
///
/// ```
/// use aichat_providers::{Fault, Plan, Tap, Transport, Wire};
/// use futures::StreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let network = Tap::new(Fault::new([Plan::body("text/plain", "hello")]));
/// let request = || http::Request::post("http://h/v1/chat").body(bytes::Bytes::from_static(b"hi"));
///
/// let wire = Wire::new(None);
/// let answer = wire.heard(network.send(request()?)).await?;
/// answer.into_body().for_each(|_| async {}).await;
/// assert_eq!(wire.drain().len(), 4, "the request, the head, one piece of the body and its end");
///
/// network.send(request()?).await?;
/// assert!(wire.drain().is_empty(), "nobody listened");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tap<T>(T);

impl<T: Transport> Tap<T> {
    /// Wraps a transport.
    pub fn new(inner: T) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl<T: Transport> Transport for Tap<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        match WIRE.try_with(Clone::clone) {
            Ok(wire) => {
                let number = wire.begin();
                pass(&self.0, request, Ear { wire, number }).await
            }
            Err(_) => self.0.send(request).await,
        }
    }
}

/// What goes over the transports under a call, for whoever makes the call. Clones are the same wire.
///
/// Taking note of a piece costs a lock and a copy, so that nothing keeps the transport's memory;
/// [`drain`](Self::drain) does the rest, when and where the caller wants it. Of a request method, path, some headers
/// and the hash of its body are kept, of an answer its status, some headers and every byte. Sensitive headers, cookies
/// and the values of keys in a query are not; what the sensitive headers hold is masked everywhere else, and everything
/// goes through the redactor given. A secret that a server spreads over several events is not recognised.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<State>>);

struct State {
    redactor: Option<Redactor>,
    next: u64,
    /// What happened since the last time, each with the number of its exchange.
    notes: Vec<(u64, Heard)>,
    /// The chunks among it, one after another.
    bytes: Vec<u8>,
    /// Few: those of one call.
    running: Vec<(u64, Keeper)>,
}

enum Heard {
    /// A chunk of so many bytes, and when it came.
    Chunk(u64, usize),
    /// Something else.
    Note(Note),
}

impl Wire {
    /// Returns a wire of which nothing was heard.
    pub fn new(redactor: Option<Redactor>) -> Self {
        let (notes, bytes, running) = (Vec::new(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { redactor, next: 0, notes, bytes, running })))
    }

    /// Listens to every exchange over a [`Tap`] that begins while `future` runs, in its own task, until the exchange
    /// ends.
    pub async fn heard<F: Future>(&self, future: F) -> F::Output {
        WIRE.scope(self.clone(), future).await
    }

    /// Returns what happened since the last time, redacted, each with the number of its exchange, from 0.
    ///
    /// Of a body that still comes the last piece is held back, because nobody can know yet what the caller made of it,
    /// and whatever holds the beginning of a secret that may go on.
    pub fn drain(&self) -> Vec<(u64, Piece)> {
        let mut state = self.state();
        let State { redactor, notes, bytes, running, .. } = &mut *state;
        let last = notes.pop_if(|(_, heard)| matches!(heard, Heard::Chunk(..)));
        let mut out = Vec::with_capacity(notes.len());
        let mut from = 0;
        for (number, heard) in notes.drain(..) {
            let keeper = running.iter().rposition(|(known, _)| *known == number);
            match (heard, keeper) {
                (Heard::Note(Note::Begun(begun)), _) => {
                    let (request, label) = *begun;
                    let (keeper, sent) = Keeper::new(redactor.clone(), Extent::Outline, &request, label);
                    running.push((number, keeper));
                    out.push((number, sent));
                }
                (Heard::Chunk(at_us, length), keeper) => {
                    let chunk = &bytes[from..from + length];
                    from += length;
                    if let Some(at) = keeper {
                        running[at].1.take_chunk(at_us, chunk, &mut |piece| out.push((number, piece)));
                    }
                }
                (Heard::Note(note), Some(at)) => {
                    let is_last = matches!(note, Note::Ended(..));
                    running[at].1.take(note, &mut |piece| out.push((number, piece)));
                    if is_last {
                        running.swap_remove(at);
                    }
                }
                (Heard::Note(_), None) => {}
            }
        }
        bytes.drain(..from);
        for (number, keeper) in running {
            keeper.release(&mut |piece| out.push((*number, piece)));
        }
        notes.extend(last);
        out
    }

    fn begin(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next - 1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A redactor that panicked has lost what it was given, and the rest goes on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// One exchange's way to its wire.
struct Ear {
    wire: Wire,
    number: u64,
}

impl Listener for Ear {
    fn hear(&mut self, note: Note) {
        self.wire.state().notes.push((self.number, Heard::Note(note)));
    }

    fn hear_chunk(&mut self, at_us: u64, bytes: &Bytes) {
        let mut state = self.wire.state();
        state.bytes.extend_from_slice(bytes);
        state.notes.push((self.number, Heard::Chunk(at_us, bytes.len())));
    }
}
