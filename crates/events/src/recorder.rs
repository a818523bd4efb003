//! The recorder: facts in, sealed events out, into whatever keeps them.

use std::convert::Infallible;
use std::io::{self, Write};

use crate::chain::Chain;
use crate::envelope::{Draft, Event};
use crate::fact::Fact;
use crate::scribe::Scribe;

/// Keeps events: a file, a queue, a list.
pub trait Sink {
    /// Why an event could not be kept.
    type Error;

    /// Keeps an event, which comes after all those that were kept before.
    ///
    /// # Errors
    /// Fails where the event is not kept; the next one then takes its place.
    fn keep(&mut self, event: &Event) -> Result<(), Self::Error>;
}

impl Sink for Vec<Event> {
    type Error = Infallible;
    fn keep(&mut self, event: &Event) -> Result<(), Infallible> {
        self.push(event.clone());
        Ok(())
    }
}

/// Writes each event as a line. When lines are durable is up to the writer.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> Sink for Lines<W> {
    type Error = io::Error;
    fn keep(&mut self, event: &Event) -> Result<(), io::Error> {
        self.0.write_all(format!("{event}\n").as_bytes())
    }
}

/// Records the facts of one session: drafts them, gives each its place in the chain, and hands them to a sink.
pub struct Recorder<S> {
    scribe: Scribe,
    chain: Chain,
    sink: S,
}

impl<S: Sink> Recorder<S> {
    /// Returns a recorder for a session without events.
    pub fn new(scribe: Scribe, sink: S) -> Self {
        Self::after(Chain::new(), scribe, sink)
    }

    /// Returns a recorder that goes on after the events that a chain took.
    pub fn after(chain: Chain, scribe: Scribe, sink: S) -> Self {
        Self { scribe, chain, sink }
    }

    /// Returns the scribe, for turns and calls to begin.
    pub fn scribe(&mut self) -> &mut Scribe {
        &mut self.scribe
    }

    /// Records a fact, with what it says masked.
    ///
    /// # Errors
    /// Fails where the sink does; nothing is recorded then.
    pub fn record<F: Fact>(&mut self, fact: &F) -> Result<Event, S::Error> {
        let draft = self.scribe.fact(fact);
        self.keep(&draft)
    }

    /// Records what was masked so far, if anything, and returns the chain and the sink.
    ///
    /// # Errors
    /// Fails where the sink does.
    pub fn finish(mut self) -> Result<(Chain, S), S::Error> {
        if let Some(draft) = self.scribe.masked_counts() {
            self.keep(&draft)?;
        }
        Ok((self.chain, self.sink))
    }

    fn keep(&mut self, draft: &Draft) -> Result<Event, S::Error> {
        let event = self.chain.seal(draft);
        self.sink.keep(&event)?;
        self.chain.push(&event).expect("the chain gave the event its place");
        Ok(event)
    }
}
