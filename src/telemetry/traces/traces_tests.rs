//! Which calls are recorded, as whose children, and what that costs.

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn tracer(ratio: f64, room: usize) -> (Arc<Tracer>, mpsc::Receiver<Span>) {
    let (queue, spans) = mpsc::channel(room);
    let ratio = Ratio::of(ratio).unwrap();
    (Arc::new(Tracer { ratio, state: ratio.to_string().into(), queue, counts: Arc::default() }), spans)
}

fn headers(traceparent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", traceparent.parse().unwrap());
    headers
}

fn http() -> SpanOf {
    SpanOf::Http { route: "/access/v1/evaluation", status: Some(200) }
}

#[test]
fn a_caller_says_whether_its_trace_is_recorded_and_the_ratio_where_it_says_nothing() {
    let sampled = headers(&format!("00-{TRACE}-{SPAN}-01"));
    let unsampled = headers(&format!("00-{TRACE}-{SPAN}-00"));
    let (none, _none) = tracer(0.0, 1);
    let (all, _all) = tracer(1.0, 1);
    for tracer in [&none, &all] {
        let trace = tracer.begin(&sampled).expect("its caller records it");
        assert_eq!(format!("{:032x}", trace.id), TRACE);
        assert!(tracer.begin(&unsampled).is_none(), "its caller does not record it");
    }
    assert!(none.begin(&HeaderMap::new()).is_none());
    assert!(all.begin(&HeaderMap::new()).is_some());
    assert!(all.begin(&headers("nonsense")).is_some(), "what is no parent is none");
}

#[test]
fn a_span_is_inside_its_callers_and_what_is_decided_inside_that() {
    let (tracer, mut spans) = tracer(0.0, 2);
    let mut given = headers(&format!("00-{TRACE}-{SPAN}-01"));
    given.insert("tracestate", "other=canary,ot=th:c".parse().unwrap());
    let trace = tracer.begin(&given).unwrap();
    let name = trace.name();
    let decision = DecisionSpan {
        id: uuid::Uuid::nil(),
        effect: "deny",
        cached: "miss",
        surface: "grpc",
        generation: "sha256:aa".into(),
        reason: Some("no_permit"),
    };
    trace.decided(name, Instant::now(), decision);
    trace.ended(http());
    let inner = spans.try_recv().unwrap().sent();
    let outer = spans.try_recv().unwrap().sent();
    assert_eq!((inner.trace_id.len(), &inner.trace_id), (16, &outer.trace_id));
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert_eq!(outer.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!((inner.flags, outer.flags), (0x101, 0x301));
    assert_eq!((inner.trace_state.as_str(), outer.trace_state.as_str()), ("ot=th:c", "ot=th:c"));
    assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
    assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano);
    assert!(inner.start_time_unix_nano <= inner.end_time_unix_nano);
    assert_eq!(trace.parent_of(name), format!("00-{TRACE}-{:016x}-01", name.0));
}

#[test]
fn what_a_caller_wants_remembered_instead_stays() {
    let (tracer, _spans) = tracer(1.0, 1);
    let trace = tracer.begin(&headers(&format!("00-{TRACE}-{SPAN}-01"))).unwrap();
    assert!(trace.is_told_by("") && trace.is_told_by(&format!("00-{TRACE}-{SPAN}-01")));
    let other = "00f067aa0ba902b7";
    for wanted in
        [format!("00-{}-{SPAN}-01", "1".repeat(32)), format!("00-{TRACE}-{other}-01"), "mine".to_owned()]
    {
        assert!(!trace.is_told_by(&wanted), "{wanted}");
    }
    let begun_here = tracer.begin(&HeaderMap::new()).unwrap();
    assert!(begun_here.is_told_by("") && !begun_here.is_told_by(&format!("00-{TRACE}-{SPAN}-01")));
}

#[test]
fn a_queue_that_is_full_or_that_nobody_reads_costs_its_spans_and_nothing_else() {
    let (tracer, spans) = tracer(1.0, 2);
    let lost = || tracer.counts.spans(SpanFate::QueueFull).load(Ordering::Relaxed);
    for _ in 0..5 {
        tracer.begin(&HeaderMap::new()).unwrap().ended(http());
    }
    assert_eq!(lost(), 3);
    drop(spans);
    tracer.begin(&HeaderMap::new()).unwrap().ended(http());
    assert_eq!(lost(), 4);
}
