//! Decisions, one after another, on one thread: how long each takes, its request's building included.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::decision::Effect;
use mandate::engine::world::World;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::options::Effort;
use crate::plain::Plain;
use crate::requests::{Draw, NOW, Wire, instant};
use crate::workload::{Candidates, Scopes, Workload};

/// Fewest decisions of a round, however long they take.
const LEAST_DECISIONS: usize = 20;
/// Fewest requests of a comparison with the plain `Authorizer`.
const LEAST_COMPARED: usize = 12;
/// Most requests of a comparison.
const MOST_COMPARED: usize = 1_000;
/// Least share of allows, and of denies.
const LEAST_SHARE: f64 = 0.2;

/// What one size came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) policies: usize,
    pub(crate) entities: usize,
    pub(crate) load_ms: f64,
    pub(crate) zipf: Figures,
    pub(crate) uniform: Figures,
    /// Median of the plain `Authorizer`, the request built already, in microseconds.
    pub(crate) plain_p50: f64,
    /// Answers compared with it, all the same.
    pub(crate) compared: usize,
    /// Those of them in which a policy could not be evaluated.
    pub(crate) erring: usize,
}

/// Decisions of one draw; times in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) candidates: Candidates,
    /// The median round's, and the least and greatest.
    pub(crate) p50: f64,
    pub(crate) least_p50: f64,
    pub(crate) greatest_p50: f64,
    /// Of all rounds together.
    pub(crate) p99: f64,
    pub(crate) decisions: u64,
    pub(crate) allowed: f64,
}

/// The set whose scopes say nothing; medians in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scopeless {
    pub(crate) policies: usize,
    pub(crate) p50: f64,
    pub(crate) plain_p50: f64,
    pub(crate) compared: usize,
}

/// Measures decisions over so many policies and entities.
///
/// # Errors
/// An answer differs from the plain `Authorizer`'s, or nearly all answers are the same.
pub(crate) fn size(policies: usize, entities: usize, effort: Effort) -> Attempt<Size> {
    let mut workload = Workload::new(policies, entities, Scopes::Mixed)?;
    let sources = workload.sources()?;
    let start = Instant::now();
    let world = crate::workload::compiled(&sources)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    drop(sources);
    let zipf = figures(&mut workload, &world, Draw::Zipf, effort)?;
    let uniform = figures(&mut workload, &world, Draw::Uniform, effort)?;
    let (plain, erring) = plain_times(&mut workload, &world, effort.round())?;
    let size = Size {
        policies,
        entities: workload.population.len(),
        load_ms,
        zipf,
        uniform,
        plain_p50: micros(plain.value_at_quantile(0.5)),
        compared: plain.len().try_into()?,
        erring,
    };
    for figures in [&size.zipf, &size.uniform] {
        if !(LEAST_SHARE..=1.0 - LEAST_SHARE).contains(&figures.allowed) {
            return Err(format!("nearly all answers are the same: {figures:?}").into());
        }
    }
    Ok(size)
}

/// Measures the set whose scopes say nothing: each request by turns, so that what disturbs one disturbs the other.
///
/// # Errors
/// An answer differs from the plain `Authorizer`'s.
pub(crate) fn scopeless(policies: usize, effort: Effort) -> Attempt<Scopeless> {
    let mut workload = Workload::new(policies, crate::options::entities_of(policies), Scopes::None)?;
    let world = workload.world()?;
    let plain = Plain::of(&workload)?;
    let (mut ours, mut theirs) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let start = Instant::now();
    while goes_on(theirs.len(), LEAST_COMPARED, MOST_COMPARED, start, 2 * effort.round()) {
        let wire = workload.ask(Draw::Zipf)?;
        theirs.record(nanos(plain.compare(&workload, &world, &wire)?.took))?;
        // The comparison has warmed both up.
        ours.record(nanos(decide(&world, &wire, NOW)?.0))?;
    }
    Ok(Scopeless {
        policies,
        p50: micros(ours.value_at_quantile(0.5)),
        plain_p50: micros(theirs.value_at_quantile(0.5)),
        compared: theirs.len().try_into()?,
    })
}

/// Builds a request and decides it at an instant: how long that takes, and whether it is allowed.
///
/// # Errors
/// The request is invalid, which is a defect of the workload.
pub(crate) fn decide(world: &World, wire: &Wire, now: Now) -> Attempt<(Duration, bool)> {
    let start = Instant::now();
    let request = wire.request();
    let decision = authorize(world, &request, now)?;
    let allowed = decision.effect == Effect::Allow;
    drop((request, decision));
    Ok((start.elapsed(), allowed))
}

fn figures(workload: &mut Workload, world: &World, draw: Draw, effort: Effort) -> Attempt<Figures> {
    let candidates = workload.candidates(draw)?;
    let mut all = Histogram::<u64>::new(3)?;
    let mut medians = Vec::new();
    let mut allowed = 0;
    round(workload, world, draw, effort.decisions / 2, effort.round() / 2)?;
    for _ in 0..effort.rounds {
        let (times, allows) = round(workload, world, draw, effort.decisions, effort.round())?;
        medians.push(micros(times.value_at_quantile(0.5)));
        all.add(&times)?;
        allowed += allows;
    }
    medians.sort_by(f64::total_cmp);
    let at = |index: usize| medians.get(index).copied().ok_or("there are no rounds");
    Ok(Figures {
        candidates,
        p50: at(medians.len() / 2)?,
        least_p50: at(0)?,
        greatest_p50: at(medians.len().saturating_sub(1))?,
        p99: micros(all.value_at_quantile(0.99)),
        decisions: all.len(),
        allowed: f64::from(allowed) / all.len() as f64,
    })
}

fn round(
    workload: &mut Workload,
    world: &World,
    draw: Draw,
    most: usize,
    longest: Duration,
) -> Attempt<(Histogram<u64>, u32)> {
    let mut times = Histogram::new(3)?;
    let mut allows = 0;
    let start = Instant::now();
    while goes_on(times.len(), LEAST_DECISIONS, most, start, longest) {
        let wire = workload.ask(draw)?;
        let (took, allowed) = decide(world, &wire, instant(times.len()))?;
        times.record(nanos(took))?;
        allows += u32::from(allowed);
    }
    Ok((times, allows))
}

/// Times of the plain `Authorizer`, over requests of both draws, whose answers are compared; and how many of these hold errors.
fn plain_times(
    workload: &mut Workload,
    world: &World,
    longest: Duration,
) -> Attempt<(Histogram<u64>, usize)> {
    let plain = Plain::of(workload)?;
    let (mut times, mut erring) = (Histogram::new(3)?, 0);
    let start = Instant::now();
    for draw in [Draw::Zipf, Draw::Uniform].into_iter().cycle() {
        if !goes_on(times.len(), LEAST_COMPARED, MOST_COMPARED, start, longest) {
            break;
        }
        let wire = workload.ask(draw)?;
        let compared = plain.compare(workload, world, &wire)?;
        times.record(nanos(compared.took))?;
        erring += usize::from(compared.erring);
    }
    Ok((times, erring))
}

/// Whether to go on: always to `least`, never beyond `most`, between them as long as there is time.
fn goes_on(done: u64, least: usize, most: usize, start: Instant, longest: Duration) -> bool {
    let done = usize::try_from(done).unwrap_or(usize::MAX);
    done < least || (done < most && start.elapsed() < longest)
}

/// Whole nanoseconds, for a histogram.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}
