//! `mandate entity watch`

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::Exit;
use super::super::check::name;
use super::super::control::ControlArgs;
use super::super::output::{FAINT, Format, NAME};
use super::entity_json;
use crate::server::pb;

/// Follow what changes.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// A revision: what was written since is told first.
    #[arg(long, value_name = "REV", default_value = "")]
    from: String,
    /// Tell what changed entities hold, too.
    #[arg(long)]
    entities: bool,
    /// End once all that was known at the beginning has been told.
    #[arg(long)]
    until_synced: bool,
    #[command(flatten)]
    control: ControlArgs,
}

impl Watch {
    pub(super) fn run(self, format: Format) -> Exit {
        let Self { from, entities, until_synced, control } = self;
        let request =
            pb::WatchRequest { from_revision: from, include_entities: entities, ..Default::default() };
        let watched = control.call(async |server| {
            let request = server.entitled(request.clone());
            let mut messages = server.entities().watch(request).await?.into_inner();
            while let Some(message) = messages.message().await? {
                let synced = message.synced;
                match format {
                    Format::Json => anstream::println!("{}", message_json(message)?),
                    Format::Text => print(&message),
                }
                if synced && until_synced {
                    break;
                }
            }
            Ok(())
        });
        match watched {
            Ok(()) => Exit::Ok,
            Err(exit) => exit,
        }
    }
}

fn print(message: &pb::WatchResponse) {
    let told = [("changed", &message.changed), ("deleted", &message.deleted), ("revoked", &message.revoked)];
    let parties = [("suspended", &message.suspended), ("lifted", &message.lifted)];
    for (what, uids) in told.into_iter().chain(parties) {
        for uid in uids {
            let whom = if uid.r#type.is_empty() { "everything".to_owned() } else { name(uid) };
            anstream::println!("{NAME}{what:9}{NAME:#} {whom}");
        }
    }
    let states = [
        (message.reset, "reset: everything told before is void; what is stored follows"),
        (message.generation_published, "another generation is served"),
        (message.synced, "synced: all that was known is told"),
    ];
    for (_, what) in states.iter().filter(|(holds, _)| *holds) {
        anstream::println!("{FAINT}{what}; revision {}{FAINT:#}", message.revision);
    }
}

/// A message as one line of JSON, without what it does not say.
fn message_json(message: pb::WatchResponse) -> Result<Value, tonic::Status> {
    let mut line = Map::new();
    let pb::WatchResponse { revision, changed, deleted, revoked, suspended, lifted, entities, lease, .. } =
        message;
    for (what, holds) in [
        ("reset", message.reset),
        ("generation_published", message.generation_published),
        ("synced", message.synced),
    ] {
        if holds {
            line.insert(what.to_owned(), true.into());
        }
    }
    if !revision.is_empty() {
        line.insert("revision".to_owned(), revision.into());
    }
    let lists = [
        ("changed", changed),
        ("deleted", deleted),
        ("revoked", revoked),
        ("suspended", suspended),
        ("lifted", lifted),
    ];
    for (what, uids) in lists.into_iter().filter(|(_, uids)| !uids.is_empty()) {
        let uids: Vec<_> = uids.iter().map(|uid| json!({"type": uid.r#type, "id": uid.id})).collect();
        line.insert(what.to_owned(), uids.into());
    }
    if !entities.is_empty() {
        let entities: Vec<_> = entities.into_iter().map(entity_json).collect::<Result<_, _>>()?;
        line.insert("entities".to_owned(), entities.into());
    }
    line.insert("lease_seconds".to_owned(), lease.map_or(0, |lease| lease.seconds).into());
    Ok(line.into())
}
