//! `mandate log verify`

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::trust::TrustArgs;
use crate::audit::tree::finding::{Finding, Remark};
use crate::audit::tree::verify::{self, LogReport, Verified};
use crate::cli::Exit;
use crate::cli::output::{self, BAD, FAINT, Format, GOOD, NAME};

/// Show whether logs are what was written and signed, with public keys alone.
///
/// Exits with 0 if they are, also where they say themselves that records are missing; with 3 if something was changed,
/// removed, added or forged, or nothing vouches for a log; with 1 if a file cannot be read.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Folders of logs, or folders that hold some, as gathered from many instances.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Checkpoints that were kept elsewhere: a file of them, or a folder of such files. May be given again.
    #[arg(long, value_name = "FILE|DIR")]
    checkpoints: Vec<PathBuf>,
    /// Exit with 3 too if a log says that records are missing: dropped, or lost in a crash.
    #[arg(long)]
    complete: bool,
}

impl Verify {
    pub(super) fn run(self, format: Format) -> Exit {
        match self.verified() {
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
            Ok(verified) => {
                match format {
                    Format::Json => output::json(&as_json(&verified)),
                    Format::Text => print(&verified),
                }
                let good = verified.is_intact() && (!self.complete || verified.is_complete());
                if good { Exit::Ok } else { Exit::Rejected }
            }
        }
    }

    fn verified(&self) -> Result<Verified, String> {
        let keys = self.trust.keys()?;
        let mut folders = Vec::new();
        for folder in &self.folders {
            folders.extend(verify::folders(folder).map_err(|error| error.to_string())?);
        }
        let mut files = Vec::new();
        for place in &self.checkpoints {
            files.extend(files_in(place)?);
        }
        verify::verify(&folders, &files, &keys).map_err(|error| error.to_string())
    }
}

/// The files of a folder, or the one file that it is.
fn files_in(place: &PathBuf) -> Result<Vec<PathBuf>, String> {
    if !place.is_dir() {
        return Ok(vec![place.clone()]);
    }
    let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", place.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(place).map_err(failed)? {
        files.extend(Some(entry.map_err(failed)?.path()).filter(|path| path.is_file()));
    }
    files.sort();
    Ok(files)
}

fn as_json(verified: &Verified) -> Value {
    json!({
        "intact": verified.is_intact(),
        "complete": verified.is_complete(),
        "logs": verified.logs.iter().map(log_json).collect::<Vec<_>>(),
        "findings": verified.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn log_json(report: &LogReport) -> Value {
    json!({
        "folder": report.folder,
        "log": report.log,
        "segments": report.segments,
        "first": report.first,
        "next": report.next,
        "checkpoints": report.checkpoints,
        "covered": report.covered,
        "covered_at": report.covered_at,
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "remarks": report.remarks.iter().map(|remark| json!({
            "message": remark.to_string(),
            "missing_records": remark.is_gap(),
        })).collect::<Vec<_>>(),
    })
}

fn finding_json(Finding { place, fault }: &Finding) -> Value {
    json!({
        "file": place.file,
        "offset": place.offset,
        "sequence": place.sequence,
        "message": fault.to_string(),
    })
}

fn print(verified: &Verified) {
    for report in &verified.logs {
        print_log(report);
    }
    for Finding { place, fault } in &verified.findings {
        anstream::println!("{BAD}bad{BAD:#}  {place}: {fault}");
    }
    if verified.is_intact() {
        anstream::println!("{GOOD}intact{GOOD:#}");
    } else {
        anstream::println!("{BAD}not what was written and signed{BAD:#}");
    }
}

fn print_log(report: &LogReport) {
    let LogReport { folder, log, segments, first, next, checkpoints, covered, covered_at, .. } = report;
    let log = log.map(|log| log.to_string()).unwrap_or_default();
    anstream::println!("{NAME}{}{NAME:#}  {log}", folder.display());
    anstream::println!(
        "  records {first} to {next} (not included), in {segments} segments; {checkpoints} checkpoints fit"
    );
    if let Some(time) = covered_at {
        anstream::println!("  {GOOD}signed{GOOD:#}  all records below {covered}, at {time}");
    }
    for remark in &report.remarks {
        let style = if Remark::is_gap(remark) { NAME } else { FAINT };
        anstream::println!("  {style}told{style:#}  {remark}");
    }
    for Finding { place, fault } in &report.findings {
        anstream::println!("  {BAD}bad{BAD:#}  {place}: {fault}");
    }
}
