//! Where the decision log is delivered to: real servers that are down, hang, refuse, lie and come back empty; and what a
//! sink has after all that.

// An OpenTelemetry collector of the test's.
mod collector;
// A log that the test writes, and a sink that is fed from it.
mod fed;
// An HTTP server of the test's.
mod receiver;

mod http;
mod nats;
mod otlp;
// The whole service.
mod service;

pub(crate) use nats::Broker;
