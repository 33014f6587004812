//! Witnesses that take notes, refuse them, are gone for a while.

use std::fs;

use super::*;
use crate::audit::tree::checkpoint::notes;

const LOG: Uuid = Uuid::from_u128(7);

fn note(number: u64) -> String {
    format!("mandate/{LOG}\n{number}\nroot\n\n\u{2014} name c2ln\n")
}

/// Answers every request with this status, and tells what was posted.
fn server(status: &'static str) -> (WitnessConfig, std::sync::mpsc::Receiver<String>) {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/checkpoints?token=secret", listener.local_addr().unwrap());
    let (sender, posted) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"c2ln\n") {
                let mut some = [0; 1024];
                let read = connection.read(&mut some).unwrap();
                request.extend_from_slice(&some[..read]);
            }
            write!(connection, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            if sender.send(String::from_utf8(request).unwrap()).is_err() {
                return;
            }
        }
    });
    (WitnessConfig::Url { url: url.parse().unwrap(), ca_file: None }, posted)
}

#[test]
fn notes_are_posted_to_a_server_as_they_are() {
    let (config, posted) = server("204 No Content");
    let witnesses = Witnesses::start(&[config], LOG).unwrap();
    witnesses.show(&note(1));
    let request = posted.recv_timeout(Duration::from_secs(120)).unwrap();
    assert!(request.starts_with("POST /checkpoints?token=secret HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with(&format!("\r\n\r\n{}", note(1))), "{request}");
    let state = witnesses.states().remove(0);
    assert_eq!(state.name(), "0-url");
    witnesses.finish(Instant::now() + Duration::from_secs(120));
    assert_eq!(state.failures(), 0);
}

#[test]
fn only_success_counts_as_seen() {
    for status in ["302 Found", "403 Forbidden", "500 Internal Server Error"] {
        let (config, posted) = server(status);
        assert!(!config.place().contains("secret"));
        let witnesses = Witnesses::start(&[config], LOG).unwrap();
        witnesses.show(&note(1));
        posted.recv_timeout(Duration::from_secs(120)).unwrap();
        let state = witnesses.states().remove(0);
        until("the failure is counted", || state.failures() > 0);
    }
}

fn start(directory: &Path) -> Witnesses {
    Witnesses::start(&[WitnessConfig::Directory(directory.to_owned())], LOG).unwrap()
}

fn kept(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string(directory.join(format!("{LOG}.checkpoints"))).unwrap_or_default();
    notes(&text).into_iter().map(str::to_owned).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn notes_are_appended_one_after_the_other_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("witness");
    for number in 0..3 {
        let witnesses = start(&directory);
        witnesses.show(&note(number));
        witnesses.finish(Instant::now() + Duration::from_secs(120));
    }
    assert_eq!(kept(&directory), [note(0), note(1), note(2)]);
}

#[test]
fn a_witness_that_fails_is_counted_delays_nobody_and_is_shown_the_latest_later() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("witness");
    let witnesses = start(&directory);
    fs::remove_dir(&directory).unwrap();
    let state = witnesses.states().remove(0);
    witnesses.show(&note(0));
    until("the failure is counted", || state.failures() > 0);
    let begun = Instant::now();
    for number in 1..100 {
        witnesses.show(&note(number));
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    fs::create_dir(&directory).unwrap();
    until("the latest is there", || kept(&directory).last() == Some(&note(99)));
    assert_eq!(state.name(), "0-directory");
    until("that is known", || state.seen() > 0);
}

#[test]
fn a_witness_that_never_answers_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("witness");
    let witnesses = start(&directory);
    fs::remove_dir(&directory).unwrap();
    witnesses.show(&note(0));
    let state = witnesses.states().remove(0);
    until("the failure is counted", || state.failures() > 0);
    witnesses.finish(Instant::now() + Duration::from_secs(120));
    assert!(state.failures() >= 2, "one more attempt after the end");
}

#[test]
fn a_place_that_cannot_be_a_folder_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Witnesses::start(&[WitnessConfig::Directory(file.clone())], LOG).unwrap_err();
    assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
}
