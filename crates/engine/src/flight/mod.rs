//! A turn in flight: the task that calls the provider, passes on what comes, and records it to its end.

mod attempt;
mod landing;
mod running;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use aichat_events::{
    CostCalculated, Draft, Fact, Interruption, LlmRequestRetried, LlmResponseFailed, LlmResponseFirstChunk,
    Messages, Scribe, WarningRaised,
};
use aichat_message::{Delta, ErrorKind, MessageId, SessionId, TurnId, Usage};
use aichat_providers::{Call, DeltaStream, Provider, Request};
use aichat_store::Turn;

use crate::budget::{Purse, Settled};
use crate::company::{Company, Pass};
use crate::cost::Pricing;
use crate::engine::Engine;
use crate::error::Error;
use crate::fallback::{Fallbacks, Reroute};
use crate::journal::DeltaJournal;
use crate::record::Record;
use crate::send::request_started;
use crate::turn::{ModelRef, Outcome, Progress};
use crate::wire::{self, WireJournal};
use attempt::Attempt;

pub(crate) use attempt::kept;
pub(crate) use running::Running;

/// How long text may wait before it is written.
const MAX_WAIT: Duration = Duration::from_millis(50);
/// How many deltas may come in a row before somebody looks whether the turn shall stop.
const BURST: u32 = 64;

pub(crate) struct Flight {
    pub(crate) engine: Engine,
    pub(crate) scribe: Scribe,
    pub(crate) turn: Box<dyn Turn>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) call: Call,
    pub(crate) messages: Messages,
    pub(crate) model: ModelRef,
    pub(crate) session: SessionId,
    pub(crate) turn_id: TurnId,
    pub(crate) user: MessageId,
    pub(crate) progress: mpsc::UnboundedSender<Progress>,
    pub(crate) stop: oneshot::Receiver<Interruption>,
    pub(crate) warnings: Vec<String>,
    pub(crate) begun_us: u64,
    pub(crate) wire: Option<WireJournal>,
    pub(crate) pricing: Pricing,
    pub(crate) purse: Purse,
    pub(crate) company: Option<Company>,
    pub(crate) costs: Vec<CostCalculated>,
    pub(crate) fallbacks: Fallbacks,
    /// What the models that gave no answer so far failed with.
    pub(crate) failures: Vec<String>,
}

/// What is left of a turn that has ended, for one that follows it at once.
pub(crate) struct Landed {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) request: Request,
    pub(crate) fallbacks: Fallbacks,
    pub(crate) progress: mpsc::UnboundedSender<Progress>,
    pub(crate) stop: oneshot::Receiver<Interruption>,
    pub(crate) purse: Purse,
    pub(crate) company: Option<Company>,
}

/// How an attempt ended.
enum End {
    Finished,
    Failed(aichat_providers::Error),
    Stopped(Interruption),
    /// It was not sent.
    Refused(Error),
}

impl Flight {
    /// Calls the provider until an attempt ends the turn, and records that end.
    pub(crate) async fn fly(mut self) -> (Outcome, Landed) {
        let mut number = 1;
        // Every model has its own patience.
        let (mut tries, mut asked_us) = (1, self.begun_us);
        loop {
            let pass = match self.queue().await {
                Ok(pass) => pass,
                Err(end) => {
                    let nothing = self.begin();
                    // The first request of a turn that nothing limits is on record already.
                    let is_open = number == 1 && !self.purse.is_limited();
                    return self.land(nothing, is_open, end).await;
                }
            };
            if let Err(refused) = self.reserve(number).await {
                let nothing = self.begin();
                return self.land(nothing, false, End::Refused(refused)).await;
            }
            if number > 1 || self.purse.is_limited() {
                self.scribe.begin_attempt();
                let started = request_started(number, &self.call, &*self.provider, &self.messages);
                let draft = self.scribe.fact(&started);
                self.record(draft);
            }
            let mut attempt = self.begin();
            let end = self.attempt(&mut attempt).await;
            if let Some(pass) = pass {
                match &end {
                    End::Finished => pass.learn(None),
                    End::Failed(error) => pass.learn(Some((error.kind(), error.retry_after()))),
                    End::Stopped(_) | End::Refused(_) => {}
                }
            }
            self.write_wire();
            let End::Failed(error) = end else { return self.land(attempt, true, end).await };
            let jitter = self.engine.0.effects.fraction();
            let elapsed = Duration::from_micros(self.now_us().saturating_sub(asked_us));
            if attempt.first_content_us.is_some() {
                return self.land(attempt, true, End::Failed(error)).await;
            }
            let past = aichat_providers::Attempt { number: tries, elapsed, jitter };
            let mut delay = Duration::ZERO;
            if let Some(wait) = self.engine.0.retry.next(&error, past) {
                self.retrying(&attempt, number, wait, error).await;
                (delay, tries) = (wait, tries + 1);
            } else if let Some(to) = self.fallbacks.next(error.kind()) {
                self.fail(&attempt, &error).await;
                if let Err(error) = self.reroute(to, error.into()).await {
                    let nothing = self.begin();
                    return self.land(nothing, false, End::Refused(error)).await;
                }
                (tries, asked_us) = (1, self.now_us());
            } else {
                return self.land(attempt, true, End::Failed(error)).await;
            }
            if let Some(reason) = self.stopped_within(delay).await {
                let nothing = self.begin();
                return self.land(nothing, false, End::Stopped(reason)).await;
            }
            number += 1;
        }
    }

