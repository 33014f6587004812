//! What Mandate's decisions cost by what they hold, as sums of parts; and by how they are asked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::load::{self, Shape};
use crate::many::{BatchLine, Batches, streamed};
use crate::options::Effort;
use crate::ours::{self, Setting};
use crate::round::Bench;
use crate::scaling::{self, Size};
use crate::subject::{Line, Running, Subject};
use crate::world::World;
use crate::{Attempt, agents};

/// Policies beside which contexts and candidates are measured.
const POLICIES: usize = 800;
const CONTEXT_KIB: [usize; 4] = [0, 1, 4, 16];
const CANDIDATES: [usize; 5] = [1, 5, 10, 20, 40];
const GRANTS: [usize; 4] = [0, 1, 2, 3];
const CONNECTIONS: [usize; 5] = [1, 2, 8, 32, 128];
const BATCHES: [usize; 3] = [1, 10, 100];
const WINDOWS: [usize; 3] = [1, 16, 64];
/// Numbers below that are no part of a singular matrix.
const EPSILON: f64 = 1e-9;

/// One kind of question, uncached and without a log, and what it cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) what: String,
    /// Whether it is about the shipped world, not about the one that scales.
    pub(crate) shipped: bool,
    pub(crate) context_kib: usize,
    /// Principals that are decided about beyond the first.
    pub(crate) further_hops: usize,
    /// Policies whose scope covers it, beyond the first; of the world that scales only.
    pub(crate) further_candidates: usize,
    /// Microseconds of the server's CPU, and what the model says.
    pub(crate) cpu_us: f64,
    pub(crate) model_us: f64,
}

/// A sum that was fitted to points, in microseconds of CPU.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) fixed: f64,
    /// More for a question about the shipped world.
    pub(crate) shipped: f64,
    pub(crate) each_context_kib: f64,
    pub(crate) each_further_hop: f64,
    pub(crate) each_further_candidate: f64,
    /// Root of the mean of the squares of what remains.
    pub(crate) residual: f64,
    pub(crate) greatest_residual: f64,
}

/// How many questions are answered in a second in one way of asking.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Way {
    pub(crate) way: String,
    pub(crate) size: usize,
    pub(crate) setting: String,
    pub(crate) decisions_per_second: f64,
    /// Microseconds of the server's CPU for each decision.
    pub(crate) cpu_us: f64,
}

/// Everything that is measured here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Costs {
    pub(crate) points: Vec<Point>,
    pub(crate) model: Model,
    pub(crate) ways: Vec<Way>,
}

const UNCACHED: Setting = Setting { cached: false, logged: false };

/// Measures all points and ways, and fits the model.
///
/// # Errors
/// A server does not start, or an answer is wrong.
pub(crate) fn costs(bench: &Bench, repository: &Path) -> Attempt<Costs> {
    let mut points = Vec::new();
    for (mut point, world) in kinds(repository)? {
        anstream::eprintln!("cost: {}", point.what);
        point.cpu_us = cpu(bench, &world)?;
        points.push(point);
    }
    let model = Model::fitted(&mut points)?;
    Ok(Costs { points, model, ways: ways(bench)? })
}

fn point(what: String) -> Point {
    Point {
        what,
        shipped: false,
        context_kib: 0,
        further_hops: 0,
        further_candidates: 0,
        cpu_us: 0.0,
        model_us: 0.0,
    }
}

/// What is asked for each point.
fn kinds(repository: &Path) -> Attempt<Vec<(Point, World)>> {
    let mut kinds = Vec::new();
    for grants in GRANTS {
        let point = Point { shipped: true, further_hops: grants, ..point(format!("{grants} grants")) };
        kinds.push((point, agents::chain(repository, grants)?));
    }
    for kib in CONTEXT_KIB {
        let mut world = scaling::world(Size { policies: POLICIES, of_a_kind: 1 })?;
        for question in world.questions.iter_mut().filter(|_| kib > 0) {
            question.context.insert("note".to_owned(), json!("n".repeat(kib * 1024)));
        }
        kinds.push((Point { context_kib: kib, ..point(format!("context of {kib} KiB")) }, world));
    }
    for of_a_kind in CANDIDATES {
        let point = Point { further_candidates: of_a_kind - 1, ..point(format!("{of_a_kind} candidates")) };
        kinds.push((point, scaling::world(Size { policies: POLICIES, of_a_kind })?));
    }
    Ok(kinds)
}

/// The server's CPU for each answer under saturation: the median of the rounds, each a life of its own.
fn cpu(bench: &Bench, world: &World) -> Attempt<f64> {
    let mut all = Vec::new();
    for _ in 0..bench.effort.rounds {
        let (per_call, _) = lived(bench, world, UNCACHED, bench.shape, async |running| {
            let lines = running.lines.clone();
            saturated(&lines, running.streams, &bench.effort).await
        })?;
        all.push(per_call);
    }
    all.sort_by(f64::total_cmp);
    Ok(*all.get(all.len() / 2).ok_or("there are no rounds")?)
}

