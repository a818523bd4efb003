//! The driver: everything that must be right for every adapter, from the open connection to the one end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, Sleep};

use aichat_message::{Delta, ErrorKind, Protocol, Start};

use crate::classify;
use crate::decoder::Decoder;
use crate::endpoint::{Base, Endpoint, Timeouts, percent_decode, secret_header};
use crate::error::{Error, Timeout};
use crate::intake::Intake;
use crate::provider::{Call, DeltaStream, Info, Model, Provider, listed};
use crate::redaction::{Redactor, held, masking};
use crate::request::Request;
use crate::transport::{Body, HttpRequest, HttpResponse, Transport};

/// Most of an error body that is kept, in bytes.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Read beyond that, so that a secret at the cut is whole when it is masked.
const MARGIN: usize = 4 << 10;

/// Largest list of models taken, in bytes.
const MAX_MODELS: usize = 32 << 20;

/// Most pages of a list of models that are asked for.
const MAX_PAGES: usize = 100;

/// How long to wait for the usage and the last marker of an answer that is over.
const TRAILER: Duration = Duration::from_secs(2);

/// How many times as long as for bytes a server is waited for that only keeps the connection alive: one that
/// queues a request or lets a model think for long says so by comments, and one that hangs may do it for ever.
const BELIEVED: u32 = 6;

/// One wire protocol: how a request is written and how its answer is read. Pure; the [`Driver`] does the rest.
pub trait Adapter: Send + Sync {
    /// Returns the protocol spoken.
    fn protocol(&self) -> Protocol;

    /// Returns the name of the profile that it was made with, where the protocol has profiles.
    fn profile(&self) -> Option<&str> {
        None
    }

    /// Returns the version of the protocol that requests ask for, where they name one.
    fn api_version(&self) -> Option<&str> {
        None
    }

    /// Writes a request. `info` says under which name opaque data is this provider's own.
    ///
    /// # Errors
    /// Fails with kind `unsupported` or `invalid_request` where the protocol cannot express it.
    fn encode(&self, info: &Info, request: &Request) -> Result<Encoded, Error>;

    /// Returns a decoder for the answer to such a request.
    fn decoder(&self, info: &Info) -> Box<dyn Decoder>;

    /// Returns the base address as the paths of this protocol want it, of one that was given without a slash at
    /// its end.
    fn base_url(&self, url: String) -> String {
        url
    }

    /// Returns the path of a call, beginning with a slash, below the base address.
    fn path(&self, request: &Request) -> String;

    /// Returns headers that go with every request, the version of the protocol for example.
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    /// Returns the path of the list of models, or of its page after the mark `after`, where there is one.
    fn models_path(&self, after: Option<&str>) -> Option<String>;

    /// Reads one page of the list of models.
    ///
    /// # Errors
    /// Fails with kind `decode`, or as an error inside the list says.
    fn models(&self, body: &str) -> Result<Page, Error>;

    /// Returns the path and the body of a request that asks about one model, where the list does not say it all.
    fn model_path(&self, _id: &str) -> Option<(String, Vec<u8>)> {
        None
    }

    /// Reads the answer to such a request.
    ///
    /// # Errors
    /// Fails as [`models`](Self::models) does.
    fn model(&self, _id: &str, _body: &str) -> Result<Model, Error> {
        Err(Error::unsupported("this protocol tells nothing about a single model"))
    }

    /// Returns the header that carries the key, and its value; a bearer token unless the protocol says otherwise.
    fn key_header(&self, key: &str) -> (HeaderName, String) {
        (AUTHORIZATION, format!("Bearer {key}"))
    }

    /// Returns the error for a refusing status.
    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Error {
        classify::refused(status, headers, body, now)
    }
}

/// A request as an adapter writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The body, byte for byte; the same request gives the same bytes.
    pub body: Vec<u8>,
    /// What was left out or rewritten.
    pub warnings: Vec<String>,
}

/// One page of a list of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The models.
    pub models: Vec<Model>,
    /// The mark of the next page; none on the last.
    pub next: Option<String>,
}

/// A provider made of an adapter and an endpoint.
///
/// Needs a tokio runtime with time enabled.
pub struct Driver<A> {
    adapter: A,
    info: Info,
    base_url: String,
    headers: HeaderMap,
    transport: Arc<dyn Transport>,
    redactor: Redactor,
    timeouts: Timeouts,
    warnings: Vec<String>,
}

