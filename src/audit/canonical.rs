//! The canonical JSON of a value (RFC 8785), for its digest.
//!
//! The same bytes as `engine::digest::of_json` hashes, written straight from the value: the canonicalizer of any
//! `Serialize` reads every key back as JSON, which costs more than the rest of a record (`benches/README.md`).

use std::cmp::Ordering;

use super::json;
use crate::engine::datum::{Datum, MAX_SAFE_INTEGER, whole};
use crate::engine::digest;

/// `sha256:` and 64 hex digits over the canonical form; `scratch` holds it on the way.
pub(super) fn digest(value: Value<'_>, scratch: &mut Vec<u8>) -> serde_json::Result<String> {
    write_value(value, scratch)?;
    Ok(digest::of_bytes(scratch))
}

/// Replaces what `scratch` holds by the canonical form.
pub(super) fn write_value(value: Value<'_>, scratch: &mut Vec<u8>) -> serde_json::Result<()> {
    scratch.clear();
    match value {
        Value::Datum(datum) => write(scratch, datum),
        Value::Members(members) => write_members(scratch, members),
    }
}

/// What a digest is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// Any value.
    Datum(&'a Datum),
    /// The object of these members.
    Members(&'a [(String, Datum)]),
}

fn write(out: &mut Vec<u8>, datum: &Datum) -> serde_json::Result<()> {
    match datum {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Bool(value) => serde_json::to_writer(out, value)?,
        Datum::Long(value) | Datum::Datetime(value) => write_whole(out, *value)?,
        Datum::Number(value) => match whole(*value) {
            Some(whole) => write_whole(out, whole)?,
            None if value.is_finite() => serde_json_canonicalizer::to_writer(value, out)?,
            None => out.extend_from_slice(b"null"),
        },
        Datum::String(text) | Datum::Decimal(text) | Datum::Ip(text) | Datum::Duration(text) => {
            write_text(out, text)?;
        }
        Datum::List(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                separate(out, index);
                write(out, element)?;
            }
            out.push(b']');
        }
        Datum::Record(members) => write_members(out, members)?,
        Datum::Entity(reference) => {
            out.extend_from_slice(b"{\"id\":");
            write_text(out, &reference.id)?;
            out.extend_from_slice(b",\"type\":");
            write_text(out, &reference.type_name)?;
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_members(out: &mut Vec<u8>, members: &[(String, Datum)]) -> serde_json::Result<()> {
    // Whoever sends a `Struct` sends them in this order.
    if members.is_sorted_by(|(one, _), (other, _)| by_utf16(one, other).is_le()) {
        return write_sorted(out, members);
    }
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|(one, _), (other, _)| by_utf16(one, other));
    write_sorted(out, members)
}

fn write_sorted<'d>(
    out: &mut Vec<u8>,
    members: impl IntoIterator<Item = &'d (String, Datum)>,
) -> serde_json::Result<()> {
    out.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        separate(out, index);
        write_text(out, name)?;
        out.push(b':');
        write(out, value)?;
    }
    out.push(b'}');
    Ok(())
}

/// RFC 8785 §3.2.2.2. A text without anything special is the same as in any other JSON.
fn write_text(out: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    if json::needs_no_escapes(text) {
        json::quoted(out, text);
        return Ok(());
    }
    serde_json::to_writer(out, text)
}

/// RFC 8785 has only doubles: a whole number that none holds is rounded to one.
#[expect(clippy::cast_precision_loss, reason = "the rounding is the rule")]
fn write_whole(out: &mut Vec<u8>, value: i64) -> serde_json::Result<()> {
    if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() {
        serde_json::to_writer(out, &value)
    } else {
        serde_json_canonicalizer::to_writer(&(value as f64), out)
    }
}

/// RFC 8785 §3.2.3: members stand by the UTF-16 code units of their names.
fn by_utf16(one: &str, other: &str) -> Ordering {
    match one.bytes().zip(other.bytes()).find(|(one, other)| one != other) {
        Some((one, other)) => turned(one).cmp(&turned(other)),
        None => one.len().cmp(&other.len()),
    }
}

/// UTF-8 stands in the order of code points, and UTF-16 too, but for those beyond the basic plane: they are written as two
/// surrogates, which come before U+E000. So what begins such a code point stands before what begins U+E000 and above.
fn turned(byte: u8) -> u8 {
    match byte {
        0xee | 0xef => byte + 5,
        0xf0..=0xf4 => byte - 2,
        _ => byte,
    }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::datum::Reference;
    use proptest::collection::{hash_map, vec};
    use proptest::prelude::*;

    fn data() -> impl Strategy<Value = Datum> {
        let leaf = prop_oneof![
            Just(Datum::Null),
            any::<bool>().prop_map(Datum::Bool),
            any::<i64>().prop_map(Datum::Long),
            (-9_007_199_254_740_994_i64..9_007_199_254_740_994).prop_map(Datum::Datetime),
            any::<f64>().prop_map(Datum::Number),
            (-1e22..1e22).prop_map(Datum::Number),
            any::<String>().prop_map(Datum::String),
            any::<(String, String)>().prop_map(|(kind, id)| Datum::Entity(Reference::new(kind, id))),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Datum::List),
                hash_map("[a-c\u{1f600}\u{ffff}\\n\"é]{0,3}", inner, 0..6)
                    .prop_map(|members| Datum::Record(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_digest_is_the_one_the_engine_would_give(datum in data()) {
            let mut scratch = b"left over".to_vec();
            let fast = digest(Value::Datum(&datum), &mut scratch).unwrap();
            prop_assert_eq!(fast, digest::of_json(&datum.to_json()).unwrap());
        }
    }

    #[test]
    fn names_stand_by_utf16_and_not_by_code_point() {
        let members = [("\u{ffff}", 1), ("\u{1f600}", 2), ("a", 3)];
        let members = members.map(|(name, value)| (name.to_owned(), Datum::Long(value)));
        let mut scratch = Vec::new();
        digest(Value::Members(&members), &mut scratch).unwrap();
        assert_eq!(String::from_utf8(scratch).unwrap(), "{\"a\":3,\"\u{1f600}\":2,\"\u{ffff}\":1}");
    }

    #[test]
    fn any_two_names_stand_as_their_utf16_does() {
        let first_and_last_of_each_length = "a~\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{efff}\u{f000}\u{ffff}\u{10000}\u{3ffff}\u{40000}\u{10ffff}";
        let each: Vec<_> = first_and_last_of_each_length.chars().map(String::from).collect();
        let two = each.iter().flat_map(|one| each.iter().map(move |other| format!("{one}{other}")));
        let names: Vec<_> = two.chain(each.clone()).chain([String::new()]).collect();
        for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other))) {
            let expected = one.encode_utf16().cmp(other.encode_utf16());
            assert_eq!(by_utf16(one, other), expected, "{one:?}, {other:?}");
        }
    }
}
