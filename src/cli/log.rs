//! `mandate log …`: the decision log, read from its folder. No server is needed.

mod keys;
mod prove;
mod trust;
mod verify;
mod verify_receipt;

use clap::{Args, Subcommand};

use super::Exit;
use super::output::Format;

/// Read the decision log, and hold it to what was signed.
#[derive(Debug, Args)]
pub struct Log {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Show whether logs are what was written and signed, with public keys alone.
    Verify(verify::Verify),
    /// Make a receipt of one decision: what shows that it is in the log.
    Prove(prove::Prove),
    /// Show what a receipt proves.
    VerifyReceipt(verify_receipt::VerifyReceipt),
    /// Print the public keys of a log, to be published where its owner cannot change them.
    Keys(keys::Keys),
}

impl Log {
    /// Does what the subcommand says.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match self.command {
            LogCommand::Verify(command) => command.run(format),
            LogCommand::Prove(command) => command.run(),
            LogCommand::VerifyReceipt(command) => command.run(format),
            LogCommand::Keys(command) => command.run(format),
        }
    }
}
