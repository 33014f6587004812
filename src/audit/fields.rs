//! What of a caller's words is written down: nothing that is not listed, and everything before it is queued.
//!
//! A value is told if the schema says so at the member (`@log`), or the configuration does at its path; of both, what is
//! said nearest to the value counts, and the configuration where both speak of the same. What is left out is named in `masked`.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Result;

use super::canonical::{self, Value as Canonical};
use super::json;
use super::salts::{Salt, Salts};
use crate::engine::datum::Datum;
use crate::engine::disclosure::{Disclosure, Disclosures, SILENT};
use crate::engine::request::AuthzRequest;

/// Largest context that is written, in bytes of JSON.
const MAX_CONTEXT_BYTES: usize = 4096;
/// About how much a context is, in bytes of JSON, and how deep: room made at once, and not bit by bit.
const USUAL_BYTES: usize = 512;
const USUAL_DEPTH: usize = 4;
/// Most paths of masked values that a record names.
const MAX_MASKED: usize = 64;

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
        let mut telling = Telling {
            fields: self,
            now,
            path: Vec::with_capacity(USUAL_DEPTH),
            facts: &mut facts,
            scratch: Vec::with_capacity(USUAL_BYTES),
        };
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

/// What is said of the value that is looked at, by the configuration and by the schema, and what follows for it.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    rules: &'a Disclosures,
    annotated: &'a Disclosures,
    now: Disclosure,
}

impl<'a> Said<'a> {
    /// What is said of a member, and whether anybody knows it by its name.
    fn member(self, name: &str) -> (Self, bool) {
        let (rules, annotated) = (self.rules.member(name), self.annotated.member(name));
        let known = rules.is_some() || annotated.is_some();
        let (rules, annotated) = (rules.unwrap_or(&SILENT), annotated.unwrap_or(&SILENT));
        let now = rules.here.or(annotated.here).unwrap_or(self.now);
        (Self { rules, annotated, now }, known)
    }

    /// Whether the same holds of everything in it.
    fn is_whole(self) -> bool {
        !self.rules.says_anything_within() && !self.annotated.says_anything_within()
    }
}

/// Whether a path is this one, its names joined by dots.
fn is_joined(path: &str, names: &[&str]) -> bool {
    path.split('.').eq(names.iter().flat_map(|name| name.split('.')))
}

/// Writing down what one question brought.
struct Telling<'a> {
    fields: &'a Fields,
    now: SystemTime,
    path: Vec<&'a str>,
    facts: &'a mut Facts,
    scratch: Vec<u8>,
}

impl<'a> Telling<'a> {
    fn context(&mut self, context: &'a [(String, Datum)], annotated: &'a Disclosures) -> Result<()> {
        self.facts.context_digest = self.digest("context_digest", Canonical::Members(context))?;
        let Some(told) =
            self.told("context", annotated, |telling, said, out| telling.members(context, said, out))?
        else {
            return Ok(());
        };
        if told.len() <= MAX_CONTEXT_BYTES {
            self.facts.context = Some(told);
        } else {
            self.facts.context_truncated = true;
        }
        Ok(())
    }

    fn arguments(&mut self, arguments: &'a Datum, annotated: &'a Disclosures) -> Result<()> {
        self.facts.arguments_digest = self.digest("arguments_digest", Canonical::Datum(arguments))?;
        let annotated = annotated.member("input").unwrap_or(&SILENT);
        self.facts.arguments =
            self.told("arguments", annotated, |telling, said, out| telling.value(arguments, said, out))?;
        Ok(())
    }

