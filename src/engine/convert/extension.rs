//! Values of Cedar's extension types: decimals, addresses, datetimes, durations.

use jiff::Timestamp;

use super::place::Place;
use super::{Converted, Converter, Form, mismatch};
use crate::engine::cedar::value::Extension;
use crate::engine::cedar::{CedarValue, Type};
use crate::engine::datum::{Datum, MAX_SAFE_INTEGER, whole};

/// 2^39: below it doubles stand closer than 10^−4, so every decimal of four places has one of its own.
const MAX_EXACT_DECIMAL: f64 = 549_755_813_888.0;

impl Converter<'_> {
    pub(super) fn extension(&self, at: &Place<'_>, datum: &Datum, ty: &Type) -> Converted<CedarValue> {
        if let (Form::CedarJson, Type::Datetime, Some([instant, by])) = (self.form, ty, offset(datum)) {
            let instant = self.extension(at, instant, &Type::Datetime)?;
            let by = self.extension(at, by, &Type::Duration)?;
            return instant.offset(by).map_err(|message| at.invalid(message));
        }
        if let Some(millis) = self.instant(at, datum, ty)? {
            let beyond = || at.invalid(format!("{millis} ms is not a datetime in years 0000 to 9999"));
            return CedarValue::datetime(millis).ok_or_else(beyond);
        }
        let (extension, text) = match (ty, datum) {
            (Type::Decimal, Datum::Decimal(text)) => (Extension::Decimal, text.clone()),
            (Type::Ip, Datum::Ip(text)) => (Extension::Ip, text.clone()),
            (Type::Duration, Datum::Duration(text)) => (Extension::Duration, text.clone()),
            (Type::Decimal, Datum::Long(_) | Datum::Number(_))
                if matches!(self.form, Form::Plain | Form::Arguments) =>
            {
                (Extension::Decimal, decimal_text(at, datum)?)
            }
            (Type::Decimal, Datum::String(text)) if self.form == Form::CedarJson => {
                (Extension::Decimal, text.clone())
            }
            (Type::Ip, Datum::String(text)) if self.form != Form::Typed => (Extension::Ip, text.clone()),
            (Type::Duration, Datum::String(text)) if self.form != Form::Typed => {
                (Extension::Duration, text.clone())
            }
            (Type::Datetime, Datum::String(text)) if self.form != Form::Typed => {
                (Extension::Datetime, text.clone())
            }
            (_, Datum::Record(_)) if self.form == Form::CedarJson => extension_escape(at, datum, ty)?,
            _ => return Err(mismatch(at, datum, ty)),
        };
        CedarValue::extension(extension, &text).map_err(|message| at.invalid(message))
    }

    /// The instant that a datetime tells, in milliseconds after 1970-01-01T00:00:00Z; none if only Cedar can read it.
    ///
    /// RFC 3339 says more than Cedar's constructor reads (an offset with a colon, digits beyond milliseconds): what is exact in
    /// milliseconds is read here, what is not Cedar judges.
    fn instant(&self, at: &Place<'_>, datum: &Datum, ty: &Type) -> Converted<Option<i64>> {
        let text = match (ty, datum) {
            (Type::Datetime, Datum::Datetime(millis)) => return Ok(Some(*millis)),
            (Type::Datetime, Datum::String(text)) if self.form != Form::Typed && is_rfc3339(text) => text,
            _ => return Ok(None),
        };
        match text.parse::<Timestamp>() {
            Ok(instant) if instant.subsec_nanosecond() % 1_000_000 == 0 => Ok(Some(instant.as_millisecond())),
            Ok(_) => Err(at.invalid("a datetime is exact to the millisecond; drop the digits after it")),
            Err(_) => Ok(None),
        }
    }
}

/// `{"__extn": {"fn": "decimal", "arg": "1.0"}}`
fn extension_escape(at: &Place<'_>, datum: &Datum, ty: &Type) -> Converted<(Extension, String)> {
    let alone = |datum: &Datum, members: usize| matches!(datum, Datum::Record(own) if own.len() == members);
    let call = datum.member("__extn").filter(|call| alone(datum, 1) && alone(call, 2));
    let part = |name| match call.and_then(|call| call.member(name)) {
        Some(Datum::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match (part("fn").and_then(Extension::named), part("arg")) {
        (Some(extension), Some(text)) if builds(extension, ty) => Ok((extension, text.to_owned())),
        _ => Err(mismatch(at, datum, ty)),
    }
}

/// A JSON number as a decimal, if four places hold it exactly.
fn decimal_text(at: &Place<'_>, datum: &Datum) -> Converted<String> {
    let text = match datum {
        Datum::Long(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => value.to_string(),
        Datum::Number(value) => match whole(*value) {
            Some(whole) => whole.to_string(),
            // The shortest text that reads back as the same double, if what was written cannot have been another.
            None if value.abs() < MAX_EXACT_DECIMAL => value.to_string(),
            None => {
                return Err(at.invalid(format!("`{value}` has more digits than a JSON number holds exactly")));
            }
        },
        _ => return Err(at.invalid("is beyond ±(2^53−1), which is what JSON can say exactly")),
    };
    match text.split_once('.') {
        None => Ok(format!("{text}.0")),
        Some((_, places)) if places.len() <= 4 => Ok(text),
        Some(_) => Err(at.invalid(format!("`{text}` has more than the four decimal places a decimal holds"))),
    }
}

/// `YYYY-MM-DDThh:mm:ss.SSSZ`; none outside years 0000 to 9999.
pub fn datetime(millis: i64) -> Option<String> {
    let instant = Timestamp::from_millisecond(millis).ok()?;
    let text = instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    (!text.starts_with('-')).then_some(text)
}

/// `YYYY-MM-DDThh:mm:ss`, perhaps a fraction, then `Z` or `±hh:mm` (RFC 3339 §5.6), and no leap second, which Cedar has
/// no value for. The parser would take more.
fn is_rfc3339(text: &str) -> bool {
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let shape = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let digits =
        rest.strip_prefix('.').map(|fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = digits.unwrap_or(rest);
    let offset =
        |zone: &str| (shape(zone, "+00:00") || shape(zone, "-00:00")) && zone.get(1..3) <= Some("23");
    shape(moment, "0000-00-00T00:00:00") && moment.get(17..) <= Some("59") && (zone == "Z" || offset(zone))
}

/// What `{"__extn": {"fn": "offset", "args": […, …]}}` is given: Cedar writes instants so that have no year of four digits.
fn offset(datum: &Datum) -> Option<&[Datum; 2]> {
    let [(key, Datum::Record(call))] = datum.members()? else { return None };
    let is_offset = |name: &Datum| matches!(name, Datum::String(name) if name == "offset");
    match (datum.member("__extn").and_then(|call| call.member("args")), call.len(), key.as_str()) {
        (Some(Datum::List(given)), 2, "__extn")
            if call.iter().any(|(part, name)| part == "fn" && is_offset(name)) =>
        {
            given.as_slice().try_into().ok()
        }
        _ => None,
    }
}

fn builds(extension: Extension, ty: &Type) -> bool {
    matches!(
        (extension, ty),
        (Extension::Decimal, Type::Decimal)
            | (Extension::Ip, Type::Ip)
            | (Extension::Datetime, Type::Datetime)
            | (Extension::Duration, Type::Duration)
    )
}
