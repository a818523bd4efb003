//! A transport that writes down what passes through it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use futures::channel::oneshot;

use aichat_message::ErrorKind;

use crate::error::Error;
use crate::exchange::{Exchange, Piece};
use crate::passing::{Extent, Keeper, Listener, Note, pass};
use crate::redaction::Redactor;
use crate::transport::{HttpRequest, HttpResponse, Transport};

/// Keeps what is recorded: in memory, in a file, in a journal.
///
/// Every closure of this form is one.
pub trait Recorder: Send + 'static {
    /// Takes the next piece of an exchange; they are numbered from 0 in the order in which they begin. Pieces of
    /// exchanges that run at the same time come in turns.
    ///
    /// It is called on a thread of its own and may take its time; what waits for it is kept in memory.
    fn record(&mut self, exchange: u64, piece: Piece);
}

impl<F: FnMut(u64, Piece) + Send + 'static> Recorder for F {
    fn record(&mut self, exchange: u64, piece: Piece) {
        self(exchange, piece);
    }
}

/// A recorder in memory, for one recording. Clones share what they hold.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<BTreeMap<u64, Exchange>>>);

impl Tape {
    /// Returns an empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what was recorded, in the order in which it began.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Recorder for Tape {
    fn record(&mut self, exchange: u64, piece: Piece) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (all.get_mut(&exchange), piece) {
            (Some(known), piece) => known.push(piece),
            (None, Piece::Request(request)) => {
                all.insert(exchange, Exchange::new(*request));
            }
            (None, _) => {}
        }
    }
}

/// A transport that passes everything through as it is and tells a [`Recorder`] of it, piece by piece.
///
/// The caller never waits for the recorder: pieces are redacted and handed over on a thread that starts with the
/// first request and ends with the last of the recording's bodies. A piece of a body goes over as soon as no
/// secret that begins in it can still go on: at a line feed, or 4 KiB later; [`flush`](Self::flush) waits for all
/// of it to be there.
///
/// Sensitive headers, cookies and the values of keys in a query are not recorded. What the sensitive headers hold
/// is masked everywhere else, and everything goes through the redactor given. A secret that a server spreads over
/// several events, a few letters in each, is not recognised: redact what is put together from them, too.
///
/// ```
/// use aichat_providers::{Fault, Plan, Recording, Replay, Tape, Transport};
/// use futures::StreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let tape = Tape::new();
/// let network = Fault::new([Plan::body("text/plain", "hello").split(2)]);
/// let recording = Recording::new(network, tape.clone());
/// let request = || http::Request::post("http://h/v1/chat").body(bytes::Bytes::from_static(b"hi"));
/// let first: Vec<_> = recording.send(request()?).await?.into_body().collect().await;
/// recording.flush().await;
///
/// let text = serde_json::to_string(&tape.exchanges())?;
/// let replay = Replay::new(serde_json::from_str::<Vec<_>>(&text)?);
/// let again: Vec<_> = replay.send(request()?).await?.into_body().collect().await;
/// assert_eq!(again.len(), 2, "in the same pieces");
/// assert_eq!(first[0].as_ref().ok(), again[0].as_ref().ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recording<T> {
    inner: T,
    redactor: Option<Redactor>,
    next: AtomicU64,
    recorder: Mutex<Option<Box<dyn Recorder>>>,
    thread: OnceLock<Sender<Told>>,
}

/// What the thread is told.
enum Told {
    Note(u64, Note),
    Flush(oneshot::Sender<()>),
}

impl<T: Transport> Recording<T> {
    /// Wraps a transport.
    pub fn new(inner: T, recorder: impl Recorder) -> Self {
        Self {
            inner,
            redactor: None,
            next: AtomicU64::new(0),
            recorder: Mutex::new(Some(Box::new(recorder))),
            thread: OnceLock::new(),
        }
    }

    /// Sets what everything goes through before the recorder sees it. It is asked more than once about the same
    /// bytes, so what it counts means nothing.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor: Some(redactor), ..self }
    }

    /// Returns the transport inside.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// Waits until the recorder was told of everything that has happened.
    pub async fn flush(&self) {
        let Some(thread) = self.thread.get() else { return };
        let (done, wait) = oneshot::channel();
        if thread.send(Told::Flush(done)).is_ok() {
            // A recorder that panicked takes its thread with it, and there is nothing to wait for.
            let _ = wait.await;
        }
    }

    fn thread(&self) -> Result<Sender<Told>, Error> {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorder) = recorder.take() {
            let (to, notes) = mpsc::channel();
            let thread = std::thread::Builder::new().name("aichat-recorder".to_owned());
            let redactor = self.redactor.clone();
            thread.spawn(move || keep(&notes, redactor.as_ref(), recorder)).map_err(|error| {
                Error::new(ErrorKind::Transport, "the recorder's thread cannot be started").with_source(error)
            })?;
            return Ok(self.thread.get_or_init(|| to).clone());
        }
        self.thread
            .get()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Transport, "the recorder's thread could not be started"))
    }
}

impl<T: fmt::Debug> fmt::Debug for Recording<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: Transport> Transport for Recording<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let to = self.thread()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        pass(&self.inner, request, Numbered { to, number }).await
    }
}

/// One exchange's way to the thread.
struct Numbered {
    to: Sender<Told>,
    number: u64,
}

impl Listener for Numbered {
    fn hear(&mut self, note: Note) {
        // Without a recorder the exchange goes on all the same.
        let _ = self.to.send(Told::Note(self.number, note));
    }
}

/// Redacts what it is told and hands it over, until nobody is left to tell anything.
fn keep(notes: &Receiver<Told>, redactor: Option<&Redactor>, mut recorder: Box<dyn Recorder>) {
    let mut running: HashMap<u64, Keeper> = HashMap::new();
    for told in notes {
        match told {
            Told::Note(number, Note::Begun(begun)) => {
                let (request, label) = *begun;
                let (keeper, sent) = Keeper::new(redactor.cloned(), Extent::Whole, &request, label);
                running.insert(number, keeper);
                recorder.record(number, sent);
            }
            Told::Note(number, note) => {
                let is_last = matches!(note, Note::Ended(..));
                let Some(keeper) = running.get_mut(&number) else { continue };
                let mut record = |piece| recorder.record(number, piece);
                keeper.take(note, &mut record);
                keeper.release(&mut record);
                if is_last {
                    running.remove(&number);
                }
            }
            Told::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
