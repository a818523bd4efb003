//! Playing one answer through a provider, and what it came to.

use std::error::Error as _;

use aichat_message::{Delta, ErrorKind, Finish, Fold, Message, PartKind, Usage};
use futures::StreamExt;

use super::Subject;
use super::sample::Sample;
use crate::error::{Error, Timeout};
use crate::fault::{Fault, Plan};
use crate::provider::{DeltaStream, Provider};
use crate::request::Request;

/// How an answer ended, and what it was by then.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) message: Message,
    pub(super) usage: Option<Usage>,
    pub(super) finish: Option<Finish>,
    pub(super) error: Option<Error>,
    /// Whether the stream was opened.
    pub(super) opened: bool,
}

/// What may not depend on how an answer was cut.
pub(super) type Said<'a> =
    (&'a Message, Option<&'a Usage>, Option<&'a Finish>, Option<(ErrorKind, Option<&'a str>, &'a str)>);

impl Outcome {
    pub(super) fn said(&self) -> Said<'_> {
        let error = self.error.as_ref().map(|error| (error.kind(), error.code(), error.message()));
        (&self.message, self.usage.as_ref(), self.finish.as_ref(), error)
    }

    pub(super) fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(Error::kind)
    }

    pub(super) fn timeout(&self) -> Option<Timeout> {
        self.error.as_ref().and_then(Error::timeout)
    }

    pub(super) fn reasoning(&self) -> String {
        let mut all = String::new();
        for part in &self.message.parts {
            if let PartKind::Reasoning { blocks } = &part.kind {
                all.extend(blocks.iter().map(|block| block.text()));
            }
        }
        all
    }

    pub(super) fn calls(&self) -> Vec<(String, String, String)> {
        let calls = self.message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall { call_id, name, arguments, .. } => {
                Some((call_id.clone(), name.clone(), arguments.as_str().to_owned()))
            }
            _ => None,
        });
        calls.collect()
    }

    /// Returns everything an error shows of itself, causes included.
    pub(super) fn shown(&self) -> String {
        let Some(error) = &self.error else { return String::new() };
        let mut shown = show(error);
        shown += &format!("{:?} {:?} {:?}", error.raw_body(), error.code(), error.request_id());
        shown
    }

    /// Asserts that the answer broke off as it may: it was over already and nothing of it is missing, or what is
    /// there is a beginning of it and the error is one of those `allowed`.
    #[track_caller]
    pub(super) fn assert_broken_off(&self, whole: &Outcome, allowed: impl Fn(&Error) -> bool, at: &str) {
        match &self.error {
            None => assert_eq!(
                (&self.message.parts, &self.finish),
                (&whole.message.parts, &whole.finish),
                "{at}: an answer that is called complete is not"
            ),
            Some(error) => {
                assert!(allowed(error), "{at}: {error:?}");
                let (part, all) = (self.message.text(), whole.message.text());
                assert!(all.starts_with(&part), "{at}: {part:?} is no beginning of {all:?}");
                let (part, all) = (self.reasoning(), whole.reasoning());
                assert!(all.starts_with(&part), "{at}: {part:?} is no beginning of {all:?}");
            }
        }
    }
}

/// Returns what an error and its causes show.
pub(super) fn show(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} ");
    let mut cause = error.source();
    while let Some(at) = cause {
        shown += &format!("{at} {at:?} ");
        cause = at.source();
    }
    shown
}

impl Subject {
    /// Plays a sample that is spoiled so.
    pub(super) async fn play(&self, sample: &Sample, spoil: impl FnOnce(Plan) -> Plan) -> Outcome {
        let fault = Fault::new([spoil(sample.plan())]);
        play(&*self.provider(&fault), &sample.request).await
    }

    /// Plays a plan that needs no sample.
    pub(super) async fn ask(&self, plan: Plan) -> Outcome {
        let fault = Fault::new([plan]);
        play(&*self.provider(&fault), &ask()).await
    }
}

/// Returns a plain request.
pub(super) fn ask() -> Request {
    Request::new("m", vec![Message::user("hi")])
}

pub(super) async fn open(provider: &dyn Provider, request: &Request) -> Result<DeltaStream, Error> {
    provider.stream(provider.prepare(request.clone())?).await
}

/// Plays an answer to its end and asserts that it ends exactly once.
pub(super) async fn play(provider: &dyn Provider, request: &Request) -> Outcome {
    let mut fold = Fold::new();
    let mut stream = match open(provider, request).await {
        Ok(stream) => stream,
        Err(error) => {
            let (message, usage) = (fold.message(), error.usage().cloned());
            return Outcome { message, usage, finish: None, error: Some(error), opened: false };
        }
    };
    let mut error = None;
    while let Some(item) = stream.next().await {
        assert!(error.is_none() && fold.finish().is_none(), "something comes after the end: {item:?}");
        match item {
            Ok(delta) => {
                assert!(!matches!(&delta, Delta::Finish(_)) || fold.finish().is_none());
                fold.apply(&delta);
            }
            Err(failed) => error = Some(failed),
        }
    }
    assert!(stream.next().await.is_none(), "the stream goes on after its end");
    assert_ne!(error.is_some(), fold.finish().is_some(), "a stream ends exactly once: {error:?}");
    if let Some(partial) = error.as_ref().and_then(Error::partial) {
        assert_eq!(partial, &fold.message(), "the error carries what had arrived");
    } else if error.is_some() {
        assert!(fold.is_empty(), "the error does not carry what had arrived");
    }
    let usage = fold.usage().cloned();
    Outcome { message: fold.message(), usage, finish: fold.finish().cloned(), error, opened: true }
}
