//! `mandate log query`

use clap::Args;
use jiff::Timestamp;

use super::moment;
use super::place::{PlaceArgs, tell_problem};
use super::when::instant;
use crate::audit::reading::gathered::Gathered;
use crate::cli::Exit;
use crate::cli::ask::reference;
use crate::cli::control::ControlArgs;
use crate::cli::output::{self, Format};
use crate::server::{log_query, pb};

/// Find records: by who, to what, on whose authority, by which policy, when. All that is given must hold.
///
/// Exits with 1 if a part of the log cannot be read, or instances are missing that were expected.
#[derive(Debug, Args)]
pub(super) struct Find {
    #[command(flatten)]
    what: What,
    /// Most records to show.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: u32,
    /// Ask the running server, over its control listener, rather than read its folder.
    #[arg(long, conflicts_with = "directories")]
    server: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    control: ControlArgs,
}

/// What is looked for.
#[derive(Debug, Args)]
struct What {
    /// At this instant or later: RFC 3339, or how long ago (`2h`).
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
    /// Who acts: an id, or `Type::"id"`.
    #[arg(long, value_name = "ENTITY", value_parser = named)]
    principal: Option<pb::EntityRef>,
    /// On whose authority: somebody in the chain before whoever acts.
    #[arg(long, value_name = "ENTITY", value_parser = named)]
    delegator: Option<pb::EntityRef>,
    /// To what: the tool, or another resource.
    #[arg(long, visible_alias = "tool", value_name = "ENTITY", value_parser = named)]
    resource: Option<pb::EntityRef>,
    /// Id of the action.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    action: String,
    /// What was decided.
    #[arg(long, value_parser = ["allow", "deny"])]
    decision: Option<String>,
    /// Id of a policy that decided.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    policy: String,
    /// The agent's session.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    session: String,
    /// The conversation within it.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    conversation: String,
    /// Id of a decision or other record; finds the decision's outcomes, too.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    decision_id: String,
    /// Kind of record: `decision`, `refusal`, `outcome`, `change`, `generation`, `start`, `stop`, `gap`, `checkpoint`, …
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
}

/// An entity, or the id of one of any type.
fn named(text: &str) -> Result<pb::EntityRef, String> {
    if text.contains("::\"") {
        return reference(text);
    }
    Ok(pb::EntityRef { r#type: String::new(), id: text.to_owned() })
}

impl Find {
    pub(super) fn run(self, format: Format) -> Exit {
        if self.server {
            return self.ask(format);
        }
        match self.read(format) {
            Ok(true) => Exit::Ok,
            Ok(false) => Exit::Failure,
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }

    fn request(&self) -> pb::QueryRequest {
        let What { from, to, principal, delegator, resource, .. } = &self.what;
        let What { action, decision, policy, session, conversation, decision_id, kind, .. } = &self.what;
        pb::QueryRequest {
            from: from.map(wire_time),
            to: to.map(wire_time),
            principal: principal.clone(),
            delegator: delegator.clone(),
            resource: resource.clone(),
            decision: decision.clone().unwrap_or_default(),
            policy_id: policy.clone(),
            session_id: session.clone(),
            decision_id: decision_id.clone(),
            limit: self.limit,
            action: action.clone(),
            kind: kind.clone(),
            conversation_id: conversation.clone(),
        }
    }

    /// Reads folders; whether nothing was missing.
    fn read(&self, format: Format) -> Result<bool, String> {
        let query = log_query::of(self.request()).map_err(|error| error.to_string())?;
        let folders = self.place.folders(&self.control)?;
        let mut good = !self.place.tell_missing(&folders)?;
        let limit =
            if self.limit == 0 { usize::MAX } else { usize::try_from(self.limit).unwrap_or(usize::MAX) };
        let mut shown = 0;
        let found = Gathered::new(&folders, &query, self.place.indexes());
        for hit in found.map_err(|error| error.to_string())? {
            if shown == limit {
                break;
            }
            match hit {
                Ok(hit) => {
                    shown += 1;
                    if !moment::show(&hit.line, format) {
                        break;
                    }
                }
                Err(problem) => {
                    good = false;
                    tell_problem(&problem);
                }
            }
        }
        Ok(good)
    }

    fn ask(&self, format: Format) -> Exit {
        let request = self.request();
        let asked = self.control.call(async |server| {
            let request = server.entitled(request.clone());
            let mut records = server.log().query(request).await?.into_inner();
            while let Some(record) = records.message().await? {
                if !moment::show(record.json.as_bytes(), format) {
                    break;
                }
            }
            Ok(())
        });
        asked.err().unwrap_or(Exit::Ok)
    }
}

fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}
