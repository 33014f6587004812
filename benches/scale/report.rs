//! Figures beside their targets, as Markdown and as JSON.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::Attempt;
use crate::machine::Machine;
use crate::measure::{Figures, Scopeless, Size};
use crate::memory::{Resident, bytes_each};
use crate::options::Options;
use crate::put::Put;
use crate::reload::{Reload, Tail};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rounds: usize,
    most_decisions_a_round: usize,
    pub(crate) policies: Vec<Size>,
    pub(crate) scopeless: Option<Scopeless>,
    pub(crate) entities: Vec<Size>,
    pub(crate) put: Option<Put>,
    /// Few entities, and many.
    pub(crate) memory: Option<[Resident; 2]>,
    pub(crate) reload: Option<Reload>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure beside its target.
struct Row {
    figure: String,
    target: Target,
    unit: &'static str,
    /// None: not measured.
    measured: Option<f64>,
    /// Whether it was measured at the size that the target is for.
    at_size: bool,
}

impl Report {
    /// Nothing yet, on this machine.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            machine: Machine::this(),
            rounds: options.effort.rounds,
            most_decisions_a_round: options.effort.decisions,
            policies: Vec::new(),
            scopeless: None,
            entities: Vec::new(),
            put: None,
            memory: None,
            reload: None,
        }
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Attempt<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(file, serde_json::to_vec_pretty(self)?)?)
    }

    /// The figures as Markdown.
    pub(crate) fn text(&self) -> String {
        let Self { machine, rounds, most_decisions_a_round, .. } = self;
        let (then, now) = (machine, Machine::this());
        let mut text = format!(
            "\n{then}; at the end {}\n{rounds} rounds of at most {most_decisions_a_round} decisions\n\n\
             | figure | target | measured | |\n|---|--:|--:|---|\n",
            now.load
        );
        let rows = self.growth_of_policies().into_iter().chain(self.others());
        rows.for_each(|row| text += &row.text());
        text += &sizes("decisions as policies grow", &self.policies);
        text += &sizes("decisions as entities grow", &self.entities);
        text += &self.reload.as_ref().map(Reload::text).unwrap_or_default();
        text
    }

    fn growth_of_policies(&self) -> Vec<Row> {
        let (least, most) = (ends(&self.policies, |size| size.policies), (10, 100_000));
        let ends = least.map(|(first, last)| (first, last, (first.policies, last.policies) == most));
        let growth = |name: &str, figures: fn(&Size) -> &Figures, micros, times| {
            let at = ends.map(|(_, last, _)| last.policies).unwrap_or(most.1);
            let at_size = ends.is_some_and(|(.., at_size)| at_size);
            let row = |figure, target, unit, measured| Row {
                figure,
                target: Target::AtMost(target),
                unit,
                measured,
                at_size,
            };
            [
                row(
                    format!("p50, {name}, {at} policies"),
                    micros,
                    " µs",
                    ends.map(|(_, last, _)| figures(last).p50),
                ),
                row(
                    "… against the smallest set".to_owned(),
                    times,
                    "×",
                    ends.map(|(first, last, _)| figures(last).p50 / figures(first).p50),
                ),
            ]
        };
        let plain = |policies, times| {
            let size = self.policies.iter().find(|size| size.policies == policies);
            Row {
                figure: format!("against the plain `Authorizer`, {policies} policies"),
                target: Target::AtLeast(times),
                unit: "×",
                measured: size.map(|size| size.plain_p50 / size.zipf.p50.max(size.uniform.p50)),
                at_size: true,
            }
        };
        let mut rows = Vec::from(growth("Zipf 1.0", |size| &size.zipf, 12.0, 2.0));
        rows.extend(growth("uniform", |size| &size.uniform, 30.0, 5.0));
        rows.extend([plain(10_000, 500.0), plain(100_000, 3_000.0)]);
        rows
    }

    fn others(&self) -> Vec<Row> {
        let ends = ends(&self.entities, |size| size.entities);
        let row = |figure: String, target, unit, measured, at_size| Row {
            figure,
            target: Target::AtMost(target),
            unit,
            measured,
            at_size,
        };
        let reload = self.reload.as_ref();
        let full = reload.is_some_and(|reload| reload.policies == 100_000);
        vec![
            row(
                "no scope helps, against the plain `Authorizer`".to_owned(),
                0.7,
                "×",
                self.scopeless.as_ref().map(|figures| figures.p50 / figures.plain_p50),
                self.scopeless.as_ref().is_some_and(|figures| figures.policies >= 1_000),
            ),
            row(
                "p50, Zipf 1.0, 100 → 1,000,000 entities".to_owned(),
                2.0,
                "×",
                ends.map(|(first, last)| last.zipf.p50 / first.zipf.p50),
                ends.is_some_and(|(first, last)| first.entities <= 110 && last.entities >= 999_990),
            ),
            row(
                "put one entity among 1,000,000".to_owned(),
                50.0,
                " µs",
                self.put.as_ref().map(|put| put.p50),
                self.put.as_ref().is_some_and(|put| put.entities >= 999_990),
            ),
            row(
                "resident for each entity of 3 attributes".to_owned(),
                3.0,
                " KiB",
                self.memory.map(|[few, many]| bytes_each(few, many) / 1024.0),
                self.memory.is_some_and(|[_, many]| many.entities >= 99_990),
            ),
            row(
                "p99 at 25 % load while 100,000 policies reload".to_owned(),
                3.0,
                "×",
                reload.map(|reload| reload.reloading.whole.p99 / reload.quiet.whole.p99),
                full,
            ),
            row(
                "publish, the longest".to_owned(),
                1_000.0,
                " µs",
                reload.map(|reload| reload.publish.most),
                full,
            ),
        ]
    }
}

