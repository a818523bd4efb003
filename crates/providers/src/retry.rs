//! Retrying: a pure policy, and a wrapper for those who have no engine to do it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::Error;
use crate::provider::{Call, DeltaStream, Info, Model, Provider};
use crate::request::Request;

/// When to try again, and when to give up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most attempts, the first included.
    pub max_attempts: u32,
    /// Longest time from the first attempt to the last one's start.
    pub max_total: Duration,
    /// The wait before the second attempt; it doubles from one attempt to the next.
    pub base: Duration,
    /// Longest wait that is not asked for by the provider.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            max_total: Duration::from_secs(120),
            base: Duration::from_millis(500),
            cap: Duration::from_secs(20),
        }
    }
}

/// The attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The time since the first one began.
    pub elapsed: Duration,
    /// A random fraction from 0 to 1, which spreads the clients of an overloaded server.
    pub jitter: f64,
}

impl RetryPolicy {
    /// Returns a policy that never tries again.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// Returns how long to wait before the next attempt; `None` means to give up.
    ///
    /// The wait is never shorter than the provider asked for. Where it asked for more than what remains of
    /// `max_total`, waiting a shorter time would not help, so there is no next attempt.
    pub fn next(&self, error: &Error, attempt: Attempt) -> Option<Duration> {
        if !error.is_retryable() || attempt.number >= self.max_attempts {
            return None;
        }
        let doublings = attempt.number.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        let own = full.mul_f64(0.5 + 0.5 * attempt.jitter.clamp(0.0, 1.0));
        let wait = own.max(error.retry_after().unwrap_or_default());
        (attempt.elapsed.saturating_add(wait) <= self.max_total).then_some(wait)
    }
}

/// A provider that opens a stream again where the policy allows; once a stream is open it is never repeated.
#[derive(Debug)]
pub struct Retry<P> {
    inner: P,
    policy: RetryPolicy,
    seed: AtomicU64,
}

impl<P: Provider> Retry<P> {
    /// Wraps a provider. The same `seed` gives the same jitter.
    pub fn new(inner: P, policy: RetryPolicy, seed: u64) -> Self {
        Self { inner, policy, seed: AtomicU64::new(seed) }
    }

    /// Returns the provider inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    async fn repeat<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let mut number = 0;
        loop {
            number += 1;
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let jitter = fraction(self.seed.fetch_add(1, Ordering::Relaxed));
            match self.policy.next(&error, Attempt { number, elapsed: began.elapsed(), jitter }) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }
}

#[async_trait]
impl<P: Provider + 'static> Provider for Retry<P> {
    fn info(&self) -> &Info {
        self.inner.info()
    }

    fn prepare(&self, request: Request) -> Result<Call, Error> {
        self.inner.prepare(request)
    }

    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        self.repeat(|| self.inner.stream(call.clone())).await
    }

    async fn models(&self) -> Result<Vec<Model>, Error> {
        self.repeat(|| self.inner.models()).await
    }

    async fn model(&self, id: &str) -> Result<Model, Error> {
        self.repeat(|| self.inner.model(id)).await
    }
}

/// Spreads a counter over 0 to 1 (the finalizer of SplitMix64).
fn fraction(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1u64 << 53) as f64
}
