//! JSON that stays on one line, written straight to where it belongs: no tree between, and no look at a text that needs none.

use std::borrow::Cow;
use std::io;

use cedar_policy::{EntityTypeName, EntityUid};
use serde::Deserialize;
use serde::ser::{Serialize, Serializer};
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

/// Whether a text stands in JSON as it is. Eight bytes are looked at at once, the last eight of those that are left with some of
/// those before them; and all of them, whatever the first ones say: without a way out the loop becomes a few wide instructions.
pub(super) fn needs_no_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk() else { return bytes.iter().all(|byte| special([*byte; 8]) == 0) };
    let (words, _in_last) = bytes.as_chunks();
    words.iter().fold(special(*last), |found, word| found | special(*word)) == 0
}

/// Zero unless one of these bytes is a control, a quote, a backslash, or no ASCII.
fn special(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_ne_bytes(bytes);
    // The highest bit of a byte that is below that many tells so; of one above it another's may too.
    let below = |word: u64, count: u8| word.wrapping_sub(u64::from_ne_bytes([count; 8])) & !word;
    let is = |byte: u8| below(word ^ u64::from_ne_bytes([byte; 8]), 1);
    let above = word | word.wrapping_add(EACH);
    (below(word, 0x20) | is(b'"') | is(b'\\') | above) & HIGHEST
}

/// Whether some reader takes a character for the end of a line, or a terminal acts on it. All of these are in the basic
/// plane: one escape names each.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends whatever serializes.
pub(super) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, OneLine))
}

/// Appends a text.
pub(super) fn text(out: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    if needs_no_escapes(text) {
        quoted(out, text);
        return Ok(());
    }
    write(out, text)
}

/// Appends a text that needs no escapes.
pub(super) fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// A text as it was before it was written; empty if that is none.
pub(super) fn read_text(json: &[u8]) -> Cow<'_, str> {
    #[derive(Default, Deserialize)]
    struct Text<'j>(#[serde(borrow)] Cow<'j, str>);
    serde_json::from_slice::<Text<'_>>(json).unwrap_or_default().0
}

/// Appends a list, each of its elements as `write` does it.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element)?;
    }
    out.push(b']');
    Ok(())
}

/// Appends a value as [`Datum::to_json`] has it.
pub(super) fn value(out: &mut Vec<u8>, datum: &Datum) -> serde_json::Result<()> {
    match datum {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Bool(truth) => write(out, truth)?,
        Datum::Long(number) | Datum::Datetime(number) => write(out, number)?,
        Datum::Number(number) => match whole(*number) {
            Some(whole) => write(out, &whole)?,
            None => write(out, number)?,
        },
        Datum::String(string) | Datum::Decimal(string) | Datum::Ip(string) | Datum::Duration(string) => {
            text(out, string)?;
        }
        Datum::List(elements) => list(out, elements, value)?,
        Datum::Record(of) => members(out, of)?,
        Datum::Entity(reference) => {
            let mut uid = Object::begin(out);
            uid.whole("type", &reference.type_name)?;
            uid.whole("id", &reference.id)?;
            uid.end();
        }
    }
    Ok(())
}

/// Appends the object of these members.
pub(super) fn members(out: &mut Vec<u8>, members: &[(String, Datum)]) -> serde_json::Result<()> {
    let mut object = Object::begin(out);
    for (name, datum) in members {
        value(object.any_name(name)?, datum)?;
    }
    object.end();
    Ok(())
}

