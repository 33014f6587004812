//! Mandate measured against its peers: the same questions to each, every answer checked.
//!
//! In reading order: [`world`] is what is asked of whom; [`scaling`] is one that grows, [`agents`] the shipped one, [`paper`] those of
//! the Cedar paper, [`load_test`] Cerbos' own. [`ours`], [`cerbos`] and [`cedar_agent`] put questions to the servers that [`subject`]
//! starts; [`round`] measures one of them, [`compare`] all; [`many`] and [`cost`] are about Mandate alone; [`embedded`] measures
//! engines in process; [`report`] and [`plots`] sum up. How load is made is `benches/grpc`'s.

mod agents;
#[path = "../../grpc/caller.rs"]
mod caller;
mod cedar_agent;
mod cerbos;
#[path = "../../grpc/checked.rs"]
mod checked;
mod compare;
mod cost;
#[path = "../../grpc/cpu.rs"]
mod cpu;
#[path = "../../grpc/echo.rs"]
mod echo;
mod embedded;
#[path = "../../grpc/figures.rs"]
mod figures;
#[path = "../../grpc/h2load.rs"]
mod h2load;
#[path = "../../grpc/load.rs"]
mod load;
mod load_test;
#[path = "../../grpc/machine.rs"]
mod machine;
mod many;
mod options;
mod ours;
mod paper;
mod plots;
#[path = "../../grpc/policies.rs"]
mod policies;
#[path = "../../grpc/process.rs"]
mod process;
mod report;
mod round;
mod scaling;
mod subject;
mod world;

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tokio::runtime::Builder;

use self::compare::{compared, subjects};
use self::embedded::Engine;
use self::options::{Options, Part, Role};
use self::ours::Setting;
use self::report::Row;
use self::round::Bench;
use self::scaling::Size;
use self::subject::Subject;

/// What comes of something, or why the benchmark ends.
type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions that are asked once only: more than are answered while it is measured.
const NEVER_TWICE: usize = 300_000;
/// Units of Cerbos' load test, of eight policies each.
const UNITS: usize = 100;

fn main() -> ExitCode {
    let options = Options::read();
    let outcome = match &options.role {
        Some(Role::Echo { answers }) => echo::serve(answers),
        Some(Role::Embedded { engine, policies, milliseconds }) => {
            embed(*engine, *policies, Duration::from_millis(*milliseconds))
        }
        Some(Role::Plot) => plot(&options),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Attempt<()> {
    let _checked_or_not = h2load::is_installed_or_said();
    let bench = Bench {
        binaries: options.binaries()?,
        effort: options.effort.clone(),
        shape: options.shape(),
        runtime: Builder::new_current_thread().enable_all().build()?,
    };
    if options.measures(Part::Policies) {
        let rows = policies_grow(options, &bench)?;
        report::write(&options.results.join("policies.json"), &rows)?;
        anstream::println!("{}", report::table(&rows));
    }
    if options.measures(Part::Workloads) {
        let rows = workloads(options, &bench)?;
        report::write(&options.results.join("workloads.json"), &rows)?;
        anstream::println!("{}", report::table(&rows));
    }
    if options.measures(Part::Embedded) {
        let engines = engines(options)?;
        report::write(&options.results.join("embedded.json"), &engines)?;
        anstream::println!("{}", report::engines(&engines));
    }
    if options.measures(Part::Cost) {
        let costs = cost::costs(&bench, &options.root.canonicalize()?)?;
        report::write(&options.results.join("cost.json"), &costs)?;
        anstream::println!("{}", report::costs(&costs));
    }
    plot(options)
}

/// The same question on every server, as policies grow.
fn policies_grow(options: &Options, bench: &Bench) -> Attempt<Vec<Row>> {
    let mut rows = Vec::new();
    for &policies in &options.policies {
        let whole = policies == options.most_rounds_at;
        let rounds = if whole { bench.effort.rounds } else { 1 };
        let world = scaling::world(Size { policies, of_a_kind: 1 })?;
        rows.extend(compared(bench, &world, policies, &subjects(whole), rounds)?);
    }
    Ok(rows)
}

/// The agent scenario, questions never asked before, the applications of the paper, Cerbos' load test.
fn workloads(options: &Options, bench: &Bench) -> Attempt<Vec<Row>> {
    let repository = options.root.canonicalize()?;
    let shipped = agents::people(&repository)?;
    let mut rows = compared(bench, &shipped, report::SHIPPED, &subjects(true), bench.effort.rounds)?;
    let fresh = scaling::world(Size { policies: options.most_rounds_at, of_a_kind: 1 })?;
    let fresh = scaling::never_twice(fresh, if options.quick { 20_000 } else { NEVER_TWICE })?;
    let cached = [false, true].map(|logged| Subject::Mandate(Setting { cached: true, logged }));
    rows.extend(compared(bench, &fresh, options.most_rounds_at, &cached, 1)?);
    for world in paper::worlds()? {
        rows.extend(compared(bench, &world, world.policies.len(), &subjects(false), 1)?);
    }
    let world = load_test::world(if options.quick { 2 } else { UNITS })?;
    rows.extend(compared(bench, &world, world.policies.len(), &subjects(false), 1)?);
    Ok(rows)
}

/// Each engine at each size, in a process of its own.
fn engines(options: &Options) -> Attempt<Vec<embedded::Figures>> {
    let milliseconds = options.effort.saturated().as_millis().to_string();
    let mut all = Vec::new();
    for &policies in &options.policies {
        for engine in ["mandate", "cedar", "cedarling"] {
            anstream::eprintln!("in process, {policies} policies: {engine}");
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["embedded", engine, &policies.to_string(), &milliseconds]).stderr(Stdio::inherit());
            let output = command.output()?;
            if !output.status.success() {
                return Err(format!("{engine} failed in process: {}", output.status).into());
            }
            all.push(serde_json::from_slice(&output.stdout)?);
        }
    }
    Ok(all)
}

/// Measures one engine in this process, and prints what was found as JSON.
fn embed(engine: Engine, policies: usize, time: Duration) -> Attempt<()> {
    let figures = mandate::engine::guard::on_parser_stack(|| embedded::measure(engine, policies, time))??;
    anstream::println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Draws what was written.
fn plot(options: &Options) -> Attempt<()> {
    let folder = if options.quick { options.results.clone() } else { options.root.join("docs/benchmarks") };
    let [rows, engines] = ["policies.json", "embedded.json"].map(|name| options.results.join(name));
    if rows.exists() {
        plots::of_policies(&folder, &report::read::<Vec<Row>>(&rows)?)?;
    }
    if engines.exists() {
        plots::of_engines(&folder, &report::read::<Vec<embedded::Figures>>(&engines)?)?;
    }
    Ok(())
}
