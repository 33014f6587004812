//! What the process says of itself: numbers for Prometheus and for OpenTelemetry collectors, spans, lines for its own log.

pub mod callers;
pub mod connections;
pub mod exporter;
pub mod exports;
mod following;
pub mod lines;
pub mod memory;
pub mod metrics;
pub mod push;
pub mod records;
#[cfg(test)]
mod reference_tests;
mod registered;
mod sinks;
pub mod traces;
mod witnesses;
