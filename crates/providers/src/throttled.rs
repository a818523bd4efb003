//! A transport that keeps to rate limits: to those it is given, and to what the provider says.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::HeaderMap;
use http::header::DATE;
use tokio::sync::Mutex as Queue;
use tokio::time::Instant;

use aichat_message::ErrorKind;

use crate::classify::{rate_limits, retry_after};
use crate::error::Error;
use crate::reset::reset;
use crate::transport::{HttpRequest, HttpResponse, Transport};

/// What the limits are counted in.
const MINUTE: Duration = Duration::from_secs(60);

/// How many bytes of a request's body are taken for one token.
const BYTES_PER_TOKEN: u64 = 4;

/// How much may be sent in any minute; what is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub requests_per_minute: Option<u32>,
    /// Tokens of requests. A request's tokens are estimated: one for every four bytes of its body, rounded up.
    /// What is answered is not counted. A request that is larger than the limit waits until it is alone.
    pub tokens_per_minute: Option<u64>,
}

/// A transport that holds requests back until they keep to the limits.
///
/// In no span of a minute are more requests begun, or more tokens sent, than the [`Limits`] say. What the provider
/// says counts too: after `retry-after`, and after a rate-limit header with nothing remaining (`x-ratelimit-…`,
/// `anthropic-ratelimit-…`), nothing is sent before the time it names.
///
/// It counts what goes through this value, in this process: another process with the same key has its own count.
/// Requests go out in the order in which they came. One that is dropped while it waits leaves its place to the
/// next. The wait is part of the time that a caller's limit for the first byte allows; a request that would have
/// to wait longer than [`with_max_wait`](Self::with_max_wait) says fails at once.
///
/// ```
/// use std::time::Duration;
/// use aichat_providers::{Fault, Limits, Plan, Throttled, Transport};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// # runtime.block_on(async {
/// let network = Fault::new([Plan::body("text/plain", "")]);
/// let limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
/// let transport = Throttled::new(network, limits);
/// let began = tokio::time::Instant::now();
/// for _ in 0..3 {
///     transport.send(http::Request::new(bytes::Bytes::new())).await?;
/// }
/// assert_eq!(began.elapsed(), Duration::from_secs(60));
/// # Ok::<(), aichat_providers::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Throttled<T> {
    inner: T,
    limits: Limits,
    max_wait: Duration,
    /// Whoever holds it is the next to go; the others wait for it in their order.
    queue: Queue<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What went out within the last minute: when, and how many tokens.
    sent: VecDeque<(Instant, u64)>,
    /// Nothing goes out before, because the provider said so.
    not_before: Option<Instant>,
}

impl<T: Transport> Throttled<T> {
    /// Wraps a transport.
    pub fn new(inner: T, limits: Limits) -> Self {
        let state = Mutex::new(State::default());
        Self { inner, limits, max_wait: Duration::from_secs(300), queue: Queue::new(()), state }
    }

    /// Sets the longest wait of the request that is next, five minutes otherwise. One that would have to wait
    /// longer fails with kind `rate_limited` and says how long.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// Returns the transport inside.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this request's turn, and counts it.
    async fn pass(&self, tokens: u64) -> Result<(), Error> {
        let _next = self.queue.lock().await;
        loop {
            let now = Instant::now();
            let due = {
                let mut state = self.state();
                let due = state.due(self.limits, tokens, now);
                if due <= now {
                    state.sent.push_back((now, tokens));
                    return Ok(());
                }
                due
            };
            let wait = due - now;
            if wait > self.max_wait {
                let message = format!("the rate limit asks to wait {} s", wait.as_secs_f64().ceil());
                return Err(Error::new(ErrorKind::RateLimited, message).with_retry_after(Some(wait)));
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

impl State {
    /// Returns when a request of so many tokens may go out.
    fn due(&mut self, limits: Limits, tokens: u64, now: Instant) -> Instant {
        while self.sent.front().is_some_and(|(at, _)| *at + MINUTE <= now) {
            self.sent.pop_front();
        }
        let mut due = self.not_before.unwrap_or(now).max(now);
        if let Some(most) = limits.requests_per_minute {
            // The one that must be a minute old, so that with this one there are not too many.
            let too_many = (self.sent.len() + 1).saturating_sub(most.max(1) as usize);
            if let Some((at, _)) = too_many.checked_sub(1).and_then(|last| self.sent.get(last)) {
                due = due.max(*at + MINUTE);
            }
        }
        if let Some(most) = limits.tokens_per_minute {
            let mut sum = self.sent.iter().fold(tokens, |sum, (_, tokens)| sum.saturating_add(*tokens));
            for (at, tokens) in &self.sent {
                if sum <= most {
                    break;
                }
                sum = sum.saturating_sub(*tokens);
                due = due.max(*at + MINUTE);
            }
        }
        due
    }

    /// Takes what an answer says about limits.
    fn learn(&mut self, headers: &HeaderMap, now: Instant, date: SystemTime) {
        let limits = rate_limits(headers);
        let value =
            |name: &str| limits.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim());
        let used_up = limits.iter().filter(|(name, value)| {
            name.contains("remaining") && value.trim().parse::<f64>().is_ok_and(|left| left <= 0.0)
        });
        let resets = used_up.filter_map(|(name, _)| reset(value(&name.replace("remaining", "reset"))?, date));
        for wait in resets.chain(retry_after(headers, date)) {
            // A time beyond the clock's range is as good as none.
            let until = now.checked_add(wait);
            self.not_before = self.not_before.max(until);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Throttled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttled")
            .field("inner", &self.inner)
            .field("limits", &self.limits)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: Transport> Transport for Throttled<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let tokens = u64::try_from(request.body().len()).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN);
        self.pass(tokens).await?;
        let response = self.inner.send(request).await?;
        let headers = response.headers();
        // The server's own date, so that its clock need not agree with ours.
        let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        self.state().learn(headers, Instant::now(), date.unwrap_or_else(SystemTime::now));
        Ok(response)
    }
}
