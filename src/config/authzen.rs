//! What AuthZEN's words mean here, as it is written.

use std::collections::BTreeMap;

use cedar_policy::{EntityTypeName, EntityUid};
use serde::Deserialize;

use super::ConfigError;
use crate::engine::asserted::Undeclared;
use crate::engine::datum::Reference;
use crate::outbound;

/// What AuthZEN's words mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthzenConfig {
    /// Where callers find the decision point, without a slash at the end; none: where they asked.
    pub url: Option<String>,
    /// Namespace of types and actions that are named without one, and not below.
    pub namespace: String,
    /// Entity types by the names that subjects' types have in requests.
    pub subjects: BTreeMap<String, String>,
    /// The same for resources.
    pub resources: BTreeMap<String, String>,
    /// Actions by their names in requests.
    pub actions: BTreeMap<String, Reference>,
    /// What happens to properties and members of the context that the schema declares nowhere.
    pub undeclared: Undeclared,
}

/// `[authzen]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// What metadata says that the decision point is called: https, without query or fragment. Not written: the
    /// host that was asked.
    url: Option<String>,
    /// The namespace of types and actions that are named without one. Unless written, it is `domain.namespace`.
    ///
    /// Default `"Mandate"`.
    namespace: Option<String>,
    /// What happens to properties and members of the context that the schema declares nowhere: `ignore` or
    /// `refuse`.
    ///
    /// Default `"ignore"`.
    undeclared: Undeclared,
    /// Types of subjects by their names in requests.
    subjects: BTreeMap<String, String>,
    /// Types of resources by their names in requests.
    resources: BTreeMap<String, String>,
    /// Actions by their names in requests, as `Mandate::Action::"call_tool"`.
    actions: BTreeMap<String, String>,
}

impl Written {
    /// `namespace` is the domain's, for where none is written.
    pub(super) fn meaning(self, namespace: &str) -> Result<AuthzenConfig, ConfigError> {
        let url =
            self.url.map(|url| base(&url).map_err(|problem| wrong("url", &url, problem))).transpose()?;
        Ok(AuthzenConfig {
            url,
            namespace: self.namespace.unwrap_or_else(|| namespace.to_owned()),
            subjects: types("subjects", self.subjects)?,
            resources: types("resources", self.resources)?,
            actions: self.actions.into_iter().map(action).collect::<Result<_, _>>()?,
            undeclared: self.undeclared,
        })
    }
}

/// The URL that names a decision point (AuthZEN 1.0, "PDP Metadata"): https, with neither query nor fragment.
fn base(url: &str) -> Result<String, &'static str> {
    let parsed = outbound::url(url)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    if parsed.scheme_str() != Some("https") {
        Err("must be an https URL")
    } else if parsed.query().is_some() || url.contains('#') || !parsed.path().chars().all(plain) {
        Err(
            "must have neither query nor fragment, and a path of letters, digits, `-`, `.`, `_`, `~` and `/` only",
        )
    } else {
        Ok(url.trim_end_matches('/').to_owned())
    }
}

fn types(key: &str, written: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let meant = |(name, meant): (String, String)| match meant.parse::<EntityTypeName>() {
        Ok(type_name) => Ok((name, type_name.to_string())),
        Err(_) => {
            Err(wrong(&format!("{key}.{name}"), &meant, "is no type name; write it as `Mandate::Agent`"))
        }
    };
    written.into_iter().map(meant).collect()
}

fn action((name, meant): (String, String)) -> Result<(String, Reference), ConfigError> {
    match meant.parse::<EntityUid>() {
        Ok(uid) => {
            let reference = Reference::new(uid.type_name().to_string(), uid.id().unescaped());
            Ok((name, reference))
        }
        Err(_) => {
            let problem = "is no action; write it as `Mandate::Action::\"call_tool\"`";
            Err(wrong(&format!("actions.{name}"), &meant, problem))
        }
    }
}

fn wrong(key: &str, written: &str, problem: &'static str) -> ConfigError {
    ConfigError::Authzen { key: key.to_owned(), written: written.to_owned(), problem }
}
