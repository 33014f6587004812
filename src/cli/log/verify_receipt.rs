//! `mandate log verify-receipt`

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::trust::TrustArgs;
use crate::audit::tree::checkpoint::Checkpoint;
use crate::audit::tree::receipt::{BadReceipt, Receipt};
use crate::cli::Exit;
use crate::cli::output::{self, BAD, FAINT, Format, GOOD};

/// Largest receipt that is read, in bytes: the largest record, quoted.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Show what a receipt proves. Exits with 3 if it proves nothing.
#[derive(Debug, Args)]
pub(super) struct VerifyReceipt {
    /// File with the receipt; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

impl VerifyReceipt {
    pub(super) fn run(self, format: Format) -> Exit {
        let (keys, text) = match self.trust.keys().and_then(|keys| Ok((keys, self.read()?))) {
            Ok(read) => read,
            Err(problem) => {
                output::failure(&problem);
                return Exit::Failure;
            }
        };
        let verified = Receipt::read(&text).and_then(|receipt| {
            let checkpoint = receipt.verify(&keys)?;
            Ok((receipt, checkpoint))
        });
        match format {
            Format::Json => output::json(&as_json(&verified)),
            Format::Text => print(&verified),
        }
        if verified.is_ok() { Exit::Ok } else { Exit::Rejected }
    }

    fn read(&self) -> Result<String, String> {
        let mut text = String::new();
        let read = if self.file.as_os_str() == "-" {
            io::stdin().take(MAX_BYTES).read_to_string(&mut text)
        } else {
            File::open(&self.file).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
        };
        read.map_err(|error| format!("`{}` cannot be read: {error}", self.file.display()))?;
        Ok(text)
    }
}

/// What was shown, or why nothing was.
type Shown = Result<(Receipt, Checkpoint), BadReceipt>;

fn as_json(verified: &Shown) -> Value {
    match verified {
        Ok((receipt, checkpoint)) => json!({
            "proven": true,
            "log": checkpoint.log,
            "sequence": receipt.index,
            "signed_at": checkpoint.facts.time,
            "record": serde_json::from_str::<Value>(&receipt.record).ok(),
        }),
        Err(problem) => json!({"proven": false, "message": problem.to_string()}),
    }
}

fn print(verified: &Shown) {
    match verified {
        Ok((receipt, checkpoint)) => {
            let Receipt { index, record, .. } = receipt;
            anstream::println!(
                "{GOOD}proven{GOOD:#}  record {index} of the log {}, signed at {}\n{FAINT}{record}{FAINT:#}",
                checkpoint.log,
                checkpoint.facts.time,
            );
        }
        Err(problem) => anstream::println!("{BAD}not proven{BAD:#}  {problem}"),
    }
}
