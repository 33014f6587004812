//! `mandate entity backup` and `mandate entity restore`

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _, stderr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tonic::Status;

use super::super::Exit;
use super::super::control::ControlArgs;
use super::super::output::{self, Format, GOOD};
use crate::config::{Config, Overrides};
use crate::server::pb;
use crate::store::data_dir::DataDir;
use crate::store::entity_log::{Restored, restore};

/// Copy everything that was written at run time to a file.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file, which must not exist yet; `-` is standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    control: ControlArgs,
}

impl Backup {
    pub(super) fn run(self, format: Format) -> Exit {
        let Self { file, control } = self;
        let bar = bar(None, format);
        let copied = control.call(async |server| {
            let request = server.entitled(pb::BackupRequest {});
            let mut pieces = server.admin().backup(request).await?.into_inner();
            let mut to = Target::create(&file).map_err(|error| failed(&file, &error))?;
            let mut bytes = 0_u64;
            while let Some(pb::BackupResponse { chunk }) = pieces.message().await? {
                bytes += u64::try_from(chunk.len()).unwrap_or(0);
                to.write(&chunk).map_err(|error| failed(&file, &error))?;
                bar.set_position(bytes);
            }
            to.finish(&file).map_err(|error| failed(&file, &error))?;
            Ok(bytes)
        });
        bar.finish_and_clear();
        match copied {
            Ok(bytes) if file.as_os_str() != "-" => {
                match format {
                    Format::Json => output::json(&json!({ "bytes": bytes, "file": file })),
                    Format::Text => {
                        anstream::println!("{GOOD}copied{GOOD:#} {bytes} bytes to {}", file.display());
                    }
                }
                Exit::Ok
            }
            Ok(_) => Exit::Ok,
            Err(exit) => exit,
        }
    }
}

fn failed(file: &Path, error: &io::Error) -> Status {
    Status::aborted(format!("{}: {error}", file.display()))
}

/// Where a copy goes: a file has its name once it is whole.
enum Target {
    Output,
    File(File, PathBuf),
}

impl Target {
    fn create(file: &Path) -> io::Result<Self> {
        if file.as_os_str() == "-" {
            return Ok(Self::Output);
        }
        if file.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut temporary = file.as_os_str().to_owned();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        // It holds everything that is stored.
        let opened =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        Ok(Self::File(opened, temporary))
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Output => io::stdout().write_all(chunk),
            Self::File(file, _) => file.write_all(chunk),
        }
    }

    fn finish(self, file: &Path) -> io::Result<()> {
        match self {
            Self::Output => io::stdout().flush(),
            Self::File(opened, temporary) => {
                opened.sync_all()?;
                fs::rename(temporary, file)
            }
        }
    }
}

/// Replace what was written at run time by a copy, in a data directory that no server has.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The copy; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration file that names the data directory (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Restore though the log that is there is damaged: what was revoked or suspended since the copy is given up.
    #[arg(long)]
    forget_damaged: bool,
}

impl Restore {
    pub(super) fn run(self, format: Format) -> Exit {
        match self.restore(format) {
            Ok(restored) => {
                let Restored { entities, facts, kept } = restored;
                match format {
                    Format::Json => output::json(&json!(restored)),
                    Format::Text => anstream::println!(
                        "{GOOD}restored{GOOD:#} {entities} entities and {facts} facts; kept {kept} facts of what was there\nrevisions given out before mean nothing to this log"
                    ),
                }
                Exit::Ok
            }
            Err(message) => {
                output::failure(&message);
                Exit::Failure
            }
        }
    }

    fn restore(&self, format: Format) -> Result<Restored, String> {
        let overrides = Overrides { data_directory: self.data_dir.clone(), ..Overrides::default() };
        let config = Config::load(self.config.as_deref(), overrides).map_err(|error| error.to_string())?;
        let data = DataDir::open(&config.data_directory).map_err(|error| error.to_string())?;
        let (copy, length): (Box<dyn Read>, _) = if self.file.as_os_str() == "-" {
            (Box::new(io::stdin()), None)
        } else {
            let named = |error: io::Error| format!("{}: {error}", self.file.display());
            let copy = File::open(&self.file).map_err(named)?;
            let length = copy.metadata().map_err(named)?.len();
            (Box::new(copy), Some(length))
        };
        let bar = bar(length, format);
        let restored = restore(&data, copy, self.forget_damaged, |bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        restored.map_err(|error| error.to_string())
    }
}

/// A bar for people who wait for a copy.
fn bar(length: Option<u64>, format: Format) -> ProgressBar {
    if format != Format::Text || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = if length.is_some() { "copying [{bar:40}] {percent}%" } else { "copying {bytes}" };
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
