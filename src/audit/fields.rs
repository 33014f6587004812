//! What of a caller's words is written down: nothing that is not listed, and everything before it is queued.
//!
//! A value is told if the schema says so at the member (`@log`), or the configuration does at its path; of both, what is
//! said nearest to the value counts, and the configuration where both speak of the same. What is left out is named in `masked`.

mod telling;

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Result;

use self::telling::Telling;
use super::json;
use super::salts::{Salt, Salts};
use crate::engine::disclosure::{Disclosure, Disclosures};
use crate::engine::request::AuthzRequest;

/// How much of what callers send is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disclose {
    /// What is listed.
    #[default]
    Listed,
    /// Nothing, not even names of principals and resources.
    Nothing,
    /// All of it, tool arguments too.
    Everything,
}

/// What of a caller's words is written down, and how. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    disclose: Disclose,
    rules: Arc<Disclosures>,
    salts: Option<Arc<Salts>>,
}

/// What a question brought besides its principal, action and resource, as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The context, as JSON, less what is masked.
    pub context: Option<Vec<u8>>,
    /// Where in it the session's id stands: to look for it again costs as much as to write it all.
    session: Option<Range<usize>>,
    /// There was more of it than is written.
    pub context_truncated: bool,
    /// Digest of all of it.
    pub context_digest: Option<String>,
    /// The tool's arguments, as JSON, less what is masked.
    pub arguments: Option<Vec<u8>>,
    /// Digest of all of them.
    pub arguments_digest: Option<String>,
    /// Paths of what is left out.
    pub masked: Vec<String>,
}

impl Facts {
    /// How much it holds, in bytes.
    pub(super) fn size(&self) -> usize {
        let bytes = |json: &Option<Vec<u8>>| json.as_ref().map_or(0, Vec::len);
        bytes(&self.context) + bytes(&self.arguments) + self.masked.iter().map(String::len).sum::<usize>()
    }

    /// The session that the context names, as it is written; empty if it names none.
    pub(super) fn session(&self) -> Cow<'_, str> {
        let written = self.context.as_deref().zip(self.session.clone()).and_then(|(json, at)| json.get(at));
        written.map(json::read_text).unwrap_or_default()
    }

    /// What is told where telling failed: nothing.
    fn untold() -> Self {
        Self { masked: vec!["context".to_owned(), "arguments".to_owned()], ..Self::default() }
    }
}

/// A text of a caller's, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// As it is.
    Clear,
    /// This instead.
    Instead(String),
    /// Not at all.
    Masked,
}

impl Fields {
    /// Rules of a configuration: paths such as `context.session.id`, `arguments`, `evidence.prompt_digest`, `request_id`,
    /// `ids`, each with what is said of it; and where the keys for digests are.
    pub fn new<'p>(
        disclose: Disclose,
        rules: impl IntoIterator<Item = (&'p str, Disclosure)>,
        salts: Option<Arc<Salts>>,
    ) -> Self {
        let mut said = Disclosures::default();
        for (path, disclosure) in rules {
            said.say(path.split('.'), disclosure);
        }
        Self { disclose, rules: Arc::new(said), salts }
    }

    /// What is written down of a question whose action's context says this.
    pub fn facts(&self, request: &AuthzRequest, annotated: &Disclosures, now: SystemTime) -> Facts {
        // What fails in here must not take the answer with it, and nothing half masked may be left.
        catch_unwind(AssertUnwindSafe(|| self.try_facts(request, annotated, now)))
            .ok()
            .and_then(|told| told.ok())
            .unwrap_or_else(Facts::untold)
    }

    fn try_facts(&self, request: &AuthzRequest, annotated: &Disclosures, now: SystemTime) -> Result<Facts> {
        let AuthzRequest { context, arguments, .. } = request;
        let mut facts = Facts::default();
        let mut telling = Telling::new(self, now, &mut facts);
        if !context.is_empty() {
            telling.context(context, annotated)?;
        }
        if let Some(arguments) = arguments {
            telling.arguments(arguments, annotated)?;
        }
        Ok(facts)
    }

    /// How a text at a path is written down, where nothing is said of it by a schema.
    pub(super) fn text(&self, path: &[&str], default: Disclosure, text: &str, now: SystemTime) -> Told {
        let disclosure = match self.disclose {
            Disclose::Nothing => Disclosure::Masked,
            Disclose::Everything => Disclosure::Clear,
            Disclose::Listed => self.said(path).unwrap_or(default),
        };
        match disclosure {
            Disclosure::Clear => Told::Clear,
            Disclosure::Masked => Told::Masked,
            Disclosure::Hmac => self
                .salt(now)
                .and_then(|salt| salt.digest(text.as_bytes()))
                .map_or(Told::Masked, Told::Instead),
        }
    }

    /// Whether a keyed digest that was recorded of a digest is of this one. One of an earlier month cannot be told from others.
    pub(super) fn is_keyed(&self, recorded: &str, digest: &str) -> bool {
        let keyed = |salt: Arc<Salt>| {
            let same_month = recorded.starts_with(&salt.prefix());
            !same_month || salt.digest(digest.as_bytes()).is_some_and(|keyed| keyed == recorded)
        };
        recorded.starts_with("hmac:") && self.salt(SystemTime::now()).is_none_or(keyed)
    }

    /// What the configuration says nearest to a path.
    fn said(&self, path: &[&str]) -> Option<Disclosure> {
        let mut value = &*self.rules;
        let mut said = value.here;
        for name in path {
            let Some(member) = value.member(name) else { break };
            value = member;
            said = value.here.or(said);
        }
        said
    }

    fn salt(&self, now: SystemTime) -> Option<Arc<Salt>> {
        self.salts.as_ref()?.at(now)
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
