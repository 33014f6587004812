//! Whatever is changed of a log is found.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mandate::audit::spool::segment::Header;
use mandate::audit::tree::finding::Fault;
use mandate::audit::tree::keys::TrustedKeys;
use mandate::audit::tree::verify::verify;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::written::{Copied, Site, WRITTEN, decide, faults, files, verified, verify_command};

#[test]
fn a_log_of_real_servers_is_intact_and_says_what_became_of_each() {
    let site = &WRITTEN.site;
    let witness = site.witness().display().to_string();
    let finished = verify_command(&site.log(), &site.public_key(), &["--checkpoints", &witness]);
    finished.check_code(0);
    let said = finished.json();
    assert_eq!(said["intact"], true, "{said:#}");
    let log = &said["logs"][0];
    assert!(log["segments"].as_u64().unwrap() >= 3, "{log:#}");
    // All but the record of the last checkpoint.
    assert_eq!(log["covered"].as_u64().unwrap() + 1, log["next"].as_u64().unwrap());
    let remarks: Vec<_> =
        log["remarks"].as_array().unwrap().iter().map(|remark| remark["message"].as_str().unwrap()).collect();
    assert!(remarks.iter().any(|remark| remark.contains("ended without saying so")), "{remarks:?}");
}

#[test]
fn bits_that_are_turned_at_random_places_are_found() {
    let mut random = StdRng::seed_from_u64(7);
    let copy = Copied::written();
    for _ in 0..60 {
        let firsts = copy.firsts();
        let path = copy.segment(firsts[random.random_range(0..firsts.len())]);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let (byte, bit) = (random.random_range(0..whole.len()), random.random_range(0..8));
        changed[byte] ^= 1 << bit;
        fs::write(&path, changed).unwrap();
        assert!(!copy.faults_alone().is_empty(), "bit {bit} of byte {byte} of {}", path.display());
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn any_byte_of_a_record_that_is_changed_is_found_where_it_is() {
    let copy = Copied::written();
    let first = copy.firsts()[0];
    let records = copy.records(first);
    let decision = records.iter().find(|record| record.kind() == "decision").unwrap();
    let path = copy.segment(first);
    let whole = fs::read(&path).unwrap();
    for byte in decision.from..decision.to {
        let mut changed = whole.clone();
        changed[byte] ^= 1 << (byte % 8);
        fs::write(&path, changed).unwrap();
        let report = verified(copy.path(), &[], &WRITTEN.site.public_key());
        let place = &report.findings[0].place;
        assert_eq!((&place.file, place.sequence), (&path, Some(decision.sequence)), "byte {byte}");
        assert_eq!(place.offset, Some(decision.from as u64));
    }
}

#[test]
fn records_that_are_deleted_doubled_exchanged_or_written_anew_are_found() {
    let mut random = StdRng::seed_from_u64(8);
    for _ in 0..8 {
        let copy = Copied::written();
        let firsts = copy.firsts();
        let first = firsts[random.random_range(0..firsts.len())];
        let number = copy.records(first).len();
        let at = random.random_range(0..number - 2);
        let changes: [fn(&mut Vec<String>, usize); 4] = [
            |lines, at| drop(lines.remove(at)),
            |lines, at| lines.insert(at, lines[at].clone()),
            |lines, at| lines.swap(at, at + 1),
            |lines, at| lines[at] = lines[at].replacen('"', " \"", 1),
        ];
        for (which, change) in changes.into_iter().enumerate() {
            let copy = Copied::written();
            copy.change(first, |lines| change(lines, at));
            assert!(!copy.faults_alone().is_empty(), "change {which} of record {at} of segment {first}");
        }
    }
}

#[test]
fn an_answer_that_is_rewritten_is_found() {
    let copy = Copied::written();
    let first = copy.firsts()[0];
    copy.change(first, |lines| {
        let allowed = lines.iter_mut().find(|line| line.contains("\"decision\":\"allow\"")).unwrap();
        *allowed = allowed.replace("\"decision\":\"allow\"", "\"decision\":\"deny\"");
    });
    assert!(matches!(copy.faults_alone()[0], Fault::Root { .. }));
}

#[test]
fn a_tail_that_is_cut_off_is_found_iff_a_checkpoint_kept_elsewhere_covers_it() {
    let copy = Copied::written();
    let last = *copy.firsts().last().unwrap();
    let records = copy.records(last);
    let path = copy.segment(last);
    let whole = fs::read(&path).unwrap();
    // Whoever cuts it puts an older checkpoint into the folder, too: there are many in the log.
    let older = copy.records(copy.firsts()[0]);
    let older = older.iter().find(|record| record.kind() == "checkpoint").unwrap();
    let older: Value = serde_json::from_str(&older.line).unwrap();
    fs::write(copy.path().join("checkpoint"), older["note"].as_str().unwrap()).unwrap();
    let [.., before, closing] = records.as_slice() else { panic!() };
    assert_eq!(closing.kind(), "checkpoint");
    for end in (before.from..whole.len()).step_by(3).chain([before.to, closing.from, closing.to - 1]) {
        fs::write(&path, &whole[..end]).unwrap();
        let short = |faults: &[Fault]| faults.iter().any(|fault| matches!(fault, Fault::Short { .. }));
        assert_eq!(copy.faults_alone(), [], "cut at {end}: nobody can tell");
        // The closing record itself is covered by nothing.
        assert_eq!(short(&copy.faults()), end < before.to, "cut at {end}");
    }
}

#[test]
fn segments_that_are_removed_or_put_back_as_they_were_are_found() {
    let firsts = Copied::written().firsts();
    for (place, first) in firsts.iter().enumerate() {
        let copy = Copied::written();
        fs::remove_file(copy.segment(*first)).unwrap();
        // The oldest may be deleted: the log then begins later, and says so.
        assert_eq!(copy.faults_alone().is_empty(), place == 0, "{first}");
    }
    for first in &firsts {
        let copy = Copied::written();
        let half = copy.records(*first).len() / 2;
        copy.change(*first, |lines| lines.truncate(half));
        assert!(!copy.faults_alone().is_empty(), "{first}");
    }
}

#[test]
fn headers_that_are_edited_are_found() {
    let changes: [fn(&mut Header); 4] = [
        |header| header.opened = "2020-01-01T00:00:00Z".to_owned(),
        |header| header.instance = uuid::Uuid::nil(),
        |header| header.log = uuid::Uuid::nil(),
        |header| header.frontier = vec!["00".repeat(32); header.frontier.len().max(1)],
    ];
    for first in Copied::written().firsts() {
        for (which, change) in changes.into_iter().enumerate() {
            let copy = Copied::written();
            let mut header = copy.header(first);
            change(&mut header);
            let lines: Vec<_> = copy.records(first).into_iter().map(|record| record.line).collect();
            copy.write(first, &header, &lines);
            assert!(!copy.faults_alone().is_empty(), "change {which} of {first}");
        }
    }
}

#[test]
fn segments_of_another_log_by_the_same_key_are_found() {
    let other = Site::new();
    fs::create_dir_all(other.key().parent().unwrap()).unwrap();
    fs::copy(WRITTEN.site.key(), other.key()).unwrap();
    fs::set_permissions(other.key(), fs::Permissions::from_mode(0o600)).unwrap();
    let process = other.start();
    decide(&process, 120, "other");
    process.terminate().check_code(0);
    let theirs = Copied::of(&other.log());
    for first in Copied::written().firsts() {
        let copy = Copied::written();
        fs::copy(theirs.segment(0), copy.segment(first)).unwrap();
        assert!(!copy.faults_alone().is_empty(), "{first}");
        // In this log's clothes.
        let copy = Copied::written();
        let lines: Vec<_> = theirs.records(0).into_iter().map(|record| record.line).collect();
        copy.write(first, &copy.header(first), &lines);
        assert!(!copy.faults_alone().is_empty(), "{first}");
    }
}

#[test]
fn two_servers_that_go_on_from_one_log_are_found_by_either_of_their_witnesses() {
    let site = Site::new();
    let process = site.start();
    decide(&process, 5, "both");
    process.terminate().check_code(0);
    let before = Copied::of(&site.log());
    let branch = |name: &str| {
        fs::remove_dir_all(site.log()).unwrap();
        fs::create_dir_all(site.log().join("segments")).unwrap();
        for first in before.firsts() {
            let name = before.segment(first);
            fs::copy(&name, site.log().join("segments").join(name.file_name().unwrap())).unwrap();
        }
        fs::copy(before.path().join("checkpoint"), site.log().join("checkpoint")).unwrap();
        let process = site.start();
        decide(&process, 5, name);
        process.terminate().check_code(0);
        Copied::of(&site.log())
    };
    let (one, other) = (branch("one"), branch("other"));
    let key = site.public_key();
    for alone in [&one, &other] {
        assert_eq!(faults(&verified(alone.path(), &[], &key)), []);
        // The witness saw both.
        assert!(
            faults(&verified(alone.path(), &files(&site.witness()), &key))
                .iter()
                .any(|fault| matches!(fault, Fault::Root { .. }))
        );
    }
    let folders = [one.path().to_owned(), other.path().to_owned()];
    let both = verify(&folders, &[], &TrustedKeys::read(&key).unwrap()).unwrap();
    assert!(both.logs.iter().all(|log| matches!(log.findings[0].fault, Fault::Root { .. })), "{both:#?}");
}

#[test]
fn a_wrong_key_a_forged_checkpoint_and_a_missing_log_are_found() {
    let site = &WRITTEN.site;
    let other = Site::new();
    other.start().terminate().check_code(0);
    let finished = verify_command(&site.log(), &other.public_key(), &[]);
    finished.check_code(3);
    assert!(finished.stdout.contains("by no key that was given"), "{finished:?}");
    let kept = fs::read_to_string(&files(&site.witness())[0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let forged = folder.path().join("forged");
    fs::write(&forged, kept.replace("\nissued ", "\nissued 1")).unwrap();
    let forged = forged.display().to_string();
    let finished = verify_command(&site.log(), &site.public_key(), &["--checkpoints", &forged]);
    finished.check_code(3);
    assert!(finished.stdout.contains("signature is false"), "{finished:?}");
    let theirs = other.witness().display().to_string();
    let both = format!("{}\n{}\n", site.public_key(), other.public_key());
    let finished = verify_command(&site.log(), &both, &["--checkpoints", &theirs]);
    finished.check_code(3);
    assert!(finished.stdout.contains("no folder that was given holds it"), "{finished:?}");
    verify_command(&site.log(), "no key", &[]).check_code(1);
    let nowhere = folder.path().join("nowhere");
    verify_command(&nowhere, &site.public_key(), &[]).check_code(1);
}

#[test]
fn a_tail_that_a_crash_tore_is_no_crime_and_the_next_start_declares_it() {
    let site = Site::new();
    let process = site.start();
    decide(&process, 5, "torn");
    std::thread::sleep(std::time::Duration::from_millis(300));
    process.crash();
    let key = site.public_key();
    let copy = Copied::of(&site.log());
    let records = copy.records(0);
    let whole = fs::read(copy.segment(0)).unwrap();
    let last = records.last().unwrap();
    let torn = [&whole[..last.to], &whole[last.from..last.to - 7]].concat();
    let path = site.log().join("segments").join(copy.segment(0).file_name().unwrap());
    fs::write(&path, torn).unwrap();
    let report = verified(&site.log(), &files(&site.witness()), &key);
    assert_eq!(faults(&report), []);
    assert!(report.remarks.iter().any(|remark| remark.to_string().contains("within a record")), "{report:?}");
    site.start().terminate().check_code(0);
    let report = verified(&site.log(), &files(&site.witness()), &key);
    assert_eq!(faults(&report), []);
    assert!(report.remarks.iter().any(|remark| remark.to_string().contains("ended without saying so")));
}
