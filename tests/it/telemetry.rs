//! What the service tells OpenTelemetry collectors: spans and metrics, to one of the test's own and through a real one.

mod collector;
mod dashboards;
mod metrics;
mod real_collector;
mod traces;

use mandate::server::pb;

use crate::support::{Sources, TestServer, question};
use collector::Collector;

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// A server that exports to this collector.
fn serve(sources: &Sources, collector: &Collector, signal: &str, more: &str) -> TestServer {
    let url = format!("[telemetry.{signal}]\nurl = 'http://{}'\n", collector.address);
    TestServer::with_config(&sources.config_written(&format!("{url}{more}\n")).unwrap())
}
