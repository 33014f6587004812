//! Sets that replace one another as fast as they can be written (F22), each with an answer of its own to its own
//! question.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{PATIENCE, RATE};
use crate::support::{Call, Load, Process, Sources, is_allow, question, reason};

const BUNDLES: usize = 300;
/// They must not take longer. What is compiled without optimisation, and shares the machine with other tests, may take longer by far.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 240 } else { 60 });

type Files = Vec<(String, String)>;

/// A set that knows only its own user and document; every third forbids what it would permit.
fn bundle(number: usize) -> Files {
    let schema = format!(
        "namespace Mandate {{\n  entity User = {{ a{number}: Long }};\n  entity Doc;\n  \
         action view appliesTo {{ principal: [User], resource: [Doc] }};\n}}\n"
    );
    let mut policy = format!(
        "@id(\"permit-{number}\")\npermit (principal, action, resource) when {{ principal.a{number} == {number} }};\n"
    );
    if number.is_multiple_of(3) {
        policy += &format!("@id(\"forbid-{number}\")\nforbid (principal, action, resource);\n");
    }
    let mut attributes = serde_json::Map::new();
    attributes.insert(format!("a{number}"), json!(number));
    let entities = json!([
        {"uid": {"type": "Mandate::User", "id": format!("u{number}")}, "attrs": attributes, "parents": []},
        {"uid": {"type": "Mandate::Doc", "id": format!("d{number}")}, "attrs": {}, "parents": []},
    ]);
    vec![
        ("policies/base.cedar".to_owned(), policy),
        ("schemas/base.cedarschema".to_owned(), schema),
        ("entities/base.json".to_owned(), entities.to_string()),
    ]
}

/// The same with its manifest, and the generation it compiles to.
fn sealed(number: usize) -> (Files, String) {
    let mut files = bundle(number);
    let sources = Sources::empty();
    files.iter().for_each(|(path, text)| sources.put(path, text));
    files.push(("mandate.sum".to_owned(), sources.manifest()));
    (files, sources.generation())
}

/// What is wrong with an answer, if anything is.
fn complaint(call: &Call, numbers: &HashMap<String, usize>) -> Option<String> {
    let answer = match &call.outcome {
        Ok(answer) => answer,
        Err(status) => return Some(format!("failed: {status:?}")),
    };
    let Some(&number) = numbers.get(&answer.generation) else {
        return Some(format!("of no known generation: {answer:?}"));
    };
    let expected = match (number == call.question, number.is_multiple_of(3)) {
        (false, _) => "unknown_principal",
        (true, true) => "forbidden",
        (true, false) => "",
    };
    let right = reason(answer) == expected && is_allow(answer) == expected.is_empty();
    (!right).then(|| format!("question {} of set {number} should be `{expected}`: {answer:?}", call.question))
}

/// Fails if a call that began after another had ended was answered from an earlier set.
fn check_order(calls: &[Call], numbers: &HashMap<String, usize>) {
    let number = |call: &Call| numbers[&call.outcome.as_ref().unwrap().generation];
    let mut ended: Vec<_> = calls.iter().map(|call| (call.ended, number(call))).collect();
    ended.sort();
    let mut asked: Vec<_> = calls.iter().collect();
    asked.sort_by_key(|call| call.asked);
    let (mut latest, mut ended) = (0, ended.into_iter().peekable());
    for call in asked {
        while let Some((_, number)) = ended.next_if(|(at, _)| *at < call.asked) {
            latest = latest.max(number);
        }
        assert!(number(call) >= latest, "set {} after set {latest}: {call:?}", number(call));
    }
}

#[test]
fn sets_that_follow_one_another_at_once_are_each_served_whole() {
    let bundles: Vec<_> = (0..BUNDLES).map(sealed).collect();
    let numbers: HashMap<_, _> =
        bundles.iter().enumerate().map(|(number, (_, generation))| (generation.clone(), number)).collect();
    assert_eq!(numbers.len(), BUNDLES);
    let sources = Sources::empty();
    // The manifest is written last: until then the files do not match the one before.
    let push = |files: &Files| files.iter().for_each(|(path, text)| sources.put(path, text));
    push(&bundles[0].0);
    let process = Process::start(&sources);
    let current = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&current);
    let load = Load::asking(&process.data, 2 * RATE, move |call| {
        // The set that is being pushed, and the one before it.
        let number = asked.load(Ordering::SeqCst).saturating_sub(call % 2);
        (number, question(("User", &format!("u{number}")), "view", ("Doc", &format!("d{number}"))))
    });
    load.until(PATIENCE, |call| call.is_of(&bundles[0].1));
    let begun = Instant::now();
    for (number, (files, generation)) in bundles.iter().enumerate().skip(1) {
        current.store(number, Ordering::SeqCst);
        push(files);
        // Every other one is awaited; the rest are replaced while they are read.
        if number % 2 == 0 || number + 1 == BUNDLES {
            load.until(PATIENCE, |call| call.is_of(generation));
        }
    }
    let elapsed = begun.elapsed();
    let calls = load.finish();
    // It is counted once it is served, a moment after the first answer by it.
    let counted = || process.metric("pdp_reloads_total{outcome=\"published\"}");
    let (begun, least) = (Instant::now(), 150.0);
    while counted() < least && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let published = counted();
    let wrong: Vec<_> = calls.iter().filter_map(|call| complaint(call, &numbers)).collect();
    assert!(wrong.is_empty(), "{} of {}: {:#?}", wrong.len(), calls.len(), &wrong[..wrong.len().min(5)]);
    check_order(&calls, &numbers);
    let own = calls
        .iter()
        .filter(|call| call.outcome.as_ref().is_ok_and(|answer| reason(answer) != "unknown_principal"));
    eprintln!(
        "{BUNDLES} sets in {elapsed:?}: {published} published, {:.0} a second; {} answers, {} by the set asked about",
        published / elapsed.as_secs_f64(),
        calls.len(),
        own.count()
    );
    assert!(published >= least, "those awaited were published: {published}");
    assert_eq!(process.status()["generation"], bundles[BUNDLES - 1].1.as_str());
    assert!(elapsed < TIME, "{elapsed:?}");
}
