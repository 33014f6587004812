//! The dashboard and the alerts, held to what `/metrics` shows, to the runbook and to the alerts' own cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use mandate::telemetry::metrics::{Family, Metrics};
use serde_json::Value;

use crate::support::repository;

fn read(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything that YAML holds, as JSON has it.
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of metrics in an expression: words that no operator, function or label of ours looks like.
fn names(expression: &str) -> BTreeSet<String> {
    let mut text = expression.to_owned();
    // What is between quotes or braces are labels and their values; what is behind `by` and the like, labels.
    for (open, close) in [('"', '"'), ('{', '}')] {
        while let Some(begin) = text.find(open) {
            let end = text[begin + 1..].find(close).expect("closed") + begin + 1;
            text.replace_range(begin..=end, " ");
        }
    }
    for word in ["by (", "on (", "group_left ("] {
        while let Some(begin) = text.find(word) {
            let end = text[begin..].find(')').expect("closed") + begin;
            text.replace_range(begin..=end, " ");
        }
    }
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_:$".contains(letter);
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.contains('_'));
    let words =
        words.filter(|word| !word.starts_with('$') && !["histogram_quantile", "label_values"].contains(word));
    words.map(str::to_owned).collect()
}

/// Every expression under a key of these names, however deep.
fn expressions(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text.clone()),
                    member => expressions(member, keys, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| expressions(element, keys, found)),
        _ => {}
    }
}

/// Every name that `/metrics` can show: of a histogram, those of its three kinds of series.
fn shown() -> BTreeSet<String> {
    let families = Metrics::new().unwrap().families().into_iter();
    let names = families.flat_map(|Family { name, kind, .. }| match kind {
        "histogram" => ["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}")).to_vec(),
        _ => vec![name],
    });
    names.collect()
}

/// What the alerts' own rules record.
fn recorded(rules: &Value) -> BTreeSet<String> {
    let mut names = Vec::new();
    expressions(rules, &["record"], &mut names);
    names.into_iter().collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    let shown = shown();
    let rules = yaml("deploy/prometheus/mandate.rules.yaml");
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/mandate.json")).unwrap();
    let recorded = recorded(&rules);
    for (what, value, keys) in
        [("the alerts", &rules, &["expr"][..]), ("the dashboard", &dashboard, &["expr", "query"][..])]
    {
        let mut asked = Vec::new();
        expressions(value, keys, &mut asked);
        assert!(asked.len() > 25, "{what}: {asked:?}");
        for expression in asked {
            for name in names(&expression) {
                let known = shown.contains(&name) || recorded.contains(&name);
                assert!(known, "{what}: there is no `{name}` (in {expression})\n{shown:#?}");
            }
        }
    }
}

#[test]
fn names_are_found_in_expressions() {
    let found = names(
        "sum by (a_label) (rate(pdp_one_total{b_label=~\"c_value\"}[$__rate_interval])) * on (d_label) group_left (e_label) pdp_two > 0.1",
    );
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["pdp_one_total", "pdp_two"]);
}

/// The alerts by name.
fn alerts() -> BTreeMap<String, Value> {
    let rules = yaml("deploy/prometheus/mandate.rules.yaml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let alerts = rules.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule.clone())));
    alerts.collect()
}

#[test]
fn every_alert_has_its_section_of_the_runbook_and_the_runbook_no_other() {
    let runbook = read("docs/runbook.md");
    let sections: Vec<_> = runbook.split("\n## ").skip(1).collect();
    let titles: BTreeSet<_> =
        sections.iter().map(|section| section.lines().next().unwrap().to_owned()).collect();
    let alerts = alerts();
    assert_eq!(titles, alerts.keys().cloned().collect());
    for section in sections {
        let title = section.lines().next().unwrap();
        for part in ["Symptom", "Means", "Look at", "Do"] {
            assert!(section.contains(&format!("- **{part}:** ")), "{title} does not say: {part}");
        }
    }
    for (name, alert) in &alerts {
        let url = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
        assert_eq!(url, format!("docs/runbook.md#{}", name.to_lowercase()), "{name}");
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name} is of severity `{severity}`");
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let cases = yaml("deploy/prometheus/mandate.rules.test.yaml");
    let tests = cases["tests"].as_array().unwrap().iter();
    let tests = tests.flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let mut fires: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for test in tests {
        let fired = !test["exp_alerts"].as_array().unwrap().is_empty();
        fires.entry(test["alertname"].as_str().unwrap().to_owned()).or_default().insert(fired);
    }
    let both = BTreeSet::from([false, true]);
    let expected = alerts().into_keys().map(|alert| (alert, both.clone())).collect();
    assert_eq!(fires, expected);
}

/// `make alerts` runs the cases; here, what Prometheus says of the metrics themselves and of the dashboard's queries.
#[test]
fn prometheus_understands_every_query_of_the_dashboard() {
    let promtool = repository().join("target/tools/prometheus/promtool");
    if !promtool.is_file() {
        assert!(std::env::var_os("CI").is_none(), "no {}: run `make alerts`", promtool.display());
        eprintln!("SKIPPED: no promtool; run `make alerts`");
        return;
    }
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/mandate.json")).unwrap();
    let mut asked = Vec::new();
    expressions(&dashboard, &["expr"], &mut asked);
    let mut rules = "groups: [{name: dashboard, rules: [\n".to_owned();
    for (place, expression) in asked.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m").replace("$__interval", "1m");
        rules += &format!("{{record: \"dashboard:{place}\", expr: {}}},\n", Value::from(expression));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yaml");
    fs::write(&file, rules + "]}]\n").unwrap();
    let output = Command::new(promtool).args(["check", "rules"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
