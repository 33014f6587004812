//! What of callers' words the decision log tells: `[log] disclose`, `[log.fields]`, `[log] salts`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use crate::engine::disclosure::Disclosure;

/// What a path may begin with.
const ROOTS: [&str; 10] = [
    "context",
    "arguments",
    "evidence",
    "ids",
    "request_id",
    "reason",
    "detail",
    "context_digest",
    "arguments_digest",
    "result_digest",
];

/// How much of what callers send is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogDisclose {
    /// What the schema's `@log` and `log.fields` list.
    #[default]
    Listed,
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
}

/// What of callers' words the decision log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFields {
    /// How much at all.
    pub disclose: LogDisclose,
    /// Paths, and what is said of each.
    pub rules: Vec<(String, Disclosure)>,
    /// Folder of the keys that values are digested with.
    pub salts: PathBuf,
}

/// `[log.fields]` as it was written: paths in quotes, or tables in tables.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(BTreeMap<String, Said>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Here(String),
    Within(BTreeMap<String, Said>),
}

impl Fields {
    /// The rules.
    ///
    /// # Errors
    /// A path begins with nothing that is written down, or something else than the three words is said of it.
    pub(super) fn rules(self) -> Result<Vec<(String, Disclosure)>, ConfigError> {
        let mut rules = Vec::new();
        add("", self.0, &mut rules)?;
        Ok(rules)
    }
}

fn add(
    outer: &str,
    said: BTreeMap<String, Said>,
    rules: &mut Vec<(String, Disclosure)>,
) -> Result<(), ConfigError> {
    for (name, said) in said {
        let path = if outer.is_empty() { name } else { format!("{outer}.{name}") };
        let root = path.split('.').next().unwrap_or_default();
        if !ROOTS.contains(&root) {
            let known = ROOTS.join(", ");
            return Err(ConfigError::Field { path, problem: format!("a path begins with one of {known}") });
        }
        match said {
            Said::Within(members) => add(&path, members, rules)?,
            Said::Here(word) => {
                let problem = || format!("\"{word}\" says nothing: write \"clear\", \"masked\" or \"hmac\"");
                let disclosure = Disclosure::named(&word)
                    .ok_or_else(|| ConfigError::Field { path: path.clone(), problem: problem() })?;
                rules.push((path, disclosure));
            }
        }
    }
    Ok(())
}
