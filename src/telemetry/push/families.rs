//! From families of Prometheus to metrics of OTLP ("OpenTelemetry Metrics Data Model", "Prometheus and OpenMetrics
//! Compatibility"): counters and histograms are cumulative since the process began, names stay as they are, but for those
//! that the semantic conventions name.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};
use prometheus::proto::{Metric as Point, MetricFamily, MetricType};

use crate::collector::attribute;
use crate::telemetry::metrics::calls::FAILURES;

/// When numbers were taken, and since when they count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) began: SystemTime,
    pub(super) now: SystemTime,
}

impl Moment {
    fn began(self) -> u64 {
        nanoseconds(self.began)
    }

    fn now(self) -> u64 {
        nanoseconds(self.now)
    }
}

fn nanoseconds(instant: SystemTime) -> u64 {
    let since = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What the conventions name, as Prometheus writes it and as it is.
const NAMES: [(&str, &str); 8] = [
    ("rpc_server_call_duration_seconds", "rpc.server.call.duration"),
    ("rpc_method", "rpc.method"),
    ("rpc_response_status_code", STATUS),
    ("rpc_system_name", "rpc.system.name"),
    ("http_server_request_duration_seconds", "http.server.request.duration"),
    ("http_request_method", "http.request.method"),
    ("http_response_status_code", "http.response.status_code"),
    ("http_route", "http.route"),
];
const STATUS: &str = "rpc.response.status_code";

fn name(prometheus: &str) -> &str {
    NAMES.iter().find(|(name, _)| *name == prometheus).map_or(prometheus, |(_, name)| name)
}

/// These families, as OTLP has them.
pub(super) fn sent(families: &[MetricFamily], moment: Moment) -> Vec<Metric> {
    families.iter().filter_map(|family| metric(family, moment)).collect()
}

/// A family; none of a kind that this build does not use.
fn metric(family: &MetricFamily, moment: Moment) -> Option<Metric> {
    let points = family.get_metric();
    let numbers =
        |value: fn(&Point) -> f64| points.iter().map(|point| number(point, value(point), moment)).collect();
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: numbers(|point| point.get_counter().get_value()),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        MetricType::GAUGE => {
            Data::Gauge(Gauge { data_points: numbers(|point| point.get_gauge().get_value()) })
        }
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: points.iter().map(|point| histogram(point, moment)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        _ => return None,
    };
    Some(Metric {
        name: name(family.name()).to_owned(),
        description: family.help().to_owned(),
        unit: unit(family.name()).to_owned(),
        data: Some(data),
        ..Default::default()
    })
}

/// The unit that a name ends with, as UCUM writes it.
fn unit(name: &str) -> &'static str {
    match name.strip_suffix("_total").unwrap_or(name) {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "",
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let labels = point.get_label().iter();
    let mut attributes: Vec<_> =
        labels.clone().map(|label| attribute(name(label.name()), label.value())).collect();
    let failed = labels.filter(|label| name(label.name()) == STATUS && FAILURES.contains(&label.value()));
    attributes.extend(failed.map(|status| attribute("error.type", status.value())));
    attributes
}

fn number(point: &Point, value: f64, moment: Moment) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: moment.began(),
        time_unix_nano: moment.now(),
        value: Some(Value::AsDouble(value)),
        ..Default::default()
    }
}

/// Prometheus counts what is at most a bound, OTLP what lies between two; what is above the last has a bucket of its own.
fn histogram(point: &Point, moment: Moment) -> HistogramDataPoint {
    let histogram = point.get_histogram();
    let buckets = histogram.get_bucket();
    let finite = || buckets.iter().filter(|bucket| bucket.upper_bound().is_finite());
    let count = histogram.get_sample_count();
    let cumulative = finite().map(|bucket| bucket.cumulative_count()).chain([count]);
    let mut below = 0;
    let between = cumulative.map(|up_to| {
        let between = up_to.saturating_sub(below);
        below = up_to;
        between
    });
    HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: moment.began(),
        time_unix_nano: moment.now(),
        count,
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: between.collect(),
        explicit_bounds: finite().map(|bucket| bucket.upper_bound()).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

    fn moment() -> Moment {
        let began = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        Moment { began, now: began + std::time::Duration::from_secs(1) }
    }

    fn of(collector: impl prometheus::core::Collector + 'static) -> Metric {
        let registry = Registry::new();
        registry.register(Box::new(collector)).unwrap();
        sent(&registry.gather(), moment()).pop().unwrap()
    }

    #[test]
    fn counters_are_monotonic_sums_since_the_beginning() {
        let counters = IntCounterVec::new(Opts::new("pdp_denials_total", "Denials."), &["reason"]).unwrap();
        counters.with_label_values(&["no_permit"]).inc_by(3);
        let metric = of(counters);
        assert_eq!((metric.name.as_str(), metric.description.as_str()), ("pdp_denials_total", "Denials."));
        let Some(Data::Sum(sum)) = metric.data else { panic!() };
        assert!(sum.is_monotonic);
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
        let [point] = &sum.data_points[..] else { panic!() };
        assert_eq!(point.value, Some(Value::AsDouble(3.0)));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1_000_000_000, 2_000_000_000));
        assert_eq!(point.attributes, [attribute("reason", "no_permit")]);
    }

    #[test]
    fn gauges_stay_gauges_with_their_unit() {
        let gauge = IntGauge::new("pdp_cache_bytes", "Bytes.").unwrap();
        gauge.set(-2);
        let metric = of(gauge);
        assert_eq!(metric.unit, "By");
        let Some(Data::Gauge(gauge)) = metric.data else { panic!() };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(-2.0)));
    }

    #[test]
    fn buckets_hold_what_lies_between_their_bounds_and_the_last_what_is_above_all() {
        let options = HistogramOpts::new("rpc_server_call_duration_seconds", "Time.").buckets(vec![0.1, 1.0]);
        let histogram = prometheus::HistogramVec::new(options, &["rpc_response_status_code"]).unwrap();
        for seconds in [0.05, 0.1, 0.5, 2.0, 3.0, 4.0] {
            histogram.with_label_values(&["INTERNAL"]).observe(seconds);
        }
        let metric = of(histogram);
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("rpc.server.call.duration", "s"));
        let Some(Data::Histogram(histogram)) = metric.data else { panic!() };
        let [point] = &histogram.data_points[..] else { panic!() };
        assert_eq!((point.count, point.explicit_bounds.as_slice()), (6, &[0.1, 1.0][..]));
        assert_eq!(point.bucket_counts, [2, 1, 3]);
        assert!((point.sum.unwrap() - 9.65).abs() < 1e-9);
        assert_eq!(point.attributes, [attribute(STATUS, "INTERNAL"), attribute("error.type", "INTERNAL")]);
    }
}