impl<A: Adapter> Driver<A> {
    /// Returns a provider.
    ///
    /// # Errors
    /// Fails with kind `config` where the address is not one, and with kind `auth` where the key cannot be sent.
    pub fn new(endpoint: Endpoint, adapter: A) -> Result<Self, Error> {
        let name = endpoint.name;
        let base = Base::parse(&endpoint.base_url).map_err(|error| error.with_provider(&name))?;
        let mut headers = adapter.headers();
        let mut warnings = Vec::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("aichat/", env!("CARGO_PKG_VERSION"))));
        if let Some(user_info) = &base.user_info {
            let value = Base::basic(user_info).map_err(|error| error.with_provider(&name))?;
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(key) = &endpoint.key {
            let (header, value) = adapter.key_header(key.expose_secret());
            let value = secret_header(&value).map_err(|error| error.with_provider(&name))?;
            if headers.insert(header, value).is_some() {
                warnings.push("the user info of the base url is not sent, because there is a key".to_owned());
            }
        }
        for (header, value) in &endpoint.headers {
            let value = secret_header(value.expose_secret()).map_err(|error| error.with_provider(&name))?;
            headers.insert(header, value);
        }
        let redactor = redactor(endpoint.redactor, &headers, endpoint.key, base.user_info);
        let info = Info {
            host: base.host,
            local: endpoint.local,
            profile: adapter.profile().map(str::to_owned),
            api_version: adapter.api_version().map(str::to_owned),
            ..Info::new(name, adapter.protocol())
        };
        Ok(Self {
            base_url: adapter.base_url(base.url),
            adapter,
            info,
            headers,
            transport: endpoint.transport,
            redactor,
            timeouts: endpoint.timeouts,
            warnings,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        accept: &'static str,
    ) -> Result<HttpRequest, Error> {
        let mut request = http::Request::builder().method(method).uri(url).body(body).map_err(|_| {
            Error::new(ErrorKind::Config, "the address of the call is not valid")
                .with_provider(&self.info.name)
        })?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        if !request.body().is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    /// Sends a request and returns its response if it is a success.
    async fn open(&self, request: HttpRequest, limit: Duration) -> Result<HttpResponse, Error> {
        let deadline = Instant::now() + limit;
        let late = || Error::timed_out(Timeout::FirstByte, limit);
        let response =
            tokio::time::timeout_at(deadline, self.transport.send(request)).await.map_err(|_| late())??;
        if response.status().is_success() {
            return readable(response);
        }
        let (parts, body) = response.into_parts();
        // A body that stalls or breaks says less, and the status still counts.
        let idle = deadline.min(Instant::now() + self.timeouts.idle);
        let mut head = Vec::new();
        let _ = tokio::time::timeout_at(idle, read(body, &mut head, MAX_ERROR_BODY + MARGIN)).await;
        let head = self.redactor.redact(&head);
        let head = &head[..head.len().min(MAX_ERROR_BODY)];
        let refusal = self.adapter.refused(parts.status, &parts.headers, head, SystemTime::now());
        #[cfg(feature = "http")]
        let refusal = crate::proxies::blamed(refusal, parts.status, &parts.extensions);
        Err(refusal)
    }

    fn about(&self, error: Error, model: Option<&str>) -> Error {
        let error = error.redact(&self.redactor).with_provider(&self.info.name);
        match model {
            Some(model) => error.with_model(model),
            None => error,
        }
    }

    /// Sends a request whose answer is one small JSON document, and returns that.
    async fn fetch(&self, method: Method, path: &str, body: Vec<u8>) -> Result<String, Error> {
        let request = self.request(method, &self.url(path), body.into(), "application/json")?;
        let deadline = Instant::now() + self.timeouts.idle;
        let response = self.open(request, self.timeouts.idle).await?;
        let mut body = Vec::new();
        tokio::time::timeout_at(deadline, read(response.into_body(), &mut body, MAX_MODELS))
            .await
            .map_err(|_| Error::timed_out(Timeout::Idle, self.timeouts.idle))??;
        crate::sse::text(&body).map(str::to_owned)
    }

    async fn list(&self) -> Result<Vec<Model>, Error> {
        let none = || Error::unsupported("this protocol has no list of models");
        let mut path = self.adapter.models_path(None).ok_or_else(none)?;
        let mut models = Vec::new();
        for _ in 0..MAX_PAGES {
            let body = self.fetch(Method::GET, &path, Vec::new()).await?;
            let page = self.adapter.models(&body)?;
            models.extend(page.models);
            match page.next.and_then(|mark| self.adapter.models_path(Some(&mark))) {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        Ok(models)
    }
}

#[async_trait]
impl<A: Adapter> Provider for Driver<A> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn prepare(&self, request: Request) -> Result<Call, Error> {
        let encoded = self
            .adapter
            .encode(&self.info, &request)
            .map_err(|error| self.about(error, Some(&request.model)))?;
        let warnings = [self.warnings.as_slice(), &encoded.warnings].concat();
        let url = self.url(&self.adapter.path(&request));
        let url = url.split('?').next().unwrap_or_default().to_owned();
        Ok(Call { request, body: encoded.body.into(), url, warnings })
    }

    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        let deadline = Instant::now() + self.timeouts.first_byte;
        let accept = if call.request.stream { "text/event-stream" } else { "application/json" };
        let url = self.url(&self.adapter.path(&call.request));
        let request = self.request(Method::POST, &url, call.body, accept)?;
        let model = call.request.model;
        let response = self
            .open(request, self.timeouts.first_byte)
            .await
            .map_err(|error| self.about(error, Some(&model)))?;

        let (parts, body) = response.into_parts();
        let redact = |text: String| self.redactor.text(text);
        let limits = classify::rate_limits(&parts.headers);
        let start = Start {
            request_id: classify::request_id(&parts.headers).map(redact),
            rate_limits: limits.into_iter().map(|(name, value)| (name, redact(value))).collect(),
            ..Start::default()
        };
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut intake = Intake::new(content_type, self.adapter.decoder(&self.info));
        let mut batch = Vec::new();
        intake.start(start.clone(), &mut batch);
        Ok(Answer {
            body: Some(body),
            intake,
            batch,
            error: None,
            waiting: Timeout::FirstByte,
            last: deadline - self.timeouts.first_byte,
            content: deadline - self.timeouts.first_byte,
            timer: Box::pin(tokio::time::sleep_until(deadline)),
            timeouts: self.timeouts,
            about: About {
                provider: self.info.name.clone(),
                model,
                status: parts.status.as_u16(),
                request_id: start.request_id,
                redactor: self.redactor.clone(),
            },
        }
        .boxed())
    }

    async fn models(&self) -> Result<Vec<Model>, Error> {
        self.list().await.map_err(|error| self.about(error, None))
    }

    async fn model(&self, id: &str) -> Result<Model, Error> {
        let told = match self.adapter.model_path(id) {
            Some((path, body)) => self.fetch(Method::POST, &path, body).await,
            None => return listed(self, id).await,
        };
        told.and_then(|body| self.adapter.model(id, &body)).map_err(|error| self.about(error, Some(id)))
    }
}

/// What every error of one answer says.
struct About {
    provider: String,
    model: String,
    status: u16,
    request_id: Option<String>,
    redactor: Redactor,
}

/// One answer under way. Everything a network chunk holds is decoded at once and handed out one by one.
struct Answer {
    /// Gone once the answer ended, so that the connection is free or closed.
    body: Option<Body>,
    intake: Intake,
    /// Deltas to hand out, the next one last.
    batch: Vec<Delta>,
    error: Option<Error>,
    waiting: Timeout,
    /// When the last bytes came.
    last: Instant,
    /// When the last of them came that said something.
    content: Instant,
    timer: Pin<Box<Sleep>>,
    timeouts: Timeouts,
    about: About,
}

impl Answer {
    fn limit(&self) -> Duration {
        match self.waiting {
            Timeout::FirstByte => self.timeouts.first_byte,
            _ if self.intake.is_ending() => TRAILER.min(self.timeouts.idle),
            _ => self.timeouts.idle,
        }
    }

    /// Returns how long a server is waited for that only keeps the connection alive.
    fn patience(&self) -> Duration {
        self.timeouts.first_byte.max(self.timeouts.idle).saturating_mul(BELIEVED)
    }

    fn take(&mut self, chunk: &[u8]) {
        let before = self.limit();
        self.waiting = Timeout::Idle;
        self.last = Instant::now();
        let result = self.intake.push(chunk, &mut self.batch);
        if self.batch.iter().any(says_something) || self.intake.is_growing(chunk) {
            self.content = self.last;
        } else if result.is_ok() && self.last - self.content > self.patience() {
            return self.broken(Error::kept_alive(self.patience()));
        }
        self.settle(result);
        if self.limit() < before {
            // A wait that grows longer, or begins anew, is noticed when the timer fires.
            let due = self.last + self.limit();
            self.timer.as_mut().reset(due);
        }
    }

    fn end(&mut self) {
        let result = self.intake.finish(&mut self.batch);
        self.body = None;
        self.settle(result);
    }

    /// Ends the answer, or fails it with `error` unless it was over but for its trailers.
    fn broken(&mut self, error: Error) {
        if self.intake.is_ending() {
            return self.end();
        }
        let error = self.intake.fail(error);
        self.settle(Err(error));
    }

    fn settle(&mut self, result: Result<(), Error>) {
        self.batch.reverse();
        if let Err(error) = result {
            let error = error
                .with_status(self.about.status)
                .with_request_id(self.about.request_id.clone())
                .redact(&self.about.redactor)
                .with_provider(&self.about.provider)
                .with_model(&self.about.model);
            self.error = Some(error);
        }
        if self.error.is_some() || self.intake.is_finished() {
            self.body = None;
        }
    }
}

impl Stream for Answer {
    type Item = Result<Delta, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(delta) = this.batch.pop() {
                return Poll::Ready(Some(Ok(delta)));
            }
            if let Some(error) = this.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match body.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => this.take(&chunk),
                Poll::Ready(Some(Err(error))) if error.kind() == ErrorKind::Transport => {
                    let broke =
                        Error::new(ErrorKind::Truncated, "the connection broke before the answer ended");
                    this.broken(broke.with_source(error));
                }
                Poll::Ready(Some(Err(error))) => this.broken(error),
                Poll::Ready(None) => this.end(),
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(cx));
                    let due = this.last + this.limit();
                    match due > Instant::now() {
                        true => this.timer.as_mut().reset(due),
                        false => this.broken(Error::timed_out(this.waiting, this.limit())),
                    }
                }
            }
        }
    }
}

