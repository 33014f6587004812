//! F25: no file descriptors are left. The server goes on, those who are connected are served, and others get in as soon as
//! there are some again.

use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connections, Finding, Traffic, mixed_sources};
use crate::support::{Client, Process, get, is_allow, question};

/// How soon others must get in again.
const RECOVERY: Duration = Duration::from_secs(1);

/// Lets a running process have so many files, and no more.
fn limit(process: &Process, files: u32) {
    let pid = process.pid().to_string();
    let status = Command::new("prlimit").arg(format!("--nofile={files}")).args(["--pid", &pid]).status();
    assert!(status.expect("prlimit").success());
}

fn is_answered(process: &Process) -> bool {
    // A connection that waits with the system is no error: it is one that is not answered.
    let answered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let request = question(("User", "ana"), "view", ("Doc", "notes"));
            let mut request = tonic::Request::new(request);
            request.set_timeout(Duration::from_secs(5));
            Client::connect(&process.data).authorize(request)
        });
        asking.join()
    });
    matches!(answered, Ok(Ok(answer)) if is_allow(&answer))
}

#[test]
#[ignore = "make faults"]
fn without_descriptors_those_who_are_connected_are_served() {
    let sources = mixed_sources();
    let mut process = Process::start(&sources);
    let connections = Arc::new(Connections::to(&process.data));
    Traffic::run(&connections, 100, Duration::from_secs(1)).check_all_answered();
    limit(&process, 64);
    let address = process.data.trim_start_matches("http://").to_owned();
    let traffic = Traffic::start(&connections, 100);
    let held: Vec<_> =
        (0..200).map(|_| TcpStream::connect(&address).expect("the system's queue takes it")).collect();
    let begun = Instant::now();
    while !process.said().contains("a connection could not be accepted") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", process.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(3));
    let open = process.open_files();
    drop(held);
    let released = Instant::now();
    while !is_answered(&process) {
        assert!(released.elapsed() < Duration::from_secs(30), "nobody gets in again: {}", process.said());
    }
    let recovered = released.elapsed();
    let tally = traffic.stop();
    tally.check_all_answered();
    assert_eq!(get(&format!("{}/readyz", process.ops)).status, 200);
    assert!(process.is_alive());
    let complaints = process.said().matches("a connection could not be accepted").count();
    Finding::of(
        "F25 no file descriptors",
        "those connected are served, others get in within 1 s after release",
    )
    .figure("open_files", open)
    .figure("recovery_ms", u64::try_from(recovered.as_millis()).expect("soon"))
    .seen(
        recovered <= RECOVERY && tally.refusals() == 0 && complaints < 20,
        format!(
            "{} calls answered with {open} of 64 files open, others after {recovered:?}",
            tally.answered()
        ),
    );
    process.terminate().check_code(0);
}
