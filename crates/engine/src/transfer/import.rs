//! Import: sessions that were exported become sessions of this store, each whole or not at all.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use aichat_events::Event;
use aichat_message::{ErrorKind, SessionId};
use aichat_store::{ErrorKind as StoreErrorKind, Lease, Scan, Table};
use futures::Stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::document::{Document, Rejected};
use super::{PATIENCE, read};
use crate::blobs;
use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::Summary;
use crate::tail::Tail;
use crate::work::Step;

/// How many events one look at the store compares.
const PAGE: usize = 1_000;

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The session.
    #[serde(rename = "id")]
    pub session: SessionId,
    /// How many events it has.
    pub events: u64,
    /// How many of them were new here.
    pub added: u64,
    /// How many events of the import came without their payload, because it was erased.
    pub erased: u64,
    /// The blobs that its events refer to, and that neither came with it nor are here.
    pub missing_blobs: Vec<String>,
    /// Whether everything is there that was there where it was exported first.
    pub lossless: bool,
}

/// An import under way: a stream of what became of each session. Dropping it ends it after the session in hand.
#[derive(Debug)]
pub struct Importing(mpsc::Receiver<Result<Imported, Rejected>>);

impl Stream for Importing {
    type Item = Result<Imported, Rejected>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Engine {
    /// Takes a session in. Importing it again changes nothing; a longer export of a session that is here already
    /// adds what is new.
    ///
    /// # Errors
    /// Fails with kind `input` where the session is here and went another way or was deleted, or one of its events
    /// is here in another session, and with kind `store`. Then nothing was taken in.
    pub async fn import(&self, document: &Document) -> Result<Imported, Error> {
        self.using_store(self.take_in(document)).await
    }

    /// Takes in every session of a file. Each is one commit: one that is refused leaves nothing behind, and those
    /// before and after it are taken in all the same. One session is held in memory at a time, and the store is let
    /// go of while the file dawdles.
    ///
    /// A failure of kind `store` or `busy` ends the import. Must be called within a runtime.
    pub fn import_from(&self, input: impl Read + Send + 'static) -> Importing {
        let (documents, read_documents) = mpsc::channel(1);
        let (sender, receiver) = mpsc::channel(1);
        // A thread of its own, because a read of a pipe can neither be awaited nor broken off.
        std::thread::spawn(move || {
            read::read(input, &mut |one| match documents.blocking_send(one) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        });
        let engine = self.clone();
        tokio::spawn(async move {
            engine.take_all(read_documents, &sender).await;
            if let Err(error) = engine.store().release().await {
                // Whoever went away wants no error either.
                let _ = sender.send(Err(Rejected { line: 0, session: None, error: error.into() })).await;
            }
        });
        Importing(receiver)
    }

    async fn take_all(
        &self,
        mut documents: mpsc::Receiver<Result<Document, Rejected>>,
        sender: &mpsc::Sender<Result<Imported, Rejected>>,
    ) {
        let mut steps = self.steps(Step::TakeIn, None);
        loop {
            let next = match timeout(PATIENCE, documents.recv()).await {
                Ok(next) => next,
                Err(_) => match self.store().release().await {
                    Ok(()) => documents.recv().await,
                    Err(error) => Some(Err(Rejected { line: 0, session: None, error: error.into() })),
                },
            };
            let Some(next) = next else { return };
            let done = match next {
                Ok(document) => self.take_in(&document).await.map_err(|error| Rejected {
                    line: document.line(),
                    session: Some(document.session().clone()),
                    error,
                }),
                Err(refused) => Err(refused),
            };
            steps.done(1);
            let ends = done.as_ref().is_err_and(|refused| refused.error.kind() != ErrorKind::Input);
            if sender.send(done).await.is_err() || ends {
                return;
            }
        }
    }

    async fn take_in(&self, document: &Document) -> Result<Imported, Error> {
        self.fold_waiting().await?;
        let session = document.session();
        if is_system(session) {
            return Err(Error::input("it is no session: documents are taken in one by one"));
        }
        let here = self.agreed(document).await?;
        let events = document.events();
        let new = usize::try_from(here).ok().and_then(|here| events.get(here..)).unwrap_or_default();
        // What is shorter may be the past of a fork, which is here.
        let is_shared = !self.forks_of(session).await?.is_empty();
        if (events.len() as u64) < here && !is_shared {
            let row = self.store().get(Table::Sessions, session.as_str().as_bytes()).await?;
            if row.as_deref().and_then(Summary::decode).is_some_and(|summary| summary.deleted) {
                return Err(Error::input("it was deleted here, and what is deleted does not come back"));
            }
        }
        // Blobs are held until the commit that refers to them.
        let (missing_blobs, _pin) = self.take_blobs(document, new).await?;
        if !new.is_empty() {
            let mut tail = Tail::read(self, session).await?;
            new.iter().for_each(|event| tail.push(event.clone()));
            let done = self.store().commit(vec![tail.into_unit()]).await;
            if let Err(error) = done {
                return Err(self.refusal(document, new.len(), error).await?);
            }
        }
        let erased = events.iter().filter(|event| event.payload().is_none()).count() as u64;
        Ok(Imported {
            session: session.clone(),
            events: here.max(events.len() as u64),
            added: new.len() as u64,
            erased,
            lossless: erased == 0 && missing_blobs.is_empty(),
            missing_blobs,
        })
    }

    /// Keeps the blobs that came with a document, as far as something refers to them that is here or is about to be,
    /// and returns those that are missing.
    async fn take_blobs(
        &self,
        document: &Document,
        new: &[Event],
    ) -> Result<(Vec<String>, Option<Box<dyn Lease>>), Error> {
        let wanted: BTreeSet<String> = document.events().iter().flat_map(blobs::of).collect();
        if wanted.is_empty() {
            return Ok((Vec::new(), None));
        }
        let fresh: BTreeSet<String> = new.iter().flat_map(blobs::of).collect();
        let pin = self.store().pin().await?;
        let mut missing = Vec::new();
        for hash in wanted {
            // The reference to it may have been erased here since.
            let referred = Scan { prefix: hash.clone().into_bytes(), limit: Some(1), ..Scan::default() };
            let is_wanted =
                fresh.contains(&hash) || !self.store().scan(Table::Blobs, referred).await?.is_empty();
            if !is_wanted || self.whole_blob(&hash).await?.is_some() {
                continue;
            }
            match document.blobs().get(&hash) {
                Some(bytes) => drop(self.store().put_blob(bytes).await?),
                None => missing.push(hash),
            }
        }
        Ok((missing, Some(pin)))
    }

    /// Returns how many events of the session are here, which are those of the document as far as both go.
    async fn agreed(&self, document: &Document) -> Result<u64, Error> {
        let session = document.session();
        let here = self.store().head(session).await?.map_or(0, |head| head.seq);
        let mut theirs = document.events().iter();
        let mut seq = 0;
        while seq < here && theirs.len() > 0 {
            for row in self.store().events(session, seq + 1, PAGE).await? {
                match theirs.next() {
                    None => return Ok(here),
                    Some(event) if event.hash().0[..] == row.hash => seq = row.seq,
                    Some(_) => {
                        let from = row.seq;
                        return Err(Error::input(format!(
                            "it is here already and differs from event {from} on"
                        )));
                    }
                }
            }
        }
        Ok(here)
    }

    /// Returns why the last events of a document were not taken in.
    async fn refusal(
        &self,
        document: &Document,
        new: usize,
        error: aichat_store::Error,
    ) -> Result<Error, Error> {
        let session = document.session();
        Ok(match error.kind() {
            StoreErrorKind::Conflict => {
                Error::new(ErrorKind::Busy, format!("session {session} changed meanwhile")).with_source(error)
            }
            StoreErrorKind::Invalid => {
                for event in &document.events()[document.events().len() - new..] {
                    if let Some((other, _)) = self.store().find(event.id()).await? {
                        let what = format!("event {} is here already, in session {other}", event.id());
                        return Ok(Error::input(what));
                    }
                }
                error.into()
            }
            _ => error.into(),
        })
    }
}
