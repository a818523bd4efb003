//! A transport that fails as it is told to: for tests of adapters, of retries, of whole programs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use aichat_message::ErrorKind;

use crate::error::Error;
use crate::transport::{Body, HttpRequest, HttpResponse, Transport};

/// A transport that plays one [`Plan`] per request, the last one again for all that follow.
///
/// It stands alone, or over a transport whose answers it spoils. Clones share the plans and the memory, so that
/// a test keeps one and hands out the other.
///
/// ```
/// use std::sync::Arc;
/// use aichat_providers::{Fault, Plan, Transport};
/// use futures::StreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let hello = Plan::body("text/plain", "hello");
/// let fault = Fault::new([Plan::unreachable(), hello.reset(3).split(1)]);
/// let request = || http::Request::new(bytes::Bytes::new());
/// assert!(fault.send(request()).await.is_err(), "the first fails to connect");
/// let body: Vec<_> = fault.send(request()).await?.into_body().collect().await;
/// assert_eq!((body[0].as_deref().ok(), body[1].as_deref().ok()), (Some(&b"h"[..]), Some(&b"el"[..])));
/// assert!(body[2].is_err() && body.len() == 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fault {
    inner: Option<Arc<dyn Transport>>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Held by everything that is under way.
    live: Arc<()>,
    plans: VecDeque<Plan>,
    requests: Vec<HttpRequest>,
}

impl Fault {
    /// Returns a transport that stands alone.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Self {
        let state = State { plans: plans.into_iter().collect(), requests: Vec::new(), live: Arc::new(()) };
        Self { inner: None, state: Arc::new(Mutex::new(state)) }
    }

    /// Returns a transport that passes requests on where a plan says [`Plan::pass`].
    pub fn over(inner: Arc<dyn Transport>, plans: impl IntoIterator<Item = Plan>) -> Self {
        Self { inner: Some(inner), ..Self::new(plans) }
    }

    /// Returns the requests so far, oldest first.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Returns how many exchanges are under way: neither read to their end nor dropped.
    pub fn under_way(&self) -> usize {
        Arc::strong_count(&self.state.lock().unwrap_or_else(PoisonError::into_inner).live) - 1
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("under_way", &self.under_way()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Fault {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let (plan, live) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.requests.push(request.clone());
            let plan = match state.plans.len() {
                0 => Plan::pass(),
                1 => state.plans[0].clone(),
                _ => state.plans.pop_front().unwrap_or_else(Plan::pass),
            };
            (plan, Arc::clone(&state.live))
        };
        let response = match (plan.answer, &self.inner) {
            (Answer::Inner, Some(inner)) => inner.send(request).await?,
            (Answer::Inner, None) => {
                return Err(Error::new(ErrorKind::Config, "there is no transport to pass the request to"));
            }
            (Answer::Unreachable, _) => {
                return Err(Error::new(
                    ErrorKind::Transport,
                    "the connection was refused; is the server running?",
                ));
            }
            (Answer::Silent, _) => std::future::pending().await,
            (Answer::Given(response), _) => {
                response.map(|body| stream::iter((!body.is_empty()).then_some(Ok(body))).boxed())
            }
        };
        Ok(response.map(|body| {
            let play = Play {
                body,
                acts: plan.acts.into(),
                flips: plan.flips,
                pieces: plan.pieces.unwrap_or(usize::MAX),
                append: Some(plan.append).filter(|append| !append.is_empty()),
                open: plan.open,
                at: 0,
                rest: Bytes::new(),
                over: false,
                _live: live,
            };
            stream::unfold(play, |mut play| async { play.next().await.map(|item| (item, play)) }).boxed()
        }))
    }
}

/// What happens to one request. Offsets are counted in bytes of the body as it would have come.
///
/// Of what happens at the same offset, what was added first happens first.
#[derive(Clone, Debug)]
pub struct Plan {
    answer: Answer,
    /// In the order of their offsets.
    acts: Vec<(usize, Act)>,
    flips: Vec<(usize, u8)>,
    pieces: Option<usize>,
    append: Bytes,
    open: bool,
}

#[derive(Clone, Debug)]
enum Answer {
    Inner,
    Unreachable,
    Silent,
    Given(http::Response<Bytes>),
}

#[derive(Clone, Debug)]
enum Act {
    Split,
    Pause(Duration),
    Insert(Bytes),
    Cut,
    Reset,
    Stall,
}

impl Plan {
    /// Returns a plan that passes the request on and the answer back.
    pub fn pass() -> Self {
        Self::of(Answer::Inner)
    }

    /// Returns a plan that fails to connect.
    pub fn unreachable() -> Self {
        Self::of(Answer::Unreachable)
    }

    /// Returns a plan that takes the request and never answers it.
    pub fn silent() -> Self {
        Self::of(Answer::Silent)
    }

    /// Returns a plan that answers with this status, these headers and this body.
    pub fn answer(response: http::Response<Bytes>) -> Self {
        Self::of(Answer::Given(response))
    }

