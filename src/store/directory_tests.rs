//! Reading folders that somebody is changing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::directory::{Fingerprint, Reading, read};
use super::support_tests::{SCHEMA, Site, permit};
use crate::engine::compile::Sources;

#[test]
fn a_mount_that_is_swapped_is_read_as_one() {
    let site = Site::new();
    site.remove("policies");
    let (one, other) = ([permit("one-a"), permit("one-b")], [permit("other-a"), permit("other-b")]);
    let files = |texts: &[String; 2]| [("a.cedar", texts[0].clone()), ("b.cedar", texts[1].clone())];
    let swap = |version: &str, texts: &[String; 2]| {
        let files = files(texts);
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        site.mount("policies", version, &files);
    };
    swap("..v0", &one);
    let done = AtomicBool::new(false);
    let (mut seen, mut unread) = (BTreeSet::new(), BTreeSet::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=200 {
                swap(&format!("..v{round}"), if round % 2 == 0 { &one } else { &other });
                fs::remove_dir_all(site.path(&format!("policies/..v{}", round - 1))).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let Ok(sources) = read(&site.folders()) else { continue };
            seen.insert(sources.policies.iter().map(|file| file.bytes.to_vec()).collect::<Vec<_>>());
            unread.extend(sources.unread);
        }
    });
    let whole = |texts: &[String; 2]| texts.iter().map(|text| text.clone().into_bytes()).collect::<Vec<_>>();
    let allowed = BTreeSet::from([whole(&one), whole(&other)]);
    assert!(seen.is_subset(&allowed), "a mixture was read: {seen:?}");
    assert!(!seen.is_empty(), "nothing was read");
    assert_eq!(unread, BTreeSet::new());
}

#[test]
fn a_mount_is_reported_by_the_names_people_know() {
    let site = Site::new();
    site.remove("policies");
    site.mount("policies", "..v1", &[("a.cedar", &permit("a"))]);
    site.write("policies/stray.cedar", permit("stray"));
    let sources = read(&site.folders()).unwrap();
    let names: Vec<_> = sources.policies.iter().map(|file| file.name.clone()).collect();
    assert_eq!(names, [site.path("policies/a.cedar").display().to_string()]);
    assert_eq!(sources.unread, [site.path("policies/stray.cedar").display().to_string()]);
}

#[test]
fn files_that_change_in_place_all_the_time_are_never_read_torn() {
    let site = Site::new();
    let text = |id: &str| permit(id) + &"// filler\n".repeat(500);
    let (one, other) = (text("one-one"), text("two-two"));
    site.write("policies/base.cedar", &one);
    site.write("policies/later.cedar", &one);
    let done = AtomicBool::new(false);
    let mut torn = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                for text in [&one, &other] {
                    // Empty first, which changes the size: what a plain write does.
                    site.write("policies/base.cedar", "");
                    site.write("policies/base.cedar", text);
                    site.write("policies/later.cedar", text);
                }
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            torn += usize::from(Reading::take(&site.folders()).fingerprint.is_none());
        }
    });
    assert!(torn > 0, "files that change during every attempt are refused as still changing");
    let reading = Reading::take(&site.folders());
    assert!(reading.fingerprint.is_some() && !reading.report.rejects());
}

#[test]
fn a_change_that_keeps_size_and_time_of_modification_is_seen() {
    let site = Site::new();
    let path = site.path("policies/base.cedar");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let before = Fingerprint::of(&site.folders());
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&path, permit("besa")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
    assert_ne!(Fingerprint::of(&site.folders()), before);
}

#[test]
fn a_file_that_the_system_does_not_give_is_read_again() {
    let site = Site::new();
    // A regular file that can be opened, and gives an input/output error when it is read.
    symlink("/proc/self/mem", site.path("policies/mem.cedar")).unwrap();
    let reading = Reading::take(&site.folders());
    assert!(reading.report.to_string().contains("mem.cedar: cannot be read"), "{}", reading.report);
    assert!(reading.fingerprint.is_none() && !reading.is_set());
    let running = site.try_start(site.config()).map(|running| running.ids());
    assert!(running.is_err(), "{running:?}");
    site.remove("policies/mem.cedar");
    let running = site.start();
    symlink("/proc/self/mem", site.path("policies/mem.cedar")).unwrap();
    running.until_rejected("mem.cedar: cannot be read");
    running.stays("a file that is read again and again");
    assert_eq!(running.status().reloads.rejected, 1, "told of once");
    running.stop();
}

#[test]
fn ten_thousand_files_are_looked_at_quickly_and_no_more_are_read() {
    let site = Site::new();
    for number in 0..9_999 {
        fs::write(site.path(&format!("policies/p{number}.cedar")), "").unwrap();
    }
    let start = Instant::now();
    let seen = Fingerprint::of(&site.folders());
    println!("a look at 10,000 files takes {:?}", start.elapsed());
    assert_eq!(seen, Fingerprint::of(&site.folders()));
    site.write("policies/one-too-many.cedar", "");
    let report = read(&site.folders()).unwrap_err();
    assert!(report.to_string().contains("more than 10000 files"), "{report}");
}

