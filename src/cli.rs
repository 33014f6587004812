//! The command line: one file a subcommand.

pub mod ask;
pub mod check;
pub mod completions;
pub mod control;
pub mod entity;
pub mod example;
pub mod explain;
pub mod import_mcp;
pub mod log;
pub mod output;
pub mod progress;
pub mod proxy;
#[cfg(test)]
mod reference_tests;
pub mod revoke;
pub mod rollback;
pub mod search;
pub mod serve;
pub mod sign;
pub mod sources;
pub mod status;
pub mod suspend;
pub mod test;
pub mod tls;
pub mod token;
pub mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Format;

const EXIT_CODES: &str = "Exit codes: 0 ok · 1 failure · 2 deny · 3 policies, schema, entities, a token or a log rejected · 4 cases failed";

/// The policy decision point for AI agents.
#[derive(Debug, Parser)]
#[command(name = "mandate", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// How to print: for people, or for machines.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve decisions over gRPC and HTTP.
    Serve(serve::Serve),
    /// Decide one request, from files or by asking a server.
    Check(check::Check),
    /// Decide one request and show why, as a tree.
    Explain(explain::Explain),
    /// Find what would be allowed: actions, resources or principals.
    Search(search::Search),
    /// Check policies, schema and entities, and report every problem.
    Validate(validate::Validate),
    /// Sign the manifest of a set of sources.
    Sign(sign::Sign),
    /// Run policy cases.
    Test(test::Test),
    /// Print a valid request for an action.
    Example(example::Example),
    /// Turn an MCP server's tool list into entities and typed actions.
    ImportMcp(import_mcp::ImportMcp),
    /// Stand in front of an MCP server: decide each call, and show only what may be used.
    Proxy(Box<proxy::Proxy>),
    /// Show what a running server serves, and what is wrong with its files.
    Status(status::Status),
    /// Have a running server serve an earlier set again, until the files change.
    Rollback(rollback::Rollback),
    /// Store, show, follow and copy entities of a running server.
    Entity(entity::Entity),
    /// Revoke a delegation, for good, with all that was delegated under it.
    Revoke(revoke::Revoke),
    /// Deny everything that a principal takes part in, until it is lifted.
    Quarantine(suspend::Quarantine),
    /// Deny everything to everybody, until it is lifted.
    Freeze(suspend::Freeze),
    /// Read the decision log, and hold it to what was signed.
    Log(log::Log),
    /// Show what is made of a subject's token.
    Token(token::Token),
    /// Print completions for a shell.
    Completions(completions::Completions),
}

/// How a command ended. The numbers are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; allowed, where a decision was asked for.
    Ok,
    /// It could not be done.
    Failure,
    /// Denied.
    Deny,
    /// Policies, schema, entities, a token, a log or a receipt are rejected.
    Rejected,
    /// Cases failed.
    CasesFailed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Deny => 2,
            Exit::Rejected => 3,
            Exit::CasesFailed => 4,
        })
    }
}

/// Parses the command line and does what it says.
#[must_use]
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors; a wrong usage must not exit with 2, which means deny.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Failure } else { Exit::Ok };
            return if error.print().is_ok() { exit } else { Exit::Failure };
        }
    };
    let format = cli.format;
    match cli.command {
        Command::Serve(command) => command.run(format),
        Command::Check(command) => command.run(format),
        Command::Explain(command) => command.run(format),
        Command::Search(command) => command.run(format),
        Command::Validate(command) => command.run(format),
        Command::Sign(command) => command.run(format),
        Command::Test(command) => command.run(format),
        Command::Example(command) => command.run(),
        Command::ImportMcp(command) => command.run(format),
        Command::Proxy(command) => command.run(format),
        Command::Status(command) => command.run(format),
        Command::Rollback(command) => command.run(format),
        Command::Entity(command) => command.run(format),
        Command::Revoke(command) => command.run(format),
        Command::Quarantine(command) => command.run(format),
        Command::Freeze(command) => command.run(format),
        Command::Log(command) => command.run(format),
        Command::Token(command) => command.run(format),
        Command::Completions(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
