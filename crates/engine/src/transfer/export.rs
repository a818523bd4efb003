//! Export: sessions on their way out, a page of events at a time.

use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use aichat_events::{Event, Hash};
use aichat_message::SessionId;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{PATIENCE, SCHEMA, line};
use crate::blobs;
use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::work::Step;

/// How many events one read fetches: few, because one may hold whole attachments.
const PAGE: usize = 64;
/// How much text is handed out at once, in bytes, give or take an event.
const CHUNK: usize = 96 << 10;

/// What is exported, and how.
#[derive(Clone, Debug)]
pub struct Export {
    sessions: Vec<SessionId>,
    form: ExportForm,
    erased: bool,
}

/// A lossless form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// A head line, one event a line, a tail line; sessions follow each other.
    Jsonl,
    /// One object; several sessions are an array of them.
    Json,
}

impl Export {
    /// Exports these sessions, as lines.
    pub fn of(sessions: impl IntoIterator<Item = SessionId>) -> Self {
        Self { sessions: sessions.into_iter().collect(), form: ExportForm::Jsonl, erased: false }
    }

    /// Exports in this form.
    #[must_use]
    pub fn form(mut self, form: ExportForm) -> Self {
        self.form = form;
        self
    }

    /// Replaces every payload by a tombstone; the chain still verifies.
    #[must_use]
    pub fn erased(mut self) -> Self {
        self.erased = true;
        self
    }
}

/// An export under way: a stream of pieces of text. Dropping it ends it.
///
/// Memory does not grow with the session. The store is let go of while whoever reads dawdles.
#[derive(Debug)]
pub struct Exporting(mpsc::Receiver<Result<String, Error>>);

impl Exporting {
    /// Returns the whole text.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such session, and with kind `store`.
    pub async fn text(mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(piece) = self.next().await {
            text.push_str(&piece?);
        }
        Ok(text)
    }
}

impl Stream for Exporting {
    type Item = Result<String, Error>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Engine {
    /// Exports sessions. Turns that wait are folded first, since an export gives places and hashes.
    ///
    /// The stream fails with kind `input` where there is no such session, and with kind `store`; what came before
    /// is then no whole export. Must be called within a runtime.
    pub fn export(&self, export: Export) -> Exporting {
        let (sender, receiver) = mpsc::channel(1);
        let mut writer = Writer { engine: self.clone(), sender, ready: String::new(), erased: export.erased };
        tokio::spawn(async move {
            let done = writer.all(&export).await;
            let released = writer.engine.store().release().await;
            let error = match (done, released) {
                (Err(Stop::Error(error)), _) => error,
                (Ok(()), Err(error)) => error.into(),
                (Ok(()), Ok(())) | (Err(Stop::Gone), _) => return,
            };
            // Whoever went away wants no error either.
            let _ = writer.sender.send(Err(error)).await;
        });
        Exporting(receiver)
    }
}

/// Why an export ends early.
enum Stop {
    /// Nobody reads it any more.
    Gone,
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

struct Writer {
    engine: Engine,
    sender: mpsc::Sender<Result<String, Error>>,
    ready: String,
    erased: bool,
}

impl Writer {
    async fn all(&mut self, export: &Export) -> Result<(), Stop> {
        self.engine.fold_waiting().await?;
        let is_array = export.form == ExportForm::Json && export.sessions.len() != 1;
        if is_array {
            self.ready.push('[');
        }
        let mut steps = self.engine.steps(Step::Export, Some(export.sessions.len()));
        for (n, session) in export.sessions.iter().enumerate() {
            if is_array {
                self.ready.push_str(if n == 0 { "\n" } else { ",\n" });
            }
            match export.form {
                ExportForm::Jsonl => self.lines(session).await?,
                ExportForm::Json => self.object(session).await?,
            }
            steps.done(1);
        }
        match export.form {
            ExportForm::Json if is_array => self.ready.push_str("\n]\n"),
            ExportForm::Json => self.ready.push('\n'),
            ExportForm::Jsonl => {}
        }
        self.hand_out().await
    }

    /// Returns what a session shares with those it was forked from, as far as they are here: where each of them is
    /// left, the oldest first.
    async fn ancestors(&self, session: &SessionId) -> Result<Vec<(SessionId, u64)>, Stop> {
        let mut found: Vec<(SessionId, u64)> = Vec::new();
        // Where a fork comes from is erased with the rest.
        let mut next = if self.erased { None } else { self.engine.origin(session).await? };
        while let Some(fork) = next {
            let here = self.engine.store().head(&fork.parent).await?.is_some_and(|head| head.seq >= fork.seq);
            // An import may be of forks that name each other.
            if !here || fork.parent == *session || found.iter().any(|(known, _)| *known == fork.parent) {
                break;
            }
            next = self.engine.origin(&fork.parent).await?;
            found.push((fork.parent, fork.seq));
        }
        found.reverse();
        Ok(found)
    }

    async fn lines(&mut self, session: &SessionId) -> Result<(), Stop> {
        let end = self.end(session).await?;
        for (ancestor, end) in self.ancestors(session).await? {
            self.session_lines(&ancestor, end).await?;
        }
        self.session_lines(session, end).await
    }

