//! `docs/reference/metrics.md`: every metric.

use super::metrics::Metrics;
use crate::reference;

#[test]
fn the_reference_of_metrics_is_current() {
    let mut page = reference::title("Metrics");
    page.push_str("Served at `/metrics` of the ops listener. What they mean together, and which are worth an alert, is in\n");
    page.push_str("[operations](../operations.md). No label has a value that a request could invent.\n\n");
    page.push_str("| metric | type | labels | what |\n|---|---|---|---|\n");
    let families = Metrics::new().unwrap().families();
    assert!(families.len() > 40, "{families:?}");
    for family in families {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (&family.name, family.kind);
        let help = reference::cell(&family.help);
        page.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    reference::hold("metrics.md", &page);
}
