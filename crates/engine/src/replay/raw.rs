//! What a call said and heard, byte for byte: the request as it is written once more, and the answer as it was kept.

use std::sync::Arc;

use aichat_events::{Event, Fact, Hash, LlmRequestStarted, LlmWireKept};
use aichat_message::{EventId, SessionId};
use aichat_providers::{Exchange, Replay};

use super::labelled;
use crate::engine::Engine;
use crate::error::Error;

/// A request as the adapter writes it from the log.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// Where it goes, without user info and query.
    pub url: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether these are the bytes that were sent, by their hash.
    pub is_exact: bool,
    /// What else is known of it, where what went over the network is kept: its path with query, and its headers.
    pub exchange: Option<Exchange>,
}

impl Engine {
    /// Writes the request of an attempt once more, from its event `llm.request.started`.
    ///
    /// # Errors
    /// Fails with kind `input` where the session has no such event, or the request cannot be written; with kind
    /// `unsupported` where the engine was given no [`Adapters`](crate::Adapters) or none for the protocol; and with kind
    /// `store`.
    pub async fn raw_request(&self, session: &SessionId, event: &EventId) -> Result<RawRequest, Error> {
        self.using_store(async {
            self.settle().await?;
            let adapters = self.adapters()?;
            let inherited = self.inherited(session).await?;
            let own = self.read(session).await?;
            let (attempt, asked, events) = attempt(&own, session, event)?;
            let provider = adapters.provider(&asked, Arc::new(Replay::new([])))?;
            let first = own.iter().position(|other| other.turn() == attempt.turn()).unwrap_or(0);
            let before = inherited.iter().chain(&own[..first]);
            let written = self.written(provider, &asked, before, &events).await?;
            let call = written.map_err(Error::input)?.prepared.aim.call;
            let exchange = self.exchange_of(&events, attempt).await?;
            let is_exact = Hash::of(&call.body) == asked.body_hash;
            Ok(RawRequest { url: call.url, body: call.body.to_vec(), is_exact, exchange })
        })
        .await
    }

    /// Returns what went over the network for an attempt, the answer in the pieces in which it came, by its event
    /// `llm.request.started`; nothing where that is not kept.
    ///
    /// # Errors
    /// Fails with kind `input` where the session has no such event, and with kind `store`.
    pub async fn raw_response(
        &self,
        session: &SessionId,
        event: &EventId,
    ) -> Result<Option<Exchange>, Error> {
        self.using_store(async {
            self.settle().await?;
            let own = self.read(session).await?;
            let (attempt, _, events) = attempt(&own, session, event)?;
            self.exchange_of(&events, attempt).await
        })
        .await
    }

    async fn exchange_of(&self, events: &[&Event], attempt: &Event) -> Result<Option<Exchange>, Error> {
        let Some(kept) = events.iter().find(|event| event.kind() == LlmWireKept::TYPE) else {
            return Ok(None);
        };
        let Some((exchanges, span)) = self.wire(kept).await?.zip(attempt.span()) else { return Ok(None) };
        Ok(labelled(&exchanges, &span.to_string()).cloned())
    }
}

/// Finds an attempt, what it asked, and the events of its turn.
fn attempt<'a>(
    own: &'a [Event],
    session: &SessionId,
    id: &EventId,
) -> Result<(&'a Event, LlmRequestStarted, Vec<&'a Event>), Error> {
    let found = own.iter().find(|event| event.id() == id);
    let nothing = || Error::input(format!("event {id} of session {session} is no request"));
    let (event, asked) =
        found.and_then(|event| Some((event, LlmRequestStarted::of(event)?))).ok_or_else(nothing)?;
    let events = own.iter().filter(|other| event.turn().is_some() && other.turn() == event.turn()).collect();
    Ok((event, asked, events))
}