/// The smallest and the largest.
fn ends(sizes: &[Size], by: fn(&Size) -> usize) -> Option<(&Size, &Size)> {
    sizes.iter().min_by_key(|size| by(size)).zip(sizes.iter().max_by_key(|size| by(size)))
}

impl Row {
    fn text(&self) -> String {
        let Self { figure, target, unit, measured, at_size } = self;
        let (sign, bound) = match target {
            Target::AtMost(bound) => ('≤', bound),
            Target::AtLeast(bound) => ('≥', bound),
        };
        let measured_text =
            measured.map_or("–".to_owned(), |measured| format!("{}{unit}", short(measured)));
        let verdict = match (measured, target) {
            (None, _) => "not measured",
            _ if !at_size => "not at this size",
            (Some(measured), Target::AtMost(bound)) if measured <= bound => "met",
            (Some(measured), Target::AtLeast(bound)) if measured >= bound => "met",
            _ => "**missed**",
        };
        format!("| {figure} | {sign} {}{unit} | {measured_text} | {verdict} |\n", short(*bound))
    }
}

/// A number to about three digits.
fn short(number: f64) -> String {
    match number {
        number if number >= 100.0 || number.fract() == 0.0 => format!("{number:.0}"),
        number if number >= 10.0 => format!("{number:.1}"),
        number => format!("{number:.2}"),
    }
}

fn sizes(title: &str, sizes: &[Size]) -> String {
    if sizes.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n| {title}: policies | entities | Zipf: candidates | p50 µs | p99 µs | uniform: candidates | p50 µs | p99 µs \
         | allowed | plain `Authorizer` p50 µs | answers compared (erring) | load ms |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for Size { policies, entities, load_ms, zipf, uniform, plain_p50, compared, erring } in sizes {
        let allowed = format!("{:.0} % / {:.0} %", 100.0 * zipf.allowed, 100.0 * uniform.allowed);
        let (zipf, uniform) = (zipf.text(), uniform.text());
        text += &format!(
            "| {policies} | {entities} | {zipf} | {uniform} | {allowed} | {} | {compared} ({erring}) | {load_ms:.0} |\n",
            short(*plain_p50)
        );
    }
    text
}

impl Figures {
    fn text(&self) -> String {
        let Self { candidates, p50, least_p50, greatest_p50, p99, .. } = self;
        let [p50, least, greatest, p99] = [p50, least_p50, greatest_p50, p99].map(|figure| short(*figure));
        format!("{:.1} (≤ {}) | {p50} ({least}–{greatest}) | {p99}", candidates.mean, candidates.most)
    }
}

impl Reload {
    fn text(&self) -> String {
        let Self { policies, interval, quiet, reloading, reload_ms, reloads, publish } = self;
        let mut text = format!(
            "\n| {policies} policies, a decision every {} µs | p50 µs | p99 µs | p99.9 µs | most µs | count |\n\
             |---|--:|--:|--:|--:|--:|\n",
            short(*interval)
        );
        let during = format!("{reloads} reloads of {} ms", short(*reload_ms));
        let rows = [
            ("quiet", &quiet.whole),
            ("of that, until begun", &quiet.late),
            ("and from then on", &quiet.decision),
            (&during, &reloading.whole),
            ("of that, until begun", &reloading.late),
            ("and from then on", &reloading.decision),
            ("publish", publish),
        ];
        for (name, tail) in rows {
            let Tail { p50, p99, p999, most, count } = tail;
            let [p50, p99, p999, most] = [p50, p99, p999, most].map(|figure| short(*figure));
            text += &format!("| {name} | {p50} | {p99} | {p999} | {most} | {count} |\n");
        }
        text
    }
}