    async fn session_lines(&mut self, session: &SessionId, end: u64) -> Result<(), Stop> {
        self.ready.push_str(&line::head(session));
        let (seq, hash, blobs) = self.events(session, end, ("", "\n")).await?;
        for hash in blobs {
            self.blob(&hash, "", true).await?;
        }
        self.ready.push_str(&line::tail(seq, &hash));
        Ok(())
    }

    async fn object(&mut self, session: &SessionId) -> Result<(), Stop> {
        let end = self.end(session).await?;
        let ancestors = self.ancestors(session).await?;
        self.begin_object(session);
        for (n, (ancestor, end)) in ancestors.iter().enumerate() {
            self.ready.push_str(if n == 0 { "\"ancestors\":[\n" } else { ",\n" });
            self.begin_object(ancestor);
            self.finish_object(ancestor, *end).await?;
        }
        if !ancestors.is_empty() {
            self.ready.push_str("\n],");
        }
        self.finish_object(session, end).await
    }

    fn begin_object(&mut self, session: &SessionId) {
        self.ready.push_str(&format!("{{\"schema\":\"{SCHEMA}\",\"session\":\"{session}\","));
    }

    async fn finish_object(&mut self, session: &SessionId, end: u64) -> Result<(), Stop> {
        self.ready.push_str("\"events\":[");
        let (seq, hash, blobs) = self.events(session, end, (",\n", "")).await?;
        self.ready.push_str("\n],\"documents\":[],\"blobs\":[");
        let mut before = "\n";
        for hash in &blobs {
            if self.blob(hash, before, false).await? {
                before = ",\n";
            }
        }
        if before == ",\n" {
            self.ready.push('\n');
        }
        self.ready.push_str(&format!("],\"head\":{{\"seq\":{seq},\"hash\":\"{hash}\"}}}}"));
        Ok(())
    }

    /// Returns where a session ends now; what is appended meanwhile does not belong to this export.
    async fn end(&self, session: &SessionId) -> Result<u64, Stop> {
        match self.engine.store().head(session).await? {
            Some(head) if !is_system(session) => Ok(head.seq),
            _ => Err(Error::input(format!("there is no session {session}")).into()),
        }
    }

    /// Writes the events up to `end`, with something between and after each. Returns the last one's place, and the
    /// names of the blobs they refer to, in order.
    async fn events(
        &mut self,
        session: &SessionId,
        end: u64,
        (between, after): (&str, &str),
    ) -> Result<(u64, Hash, Vec<String>), Stop> {
        let (mut seq, mut hash, mut blobs) = (0, Hash::ZERO, Vec::new());
        let mut known = HashSet::new();
        while seq < end {
            let limit = usize::try_from(end - seq).unwrap_or(PAGE).min(PAGE);
            let rows = self.engine.store().events(session, seq + 1, limit).await?;
            let damaged = |seq: u64| {
                let what = format!("event {seq} of session {session} is damaged or missing");
                Error::new(aichat_message::ErrorKind::Store, what)
            };
            if rows.is_empty() {
                return Err(damaged(seq + 1).into());
            }
            for row in rows {
                if row.seq != seq + 1 {
                    return Err(damaged(seq + 1).into());
                }
                let text = String::from_utf8(row.bytes).map_err(|_| damaged(row.seq))?;
                hash = <[u8; 32]>::try_from(&row.hash[..]).map(Hash).map_err(|_| damaged(row.seq))?;
                seq = row.seq;
                let separator = if seq == 1 { between.trim_start_matches(',') } else { between };
                self.ready.push_str(separator);
                match self.erased {
                    true => self.ready.push_str(Event::parse(&text)?.erase().line()),
                    false => {
                        if text.contains("\"blob\"") {
                            let named = blobs::of(&Event::parse(&text)?);
                            blobs.extend(named.into_iter().filter(|name| known.insert(name.clone())));
                        }
                        self.ready.push_str(&text);
                    }
                }
                self.ready.push_str(after);
                if self.ready.len() >= CHUNK {
                    self.hand_out().await?;
                }
            }
        }
        Ok((seq, hash, blobs))
    }

    /// Writes a blob, unless it is gone, and tells whether it was there.
    async fn blob(&mut self, hash: &str, before: &str, on_a_line: bool) -> Result<bool, Stop> {
        let Some(bytes) = self.engine.whole_blob(hash).await? else { return Ok(false) };
        let (head, tail) = line::around_blob(hash, on_a_line);
        self.ready.push_str(before);
        self.ready.push_str(&head);
        for piece in bytes.chunks(CHUNK / 4 * 3) {
            STANDARD.encode_string(piece, &mut self.ready);
            self.hand_out().await?;
        }
        self.ready.push_str(tail);
        Ok(true)
    }

    /// Hands out what is ready.
    async fn hand_out(&mut self) -> Result<(), Stop> {
        let piece = std::mem::take(&mut self.ready);
        let permit = match timeout(PATIENCE, self.sender.reserve()).await {
            Ok(permit) => permit,
            Err(_) => {
                self.engine.store().release().await?;
                self.sender.reserve().await
            }
        };
        permit.map_err(|_| Stop::Gone)?.send(Ok(piece));
        Ok(())
    }
}
