//! Whose signatures are believed.

use std::fs;
use std::path::Path;

use clap::Args;

use crate::audit::tree::keys::TrustedKeys;

/// Whose signatures are believed.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// A public key of the log (as `mandate log keys` prints it), or a file of them, one a line. May be given again.
    #[arg(long = "key", value_name = "KEY|FILE", required = true)]
    keys: Vec<String>,
}

impl TrustArgs {
    /// The keys, from where they are.
    pub(super) fn keys(&self) -> Result<TrustedKeys, String> {
        let mut lines = String::new();
        for key in &self.keys {
            if Path::new(key).is_file() {
                lines +=
                    &fs::read_to_string(key).map_err(|error| format!("`{key}` cannot be read: {error}"))?;
            } else {
                lines += key;
            }
            lines.push('\n');
        }
        let keys = TrustedKeys::read(&lines).map_err(|error| error.to_string())?;
        if keys.is_empty() { Err("no key is given: nobody is believed".to_owned()) } else { Ok(keys) }
    }
}