/// One JSON object, member by member. Names of members need no escapes, unless said otherwise.
#[derive(Debug)]
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, any: false }
    }

    /// Goes on with an object whose first members stand elsewhere.
    pub(super) fn behind_others(out: &'a mut Vec<u8>) -> Self {
        Self { out, any: true }
    }

    /// Adds a member.
    pub(super) fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
        write(self.name(name), value)
    }

    /// Adds a member if the text is not empty, cut to [`MAX_TEXT_BYTES`].
    pub(super) fn text(&mut self, name: &str, text: &str) -> serde_json::Result<()> {
        if text.is_empty() { Ok(()) } else { self.capped(name, text, MAX_TEXT_BYTES) }
    }

    /// Adds a text, cut to so many bytes.
    pub(super) fn capped(&mut self, name: &str, text: &str, limit: usize) -> serde_json::Result<()> {
        if text.len() <= limit { self.whole(name, text) } else { self.member(name, &Capped(text, limit)) }
    }

    /// Adds a text as it is, however long.
    pub(super) fn whole(&mut self, name: &str, whole: &str) -> serde_json::Result<()> {
        text(self.name(name), whole)
    }

    /// Adds a text of ours that needs no escapes.
    pub(super) fn plain(&mut self, name: &str, text: &str) {
        quoted(self.name(name), text);
    }

    /// Adds a member that is there only if something is so.
    pub(super) fn holds(&mut self, name: &str) {
        self.written(name, b"true");
    }

    /// Adds an entity's name.
    pub(super) fn uid(&mut self, name: &str, uid: Uid<'_>) -> serde_json::Result<()> {
        uid.write(self.name(name))
    }

    /// Adds a list, each of its elements as `write` does it.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        list(self.name(name), elements, write)
    }

    /// Begins an object that is a member of this one.
    pub(super) fn object(&mut self, name: &str) -> Object<'_> {
        Object::begin(self.name(name))
    }

    /// Adds a member whose value is JSON on one line already.
    pub(super) fn written(&mut self, name: &str, json: &[u8]) {
        self.name(name).extend_from_slice(json);
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// What follows is the value of the member of that name.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        quoted(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// The same, of a name that may need escapes.
    pub(super) fn any_name(&mut self, name: &str) -> serde_json::Result<&mut Vec<u8>> {
        self.separate();
        text(self.out, name)?;
        self.out.push(b':');
        Ok(self.out)
    }

    fn separate(&mut self) {
        if self.any {
            self.out.push(b',');
        }
        self.any = true;
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

/// An entity's name: `{"type", "id"}`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Uid<'a> {
    /// As it was resolved.
    Known(&'a EntityUid),
    /// As a caller wrote it.
    Asked(&'a Reference),
}

impl Uid<'_> {
    /// Appends it.
    pub(super) fn write(self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut uid = Object::begin(out);
        match self {
            Self::Known(known) => {
                type_name(uid.name("type"), known.type_name());
                uid.capped("id", known.id().unescaped(), MAX_TEXT_BYTES)?;
            }
            Self::Asked(asked) => {
                uid.capped("type", &asked.type_name, MAX_TEXT_BYTES)?;
                uid.capped("id", &asked.id, MAX_TEXT_BYTES)?;
            }
        }
        uid.end();
        Ok(())
    }
}

/// Appends a declared type's name: identifiers, which need no escapes.
fn type_name(out: &mut Vec<u8>, name: &EntityTypeName) {
    out.push(b'"');
    for part in name.namespace_components() {
        out.extend_from_slice(part.as_bytes());
        out.extend_from_slice(b"::");
    }
    out.extend_from_slice(name.basename().as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_alike_with_and_without_a_look_ahead(word in "[ -~]{0,30}[ -~\u{7f}é\u{2028}\n\"\\\\]{0,2}[ -~]{0,20}|.{1,12}") {
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            text(&mut fast, &word).unwrap();
            write(&mut slow, word.as_str()).unwrap();
            prop_assert_eq!(String::from_utf8(fast).unwrap(), String::from_utf8(slow).unwrap());
        }
    }

    #[test]
    fn one_byte_that_is_special_is_found_wherever_it_stands() {
        let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        for length in 1..=25 {
            for (place, byte) in (0..length).flat_map(|place| (0..0x80).map(move |byte| (place, byte))) {
                let mut text = vec![b'a'; length];
                text[place] = byte;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(needs_no_escapes(&text), is_plain(byte), "{text:?}");
            }
        }
        assert!(needs_no_escapes("") && !needs_no_escapes("é") && !needs_no_escapes("0123456789é"));
    }
}
