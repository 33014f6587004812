//! What is fuzzed (`make fuzz`), on the seeds that are kept: an input that once was a defect stays found without a fuzzer.

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use std::fs;

use crate::support::repository;

#[test]
fn every_target_takes_its_seeds() {
    for (name, target) in targets::TARGETS {
        let folder = repository().join("fuzz/corpus").join(name);
        let seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{} is empty", folder.display());
        for seed in seeds {
            let bytes = fs::read(&seed).unwrap();
            // Which one it was, a panic does not say.
            eprintln!("{name}: {}", seed.display());
            target(&bytes);
            target(&bytes[..bytes.len() / 2]);
            target(&[bytes.as_slice(), &bytes].concat());
        }
    }
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    for entry in fs::read_dir(repository().join("fuzz/corpus")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        assert!(targets::TARGETS.iter().any(|(name, _)| *name == folder), "nothing takes {folder}");
    }
}
