//! Sessions as spans and metrics: what is sent, that it is the same each time, and that nothing said is in it unasked.

use std::collections::{BTreeMap, BTreeSet};

use aichat_events::{
    Fact, Interruption, LlmRequestRetried, LlmResponseFailed, LlmResponseInterrupted, Telemetry, TurnFailed,
    TurnInterrupted,
};
use aichat_message::ErrorKind;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::log::{EPOCH, Log};

fn telemetry(log: &Log, content: bool) -> Telemetry {
    let mut telemetry = Telemetry::default();
    telemetry.add(&log.events, content);
    telemetry
}

fn spans(telemetry: &Telemetry) -> Vec<Span> {
    let requests = telemetry.traces().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
    let resources = requests.flat_map(|request| request.resource_spans);
    resources.flat_map(|one| one.scope_spans).flat_map(|one| one.spans).collect()
}

/// Returns attributes as text.
fn fields(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    fn text(value: &Option<AnyValue>) -> String {
        match value.as_ref().and_then(|value| value.value.as_ref()).unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::DoubleValue(number) => format!("{number:?}"),
            Value::ArrayValue(array) => array.values.iter().map(|one| text(&Some(one.clone()))).collect(),
            other => panic!("{other:?}"),
        }
    }
    attributes.iter().map(|field| (field.key.as_str(), text(&field.value))).collect()
}

/// A turn whose first attempt failed and whose second was answered.
fn retried() -> Log {
    let mut log = Log::new();
    log.ask(1, None, "Why is the sky blue?").at(100).request(1).at(300);
    let failed = |kind| LlmResponseFailed {
        kind,
        message: "busy".into(),
        status: Some(529),
        code: None,
        request_id: None,
        retryable: true,
        retry_after_ms: None,
        usage: None,
        timing: None,
        kept: None,
    };
    log.add(&failed(ErrorKind::Overloaded));
    log.add(&LlmRequestRetried {
        attempt: 1,
        delay_ms: 500,
        kind: ErrorKind::Overloaded,
        message: "busy".into(),
        status: Some(529),
    });
    log.at(800).request(2).at(1000).first_chunk(200).at(2000).responded(Some((12, 5)));
    log.say(1, "Because of Rayleigh scattering.", false).complete(1);
    log
}

#[test]
fn a_call_is_one_span_over_its_attempts_within_that_of_its_turn() {
    let spans = spans(&telemetry(&retried(), false));
    let [call, turn] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.name.as_str(), call.kind, turn.name.as_str(), turn.kind), ("chat gpt", 3, "turn", 1));
    assert_eq!((&call.trace_id, &call.parent_span_id), (&turn.trace_id, &turn.span_id));
    assert_eq!((call.trace_id.len(), call.span_id.len(), turn.parent_span_id.len()), (16, 8, 0));
    let at = |ms: u64| (EPOCH as u64 + ms * 1000) * 1000;
    assert_eq!((call.start_time_unix_nano, call.end_time_unix_nano), (at(100), at(2000)));
    assert_eq!((turn.start_time_unix_nano, turn.end_time_unix_nano), (at(0), at(2000)));
    let moments: Vec<_> = call
        .events
        .iter()
        .map(|event| (event.name.as_str(), event.time_unix_nano, fields(&event.attributes)))
        .collect();
    assert_eq!((moments[0].0, moments[0].1), ("aichat.retry", at(300)));
    assert_eq!(moments[0].2["error.type"], "overloaded");
    assert_eq!((moments[1].0, moments[1].1, moments.len()), ("aichat.first_content", at(1000), 2));
    assert!(call.status.is_none() && turn.status.is_none(), "an attempt that failed is no failure");
    insta::assert_debug_snapshot!(fields(&call.attributes), @r#"
    {
        "aichat.attempts": "2",
        "aichat.call.id": "cal_040g2081040g2081",
        "gen_ai.conversation.id": "ses_040g2081040g2081",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.usage.input_tokens": "12",
        "gen_ai.usage.output_tokens": "5",
        "server.address": "localhost",
    }
    "#);
}

