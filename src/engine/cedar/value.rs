//! Cedar values, built directly: no JSON, no policy text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cedar_policy::{Context, EntityUid};
use cedar_policy_core::ast::{self, ExtensionFunction, Literal, Name, PartialValue, Value, ValueKind};
use cedar_policy_core::extensions::Extensions;
use ref_cast::RefCast;
use smol_str::{SmolStr, format_smolstr};

/// A value as Cedar evaluates it.
#[derive(Debug, Clone, PartialEq, Eq, RefCast)]
#[repr(transparent)]
pub struct CedarValue(pub(super) Value);

/// A record of values: a context, or an entity's attributes. Cloning shares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CedarRecord(pub(super) Arc<BTreeMap<SmolStr, Value>>);

/// The extension types a value can be built as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// `decimal("10.25")`
    Decimal,
    /// `ip("10.0.0.0/8")`
    Ip,
    /// `datetime("2026-11-22T10:00:00.000Z")`
    Datetime,
    /// `duration("1h30m")`
    Duration,
}

impl Extension {
    /// The constructor's name in Cedar.
    pub fn constructor(self) -> &'static str {
        match self {
            Self::Decimal => "decimal",
            Self::Ip => "ip",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
        }
    }

    /// The extension whose constructor has this name.
    pub fn named(constructor: &str) -> Option<Self> {
        [Self::Decimal, Self::Ip, Self::Datetime, Self::Duration]
            .into_iter()
            .find(|extension| extension.constructor() == constructor)
    }
}

/// Constructors looked up once: parsing their names costs more than calling them.
static CONSTRUCTORS: LazyLock<[Option<&'static ExtensionFunction>; 4]> = LazyLock::new(|| {
    [Extension::Decimal, Extension::Ip, Extension::Datetime, Extension::Duration].map(|extension| {
        let name = Name::parse_unqualified_name(extension.constructor()).ok()?;
        Extensions::all_available().func(&name).ok()
    })
});

const NO_SUCH_EXTENSION: &str = "this build of Cedar has no such extension";

/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;

impl CedarValue {
    /// A truth value.
    pub fn boolean(value: bool) -> Self {
        Self(Value::from(value))
    }

    /// A 64-bit integer.
    pub fn long(value: i64) -> Self {
        Self(Value::from(value))
    }

    /// Text.
    pub fn string(text: &str) -> Self {
        Self(Value::from(SmolStr::new(text)))
    }

    /// Text that is shared.
    pub fn text(text: &SmolStr) -> Self {
        Self(Value::from(text.clone()))
    }

    /// A reference to an entity.
    pub fn entity(uid: &EntityUid) -> Self {
        let uid: &cedar_policy_core::ast::EntityUID = uid.as_ref();
        Self(Value::from(uid.clone()))
    }

    /// A set.
    pub fn set(elements: impl IntoIterator<Item = Self>) -> Self {
        // Of the empty set, which every principal that acts by itself has two of, there is one.
        static EMPTY: LazyLock<CedarValue> = LazyLock::new(|| CedarValue(Value::empty_set(None)));
        let mut elements = elements.into_iter().peekable();
        if elements.peek().is_none() {
            return EMPTY.clone();
        }
        Self(Value::set(elements.map(|element| element.0), None))
    }

    /// A record.
    pub fn record(record: CedarRecord) -> Self {
        Self(Value::record_arc(record.0, None))
    }

