//! What is counted, and how it is written.

use super::*;

#[test]
fn a_decision_is_counted_where_it_belongs() {
    let metrics = Metrics::new().unwrap();
    let reason = Some(ReasonCode::Frozen);
    metrics.decided(Effect::Deny, reason, Surface::Stream, CacheUse::Hit, Duration::from_nanos(1500));
    metrics.decided(Effect::Allow, None, Surface::Authzen, CacheUse::Bypass, Duration::from_millis(3));
    let text = metrics.render(Observed::default).unwrap();
    for line in [
        r#"pdp_decisions_total{cached="hit",effect="deny",surface="stream"} 1"#,
        r#"pdp_decisions_total{cached="bypass",effect="allow",surface="authzen"} 1"#,
        r#"pdp_decisions_total{cached="hit",effect="allow",surface="stream"} 0"#,
        r#"pdp_decision_seconds_bucket{surface="stream",le="0.000001"} 0"#,
        r#"pdp_decision_seconds_bucket{surface="stream",le="0.000002"} 1"#,
        r#"pdp_decision_seconds_count{surface="authzen"} 1"#,
        r#"pdp_denials_total{reason="frozen"} 1"#,
        r#"pdp_denials_total{reason="no_permit"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn one_generation_is_named_at_a_time_and_counters_never_fall() {
    let metrics = Metrics::new().unwrap();
    for (generation, published) in [("sha256:aa", 3), ("sha256:bb", 5), ("sha256:bb", 4)] {
        let observed = Observed {
            generation: generation.to_owned(),
            reloads: vec![("published", published)],
            ..Observed::default()
        };
        let text = metrics.render(|| observed).unwrap();
        let named: Vec<_> = text.lines().filter(|line| line.starts_with("pdp_generation_info{")).collect();
        assert_eq!(named, [format!("pdp_generation_info{{generation=\"{generation}\"}} 1")]);
        let count = published.max(if generation == "sha256:aa" { 3 } else { 5 });
        assert!(text.contains(&format!("pdp_reloads_total{{outcome=\"published\"}} {count}\n")), "{text}");
    }
}
