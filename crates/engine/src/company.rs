//! Turns that go together: they share the patience that a provider asks for, and one budget.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use aichat_message::{ErrorKind, Money};

use crate::error::Error;

/// Longest wait that the others keep to; who asks for more counts in other units, or is not set up.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// What becomes of the budget of a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// So much is set aside, before anything is asked.
    Held(Money),
    /// What was set aside is given back, and so much of it is spent.
    Settled {
        /// What was set aside.
        held: Money,
        /// What is spent, which may be more.
        spent: Money,
    },
}

/// Writes down what becomes of a budget.
type Record = Box<dyn Fn(Draw) -> Result<(), Error> + Send + Sync>;

/// Turns that go together. What one of them is told by a provider, all of them keep to: after a `retry-after` nobody
/// asks that provider before its time, and afterwards they ask it half as many at once, and one more for each round of
/// answers that went well. What they may cost is one budget, on which each draws before every attempt; where what is
/// left is only set aside for others, it waits for them. Cheap to clone; clones are the same company.
#[derive(Clone)]
pub struct Company(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    record: Option<Record>,
    /// Something was given back.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The most that all of them may cost.
    limit: Option<Money>,
    spent: Money,
    held: Money,
    /// How many attempts have something set aside, in this budget or another one.
    holders: usize,
    is_exhausted: bool,
    doors: HashMap<String, Door>,
}

/// The way to one provider.
#[derive(Default)]
struct Door {
    running: usize,
    /// How many may run at once; as many as like to where it never was too much.
    allowed: Option<f64>,
    not_before: Option<Instant>,
    /// When it was last made narrower. What was asked before that says nothing new.
    narrowed: Option<Instant>,
    /// How many ran when it was.
    most: usize,
}

/// Leave to ask a provider once; it is given back when it is dropped.
pub(crate) struct Pass {
    company: Company,
    provider: String,
    begun: Instant,
}

impl Company {
    /// Returns a company whose turns may cost so much together, of which `spent` is spent already.
    pub fn new(limit: Option<Money>, spent: Money) -> Self {
        Self::with(limit, spent, None)
    }

    /// Returns a company whose budget outlives its process: `record` writes down what becomes of it, and returns once it
    /// is written. What cannot be written down is not set aside, and its turn fails; what was set aside and not said to
    /// be settled is to be taken as spent by whoever goes on.
    pub fn recorded(
        limit: Option<Money>,
        spent: Money,
        record: impl Fn(Draw) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self::with(limit, spent, Some(Box::new(record)))
    }