    /// An extension value from its text.
    ///
    /// # Errors
    /// Cedar's own words for why the text is not one.
    pub fn extension(extension: Extension, text: &str) -> Result<Self, String> {
        let constructor = CONSTRUCTORS.get(extension as usize).copied().flatten().ok_or(NO_SUCH_EXTENSION)?;
        match constructor.call(&[Value::from(SmolStr::new(text))]) {
            Ok(PartialValue::Value(value)) => Ok(Self(value)),
            Ok(PartialValue::Residual(_)) => Err("not a value".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The instant so many milliseconds after 1970-01-01T00:00:00Z; none outside years 0000 to 9999, which have no texts.
    ///
    /// Making one means parsing a text. The same come again: the time of all that is decided within a millisecond, the hour
    /// at which a token was issued. Each thread has those it made last at hand.
    pub fn datetime(millis: i64) -> Option<Self> {
        thread_local! {
            static OF_LATE: RefCell<[Option<(i64, CedarValue)>; 64]> = const { RefCell::new([const { None }; 64]) };
        }
        OF_LATE.with_borrow_mut(|of_late| {
            let Some(slot) = of_late.get_mut(usize::try_from(millis.rem_euclid(61)).ok()?) else {
                return Self::new_datetime(millis);
            };
            if let Some((_, made)) = slot.as_ref().filter(|(instant, _)| *instant == millis) {
                return Some(made.clone());
            }
            let made = Self::new_datetime(millis)?;
            *slot = Some((millis, made.clone()));
            Some(made)
        })
    }

    /// As a duration after the first: parsing the text of one is much cheaper than writing and parsing that of a datetime.
    fn new_datetime(millis: i64) -> Option<Self> {
        static FIRST: LazyLock<Option<CedarValue>> =
            LazyLock::new(|| CedarValue::extension(Extension::Datetime, "1970-01-01").ok());
        if !(FIRST_MILLIS..=LAST_MILLIS).contains(&millis) {
            return None;
        }
        let after = Self::extension(Extension::Duration, &format_smolstr!("{millis}ms")).ok()?;
        FIRST.clone()?.offset(after).ok()
    }

    /// A datetime, moved by a duration.
    ///
    /// # Errors
    /// Cedar's own words for why it cannot be.
    pub fn offset(self, by: Self) -> Result<Self, String> {
        static OFFSET: LazyLock<Option<&'static ExtensionFunction>> = LazyLock::new(|| {
            let name = Name::parse_unqualified_name("offset").ok()?;
            Extensions::all_available().func(&name).ok()
        });
        let offset = OFFSET.ok_or(NO_SUCH_EXTENSION)?;
        match offset.call(&[self.0, by.0]) {
            Ok(PartialValue::Value(value)) => Ok(Self(value)),
            Ok(PartialValue::Residual(_)) => Err("not a value".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The entity this value refers to, if it is a reference.
    pub fn as_entity(&self) -> Option<EntityUid> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid.as_ref().clone().into()),
            _ => None,
        }
    }

    /// The entity this value refers to, where it is named, if it is a reference.
    pub fn entity_ref(&self) -> Option<&EntityUid> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::EntityUID(uid)) => Some(EntityUid::ref_cast(uid)),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The text, where it is written, if it is text.
    pub fn text_ref(&self) -> Option<&SmolStr> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self.0.value_kind() {
            ValueKind::Lit(Literal::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// A member, if it is a record that has it.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self.0.value_kind() {
            ValueKind::Record(members) => members.get(name).map(Self::ref_cast),
            _ => None,
        }
    }

    /// The elements, if it is a set.
    pub fn elements(&self) -> Option<Vec<Self>> {
        match self.0.value_kind() {
            ValueKind::Set(set) => Some(set.iter().cloned().map(Self).collect()),
            _ => None,
        }
    }
}

impl CedarRecord {
    /// The record that a context in Cedar's JSON is, where no schema says what its values are.
    ///
    /// # Errors
    /// Cedar's own words for why it is none.
    pub fn of_cedar_json(context: serde_json::Value) -> Result<Self, String> {
        let context = Context::from_json_value(context, None).map_err(|error| error.to_string())?;
        Self::of_context(&context).ok_or_else(|| "not a value".to_owned())
    }

    /// The record that a context of Cedar's public interface is; none for one that holds unknowns.
    pub fn of_context(context: &Context) -> Option<Self> {
        match context.as_ref() {
            ast::Context::Value(members) => Some(Self(Arc::clone(members))),
            ast::Context::RestrictedResidual(_) => None,
        }
    }

    /// The record of these members. Of two of a name the last is kept.
    pub fn of(members: Vec<(SmolStr, CedarValue)>) -> Self {
        Self(Arc::new(members.into_iter().map(|(name, value)| (name, value.0)).collect()))
    }

    /// How many members it has.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Sets a member.
    pub fn insert(&mut self, name: impl Into<SmolStr>, value: CedarValue) {
        Arc::make_mut(&mut self.0).insert(name.into(), value.0);
    }

    /// A member, where it is.
    pub fn value(&self, name: &str) -> Option<&CedarValue> {
        self.0.get(name).map(CedarValue::ref_cast)
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<CedarValue> {
        self.0.get(name).cloned().map(CedarValue)
    }

    /// The members, by name.
    pub fn into_members(self) -> impl Iterator<Item = (SmolStr, CedarValue)> {
        Arc::unwrap_or_clone(self.0).into_iter().map(|(name, value)| (name, CedarValue(value)))
    }
}
