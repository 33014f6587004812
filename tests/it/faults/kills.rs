//! F16: `kill -9` at random moments, under load.

use super::Finding;
use crate::{entity_log, log_faults};

/// How often, unless `MANDATE_KILLS` says otherwise.
fn kills(usual: usize) -> usize {
    std::env::var("MANDATE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(usual)
}

#[test]
#[ignore = "make faults"]
fn every_account_of_the_decision_log_balances() {
    for (name, mode, durable) in
        [("F16 kill -9, async", "MODE=async", false), ("F16 kill -9, durable", "MODE=durable", true)]
    {
        let kills = kills(40);
        let killed = log_faults::kill(&[mode], kills);
        let asked = if durable { "no answer is missing" } else { "what is missing is counted" };
        Finding::of(name, format!("{asked}, exactly, after each of {kills} kills; the log verifies"))
            .figure("kills", kills)
            .figure("answers", killed.answers)
            .figure("missing", killed.missing)
            .seen(
                !durable || killed.missing == 0,
                format!("{} answers, {} missing, every account balances", killed.answers, killed.missing),
            );
    }
}

#[test]
#[ignore = "make faults"]
fn every_write_that_was_acknowledged_is_there() {
    let kills = kills(100);
    let written = entity_log::kill(kills);
    Finding::of(
        "F16 kill -9, entity log",
        format!("after each of {kills} kills every acknowledged write is there"),
    )
    .figure("kills", kills)
    .figure("written", written)
    .seen(written > 0, format!("{written} acknowledged writes, none missing"));
}
