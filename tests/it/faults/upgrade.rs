//! From the previous version to this one and back: data directories, replicas side by side, clients. `make previous` builds the one
//! before; without it nothing is tested here, which is said loudly.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mandate::server::pb;

use super::fleet::Fleet;
use super::ledger::{Ledger, verify};
use super::{Asked, Connections, Finding, Tally, Traffic, half_load, mixed_sources};
use crate::entity_log::{Admin, doc, level, sources, uid, view, view_since};
use crate::support::{
    Finished, Process, Sources, binary, is_allow, long_value, reason, reference, repository, run_build, user,
};

const SECOND: Duration = Duration::from_secs(1);

/// The build before this one.
fn previous() -> Option<PathBuf> {
    let told = std::env::var_os("MANDATE_PREVIOUS_BIN").map(PathBuf::from);
    let build = told.unwrap_or_else(|| repository().join("target/previous/mandate"));
    if build.is_file() {
        return Some(build);
    }
    assert!(std::env::var_os("CI").is_none(), "no {}: run `make previous`", build.display());
    eprintln!("SKIPPED: no previous version at {}; run `make previous`", build.display());
    None
}

/// Which build, for people.
fn name(build: &Path) -> &'static str {
    if build == binary() { "this" } else { "previous" }
}

/// What must outlive every change of builds.
#[derive(Debug, Default)]
struct Kept {
    /// Of the document that is written all the time.
    level: i64,
    /// Revisions that were handed out, whatever build did.
    revisions: Vec<String>,
    /// Decisions that clients were told.
    decisions: Vec<uuid::Uuid>,
    /// How many sets of sources were served.
    generations: usize,
}

impl Kept {
    #[track_caller]
    fn check(&self, process: &Process, sources: &Sources, who: &str) {
        let admin = Admin::of_process(process, sources);
        let client = process.client();
        if self.level > 0 {
            let got =
                admin.get(uid("written")).expect("what was written is there").entity.expect("an entity");
            assert_eq!(level(&got), Some(&long_value(self.level)), "{who}");
        }
        for revision in &self.revisions {
            let answer = client.authorize(view_since("written", revision));
            assert!(answer.as_ref().is_ok_and(is_allow), "{who}: {revision}: {answer:?}");
        }
        let eve = pb::AuthorizeRequest { principal: Some(reference("Mandate::User", "eve")), ..view("plan") };
        let eve = client.authorize(eve).expect("an answer");
        assert_eq!(reason(&eve), if self.level > 0 { "suspended" } else { "" }, "{who}: {eve:?}");
        let kept = process.status()["kept"].as_array().expect("a list").len();
        assert!(kept >= self.generations.min(10), "{who}: {kept} of {} sets are kept", self.generations);
    }

    /// Writes and asks under a build, until told that it is enough.
    #[track_caller]
    fn use_up(&mut self, process: &Process, sources: &Sources, time: Duration) -> Tally {
        let allowed = |_number| Asked { request: view("plan"), allow: true };
        let connections = Arc::new(Connections::asking(&process.data, allowed));
        let traffic = Traffic::start(&connections, half_load(&connections).min(500));
        let admin = Admin::of_process(process, sources);
        admin.suspend(Some(reference("Mandate::User", "eve")), false).expect("suspended");
        let begun = std::time::Instant::now();
        while begun.elapsed() < time {
            self.level += 1;
            let revision = admin.put(vec![doc("written", self.level, &["plan"])]).expect("written");
            if self.level % 20 == 1 {
                self.revisions.push(revision);
            }
        }
        self.generations += 1;
        let other = format!(
            "@id(\"other-{}\")\nforbid (principal, action, resource == Mandate::Doc::\"none\");\n",
            self.generations
        );
        sources.put("policies/other.cedar", other);
        let generations = self.generations;
        crate::reload::status_where(process, 20 * SECOND, |status| {
            status["kept"].as_array().is_some_and(|kept| kept.len() > generations.min(9))
        });
        traffic.stop()
    }
}