async fn saturated<C: load::Ask>(lines: &[C], streams: usize, effort: &Effort) -> Attempt<(u64, Duration)> {
    let end = Instant::now() + effort.saturated();
    let tally = load::saturate(lines, streams, move |_| Instant::now() >= end).await?;
    match tally.example {
        Some(example) => Err(example.into()),
        None => Ok((tally.latencies.len(), tally.elapsed)),
    }
}

/// Has a server of Mandate live for one load, after one to warm up. Returns its CPU for each answer, in microseconds, and
/// answers a second.
fn lived(
    bench: &Bench,
    world: &World,
    setting: Setting,
    shape: Shape,
    load: impl AsyncFn(&Running) -> Attempt<(u64, Duration)>,
) -> Attempt<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    world.write(folder.path())?;
    bench.runtime.block_on(async {
        let running = Subject::Mandate(setting).start(world, folder.path(), &bench.binaries, shape).await?;
        load(&running).await?;
        running.server.until_quiet().await?;
        let before = running.server.cpu()?;
        let (answers, elapsed) = load(&running).await?;
        let cpu = running.server.cpu()?.saturating_sub(before);
        running.stop().await?;
        Ok((cpu.as_secs_f64() * 1e6 / answers as f64, answers as f64 / elapsed.as_secs_f64()))
    })
}

fn ways(bench: &Bench) -> Attempt<Vec<Way>> {
    let world = scaling::world(Size { policies: POLICIES, of_a_kind: 1 })?;
    let mut ways = Vec::new();
    let mut put = |way: &str, size, setting: Setting, (cpu_us, decisions_per_second): (f64, f64)| {
        anstream::eprintln!("{way} of {size}, {}: {decisions_per_second:.0}/s", setting.name());
        ways.push(Way { way: way.to_owned(), size, setting: setting.name(), decisions_per_second, cpu_us });
    };
    for connections in CONNECTIONS {
        let shape = Shape { connections, streams: (32 / connections).max(1) };
        let measured = lived(bench, &world, UNCACHED, shape, async |running| {
            saturated(&running.lines, running.streams, &bench.effort).await
        })?;
        put("connections", connections, UNCACHED, measured);
    }
    for (cached, logged) in [(false, false), (true, false), (false, true), (true, true)] {
        let setting = Setting { cached, logged };
        for size in BATCHES {
            put("batch", size, setting, batched(bench, &world, setting, size)?);
        }
    }
    let questions = Arc::new(ours::Encoded::of(&world));
    for window in WINDOWS {
        let measured = lived(bench, &world, UNCACHED, bench.shape, async |running| {
            let time = bench.effort.saturated();
            let answered =
                streamed(&running.server.url, bench.shape.connections, window, &questions, time).await?;
            Ok((answered, time))
        })?;
        put("stream with so many under way", window, UNCACHED, measured);
    }
    Ok(ways)
}

fn batched(bench: &Bench, world: &World, setting: Setting, size: usize) -> Attempt<(f64, f64)> {
    let batches = Arc::new(Batches::of(world, size));
    lived(bench, world, setting, bench.shape, async |running| {
        let on = |line: &Line| match line {
            Line::Ours(connection) => Some(BatchLine::on(connection, &batches)),
            Line::Cerbos(_) | Line::CedarAgent(_) => None,
        };
        let lines: Vec<_> = running.lines.iter().filter_map(on).collect();
        // Enough to keep both busy; more would only wait.
        let (calls, elapsed) = saturated(&lines, running.streams.min(4), &bench.effort).await?;
        Ok((calls * u64::try_from(size)?, elapsed))
    })
}

impl Model {
    /// Fits the least squares, and tells each point what the model says of it.
    fn fitted(points: &mut [Point]) -> Attempt<Self> {
        let row = |point: &Point| {
            let number = |number: usize| number as f64;
            let shipped = if point.shipped { 1.0 } else { 0.0 };
            [
                1.0,
                shipped,
                number(point.context_kib),
                number(point.further_hops),
                number(point.further_candidates),
            ]
        };
        let rows: Vec<_> = points.iter().flat_map(row).collect();
        let matrix = DMatrix::from_row_slice(points.len(), 5, &rows);
        let costs = DVector::from_iterator(points.len(), points.iter().map(|point| point.cpu_us));
        let solution = matrix.clone().svd(true, true).solve(&costs, EPSILON)?;
        let modelled = &matrix * &solution;
        let (mut squares, mut greatest) = (0.0, 0.0_f64);
        for (point, model_us) in points.iter_mut().zip(modelled.iter()) {
            point.model_us = *model_us;
            squares += (point.cpu_us - model_us).powi(2);
            greatest = greatest.max((point.cpu_us - model_us).abs());
        }
        let [fixed, shipped, each_context_kib, each_further_hop, each_further_candidate] =
            <[f64; 5]>::try_from(solution.as_slice())?;
        Ok(Self {
            fixed,
            shipped,
            each_context_kib,
            each_further_hop,
            each_further_candidate,
            residual: (squares / points.len() as f64).sqrt(),
            greatest_residual: greatest,
        })
    }
}
