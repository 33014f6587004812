//! What is fuzzed (`make fuzz`), on the seeds that are kept and on what becomes of them when they are damaged a little: an input that
//! once was a defect stays found without a fuzzer. `MANDATE_FUZZ_SECONDS=20` does so for as long with each target.

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::repository;

/// What parsers pay attention to.
const WORDS: [&[u8]; 14] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\u0000",
    b"\xff",
    b"null",
    b"-1",
    b"9223372036854775808",
    b"1e999",
    b"::",
    b"\n",
];

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = repository().join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One more damage: bytes changed, taken out, repeated, put in, or the end of another seed in place of this one's.
fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    let place = |rng: &mut StdRng, length: usize| rng.random_range(0..=length);
    let (one, two) = (place(rng, bytes.len()), place(rng, bytes.len()));
    let range = one.min(two)..one.max(two).min(one.min(two) + 64);
    match rng.random_range(0..5) {
        0 => bytes[range].iter_mut().take(3).for_each(|byte| *byte = byte.wrapping_add(1 << (one % 8))),
        1 => drop(bytes.drain(range)),
        2 => bytes.extend_from_within(range),
        3 => drop(bytes.splice(one..one, WORDS[rng.random_range(0..WORDS.len())].iter().copied())),
        _ => {
            bytes.truncate(one);
            bytes.extend(&other[place(rng, other.len())..]);
        }
    }
}

/// How often each seed is damaged in every run of the tests.
const TRIES: usize = 6;

#[test]
fn every_target_takes_its_seeds_whole_and_damaged() {
    let seconds = std::env::var("MANDATE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let least = seconds.map_or(Duration::ZERO, Duration::from_secs);
    for (name, target) in targets::TARGETS {
        // What is tried is kept until it has passed; which one it was, a panic does not say.
        let tried = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-{name}"));
        let seeds = seeds(name);
        for (path, seed) in &seeds {
            eprintln!("{name}: {}", path.display());
            target(seed);
        }
        let mut rng = StdRng::seed_from_u64(7);
        let (begun, mut count) = (Instant::now(), 0);
        while count < TRIES * seeds.len() || begun.elapsed() < least {
            let (_, seed) = &seeds[count % seeds.len()];
            let (_, other) = &seeds[rng.random_range(0..seeds.len())];
            let mut bytes = seed.clone();
            (0..=count % 4).for_each(|_| damage(&mut bytes, other, &mut rng));
            fs::write(&tried, &bytes).unwrap();
            target(&bytes);
            count += 1;
        }
        fs::remove_file(&tried).unwrap();
        eprintln!("{name}: {count} damaged inputs in {:?}", begun.elapsed());
    }
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    for entry in fs::read_dir(repository().join("fuzz/corpus")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        assert!(targets::TARGETS.iter().any(|(name, _)| *name == folder), "nothing takes {folder}");
    }
}
