//! What the person who imports has decided.

use std::str::FromStr as _;

use cedar_policy::{Entities, EntityNamespace};
use serde_json::json;

use super::error::{ImportError, shown};
use super::hints;

/// Which tools get a typed action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Typed {
    /// No tool: every call is decided as plain `call_tool`.
    #[default]
    None,
    /// Every tool of the list.
    All,
    /// The tools with exactly these names.
    Named(Vec<String>),
}

/// How a tool list is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The server's name: the first half of every tool's id, and the name of its toolset.
    pub server: String,
    /// Which tools get a typed action.
    pub typed: Typed,
    /// Id of the `User` who owns server and tools, business and technical; without one a placeholder is written.
    pub owner: Option<String>,
    /// The environment the server runs in: `dev`, `staging` or `prod`.
    pub env: String,
    /// How sensitive what the tools reach is: 0 public, 1 internal, 2 confidential, 3 restricted.
    pub level: i64,
    /// When ownership was last reviewed, as Cedar's `datetime` reads it: `2026-11-22` or `2026-11-22T09:30:00Z`.
    pub reviewed: String,
    /// Whether a person has reviewed the server and what it says of itself.
    pub trusted: bool,
    /// Toolsets that the server's own toolset is put in.
    pub within: Vec<String>,
    /// The Cedar namespace of the agent domain.
    pub namespace: String,
}

impl Options {
    pub(super) fn validate(&self) -> Result<(), ImportError> {
        self.validate_server()?;
        require(self.owner.as_deref() != Some(""), ("owner", "", "the id of a user, or left out"))?;
        require(
            matches!(self.env.as_str(), "dev" | "staging" | "prod"),
            ("env", &self.env, "dev, staging or prod"),
        )?;
        require((0..=3).contains(&self.level), ("level", &self.level.to_string(), "a number from 0 to 3"))?;
        require(
            EntityNamespace::from_str(&self.namespace).is_ok(),
            ("namespace", &self.namespace, "a Cedar namespace"),
        )?;
        require(
            is_datetime(&self.reviewed),
            ("reviewed", &self.reviewed, "a date or a time like 2026-11-22T09:30:00Z"),
        )
    }

    /// A slash would let server `a` with tool `b/c` and server `a/b` with tool `c` claim one id; and a server named
    /// like a risk toolset would put all its tools into that toolset.
    fn validate_server(&self) -> Result<(), ImportError> {
        let reason = match self.server.as_str() {
            "" => "it is empty",
            name if name.contains('/') => "it contains `/`, which parts server and tool in an id",
            name if hints::TOOLSETS.contains(&name) => "a toolset of the domain has that name",
            _ => return Ok(()),
        };
        Err(ImportError::ServerName { name: shown(&self.server), reason })
    }

    /// The id that a tool of this server has, as a `Tool` and as a typed action.
    pub(super) fn tool_id(&self, tool: &str) -> String {
        format!("{}/{tool}", self.server)
    }
}

fn require(
    holds: bool,
    (option, value, expected): (&'static str, &str, &'static str),
) -> Result<(), ImportError> {
    if holds {
        return Ok(());
    }
    Err(ImportError::Option { option, value: shown(value), expected })
}

/// Asks Cedar itself, so that what is written here is what loads later.
fn is_datetime(text: &str) -> bool {
    let probe = json!([{
        "uid": { "type": "Probe", "id": "" },
        "attrs": { "at": { "__extn": { "fn": "datetime", "arg": text } } },
        "parents": [],
    }]);
    Entities::from_json_value(probe, None).is_ok()
}
