//! Calls: one span over all attempts, from the first request to the one end.

use aichat_message::{CallId, Usage};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{Span, span};
use serde::Deserialize;

use super::value::{field, present};
use super::{Turn, content, derive, failed, names};
use crate::envelope::Event;
use crate::fact::{
    Fact, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted, LlmResponseFailed,
    LlmResponseFirstChunk, LlmResponseInterrupted,
};

/// One call that has ended.
pub(super) struct Call<'a> {
    pub(super) start: &'a Event,
    pub(super) end: &'a Event,
    events: Vec<&'a Event>,
    asked: Option<LlmRequestStarted>,
    completed: Option<LlmResponseCompleted>,
    pub(super) error: Option<&'static str>,
    usage: Option<Usage>,
}

/// The options that the conventions have names for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
    stop: Vec<String>,
    seed: Option<i64>,
}

impl<'a> Call<'a> {
    /// Returns the calls of a turn that have ended, in order.
    pub(super) fn all(turn: &Turn<'a>) -> Vec<Self> {
        let mut calls: Vec<(Option<&CallId>, Vec<&'a Event>)> = Vec::new();
        for event in turn.events.iter().filter(|event| event.kind().starts_with("llm.")) {
            match calls.iter_mut().find(|(call, _)| *call == event.call()) {
                Some((_, events)) => events.push(event),
                None => calls.push((event.call(), vec![event])),
            }
        }
        calls.into_iter().filter_map(|(_, events)| Self::of(events)).collect()
    }

    fn of(events: Vec<&'a Event>) -> Option<Self> {
        let ends = [LlmResponseCompleted::TYPE, LlmResponseFailed::TYPE, LlmResponseInterrupted::TYPE];
        let start = *events.iter().find(|event| event.kind() == LlmRequestStarted::TYPE)?;
        let last = |kinds: &[&str]| events.iter().rposition(|event| kinds.contains(&event.kind()));
        let end = last(&ends)?;
        // An attempt that failed is no end while another one follows.
        if last(&[LlmRequestStarted::TYPE, LlmRequestRetried::TYPE]) > Some(end) {
            return None;
        }
        let end = events[end];
        let completed = LlmResponseCompleted::of(end);
        let (error, usage) = match end.kind() {
            LlmResponseFailed::TYPE => match LlmResponseFailed::of(end) {
                Some(fact) => (Some(fact.kind.as_str()), fact.usage),
                None => (Some("_OTHER"), None),
            },
            LlmResponseInterrupted::TYPE => match LlmResponseInterrupted::of(end) {
                Some(fact) => (Some(fact.reason.as_str()), fact.usage),
                None => (Some("_OTHER"), None),
            },
            _ => (None, completed.as_ref().and_then(|fact| fact.usage.clone())),
        };
        let asked = LlmRequestStarted::of(start);
        Some(Self { start, end, asked, completed, error, usage, events })
    }

    /// Returns the call as a span within its turn's.
    pub(super) fn span(&self, turn: &Turn<'_>, content: bool) -> Span {
        let mut attributes = self.identity();
        attributes.push(field(names::CONVERSATION, self.start.session().as_str()));
        attributes.extend(present(names::CALL, self.start.call().map(CallId::as_str)));
        attributes.extend(self.options());
        if let Some(fact) = &self.completed {
            attributes.extend(present(names::RESPONSE_ID, fact.response_id.as_deref()));
            let reason = fact.finish.raw.clone().or_else(|| {
                let word = serde_json::to_value(fact.finish.reason).ok()?;
                word.as_str().map(str::to_owned)
            });
            attributes.extend(present(names::FINISH_REASONS, reason.map(|reason| vec![reason])));
        }
        attributes.extend(self.counts().filter_map(|(name, count)| present(name, count)));
        let attempts = self.events.iter().filter(|event| event.kind() == LlmRequestStarted::TYPE).count();
        attributes.push(field(names::ATTEMPTS, attempts as u64));
        if content {
            attributes.extend(content::said(turn, self));
        }
        let model = self.asked.as_ref().map(|fact| fact.model.as_str()).unwrap_or_default();
        Span {
            trace_id: turn.trace_id(),
            span_id: derive(self.start, "aichat otel span", 8),
            parent_span_id: turn.span_id(),
            name: format!("{} {model}", names::CHAT).trim_end().to_owned(),
            kind: span::SpanKind::Client.into(),
            start_time_unix_nano: turn.nanos(self.start),
            end_time_unix_nano: turn.nanos(self.end),
            attributes,
            events: self.events.iter().filter_map(|event| moment(turn, event)).collect(),
            status: failed(self.error),
            ..Span::default()
        }
    }

    /// Returns what tells the calls of one kind from those of others, for spans and metrics alike.
    pub(super) fn identity(&self) -> Vec<KeyValue> {
        let mut attributes = vec![field(names::OPERATION, names::CHAT)];
        if let Some(asked) = &self.asked {
            let provider = names::provider(asked.protocol.as_str(), &asked.host, &asked.provider);
            attributes.push(field(names::PROVIDER, provider));
            attributes.push(field(names::REQUEST_MODEL, asked.model.as_str()));
            attributes
                .extend(present(names::SERVER, Some(asked.host.as_str()).filter(|host| !host.is_empty())));
        }
        let served = self.completed.as_ref().and_then(|fact| fact.model.as_deref());
        attributes.extend(present(names::RESPONSE_MODEL, served));
        attributes.extend(present(names::ERROR_TYPE, self.error));
        attributes
    }

    /// Returns the counts of tokens that were reported; a total includes what came from or went to a cache.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, Option<u64>)> {
        let usage = self.usage.clone().unwrap_or_default();
        [
            (names::INPUT_TOKENS, usage.input_tokens),
            (names::OUTPUT_TOKENS, usage.output_tokens),
            (names::CACHE_READ, usage.cache_read_tokens),
            (names::CACHE_WRITE, usage.cache_write_tokens),
            (names::REASONING, usage.reasoning_tokens),
        ]
        .into_iter()
    }

    fn options(&self) -> Vec<KeyValue> {
        let options = self.asked.as_ref().and_then(|asked| asked.options.to::<Options>().ok());
        let options = options.unwrap_or_default();
        let all = [
            present(names::MAX_TOKENS, options.max_tokens),
            present(names::TEMPERATURE, options.temperature),
            present(names::TOP_P, options.top_p),
            present(names::TOP_K, options.top_k),
            present(names::SEED, options.seed),
            present(names::STOP, Some(options.stop).filter(|stop| !stop.is_empty())),
        ];
        all.into_iter().flatten().collect()
    }
}

/// Returns what happened at one moment of a call.
fn moment(turn: &Turn<'_>, event: &Event) -> Option<span::Event> {
    let (name, attributes) = if let Some(fact) = LlmRequestRetried::of(event) {
        let attributes = vec![
            field(names::ATTEMPT, u64::from(fact.attempt)),
            field(names::ERROR_TYPE, fact.kind.as_str()),
            field(names::DELAY, fact.delay_ms),
        ];
        (names::RETRY, attributes)
    } else if event.kind() == LlmResponseFirstChunk::TYPE {
        (names::FIRST_CONTENT, Vec::new())
    } else {
        return None;
    };
    let time_unix_nano = turn.nanos(event);
    Some(span::Event { time_unix_nano, name: name.to_owned(), attributes, ..span::Event::default() })
}
