//! Events in OpenTelemetry's terms: spans and metrics by the conventions for generative AI, exported after the fact.
//!
//! Everything that is sent is a function of the log. Ids are derived from ids of events, times are those of events, and
//! what has not ended is left out: sending twice says the same twice, which a backend that knows spans by their id takes for
//! one.

mod call;
mod content;
mod metrics;
mod names;
mod value;

use std::collections::HashMap;

use aichat_message::TurnId;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};
use prost::Message as _;

use self::call::Call;
use self::metrics::Series;
use self::value::{field, present};
use crate::envelope::Event;
use crate::fact::{Fact, TurnInterrupted, TurnStarted};
use crate::transcript::TurnStatus;

/// How many spans go into one request.
const BATCH: usize = 500;

/// Spans and metrics of sessions, to be sent as they are in the requests of OTLP over HTTP.
#[derive(Default)]
pub struct Telemetry {
    spans: Vec<Span>,
    series: Vec<Series>,
}

impl Telemetry {
    /// Adds what happened in a session, in order. What was said is left out, unless `content` is asked for.
    pub fn add<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>, content: bool) {
        let mut turns: Vec<Turn<'_>> = Vec::new();
        let mut places: HashMap<&TurnId, usize> = HashMap::new();
        for event in events {
            let Some(id) = event.turn() else { continue };
            match places.get(id) {
                Some(at) => turns[*at].events.push(event),
                None if event.kind() == TurnStarted::TYPE => {
                    places.insert(id, turns.len());
                    turns.push(Turn { start: event, events: vec![event] });
                }
                None => {}
            }
        }
        for turn in turns {
            let calls = Call::all(&turn);
            self.spans.extend(calls.iter().map(|call| call.span(&turn, content)));
            for call in &calls {
                metrics::count(&mut self.series, &turn, call);
            }
            self.spans.extend(turn.span());
        }
    }

    /// Returns what a collector says that it did not take, from the body of its answer to either request.
    pub fn refused(answer: &[u8]) -> Option<String> {
        // Both answers are laid out alike.
        let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
        match (partial.rejected_spans, partial.error_message) {
            (0, message) => Some(message).filter(|message| !message.is_empty()),
            (count, message) => Some(format!("{count} refused: {message}")),
        }
    }

    /// Returns how many spans there are.
    pub fn spans(&self) -> usize {
        self.spans.len()
    }

    /// Returns the bodies of requests to `/v1/traces`, in protobuf.
    pub fn traces(&self) -> impl Iterator<Item = Vec<u8>> {
        self.spans.chunks(BATCH).map(|spans| {
            let scope_spans = ScopeSpans { scope: scope(), spans: spans.to_vec(), ..ScopeSpans::default() };
            let resource_spans = ResourceSpans {
                resource: resource(),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            };
            ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
        })
    }

    /// Returns the body of a request to `/v1/metrics`, in protobuf; `None` where no call has ended.
    ///
    /// Every session is a series of its own, counted from its beginning: what is sent again, or after more has happened, is
    /// the next value of the same series.
    pub fn metrics(&self) -> Option<Vec<u8>> {
        let metrics = metrics::all(&self.series);
        if metrics.is_empty() {
            return None;
        }
        let scope_metrics = ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() };
        let resource_metrics = ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        Some(ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec())
    }
}

/// One turn, with its events in order.
struct Turn<'a> {
    start: &'a Event,
    events: Vec<&'a Event>,
}

impl Turn<'_> {
    /// Returns the span around the turn; `None` while it has not ended.
    fn span(&self) -> Option<Span> {
        // A writer that was taken for dead may complete after an interruption was recorded.
        let ends = || self.events.iter().filter(|event| TurnStatus::of(event).is_some());
        let end = ends().find(|event| event.kind() != TurnInterrupted::TYPE).or(ends().next())?;
        let agent = TurnStarted::of(self.start).and_then(|fact| fact.agent);
        let mut attributes = vec![
            field(names::CONVERSATION, self.start.session().as_str()),
            field(names::TURN, self.start.turn().map(TurnId::as_str).unwrap_or_default()),
        ];
        attributes.extend(agent.iter().map(|_| field(names::OPERATION, names::INVOKE_AGENT)));
        attributes.extend(present(names::AGENT, agent.as_ref().map(|agent| agent.name.as_str())));
        let error = match TurnStatus::of(end)?.0 {
            TurnStatus::Failed { kind, .. } => Some(kind.map_or("_OTHER", |kind| kind.as_str())),
            TurnStatus::Interrupted { reason } => Some(reason.map_or("_OTHER", |reason| reason.as_str())),
            _ => None,
        };
        attributes.extend(present(names::ERROR_TYPE, error));
        let name = match &agent {
            Some(agent) => format!("{} {}", names::INVOKE_AGENT, agent.name),
            None => names::TURN_SPAN.to_owned(),
        };
        Some(Span {
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            name,
            kind: span::SpanKind::Internal.into(),
            start_time_unix_nano: self.nanos(self.start),
            end_time_unix_nano: self.nanos(end),
            attributes,
            status: failed(error),
            ..Span::default()
        })
    }

    fn trace_id(&self) -> Vec<u8> {
        derive(self.start, "aichat otel trace", 16)
    }

    fn span_id(&self) -> Vec<u8> {
        derive(self.start, "aichat otel span", 8)
    }

    /// Returns when an event happened: by the clock that does not jump where it has that in common with the beginning of
    /// the turn, and never before that.
    fn nanos(&self, event: &Event) -> u64 {
        let start = u64::try_from(self.start.ts()).unwrap_or(0).saturating_mul(1000);
        let after = match event.writer() == self.start.writer() {
            true => event.mono_us().saturating_sub(self.start.mono_us()),
            false => u64::try_from(event.ts().saturating_sub(self.start.ts())).unwrap_or(0),
        };
        start.saturating_add(after.saturating_mul(1000))
    }
}

/// Returns an id that depends on the id of an event alone.
fn derive(event: &Event, what: &str, len: usize) -> Vec<u8> {
    blake3::derive_key(what, event.id().as_str().as_bytes())[..len].to_vec()
}

/// Returns the status of a span: what went wrong is its error type, and whether it went well is not for us to say.
fn failed(error: Option<&str>) -> Option<Status> {
    error.map(|_| Status { code: status::StatusCode::Error.into(), ..Status::default() })
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![field(names::SERVICE, names::AICHAT)], ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: names::AICHAT.to_owned(), ..InstrumentationScope::default() })
}
