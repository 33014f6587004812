//! The account, the two overflows, and every way a writer ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use tempfile::TempDir;

use super::examples_for_tests::{asked, config, decision, lines, refusal};
use super::faults_for_tests::{Faults, POISON};
use super::queue::RECORD_BYTES;
use super::{
    AuditConfig, AuditLog, Counts, Mode, NotRecorded, OpenLog, Overflow, Record, Writer, WriterGone,
};
use crate::engine::datum::Datum;

const SOON: Duration = Duration::from_secs(10);
const NOT_YET: Duration = Duration::from_millis(100);

/// The disk under a log, and what is on it.
struct Disk {
    faults: Faults,
    folder: TempDir,
}

impl Disk {
    fn lines(&self) -> Vec<String> {
        lines(&self.folder.path().join("log"))
    }
}

impl std::ops::Deref for Disk {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        &self.faults
    }
}

fn open(queue: u32, overflow: Overflow) -> (AuditLog, Writer, Disk) {
    open_with(queue, overflow, |_config| {})
}

fn open_with(
    queue: u32,
    overflow: Overflow,
    change: impl FnOnce(&mut AuditConfig),
) -> (AuditLog, Writer, Disk) {
    let (faults, folder) = (Faults::default(), tempfile::tempdir().unwrap());
    let mut config = config(folder.path(), queue, overflow);
    change(&mut config);
    let OpenLog { log, writer, .. } = AuditLog::open_with(&config, faults.clone()).unwrap();
    (log, writer, Disk { faults, folder })
}

async fn record(log: &AuditLog, record: Record) -> Result<(), WriterGone> {
    let recording = log.reserve(1).await?.record(false, || record);
    recording.map(drop).map_err(|_lost| WriterGone)
}

fn balances(counts: Counts) {
    assert_eq!(counts.issued, counts.written + counts.queued + counts.dropped(), "{counts:?}");
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < SOON, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A future that must not wait, run where there is no runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn the_account_balances_under_eight_threads_and_a_tiny_queue() {
    const EACH: u64 = 20_000;
    let (log, writer, sink) = open(16, Overflow::Drop);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut before = Counts::default();
            while !done.load(Ordering::SeqCst) {
                let counts = log.counts();
                balances(counts);
                assert!(counts.issued >= before.issued && counts.written >= before.written);
                // Eight threads may be between issuing and queueing, or between dropping and counting it.
                assert!(counts.queued <= 16 + 8, "{counts:?}");
                before = counts;
            }
        });
        let senders: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    for number in 0..EACH {
                        at_once(record(&log, refusal(&number.to_string()))).unwrap();
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
    let counts = writer.shutdown(SOON);
    balances(counts);
    assert_eq!((counts.issued, counts.queued), (8 * EACH, 0));
    assert_eq!(counts.written, sink.lines().len() as u64);
    assert!(counts.queue_full > 0 && counts.written > 0, "{counts:?}");
    assert_eq!(counts.dropped(), counts.queue_full);
}

#[test]
fn a_full_queue_drops_without_waiting_and_without_making_the_record() {
    let (log, writer, sink) = open(2, Overflow::Drop);
    let gate = sink.gate.lock().unwrap();
    for _ in 0..2 {
        at_once(record(&log, refusal("r"))).unwrap();
    }
    let mut room = at_once(log.reserve(1)).unwrap();
    let _done = room.record(false, || panic!("nobody would read it")).unwrap();
    assert_eq!((log.counts().queue_full, log.counts().queued), (1, 2));
    drop(gate);
    assert_eq!(writer.shutdown(SOON).written, 2);
}

