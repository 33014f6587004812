//! The figures: as JSON, and as the tables of `docs/benchmarks.md`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::cost::Costs;
use crate::figures::{Latencies, Spread};
use crate::machine::Machine;
use crate::round::Round;
use crate::{embedded, figures};

/// Policies that are shipped, less the two that read the clock.
pub(crate) const SHIPPED: usize = 22;

/// One server over one world, all rounds together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) world: String,
    pub(crate) policies: usize,
    pub(crate) server: String,
    /// Why there are no figures.
    pub(crate) obstacle: Option<String>,
    pub(crate) figures: Option<Figures>,
}

/// Latencies at a pace, counted from when each call was due.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Paced {
    /// Calls a second.
    pub(crate) rate: u32,
    /// None where the server could not keep up.
    pub(crate) latencies: Option<Latencies>,
}

/// What was measured of a server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) rounds: usize,
    pub(crate) per_second: Spread,
    /// Microseconds of the server's CPU for each answer.
    pub(crate) cpu_us: Spread,
    pub(crate) saturated: Latencies,
    pub(crate) paced: Vec<Paced>,
    pub(crate) start_ms: Spread,
    pub(crate) reload_ms: Option<f64>,
    /// Before and after the load.
    pub(crate) resident_mib: [Spread; 2],
    pub(crate) h2load_per_second: Option<f64>,
    /// Share of answers from the cache, if the server says.
    pub(crate) hits: Option<f64>,
}

impl Figures {
    /// Sums rounds up.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn of(rounds: &[Round]) -> Attempt<Self> {
        let over = |figure: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(figure).collect());
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let [idle, loaded] =
            [0, 1].map(|place| over(&|round: &Round| round.resident.get(place).copied().map_or(0.0, mib)));
        let last = rounds.iter().find_map(|round| round.last.as_ref());
        let told: u64 = rounds.iter().map(|round| round.saturated.told).sum();
        let hits: u64 = rounds.iter().map(|round| round.saturated.hits).sum();
        Ok(Self {
            rounds: rounds.len(),
            per_second: over(&Round::per_second)?,
            cpu_us: over(&|round| round.cpu.as_secs_f64() * 1e6)?,
            saturated: Latencies::of(rounds.iter().map(|round| &round.saturated))?,
            paced: paced(rounds)?,
            start_ms: over(&|round| millis(round.started))?,
            reload_ms: last.and_then(|last| last.reloaded).map(millis),
            resident_mib: [idle?, loaded?],
            h2load_per_second: last.and_then(|last| last.h2load),
            hits: (told > 0).then(|| hits as f64 / told as f64),
        })
    }
}

fn paced(rounds: &[Round]) -> Attempt<Vec<Paced>> {
    let rates = rounds.first().map(|round| round.paced.iter().map(|(rate, _)| *rate)).into_iter().flatten();
    rates
        .map(|rate| {
            let of_rate = rounds.iter().flat_map(|round| &round.paced).filter(|(other, _)| *other == rate);
            let tallies: Vec<_> = of_rate.filter_map(|(_, tally)| tally.as_ref()).collect();
            let latencies = (!tallies.is_empty()).then(|| Latencies::of(tallies)).transpose()?;
            Ok(Paced { rate, latencies })
        })
        .collect()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What is written of one part of the benchmark.
#[derive(Debug, Serialize, Deserialize)]
struct Written<T> {
    machine: serde_json::Value,
    figures: T,
}

/// Writes figures as JSON, with the machine that they are of.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, figures: &impl Serialize) -> Attempt<()> {
    figures::write(file, &Written { machine: serde_json::to_value(Machine::this())?, figures })
}

/// Reads figures that were written.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Attempt<T> {
    Ok(serde_json::from_slice::<Written<T>>(&fs::read(file)?)?.figures)
}

/// Servers over worlds, as Markdown: what answers cost, and what the servers do besides.
pub(crate) fn table(rows: &[Row]) -> String {
    let measured = || rows.iter().filter_map(|row| row.figures.as_ref());
    let rates: Vec<_> = measured()
        .next()
        .map(|figures| figures.paced.iter().map(|paced| paced.rate).collect())
        .unwrap_or_default();
    let mut text = "\n| world | policies | server | answers/s | CPU µs | saturated |".to_owned();
    text.extend(rates.iter().map(|rate| format!(" at {rate}/s |")));
    text += &format!("\n|---|--:|---|--:|--:|--:|{}\n", "--:|".repeat(rates.len()));
    text.extend(rows.iter().map(|row| costs_line(row, rates.len())));
    text +=
        "\n| world | policies | server | start ms | reload ms | MiB, idle → loaded | `h2load`, answers/s |\n";
    text += "|---|--:|---|--:|--:|--:|--:|\n";
    text.extend(rows.iter().filter_map(besides_line));
    text
}

fn head(row: &Row) -> String {
    format!("| {} | {} | {} |", row.world, row.policies, row.server)
}

fn costs_line(row: &Row, rates: usize) -> String {
    let Some(figures) = &row.figures else {
        let why = row.obstacle.as_deref().unwrap_or("not measured");
        return format!("{} {why} |{}\n", head(row), " |".repeat(rates + 2));
    };
    let paced = figures.paced.iter().map(|paced| paced.latencies.map_or("–".to_owned(), Latencies::text));
    let cells = [figures.per_second.text(0), figures.cpu_us.text(1), figures.saturated.text()];
    let all: Vec<_> = cells.into_iter().chain(paced).collect();
    format!("{} {} |\n", head(row), all.join(" | "))
}

fn besides_line(row: &Row) -> Option<String> {
    let figures = row.figures.as_ref()?;
    let or_dash = |figure: Option<f64>| figure.map_or("–".to_owned(), |figure| format!("{figure:.0}"));
    let [idle, loaded] = &figures.resident_mib;
    let cells = [
        format!("{:.0}", figures.start_ms.median),
        or_dash(figures.reload_ms),
        format!("{:.0} → {:.0}", idle.median, loaded.median),
        or_dash(figures.h2load_per_second),
    ];
    Some(format!("{} {} |\n", head(row), cells.join(" | ")))
}

/// Engines in process, as Markdown.
pub(crate) fn engines(all: &[embedded::Figures]) -> String {
    let head = "\n| policies | engine | p50 µs | p99 µs | decisions/s | load ms | MiB |\n|--:|---|--:|--:|--:|--:|--:|\n";
    let line = |figures: &embedded::Figures| {
        let embedded::Figures { engine, policies, load_ms, resident_mib, per_second, p50_us, p99_us, .. } =
            figures;
        let name = engine.name();
        format!(
            "| {policies} | {name} | {p50_us:.1} | {p99_us:.1} | {per_second:.0} | {load_ms:.0} | {resident_mib:.0} |\n"
        )
    };
    head.to_owned() + &all.iter().map(line).collect::<String>()
}

/// What Mandate's decisions cost, as Markdown.
pub(crate) fn costs(costs: &Costs) -> String {
    let Costs { points, model, ways } = costs;
    let mut text = "\n| question | CPU µs | model µs |\n|---|--:|--:|\n".to_owned();
    for point in points {
        text += &format!("| {} | {:.1} | {:.1} |\n", point.what, point.cpu_us, point.model_us);
    }
    text +=
        &format!("\n{model:#?}\n\n| asked | size | server | decisions/s | CPU µs |\n|---|--:|---|--:|--:|\n");
    for way in ways {
        let (per_second, cpu) = (way.decisions_per_second, way.cpu_us);
        text += &format!("| {} | {} | {} | {per_second:.0} | {cpu:.1} |\n", way.way, way.size, way.setting);
    }
    text
}
