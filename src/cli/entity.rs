//! `mandate entity`

mod backup;
mod put;
mod watch;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::Status;

use super::Exit;
use super::ask::reference;
use super::control::ControlArgs;
use super::output::{self, FAINT, Format, GOOD};
use crate::server::{pb, stored};

/// Store, show, follow and copy entities of a running server.
#[derive(Debug, Args)]
pub struct Entity {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Store entities, in place of those that have their names: all of them, or none.
    Put(put::Put),
    /// Show an entity, and whose it is.
    Get(Get),
    /// Forget entities: all of them, or none.
    Delete(Delete),
    /// List the entities of a type, in the order of their ids.
    List(List),
    /// Follow what changes.
    Watch(watch::Watch),
    /// Copy everything that was written at run time to a file.
    Backup(backup::Backup),
    /// Replace what was written at run time by a copy, in a data directory that no server has.
    Restore(backup::Restore),
}

impl Entity {
    /// Does what it says.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match self.command {
            Command::Put(command) => command.run(format),
            Command::Get(command) => command.run(format),
            Command::Delete(command) => command.run(format),
            Command::List(command) => command.run(format),
            Command::Watch(command) => command.run(format),
            Command::Backup(command) => command.run(format),
            Command::Restore(command) => command.run(format),
        }
    }
}

#[derive(Debug, Args)]
struct Get {
    /// The entity: `Mandate::User::"ana"`.
    #[arg(value_name = "UID", value_parser = reference)]
    uid: pb::EntityRef,
    #[command(flatten)]
    control: ControlArgs,
}

impl Get {
    fn run(self, format: Format) -> Exit {
        let request = pb::GetEntityRequest { uid: Some(self.uid) };
        let got = self.control.call(async |server| {
            let request = server.entitled(request.clone());
            let pb::GetEntityResponse { entity, owner, revision } =
                server.entities().get_entity(request).await?.into_inner();
            Ok((entity_json(entity.unwrap_or_default())?, owner, revision))
        });
        match got {
            Ok((entity, owner, revision)) => {
                match format {
                    Format::Json => {
                        output::json(&json!({ "entity": entity, "owner": owner, "revision": revision }));
                    }
                    Format::Text => {
                        anstream::println!(
                            "{entity:#}\n{FAINT}owned by {owner}; revision {revision}{FAINT:#}"
                        );
                    }
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}

#[derive(Debug, Args)]
struct Delete {
    /// The entities.
    #[arg(value_name = "UID", required = true, value_parser = reference)]
    uids: Vec<pb::EntityRef>,
    /// The revision that the store must be at.
    #[arg(long, value_name = "REV", default_value = "")]
    if_revision: String,
    #[command(flatten)]
    control: ControlArgs,
}

impl Delete {
    fn run(self, format: Format) -> Exit {
        let count = self.uids.len();
        let request = pb::DeleteEntitiesRequest { uids: self.uids, if_revision: self.if_revision };
        let deleted = self.control.call(async |server| {
            let request = server.entitled(request.clone());
            Ok(server.entities().delete_entities(request).await?.into_inner().revision)
        });
        match deleted {
            Ok(revision) => {
                match format {
                    Format::Json => output::json(&json!({ "deleted": count, "revision": revision })),
                    Format::Text => anstream::println!("{GOOD}deleted{GOOD:#} {count}\nrevision {revision}"),
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}

#[derive(Debug, Args)]
struct List {
    /// The type: `Mandate::User`.
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// Most entities to list.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    control: ControlArgs,
}

impl List {
    fn run(self, format: Format) -> Exit {
        let Self { type_name, limit, control } = self;
        let listed = control.call(async |server| {
            let (mut listed, mut page_token, mut at) = (Vec::new(), String::new(), String::new());
            while listed.len() < limit {
                let page_size = u32::try_from(limit - listed.len()).unwrap_or(u32::MAX).min(1_000);
                let request = pb::ListEntitiesRequest { r#type: type_name.clone(), page_token, page_size };
                let request = server.entitled(request);
                let page = server.entities().list_entities(request).await?.into_inner();
                for entity in page.entities {
                    listed.push(entity_json(entity)?);
                }
                (page_token, at) = (page.next_page_token, page.revision);
                if page_token.is_empty() {
                    return Ok((listed, false, at));
                }
            }
            Ok((listed, true, at))
        });
        match listed {
            Ok((entities, more, revision)) => {
                match format {
                    Format::Json => {
                        output::json(&json!({ "entities": entities, "more": more, "revision": revision }));
                    }
                    Format::Text => {
                        entities.iter().for_each(|entity| anstream::println!("{entity}"));
                        let more = if more { ", and more: see --limit" } else { "" };
                        anstream::println!(
                            "{FAINT}{} entities{more}; revision {revision}{FAINT:#}",
                            entities.len()
                        );
                    }
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}

/// An entity as an entity file writes it.
fn entity_json(entity: pb::Entity) -> Result<Value, Status> {
    let text = stored::text(entity, "entity").map_err(|error| Status::internal(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| Status::internal(error.to_string()))
}