    /// Begins an attempt now.
    fn begin(&self) -> Attempt {
        Attempt::new(self.now_us(), self.begun_us)
    }

    /// Waits until the provider may be asked, where others were told that it is too much.
    async fn queue(&mut self) -> Result<Option<Pass>, End> {
        let Some(company) = self.company.clone() else { return Ok(None) };
        let name = self.provider.info().name.clone();
        let patience = self.engine.0.retry.max_total;
        let mut passing = pin!(company.pass(&name, patience));
        let passed = poll_fn(|context| {
            if let Poll::Ready(stop) = Pin::new(&mut self.stop).poll(context) {
                return Poll::Ready(Err(End::Stopped(stop.unwrap_or(Interruption::User))));
            }
            passing.as_mut().poll(context).map(|passed| {
                passed.map(Some).map_err(|wait| {
                    let what = format!("another request was told to wait {} s", wait.as_secs_f64().ceil());
                    let error = aichat_providers::Error::new(ErrorKind::RateLimited, what);
                    End::Failed(error.with_provider(&name).with_retry_after(Some(wait)))
                })
            })
        });
        passed.await
    }

    /// Sets aside what the next attempt costs at most.
    async fn reserve(&mut self, number: u32) -> Result<(), Error> {
        match self.purse.reserve(&self.turn_id, number).await? {
            Ok(None) => Ok(()),
            Ok(Some(reserved)) => {
                self.note(&reserved);
                Ok(())
            }
            Err(refusal) => {
                self.note(&refusal.fact);
                Err(refusal.error)
            }
        }
    }

    /// Says what an attempt cost that has just been said to be over, and settles its budget. Called with nothing where
    /// it cost nothing.
    async fn pay(&mut self, cost: Option<CostCalculated>) {
        let cost = cost.map(|cost| CostCalculated { ended_us: self.scribe.said_us(), ..cost });
        if let Some(cost) = &cost {
            self.note(cost);
        }
        let (settled, error) = self.purse.settle(cost.as_ref()).await;
        match settled {
            Some(Settled::Committed(fact)) => self.note(&fact),
            Some(Settled::Released(fact)) => self.note(&fact),
            None => {}
        }
        self.costs.extend(cost);
        if let Some(error) = error {
            self.tell(format!("what was set aside for this turn stays so: {error}"));
        }
    }

    fn cost(&self, attempt: &Attempt, usage: Option<&Usage>, has_ended: bool) -> CostCalculated {
        let served = attempt.fold.started().model.as_deref();
        self.pricing.cost(self.scribe.asked_us(), served, usage, has_ended)
    }

    fn now_us(&self) -> u64 {
        self.engine.0.effects.clock.mono_us()
    }

    fn record(&mut self, draft: Draft) {
        self.turn.append(Record::Event(Box::new(draft)).encode());
    }

    fn note<F: Fact>(&mut self, fact: &F) {
        let draft = self.scribe.fact(fact);
        self.record(draft);
    }

    /// Tells the caller something that is recorded already or is not worth it.
    pub(crate) fn tell(&mut self, warning: String) {
        self.warnings.push(warning.clone());
        self.pass(Progress::Warning(warning));
    }

    /// Passes on what happens. A caller that dropped its stream has dropped `stop` as well.
    fn pass(&self, progress: Progress) {
        let _ = self.progress.send(progress);
    }

