//! `mandate token inspect`

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Exit;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};
use crate::app;
use crate::config::{Config, Overrides};
use crate::engine::datum::{Datum, Reference};
use crate::engine::subject::Subject;
use crate::identity::shown::Shown;
use crate::identity::subjects::{Inspection, Subjects};
use crate::pdp;

/// Longest time for an issuer's keys to be fetched.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes that are read of a token: over the limit, so that its length can be told.
const MAX_READ: u64 = 64 * 1024;

/// Tokens of subjects.
#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Show what Mandate makes of a token, check by check: who acts, for whom, and what policies see.
    Inspect(Inspect),
}

/// Show what Mandate makes of a token.
#[derive(Debug, Args)]
struct Inspect {
    /// File with the token; `-` for standard input.
    #[arg(default_value = "-")]
    token: PathBuf,
    /// Configuration file (TOML), whose `[[issuers]]` count.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Token {
    /// Does what the subcommand says.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let TokenCommand::Inspect(inspect) = self.command;
        match inspect.inspection() {
            Ok(inspection) => {
                match format {
                    Format::Json => output::json(&as_json(&inspection)),
                    Format::Text => print(&inspection),
                }
                if inspection.outcome.is_ok() { Exit::Ok } else { Exit::Rejected }
            }
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }
}

impl Inspect {
    fn inspection(&self) -> Result<Inspection, String> {
        let token = read(&self.token)?;
        let config =
            Config::load(self.config.as_deref(), Overrides::default()).map_err(|error| error.to_string())?;
        if config.issuers.is_empty() {
            return Err("no issuer is configured: name a file with `[[issuers]]` by --config".to_owned());
        }
        let (subjects, keepers) = Subjects::open(&config.issuers).map_err(|error| error.to_string())?;
        let runtime = app::runtime().map_err(|error| error.to_string())?;
        let inspection = runtime.block_on(async {
            for keeper in keepers {
                // Ends with the runtime.
                drop(tokio::spawn(keeper));
            }
            let shown = Shown::default();
            tokio::time::timeout(PATIENCE, subjects.inspect(token.trim_end(), &shown, pdp::now())).await
        });
        inspection.map_err(|_| format!("the issuer's keys did not come within {} s", PATIENCE.as_secs()))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut token = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_READ).read_to_string(&mut token)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_READ).read_to_string(&mut token))
    };
    read.map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    Ok(token)
}

fn as_json(inspection: &Inspection) -> Value {
    let steps =
        inspection.steps.iter().map(|step| json!({"check": step.check.as_str(), "found": step.found}));
    let failed = inspection.outcome.as_ref().err();
    json!({
        "accepted": failed.is_none(),
        "header": Datum::Record(inspection.header.clone()).to_json(),
        "claims": Datum::Record(inspection.claims.clone()).to_json(),
        "issuer": inspection.issuer,
        "passed": steps.collect::<Vec<_>>(),
        "failed": failed.map(|failed| json!({"check": failed.check.as_str(), "message": failed.message})),
        "subject": inspection.outcome.as_deref().ok().map(subject_json),
    })
}

fn subject_json(subject: &Subject) -> Value {
    let context: Value = subject.facts.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
    json!({
        "root": name(&subject.root),
        "actors": names(&subject.actors),
        "grant": subject.grant.as_ref().map(|grant| json!({
            "actions": names(&grant.actions),
            "resources": names(&grant.scopes),
        })),
        "context": {"token": context},
        "principal": subject.principal.as_ref().map(|principal| json!({
            "uid": name(&principal.uid),
            "parents": names(&principal.parents),
        })),
        "expires": crate::engine::convert::datetime(subject.expires.0),
        "digest": subject.digest,
    })
}

fn names(names: &[Reference]) -> Vec<String> {
    names.iter().map(name).collect()
}

fn name(Reference { type_name, id }: &Reference) -> String {
    format!("{type_name}::{id:?}")
}

fn print(inspection: &Inspection) {
    let members = [("header", &inspection.header), ("claims", &inspection.claims)];
    for (what, members) in members.into_iter().filter(|(_, members)| !members.is_empty()) {
        let text = Datum::Record(members.clone()).to_json();
        anstream::println!("{NAME}{what}{NAME:#}  {FAINT}as the token says{FAINT:#}\n{text:#}");
    }
    if let Some(issuer) = &inspection.issuer {
        anstream::println!("{NAME}issuer{NAME:#}  {issuer}");
    }
    for step in &inspection.steps {
        anstream::println!("  {GOOD}passed{GOOD:#}  {:<13} {}", step.check.as_str(), step.found);
    }
    match &inspection.outcome {
        Err(failed) => {
            anstream::println!("  {BAD}failed{BAD:#}  {:<13} {}", failed.check.as_str(), failed.message);
            anstream::println!("{BAD}not accepted{BAD:#}");
        }
        Ok(subject) => {
            anstream::println!("{GOOD}accepted{GOOD:#}");
            print_subject(subject);
        }
    }
}

fn print_subject(subject: &Subject) {
    anstream::println!("  for        {}", name(&subject.root));
    for actor in &subject.actors {
        anstream::println!("  acts       {}", name(actor));
    }
    if let Some(grant) = &subject.grant {
        anstream::println!("  grants     {}", names(&grant.actions).join(", "));
        anstream::println!("  on         {}", names(&grant.scopes).join(", "));
    }
    if let Some(principal) = &subject.principal {
        anstream::println!(
            "  made       {}, in {}",
            name(&principal.uid),
            names(&principal.parents).join(", ")
        );
    }
    for (member, value) in &subject.facts {
        anstream::println!("  {FAINT}context.token.{member}{FAINT:#} = {}", value.to_json());
    }
    let expires = crate::engine::convert::datetime(subject.expires.0).unwrap_or_default();
    anstream::println!("  expires    {expires}\n  {FAINT}{}{FAINT:#}", subject.digest);
}