#[test]
fn what_was_said_is_sent_only_where_it_is_asked_for() {
    let log = retried();
    let without: Vec<Vec<u8>> =
        telemetry(&log, false).traces().chain(telemetry(&log, false).metrics()).collect();
    for body in without {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains("sky") && !text.contains("Rayleigh") && !text.contains("busy"), "{text}");
    }
    let spans = spans(&telemetry(&log, true));
    let said = fields(&spans[0].attributes);
    assert_eq!(
        said["gen_ai.input.messages"],
        r#"[{"parts":[{"content":"Why is the sky blue?","type":"text"}],"role":"user"}]"#
    );
    assert_eq!(
        said["gen_ai.output.messages"],
        r#"[{"parts":[{"content":"Because of Rayleigh scattering.","type":"text"}],"role":"assistant"}]"#
    );
}

#[test]
fn how_a_call_and_a_turn_went_wrong_is_their_error_type() {
    let mut log = Log::new();
    log.ask(1, None, "x").request(1);
    log.add(&LlmResponseInterrupted { reason: Interruption::Network, usage: None, timing: None, kept: None });
    log.add(&TurnInterrupted { reason: Interruption::Network, answer: None });
    log.ask(2, None, "x").request(1);
    log.add_raw(LlmResponseFailed::TYPE, 1, aichat_message::Json::new(r#"{"kind":"billing"}"#).unwrap());
    log.add(&TurnFailed { kind: ErrorKind::Billing, message: "no money".into(), answer: None });
    let spans = spans(&telemetry(&log, false));
    let seen: Vec<_> = spans
        .iter()
        .map(|span| (fields(&span.attributes)["error.type"].clone(), span.status.as_ref().unwrap().code))
        .collect();
    let error = |text: &str| (text.to_owned(), 2);
    assert_eq!(seen, [error("network"), error("network"), error("billing"), error("billing")]);
}

#[test]
fn what_has_not_ended_waits_and_what_has_is_the_same_each_time() {
    let mut log = Log::new();
    log.ask(1, None, "x");
    assert_eq!(telemetry(&log, false).spans(), 0);
    log.request(1);
    assert_eq!((telemetry(&log, false).spans(), telemetry(&log, false).metrics()), (0, None));
    log.at(5).responded(Some((1, 2)));
    let one: BTreeSet<Vec<u8>> =
        spans(&telemetry(&log, false)).into_iter().map(|span| span.span_id).collect();
    log.say(1, "y", false).complete(1);
    let both = spans(&telemetry(&log, false));
    let ids: BTreeSet<Vec<u8>> = both.iter().map(|span| span.span_id.clone()).collect();
    assert!(one.len() == 1 && ids.len() == 2 && ids.is_superset(&one));
    let bodies =
        |log: &Log| telemetry(log, true).traces().chain(telemetry(log, true).metrics()).collect::<Vec<_>>();
    assert_eq!(bodies(&log), bodies(&log));
    // Erased, it is as long and says less.
    log.events = log.events.iter().map(aichat_events::Event::erase).collect();
    assert_eq!(spans(&telemetry(&log, true)).len(), 2);
}

#[test]
fn metrics_count_each_session_from_its_beginning() {
    let mut log = retried();
    log.at(3000).ask(2, Some(3), "And then?").request(1).at(3500).responded(Some((30, 7)));
    log.say(2, "Night.", false).complete(2);
    log.at(4000).ask(3, Some(5), "And then?").request(1).at(4500).responded(None);
    let body = telemetry(&log, false).metrics().unwrap();
    let request = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let expected = [
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
    ];
    assert_eq!(names, expected, "what nobody reported is not zero");
    let Some(Data::Histogram(durations)) = &metrics[0].data else { panic!("{metrics:#?}") };
    let [point] = &durations.data_points[..] else { panic!("{durations:#?}") };
    assert_eq!((point.count, point.sum, durations.aggregation_temporality), (3, Some(2.9), 2));
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
    assert_eq!(fields(&point.attributes)["gen_ai.conversation.id"], "ses_040g2081040g2081");
    let totals: Vec<_> = metrics[1..]
        .iter()
        .map(|metric| match &metric.data {
            Some(Data::Sum(sum)) if sum.is_monotonic => sum.data_points[0].value,
            other => panic!("{other:#?}"),
        })
        .collect();
    assert_eq!(totals, [42, 12].map(|n| Some(number_data_point::Value::AsInt(n))));
}

#[test]
fn what_a_collector_refuses_is_told() {
    let answer = |rejected_spans, error_message: &str| {
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() };
        Telemetry::refused(&ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
    };
    assert_eq!(Telemetry::refused(b""), None);
    assert_eq!(Telemetry::refused(b"<html>"), None);
    assert_eq!(answer(0, ""), None);
    assert_eq!(answer(2, "too old").as_deref(), Some("2 refused: too old"));
}