#[test]
fn a_large_record_takes_the_room_of_many() {
    let large = || {
        let mut record = decision();
        asked(&mut record).arguments = Some(Datum::String("x".repeat(5 * RECORD_BYTES)));
        Record::Decision(Box::new(record))
    };
    let (log, writer, sink) = open(8, Overflow::Drop);
    let gate = sink.gate.lock().unwrap();
    at_once(record(&log, large())).unwrap();
    at_once(record(&log, large())).unwrap();
    assert_eq!((log.counts().queue_full, log.counts().queued), (1, 1));
    at_once(record(&log, refusal("small"))).unwrap();
    at_once(record(&log, refusal("small"))).unwrap();
    assert_eq!((log.counts().queue_full, log.counts().queued), (1, 3), "what did not fit left its room");
    drop(gate);
    wait_for(|| log.counts().queued == 0);
    // One that is larger than the whole queue has room in an empty one.
    let mut huge = decision();
    asked(&mut huge).arguments = Some(Datum::String("x".repeat(100 * RECORD_BYTES)));
    at_once(record(&log, Record::Decision(Box::new(huge)))).unwrap();
    assert_eq!(writer.shutdown(SOON).written, 4);
}

#[tokio::test]
async fn answers_wait_for_room_and_none_is_lost() {
    const TASKS: u64 = 200;
    let (log, writer, sink) = open(4, Overflow::Block);
    let gate = sink.gate.clone();
    let held = thread::spawn(move || {
        let _gate = gate.lock().unwrap();
        thread::sleep(NOT_YET * 3);
    });
    wait_for(|| sink.gate.try_lock().is_err());
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move { record(&log, refusal(&number.to_string())).await })
        })
        .collect();
    tokio::time::sleep(NOT_YET).await;
    assert_eq!(log.counts().issued, 4, "the others have not been let in");
    for task in tasks {
        timeout(SOON, task).await.unwrap().unwrap().unwrap();
    }
    held.join().unwrap();
    let counts = tokio::task::spawn_blocking(|| writer.shutdown(SOON)).await.unwrap();
    assert_eq!((counts.written, counts.dropped(), counts.queued), (TASKS, 0, 0));
    assert_eq!(sink.lines().len() as u64, TASKS);
}

#[tokio::test]
async fn whoever_gives_up_waiting_leaves_its_room() {
    let (log, writer, _sink) = open(2, Overflow::Block);
    let both = log.reserve(2).await.unwrap();
    timeout(NOT_YET, log.reserve(1)).await.expect_err("there is no room");
    timeout(NOT_YET, log.reserve(2)).await.expect_err("there is no room");
    drop(both);
    let unused = timeout(SOON, log.reserve(2)).await.unwrap().unwrap();
    drop(unused);
    let mut part = timeout(SOON, log.reserve(2)).await.unwrap().unwrap();
    let _queued = part.record(false, || refusal("one of two")).unwrap();
    drop(part);
    let mut more_than_ever =
        timeout(SOON, log.reserve(100)).await.expect("it must not wait for ever").unwrap();
    for _ in 0..100 {
        let _queued = more_than_ever.record(false, || refusal("a batch")).unwrap();
    }
    drop(more_than_ever);
    wait_for(|| log.counts().queued == 0);
    drop(timeout(SOON, log.reserve(2)).await.unwrap().unwrap());
    timeout(NOT_YET, async { (log.reserve(2).await.unwrap(), log.reserve(1).await) })
        .await
        .expect_err("two places are two places after all of this");
    drop(writer);
}

#[tokio::test]
async fn where_answers_wait_a_full_disk_is_tried_again_until_it_is_not() {
    let (log, writer, sink) = open(1, Overflow::Block);
    sink.is_full(true);
    record(&log, refusal("first")).await.unwrap();
    timeout(NOT_YET * 3, log.reserve(1)).await.expect_err("there is no room");
    sink.is_full(false);
    timeout(SOON, record(&log, refusal("second"))).await.unwrap().unwrap();
    let counts = tokio::task::spawn_blocking(|| writer.shutdown(SOON)).await.unwrap();
    assert_eq!((counts.written, counts.dropped()), (2, 0));
}

#[test]
fn where_answers_do_not_wait_a_full_disk_costs_counted_records() {
    let (log, writer, sink) = open(100, Overflow::Drop);
    sink.is_full(true);
    at_once(record(&log, refusal("lost"))).unwrap();
    wait_for(|| log.counts().io_error == 1);
    sink.is_full(false);
    at_once(record(&log, refusal("kept"))).unwrap();
    let counts = writer.shutdown(SOON);
    assert_eq!((counts.written, counts.io_error, counts.queued), (1, 1, 0));
    assert!(sink.lines()[0].contains("kept"));
}

