//! The table, and the same figures as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::Attempt;
use crate::figures::{Latencies, Spread};
use crate::machine::Machine;
use crate::options::Options;
use crate::round::{CrossCheck, Round, Subject};
use crate::workload::Workload;

/// All rounds of a subject.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) subject: Subject,
    pub(crate) rounds: Vec<Round>,
}

/// Everything that is reported.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    workload: Described,
    servers: Vec<Row>,
    h2load: Vec<Second>,
}

/// What was asked, and how.
#[derive(Debug, Serialize)]
struct Described {
    requests: usize,
    distinct_keys: usize,
    left_out_policies: Vec<String>,
    rounds: usize,
    measured_per_round: usize,
    warm_up: usize,
    connections: usize,
    streams: usize,
    server_threads: usize,
    paced_per_second: u32,
}

/// One server.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// Microseconds of CPU for each request: whole processes compared, and the clock of one.
    cpu_by_process: Spread,
    cpu_by_clock: Spread,
    /// The former less the echo's in the same round.
    above_echo: Spread,
    per_second: Spread,
    resident_mib: Spread,
    saturated: Latencies,
    paced: Latencies,
    /// Share of answers from the cache, if the server says.
    hits: Option<f64>,
}

/// What `h2load` says of a server.
#[derive(Debug, Serialize)]
struct Second {
    name: String,
    per_second: f64,
    cpu_by_clock: f64,
}

impl Report {
    /// Sums up. The echo comes first in `all`.
    ///
    /// # Errors
    /// There are no rounds.
    pub(crate) fn of(
        all: &[Series],
        checks: &[CrossCheck],
        workload: &Workload,
        left_out: &[String],
        options: &Options,
    ) -> Attempt<Self> {
        let echo = all.first().ok_or("nothing was measured")?;
        let servers = all.iter().map(|series| Row::of(series, echo)).collect::<Attempt<_>>()?;
        let second = |check: &CrossCheck| Second {
            name: check.subject.name(),
            per_second: check.throughput,
            cpu_by_clock: micros(check.cpu),
        };
        Ok(Self {
            machine: Machine::this(),
            workload: Described {
                requests: workload.requests.len(),
                distinct_keys: workload.distinct_keys,
                left_out_policies: left_out.to_vec(),
                rounds: options.rounds,
                measured_per_round: options.requests,
                warm_up: options.warm_up,
                connections: options.shape().connections,
                streams: options.shape().streams,
                server_threads: options.workers,
                paced_per_second: options.rate,
            },
            servers,
            h2load: checks.iter().map(second).collect(),
        })
    }

    /// The figures as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = self.preamble();
        text += "| server | CPU µs/request | by its clock | above the echo | requests/s | p50 / p99 / p99.9 µs, saturated | paced |\n";
        text += "|---|--:|--:|--:|--:|--:|--:|\n";
        for row in &self.servers {
            let Row { name, cpu_by_process, cpu_by_clock, above_echo, per_second, .. } = row;
            let (saturated, paced) = (row.saturated.text(), row.paced.text());
            let line = [
                name.clone(),
                cpu_by_process.text(1),
                cpu_by_clock.text(1),
                above_echo.text(1),
                per_second.text(0),
                saturated,
                paced,
            ];
            text += &format!("| {} |\n", line.join(" | "));
        }
        text + &self.second_table()
    }

    fn preamble(&self) -> String {
        let Self { machine, workload, .. } = self;
        format!(
            "\n{machine}\n\
             {} requests of {} distinct keys, without the policies {}\n\
             {} rounds of {} requests after {} to warm up, {} connections of {} streams, {} server threads; \
             paced at {} requests/s\n\
             median of the rounds (least to greatest)\n\n",
            workload.requests,
            workload.distinct_keys,
            workload.left_out_policies.join(", "),
            workload.rounds,
            workload.measured_per_round,
            workload.warm_up,
            workload.connections,
            workload.streams,
            workload.server_threads,
            workload.paced_per_second,
        )
    }

    fn second_table(&self) -> String {
        let mut text = String::new();
        if self.h2load.is_empty() {
            return text;
        }
        text += "\n| h2load, one typed call allowed | CPU µs/request | requests/s |\n|---|--:|--:|\n";
        for Second { name, per_second, cpu_by_clock } in &self.h2load {
            text += &format!("| {name} | {cpu_by_clock:.1} | {per_second:.0} |\n");
        }
        text
    }
}

impl Row {
    fn of(series: &Series, echo: &Series) -> Attempt<Self> {
        let over = |figure: &dyn Fn(&Round) -> f64| Spread::of(series.rounds.iter().map(figure).collect());
        let pairs = series.rounds.iter().zip(&echo.rounds);
        let above_echo =
            pairs.map(|(round, echo)| micros(round.by_process) - micros(echo.by_process)).collect();
        let told: u64 = series.rounds.iter().map(|round| round.saturated.told).sum();
        let hits: u64 = series.rounds.iter().map(|round| round.saturated.hits).sum();
        Ok(Self {
            name: series.subject.name(),
            cpu_by_process: over(&|round| micros(round.by_process))?,
            cpu_by_clock: over(&|round| micros(round.by_clock))?,
            above_echo: Spread::of(above_echo)?,
            per_second: over(&|round| {
                round.saturated.latencies.len() as f64 / round.saturated.elapsed.as_secs_f64()
            })?,
            resident_mib: over(&|round| round.resident as f64 / f64::from(1 << 20))?,
            saturated: Latencies::of(series.rounds.iter().map(|round| &round.saturated))?,
            paced: Latencies::of(series.rounds.iter().map(|round| &round.paced))?,
            hits: (told > 0).then(|| hits as f64 / told as f64),
        })
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
