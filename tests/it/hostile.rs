//! Input made to break a parser (F10). Each shape goes through the real command, so that what would abort the process
//! is seen as such: the command ends by itself, loads the shape up to its limit and says clearly what is wrong beyond.

mod entities;
mod others;
mod policies;
mod schemas;

use std::ffi::OsString;

use crate::support::{Finished, Process, Sources, is_allow, mandate, question};

/// Deepest nesting of policy or schema text.
const TEXT_LIMIT: usize = 64;
/// Deepest syntax tree of a policy's condition.
const TREE_LIMIT: usize = 200;
/// Far over every limit, and over what any stack holds.
const FAR: [usize; 3] = [1_000, 20_000, 200_000];

/// What `mandate validate` makes of sources; fails if it ends otherwise than by itself, with an answer.
#[track_caller]
fn validate(name: &str, sources: &Sources) -> Finished {
    let arguments = ["validate", "--format", "json"].map(OsString::from);
    let finished = mandate(arguments.into_iter().chain(sources.flags()));
    assert_eq!(finished.signal, None, "{name}: ended by a signal: {}", finished.stderr);
    assert!(matches!(finished.code, Some(0 | 3)), "{name}: {:?}: {}", finished.code, finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{name}: {}", finished.stderr);
    finished
}

/// Fails unless `serve` answers a question with these sources.
#[track_caller]
fn check_serves(name: &str, sources: &Sources) {
    let process = Process::try_start(sources);
    let mut process = process.unwrap_or_else(|finished| panic!("{name}: `serve` refuses them: {finished:?}"));
    let answer = process.client().authorize(question(("User", "ana"), "view", ("Doc", "plan")));
    assert!(is_allow(&answer.unwrap_or_else(|status| panic!("{name}: {status:?}"))), "{name}");
    assert!(process.is_alive(), "{name}");
}

/// Fails unless `serve` refuses to start with these sources, in order.
#[track_caller]
fn check_refuses_to_serve(name: &str, sources: &Sources) {
    match Process::try_start(sources) {
        Ok(_) => panic!("{name}: `serve` serves what `validate` rejects"),
        Err(finished) => finished.check_code(3),
    }
}

/// Fails unless a shape loads up to `limit` and is rejected beyond it, and one of these words says why.
#[track_caller]
fn check_limit(name: &str, limit: usize, saying: &[&str], far: &[usize], shape: impl Fn(usize) -> Sources) {
    for size in [limit - 1, limit] {
        let sources = shape(size);
        let finished = validate(&format!("{name}, {size}"), &sources);
        assert_eq!(finished.code, Some(0), "{name}, {size}: {}", shorten(&finished.stdout));
    }
    check_serves(name, &shape(limit));
    for size in [limit + 1].iter().chain(far) {
        let finished = validate(&format!("{name}, {size}"), &shape(*size));
        assert_eq!(finished.code, Some(3), "{name}, {size}: it loads");
        let said = saying.iter().any(|saying| finished.stdout.contains(saying));
        assert!(said, "{name}, {size}: none of {saying:?} in {}", shorten(&finished.stdout));
    }
    check_refuses_to_serve(name, &shape(limit + 1));
    if let Some(largest) = far.last() {
        check_refuses_to_serve(name, &shape(*largest));
    }
}

/// The beginning of a text that may be very long.
fn shorten(text: &str) -> String {
    text.chars().take(2_000).collect()
}
