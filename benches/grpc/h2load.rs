//! A second opinion: `h2load`, which is not ours. It counts answers and does not read them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Attempt;
use crate::client::METHOD;
use crate::round::{Bench, Subject};

/// What `h2load` found.
#[derive(Debug)]
pub(crate) struct CrossCheck {
    pub(crate) subject: Subject,
    /// Requests a second.
    pub(crate) throughput: f64,
    /// The server's CPU time for each request, from its threads' accounts.
    pub(crate) cpu: Duration,
}

/// Whether `h2load` is on the path.
pub(crate) fn is_installed() -> bool {
    let mut command = Command::new("h2load");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Puts one request, a typed call that is allowed, to a subject again and again.
///
/// # Errors
/// The subject does not start, or does not answer everything.
pub(crate) fn cross_check(bench: &Bench, subject: Subject) -> Attempt<CrossCheck> {
    let folder = tempfile::tempdir()?;
    let body = folder.path().join("body.bin");
    let asked = bench.workload.longest_allowed().ok_or("no request is allowed")?;
    fs::write(&body, framed(&asked.bytes)?)?;
    let server = bench.start(subject)?;
    let run = |requests: usize| -> Attempt<f64> {
        let shape = bench.options.shape();
        let output = Command::new("h2load")
            .args(["-n", &requests.to_string(), "-t", "1"])
            .args(["-c", &shape.connections.to_string(), "-m", &shape.streams.to_string()])
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers", "-d"])
            .arg(&body)
            .arg(format!("{}{METHOD}", server.url))
            .output()?;
        throughput(&String::from_utf8_lossy(&output.stdout), requests)
    };
    run(bench.options.warm_up)?;
    let before = server.cpu()?;
    let throughput = run(bench.options.requests)?;
    let cpu = server.cpu()?.saturating_sub(before) / u32::try_from(bench.options.requests)?;
    bench.runtime.block_on(server.stop())?;
    Ok(CrossCheck { subject, throughput, cpu })
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn framed(message: &[u8]) -> Attempt<Vec<u8>> {
    let length = u32::try_from(message.len())?;
    Ok([&[0], length.to_be_bytes().as_slice(), message].concat())
}

/// Reads `finished in 1.23s, 4567.89 req/s, …`, if all requests succeeded.
fn throughput(report: &str, requests: usize) -> Attempt<f64> {
    let complaint = || format!("`h2load` reports neither success nor a rate: {report}");
    if !report.contains(&format!(" {requests} succeeded, 0 failed")) {
        return Err(complaint().into());
    }
    let finished = report.lines().find(|line| line.starts_with("finished in")).ok_or_else(complaint)?;
    let rate = finished.split(", ").find_map(|part| part.strip_suffix(" req/s")).ok_or_else(complaint)?;
    Ok(rate.parse()?)
}
