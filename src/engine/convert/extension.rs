//! Values of Cedar's extension types: decimals, addresses, datetimes, durations.

use jiff::Timestamp;

use super::{Converted, Converter, Form};
use crate::engine::cedar::value::Extension;
use crate::engine::cedar::{CedarValue, Type};
use crate::engine::datum::{Datum, MAX_SAFE_INTEGER};

impl Converter<'_> {
    pub(super) fn extension(&self, datum: &Datum, ty: &Type) -> Converted<CedarValue> {
        let (extension, text) = match (ty, datum) {
            (Type::Decimal, Datum::Decimal(text)) => (Extension::Decimal, text.clone()),
            (Type::Ip, Datum::Ip(text)) => (Extension::Ip, text.clone()),
            (Type::Duration, Datum::Duration(text)) => (Extension::Duration, text.clone()),
            (Type::Datetime, Datum::Datetime(millis)) => (Extension::Datetime, self.datetime_text(*millis)?),
            (Type::Decimal, Datum::Long(_) | Datum::Number(_))
                if matches!(self.form, Form::Plain | Form::Arguments) =>
            {
                (Extension::Decimal, self.decimal_text(datum)?)
            }
            (Type::Decimal, Datum::String(text)) if self.form == Form::CedarJson => {
                (Extension::Decimal, text.clone())
            }
            (Type::Ip, Datum::String(text)) if self.form != Form::Typed => (Extension::Ip, text.clone()),
            (Type::Duration, Datum::String(text)) if self.form != Form::Typed => {
                (Extension::Duration, text.clone())
            }
            (Type::Datetime, Datum::String(text)) if self.form != Form::Typed => {
                (Extension::Datetime, self.normal_datetime(text)?)
            }
            (_, Datum::Record(_)) if self.form == Form::CedarJson => self.extension_escape(datum, ty)?,
            _ => return Err(self.mismatch(datum, ty)),
        };
        CedarValue::extension(extension, &text).map_err(|message| self.invalid(message))
    }

    /// `{"__extn": {"fn": "decimal", "arg": "1.0"}}`
    fn extension_escape(&self, datum: &Datum, ty: &Type) -> Converted<(Extension, String)> {
        let call = datum.member("__extn");
        let part = |name| match call.and_then(|call| call.member(name)) {
            Some(Datum::String(text)) => Some(text.as_str()),
            _ => None,
        };
        match (part("fn").and_then(Extension::named), part("arg")) {
            (Some(extension), Some(text)) if builds(extension, ty) => Ok((extension, text.to_owned())),
            _ => Err(self.mismatch(datum, ty)),
        }
    }

    /// A JSON number as a decimal, if four places hold it exactly.
    fn decimal_text(&self, datum: &Datum) -> Converted<String> {
        let text = match datum {
            Datum::Long(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => {
                value.to_string()
            }
            // The shortest text that reads back as the same double.
            Datum::Number(value) => value.to_string(),
            _ => return Err(self.invalid("is beyond ±(2^53−1), which is what JSON can say exactly")),
        };
        match text.split_once('.') {
            None => Ok(format!("{text}.0")),
            Some((_, places)) if places.len() <= 4 => Ok(text),
            Some(_) => {
                Err(self.invalid(format!("`{text}` has more than the four decimal places a decimal holds")))
            }
        }
    }

    fn datetime_text(&self, millis: i64) -> Converted<String> {
        datetime(millis)
            .ok_or_else(|| self.invalid(format!("{millis} ms is not a datetime in years 0000 to 9999")))
    }

    /// RFC 3339 says more than Cedar's constructor reads (an offset with a colon, digits beyond milliseconds): what
    /// is exact in milliseconds is rewritten, what is not Cedar judges.
    fn normal_datetime(&self, text: &str) -> Converted<String> {
        match text.parse::<Timestamp>() {
            Ok(instant) if instant.subsec_nanosecond() % 1_000_000 == 0 => {
                self.datetime_text(instant.as_millisecond())
            }
            Ok(_) => Err(self.invalid("a datetime is exact to the millisecond; drop the digits after it")),
            Err(_) => Ok(text.to_owned()),
        }
    }
}

/// `YYYY-MM-DDThh:mm:ss.SSSZ`, which Cedar's constructor reads; none outside years 0000 to 9999.
pub fn datetime(millis: i64) -> Option<String> {
    let instant = Timestamp::from_millisecond(millis).ok()?;
    let text = instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    (!text.starts_with('-')).then_some(text)
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
