//! What connections may hold, and whom they may not keep out.

pub(crate) mod cancelled;
mod limits;
mod unix;

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Process, Sources, get, is_allow, question};

/// How long a change may take to be in force.
const PATIENCE: Duration = Duration::from_secs(10);

fn idle(address: &str, count: usize) -> Vec<TcpStream> {
    let address = address.trim_start_matches("http://");
    (0..count).map(|_| TcpStream::connect(address).expect("the system's queue takes it")).collect()
}

fn view() -> mandate::server::pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

#[test]
fn idle_connections_keep_no_forbid_out_and_no_operator() {
    let sources = Sources::small();
    std::fs::create_dir(sources.path("emergency")).unwrap();
    let process = Process::start_with_files(&sources, 100);
    let client = process.client();
    assert!(is_allow(&client.authorize(view()).unwrap()));
    let held: Vec<_> = [&process.http, &process.data].iter().flat_map(|address| idle(address, 100)).collect();
    // What was connected before is answered, operators get in, and the loader has files to read with.
    assert!(is_allow(&client.authorize(view()).unwrap()));
    assert_eq!(get(&format!("{}/readyz", process.ops)).status, 200);
    sources.put("emergency/stop.cedar", "forbid (principal, action, resource);\n");
    let begun = Instant::now();
    while is_allow(&client.authorize(view()).unwrap()) {
        assert!(begun.elapsed() < PATIENCE, "idle connections keep the forbid out: {}", process.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(held);
    // Places are given back: others get in again.
    let begun = Instant::now();
    while get(&format!("{}/healthz", process.http)).status != 200 {
        assert!(begun.elapsed() < PATIENCE);
    }
    process.terminate().check_code(0);
}

#[test]
fn a_request_that_never_ends_its_headers_is_cut_off() {
    use std::io::Write as _;
    let process = Process::start(&Sources::small());
    let mut stream = idle(&process.http, 1).pop().unwrap();
    stream.write_all(b"POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let begun = Instant::now();
    let mut answer = Vec::new();
    // Closed, with or without a word.
    drop(stream.read_to_end(&mut answer));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    process.terminate().check_code(0);
}
