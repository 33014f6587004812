//! Reading values that the engine itself understands: instants, numbers, and what sets hold.

use std::sync::LazyLock;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{self, ExtensionFunction, Literal, Name, PartialValue, Value, ValueKind};
use cedar_policy_core::extensions::Extensions;

use super::swift::{FEW, entity_of};
use super::value::{CedarValue, Extension};

/// 1970-01-01T00:00:00Z, and how Cedar tells what lies between it and another datetime: looked up once.
static SINCE_EPOCH: LazyLock<Option<SinceEpoch>> = LazyLock::new(|| {
    let function =
        |name: &str| Extensions::all_available().func(&Name::parse_unqualified_name(name).ok()?).ok();
    let epoch = CedarValue::extension(Extension::Datetime, "1970-01-01").ok()?;
    Some(SinceEpoch {
        epoch: epoch.0,
        since: function("durationSince")?,
        millis: function("toMilliseconds")?,
    })
});

struct SinceEpoch {
    epoch: Value,
    since: &'static ExtensionFunction,
    millis: &'static ExtensionFunction,
}

fn call(function: &ExtensionFunction, arguments: &[Value]) -> Option<Value> {
    match function.call(arguments) {
        Ok(PartialValue::Value(value)) => Some(value),
        Ok(PartialValue::Residual(_)) | Err(_) => None,
    }
}

impl CedarValue {
    /// The number, if it is one.
    pub fn as_long(&self) -> Option<i64> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::Long(value)) => Some(*value),
            _ => None,
        }
    }

    /// The instant in milliseconds since 1970-01-01T00:00:00Z, if it is a datetime. Cedar keeps the number to itself, and
    /// tells differences.
    pub fn as_millis(&self) -> Option<i64> {
        let SinceEpoch { epoch, since, millis } = SINCE_EPOCH.as_ref()?;
        let since = call(since, &[self.0.clone(), epoch.clone()])?;
        Self(call(millis, &[since])?).as_long()
    }

    /// The length in milliseconds, if it is a duration.
    pub fn as_duration_millis(&self) -> Option<i64> {
        let SinceEpoch { millis, .. } = SINCE_EPOCH.as_ref()?;
        Self(call(millis, std::slice::from_ref(&self.0))?).as_long()
    }

    /// Whether it is a set that has this entity.
    pub fn has_entity(&self, uid: &EntityUid) -> bool {
        let uid: &ast::EntityUID = uid.as_ref();
        match self.0.value_kind() {
            // What is looked for by its hash is copied first.
            ValueKind::Set(set) if set.len() > FEW => set.contains(&Value::from(uid.clone())),
            ValueKind::Set(set) => set.iter().any(|element| entity_of(element) == Some(uid)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_however_it_was_written() {
        let datetime = |text: &str| CedarValue::extension(Extension::Datetime, text).unwrap();
        for (text, millis) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:01Z", 1_000),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1970-01-01T01:00:00+0100", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2026-11-22T10:00:00Z", 1_795_341_600_000),
        ] {
            assert_eq!(datetime(text).as_millis(), Some(millis), "{text}");
        }
        let day = CedarValue::extension(Extension::Duration, "1d").unwrap();
        assert_eq!(datetime("1970-01-01").offset(day.clone()).unwrap().as_millis(), Some(86_400_000));
        assert_eq!(day.as_millis(), None, "a duration is no instant");
        assert_eq!(day.as_duration_millis(), Some(86_400_000));
        let behind = CedarValue::extension(Extension::Duration, "-1m1ms").unwrap();
        assert_eq!(behind.as_duration_millis(), Some(-60_001));
        assert_eq!(datetime("1970-01-02").as_duration_millis(), None, "an instant is no duration");
        assert_eq!(CedarValue::string("1970-01-01").as_millis(), None);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let uid = |id: &str| -> EntityUid { format!("E::\"{id}\"").parse().unwrap() };
        let set = CedarValue::set([CedarValue::entity(&uid("a")), CedarValue::entity(&uid("b"))]);
        assert!(set.has_entity(&uid("a")) && set.has_entity(&uid("b")) && !set.has_entity(&uid("c")));
        assert!(!CedarValue::set([]).has_entity(&uid("a")));
        let named = |count: usize| (0..count).map(|id| CedarValue::entity(&uid(&format!("e{id}"))));
        for count in [1, FEW - 1, FEW, FEW + 1, 5 * FEW] {
            let set = CedarValue::set(named(count).chain([CedarValue::string("e9")]));
            let last = format!("e{}", count - 1);
            assert!(set.has_entity(&uid(&last)) && !set.has_entity(&uid(&format!("e{count}"))), "{count}");
        }
        assert!(!CedarValue::entity(&uid("a")).has_entity(&uid("a")), "an entity is no set");
    }
}
