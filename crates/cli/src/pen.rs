//! The answer on its way out while it arrives, and what is said meanwhile.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Thread};
use std::time::Duration;

use aichat_events::sanitise;
use aichat_message::ErrorKind;
use tokio::sync::oneshot;

use crate::args::Color;
use crate::env::Env;
use crate::failure::Failure;
use crate::markdown::{Markdown, Size};
use crate::output::stdout;
use crate::spinner::Spinner;

/// How long the writer waits for more after it has written: nobody sees an answer grow in smaller steps, and a stream
/// that comes in a thousand pieces a second is not a thousand writes.
const GATHER: Duration = Duration::from_millis(5);

/// Prints an answer while it arrives. The writing is done by a thread, so that a reader who dawdles holds up
/// neither the stream nor Ctrl-C.
pub(crate) struct Pen {
    batches: mpsc::Sender<Batch>,
    writer: Thread,
    writing: Writing,
    terminal: bool,
    screen: Option<Screen>,
    ready: Vec<u8>,
    last: Option<u8>,
}

/// How it is with the thread.
enum Writing {
    /// It writes, and will say how that ended.
    On(oneshot::Receiver<io::Result<()>>),
    /// It has ended like this.
    Over(io::Result<()>),
}

/// What the thread is handed.
enum Batch {
    /// Bytes of the answer.
    Answer(Vec<u8>),
    /// Bytes for standard error.
    Aside(Vec<u8>),
    /// Nothing for now: somebody waits.
    Wait,
    /// Nothing any more.
    End,
}

/// A terminal that shows markdown.
struct Screen {
    markdown: Markdown,
    file: File,
}

/// Says things on standard error in order with the answer.
#[derive(Clone)]
pub(crate) struct Asides(mpsc::Sender<Batch>);

impl Pen {
    /// Returns a pen on a file, or on standard output where none is named. What is in the file stays there until
    /// there is something to write.
    ///
    /// # Errors
    /// Fails with kind `store` where the file cannot be written.
    pub(crate) fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let (mut file, terminal) = match path {
            Some(path) => {
                let file = File::options().write(true).create(true).truncate(false).open(path);
                (file.map_err(|error| Failure::file(ErrorKind::Store, "cannot write", path, &error))?, false)
            }
            None => stdout()?,
        };
        let mut stale = path.is_some();
        let (batches, receiver) = mpsc::channel::<Batch>();
        let (sender, receipt) = oneshot::channel();
        let thread = thread::spawn(move || {
            let written = write_all(&receiver, |batch| {
                if std::mem::take(&mut stale) && file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write_all(&batch)
            });
            // The listener is gone only where the process is about to end.
            let _ = sender.send(written);
        });
        let (writer, writing) = (thread.thread().clone(), Writing::On(receipt));
        Ok(Self { batches, writer, writing, terminal, screen: None, ready: Vec::new(), last: None })
    }

    /// Shows what is written as markdown, where it goes to a terminal that can do that.
    pub(crate) fn rendered(mut self, color: Color, env: &Env) -> Self {
        if self.terminal
            && env.text("TERM").is_none_or(|term| term != "dumb")
            && let Ok((file, _)) = stdout()
        {
            let markdown = Markdown::new(size(&file), color.applies(env, true));
            self.screen = Some(Screen { markdown, file });
        }
        self
    }

    /// Returns a way to say things in order with the answer.
    pub(crate) fn asides(&self) -> Asides {
        Asides(self.batches.clone())
    }

    /// Shows that somebody waits, until there is something to write.
    pub(crate) fn wait(&self) {
        // A writer that failed says so through `broken`.
        let _ = self.batches.send(Batch::Wait);
    }

    /// Takes text; it is written with the next [`flush`](Self::flush).
    pub(crate) fn write(&mut self, text: &str) {
        match (&mut self.screen, self.terminal) {
            (Some(screen), _) => screen.markdown.push(text),
            (None, true) => self.ready.extend_from_slice(sanitise(text).as_bytes()),
            (None, false) => self.ready.extend_from_slice(text.as_bytes()),
        }
        self.last = self.ready.last().copied().or(self.last);
    }

    /// Ends the line, if one was begun; on a screen, the text.
    pub(crate) fn end_line(&mut self) {
        if let Some(screen) = &mut self.screen {
            let rest = screen.markdown.finish(size(&screen.file));
            self.ready.extend_from_slice(rest.as_bytes());
        } else if self.last.is_some_and(|last| last != b'\n') {
            self.write("\n");
        }
    }

    /// Hands what was taken to the writer.
    pub(crate) fn flush(&mut self) {
        if let Some(screen) = &mut self.screen {
            let drawn = screen.markdown.draw(size(&screen.file));
            self.ready.extend_from_slice(drawn.as_bytes());
        }
        if !self.ready.is_empty() {
            // A writer that failed says so through `broken`.
            let _ = self.batches.send(Batch::Answer(std::mem::take(&mut self.ready)));
        }
    }

    /// Returns once when writing has failed, and never while it goes well; [`finish`](Self::finish) says why.
    pub(crate) async fn broken(&mut self) {
        match &mut self.writing {
            Writing::On(receipt) => self.writing = Writing::Over(ended(receipt).await),
            Writing::Over(_) => std::future::pending().await,
        }
    }

    /// Returns when everything is written; asides are said directly from then on.
    ///
    /// # Errors
    /// Fails where it could not be.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.flush();
        let _ = self.batches.send(Batch::End);
        self.writer.unpark();
        match self.writing {
            Writing::On(mut receipt) => ended(&mut receipt).await,
            Writing::Over(written) => written,
        }
    }
}

