//! `mandate completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Exit};

/// Print completions for a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints them to standard output.
    #[must_use]
    pub fn run(self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mandate", &mut script);
        anstream::print!("{}", String::from_utf8_lossy(&script));
        Exit::Ok
    }
}
