//! JSON that every reader reads alike (I-JSON, RFC 7493): UTF-8 without a mark before it, no member twice, no number beyond a
//! double, no surrogate alone, and no code point that is no character.

use crate::engine::datum::Datum;
use crate::pdp::Refused;

/// The value that a text is.
///
/// # Errors
/// [`Refused::Unreadable`], with the line and column.
pub(super) fn parse(bytes: &[u8]) -> Result<Datum, Refused> {
    let unreadable = |why: String| Refused::Unreadable(format!("the body is not an AuthZEN request: {why}"));
    // The parser stops at 128 levels, so that what walks the value needs no limit of its own.
    let value = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    match noncharacter(&value) {
        Some(found) => Err(unreadable(format!("it holds U+{:04X}, which is no character", u32::from(found)))),
        None => Ok(value),
    }
}

/// A code point that I-JSON excludes (RFC 7493 §2.1), if the value holds one.
fn noncharacter(value: &Datum) -> Option<char> {
    let of_text = |text: &str| text.chars().find(|c| is_noncharacter(*c));
    match value {
        Datum::String(text) => of_text(text),
        Datum::List(elements) => elements.iter().find_map(noncharacter),
        Datum::Record(members) => {
            members.iter().find_map(|(name, value)| of_text(name).or_else(|| noncharacter(value)))
        }
        _ => None,
    }
}

/// Unicode's 66 noncharacters.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_could_read_differently_is_refused() {
        for text in [
            "\u{feff}{}",
            r#"{"a": 1, "a": 2}"#,
            r#"{"a": {"b": 1, "\u0062": 2}}"#,
            r#"{"a": "\ud800"}"#,
            r#"{"a": "\udc00\ud800"}"#,
            r#"{"\ud800": 1}"#,
            r#"{"a": "\uffff"}"#,
            r#"{"a": ["\ufdd0"]}"#,
            r#"{"\ud83f\udffe": 1}"#,
            r#"{"a": 1e999}"#,
            r#"{"a": NaN}"#,
            r#"{"a": 01}"#,
            r#"{"a": +1}"#,
            "{\"a\": \"\n\"}",
            "{} {}",
            "{} // more",
            "{'a': 1}",
            r#"{"a": 1,}"#,
            "",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        for bytes in [
            &b"{\"a\": \"\xff\"}"[..],
            b"{\"\xc0\x80\": 1}",
            b"{\"a\": \"\xed\xa0\x80\"}",
            b"\xff\xfe{\x00}\x00",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn what_all_read_alike_is_read() {
        for text in [
            r#"{"a": "😀 \u00e9 \ud83d\ude00 \u0000"}"#,
            r#"{"a": 1.5e300, "b": -0, "c": 123456789012345678901234567890}"#,
            " \t\r\n{}\n",
            "null",
        ] {
            assert!(parse(text.as_bytes()).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(100).as_bytes()).is_ok());
        for levels in [200, 100_000] {
            assert!(parse(nested(levels).as_bytes()).is_err());
        }
    }
}