    /// Returns a plan that answers 200 with this body.
    ///
    /// # Panics
    /// Panics where the content type cannot be a header's value.
    pub fn body(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = http::Response::new(body.into());
        let value = http::HeaderValue::from_static(content_type);
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
        Self::answer(response)
    }

    /// Ends the body after `at` bytes, as if that were all.
    #[must_use]
    pub fn cut(self, at: usize) -> Self {
        self.act(at, Act::Cut)
    }

    /// Resets the connection after `at` bytes.
    #[must_use]
    pub fn reset(self, at: usize) -> Self {
        self.act(at, Act::Reset)
    }

    /// Stands still for ever after `at` bytes.
    #[must_use]
    pub fn stall(self, at: usize) -> Self {
        self.act(at, Act::Stall)
    }

    /// Stands still after `at` bytes, on the runtime's clock.
    #[must_use]
    pub fn pause(self, at: usize, time: Duration) -> Self {
        self.act(at, Act::Pause(time))
    }

    /// Splits the body after `at` bytes.
    #[must_use]
    pub fn split(self, at: usize) -> Self {
        self.act(at, Act::Split)
    }

    /// Splits the body into pieces of at most `size` bytes.
    #[must_use]
    pub fn pieces(self, size: usize) -> Self {
        Self { pieces: Some(size.max(1)), ..self }
    }

    /// Puts bytes in after `at` bytes, a keep-alive for example, as a piece of their own.
    #[must_use]
    pub fn insert(self, at: usize, bytes: impl Into<Bytes>) -> Self {
        self.act(at, Act::Insert(bytes.into()))
    }

    /// Flips the bits of `mask` in the byte at this offset.
    #[must_use]
    pub fn flip(mut self, at: usize, mask: u8) -> Self {
        self.flips.push((at, mask));
        self
    }

    /// Adds bytes after the end of the body, garbage for example.
    #[must_use]
    pub fn append(self, bytes: impl Into<Bytes>) -> Self {
        Self { append: bytes.into(), ..self }
    }

    /// Leaves the connection open after everything was said.
    #[must_use]
    pub fn hold_open(self) -> Self {
        Self { open: true, ..self }
    }

    fn of(answer: Answer) -> Self {
        Self { answer, acts: Vec::new(), flips: Vec::new(), pieces: None, append: Bytes::new(), open: false }
    }

    fn act(mut self, at: usize, act: Act) -> Self {
        let place = self.acts.partition_point(|(other, _)| *other <= at);
        self.acts.insert(place, (at, act));
        self
    }
}

/// One body on its way.
struct Play {
    body: Body,
    acts: VecDeque<(usize, Act)>,
    flips: Vec<(usize, u8)>,
    pieces: usize,
    append: Option<Bytes>,
    open: bool,
    /// How many bytes of the body went out.
    at: usize,
    /// What has come and not gone out.
    rest: Bytes,
    over: bool,
    _live: Arc<()>,
}

impl Play {
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        while !self.over {
            if let Some(act) = self.due() {
                match act {
                    Act::Split => {}
                    Act::Pause(time) => tokio::time::sleep(time).await,
                    Act::Insert(bytes) => return Some(Ok(bytes)),
                    Act::Cut => self.over = true,
                    Act::Reset => {
                        self.over = true;
                        return Some(Err(Error::new(ErrorKind::Transport, "the connection was reset")));
                    }
                    Act::Stall => std::future::pending().await,
                }
            } else if !self.rest.is_empty() {
                let until = self.acts.front().map_or(usize::MAX, |(at, _)| at - self.at);
                let piece = self.rest.split_to(self.rest.len().min(until).min(self.pieces));
                self.at += piece.len();
                return Some(Ok(piece));
            } else {
                match self.body.next().await {
                    Some(Ok(chunk)) => self.rest = self.flipped(chunk),
                    Some(Err(error)) => {
                        self.over = true;
                        return Some(Err(error));
                    }
                    None => match self.append.take() {
                        Some(bytes) => return Some(Ok(bytes)),
                        None if self.open => std::future::pending().await,
                        None => self.over = true,
                    },
                }
            }
        }
        None
    }

    /// Takes what is to happen here.
    fn due(&mut self) -> Option<Act> {
        match self.acts.front() {
            Some((at, _)) if *at <= self.at => self.acts.pop_front().map(|(_, act)| act),
            _ => None,
        }
    }

    /// Flips what is to be flipped in the bytes that follow.
    fn flipped(&self, chunk: Bytes) -> Bytes {
        let here = self.at..self.at + chunk.len();
        if !self.flips.iter().any(|(at, _)| here.contains(at)) {
            return chunk;
        }
        let mut chunk = chunk.to_vec();
        for (at, mask) in self.flips.iter().filter(|(at, _)| here.contains(at)) {
            chunk[at - self.at] ^= mask;
        }
        chunk.into()
    }
}
