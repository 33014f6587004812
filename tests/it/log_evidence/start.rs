//! A server goes on with a log only if it is what was signed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::written::{Copied, Site, decide, faults, files, verified, verify_command};

fn stopped() -> Site {
    let site = Site::new();
    let process = site.start();
    decide(&process, 5, "before");
    process.terminate().check_code(0);
    site
}

#[test]
fn a_log_whose_end_was_cut_off_or_changed_stops_the_start_and_is_not_touched() {
    let site = stopped();
    let copy = Copied::of(&site.log());
    let path = site.log().join("segments").join(copy.segment(0).file_name().unwrap());
    let whole = fs::read(&path).unwrap();
    let records = copy.records(0);
    let third = &records[2];
    let cut = whole[..third.from].to_vec();
    copy.change(0, |lines| lines[2] = lines[2].replacen('"', " \"", 1));
    let changed = fs::read(copy.segment(0)).unwrap();
    // A length that reaches beyond the end of the file looks like a torn end, but for what is behind it.
    let mut longer = whole.clone();
    longer[third.from + 2] ^= 0x10;
    let changes =
        [(cut, "missing from its end"), (changed, "they were changed"), (longer, "records behind it")];
    for (bytes, said) in changes {
        fs::write(&path, &bytes).unwrap();
        let ended = site.try_start().expect_err("it must not start");
        ended.check_code(1);
        assert!(ended.stderr.contains(said) && ended.stderr.contains("mandate log verify"), "{ended:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "evidence was touched");
    }
    fs::write(&path, whole).unwrap();
    site.start().terminate().check_code(0);
}

#[test]
fn a_log_without_its_last_checkpoint_or_with_a_changed_one_stops_the_start() {
    let site = stopped();
    let path = site.log().join("checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let ended = site.try_start().expect_err("it must not start");
    assert!(ended.stderr.contains("it was deleted"), "{ended:?}");
    fs::write(&path, note.replacen("\nissued ", "\nissued 1", 1)).unwrap();
    let ended = site.try_start().expect_err("it must not start");
    assert!(ended.stderr.contains("its signature is false"), "{ended:?}");
    fs::write(&path, note).unwrap();
    site.start().terminate().check_code(0);
}

#[test]
fn a_key_is_replaced_by_naming_the_one_before_and_others_may_not_read_it() {
    let site = stopped();
    let old = site.public_key();
    let kept = site.sources.path("data/keys/old.key");
    fs::rename(site.key(), &kept).unwrap();
    let ended = site.try_start().expect_err("it must not start");
    assert!(ended.stderr.contains("log.previous_key"), "{ended:?}");
    site.configure(&format!("previous_key = {:?}", kept.display().to_string()));
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = site.try_start().expect_err("it must not start");
    assert!(ended.stderr.contains("chmod 600"), "{ended:?}");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    let process = site.start();
    decide(&process, 5, "after");
    process.terminate().check_code(0);
    let new = site.public_key();
    assert_ne!(old, new);
    let both = format!("{old}\n{new}");
    for keys in [&both, &new] {
        let report = verified(&site.log(), &files(&site.witness()), keys);
        assert_eq!(faults(&report), [], "{keys}");
    }
    verify_command(&site.log(), &old, &[]).check_code(3);
    let said = site.command(&["log", "keys"]);
    assert_eq!(said.stdout.lines().collect::<Vec<_>>(), [new, old]);
}

#[test]
fn the_private_key_is_in_no_output() {
    let site = stopped();
    let pem = fs::read_to_string(site.key()).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    assert_eq!(fs::metadata(site.key()).unwrap().permissions().mode() & 0o777, 0o600);
    let process = site.start();
    decide(&process, 2, "more");
    let ended = process.terminate();
    assert!(!ended.stderr.contains(secret), "{ended:?}");
    let everything = files(&site.log().join("segments")).into_iter().chain(files(&site.witness()));
    for file in everything.chain([site.log().join("checkpoint"), site.key().with_extension("pub")]) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", file.display());
    }
}

#[test]
fn how_a_witness_is_stands_in_the_metrics() {
    let site = Site::new();
    let process = site.start();
    assert!(process.metric("pdp_log_witness_seen_timestamp_seconds{witness=\"0-directory\"}") > 1.7e9);
    assert_eq!(process.metric("pdp_log_witness_failures_total{witness=\"0-directory\"}"), 0.0);
}
