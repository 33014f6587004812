//! How much load a server takes on this machine.

use std::sync::Arc;
use std::time::Duration;

use super::traffic::{Ask, closed_loop};

/// Callers that wait for an answer each: enough to keep two cores busy.
const CALLERS: u64 = 64;
/// How long the figure is taken over.
const TIME: Duration = Duration::from_secs(2);

/// Right answers a second when callers ask again as soon as they are answered. All of them are answered rightly.
#[track_caller]
pub(crate) fn saturation<A: Ask>(ask: &Arc<A>) -> u32 {
    // Connections, caches and the queue of the log come to what they are under load.
    closed_loop(ask, CALLERS, TIME / 2);
    let tally = closed_loop(ask, CALLERS, TIME);
    tally.check_all_answered();
    // A number of answers a second fits by far.
    format!("{:.0}", tally.goodput()).parse().expect("a number")
}

/// Half of that: what most targets are about.
#[track_caller]
pub(crate) fn half_load<A: Ask>(ask: &Arc<A>) -> u32 {
    saturation(ask) / 2
}
