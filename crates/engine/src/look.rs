//! Looking: events are read as they are, those of turns in flight included, and nothing is folded.

use aichat_events::{Event, Hash, Span};
use aichat_message::SessionId;
use aichat_providers::{Exchange, Octets};
use aichat_store::Claim;

use crate::engine::Engine;
use crate::error::Error;
use crate::fold::drafts;

/// What there is of a session from a place on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What is in the log.
    pub events: Vec<Event>,
    /// What is in flight, as it would follow now; its places are not final.
    pub flying: Vec<Event>,
}

/// Tells, compared with an earlier one, whether anything may have happened meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The store's own; `None` where only the log itself tells.
    pub(crate) log: Option<u64>,
    /// How many turns are in flight, and how many bytes of them.
    pub(crate) flights: (usize, u64),
}

impl Pulse {
    /// Tells whether there is nothing: no log, and no turn in flight.
    fn is_none(&self) -> bool {
        self.log == Some(0) && self.flights.0 == 0
    }

    /// Tells whether anything may have happened since an earlier one.
    pub fn is_after(&self, earlier: &Self) -> bool {
        self.log.is_none() || self != earlier
    }
}

/// What went over the network for one attempt, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The request; `None` where it is not recorded.
    pub request: Option<String>,
    /// The answer; `None` where it is not recorded, or none came.
    pub response: Option<String>,
}

impl Raw {
    fn of(exchange: &Exchange) -> Self {
        let sent = &exchange.request;
        let body = match (&sent.body, &sent.body_hash) {
            (Some(body), _) => String::from_utf8_lossy(body).into_owned(),
            (None, Some(hash)) => format!("(the body is not kept; its BLAKE3 hash is {hash})"),
            (None, None) => String::new(),
        };
        let request = format!("{} {}\n{}\n{body}", sent.method, sent.path, headers(&sent.headers));
        let response = exchange.answer.as_ref().map(|head| {
            let body = exchange.body();
            let body = String::from_utf8_lossy(&body);
            format!("HTTP {}\n{}\n{body}", head.status, headers(&head.headers))
        });
        Self { request: Some(request), response }
    }
}

fn headers(headers: &[(String, Octets)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect()
}

impl Engine {
    /// Returns what went over the network for the attempt with a span, out of the event that keeps it for its turn.
    ///
    /// # Errors
    /// Fails with kind `store`, and with `decode` where a later version kept it.
    pub async fn raw(&self, kept: &Event, span: Span) -> Result<Raw, Error> {
        let exchanges = self.using_store(self.wire(kept)).await?.unwrap_or_default();
        let label = span.to_string();
        let exchange = exchanges.iter().rfind(|it| it.request.label.as_ref() == Some(&label));
        Ok(exchange.map(Raw::of).unwrap_or_default())
    }

    /// Returns a sign of life of the store, for which no log is opened.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn pulse(&self) -> Result<Pulse, Error> {
        let log = self.store().pulse().await?;
        Ok(Pulse { log, flights: self.store().backlog().await? })
    }

    /// Tells whether this only looks, and there is nothing to look at: for that no log is made.
    pub(crate) async fn sees_nothing(&self) -> Result<bool, Error> {
        Ok(!self.0.folds && self.pulse().await?.is_none())
    }

    /// Returns what happened in a session after the first `after` events. Nothing is folded or written.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn look(&self, session: &SessionId, after: u64) -> Result<Looked, Error> {
        self.using_store(async {
            let events = self.log_between(session, after.saturating_add(1), u64::MAX).await?;
            let mut seq = after.saturating_add(events.len() as u64);
            let mut flying = Vec::new();
            for pending in self.store().pending(Claim::Look).await? {
                if pending.header.session != *session || self.store().folded(&pending.header.turn).await? {
                    continue;
                }
                for draft in drafts(self, &pending) {
                    seq += 1;
                    flying.push(draft.seal(seq, &Hash::ZERO));
                }
            }
            Ok(Looked { events, flying })
        })
        .await
    }
}
