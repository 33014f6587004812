//! The `mandate` command.

use std::process::ExitCode;

use mandate::cli;
use mandate::engine::guard;
use mimalloc::MiMalloc;

/// The writer of the decision log gives back what those who decide took, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Everything runs on a thread with the parser's stack: the command line reads policies, schemas and cases too.
fn main() -> ExitCode {
    match guard::on_parser_stack(cli::run) {
        Ok(exit) => exit.into(),
        Err(_) => cli::Exit::Failure.into(),
    }
}
