//! Many turns, so many at a time: how they are sent, what their lines ask, and what was done and spent before.

mod done;
mod draws;
mod input;
mod question;
mod tally;

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either, select};
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{Stream, StreamExt};
use tokio::sync::watch;

use aichat_events::Interruption;

use crate::company::Company;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Outcome, Send, TurnStream};

pub use done::Done;
pub use input::{InputLine, InputLines};
pub use question::{Found, Question};
pub use tally::Tally;

/// After so many turns what they left is folded into the log.
const FOLD: usize = 256;

/// Turns that are sent so many at a time: a stream of how each ended, in the order in which they end.
///
/// Messages are taken from their stream when there is room for them and not before, so there may be any number of them.
/// None is taken any more once a budget that all draw on has refused one.
pub struct Batch<'a, T> {
    engine: Engine,
    company: Company,
    items: BoxStream<'a, (T, Send)>,
    most: usize,
    running: FuturesUnordered<BoxFuture<'static, (T, Result<Outcome, Error>)>>,
    stop: watch::Sender<Option<Interruption>>,
    is_closed: bool,
    ended: usize,
    folding: Option<BoxFuture<'static, Result<usize, Error>>>,
}

impl Engine {
    /// Sends messages, at most `most` at once, each as [`send`](Self::send) does. They go in `company`.
    pub fn batch<'a, T: std::marker::Send + 'static>(
        &self,
        items: impl Stream<Item = (T, Send)> + std::marker::Send + 'a,
        most: usize,
        company: Company,
    ) -> Batch<'a, T> {
        Batch {
            engine: self.clone(),
            company,
            items: items.boxed(),
            most: most.max(1),
            running: FuturesUnordered::new(),
            stop: watch::Sender::new(None),
            is_closed: false,
            ended: 0,
            folding: None,
        }
    }
}

impl<T> Batch<'_, T> {
    /// Takes no more messages; those that were taken go on.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes no more messages, and stops the turns in flight. Each of them ends with an interrupted outcome.
    pub fn interrupt(&mut self, reason: Interruption) {
        self.is_closed = true;
        self.stop.send_replace(Some(reason));
    }
}

impl<T: std::marker::Send + 'static> Batch<'_, T> {
    fn begin(&self, item: T, mut send: Send) {
        let (engine, mut stop) = (self.engine.clone(), self.stop.subscribe());
        send.company = Some(self.company.clone());
        self.running.push(Box::pin(async move {
            let done = match engine.send(send).await {
                Ok(turn) => see_through(turn, &mut stop).await,
                Err(error) => Err(error),
            };
            (item, done)
        }));
    }

    /// Folds what the turns left, now and then.
    fn tidy(&mut self, context: &mut Context<'_>) {
        if self.folding.is_none() && self.ended >= FOLD {
            self.ended = 0;
            let engine = self.engine.clone();
            self.folding = Some(Box::pin(async move { engine.fold().await }));
        }
        // What could not be folded now waits for whoever reads next.
        if let Some(folding) = &mut self.folding
            && folding.as_mut().poll(context).is_ready()
        {
            self.folding = None;
        }
    }
}

impl<T: std::marker::Send + 'static> Stream for Batch<'_, T> {
    type Item = (T, Result<Outcome, Error>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.tidy(context);
        while !this.is_closed && this.running.len() < this.most {
            match this.items.poll_next_unpin(context) {
                Poll::Ready(Some((item, send))) => this.begin(item, send),
                Poll::Ready(None) => this.is_closed = true,
                Poll::Pending => break,
            }
        }
        match this.running.poll_next_unpin(context) {
            Poll::Ready(Some(ended)) => {
                this.ended += 1;
                this.is_closed |= this.company.is_exhausted();
                Poll::Ready(Some(ended))
            }
            Poll::Ready(None) if this.is_closed && this.folding.is_none() => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Follows a turn to its end, and stops it where everything stops.
async fn see_through(
    mut turn: TurnStream,
    stop: &mut watch::Receiver<Option<Interruption>>,
) -> Result<Outcome, Error> {
    let mut stopped =
        pin!(async move { stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason) });
    loop {
        match select(stopped.as_mut(), turn.next()).await {
            Either::Left((reason, next)) => {
                drop(next);
                // Whoever gave up the batch without a word has gone.
                turn.interrupt(reason.unwrap_or(Interruption::User));
                return turn.outcome().await;
            }
            Either::Right((Some(_), _)) => {}
            Either::Right((None, _)) => return turn.outcome().await,
        }
    }
}
