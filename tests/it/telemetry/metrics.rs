//! Metrics that are pushed: those of `/metrics`, number for number.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mandate::server::pb;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};

use super::collector::{Collector, Manner, PATIENCE, texts};
use super::{serve, view};
use crate::support::{Numbers, Sources, evaluation, is_allow};

/// Numbers that are never the same twice, or that pushing changes.
const RESTLESS: [&str; 6] = [
    "pdp_generation_age_seconds",
    "pdp_loader_silent_seconds",
    "pdp_memory_bytes",
    "pdp_memory_pressure",
    "pdp_metrics_pushes_total",
    "process_",
];

/// The numbers of a push by series, as Prometheus writes them.
fn series(push: &ExportMetricsServiceRequest) -> BTreeMap<String, f64> {
    let scopes = push.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).flat_map(of_metric).collect()
}

fn of_metric(metric: &Metric) -> Vec<(String, f64)> {
    let name = match metric.name.as_str() {
        "rpc.server.call.duration" => "rpc_server_call_duration_seconds",
        "http.server.request.duration" => "http_server_request_duration_seconds",
        name => name,
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{name} is cumulative");
            sum.data_points.iter().map(|point| number(name, point)).collect()
        }
        Data::Gauge(gauge) => gauge.data_points.iter().map(|point| number(name, point)).collect(),
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, 2, "{name} is cumulative");
            histogram.data_points.iter().flat_map(|point| buckets(name, point)).collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn labelled(name: &str, mut labels: BTreeMap<String, String>) -> String {
    // What OpenTelemetry adds to what Prometheus has.
    labels.remove("error.type");
    if labels.is_empty() {
        return name.to_owned();
    }
    let label = |(name, value): (&String, &String)| format!("{}=\"{value}\"", name.replace('.', "_"));
    let mut text: Vec<_> = labels.iter().filter(|(name, _)| *name != "le").map(label).collect();
    text.extend(labels.get("le").map(|le| format!("le=\"{le}\"")));
    format!("{name}{{{}}}", text.join(","))
}

fn number(name: &str, point: &NumberDataPoint) -> (String, f64) {
    assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
    match point.value {
        Some(Value::AsDouble(value)) => (labelled(name, texts(&point.attributes)), value),
        ref other => panic!("{name}: {other:?}"),
    }
}

fn buckets(name: &str, point: &HistogramDataPoint) -> Vec<(String, f64)> {
    let labels = texts(&point.attributes);
    let with = |le: &str| {
        let mut labels = labels.clone();
        labels.insert("le".to_owned(), le.to_owned());
        labelled(&format!("{name}_bucket"), labels)
    };
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let mut up_to = 0.0;
    let mut all = Vec::new();
    let bounds = point.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        up_to += *count as f64;
        all.push((with(&bound), up_to));
    }
    all.push((labelled(&format!("{name}_sum"), labels.clone()), point.sum.unwrap()));
    all.push((labelled(&format!("{name}_count"), labels), point.count as f64));
    all
}

fn restful(series: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, f64> {
    series.filter(|(name, _)| !RESTLESS.iter().any(|restless| name.starts_with(restless))).collect()
}

#[test]
fn what_is_pushed_is_what_metrics_says_number_for_number() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "metrics", "interval = '1s'");
    for _ in 0..3 {
        assert!(is_allow(&server.authorize(view()).unwrap()));
    }
    server.authorize(pb::AuthorizeRequest::default()).unwrap_err();
    server.evaluate(&evaluation(("Mandate::User", "nobody"), "view", ("Mandate::Doc", "plan")));
    server.records(5);
    let told = |numbers: &Numbers| {
        restful(numbers.series().map(|series| (series.to_owned(), numbers.value(series))))
    };
    let begun = Instant::now();
    loop {
        let (before, pushed, after) = (server.metrics(), collector.pushes().pop(), server.metrics());
        let (before, after) = (told(&before), told(&after));
        let pushed = pushed.map(|push| restful(series(&push).into_iter()));
        if before == after && pushed.as_ref() == Some(&after) {
            break;
        }
        let differing = || {
            let pushed = pushed.clone().unwrap_or_default();
            let all = after.keys().chain(pushed.keys());
            let of =
                |series: &String| (series.clone(), after.get(series).copied(), pushed.get(series).copied());
            all.map(of).filter(|(_, told, pushed)| told != pushed).collect::<Vec<_>>()
        };
        assert!(begun.elapsed() < PATIENCE, "{:#?}", differing());
        std::thread::sleep(Duration::from_millis(100));
    }
    let pushed = series(&collector.pushes().pop().unwrap());
    let calls = "rpc_server_call_duration_seconds_count{rpc_method=\"mandate.v1.AuthorizationService/Authorize\",rpc_response_status_code=\"OK\",rpc_system_name=\"grpc\"}";
    assert_eq!(pushed.get(calls), Some(&3.0), "{pushed:#?}");
    assert_eq!(pushed.get("pdp_denials_total{reason=\"unknown_principal\"}"), Some(&1.0));
}

#[test]
fn the_last_numbers_are_pushed_at_the_end() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "metrics", "interval = '1h'");
    assert!(is_allow(&server.authorize(view()).unwrap()));
    server.shutdown();
    let last = series(&collector.pushes().pop().unwrap());
    let decided = "pdp_decisions_total{cached=\"miss\",effect=\"allow\",surface=\"grpc\"}";
    assert_eq!(last.get(decided), Some(&1.0));
}

#[test]
fn a_collector_that_hangs_or_refuses_costs_pushes_and_nothing_else() {
    for manner in [Manner::Hang, Manner::Refuse] {
        let collector = Collector::start(manner);
        let sources = Sources::small();
        let server = serve(&sources, &collector, "metrics", "interval = '1s'\ntimeout = '100ms'");
        let begun = Instant::now();
        while server.metrics().value("pdp_metrics_pushes_total{outcome=\"failed\"}") < 2.0 {
            assert!(is_allow(&server.authorize(view()).unwrap()));
            assert!(begun.elapsed() < PATIENCE, "{manner:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server.shutdown();
    }
}