#[test]
fn a_set_is_vouched_for_whole_or_not_at_all() {
    let look = |site: &Site| Fingerprint::of(&site.folders());
    let site = Site::new();
    let plain = look(&site);
    assert!(!plain.is_vouched(None));
    site.remove("policies");
    site.mount("policies", "..v1", &[("a.cedar", &permit("a"))]);
    let mounted = look(&site);
    assert!(mounted.is_vouched(Some(&plain)), "one folder changed, and is a mount");
    assert!(!mounted.is_vouched(None), "nobody knows what changed");
    site.write("schemas/mandate.sum", site.sums("schemas", ""));
    assert!(look(&site).is_vouched(Some(&mounted)), "one folder changed, and has a manifest");
    assert!(!look(&site).is_vouched(Some(&plain)), "two changed, each for itself");
    let before = look(&site);
    site.write("entities/base.json", "[]");
    assert!(!look(&site).is_vouched(Some(&before)), "one changed that nobody vouches for");
    let sealed = Site::new();
    sealed.seal();
    assert!(look(&sealed).is_vouched(None));
}

/// Makes the three folders one volume, as a projected one is mounted, and swaps it.
fn swap_all(site: &Site, version: &str, id: &str) {
    site.write(&format!("{version}/policies/base.cedar"), permit(id));
    site.write(&format!("{version}/schemas/small.cedarschema"), SCHEMA);
    site.write(&format!("{version}/entities/base.json"), "[]");
    symlink(version, site.path("..data_tmp")).unwrap();
    fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
}

#[test]
fn one_volume_vouches_for_all_folders_in_it() {
    let site = Site::new();
    for folder in ["policies", "schemas", "entities"] {
        site.remove(folder);
        symlink(Path::new("..data").join(folder), site.path(folder)).unwrap();
    }
    swap_all(&site, "..v1", "one");
    let look = || Fingerprint::of(&site.folders());
    assert!(look().is_vouched(None));
    site.remove("schemas");
    site.write("schemas/small.cedarschema", SCHEMA);
    assert!(!look().is_vouched(None), "a folder beside the volume is not in it");
    site.remove("schemas");
    symlink("..v1/schemas", site.path("schemas")).unwrap();
    swap_all(&site, "..v2", "two");
    assert!(!look().is_vouched(None), "a folder that stayed behind is not in it");
}

#[test]
fn a_folder_is_a_mount_only_by_a_link() {
    let site = Site::new();
    fs::create_dir(site.path("policies/..data")).unwrap();
    site.write("policies/..data/inner.cedar", permit("inner"));
    let names = |sources: Sources| sources.policies.into_iter().map(|file| file.name).collect::<Vec<_>>();
    let base = site.path("policies/base.cedar").display().to_string();
    assert_eq!(names(read(&site.folders()).unwrap()), [base]);
    site.remove("policies");
    site.mount("policies", "..v1", &[("a.cedar", &permit("a"))]);
    site.write("elsewhere.cedar", permit("elsewhere"));
    symlink("../elsewhere.cedar", site.path("policies/link.cedar")).unwrap();
    let sources = read(&site.folders()).unwrap();
    assert_eq!(sources.unread, [site.path("policies/link.cedar").display().to_string()]);
}

#[test]
fn files_that_look_as_they_did_are_not_read_again() {
    let site = Site::new();
    let old = |path: &str| {
        // Its last change is longer ago than the clock of the file system counts in.
        std::thread::sleep(super::folder::TICK * 2);
        fs::metadata(site.path(path)).unwrap().modified().unwrap()
    };
    let time = old("policies/base.cedar");
    let first = Reading::take(&site.folders());
    let second = Reading::after(&site.folders(), &first.remembered);
    let base = |reading: &Reading| reading.sources.policies[0].bytes.clone();
    assert_eq!(base(&first).as_ptr(), base(&second).as_ptr());
    assert_eq!((&first.sources, &first.digest), (&second.sources, &second.digest));
    // As long as before, and with the time that it had.
    site.write("policies/base.cedar", permit("bose"));
    fs::File::open(site.path("policies/base.cedar")).unwrap().set_modified(time).unwrap();
    let third = Reading::after(&site.folders(), &second.remembered);
    assert_eq!(*base(&third), *permit("bose").as_bytes());
    // What changed just now may change again and look the same.
    let fourth = Reading::after(&site.folders(), &third.remembered);
    assert_ne!(base(&third).as_ptr(), base(&fourth).as_ptr());
    assert_eq!(fourth.sources.schemas[0].bytes.as_ptr(), first.sources.schemas[0].bytes.as_ptr());
}
