//! `mandate quarantine` and `mandate freeze`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::ask::reference;
use super::control::ControlArgs;
use super::output::{self, BAD, Format, GOOD};
use crate::server::pb;

/// Deny everything that a principal takes part in, until it is lifted.
#[derive(Debug, Args)]
pub struct Quarantine {
    /// The principal: `Mandate::Agent::"id"`.
    #[arg(value_name = "PRINCIPAL", value_parser = reference)]
    principal: pb::EntityRef,
    #[command(flatten)]
    how: How,
}

/// Deny everything to everybody, until it is lifted.
#[derive(Debug, Args)]
pub struct Freeze {
    #[command(flatten)]
    how: How,
}

/// What both are told.
#[derive(Debug, Args)]
struct How {
    /// End it.
    #[arg(long)]
    lift: bool,
    /// Why: told to whoever is denied, and for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

impl Quarantine {
    /// Suspends the principal, and prints the revision that shows it.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        self.how.run(Some(self.principal), format)
    }
}

impl Freeze {
    /// Suspends everybody, and prints the revision that shows it.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        self.how.run(None, format)
    }
}

impl How {
    fn run(self, principal: Option<pb::EntityRef>, format: Format) -> Exit {
        let Self { lift, reason, control } = self;
        let whom = principal.as_ref().map_or_else(|| "everything".to_owned(), super::check::name);
        let request = pb::SuspendRequest { principal, reason, lift };
        let suspended = control.call(async |server| {
            let request = server.entitled(request.clone());
            Ok(server.admin().suspend(request).await?.into_inner().revision)
        });
        match suspended {
            Ok(revision) => {
                match format {
                    Format::Json => output::json(&json!({ "suspended": !lift, "revision": revision })),
                    Format::Text if lift => {
                        anstream::println!("{GOOD}lifted{GOOD:#}: {whom}\nrevision {revision}")
                    }
                    Format::Text => anstream::println!(
                        "{BAD}suspended{BAD:#}: {whom}, until the same command with --lift\nrevision {revision}"
                    ),
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}
