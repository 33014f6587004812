//! What the process says of itself: numbers for Prometheus, lines for its own log.

pub mod callers;
pub mod connections;
mod following;
pub mod lines;
pub mod metrics;
#[cfg(test)]
mod reference_tests;
mod registered;
mod sinks;
mod witnesses;
