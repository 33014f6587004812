//! Where the logs are that are read.

use std::path::PathBuf;

use clap::Args;

use crate::audit::reading::census::{Census, Expected};
use crate::audit::reading::gathered;
use crate::audit::reading::search::Indexes;
use crate::cli::control::ControlArgs;
use crate::cli::output::{BAD, NAME};

/// Where the logs are.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Folder of a log, or one that holds those of many instances. May be given again [default: the configuration's].
    #[arg(long = "dir", value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// How many logs there must be, or a file of the ids of logs or processes that must be there, one a line.
    #[arg(long, value_name = "N|FILE", requires = "directories")]
    expect_instances: Option<String>,
    /// Read every record, whatever an index says.
    #[arg(long)]
    no_index: bool,
}

impl PlaceArgs {
    /// Folders of logs.
    pub(super) fn folders(&self, control: &ControlArgs) -> Result<Vec<PathBuf>, String> {
        let given = match self.directories.as_slice() {
            [] => vec![control.log_directory()?],
            given => given.to_vec(),
        };
        gathered::folders(&given).map_err(|error| error.to_string())
    }

    /// Whether indexes are used.
    pub(super) fn indexes(&self) -> Indexes {
        if self.no_index { Indexes::Ignore } else { Indexes::Use }
    }

    /// Says whose records are missing from what was gathered, to standard error; whether something is that was expected.
    pub(super) fn tell_missing(&self, folders: &[PathBuf]) -> Result<bool, String> {
        if self.directories.is_empty() {
            return Ok(false);
        }
        let expected = self.expected()?;
        let census = Census::of(folders, self.indexes()).map_err(|error| error.to_string())?;
        let missing = census.missing(expected.as_ref());
        missing.iter().for_each(|missing| anstream::eprintln!("{NAME}missing{NAME:#}: {missing}"));
        Ok(expected.is_some() && missing.iter().any(|missing| missing.is_of_expected()))
    }

    fn expected(&self) -> Result<Option<Expected>, String> {
        let Some(text) = &self.expect_instances else { return Ok(None) };
        if let Ok(count) = text.parse() {
            return Ok(Some(Expected::Count(count)));
        }
        let ids =
            std::fs::read_to_string(text).map_err(|error| format!("`{text}` cannot be read: {error}"))?;
        let ids = ids.lines().map(str::trim).filter(|id| !id.is_empty() && !id.starts_with('#'));
        Ok(Some(Expected::Ids(ids.map(str::to_owned).collect())))
    }
}

/// Says what could not be read, to standard error.
pub(super) fn tell_problem(problem: &dyn std::fmt::Display) {
    anstream::eprintln!("{BAD}unread{BAD:#}: {problem}");
}
