//! `mandate log keys`

use clap::Args;
use serde_json::json;

use crate::audit::tree::checkpoint;
use crate::audit::tree::keys::{KeyError, LogKey};
use crate::audit::tree::notary::NotaryConfig;
use crate::audit::tree::verify;
use crate::cli::Exit;
use crate::cli::output::{self, Format};
use crate::cli::sources::SourceArgs;

/// Print the public keys of a log, to be published where its owner cannot change them.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(flatten)]
    sources: SourceArgs,
}

impl Keys {
    pub(super) fn run(self, format: Format) -> Exit {
        let config = match self.sources.config(self.sources.overrides()) {
            Ok(config) => config.log,
            Err(exit) => return exit,
        };
        let name = config.notary.name.clone().map(Ok).unwrap_or_else(|| {
            let log = verify::id(&config.directory).map_err(|error| error.to_string())?;
            let log = log.ok_or_else(|| {
                format!("there is no log in `{}` yet: the first start makes one", config.directory.display())
            })?;
            Ok(checkpoint::origin(log))
        });
        match name.and_then(|name| keys(&config.notary, &name).map_err(|error| error.to_string())) {
            Ok(keys) => {
                match format {
                    Format::Json => output::json(&json!({"keys": keys})),
                    Format::Text => keys.iter().for_each(|key| anstream::println!("{key}")),
                }
                Exit::Ok
            }
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }
}

/// The one that signs, then the one before it.
fn keys(config: &NotaryConfig, name: &str) -> Result<Vec<String>, KeyError> {
    let paths = [Some(&config.key), config.previous_key.as_ref()];
    paths.into_iter().flatten().map(|path| Ok(LogKey::open(path, name)?.verifier())).collect()
}