#[test]
fn an_end_with_a_full_disk_comes_in_time_and_is_counted() {
    let (log, writer, sink) = open(10, Overflow::Block);
    sink.is_full(true);
    at_once(record(&log, refusal("lost"))).unwrap();
    let start = Instant::now();
    let counts = writer.shutdown(Duration::from_millis(500));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((counts.io_error, counts.queued), (1, 0));
}

#[test]
fn an_end_does_not_wait_for_a_sink_that_hangs() {
    let (log, writer, sink) = open(10, Overflow::Drop);
    let gate = sink.gate.lock().unwrap();
    at_once(record(&log, refusal("stuck"))).unwrap();
    let counts = writer.shutdown(NOT_YET);
    assert_eq!((counts.queued, counts.dropped()), (1, 0));
    drop(gate);
}

#[test]
fn an_end_writes_what_is_queued_and_refuses_what_comes_after() {
    let (log, writer, sink) = open(10_000, Overflow::Drop);
    for number in 0..5_000 {
        at_once(record(&log, refusal(&number.to_string()))).unwrap();
    }
    let counts = writer.shutdown(SOON);
    assert_eq!((counts.written, counts.queued, counts.dropped()), (5_000, 0, 0));
    assert_eq!(sink.lines().len(), 5_000);
    at_once(record(&log, refusal("late"))).unwrap();
    assert_eq!((log.counts().writer_gone, log.counts().queued), (1, 0));
}

/// Kills the writer with `kill`, and looks at what everybody hears of it.
async fn ends_loudly(overflow: Overflow, kill: impl FnOnce(&Disk) -> Record) {
    let (log, writer, sink) = open(1_000, overflow);
    let gate = sink.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let deadly = kill(&sink);
    for _ in 0..10 {
        at_once(record(&log, refusal("before"))).unwrap();
    }
    at_once(record(&log, deadly)).unwrap();
    drop(gate);
    timeout(SOON, writer.ended()).await.expect("whoever watches hears of it");
    timeout(SOON, writer.ended()).await.expect("and may ask again");
    let counts = log.counts();
    balances(counts);
    assert_eq!((counts.issued, counts.queued), (11, 0), "{counts:?}");
    assert!(counts.writer_gone > 0, "{counts:?}");
    let after = record(&log, refusal("after")).await;
    match overflow {
        Overflow::Drop => assert_eq!(after, Ok(())),
        Overflow::Block | Overflow::Deny => assert_eq!(after, Err(WriterGone)),
    }
    assert_eq!(log.counts().queued, 0);
}

#[tokio::test]
async fn a_writer_that_panics_is_seen_and_what_it_leaves_is_counted() {
    for overflow in [Overflow::Drop, Overflow::Block, Overflow::Deny] {
        ends_loudly(overflow, |sink| {
            sink.panics();
            refusal("any")
        })
        .await;
    }
}

