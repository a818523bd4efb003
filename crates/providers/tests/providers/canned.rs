//! A transport that answers from memory, and the few lines every test needs around it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aichat_message::{Finish, Fold, Message, Usage};
use aichat_providers::{
    Adapter, Body, DeltaStream, Driver, Endpoint, Error, HttpRequest, HttpResponse, OpenaiChat, Profile,
    Provider, Request, Timeouts, Transport,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

/// What happens after the last chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tail {
    End,
    Hang,
    Reset,
}

/// One canned response, given to every request.
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) pause: Duration,
    pub(crate) tail: Tail,
    pub(crate) seen: Mutex<Vec<HttpRequest>>,
}

impl Canned {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let chunks = vec![body.into()];
        Self { status, headers, chunks, pause: Duration::ZERO, tail: Tail::End, seen: Mutex::default() }
    }

    pub(crate) fn sse(events: &[&str]) -> Self {
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        Self::new(200, "text/event-stream", body)
    }

    pub(crate) fn tail(self, tail: Tail) -> Self {
        Self { tail, ..self }
    }
}

#[async_trait]
impl Transport for Canned {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        self.seen.lock().unwrap().push(request);
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let (pause, tail) = (self.pause, self.tail);
        let chunks = futures::stream::iter(self.chunks.clone()).then(move |chunk| async move {
            if pause > Duration::ZERO {
                tokio::time::sleep(pause).await;
            }
            Ok(chunk)
        });
        let end = futures::stream::once(async move {
            match tail {
                Tail::End => None,
                Tail::Hang => std::future::pending().await,
                Tail::Reset => Some(Err(Error::new(aichat_message::ErrorKind::Transport, "reset"))),
            }
        });
        let body: Body = chunks.chain(end.filter_map(|last| async { last })).boxed();
        Ok(response.body(body).unwrap())
    }
}

/// How an answer ended, and what it was by then.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) message: Option<Message>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<Finish>,
    pub(crate) error: Option<String>,
}

pub(crate) fn endpoint(transport: Arc<dyn Transport>) -> Endpoint {
    let timeouts = Timeouts { first_byte: Duration::from_secs(30), idle: Duration::from_secs(10) };
    Endpoint::new("test", "http://localhost:1/v1/", transport).with_timeouts(timeouts)
}

pub(crate) fn chat(transport: Canned) -> Driver<OpenaiChat> {
    driver(Arc::new(transport), OpenaiChat::new(Profile::generic()))
}

pub(crate) fn driver<A: Adapter>(transport: Arc<dyn Transport>, adapter: A) -> Driver<A> {
    Driver::new(endpoint(transport), adapter).unwrap()
}

pub(crate) fn ask() -> Request {
    Request::new("m", vec![Message::user("hi")])
}

pub(crate) async fn open(provider: &dyn Provider) -> Result<DeltaStream, Error> {
    provider.stream(provider.prepare(ask()).unwrap()).await
}

/// Plays an answer to its end, checks that it ends exactly once, and returns the error if it was one.
pub(crate) async fn play(provider: &dyn Provider) -> (Fold, Option<Error>) {
    let mut fold = Fold::new();
    let mut stream = match open(provider).await {
        Ok(stream) => stream,
        Err(error) => return (fold, Some(error)),
    };
    let mut error = None;
    while let Some(item) = stream.next().await {
        assert!(error.is_none() && fold.finish().is_none(), "nothing comes after the end");
        match item {
            Ok(delta) => fold.apply(&delta),
            Err(failed) => error = Some(failed),
        }
    }
    assert!(stream.next().await.is_none());
    assert_ne!(error.is_some(), fold.finish().is_some(), "a stream ends exactly once");
    (fold, error)
}

/// Returns the outcome of an answer without what only a network can add.
pub(crate) fn outcome(fold: &Fold, error: Option<&Error>) -> Outcome {
    Outcome {
        message: Some(fold.message()),
        usage: fold.usage().cloned(),
        finish: fold.finish().cloned(),
        error: error.map(|error| format!("{:?} {:?} {}", error.kind(), error.code(), error.message())),
    }
}