/// Tells whether a delta is part of an answer, and not only a sign of life.
fn says_something(delta: &Delta) -> bool {
    !matches!(delta, Delta::Heartbeat | Delta::Start(_) | Delta::Warning(_))
}

/// Refuses a body that is compressed, which no request asks for.
fn readable(response: HttpResponse) -> Result<HttpResponse, Error> {
    let encoding = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    match encoding
        .filter(|encoding| !encoding.trim().is_empty() && !encoding.eq_ignore_ascii_case("identity"))
    {
        None => Ok(response),
        Some(encoding) => {
            let message = format!("the answer is compressed with {encoding:?}, which was not asked for");
            let id = classify::request_id(response.headers());
            Err(Error::new(ErrorKind::Decode, message)
                .with_status(response.status().as_u16())
                .with_request_id(id))
        }
    }
}

/// Reads a body, at most `most` bytes of it.
async fn read(mut body: Body, into: &mut Vec<u8>, most: usize) -> Result<(), Error> {
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        let room = most - into.len();
        into.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(())
}

/// Returns a redactor that also masks what these headers hold, and what they may hold in another form: the key
/// within more, the user info decoded.
fn redactor(
    given: Option<Redactor>,
    headers: &HeaderMap,
    key: Option<SecretString>,
    user_info: Option<SecretString>,
) -> Redactor {
    let mut secrets = held(headers);
    secrets.extend(key.map(|key| key.expose_secret().as_bytes().to_vec()));
    if let Some(user_info) = &user_info {
        let user_info = user_info.expose_secret();
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let secret = if password.is_empty() { user } else { password };
        secrets.extend([secret.as_bytes().to_vec(), percent_decode(secret)]);
    }
    masking(given, secrets)
}
