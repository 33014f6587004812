//! Sets of sources that somebody has to sign.

use std::fs;

use crate::reload::{PATIENCE, QUICK, hiding, status_where};
use crate::support::{Finished, Process, Sources, all_records, mandate};

const POLICY: &str = "policies/base.cedar";
const COMMIT: &str = "8c1f0a7 (main)";

/// Writes the manifest of the files as they are.
fn list(sources: &Sources) {
    sources.put("mandate.sum", format!("# commit: {COMMIT}\n{}", sources.manifest()));
}

/// Signs the manifest as it is, and returns the public key.
#[track_caller]
fn sign(sources: &Sources, name: &str) -> String {
    let path = |name: &str| sources.path(name).display().to_string();
    let key = path(&format!("{name}.key"));
    let signed = mandate(["sign", &path("mandate.sum"), "--key", &key, "--name", name]);
    signed.check_code(0);
    signed.stdout.trim().to_owned()
}

fn asking_for(signers: &[&str]) -> String {
    let signers: Vec<_> = signers.iter().map(|signer| format!("{signer:?}")).collect();
    format!("MANDATE__SOURCES__SIGNERS=[{}]", signers.join(","))
}

fn start(sources: &Sources, signer: &str) -> Result<Process, Finished> {
    Process::try_start_with(sources, &[&[asking_for(&[signer]).as_str()], QUICK.as_slice()].concat())
}

/// The latest record of a generation that says this.
fn generation_record(sources: &Sources, event: &str) -> serde_json::Value {
    let of_event = |record: &serde_json::Value| record["kind"] == "generation" && record["event"] == event;
    all_records(&sources.path("data/log")).into_iter().rfind(of_event).expect("it is recorded")
}

#[test]
fn only_what_was_signed_as_it_is_is_ever_served_and_the_log_says_by_whom() {
    let sources = hiding("plan");
    list(&sources);
    let reviewers = sign(&sources, "reviewers");
    let process = start(&sources, &reviewers).expect("it is signed");
    let served = process.status()["generation"].clone();

    // Another set, complete by its manifest, which nobody signed.
    let rejected = |process: &Process, saying: &str| {
        let status = status_where(process, PATIENCE, |status| {
            status["last_load"]["problems"].to_string().contains(saying)
        });
        assert_eq!(status["generation"], served, "what was served still is");
    };
    let other = fs::read(hiding("notes").path(POLICY)).unwrap();
    sources.put(POLICY, &other);
    list(&sources);
    rejected(&process, "is not signed");
    // Signed by somebody, but by nobody who was asked for.
    sign(&sources, "somebody");
    rejected(&process, "is signed by nobody that");
    // Signed, and changed since.
    sign(&sources, "reviewers");
    let signed = fs::read_to_string(sources.path("mandate.sum")).unwrap();
    let status = status_where(&process, PATIENCE, |status| status["generation"] != served);
    assert_eq!(status["serving_stale"], false);
    sources.put(POLICY, fs::read(hiding("plan").path(POLICY)).unwrap());
    let block = signed.split_once("\n\n").unwrap().1;
    sources.put("mandate.sum", format!("{}\n{block}", sources.manifest()));
    status_where(&process, PATIENCE, |status| {
        status["last_load"]["problems"].to_string().contains("was changed after it was signed")
    });
    process.terminate().check_code(0);

    // A verifier key is a name, a key's ID and the key itself, whose base64 may hold a `+` of its own.
    let (name_and_id, _key) =
        reviewers.match_indices('+').nth(1).map(|(at, _)| reviewers.split_at(at)).unwrap();
    let record = generation_record(&sources, "published");
    assert_eq!((&record["commit"], &record["signer"]), (&COMMIT.into(), &name_and_id.into()));
    let record = generation_record(&sources, "rejected");
    assert_eq!(record.get("signer"), None, "{record}");
}

#[test]
fn sets_that_were_kept_unsigned_are_not_served_either() {
    let sources = hiding("plan");
    let process = Process::start(&sources);
    let unsigned = process.status()["generation"].as_str().unwrap().to_owned();
    status_where(&process, PATIENCE, |status| status["kept"].as_array().is_some_and(|kept| !kept.is_empty()));
    process.terminate().check_code(0);

    list(&sources);
    let reviewers = sign(&sources, "reviewers");
    list(&sources);
    let ended = start(&sources, &reviewers).expect_err("neither the files nor the kept set are signed");
    ended.check_code(3);
    assert!(ended.stderr.contains("mandate sign") || ended.stderr.contains("is not signed"), "{ended:?}");

    let other = fs::read(hiding("notes").path(POLICY)).unwrap();
    sources.put(POLICY, other);
    list(&sources);
    sign(&sources, "reviewers");
    let process = start(&sources, &reviewers).expect("it is signed");
    let refused = process.command(&["rollback", &unsigned]);
    refused.check_code(1);
    assert!(refused.stderr.contains("nobody whom `sources.signers` names"), "{refused:?}");
}

#[test]
fn a_manifest_keeps_the_signatures_of_others_and_validate_obeys_it() {
    let sources = hiding("plan");
    list(&sources);
    let (one, two) = (sign(&sources, "one"), sign(&sources, "two"));
    let again = sign(&sources, "one");
    assert_eq!(again, one);
    let text = fs::read_to_string(sources.path("mandate.sum")).unwrap();
    assert_eq!(text.matches("\u{2014} ").count(), 2, "{text}");
    for (signer, valid) in [(&one, true), (&two, true), (&"three+00000000+AAAA".to_owned(), false)] {
        let config = sources.config_written(&format!("[sources]\nsigners = [{signer:?}]"));
        assert_eq!(config.is_ok(), valid, "{config:?}");
    }
    let flags: Vec<_> = sources.flags().into_iter().map(|flag| flag.into_string().unwrap()).collect();
    let validate = |signer: &str| {
        sources.put("mandate.toml", format!("[sources]\nsigners = [{signer:?}]"));
        let config = sources.path("mandate.toml").display().to_string();
        mandate(["validate", "--config", &config].map(str::to_owned).into_iter().chain(flags.clone()))
    };
    validate(&two).check_code(0);
    list(&sources);
    let refused = validate(&two);
    refused.check_code(3);
    assert!(
        refused.stderr.contains("is not signed") || refused.stdout.contains("is not signed"),
        "{refused:?}"
    );
}
