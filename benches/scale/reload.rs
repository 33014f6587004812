//! Decisions at an even pace while the loader takes up changed files, against the same pace when nothing changes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mandate::engine::compile::Options;
use mandate::engine::guard::WORKER_STACK_BYTES;
use mandate::store::Store;
use mandate::store::data_dir::DataDir;
use mandate::store::loader::{Command, Ended, Loader, LoaderConfig, LoaderHandle, Outcome};
use nix::sys::prctl::set_timerslack;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::measure::{decide, micros, nanos};
use crate::options::{Effort, entities_of};
use crate::requests::{Draw, NOW, Wire, instant};
use crate::workload::{Scopes, Workload};

/// Share of its time for which the thread that decides has work.
const LOAD: f64 = 0.25;
/// Requests that the load repeats.
const REQUESTS: usize = 10_000;
/// Decisions, one after another, from which the pace is taken.
const PACED_BY: usize = 2_000;
/// How long loads go on after the last publication: what was replaced is dropped meanwhile.
const AFTER: Duration = Duration::from_millis(300);
/// Publications that are timed.
const PUBLICATIONS: usize = 50;

/// Which histogram a decision counts in.
const QUIET: u8 = 0;
const RELOADING: u8 = 1;
const END: u8 = 2;

/// What reloads do to decisions; microseconds but for `reload_ms`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reload {
    pub(crate) policies: usize,
    /// Between two decisions.
    pub(crate) interval: f64,
    pub(crate) quiet: Phase,
    pub(crate) reloading: Phase,
    /// From the command to the publication, the median.
    pub(crate) reload_ms: f64,
    pub(crate) reloads: usize,
    /// Replacing the world that is served by another.
    pub(crate) publish: Tail,
}

/// Decisions of one phase.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// From when a decision was due to when it was made.
    pub(crate) whole: Tail,
    /// Of that, until it was begun: what the scheduler, and decisions before that took long, made it wait.
    pub(crate) late: Tail,
    /// And from then on.
    pub(crate) decision: Tail,
}

/// A distribution of times, in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tail {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) most: f64,
    pub(crate) count: u64,
}

/// Measures reloads of so many policies.
///
/// # Errors
/// Something does not load, or an answer is an error.
pub(crate) fn reload(policies: usize, effort: Effort) -> Attempt<Reload> {
    let mut workload = Workload::new(policies, entities_of(policies), Scopes::Mixed)?;
    let site = tempfile::tempdir()?;
    let (loader, store) = open(&workload, site.path())?;
    let wires = (0..REQUESTS).map(|_| workload.ask(Draw::Zipf)).collect::<Attempt<Vec<_>>>()?;
    drop(workload);
    let publish = publications(&store)?;
    let interval = pace(&store, &wires)?;
    let phase = AtomicU8::new(QUIET);
    let (times, reloads) = thread::scope(|scope| {
        let deciding = thread::Builder::new()
            .stack_size(WORKER_STACK_BYTES)
            .spawn_scoped(scope, || load(&store, &wires, interval, &phase))?;
        thread::sleep(effort.quiet());
        phase.store(RELOADING, Ordering::Relaxed);
        let reloads = change_files(&loader, site.path(), effort.reloads);
        thread::sleep(AFTER);
        phase.store(END, Ordering::Relaxed);
        let times = deciding.join().map_err(|_panic| "the thread that decides has panicked")??;
        Attempt::Ok((times, reloads?))
    })?;
    let ended = loader.stop(Duration::from_secs(60));
    if ended != Some(Ended::Stopped) {
        return Err(format!("the loader ended with {ended:?}").into());
    }
    let [quiet, reloading] = times;
    Ok(Reload {
        policies,
        interval: micros(nanos(interval)),
        quiet: quiet.tails(),
        reloading: reloading.tails(),
        reload_ms: micros(reloads.value_at_quantile(0.5)) / 1e3,
        reloads: effort.reloads,
        publish: Tail::of(&publish),
    })
}

