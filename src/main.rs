//! The `mandate` command.

use std::process::ExitCode;

use mandate::cli;
use mandate::engine::guard;

/// Everything runs on a thread with the parser's stack: the command line reads policies, schemas and cases too.
fn main() -> ExitCode {
    match guard::on_parser_stack(cli::run) {
        Ok(exit) => exit.into(),
        Err(_) => cli::Exit::Failure.into(),
    }
}
