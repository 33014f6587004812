//! Flags that say where the sources are, and loading them for offline commands.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Exit;
use super::output::{self, Format};
use super::progress::Bar;
use crate::config::{Config, Overrides};
use crate::engine::compile::{Compiler, Loaded};
use crate::engine::problem::Report;
use crate::store::{directory, workers};

/// Where the sources are.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of policies [default: policies].
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Folder of schemas [default: schemas].
    #[arg(long, value_name = "DIR")]
    pub schemas: Option<PathBuf>,
    /// Folder of entities [default: entities].
    #[arg(long, value_name = "DIR")]
    pub entities: Option<PathBuf>,
    /// Folder of policies about callers [default: pep].
    #[arg(long, value_name = "DIR")]
    pub pep: Option<PathBuf>,
}

impl SourceArgs {
    /// What the flags override.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            policies: self.policies.clone(),
            schemas: self.schemas.clone(),
            entities: self.entities.clone(),
            pep: self.pep.clone(),
            ..Overrides::default()
        }
    }

    /// The configuration, or what the command exits with after saying why there is none.
    ///
    /// # Errors
    /// [`Exit::Failure`].
    pub fn config(&self, overrides: Overrides) -> Result<Config, Exit> {
        Config::load(self.config.as_deref(), overrides).map_err(|error| {
            output::failure(&error);
            Exit::Failure
        })
    }

    /// The world, without a word of what is wrong.
    ///
    /// # Errors
    /// The [`Report`] of everything wrong with the sources, or how the command exits.
    pub fn try_load(&self, format: Format) -> Result<Result<Loaded, Report>, Exit> {
        let config = self.config(self.overrides())?;
        let mut compiler = Compiler::new(config.options, workers::all());
        let progress = Arc::default();
        let _shown_till_loaded = Bar::watch(&progress, format);
        compiler.report_to(progress);
        Ok(directory::read_signed(&config.folders, &config.signers)
            .and_then(|sources| compiler.compile(&sources)))
    }

    /// The world, or what the command exits with after reporting every problem.
    ///
    /// # Errors
    /// [`Exit::Rejected`] or [`Exit::Failure`].
    pub fn load(&self, format: Format) -> Result<Loaded, Exit> {
        self.try_load(format)?.map_err(|report| {
            match format {
                Format::Text => output::problems(&report),
                Format::Json => output::json(&output::report_json(&report)),
            }
            Exit::Rejected
        })
    }
}
