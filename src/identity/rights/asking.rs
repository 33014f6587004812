//! What a caller wants, as far as its rights depend on it.

use std::fmt;

use crate::engine::datum::Reference;
use crate::identity::caller::Caller;

/// Longest key of an outcome that is remembered, in bytes.
const MAX_KEY_BYTES: usize = 2048;

/// A question, as far as it matters who asks it. Names of types are written as the schema declares them.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// Whom it is about.
    pub principal: &'a Reference,
    /// Whether that is the caller itself.
    pub own: bool,
    /// What would be done, its type never empty.
    pub action: &'a Reference,
    /// Type of what it would be done to.
    pub resource_type: &'a str,
    /// Through which door: `grpc`.
    pub surface: &'static str,
    /// Whether the answer will not be enforced.
    pub observe: bool,
    /// Whether it wants no remembered answer.
    pub bypass_cache: bool,
    /// Whether it shows a token of its subject.
    pub with_token: bool,
    /// Whether it names grants.
    pub with_delegations: bool,
    /// Whether it wants to be told how policies came out.
    pub explain: bool,
    /// Types of the entities it supplies.
    pub entity_types: Vec<&'a str>,
    /// Names of the context's members that it asserts.
    pub facts: Vec<&'a str>,
}

impl Asking<'_> {
    /// Everything that policies can read, in one spelling: each part with its length, lists with theirs. None if it is too
    /// long to be remembered.
    pub(super) fn key(&self, caller: &Caller, with_principal: bool) -> Option<Box<[u8]>> {
        let Self {
            principal,
            own,
            action,
            resource_type,
            surface,
            observe,
            bypass_cache,
            with_token,
            with_delegations,
            explain,
            entity_types,
            facts,
        } = self;
        let mut key = Key(Vec::with_capacity(256));
        key.0.extend(caller.fingerprint());
        let flags = [own, observe, bypass_cache, with_token, with_delegations, explain, &with_principal];
        key.0.extend(flags.map(|flag| u8::from(*flag)));
        key.part(&principal.type_name);
        key.part(if with_principal { &principal.id } else { "" });
        key.part(&action.type_name);
        key.part(&action.id);
        key.part(resource_type);
        key.part(surface);
        key.list(entity_types);
        key.list(facts);
        (key.0.len() <= MAX_KEY_BYTES).then(|| key.0.into_boxed_slice())
    }
}

/// Bytes that no two different questions share.
struct Key(Vec<u8>);

impl Key {
    fn length(&mut self, length: usize) {
        self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn part(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend(text.as_bytes());
    }

    /// A set: in order, each once.
    fn list(&mut self, names: &[&str]) {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        self.length(names.len());
        names.into_iter().for_each(|name| self.part(name));
    }
}

/// Something a caller may want that is no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right<'a> {
    /// What is served: version, revision, counts.
    ReadInfo,
    /// The status document.
    GetStatus,
    /// Serving an earlier set, or ending that.
    Rollback,
    /// Denying everything a principal takes part in, or lifting that.
    Suspend,
    /// A copy of everything that is stored.
    Backup,
    /// What was decided.
    ReadLog,
    /// What changes.
    Watch,
    /// Reading entities of a type.
    ReadEntities(&'a str),
    /// Storing and deleting entities of a type.
    WriteEntities(&'a str),
    /// Cutting a grant of this delegator; `own` if the caller is that itself.
    Delegate {
        /// Whose authority is handed on.
        delegator: &'a Reference,
        /// Whether the caller is that principal.
        own: bool,
    },
    /// Revoking a grant of this delegator.
    Revoke {
        /// Whose authority was handed on.
        delegator: &'a Reference,
        /// Whether the caller is that principal.
        own: bool,
    },
}

impl Right<'_> {
    /// The action's id in the schema.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::ReadInfo => "read_info",
            Self::GetStatus => "get_status",
            Self::Rollback => "rollback",
            Self::Suspend => "suspend",
            Self::Backup => "backup",
            Self::ReadLog => "read_log",
            Self::Watch => "watch",
            Self::ReadEntities(_) => "read_entities",
            Self::WriteEntities(_) => "write_entities",
            Self::Delegate { .. } => "delegate",
            Self::Revoke { .. } => "revoke",
        }
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())?;
        match self {
            Self::ReadEntities(name) | Self::WriteEntities(name) => write!(f, " of type {name:?}"),
            Self::Delegate { delegator, .. } | Self::Revoke { delegator, .. } => {
                write!(f, " for {}::{:?}", delegator.type_name, delegator.id)
            }
            _ => Ok(()),
        }
    }
}