/// Writes the files and starts the loader that a server has.
fn open(workload: &Workload, site: &Path) -> Attempt<(LoaderHandle, Arc<Store>)> {
    let config = LoaderConfig {
        entity_log: mandate::store::entity_log::EntityLogConfig::default(),
        progress: std::sync::Arc::default(),
        folders: workload.write(site)?,
        emergency: site.join("emergency"),
        revocations: site.join("revocations.json"),
        options: Options::default(),
        watch: false,
        poll: Duration::from_secs(3_600),
        // Files load when the command says so, and only then.
        settle: Duration::from_secs(3_600),
        serve_last_known_good: false,
        signers: Default::default(),
        cache_bytes: None,
    };
    let data = DataDir::open(&site.join("data"))?;
    let (loader, store, _warnings) = Loader::open(config, &data)?;
    Ok((loader.spawn()?, store))
}

/// Times of publishing a world in place of another, in a store of its own.
fn publications(store: &Store) -> Attempt<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let world = &store.current().world;
    let store = Store::new(world.clone());
    for _ in 0..PUBLICATIONS {
        let next = world.clone();
        let start = Instant::now();
        let replaced = store.publish(next);
        times.record(nanos(start.elapsed()))?;
        drop(replaced);
    }
    Ok(times)
}

/// The time between two decisions at which one thread has work for [`LOAD`] of its time. By the median decision: others
/// that want the processor make the mean what they please.
fn pace(store: &Store, wires: &[Wire]) -> Attempt<Duration> {
    let published = store.current();
    let start = Instant::now();
    let mut times = Histogram::<u64>::new(3)?;
    for wire in wires.iter().take(PACED_BY) {
        times.record(nanos(decide(&published.world, wire, instant(times.len()))?.0))?;
        if start.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    Ok(Duration::from_nanos(times.value_at_quantile(0.5)).div_f64(LOAD))
}

/// The times of decisions of one phase.
struct Times {
    whole: Histogram<u64>,
    late: Histogram<u64>,
    decision: Histogram<u64>,
}

impl Times {
    fn new() -> Attempt<Self> {
        Ok(Self { whole: Histogram::new(3)?, late: Histogram::new(3)?, decision: Histogram::new(3)? })
    }

    fn record(&mut self, late: Duration, decision: Duration) -> Attempt<()> {
        self.late.record(nanos(late))?;
        self.decision.record(nanos(decision))?;
        Ok(self.whole.record(nanos(late + decision))?)
    }

    fn tails(&self) -> Phase {
        Phase { whole: Tail::of(&self.whole), late: Tail::of(&self.late), decision: Tail::of(&self.decision) }
    }
}

/// Decides on a schedule, whatever became of the decisions before, sleeping between them as a thread that waits for
/// requests does. Each counts from when it was due.
fn load(store: &Store, wires: &[Wire], interval: Duration, phase: &AtomicU8) -> Attempt<[Times; 2]> {
    // By default the kernel wakes a thread up to 50 µs late, to save power.
    set_timerslack(1)?;
    let (mut quiet, mut reloading) = (Times::new()?, Times::new()?);
    let mut due = Instant::now();
    for wire in wires.iter().cycle() {
        due += interval;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let times = match phase.load(Ordering::Relaxed) {
            QUIET => &mut quiet,
            RELOADING => &mut reloading,
            _ => break,
        };
        let begun = Instant::now();
        decide(&store.current().world, wire, NOW)?;
        times.record(begun.saturating_duration_since(due), begun.elapsed())?;
    }
    Ok([quiet, reloading])
}

/// Changes one policy file again and again, each time as soon as the change before is served.
fn change_files(loader: &LoaderHandle, site: &Path, reloads: usize) -> Attempt<Histogram<u64>> {
    let file = site.join("policies/0000.cedar");
    let text = fs::read_to_string(&file)?;
    let mut times = Histogram::new(3)?;
    for number in 0..reloads {
        let added = format!(
            "@id(\"changed-{number}\")\nforbid (principal, action in Mandate::Action::\"change\", resource) \
             when {{ context.labels.contains(\"change {number}\") }};\n"
        );
        fs::write(file.with_extension("new"), format!("{text}\n{added}"))?;
        fs::rename(file.with_extension("new"), &file)?;
        let start = Instant::now();
        let served = loader.commands.send(Command::Reload).blocking_recv()??;
        times.record(nanos(start.elapsed()))?;
        if served.outcome != Outcome::Published {
            return Err(format!("a change is not served: {:?}", served.problems).into());
        }
    }
    Ok(times)
}

impl Tail {
    fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| micros(times.value_at_quantile(quantile));
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), most: micros(times.max()), count: times.len() }
    }
}