    /// Waits, and returns early with the reason where the turn shall stop.
    async fn stopped_within(&mut self, delay: Duration) -> Option<Interruption> {
        let stopped = tokio::time::timeout(delay, &mut self.stop).await.ok()?;
        Some(stopped.unwrap_or(Interruption::User))
    }

    async fn attempt(&mut self, attempt: &mut Attempt) -> End {
        let mut opening = pin!(self.stream());
        let opened = poll_fn(|context| {
            if let Poll::Ready(stop) = Pin::new(&mut self.stop).poll(context) {
                return Poll::Ready(Err(End::Stopped(stop.unwrap_or(Interruption::User))));
            }
            opening.as_mut().poll(context).map_err(End::Failed)
        })
        .await;
        match opened {
            Ok(stream) => {
                attempt.first_byte_us = Some(self.now_us().saturating_sub(attempt.begun_us));
                self.follow(stream, attempt).await
            }
            Err(end) => end,
        }
    }

    /// Sends the call, and listens to what goes over the network where that is kept.
    fn stream(&self) -> impl Future<Output = Result<DeltaStream, aichat_providers::Error>> + use<> {
        let (provider, call) = (Arc::clone(&self.provider), self.call.clone());
        let attempt = self.scribe.attempt();
        let heard = self.wire.as_ref().map(|wire| wire.stream(Arc::clone(&provider), call.clone(), attempt));
        async move {
            match heard {
                Some(heard) => heard.await,
                None => provider.stream(call).await,
            }
        }
    }

    /// Passes on and records deltas until the stream ends or the turn shall stop.
    async fn follow(&mut self, mut stream: DeltaStream, attempt: &mut Attempt) -> End {
        let mut journal = DeltaJournal::new(self.scribe.redactor());
        let masked = self.scribe.redactor().masked();
        let mut timer = pin!(tokio::time::sleep(MAX_WAIT));
        let mut is_timed = false;
        let mut burst = 0;
        let end = loop {
            match self.next(&mut stream, is_timed.then_some(timer.as_mut()), &mut burst).await {
                Next::Delta(Delta::Warning(text)) => {
                    self.note(&WarningRaised { text: text.clone() });
                    self.tell(text);
                }
                Next::Delta(delta) => {
                    let now_us = self.now_us();
                    if attempt.take(&delta, now_us) {
                        let first_content_us = now_us.saturating_sub(attempt.begun_us);
                        let first_byte_us = attempt.first_byte_us;
                        self.note(&LlmResponseFirstChunk { first_byte_us, first_content_us });
                    }
                    let full = journal.push(&delta);
                    let finished = matches!(delta, Delta::Finish(_));
                    self.pass(Progress::Delta(delta));
                    if full {
                        self.write(&mut journal);
                        is_timed = false;
                    } else if !is_timed && journal.is_waiting() {
                        timer.as_mut().reset(Instant::now() + MAX_WAIT);
                        is_timed = true;
                    }
                    if finished {
                        break End::Finished;
                    }
                }
                Next::Tick => {
                    self.write(&mut journal);
                    is_timed = false;
                }
                Next::End(end) => break end,
            }
        };
        self.write(&mut journal);
        attempt.is_masked = self.scribe.redactor().masked() > masked;
        end
    }

    /// Writes what was said, and then what it was made of: whoever finds the latter finds what was masked in the former.
    fn write(&mut self, journal: &mut DeltaJournal) {
        for record in journal.drain() {
            self.turn.append(record);
        }
        self.write_wire();
    }

    fn write_wire(&mut self) {
        // At once: whoever dies next leaves nothing of it.
        if self.wire.as_ref().is_some_and(|wire| wire.is_spoilt(self.scribe.redactor())) {
            return self.drop_wire();
        }
        if let Some(wire) = &mut self.wire {
            wire.write(&mut *self.turn);
        }
    }

    /// Removes what was kept of the network, where a secret in the answer may be spread over it.
    fn drop_wire(&mut self) {
        if self.wire.take().is_some_and(|wire| wire.is_begun()) {
            self.turn.clear_beside();
            let lost = wire::lost(wire::MASKED);
            self.note(&lost);
            self.tell(lost.text);
        }
    }