#[test]
#[ignore = "make faults"]
fn a_data_directory_goes_from_one_version_to_the_other_and_back() {
    let Some(previous) = previous() else { return };
    let this = binary();
    let sources = sources().entities("eve.json", &serde_json::json!([user("eve")]));
    let quick =
        ["MANDATE__RELOAD__SETTLE=100ms", "MANDATE__RELOAD__POLL=100ms", "MANDATE__SHUTDOWN__GRACE=0s"];
    let mut kept = Kept::default();
    let (mut calls, mut refused) = (0, Vec::new());
    // In order, and by a kill; each way twice.
    let way = [&previous, &this, &previous, &this, &previous, &this];
    for (turn, build) in way.into_iter().enumerate() {
        let who = format!("turn {turn}, {} version", name(build));
        let process = match Process::try_start_build(build, &sources, &quick) {
            Ok(process) => process,
            Err(ended) => {
                // It may not know what a later build wrote. It says so, and harms nothing.
                assert!(build == &previous && turn > 0, "{who}: {ended:?}");
                assert!(
                    ended.stderr.contains("use a newer build") || ended.stderr.contains("use a later build"),
                    "{who}: {ended:?}"
                );
                refused.push(who);
                continue;
            }
        };
        kept.check(&process, &sources, &who);
        let tally = kept.use_up(&process, &sources, 2 * SECOND);
        tally.check_all_answered();
        calls += tally.offered;
        kept.decisions.extend(&tally.decisions);
        if turn % 3 == 2 { process.crash() } else { process.terminate().check_code(0) }
    }
    let process =
        Process::try_start_build(&this, &sources, &quick).unwrap_or_else(|ended| panic!("{ended:?}"));
    kept.check(&process, &sources, "at the end");
    process.terminate().check_code(0);
    let (log, key) = (sources.path("data/log"), sources.path("data/keys/log.pub"));
    let ledger = Ledger::read(&log);
    let (dropped, lost) = ledger.check();
    let missing =
        kept.decisions.iter().filter(|decision| !ledger.decisions.contains(decision)).count() as u64;
    verify(&log, &key);
    let words = ["log".into(), "verify".into(), "--key".into(), key.into_os_string(), log.into_os_string()];
    let by_previous: Finished = run_build(&previous, words, "");
    Finding::of(
        "Upgrade of a data directory, there and back, six times",
        "nothing written is missing, revisions and kept sets hold, each answer is in the log or counted as lost, both versions verify it",
    )
    .figure("writes", kept.level)
    .figure("calls", calls)
    .figure("refused", refused.clone())
    .seen(
        missing <= lost && dropped == 0 && by_previous.code == Some(0),
        format!(
            "{} writes and {} revisions hold, {calls} calls answered, {missing} missing and {lost} counted as lost in kills, starts refused: {refused:?}",
            kept.level,
            kept.revisions.len()
        ),
    );
}

#[test]
#[ignore = "make faults"]
fn replicas_of_both_versions_serve_side_by_side() {
    let Some(previous) = previous() else { return };
    let this = binary();
    let sources: Vec<_> = (0..3).map(|_| mixed_sources()).collect();
    let start = |build: &Path, sources: &Sources| {
        let grace = ["MANDATE__SHUTDOWN__GRACE=2500ms"];
        Process::try_start_build(build, sources, &grace).unwrap_or_else(|ended| panic!("{ended:?}"))
    };
    let mut processes: Vec<_> = sources.iter().map(|sources| start(&previous, sources)).collect();
    let fleet = Fleet::of(&processes);
    let rate = half_load(&fleet).min(1_000);
    let traffic = Traffic::start(&fleet, rate);
    for build in [&this, &previous, &this] {
        for (replica, sources) in sources.iter().enumerate() {
            let process = processes.remove(replica);
            let leaving = fleet.leaves(&process);
            process.terminate().check_code(0);
            leaving.join().expect("it left");
            processes.insert(replica, start(build, sources));
            fleet.joins(&processes[replica]);
        }
    }
    let tally = traffic.stop();
    processes.into_iter().for_each(|process| process.terminate().check_code(0));
    let (mut missing, mut dropped) = (tally.decisions.clone(), 0);
    for sources in &sources {
        let log = sources.path("data/log");
        let ledger = Ledger::read(&log);
        dropped += ledger.check().0;
        verify(&log, &sources.path("data/keys/log.pub"));
        missing.retain(|decision| !ledger.decisions.contains(decision));
    }
    let refused: Vec<_> = tally.refused.values().map(|refused| &refused.example).collect();
    tally.check();
    Finding::of("Upgrade and downgrade of three replicas, one by one", "no call fails or is answered wrongly, no record is missing")
        .figure("rate", rate)
        .figure("calls", tally.offered)
        .seen(
            tally.answered() == tally.offered && missing.is_empty() && dropped == 0,
            format!(
                "9 replacements at {rate}/s: {} of {} calls right, refused {refused:?}, {} answers without a record",
                tally.answered(),
                tally.offered,
                missing.len()
            ),
        );
}

#[test]
#[ignore = "make faults"]
fn clients_of_either_version_are_served_by_the_other() {
    let Some(previous) = previous() else { return };
    let this = binary();
    let mut seen = Vec::new();
    for (server, client) in [(&this, &previous), (&previous, &this)] {
        let sources = sources();
        sources.put("put.json", serde_json::json!([crate::support::doc("shown", &["plan"])]).to_string());
        let process =
            Process::try_start_build(server, &sources, &[]).unwrap_or_else(|ended| panic!("{ended:?}"));
        assert!(is_allow(&process.client().authorize(view("plan")).expect("an answer")));
        let file = sources.path("put.json").display().to_string();
        for words in [
            vec!["status"],
            vec!["entity", "put", &file],
            vec!["entity", "get", "Mandate::Doc::\"shown\""],
            vec!["entity", "list", "Mandate::Doc"],
            vec!["freeze", "--reason", "a test"],
            vec!["freeze", "--lift", "--reason", "a test"],
            vec!["log", "query", "--server", "--limit", "5"],
        ] {
            let finished = process.command_of(client, &words);
            seen.push((name(client), words.join(" "), finished.code, finished.stderr));
        }
        process.terminate().check_code(0);
    }
    let failed: Vec<_> = seen.iter().filter(|(_, _, code, _)| *code != Some(0)).collect();
    Finding::of("Commands of one version against a server of the other", "every command succeeds, both ways")
        .seen(failed.is_empty(), format!("{} commands, failed: {failed:?}", seen.len()));
}
