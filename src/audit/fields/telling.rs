//! Writing down what one question brought: value by value, each as far as it may be told.

use std::time::SystemTime;

use serde_json::Result;

use super::{Disclose, Facts, Fields, Told};
use crate::audit::canonical::{self, Value as Canonical};
use crate::audit::json;
use crate::engine::datum::Datum;
use crate::engine::disclosure::{Disclosure, Disclosures, SILENT};

/// Largest context that is written, in bytes of JSON.
const MAX_CONTEXT_BYTES: usize = 4096;
/// About how much a context is, in bytes of JSON, and how deep: room made at once, and not bit by bit.
const USUAL_BYTES: usize = 512;
const USUAL_DEPTH: usize = 4;
/// Most paths of masked values that a record names.
const MAX_MASKED: usize = 64;

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
    let mut rest = Some(path);
    for (place, name) in names.iter().enumerate() {
        rest = rest.and_then(|rest| if place == 0 { Some(rest) } else { rest.strip_prefix('.') });
        rest = rest.and_then(|rest| rest.strip_prefix(name));
    }
    rest == Some("")
}

/// Writing down what one question brought.
pub(super) struct Telling<'a> {
    fields: &'a Fields,
    now: SystemTime,
    path: Vec<&'a str>,
    facts: &'a mut Facts,
    scratch: Vec<u8>,
}

impl<'a> Telling<'a> {
    /// Writes into these facts, as these fields say at this time.
    pub(super) fn new(fields: &'a Fields, now: SystemTime, facts: &'a mut Facts) -> Self {
        let (path, scratch) = (Vec::with_capacity(USUAL_DEPTH), Vec::with_capacity(USUAL_BYTES));
        Self { fields, now, path, facts, scratch }
    }

    /// Tells of the context, and digests it.
    pub(super) fn context(
        &mut self,
        context: &'a [(String, Datum)],
        annotated: &'a Disclosures,
    ) -> Result<()> {
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

    /// Tells of the tool's arguments, and digests them.
    pub(super) fn arguments(&mut self, arguments: &'a Datum, annotated: &'a Disclosures) -> Result<()> {
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
        // What is one of many is not the session.
        let session = self.facts.session.clone();
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
