//! A second opinion: `h2load`, which is not ours. It counts answers and does not read them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Attempt;
use crate::load::Shape;

/// What headers every gRPC call has.
pub(crate) const GRPC: &[&str] = &["-H", "content-type: application/grpc", "-H", "te: trailers"];

/// Whether `h2load` is on the path.
pub(crate) fn is_installed() -> bool {
    let mut command = Command::new("h2load");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The same, and says so where it is not.
pub(crate) fn is_installed_or_said() -> bool {
    let installed = is_installed();
    if !installed {
        anstream::eprintln!(
            "NO CROSS-CHECK: `h2load` is not installed; `apt-get install nghttp2-client` installs it"
        );
    }
    installed
}

/// Puts the request whose body is in a file to a URL so many times, and says how many were answered in a second.
///
/// # Errors
/// Not every one was answered with success.
pub(crate) fn run(url: &str, flags: &[&str], body: &Path, shape: Shape, requests: usize) -> Attempt<f64> {
    let output = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-t", "1"])
        .args(["-c", &shape.connections.to_string(), "-m", &shape.streams.to_string()])
        .args(flags)
        .arg("-d")
        .arg(body)
        .arg(url)
        .output()?;
    throughput(&String::from_utf8_lossy(&output.stdout), requests)
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
