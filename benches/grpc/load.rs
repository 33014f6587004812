//! Two kinds of load on a server whose every answer is checked: as much as it takes, and calls on a schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::{JoinSet, yield_now};

use crate::Attempt;

/// How a client spreads its calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Connections.
    pub(crate) connections: usize,
    /// Calls under way on each, when the load is a saturating one.
    pub(crate) streams: usize,
}

/// Least share of answers that a warm cache must give, where a server says which it gave.
pub(crate) const LEAST_HITS: f64 = 0.95;

/// Whether an answer, which was right, came from a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The server did not say.
    Untold,
    /// It was decided.
    Decided,
    /// It was remembered.
    Remembered,
}

/// A connection on which questions are asked.
pub(crate) trait Ask: Clone + Send + 'static {
    /// Asks the question whose turn it is, and holds the answer against what is expected; an error is what is wrong, in words.
    fn ask(&mut self, number: usize) -> impl Future<Output = Result<Source, String>> + Send;
}

/// What came of a number of calls.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Nanoseconds each call took.
    pub(crate) latencies: Histogram<u64>,
    /// First to last call.
    pub(crate) elapsed: Duration,
    /// Answers that said whether they came from the cache, and those that did.
    pub(crate) told: u64,
    pub(crate) hits: u64,
    /// Errors, and answers other than expected; one of them in words.
    pub(crate) failures: u64,
    pub(crate) example: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Attempt<Self> {
        let latencies = Histogram::new(3)?;
        Ok(Self { latencies, elapsed: Duration::ZERO, told: 0, hits: 0, failures: 0, example: None })
    }

    /// Takes another's calls in; the time they took is the longer of both.
    pub(crate) fn add(&mut self, other: Self) -> Attempt<()> {
        self.latencies.add(&other.latencies)?;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.told += other.told;
        self.hits += other.hits;
        self.failures += other.failures;
        self.example = self.example.take().or(other.example);
        Ok(())
    }

    fn record(&mut self, latency: Duration, outcome: Result<Source, String>) -> Attempt<()> {
        self.latencies.record(u64::try_from(latency.as_nanos())?)?;
        match outcome {
            Ok(Source::Untold) => {}
            Ok(source) => {
                self.told += 1;
                self.hits += u64::from(source == Source::Remembered);
            }
            Err(failure) => {
                self.failures += 1;
                self.example.get_or_insert(failure);
            }
        }
        Ok(())
    }
}

/// Keeps so many calls under way on every connection, until it is over for the number of the next.
///
/// # Errors
/// The client itself fails; what the server does wrong is in the tally.
pub(crate) async fn saturate<C: Ask>(
    connections: &[C],
    streams: usize,
    over: impl Fn(usize) -> bool + Copy + Send + 'static,
) -> Attempt<Tally> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for connection in connections {
        for _ in 0..streams {
            callers.spawn(call_until(connection.clone(), Arc::clone(&next), over));
        }
    }
    let mut total = Tally::new()?;
    while let Some(tally) = callers.join_next().await {
        total.add(tally??)?;
    }
    Ok(total)
}

async fn call_until<C: Ask>(
    mut connection: C,
    next: Arc<AtomicUsize>,
    over: impl Fn(usize) -> bool,
) -> Attempt<Tally> {
    let mut tally = Tally::new()?;
    let start = Instant::now();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if over(number) {
            break;
        }
        let asked = Instant::now();
        let outcome = connection.ask(number).await;
        tally.record(asked.elapsed(), outcome)?;
    }
    tally.elapsed = start.elapsed();
    Ok(tally)
}

/// Makes `rate` calls a second for a time, whether or not earlier ones were answered. A call's latency counts from
/// the instant it was due, so that a server that stalls cannot hide it by holding back what comes after.
///
/// # Errors
/// The client itself fails; what the server does wrong is in the tally.
pub(crate) async fn pace<C: Ask>(connections: &[C], rate: u32, time: Duration) -> Attempt<Tally> {
    let interval = Duration::from_secs(1) / rate;
    let start = Instant::now();
    let mut due = start;
    let mut calls = JoinSet::new();
    for (connection, number) in connections.iter().cycle().zip(0..) {
        if due > start + time {
            break;
        }
        // A timer would be late by up to a millisecond. Yielding looks for answers meanwhile.
        while Instant::now() < due {
            yield_now().await;
        }
        let mut connection = connection.clone();
        calls.spawn(async move {
            let outcome = connection.ask(number).await;
            (due.elapsed(), outcome)
        });
        due += interval;
    }
    let mut total = Tally::new()?;
    for (latency, outcome) in calls.join_all().await {
        total.record(latency, outcome)?;
    }
    total.elapsed = start.elapsed();
    Ok(total)
}
