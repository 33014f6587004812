//! A decision point without listeners, for whoever asks it in the same process.

use std::sync::Arc;

use super::StartError;
use super::running::{Prepared, Running, Started};
use crate::config::Config;
use crate::engine::problem::Report;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::pdp::Pdp;
use crate::store::data_dir::DataDir;

/// A decision point that decides for this process alone.
#[derive(Debug)]
pub struct Embedded {
    /// The decision point.
    pub pdp: Arc<Pdp>,
    /// What loading warned of.
    pub warnings: Report,
    running: Running,
    /// Last, so that it is given up last.
    _data: DataDir,
}

impl Embedded {
    /// Loads the world, and records decisions as the service would. `asker` is what the records call whoever asks: nobody else
    /// can, so nobody is authenticated.
    ///
    /// # Errors
    /// [`StartError`]; no thread is left behind.
    pub fn start(config: &Config, asker: &str) -> Result<Self, StartError> {
        let data = DataDir::open(&config.data_directory)?;
        let callers = Arc::new(Callers::anonymous(Caller::anonymous(asker)));
        let prepared = Prepared::load(config, Arc::default(), &data)?;
        let Started { pdp, running, warnings, .. } = prepared.start(config, callers)?;
        Ok(Self { pdp, warnings, running, _data: data })
    }

    /// Completes when something ends without which decisions must not be made, and says what.
    pub async fn ended(&mut self) -> StartError {
        self.running.ended().await
    }

    /// Writes out the decision log and ends the threads.
    ///
    /// # Errors
    /// Records were lost.
    pub async fn close(self) -> Result<(), StartError> {
        self.running.close().await
    }
}
