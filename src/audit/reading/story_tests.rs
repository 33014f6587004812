//! Sessions told, and executions held to decisions.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::example_logs_for_tests::{decision, id, name, other, write};
use super::query::Query;
use super::reconcile::{self, Mismatch, Reconciliation};
use super::search::Indexes;
use super::story::Story;

fn log(segments: &[Vec<Value>]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, segments);
    let folders = vec![folder.path().to_owned()];
    (folder, folders)
}

#[test]
fn a_story_has_the_sessions_decisions_their_outcomes_and_what_touched_whoever_took_part() {
    let change = |number, entity: Value| {
        other("change", number, json!({"change": "put", "entities": [{"uid": entity}]}))
    };
    let before = change(0, name("Mandate::Agent", "bot"));
    let touching = change(3, name("Mandate::Delegation", "g1"));
    let foreign = change(4, name("Mandate::Agent", "other"));
    let same_id = change(5, name("Mandate::User", "bot"));
    let freeze = other("change", 6, json!({"change": "freeze", "entities": []}));
    let generation = other("generation", 7, json!({"generation": "x"}));
    let outcome = other("outcome", 20, json!({"of": id(9), "outcome": "executed"}));
    let late = other("generation", 30, json!({"generation": "y"}));
    let told = [1, 3, 6, 7, 9, 20];
    let (_folder, folders) = log(&[
        vec![before, decision(1, "allow", "s"), decision(2, "allow", "t"), touching, foreign],
        vec![same_id, freeze, generation, decision(8, "allow", "t"), decision(9, "deny", "s")],
        vec![outcome, late],
    ]);
    let story = Story::of("s", &folders, Indexes::Use).unwrap();
    let ids = story
        .moments
        .iter()
        .map(|hit| serde_json::from_slice::<Value>(&hit.line).unwrap()["decision_id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), told.map(id));
    assert!(story.problems.is_empty() && !story.is_cut);
    assert!(Story::of("u", &folders, Indexes::Use).unwrap().moments.is_empty());
}

fn reconciled(records: Vec<Value>, executions: &str) -> Vec<(Mismatch, String, Option<usize>)> {
    let (_folder, folders) = log(&[records, vec![]]);
    let executions = reconcile::executions(executions.as_bytes()).unwrap();
    let found = Reconciliation::of(executions, &folders, &Query::default(), Indexes::Use).unwrap();
    assert!(found.problems.is_empty());
    found.findings.into_iter().map(|finding| (finding.finding, finding.decision_id, finding.line)).collect()
}

fn with(mut record: Value, members: Value) -> Value {
    record.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    record
}

#[test]
fn executions_that_fit_their_decisions_are_no_finding() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let allowed = with(decision(1, "allow", "s"), json!({"arguments_digest": digest, "reuse_seconds": 60}));
    let reported = decision(2, "allow", "s");
    let outcome = other("outcome", 3, json!({"of": id(2), "outcome": "executed"}));
    let observed = with(decision(4, "allow", "s"), json!({"mode": "observe"}));
    let denied = decision(5, "deny", "s");
    let again = "2026-11-27T10:01:01Z";
    let lines = format!(
        "{}\n\n{}\n",
        json!({"decision_id": id(1), "tool": "mail", "time": "2026-11-27T10:00:02Z", "input_digest": digest}),
        json!({"decision_id": id(1).to_uppercase(), "tool": "mail", "time": again, "unknown": 1}),
    );
    assert_eq!(reconciled(vec![allowed, reported, outcome, observed, denied], &lines), []);
}

#[test]
fn each_thing_that_does_not_fit_is_found() {
    let (one, other_digest) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
    let records = vec![
        with(decision(1, "allow", "s"), json!({"arguments_digest": one, "reuse_seconds": 60})),
        decision(2, "deny", "s"),
        decision(3, "allow", "s"),
        decision(4, "deny", "s"),
        other("outcome", 5, json!({"of": id(4), "outcome": "executed", "findings": ["executed_on_deny"]})),
    ];
    let lines = [
        json!({"decision_id": id(1), "tool": "mail", "time": "2026-11-27T10:00:02Z", "input_digest": other_digest}),
        json!({"decision_id": id(1), "tool": "shell", "time": "2026-11-27T10:01:02Z"}),
        json!({"decision_id": id(2), "tool": "mail"}),
        json!({"decision_id": id(99), "tool": "mail"}),
        json!({"tool": "mail"}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let expected = [
        (Mismatch::NoDecision, String::new(), Some(5)),
        (Mismatch::NoDecision, id(99), Some(4)),
        (Mismatch::ExecutedOnDeny, id(2), Some(3)),
        (Mismatch::ExecutedOnDeny, id(4), None),
        (Mismatch::Repeated, id(1), Some(2)),
        (Mismatch::InputMismatch, id(1), Some(1)),
        (Mismatch::OtherTool, id(1), Some(2)),
        (Mismatch::NoOutcome, id(3), None),
    ];
    assert_eq!(reconciled(records, &lines), expected);
}

#[test]
fn a_decision_outside_the_span_is_still_the_decision_of_what_was_executed() {
    let (_folder, folders) =
        log(&[vec![decision(1, "allow", "s"), decision(2, "allow", "s")], vec![decision(100, "allow", "s")]]);
    let lines = format!("{}\n{}", json!({"decision_id": id(1)}), json!({"decision_id": id(100)}));
    let span = Query { from: Some(super::example_logs_for_tests::TEN + 50_000_000), ..Query::default() };
    let executions = reconcile::executions(lines.as_bytes()).unwrap();
    let found = Reconciliation::of(executions, &folders, &span, Indexes::Use).unwrap();
    assert_eq!((found.decisions, found.findings.len()), (1, 0), "{found:?}");
}

#[test]
fn a_digest_under_a_key_is_not_compared() {
    let hidden = with(decision(1, "allow", "s"), json!({"arguments_digest": "hmac:2026-11:00"}));
    let (_folder, folders) = log(&[vec![hidden]]);
    let line =
        json!({"decision_id": id(1), "input_digest": format!("sha256:{}", "a".repeat(64))}).to_string();
    let executions = reconcile::executions(line.as_bytes()).unwrap();
    let found = Reconciliation::of(executions, &folders, &Query::default(), Indexes::Use).unwrap();
    assert_eq!((found.incomparable, found.findings.len()), (1, 0));
}

#[test]
fn what_is_no_execution_is_told_with_its_line() {
    let refused = |text: &str| reconcile::executions(text.as_bytes()).unwrap_err().to_string();
    assert!(refused("{}\nno\n").contains("line 2"));
    assert!(refused("{\"time\": \"yesterday\"}").contains("line 1"));
    assert!(refused(&" ".repeat(70_000)).contains("line 1 is longer"));
}
