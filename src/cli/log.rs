//! `mandate log …`: the decision log, read from its folder. No server is needed; `query` and `tail` can ask one.

mod keys;
mod moment;
mod place;
mod prove;
mod query;
mod reconcile;
mod story;
mod tail;
mod trust;
mod verify;
mod verify_receipt;
mod when;

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
    /// Find records: by who, to what, on whose authority, by which policy, when.
    Query(Box<query::Find>),
    /// Tell one session: what was asked, on whose authority, what was decided and why, and what became of it.
    Story(story::Tell),
    /// Follow the log of a running server.
    Tail(tail::Follow),
    /// Hold what was executed to what was decided.
    Reconcile(reconcile::Reconcile),
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
            LogCommand::Query(command) => command.run(format),
            LogCommand::Story(command) => command.run(format),
            LogCommand::Tail(command) => command.run(format),
            LogCommand::Reconcile(command) => command.run(format),
            LogCommand::Verify(command) => command.run(format),
            LogCommand::Prove(command) => command.run(),
            LogCommand::VerifyReceipt(command) => command.run(format),
            LogCommand::Keys(command) => command.run(format),
        }
    }
}
