//! Metrics: how long calls took and what they consumed, counted from the beginning of each session.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};

use super::call::Call;
use super::value::field;
use super::{Turn, names};

/// The bounds of the buckets that the conventions ask for, in seconds.
const BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// The calls of one kind in one session.
pub(super) struct Series {
    attributes: Vec<KeyValue>,
    from: u64,
    to: u64,
    nanos: Vec<u64>,
    counts: [Option<u64>; names::COUNTERS.len()],
}

/// Counts a call among those of its kind.
pub(super) fn count(all: &mut Vec<Series>, turn: &Turn<'_>, call: &Call<'_>) {
    let mut attributes = call.identity();
    attributes.push(field(names::CONVERSATION, call.start.session().as_str()));
    let (from, to) = (turn.nanos(call.start), turn.nanos(call.end));
    let at = all.iter().position(|series| series.attributes == attributes).unwrap_or_else(|| {
        all.push(Series { attributes, from, to, nanos: Vec::new(), counts: Default::default() });
        all.len() - 1
    });
    let series = &mut all[at];
    series.from = series.from.min(from);
    series.to = series.to.max(to);
    series.nanos.push(to.saturating_sub(from));
    for (sum, (_, count)) in series.counts.iter_mut().zip(call.counts()) {
        if let Some(count) = count {
            *sum = Some(sum.unwrap_or(0).saturating_add(count));
        }
    }
}

/// Returns the metrics that have a value.
pub(super) fn all(series: &[Series]) -> Vec<Metric> {
    let temporality = i32::from(AggregationTemporality::Cumulative);
    let mut metrics = Vec::new();
    if !series.is_empty() {
        let data_points = series.iter().map(Series::durations).collect();
        metrics.push(Metric {
            name: names::DURATION.to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Histogram(Histogram { data_points, aggregation_temporality: temporality })),
            ..Metric::default()
        });
    }
    for (n, (_, name)) in names::COUNTERS.into_iter().enumerate() {
        let data_points: Vec<_> = series.iter().filter_map(|series| series.total(n)).collect();
        if !data_points.is_empty() {
            let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic: true };
            metrics.push(Metric {
                name: name.to_owned(),
                unit: "{token}".to_owned(),
                data: Some(Data::Sum(sum)),
                ..Metric::default()
            });
        }
    }
    metrics
}

impl Series {
    fn durations(&self) -> HistogramDataPoint {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let mut bucket_counts = vec![0; BOUNDS.len() + 1];
        for nanos in &self.nanos {
            let bucket = BOUNDS.iter().position(|bound| seconds(*nanos) <= *bound);
            bucket_counts[bucket.unwrap_or(BOUNDS.len())] += 1;
        }
        HistogramDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.from,
            time_unix_nano: self.to,
            count: self.nanos.len() as u64,
            // Whole numbers are added, so that the order of calls is in no digit.
            sum: Some(seconds(self.nanos.iter().fold(0, |sum: u64, nanos| sum.saturating_add(*nanos)))),
            bucket_counts,
            explicit_bounds: BOUNDS.to_vec(),
            min: self.nanos.iter().min().copied().map(seconds),
            max: self.nanos.iter().max().copied().map(seconds),
            ..HistogramDataPoint::default()
        }
    }

    fn total(&self, n: usize) -> Option<NumberDataPoint> {
        let total = i64::try_from(self.counts[n]?).unwrap_or(i64::MAX);
        Some(NumberDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.from,
            time_unix_nano: self.to,
            value: Some(Value::AsInt(total)),
            ..NumberDataPoint::default()
        })
    }
}
