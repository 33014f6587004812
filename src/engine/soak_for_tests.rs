//! How many cases a law is held to, and which: the same ones in every run, many others in a soak (`make soak`).
//!
//! What a law also asserts of its cases, such as how many are allowed, is then either always so or never. In a soak the cases are so
//! many that chance does not reach those bounds.

use std::sync::LazyLock;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// At least so many cases for each law, and fresh ones.
const SOAK: &str = "MANDATE_SOAK";
/// The number that the cases of a soak are made from, to have them again.
const SEED: &str = "MANDATE_SOAK_SEED";

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not `{text}`")))
}

/// How many cases: as many as usual, or as a soak asks for, if that is more.
pub fn cases(usual: u32) -> u32 {
    number(SOAK).map_or(usual, |soak| usual.max(u32::try_from(soak).unwrap()))
}

/// Generates so many cases as [`cases`] says. Wrong ones are told at once, and not kept in files.
pub fn runner(usual: u32) -> TestRunner {
    static OF_SOAK: LazyLock<u64> =
        LazyLock::new(|| number(SEED).unwrap_or_else(|| getrandom::u64().unwrap()));
    let config = Config { cases: cases(usual), failure_persistence: None, ..Config::default() };
    let rng = if number(SOAK).is_some() {
        println!("{SEED}={}", *OF_SOAK);
        TestRng::from_seed(RngAlgorithm::ChaCha, &OF_SOAK.to_le_bytes().repeat(4))
    } else {
        TestRng::deterministic_rng(config.rng_algorithm)
    };
    TestRunner::new_with_rng(config, rng)
}
