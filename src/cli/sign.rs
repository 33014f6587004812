//! `mandate sign`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, Format};
use crate::audit::tree::keys::LogKey;

/// Sign the manifest of a set of sources, so that servers with `sources.signers` serve it.
#[derive(Debug, Args)]
pub struct Sign {
    /// The manifest: `mandate.sum` beside the folders of sources.
    manifest: PathBuf,
    /// Private key: PKCS#8 in PEM, Ed25519. Made if there is none.
    #[arg(long)]
    key: PathBuf,
    /// Who signs: a name without spaces and `+`.
    #[arg(long)]
    name: String,
}

impl Sign {
    /// Puts a signature under the manifest, and prints the public key that servers verify it with.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match sign(&self.manifest, &self.key, &self.name) {
            Ok(verifier) => {
                match format {
                    Format::Json => output::json(&json!({"signer": verifier})),
                    Format::Text => anstream::println!("{verifier}"),
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

fn sign(manifest: &Path, key: &Path, name: &str) -> Result<String, String> {
    let at = |error: &dyn std::fmt::Display| format!("`{}`: {error}", manifest.display());
    let text = fs::read(manifest).map_err(|error| at(&error))?;
    let key = LogKey::open_or_make(key, name).map_err(|error| error.to_string())?;
    let signed = key.sign_note(&text).map_err(|error| at(&error))?;
    replace(manifest, &signed).map_err(|error| at(&error))?;
    Ok(key.verifier())
}

/// Whoever looks finds the text before or this one, with the rights that the file had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("sum.new");
    fs::write(&beside, text)?;
    fs::set_permissions(&beside, fs::metadata(path)?.permissions())?;
    fs::rename(beside, path)
}
