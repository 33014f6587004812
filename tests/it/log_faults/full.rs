//! A disk that is full: records are dropped, answers wait or are denials, as configured, and all of it is counted.

use std::time::Duration;

use mandate::server::pb;
use tonic::{Code, Request};

use super::{Site, account, check_orderly_end, dropped, until, view};
use crate::support::{Client, Disk, Process, get, is_allow};

const SIZE: u32 = 512;

fn is_ready(process: &Process) -> bool {
    get(&format!("{}/readyz", process.ops)).status == 200
}

/// An answer that does not take long.
fn promptly(client: &Client) -> Result<pb::AuthorizeResponse, tonic::Status> {
    let mut request = Request::new(view());
    request.set_timeout(Duration::from_millis(500));
    let mut service = client.service();
    client.wait(service.authorize(request)).map(tonic::Response::into_inner)
}

#[test]
fn records_are_dropped_and_counted_and_every_answer_is_given() {
    let Some(disk) = Disk::small(SIZE) else { return };
    let site = Site::at(&disk.path().join("log"), &["OVERFLOW=drop"]);
    let process = site.start();
    let client = process.client();
    let allowed = || assert!(is_allow(&client.authorize(view()).unwrap()));
    allowed();
    let ballast = disk.fill();
    until("records are dropped", || {
        allowed();
        account(&process)[3] > 0
    });
    for _ in 0..100 {
        allowed();
    }
    assert!(is_ready(&process));
    drop(ballast);
    let [_, before, _, _] = account(&process);
    until("records are written again", || {
        allowed();
        account(&process)[1] > before + 10
    });
    process.terminate().check_code(0);
    let stop = check_orderly_end(&site);
    assert_eq!(stop["dropped"]["io_error"], dropped(&stop), "{stop}");
    assert!(dropped(&stop) > 0, "{stop}");
}

#[test]
fn no_allow_is_given_without_a_record_where_the_answer_is_a_denial() {
    let Some(disk) = Disk::small(SIZE) else { return };
    let site = Site::at(&disk.path().join("log"), &["OVERFLOW=deny"]);
    let process = site.start();
    let client = process.client();
    assert!(is_allow(&promptly(&client).unwrap()));
    let ballast = disk.fill();
    until("it denies", || promptly(&client).is_ok_and(|answer| !is_allow(&answer)));
    assert!(!is_ready(&process));
    for _ in 0..20 {
        assert!(!is_allow(&promptly(&client).unwrap()));
    }
    drop(ballast);
    until("it allows again", || promptly(&client).is_ok_and(|answer| is_allow(&answer)));
    assert!(is_ready(&process));
    process.terminate().check_code(0);
    assert!(dropped(&check_orderly_end(&site)) > 0);
}

#[test]
fn nothing_is_lost_where_answers_wait() {
    let Some(disk) = Disk::small(SIZE) else { return };
    let site = Site::at(&disk.path().join("log"), &["OVERFLOW=block", "QUEUE=16"]);
    let process = site.start();
    let client = process.client();
    let mut allowed = 0;
    allowed += u64::from(is_allow(&promptly(&client).unwrap()));
    let ballast = disk.fill();
    let mut late = 0;
    while late < 3 {
        match promptly(&client) {
            Ok(answer) => allowed += u64::from(is_allow(&answer)),
            Err(status) => {
                assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
                late += 1;
            }
        }
    }
    until("it says so", || !is_ready(&process));
    drop(ballast);
    until("it answers again", || promptly(&client).is_ok_and(|answer| is_allow(&answer)));
    process.terminate().check_code(0);
    let stop = check_orderly_end(&site);
    // Only refusals, for which nobody waits, found no room.
    assert!(stop["dropped"]["io_error"].is_null(), "{stop}");
    let records = site.records();
    let allows =
        records.iter().filter(|record| record["kind"] == "decision" && record["decision"] == "allow");
    assert!(allows.count() as u64 > allowed, "{allowed} and one");
}