    fn with(limit: Option<Money>, spent: Money, record: Option<Record>) -> Self {
        let state = State { limit, spent, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), record, changed: Notify::new() }))
    }

    fn write_down(&self, draw: Draw) -> Result<(), Error> {
        self.0.record.as_ref().map_or(Ok(()), |record| record(draw))
    }

    /// Tells whether a turn was refused by a budget that all of them draw on.
    pub fn is_exhausted(&self) -> bool {
        self.state().is_exhausted
    }

    /// Returns what was spent, as far as the budget counts it: where that is not known whole, what was set aside.
    pub fn spent(&self) -> Money {
        self.state().spent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for leave to ask a provider.
    ///
    /// # Errors
    /// Gives back how long it would be, where that is longer than `most`.
    pub(crate) async fn pass(&self, provider: &str, most: Duration) -> Result<Pass, Duration> {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            let until = {
                let mut state = self.state();
                let door = state.doors.entry(provider.to_owned()).or_default();
                let now = Instant::now();
                match door.not_before.filter(|until| *until > now) {
                    Some(until) if until - now > most => return Err(until - now),
                    Some(until) => Some(until),
                    None if door.is_open() => {
                        door.running += 1;
                        return Ok(Pass { company: self.clone(), provider: provider.to_owned(), begun: now });
                    }
                    None => None,
                }
            };
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => changed.await,
            }
        }
    }

    /// Returns what is left of the budget, for whoever comes next.
    pub(crate) fn left(&self) -> Option<(Money, Money)> {
        let state = self.state();
        let limit = state.limit?;
        Some((limit, less(limit, state.spent)))
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.state().limit.is_some()
    }

    /// Sets something aside, unless it does not fit into what is left beside what others have set aside.
    ///
    /// # Errors
    /// Fails where that cannot be written down; then nothing is set aside.
    pub(crate) fn hold(&self, amount: Money) -> Result<bool, Error> {
        let mut state = self.state();
        if let Some(limit) = state.limit {
            let left = less(less(limit, state.spent), state.held);
            if amount > left || left == Money::ZERO {
                return Ok(false);
            }
        }
        self.write_down(Draw::Held(amount))?;
        state.held = state.held + amount;
        state.holders += 1;
        Ok(true)
    }

    /// Gives back what was set aside, and takes what it did cost as spent.
    pub(crate) fn settle(&self, held: Money, spent: Money) {
        let mut state = self.state();
        state.held = less(state.held, held);
        state.holders = state.holders.saturating_sub(1);
        state.spent = state.spent + spent;
        // Where it is not written down it counts as it was set aside.
        let _ = self.write_down(Draw::Settled { held, spent });
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Waits until somebody gives something back; `false` where nobody has anything. `seen` is from before the look
    /// that failed.
    pub(crate) async fn given_back(&self, seen: Pin<&mut Notified<'_>>) -> bool {
        if self.state().holders == 0 {
            return false;
        }
        seen.await;
        true
    }

    /// Begins to watch for what is given back.
    pub(crate) fn watch(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Says that nothing is left for anybody.
    pub(crate) fn exhaust(&self) {
        self.state().is_exhausted = true;
    }
}

impl Door {
    fn is_open(&self) -> bool {
        self.allowed.is_none_or(|allowed| (self.running as f64) < allowed.floor().max(1.0))
    }
}

impl Pass {
    /// Says how it went: well, or with a failure after which the provider asks to wait so long.
    pub(crate) fn learn(&self, failure: Option<(ErrorKind, Option<Duration>)>) {
        let mut state = self.company.state();
        let door = state.doors.entry(self.provider.clone()).or_default();
        let now = Instant::now();
        match failure {
            None => {
                if let Some(allowed) = &mut door.allowed {
                    *allowed += 1.0 / allowed.floor().max(1.0);
                }
                if door.allowed.is_some_and(|allowed| allowed >= door.most as f64) {
                    door.allowed = None;
                }
            }
            Some((ErrorKind::RateLimited | ErrorKind::Overloaded, wait)) => {
                let until = wait.filter(|wait| *wait <= LONGEST_PAUSE).map(|wait| now + wait);
                door.not_before = door.not_before.max(until);
                if door.narrowed.is_none_or(|narrowed| narrowed < self.begun) {
                    let at_once = door.allowed.unwrap_or(f64::INFINITY).min(door.running as f64);
                    door.most = door.most.max(door.running);
                    door.allowed = Some((at_once / 2.0).max(1.0));
                    door.narrowed = Some(now);
                }
            }
            Some(_) => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.company.state();
        if let Some(door) = state.doors.get_mut(&self.provider) {
            door.running = door.running.saturating_sub(1);
        }
        drop(state);
        self.company.0.changed.notify_waiters();
    }
}

impl std::fmt::Debug for Company {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Company")
            .field("limit", &state.limit)
            .field("spent", &state.spent)
            .field("held", &state.held)
            .finish_non_exhaustive()
    }
}

fn less(amount: Money, less: Money) -> Money {
    Money::from_pico_dollars(amount.pico_dollars().saturating_sub(less.pico_dollars()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_as_long_as_one_of_them_is_told() {
        let company = Company::new(None, Money::ZERO);
        let began = Instant::now();
        let mut passes = Vec::new();
        for _ in 0..4 {
            passes.push(company.pass("a", LONG).await.unwrap());
        }
        passes[0].learn(Some((ErrorKind::RateLimited, Some(Duration::from_secs(7)))));
        assert_eq!(company.pass("a", Duration::from_secs(1)).await.err(), Some(Duration::from_secs(7)));
        let other = company.pass("b", LONG).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "another provider is another matter");
        drop((other, passes));
        let first = company.pass("a", LONG).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(7));
        // Half as many, and one more after a round that went well.
        let second = company.pass("a", LONG).await.unwrap();
        let third = tokio::time::timeout(LONG, company.pass("a", LONG)).await;
        assert!(third.is_err(), "two of four at once");
        first.learn(None);
        second.learn(None);
        let third = company.pass("a", LONG).await.unwrap();
        for pass in [&first, &second, &third] {
            pass.learn(None);
            pass.learn(None);
        }
        drop((first, second, third));
        let all: Vec<_> = futures::future::join_all((0..9).map(|_| company.pass("a", LONG))).await;
        assert_eq!(all.len(), 9, "in the end nothing holds them back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_wait_stops_nobody() {
        let company = Company::new(None, Money::ZERO);
        let pass = company.pass("a", LONG).await.unwrap();
        pass.learn(Some((ErrorKind::RateLimited, Some(LONGEST_PAUSE))));
        assert_eq!(company.pass("a", LONG).await.err(), Some(LONGEST_PAUSE));
        let pass = company.pass("b", LONG).await.unwrap();
        pass.learn(Some((ErrorKind::RateLimited, Some(Duration::MAX))));
        drop(pass);
        assert!(company.pass("b", LONG).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_narrows_the_way_once() {
        let company = Company::new(None, Money::ZERO);
        let passes = futures::future::join_all((0..8).map(|_| company.pass("a", LONG))).await;
        for pass in &passes {
            pass.as_ref().unwrap().learn(Some((ErrorKind::RateLimited, None)));
        }
        assert_eq!(company.state().doors["a"].allowed, Some(4.0));
    }

    #[tokio::test]
    async fn what_is_set_aside_is_nobody_elses() {
        let company = Company::new(Some(usd("1")), usd("0.25"));
        assert!(company.hold(usd("0.5")).unwrap() && !company.hold(usd("0.5")).unwrap());
        assert_eq!(company.left(), Some((usd("1"), usd("0.75"))));
        let mut seen = std::pin::pin!(company.watch());
        seen.as_mut().enable();
        company.settle(usd("0.5"), usd("0.1"));
        assert!(!company.given_back(seen.as_mut()).await, "nobody has anything any more");
        assert!(company.hold(usd("0.65")).unwrap() && !company.hold(Money::ZERO).unwrap());
        assert_eq!(company.spent(), usd("0.35"));
    }

    #[tokio::test]
    async fn what_becomes_of_the_budget_is_written_down_before_it_counts() {
        let (told, written) = std::sync::mpsc::sync_channel(2);
        let full = || Error::new(ErrorKind::Store, "no room");
        let record = move |draw| told.try_send(draw).map_err(|_| full());
        let company = Company::recorded(Some(usd("1")), Money::ZERO, record);
        assert!(company.hold(usd("0.5")).unwrap() && !company.hold(usd("0.6")).unwrap());
        company.settle(usd("0.5"), usd("0.2"));
        assert_eq!(company.hold(usd("0.1")).unwrap_err().kind(), ErrorKind::Store);
        assert_eq!(company.left(), Some((usd("1"), usd("0.8"))), "nothing is set aside");
        let draws: Vec<Draw> = written.try_iter().collect();
        assert_eq!(draws, [Draw::Held(usd("0.5")), Draw::Settled { held: usd("0.5"), spent: usd("0.2") }]);
    }
}
