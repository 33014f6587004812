//! The header fields of a request.
//!
//! Envoy joins fields of one name with commas, or, with `encode_raw_headers`, keeps them apart. A field that decides must
//! stand there once: of two, its upstream may take the other.

use std::borrow::Cow;

use super::refusal::Refusal;
use crate::server::envoy::auth::attribute_context::HttpRequest;

/// Every header field.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    fields: Vec<(Cow<'a, str>, &'a [u8])>,
    /// Whether those of one name have been joined, and bytes that are no text replaced.
    joined: bool,
}

/// What Envoy puts in the place of a byte that is no text, where it passes text on.
pub(super) const REPLACED: u8 = b'!';

impl<'a> Fields<'a> {
    pub(super) fn of(http: &'a HttpRequest) -> Self {
        let joined = http.headers.iter().map(|(name, value)| (lower(name), value.as_bytes()));
        let raw = http.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.map(|header| {
            let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
            (lower(&header.key), value)
        });
        let fields: Vec<_> = joined.chain(raw).collect();
        Self { fields, joined: http.header_map.is_none() }
    }

    /// Names of all fields, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_ref())
    }

    /// The value of a field that decides; none if it is not there.
    ///
    /// # Errors
    /// [`Refusal`]: it stands there more than once, or may have, or is no plain text.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.verbatim(name)? else { return Ok(None) };
        if value.contains(',') {
            return Err(twice(name));
        }
        if self.joined && value.as_bytes().contains(&REPLACED) {
            return Err(unreadable(name));
        }
        Ok(Some(value))
    }

    /// The value of a field that is only compared, in which commas may stand; none if it is not there.
    ///
    /// # Errors
    /// [`Refusal`]: it stands there more than once, as far as that can be seen, or is no plain text.
    pub(super) fn verbatim(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut found = self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| *value);
        let value = match (found.next(), found.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value,
            (Some(_), Some(_)) => return Err(twice(name)),
        };
        let text = std::str::from_utf8(value).map_err(|_error| unreadable(name))?;
        if text.contains(char::is_control) {
            return Err(unreadable(name));
        }
        Ok(Some(text.trim()))
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

fn twice(name: &str) -> Refusal {
    Refusal::bad(&format!("headers.{name}"), "stands there more than once: send one")
}

fn unreadable(name: &str) -> Refusal {
    Refusal::bad(&format!("headers.{name}"), "holds something else than plain text")
}
