//! `mandate rollback`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::control::ControlArgs;
use super::output::{self, Format, GOOD};

/// Serve an earlier set again, until the files change.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The generation to go back to: its hash, or the beginning of it. `mandate status` lists those that are kept.
    #[arg(value_name = "REV", required_unless_present = "release", conflicts_with = "release")]
    generation: Option<String>,
    /// End a rollback: load the files as they are.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    control: ControlArgs,
}

impl Rollback {
    /// Tells the server, and prints what it serves now.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let asked = self.generation.as_deref();
        let served = match self.control.call(async |server| server.rollback(asked).await) {
            Ok(served) => served,
            Err(exit) => return exit,
        };
        match format {
            Format::Json => output::json(&json!({ "generation": served })),
            Format::Text => {
                anstream::println!("{GOOD}serving{GOOD:#} generation {served}");
                let held = if self.release {
                    "as the files say, unless they are rejected: `mandate status` tells"
                } else {
                    "until the files change, or `mandate rollback --release`"
                };
                anstream::println!("{held}");
            }
        }
        Exit::Ok
    }
}
