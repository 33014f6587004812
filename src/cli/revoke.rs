//! `mandate revoke`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::ask::reference;
use super::control::ControlArgs;
use super::output::{self, Format, GOOD};
use crate::server::pb;

/// Revoke a delegation, for good, with all that was delegated under it.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The delegation: `Mandate::Delegation::"id"`.
    #[arg(value_name = "DELEGATION", value_parser = reference)]
    grant: pb::EntityRef,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

impl Revoke {
    /// Revokes it, and prints the revision that shows it.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let request = pb::RevokeDelegationRequest { grant: Some(self.grant), reason: self.reason };
        let revoked = self.control.call(async |server| {
            let request = server.entitled(request.clone());
            Ok(server.entities().revoke_delegation(request).await?.into_inner().revision)
        });
        match revoked {
            Ok(revision) => {
                match format {
                    Format::Json => output::json(&json!({ "revision": revision })),
                    Format::Text => anstream::println!(
                        "{GOOD}revoked{GOOD:#}, with all that was delegated under it, for good\nrevision {revision}"
                    ),
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}
