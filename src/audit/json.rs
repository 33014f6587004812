//! JSON that stays on one line, and values as JSON without a tree between.

use std::fmt::{self, Display};
use std::io;

use cedar_policy::EntityUid;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::ser::Formatter;

use crate::engine::datum::{Datum, Reference, whole};

/// Longest text a caller wrote that a record repeats, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// Escapes every character that some reader takes for the end of a line, moves a terminal's cursor or turns the
/// direction of text; plain JSON escapes those below U+0020 only.
#[derive(Debug, Clone, Copy)]
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, text: &str) -> io::Result<()> {
        // Every byte is looked at, whatever the first ones say: without a way out the loop becomes a few wide instructions.
        if !text.bytes().fold(false, |special, byte| special | (byte >= 0x7f)) {
            return to.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (plain, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            write!(to, "{plain}\\u{:04x}", u32::from(hidden))?;
            rest = from.get(hidden.len_utf8()..).unwrap_or_default();
        }
        to.write_all(rest.as_bytes())
    }
}

/// Whether a text stands in JSON as it is. Every byte is looked at, which is a few wide instructions.
fn needs_no_escapes(text: &str) -> bool {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// Whether some reader takes a character for the end of a line, or a terminal acts on it. All of these are in the basic
/// plane: one escape names each.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends the value as JSON.
pub(super) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, OneLine))
}

/// One JSON object, member by member.
#[derive(Debug)]
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    /// Adds a member. The name needs no escapes.
    pub(super) fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
        self.name(name);
        write(self.out, value)
    }

    /// Adds a member if the text is not empty.
    pub(super) fn text(&mut self, name: &'static str, text: &str) -> serde_json::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if text.len() <= MAX_TEXT_BYTES && needs_no_escapes(text) {
            self.plain(name, text);
            return Ok(());
        }
        self.member(name, &Capped(text, MAX_TEXT_BYTES))
    }

    /// Adds a text of ours that needs no escapes.
    pub(super) fn plain(&mut self, name: &str, text: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    /// Adds a member whose value is JSON on one line already.
    pub(super) fn written(&mut self, name: &'static str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        self.out.extend([self.separator, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }
}

/// A text, and the most bytes of it that are written: a longer one ends in `…`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capped<'a>(pub(super) &'a str, pub(super) usize);

impl Serialize for Capped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(text, limit) = self;
        if text.len() <= *limit {
            return serializer.serialize_str(text);
        }
        let end = (0..=*limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let kept = text.get(..end).unwrap_or_default();
        serializer.collect_str(&format_args!("{kept}…"))
    }
}

/// Whatever displays as text that needs no cap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An entity's name: `{"type", "id"}`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Uid<'a> {
    /// As it was resolved.
    Known(&'a EntityUid),
    /// As a caller wrote it.
    Asked(&'a Reference),
}

impl Serialize for Uid<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut uid = serializer.serialize_struct("Uid", 2)?;
        match self {
            Self::Known(known) => {
                uid.serialize_field("type", &Shown(known.type_name()))?;
                uid.serialize_field("id", &Capped(known.id().unescaped(), MAX_TEXT_BYTES))?;
            }
            Self::Asked(asked) => {
                uid.serialize_field("type", &Capped(&asked.type_name, MAX_TEXT_BYTES))?;
                uid.serialize_field("id", &Capped(&asked.id, MAX_TEXT_BYTES))?;
            }
        }
        uid.end()
    }
}

/// Many of something, in order.
pub(super) struct Each<I>(pub(super) I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Each<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

/// A value as [`Datum::to_json`] has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a Datum);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Datum::Null => serializer.serialize_unit(),
            Datum::Bool(value) => serializer.serialize_bool(*value),
            Datum::Long(value) | Datum::Datetime(value) => serializer.serialize_i64(*value),
            Datum::Number(value) => match whole(*value) {
                Some(whole) => serializer.serialize_i64(whole),
                None => serializer.serialize_f64(*value),
            },
            Datum::String(text) | Datum::Decimal(text) | Datum::Ip(text) | Datum::Duration(text) => {
                serializer.serialize_str(text)
            }
            Datum::List(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| list.serialize_element(&Value(element)))?;
                list.end()
            }
            Datum::Record(members) => Members(members).serialize(serializer),
            Datum::Entity(reference) => {
                let mut uid = serializer.serialize_map(Some(2))?;
                uid.serialize_entry("type", &reference.type_name)?;
                uid.serialize_entry("id", &reference.id)?;
                uid.end()
            }
        }
    }
}

/// The members of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a>(pub(super) &'a [(String, Datum)]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| object.serialize_entry(name, &Value(value)))?;
        object.end()
    }
}

impl<I> fmt::Debug for Each<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Each")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_alike_with_and_without_a_look_ahead(text in "[ -~\u{7f}é\u{2028}\n\"\\\\]{1,12}|.{1,12}") {
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            Object::begin(&mut fast).text("name", &text).unwrap();
            Object::begin(&mut slow).member("name", &Capped(&text, MAX_TEXT_BYTES)).unwrap();
            prop_assert_eq!(String::from_utf8(fast).unwrap(), String::from_utf8(slow).unwrap());
        }
    }
}