#[test]
fn an_encoder_that_panics_costs_its_own_record_and_is_counted() {
    for overflow in [Overflow::Drop, Overflow::Block, Overflow::Deny] {
        // Whatever room the first of them took, the last would not find.
        let (log, writer, disk) = open(2, overflow);
        for _ in 0..5 {
            let mut room = at_once(log.reserve(1)).unwrap();
            let recorded = room.record(false, || refusal(POISON)).map(drop);
            let answered = match overflow {
                Overflow::Drop => Ok(()),
                Overflow::Block => Err(NotRecorded::Refuse),
                Overflow::Deny => Err(NotRecorded::Deny),
            };
            assert_eq!(recorded, answered);
            let required = room.record(true, || refusal(POISON)).map(drop);
            assert_eq!(required, Err(NotRecorded::Refuse));
        }
        at_once(record(&log, refusal("after"))).unwrap();
        let counts = writer.shutdown(SOON);
        balances(counts);
        assert_eq!((counts.unwritable, counts.written, counts.queued), (10, 1, 0), "{overflow:?}");
        assert_eq!(disk.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_log_that_is_off_costs_and_counts_nothing() {
    let OpenLog { log, writer, .. } = AuditLog::off();
    for _ in 0..10 {
        let mut room = log.reserve(5).await.unwrap();
        let _done = room.record(false, || panic!("nobody would read it")).unwrap();
    }
    timeout(NOT_YET, writer.ended()).await.expect_err("nothing ends");
    assert_eq!(writer.shutdown(SOON), Counts::default());
    assert_eq!(log.counts(), Counts::default());
}

#[tokio::test]
async fn a_durable_answer_waits_until_its_record_is_on_disk() {
    let (log, writer, disk) = open_with(100, Overflow::Block, |config| config.mode = Mode::Durable);
    let gate = disk.gate.clone();
    let held = thread::spawn(move || {
        let _gate = gate.lock().unwrap();
        thread::sleep(NOT_YET * 3);
    });
    wait_for(|| disk.gate.try_lock().is_err());
    let mut room = log.reserve(1).await.unwrap();
    let recording = room.record(false, || refusal("durable")).unwrap();
    let mut settled = std::pin::pin!(recording.settled());
    timeout(NOT_YET, settled.as_mut()).await.expect_err("it is not written yet");
    timeout(SOON, settled).await.unwrap().unwrap();
    held.join().unwrap();
    assert_eq!(disk.lines().len(), 1);
    drop(writer);
}

#[tokio::test]
async fn what_must_be_recorded_is_not_answered_unless_it_is() {
    for (mode, overflow) in [(Mode::Async, Overflow::Drop), (Mode::Durable, Overflow::Drop)] {
        let (log, writer, disk) = open_with(100, overflow, |config| config.mode = mode);
        disk.is_full(true);
        let mut room = log.reserve(2).await.unwrap();
        let required = room.record(true, || refusal("required")).unwrap();
        let other = room.record(false, || refusal("other")).unwrap();
        assert_eq!(timeout(SOON, required.settled()).await.unwrap(), Err(WriterGone));
        assert_eq!(timeout(SOON, other.settled()).await.unwrap(), Ok(()), "drop means that it may be lost");
        disk.is_full(false);
        let again = room.record(true, || refusal("required")).unwrap();
        assert_eq!(timeout(SOON, again.settled()).await.unwrap(), Ok(()));
        drop(writer);
    }
    assert_eq!(
        AuditLog::off().log.room_at_once().record(true, || refusal("r")).unwrap_err(),
        NotRecorded::Refuse
    );
}

#[tokio::test]
async fn where_a_failing_disk_denies_it_denies_until_it_takes_records_again() {
    let (log, writer, disk) = open(100, Overflow::Deny);
    disk.is_full(true);
    record(&log, refusal("first")).await.unwrap();
    wait_for(|| log.is_stalled());
    let mut room = log.reserve(1).await.unwrap();
    let denied = room.record(false, || panic!("nobody would read it"));
    assert_eq!(denied.unwrap_err(), NotRecorded::Deny);
    disk.is_full(false);
    wait_for(|| !log.is_stalled());
    record(&log, refusal("again")).await.unwrap();
    let counts = tokio::task::spawn_blocking(|| writer.shutdown(SOON)).await.unwrap();
    assert_eq!((counts.written, counts.io_error), (2, 1));
    assert_eq!(disk.lines().len(), 2);
}

#[tokio::test]
async fn where_a_failing_disk_denies_it_is_tried_again_though_nobody_records() {
    // Every batch would begin another segment.
    let (log, writer, disk) = open_with(100, Overflow::Deny, |config| config.limits.segment_bytes = 1);
    let [segments, aside] = ["segments", "aside"].map(|name| disk.folder.path().join("log").join(name));
    std::fs::rename(&segments, &aside).unwrap();
    std::fs::write(&segments, "no folder").unwrap();
    // On a slow machine the writer may have noticed already.
    let _either = record(&log, refusal("first")).await;
    wait_for(|| log.is_stalled());
    std::fs::remove_file(&segments).unwrap();
    std::fs::rename(&aside, &segments).unwrap();
    wait_for(|| !log.is_stalled());
    record(&log, refusal("again")).await.unwrap();
    tokio::task::spawn_blocking(|| writer.shutdown(SOON)).await.unwrap();
    assert!(disk.lines().last().unwrap().contains("again"));
}
