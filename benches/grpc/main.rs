//! What a decision costs over gRPC: `mandate serve` as users run it, against a bare tonic echo of the same messages.
//!
//! In reading order: [`workload`] is what is asked, [`configuration`] of which servers, over which [`sources`]; [`process`] runs
//! one, [`echo`] is the one to compare with; [`load`] is how much is asked when, [`client`] asks by way of its [`caller`] and holds answers to what is [`checked`]; [`round`] puts them
//! together; [`report`] sums [`figures`] up. `benches/peers` asks with the same load.

mod caller;
mod checked;
mod children;
mod client;
mod configuration;
mod cpu;
mod echo;
mod figures;
mod h2load;
mod load;
mod machine;
mod options;
mod policies;
mod process;
mod report;
mod round;
mod sources;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tokio::runtime::Builder;

use self::configuration::{CONFIGURATIONS, Configuration, Known};
use self::load::LEAST_HITS;
use self::options::{Options, Role};
use self::report::{Report, Series};
use self::round::{Bench, CrossCheck, Subject};
use self::workload::Workload;

/// What comes of something, or why the benchmark ends.
type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As Mandate's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.role {
        Some(Role::Echo { answers }) => echo::serve(answers),
        None => measure(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: Options) -> Attempt<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir()?;
    let (sources, left_out) = sources::sources_without_clock(root, folder.path())?;
    let known = Known::probe(&sources)?;
    let measured = measurable(&known);
    let workload = Arc::new(Workload::over(&sources.entities)?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answers = folder.path().join("answers.bin");
    let bench = Bench { options, sources, known, workload, answers, runtime };
    capture(&bench, measured.first().copied().ok_or("this build knows no configuration that is measured")?)?;

    let subjects: Vec<_> =
        [Subject::Echo].into_iter().chain(measured.into_iter().map(Subject::Mandate)).collect();
    let all = rounds(&bench, &subjects)?;
    let checks = cross_checks(&bench, &subjects)?;
    let report = Report::of(&all, &checks, &bench.workload, &left_out, &bench.options)?;
    anstream::println!("{}", report.table());
    figures::write(&root.join("target/bench/grpc.json"), &report)?;
    all.iter().try_for_each(check)
}

/// The configurations that this build can be run in; says which it cannot.
fn measurable(known: &Known) -> Vec<&'static Configuration> {
    let (measured, skipped): (Vec<_>, Vec<_>) =
        CONFIGURATIONS.iter().partition(|configuration| configuration.missing(known).is_empty());
    for configuration in skipped {
        let missing = configuration.missing(known).join(", ");
        anstream::eprintln!("NOT MEASURED: {}: this build does not know {missing}", configuration.name);
    }
    measured
}

/// Has the server answer everything once, for the echo to repeat.
fn capture(bench: &Bench, configuration: &'static Configuration) -> Attempt<()> {
    let server = bench.start(Subject::Mandate(configuration))?;
    let client = bench.client(&server)?;
    let answers = bench.runtime.block_on(client.answers())?;
    drop(client);
    bench.runtime.block_on(server.stop())?;
    echo::write_answers(&bench.answers, &answers)
}

/// Takes the subjects in turn, so that what disturbs the machine for a while disturbs all of them.
fn rounds(bench: &Bench, subjects: &[Subject]) -> Attempt<Vec<Series>> {
    let mut all: Vec<_> = subjects.iter().map(|&subject| Series { subject, rounds: Vec::new() }).collect();
    for number in 1..=bench.options.rounds {
        for series in &mut all {
            anstream::eprintln!("round {number} of {}: {}", bench.options.rounds, series.subject.name());
            series.rounds.push(bench.round(series.subject)?);
        }
    }
    Ok(all)
}

fn cross_checks(bench: &Bench, subjects: &[Subject]) -> Attempt<Vec<CrossCheck>> {
    if !h2load::is_installed_or_said() {
        return Ok(Vec::new());
    }
    subjects.iter().map(|&subject| bench.cross_check(subject)).collect()
}

/// Fails if a server answered anything wrongly, or said that it answers from a cache that it should (not) have.
fn check(series: &Series) -> Attempt<()> {
    let name = series.subject.name();
    let loads = || series.rounds.iter().flat_map(|round| [&round.saturated, &round.paced]);
    let failures: u64 = loads().map(|load| load.failures).sum();
    if failures > 0 {
        let example = loads().find_map(|load| load.example.as_deref()).unwrap_or_default();
        return Err(format!("{name}: {failures} wrong answers, such as: {example}").into());
    }
    let Subject::Mandate(configuration) = series.subject else { return Ok(()) };
    let (told, hits) = loads().fold((0, 0), |(told, hits), load| (told + load.told, hits + load.hits));
    let share = hits as f64 / told as f64;
    match configuration.is_cached() {
        true if told == 0 => {
            anstream::eprintln!("UNCERTAIN: {name}: the server does not say what came from its cache")
        }
        true if share < LEAST_HITS => {
            return Err(format!("{name}: {share:.3} of answers came from the cache").into());
        }
        false if hits > 0 => {
            return Err(format!("{name}: {hits} answers came from a cache that is off").into());
        }
        _ => {}
    }
    Ok(())
}