/// Waits for the writer, and says how it ended.
async fn ended(receipt: &mut oneshot::Receiver<io::Result<()>>) -> io::Result<()> {
    receipt.await.unwrap_or_else(|_| Err(io::Error::other("the writer ended early")))
}

impl Asides {
    /// Says something; gives it back where nobody writes any more.
    pub(crate) fn say(&self, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        self.0.send(Batch::Aside(bytes)).map_err(|lost| match lost.0 {
            Batch::Answer(bytes) | Batch::Aside(bytes) => bytes,
            Batch::Wait | Batch::End => Vec::new(),
        })
    }
}

/// Writes batches as they come, and turns a spinner while there are none and somebody waits.
fn write_all(
    batches: &mpsc::Receiver<Batch>,
    mut write: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut spinner: Option<Spinner> = None;
    let mut ahead = None;
    loop {
        let next = match (ahead.take(), &mut spinner) {
            (Some(batch), _) => Ok(batch),
            (None, None) => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (None, Some(spinner)) => match batches.recv_timeout(spinner.pause()) {
                Err(RecvTimeoutError::Timeout) => {
                    spinner.turn();
                    continue;
                }
                next => next,
            },
        };
        if let Some(spinner) = spinner.take() {
            spinner.clear();
        }
        match next {
            Ok(Batch::End) | Err(_) => return Ok(()),
            Ok(Batch::Answer(mut bytes)) => {
                ahead = loop {
                    match batches.try_recv().ok() {
                        Some(Batch::Answer(more)) => bytes.extend_from_slice(&more),
                        other => break other,
                    }
                };
                write(bytes)?;
                if ahead.is_none() {
                    // Those who hand more over do not end it, so that they need not wake anybody.
                    thread::park_timeout(GATHER);
                }
            }
            // Where nobody reads it there is nobody to tell.
            Ok(Batch::Aside(bytes)) => drop(io::stderr().lock().write_all(&bytes)),
            Ok(Batch::Wait) => spinner = io::stderr().is_terminal().then(Spinner::new),
        }
    }
}

/// Returns the size of a terminal; of one that does not say, the usual.
fn size(terminal: &File) -> Size {
    let size = rustix::termios::tcgetwinsize(terminal).ok();
    let or = |count: u16, usual: usize| if count == 0 { usual } else { usize::from(count) };
    size.map_or((80, 24), |size| (or(size.ws_col, 80), or(size.ws_row, 24)))
}