    /// Writes what may be told of a part of the question; none if that is nothing.
    fn told(
        &mut self,
        part: &'static str,
        annotated: &'a Disclosures,
        write: impl FnOnce(&mut Self, Said<'a>, &mut Vec<u8>) -> Result<bool>,
    ) -> Result<Option<Vec<u8>>> {
        let fields = self.fields;
        let rules = fields.rules.member(part).unwrap_or(&SILENT);
        let said = match fields.disclose {
            Disclose::Listed => {
                let here = rules.here.or(fields.rules.here);
                Said { rules, annotated, now: here.or(annotated.here).unwrap_or(Disclosure::Masked) }
            }
            Disclose::Nothing => Said { rules: &SILENT, annotated: &SILENT, now: Disclosure::Masked },
            Disclose::Everything => Said { rules: &SILENT, annotated: &SILENT, now: Disclosure::Clear },
        };
        self.path.push(part);
        let mut out = Vec::with_capacity(USUAL_BYTES);
        let written = write(self, said, &mut out)?;
        self.path.pop();
        Ok(written.then_some(out))
    }

    /// Appends a value, or what stands for it; false if nothing may be told of it.
    fn value(&mut self, value: &'a Datum, said: Said<'a>, out: &mut Vec<u8>) -> Result<bool> {
        match (value, said.now) {
            (Datum::Record(members), Disclosure::Clear) if self.seeks_in(members) => {
                self.each_member(members, said, out)
            }
            (Datum::Record(members), _) if !said.is_whole() => self.each_member(members, said, out),
            (Datum::List(elements), now) if now != Disclosure::Hmac && !said.is_whole() => {
                self.elements(elements, said, out)
            }
            (_, Disclosure::Clear) => json::value(out, value).map(|()| true),
            (_, Disclosure::Masked) => Ok(self.masked()),
            (_, Disclosure::Hmac) => self.hmac(Canonical::Datum(value), out),
        }
    }

    fn members(&mut self, members: &'a [(String, Datum)], said: Said<'a>, out: &mut Vec<u8>) -> Result<bool> {
        if said.is_whole() {
            match said.now {
                Disclosure::Clear if self.seeks_in(members) => {}
                Disclosure::Clear => return json::members(out, members).map(|()| true),
                Disclosure::Masked => return Ok(self.masked()),
                Disclosure::Hmac => return self.hmac(Canonical::Members(members), out),
            }
        }
        self.each_member(members, said, out)
    }

    /// Whether the session's id may be among these, or within one of them.
    fn seeks_in(&self, members: &[(String, Datum)]) -> bool {
        !members.is_empty() && matches!(*self.path, ["context"] | ["context", "session"])
    }

    /// Appends an object, member by member.
    fn each_member(
        &mut self,
        members: &'a [(String, Datum)],
        said: Said<'a>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let (start, mut any) = (out.len(), false);
        out.push(b'{');
        for (name, value) in members {
            let (of_member, known) = said.member(name);
            let before = out.len();
            if any {
                out.push(b',');
            }
            json::text(out, name)?;
            out.push(b':');
            // A name that nobody listed may be a caller's own word: it is told only with everything else.
            let nameless = !known && said.now != Disclosure::Clear;
            self.path.push(if nameless { "*" } else { name });
            let from = out.len();
            let told = if nameless { self.masked() } else { self.value(value, of_member, out)? };
            if told && matches!(*self.path, ["context", "session", "id"]) {
                self.facts.session = Some(from..out.len());
            }
            self.path.pop();
            any |= told;
            if !told {
                out.truncate(before);
            }
        }
        out.push(b'}');
        if !any {
            out.truncate(start);
        }
        Ok(any)
    }

    fn elements(&mut self, elements: &'a [Datum], said: Said<'a>, out: &mut Vec<u8>) -> Result<bool> {
        let (start, mut any) = (out.len(), false);
        let session = self.facts.session.clone(); // What is one of many is not it.
        out.push(b'[');
        for element in elements {
            let before = out.len();
            if any {
                out.push(b',');
            }
            let told = self.value(element, said, out)?;
            any |= told;
            if !told {
                out.truncate(before);
            }
        }
        out.push(b']');
        self.facts.session = session;
        if !any {
            out.truncate(start);
        }
        Ok(any)
    }

    /// A keyed digest over the canonical form; without a key, nothing.
    fn hmac(&mut self, value: Canonical<'_>, out: &mut Vec<u8>) -> Result<bool> {
        canonical::write_value(value, &mut self.scratch)?;
        match self.fields.salt(self.now).and_then(|salt| salt.digest(&self.scratch)) {
            Some(digest) => json::text(out, &digest).map(|()| true),
            None => Ok(self.masked()),
        }
    }

    /// Notes that what is looked at is left out.
    fn masked(&mut self) -> bool {
        let masked = &mut self.facts.masked;
        // Members that nobody listed share a path.
        let named = masked.iter().any(|known| is_joined(known, &self.path));
        if masked.len() < MAX_MASKED && !named {
            masked.push(self.path.join("."));
        }
        false
    }

    /// The digest of a part of the question, as far as the configuration lets it be told.
    fn digest(&mut self, part: &'static str, value: Canonical<'_>) -> Result<Option<String>> {
        let digest = canonical::digest(value, &mut self.scratch)?;
        Ok(match self.fields.text(&[part], Disclosure::Clear, &digest, self.now) {
            Told::Clear => Some(digest),
            Told::Instead(keyed) => Some(keyed),
            Told::Masked => {
                self.facts.masked.push(part.to_owned());
                None
            }
        })
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
