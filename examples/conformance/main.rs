//! Hold every door that decides to tests that others publish of the Cedar language.
//!
//! `cargo run --release --example conformance -- PATH…`
//!
//! A path is a corpus (one test a line, as JSON, plain or gzip), a test written by hand (a `.json` that names its sources), an
//! example application (a folder with `ALLOW` or `DENY` in it), or a folder of any of these. Every test is compiled as the
//! language allows and no more, published to one running server, and every question of it is asked of the engine, twice
//! through the server's own door (the second time the cache must answer), and twice over gRPC (decided anew, then from the
//! cache). Decision, determining policies and policies that failed must be what was published; so must the verdict of the
//! strict validator, and that a question fits the schema where the test says so.
//!
//! Exits 0 if everything passed, 1 if anything failed, 2 if a path cannot be read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows its result")]

mod harness;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use harness::bundle::Bundle;
use harness::tally::Tally;
use harness::{Attempt, Harness};

/// Hold engine, cache and gRPC to published tests of the Cedar language.
#[derive(Debug, Parser)]
#[command(after_help = "Exits 0 if everything passed, 1 if anything failed, 2 if a path cannot be read.")]
struct Arguments {
    /// A corpus (`.jsonl`, `.jsonl.gz`: one test a line), a test written by hand (`.json`), an example application (a folder
    /// with `ALLOW` or `DENY` in it), or a folder of these.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many failures to show.
    #[arg(long, default_value_t = 10)]
    failures: usize,
    /// Take every n-th test only.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut bundles = Vec::new();
    for path in &arguments.paths {
        match harness::read(path) {
            Ok(found) => {
                println!("{}: {} tests", path.display(), found.len());
                bundles.extend(found);
            }
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::from(2);
            }
        }
    }
    if arguments.every > 1 {
        println!("taking one test of {}", arguments.every);
        bundles =
            bundles.into_iter().step_by(usize::try_from(arguments.every).unwrap_or(usize::MAX)).collect();
    }
    match run(bundles, arguments.failures) {
        Ok(tally) => {
            print!("{tally}");
            ExitCode::from(u8::from(tally.failed() > 0))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(bundles: Vec<Bundle>, failures: usize) -> Attempt<Tally> {
    let runtime = mandate::app::runtime()?;
    // On its own threads, which have the stack that evaluation needs.
    runtime.block_on(runtime.spawn(async move {
        let mut harness = Harness::start(failures).await?;
        let all = bundles.len();
        for (number, bundle) in (1_usize..).zip(&bundles) {
            harness.check(bundle).await;
            show(number, all, &harness.tally);
        }
        harness.stop().await
    }))?
}

/// Progress, for people.
fn show(number: usize, all: usize, tally: &Tally) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() && (number.is_multiple_of(50) || number == all) {
        let end = if number == all { "\n" } else { "" };
        let _unseen = write!(terminal, "\r{number}/{all} tests, {} failures{end}", tally.failed());
    }
}
