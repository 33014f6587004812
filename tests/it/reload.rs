//! Files that change under a running server, under load, with every answer checked.

mod broken;
mod half_written;
mod incompatible;
mod storm;
mod swaps;
mod unheard;

use std::time::{Duration, Instant};

use mandate::server::pb;
use serde_json::{Value, json};

use crate::support::{Load, Process, Sources, Truth, doc, question, user};

/// Long enough for anything that must happen, in a debug build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Calls a second that leave a debug build room to load policies.
pub(crate) const RATE: u32 = 150;
/// The reload settings under which a test of many changes does not take minutes.
pub(crate) const QUICK: [&str; 2] = ["MANDATE__RELOAD__SETTLE=100ms", "MANDATE__RELOAD__POLL=100ms"];

/// Everybody may see everything.
pub(crate) const PERMIT: &str = "@id(\"base\")\npermit (principal, action, resource);\n";

/// A forbid of one document.
pub(crate) fn hide(id: &str) -> String {
    format!("@id(\"hide-{id}\")\nforbid (principal, action, resource == Mandate::Doc::\"{id}\");\n")
}

/// Entities: `ana`, and two documents.
pub(crate) fn entities() -> Value {
    json!([user("ana"), doc("plan", &[]), doc("notes", &[])])
}

/// Sources that let `ana` see one of two documents and hide the other.
pub(crate) fn hiding(id: &str) -> Sources {
    Sources::small().policy("base.cedar", PERMIT.to_owned() + &hide(id)).entities("base.json", &entities())
}

/// May `ana` view the plan, and may she view the notes?
pub(crate) fn questions() -> Vec<pb::AuthorizeRequest> {
    ["plan", "notes"].map(|id| question(("User", "ana"), "view", ("Doc", id))).to_vec()
}

/// What those who hide one document answer; both hashes, learned without the server under test.
pub(crate) struct Pair {
    pub(crate) plan_hidden: String,
    pub(crate) notes_hidden: String,
}

impl Pair {
    pub(crate) fn learn() -> Self {
        Self { plan_hidden: hiding("plan").generation(), notes_hidden: hiding("notes").generation() }
    }

    pub(crate) fn truth(&self) -> Truth {
        Truth::default().and(&self.plan_hidden, &[false, true]).and(&self.notes_hidden, &[true, false])
    }
}

/// A server of `sources` with these settings, and load on it.
pub(crate) fn start(sources: &Sources, settings: &[&str]) -> (Process, Load) {
    let process = Process::try_start_with(sources, settings).unwrap_or_else(|ended| panic!("{ended:?}"));
    let load = Load::of(&process.data, RATE, questions());
    (process, load)
}

/// Waits until the status says so, and returns it.
#[track_caller]
pub(crate) fn status_where(process: &Process, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = process.status();
        if wanted(&status) {
            return status;
        }
        assert!(begun.elapsed() < patience, "not within {patience:?}: {status:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sleeps on purpose: for how long nothing must happen.
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
