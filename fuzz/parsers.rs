//! Gives one of the targets to libFuzzer: the one that `MANDATE_FUZZ` names. `make fuzz` runs each in turn.
#![no_main]

#[path = "targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("MANDATE_FUZZ").unwrap_or_default();
    let named = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = named else {
        let known: Vec<_> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("MANDATE_FUZZ must name one of {}", known.join(" "));
    };
    *target
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
