//! JSON that every reader reads alike: bounded, and no member given twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::{ImportError, shown};
use super::json_path::JsonPath;

/// The longest text that is read, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// The parser gives up at 128 levels, with a message that names no place; this comes first.
const MAX_PARSED_LEVELS: usize = 100;

/// How many steps of a too deep path a message shows.
const SHOWN_STEPS: usize = 6;

pub(crate) fn parse(text: &str) -> Result<Value, ImportError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ImportError::TooLarge { bytes: text.len() });
    }
    let fault = RefCell::new(None);
    let strict = Strict { path: JsonPath::TOP, fault: &fault };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = strict.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| fault.take().unwrap_or_else(|| malformed(&error)))
}

fn malformed(error: &serde_json::Error) -> ImportError {
    let whole = error.to_string();
    let reason = whole.split(" at line ").next().unwrap_or_default();
    ImportError::Malformed { line: error.line(), column: error.column(), reason: reason.to_owned() }
}

/// Reads one value, knowing where it is. A fault of the document is left in `fault`: serde's own error is only text.
#[derive(Clone, Copy)]
struct Strict<'a> {
    path: JsonPath<'a>,
    fault: &'a RefCell<Option<ImportError>>,
}

impl Strict<'_> {
    fn fail<T, E: Error>(self, fault: ImportError) -> Result<T, E> {
        let error = E::custom(&fault);
        self.fault.replace(Some(fault));
        Err(error)
    }

    fn descend<E: Error>(self) -> Result<(), E> {
        if self.path.steps() < MAX_PARSED_LEVELS {
            return Ok(());
        }
        let at = self.path.near_top(SHOWN_STEPS);
        self.fail(ImportError::TooDeep { at })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut elements = Vec::new();
        loop {
            let path = self.path.element(elements.len());
            let fault = self.fault;
            match access.next_element_seed(Strict { path, fault })? {
                Some(element) => elements.push(element),
                None => return Ok(Value::Array(elements)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return self.fail(ImportError::DuplicateMember {
                    path: self.path.to_string(),
                    member: shown(&name),
                });
            }
            let path = self.path.member(&name);
            let fault = self.fault;
            let value = access.next_value_seed(Strict { path, fault })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,2.5,true,null,"x\n",{}],"b":{"c":18446744073709551615}}"#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text).unwrap(), plain);
    }

    #[test]
    fn names_the_place_of_a_second_member() {
        let error = parse(r#"{"tools":[{},{"name":"x","name":"y"}]}"#).unwrap_err();
        let expected = r#"$.tools[1]: member "name" is given twice; remove one of them"#;
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn sees_through_escapes() {
        let error = parse(r#"{"a":1,"\u0061":2}"#).unwrap_err();
        assert!(matches!(error, ImportError::DuplicateMember { .. }));
    }

    #[test]
    fn says_where_it_is_not_json() {
        for (text, line, column) in [("", 1, 0), ("{\n x", 2, 2), ("[1] 2", 1, 5), ("[1e999]", 1, 6)] {
            let ImportError::Malformed { line: l, column: c, reason } = parse(text).unwrap_err() else {
                panic!("{text}")
            };
            assert_eq!((l, c), (line, column), "{text}: {reason}");
            assert!(!reason.contains("line"), "{reason}");
        }
    }

    #[test]
    fn depth_ends_before_the_stack_does() {
        let text = "[".repeat(1_000_000);
        let at = "$[0][0][0][0][0][0]…".to_owned();
        assert_eq!(parse(&text).unwrap_err(), ImportError::TooDeep { at });
    }

    #[test]
    fn length_is_bounded() {
        let text = " ".repeat(MAX_TEXT_BYTES + 1);
        assert!(matches!(parse(&text), Err(ImportError::TooLarge { .. })));
    }
}
