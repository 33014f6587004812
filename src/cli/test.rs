//! `mandate test`

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::Exit;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};
use super::sources::SourceArgs;
use crate::cases::run::{CaseOutcome, run};
use crate::cases::{self, Case, controls, mutants};

/// Run policy cases.
#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    sources: SourceArgs,
    /// Files of cases [default: `tests/*.yaml` in the folder of policies].
    files: Vec<PathBuf>,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Remove each policy in turn, and fail if no case notices.
    #[arg(long)]
    mutants: bool,
    /// Write which catalogued risk is stopped by which policy, proven by which case (Markdown).
    #[arg(long, value_name = "FILE")]
    controls: Option<PathBuf>,
}

impl Test {
    /// Runs every case.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        self.try_run(format).unwrap_or_else(|exit| exit)
    }

    fn try_run(&self, format: Format) -> Result<Exit, Exit> {
        let started = Instant::now();
        let fail = |message: String| {
            output::failure(&message);
            Exit::Failure
        };
        let cases = self.read_cases()?;
        if cases.is_empty() {
            return Err(fail("there is no case: name files, or write `policies/tests/*.yaml`".to_owned()));
        }
        let world = self.sources.load(format)?.world;
        let outcomes: Vec<_> = cases.iter().map(|case| (case, run(&world, case))).collect();
        let survivors = if self.mutants { mutants::survivors(&world, &cases) } else { Vec::new() };
        if let Some(path) = &self.junit {
            write_junit(path, &outcomes).map_err(|error| fail(format!("`{}`: {error}", path.display())))?;
        }
        if let Some(path) = &self.controls {
            let page = controls::page(&world, &cases);
            fs::write(path, page).map_err(|error| fail(format!("`{}`: {error}", path.display())))?;
        }
        match format {
            Format::Text => print(&outcomes, &survivors, started),
            Format::Json => output::json(&outcomes_json(&outcomes, &survivors)),
        }
        let passed =
            outcomes.iter().all(|(_, outcome)| *outcome == CaseOutcome::Passed) && survivors.is_empty();
        Ok(if passed { Exit::Ok } else { Exit::CasesFailed })
    }

    fn read_cases(&self) -> Result<Vec<Case>, Exit> {
        let files = if self.files.is_empty() { self.default_files()? } else { self.files.clone() };
        let mut read = Vec::new();
        for path in files {
            let name = path.display().to_string();
            let parsed = fs::read_to_string(&path)
                .map_err(|error| format!("`{name}` cannot be read: {error}"))
                .and_then(|text| cases::parse(&name, &text).map_err(|error| error.to_string()));
            match parsed {
                Ok(cases) => read.extend(cases),
                Err(message) => {
                    output::failure(&message);
                    return Err(Exit::Failure);
                }
            }
        }
        Ok(read)
    }

    fn default_files(&self) -> Result<Vec<PathBuf>, Exit> {
        let config = self.sources.config(self.sources.overrides())?;
        let folder = config.folders.policies.join("tests");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<_> = entries.filter(|path| is_yaml(path)).collect();
        files.sort();
        Ok(files)
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

type Outcomes<'a> = [(&'a Case, CaseOutcome)];

/// What went wrong, a line each.
fn failures(outcome: &CaseOutcome) -> Vec<String> {
    match outcome {
        CaseOutcome::Passed => Vec::new(),
        CaseOutcome::Failed(differences) => differences.iter().map(ToString::to_string).collect(),
        CaseOutcome::Invalid(error) => vec![format!("the request is invalid: {error}")],
    }
}

fn print(outcomes: &Outcomes<'_>, survivors: &[String], started: Instant) {
    let mut by_file: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (case, outcome) in outcomes {
        by_file.entry(&case.file).or_default().push((case, outcome));
    }
    for (file, outcomes) in by_file {
        let failed: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| **outcome != CaseOutcome::Passed).collect();
        let (mark, style) = if failed.is_empty() { ("✓", GOOD) } else { ("✗", BAD) };
        anstream::println!("{style}{mark}{style:#} {file}  {FAINT}{} cases{FAINT:#}", outcomes.len());
        for (case, outcome) in failed {
            anstream::println!("    {BAD}✗{BAD:#} {NAME}{}{NAME:#}", case.name);
            failures(outcome).iter().for_each(|line| anstream::println!("        {line}"));
        }
    }
    for id in survivors {
        anstream::println!("{BAD}✗{BAD:#} no case notices when policy {NAME}{id}{NAME:#} is gone");
    }
    let failed = outcomes.iter().filter(|(_, outcome)| *outcome != CaseOutcome::Passed).count();
    let passed = outcomes.len() - failed;
    anstream::println!("{passed} passed, {failed} failed in {} ms", started.elapsed().as_millis());
}

fn outcomes_json(outcomes: &Outcomes<'_>, survivors: &[String]) -> serde_json::Value {
    let cases = outcomes.iter().map(|(case, outcome)| {
        json!({
            "file": case.file,
            "name": case.name,
            "policy": case.policy,
            "passed": *outcome == CaseOutcome::Passed,
            "failures": failures(outcome),
        })
    });
    json!({ "cases": cases.collect::<Vec<_>>(), "policies_no_case_notices": survivors })
}

fn write_junit(path: &Path, outcomes: &Outcomes<'_>) -> Result<(), String> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for (case, outcome) in outcomes {
        let failures = failures(outcome);
        let status = if failures.is_empty() {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(failures.join("; "));
            status
        };
        let suite = suites.entry(&case.file).or_insert_with(|| TestSuite::new(case.file.as_str()));
        suite.add_test_case(TestCase::new(case.name.as_str(), status));
    }
    let mut report = JunitReport::new("mandate test");
    report.add_test_suites(suites.into_values());
    let text = report.to_string().map_err(|error| error.to_string())?;
    fs::write(path, text).map_err(|error| error.to_string())
}
