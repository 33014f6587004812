//! `mandate log tail`

use clap::Args;

use super::moment;
use crate::cli::Exit;
use crate::cli::control::ControlArgs;
use crate::cli::output::Format;
use crate::server::pb;

/// Follow the log of a running server: every record, once it is on disk.
#[derive(Debug, Args)]
pub(super) struct Follow {
    /// Id of a record: what was written since is shown first [default: from now on].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    after: String,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    control: ControlArgs,
}

impl Follow {
    pub(super) fn run(self, format: Format) -> Exit {
        let Self { after, limit, control } = self;
        let followed = control.call(async |server| {
            let request = server.entitled(pb::TailRequest { after_decision_id: after.clone() });
            let mut records = server.log().tail(request).await?.into_inner();
            let mut left = limit;
            while left != Some(0) {
                let Some(record) = records.message().await? else { break };
                left = left.map(|left| left - 1);
                if !moment::show(record.json.as_bytes(), format) {
                    break;
                }
            }
            Ok(())
        });
        followed.err().unwrap_or(Exit::Ok)
    }
}
