//! Open-loop load: calls begin when they are due, whether or not earlier ones were answered, and every answer is checked. A call's latency
//! counts from the instant it was due, so that a server that stalls cannot hide it by holding back what comes after.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// Where every client of the tests runs: one thread, so that a core is left for servers.
pub(crate) static CLIENTS: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("clients")
        .enable_all()
        .build()
        .expect("a thread")
});

/// Longest time for the calls that are under way at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes calls, each of which has one outcome.
pub(crate) trait Ask: Send + Sync + 'static {
    /// Makes the call of this number. Nothing is tried again.
    fn ask(&self, number: u64) -> impl Future<Output = Outcome> + Send;
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The effect that was expected, under this decision id.
    Right(Uuid),
    /// Another effect, or no decision where one was given: in words.
    Wrong(String),
    /// No answer to the question, by its code, and in words.
    Refused(String, String),
}

/// Calls that were refused with one code.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Microseconds until the refusal.
    pub(crate) latencies: Histogram<u64>,
    /// One of them in words.
    pub(crate) example: String,
}

/// What came of a number of calls.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Calls that were begun.
    pub(crate) offered: u64,
    /// Microseconds until each right answer.
    pub(crate) right: Histogram<u64>,
    /// Wrong answers, in words.
    pub(crate) wrong: Vec<String>,
    /// Refusals, by code.
    pub(crate) refused: BTreeMap<String, Refused>,
    /// The decisions that answers named.
    pub(crate) decisions: Vec<Uuid>,
    /// How long calls were begun.
    pub(crate) elapsed: Duration,
}

/// Microseconds, to three digits.
fn latencies() -> Histogram<u64> {
    Histogram::new(3).expect("three digits")
}

impl Tally {
    fn new() -> Self {
        Self {
            offered: 0,
            right: latencies(),
            wrong: Vec::new(),
            refused: BTreeMap::new(),
            decisions: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    fn record(&mut self, latency: Duration, outcome: Outcome) {
        let micros = u64::try_from(latency.as_micros()).expect("a short time");
        match outcome {
            Outcome::Right(decision) => {
                self.right.record(micros).expect("it grows");
                self.decisions.push(decision);
            }
            Outcome::Wrong(words) => self.wrong.push(words),
            Outcome::Refused(code, example) => {
                let refused =
                    self.refused.entry(code).or_insert_with(|| Refused { latencies: latencies(), example });
                refused.latencies.record(micros).expect("it grows");
            }
        }
    }

    fn ended(&self) -> u64 {
        self.answered() + self.wrong.len() as u64 + self.refusals()
    }

    /// Right answers.
    pub(crate) fn answered(&self) -> u64 {
        self.right.len()
    }

    /// Calls that were refused, whatever the code.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.values().map(|refused| refused.latencies.len()).sum()
    }

    /// Time within which this share of right answers came, in percent.
    pub(crate) fn within(&self, percent: f64) -> Duration {
        Duration::from_micros(self.right.value_at_percentile(percent))
    }

    /// Right answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64()
    }

    /// Takes another's calls in.
    pub(crate) fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.right.add(other.right).expect("it grows");
        self.wrong.extend(other.wrong);
        for (code, refused) in other.refused {
            match self.refused.get_mut(&code) {
                Some(mine) => mine.latencies.add(refused.latencies).expect("it grows"),
                None => drop(self.refused.insert(code, refused)),
            }
        }
        self.decisions.extend(other.decisions);
        self.elapsed += other.elapsed;
    }

    /// Fails unless every call had exactly one outcome, none of them was wrong, and no decision was given twice.
    #[track_caller]
    pub(crate) fn check(&self) -> &Self {
        assert!(self.wrong.is_empty(), "{} wrong, such as {}", self.wrong.len(), self.wrong[0]);
        assert_eq!(self.offered, self.ended(), "a call has no outcome, or two");
        let distinct: HashSet<_> = self.decisions.iter().collect();
        assert_eq!(distinct.len(), self.decisions.len(), "a decision was given twice");
        self
    }

    /// As [`check`](Self::check), and no call was refused.
    #[track_caller]
    pub(crate) fn check_all_answered(&self) -> &Self {
        self.check();
        let told: Vec<_> = self
            .refused
            .iter()
            .map(|(code, refused)| (code, refused.latencies.len(), &refused.example))
            .collect();
        assert!(told.is_empty(), "of {} calls were refused: {told:?}", self.offered);
        self
    }
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().expect("nobody panicked")
    }
}

/// Calls under way.
#[derive(Debug)]
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    begun: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Begins so many calls a second, from now until it is stopped.
    pub(crate) fn start<A: Ask>(ask: &Arc<A>, per_second: u32) -> Self {
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), tally: Mutex::new(Tally::new()) });
        let (ask, to) = (Arc::clone(ask), Arc::clone(&shared));
        let every = Duration::from_secs(1) / per_second.max(1);
        let thread = std::thread::spawn(move || pace(&ask, every, &to));
        Self { shared, begun: Instant::now(), thread: Some(thread) }
    }

    /// Begins so many calls a second for a time, and waits for all of them.
    pub(crate) fn run<A: Ask>(ask: &Arc<A>, per_second: u32, time: Duration) -> Tally {
        let traffic = Self::start(ask, per_second);
        std::thread::sleep(time);
        traffic.stop()
    }

    /// Begins nothing more, waits for what is under way, and says what came of all of it.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("the pace is kept");
        let elapsed = self.begun.elapsed();
        let stopped = Instant::now();
        let is_under_way = |tally: &Tally| tally.ended() < tally.offered;
        while is_under_way(&self.shared.tally()) {
            assert!(stopped.elapsed() < PATIENCE, "calls do not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut tally = std::mem::replace(&mut *self.shared.tally(), Tally::new());
        tally.elapsed = elapsed;
        tally
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn pace<A: Ask>(ask: &Arc<A>, every: Duration, shared: &Arc<Shared>) {
    let mut due = Instant::now();
    for number in 0.. {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        shared.tally().offered += 1;
        let (ask, shared) = (Arc::clone(ask), Arc::clone(shared));
        CLIENTS.spawn(async move {
            let outcome = ask.ask(number).await;
            shared.tally().record(due.elapsed(), outcome);
        });
        due += every;
    }
}

/// What came of calls that so many callers made, each of whom waits for its answer before it asks again.
pub(crate) fn closed_loop<A: Ask>(ask: &Arc<A>, callers: u64, time: Duration) -> Tally {
    let begun = Instant::now();
    let calling = (0..callers).map(|first| {
        let ask = Arc::clone(ask);
        CLIENTS.spawn(async move {
            let mut tally = Tally::new();
            for number in (first..).step_by(usize::try_from(callers).expect("few")) {
                if begun.elapsed() >= time {
                    break;
                }
                let asked = Instant::now();
                let outcome = ask.ask(number).await;
                tally.offered += 1;
                tally.record(asked.elapsed(), outcome);
            }
            tally
        })
    });
    let calling: Vec<_> = calling.collect();
    let mut all = Tally::new();
    for called in calling {
        all.add(CLIENTS.block_on(called).expect("nobody panicked"));
    }
    all.elapsed = begun.elapsed();
    all
}