    /// Returns what comes first; what the provider has ready goes before everything else but a stop, which is
    /// looked for now and then.
    async fn next(
        &mut self,
        stream: &mut DeltaStream,
        timer: Option<Pin<&mut Sleep>>,
        burst: &mut u32,
    ) -> Next {
        let mut timer = timer;
        poll_fn(|context| {
            *burst += 1;
            let stop_first = *burst >= BURST;
            if stop_first {
                *burst = 0;
                if let Poll::Ready(stop) = Pin::new(&mut self.stop).poll(context) {
                    return Poll::Ready(Next::End(End::Stopped(stop.unwrap_or(Interruption::User))));
                }
            }
            match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(Ok(delta))) => return Poll::Ready(Next::Delta(delta)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::End(End::Failed(error))),
                Poll::Ready(None) => return Poll::Ready(Next::End(End::Failed(ended_early()))),
                Poll::Pending => {}
            }
            *burst = 0;
            if let Poll::Ready(stop) = Pin::new(&mut self.stop).poll(context) {
                return Poll::Ready(Next::End(End::Stopped(stop.unwrap_or(Interruption::User))));
            }
            match timer.as_mut().map(|timer| timer.as_mut().poll(context)) {
                Some(Poll::Ready(())) => Poll::Ready(Next::Tick),
                _ => Poll::Pending,
            }
        })
        .await
    }

    async fn retrying(
        &mut self,
        attempt: &Attempt,
        number: u32,
        delay: Duration,
        error: aichat_providers::Error,
    ) {
        self.fail(attempt, &error).await;
        self.note(&LlmRequestRetried {
            attempt: number,
            delay_ms: millis(delay),
            kind: error.kind(),
            message: error.to_string(),
            status: error.status(),
        });
        self.pass(Progress::Retrying { attempt: number, delay, error: error.into() });
    }

    /// Passes the turn to the next model that can be asked.
    async fn reroute(&mut self, mut to: ModelRef, mut error: Error) -> Result<(), Error> {
        loop {
            let from = std::mem::replace(&mut self.model, to.clone());
            let reroute = Reroute { from, to: to.clone(), error };
            self.note(&reroute.fact());
            self.tell_reroute(reroute);
            match self.aim_at(to).await {
                Ok(()) => return Ok(()),
                Err(failed) => error = failed,
            }
            match self.fallbacks.next(error.kind()) {
                Some(next) => to = next,
                None => return Err(error),
            }
        }
    }

    /// Tells the caller that another model is asked.
    pub(crate) fn tell_reroute(&mut self, reroute: Reroute) {
        self.warnings.push(reroute.to_string());
        self.failures.push(reroute.error.to_string());
        self.pass(Progress::Rerouting(reroute));
    }

    /// Makes the same request ready for another model.
    async fn aim_at(&mut self, model: ModelRef) -> Result<(), Error> {
        let provider = self.engine.provider(&model.provider).await?;
        let request = self.fallbacks.request(&self.call);
        let aim = self.engine.aim(model, provider, request, self.pricing.agent.as_deref())?;
        self.purse.pass_to(&aim.pricing);
        let mut call = aim.call;
        if self.purse.is_limited() {
            call = self
                .purse
                .fit(&*aim.provider, call, &aim.pricing, self.engine.0.effects.clock.now_us())
                .await?;
        }
        for text in std::mem::take(&mut call.warnings) {
            self.note(&WarningRaised { text: text.clone() });
            self.tell(text);
        }
        (self.provider, self.pricing, self.call) = (aim.provider, aim.pricing, call);
        self.scribe.end_call();
        Ok(())
    }

    /// Records that an attempt failed, and what it cost.
    async fn fail(&mut self, attempt: &Attempt, error: &aichat_providers::Error) {
        let failed = self.failed(attempt, error);
        self.note(&failed);
        let cost = failed.may_cost().then(|| self.cost(attempt, failed.usage.as_ref(), false));
        self.pay(cost).await;
    }

    fn failed(&self, attempt: &Attempt, error: &aichat_providers::Error) -> LlmResponseFailed {
        LlmResponseFailed {
            kind: error.kind(),
            message: error.to_string(),
            status: error.status(),
            code: error.code().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            retryable: error.is_retryable(),
            retry_after_ms: error.retry_after().map(millis),
            usage: attempt.fold.usage().or(error.usage()).cloned(),
            timing: Some(attempt.timing(self.now_us())),
            kept: attempt.kept(),
        }
    }
}

/// What a turn in flight may meet next.
enum Next {
    Delta(Delta),
    Tick,
    End(End),
}

/// A provider broke its word that a stream ends by a finish or an error.
fn ended_early() -> aichat_providers::Error {
    aichat_providers::Error::new(ErrorKind::Truncated, "the stream ended without its end marker")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
