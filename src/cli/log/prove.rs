//! `mandate log prove`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::audit::tree::receipt::{NoReceipt, Receipt};
use crate::audit::tree::verify;
use crate::cli::Exit;
use crate::cli::output;
use crate::cli::sources::SourceArgs;

/// Make a receipt of one decision: what shows that it is in the log. It goes to standard output, as JSON.
#[derive(Debug, Args)]
pub(super) struct Prove {
    /// The decision's id.
    #[arg(value_name = "DECISION_ID")]
    id: String,
    /// Folder of the log, or one that holds some [default: the configuration's].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
}

impl Prove {
    pub(super) fn run(self) -> Exit {
        match self.receipt() {
            Ok(receipt) => {
                output::json(&json!(receipt));
                Exit::Ok
            }
            Err(NotProven::Said(exit)) => exit,
            Err(NotProven::Receipt(NoReceipt::NotIntact(folder))) => {
                output::failure(&NoReceipt::NotIntact(folder));
                Exit::Rejected
            }
            Err(NotProven::Receipt(problem)) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }

    fn receipt(&self) -> Result<Receipt, NotProven> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => self.sources.config(self.sources.overrides()).map_err(NotProven::Said)?.log.directory,
        };
        let mut unknown = NoReceipt::Unknown { id: self.id.clone(), directory: folder.clone() };
        for folder in verify::folders(&folder).map_err(NoReceipt::Io)? {
            match Receipt::of(&folder, &self.id) {
                Err(error @ NoReceipt::Unknown { .. }) => unknown = error,
                found => return found.map_err(NotProven::Receipt),
            }
        }
        Err(NotProven::Receipt(unknown))
    }
}

/// Why there is no receipt.
enum NotProven {
    /// It was said already.
    Said(Exit),
    /// It is still to be said.
    Receipt(NoReceipt),
}

impl From<NoReceipt> for NotProven {
    fn from(problem: NoReceipt) -> Self {
        Self::Receipt(problem)
    }
}
