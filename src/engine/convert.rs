//! Turning what a caller wrote into Cedar values, as the schema directs (C6).
//!
//! The schema decides what each value is; the caller's form only decides what it may say. Nothing is guessed and
//! nothing undeclared passes, so a converted context always fits its action.

mod extension;
mod place;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::SmolStr;

use super::catalog::{Catalog, MAX_ID_BYTES, check_length};
use super::cedar::{Attribute, CedarRecord, CedarValue, EntityKind, RecordType, Type};
use super::datum::{Datum, MAX_SAFE_INTEGER, Reference, whole};
use super::guard::MAX_VALUE_DEPTH;
use super::request::InvalidRequest;

pub use extension::datetime;
use place::Place;

/// What form a value came in, and so what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON or `google.protobuf.Struct`. `{"type", "id"}` is an entity where the schema declares one.
    Plain,
    /// A tool's arguments: as [`Form::Plain`], but nothing in them can become an entity reference.
    Arguments,
    /// Cedar JSON: 64-bit integers, `__entity` and `__extn`.
    CedarJson,
    /// Typed values: each says its own type, which must be the declared one.
    Typed,
}

/// Converts values of one request, remembering every entity the caller referred to.
#[derive(Debug)]
pub struct Converter<'a> {
    catalog: &'a Catalog,
    form: Form,
    root: Place<'a>,
    /// Entities the converted values refer to, except members of closed sets and actions.
    pub references: Vec<EntityUid>,
}

/// Why a whole number is refused that a double may have rounded.
const BEYOND_JSON: &str = "is a whole number beyond ±(2^53−1), which is what JSON can say exactly";

type Converted<T> = Result<T, InvalidRequest>;

impl<'a> Converter<'a> {
    /// A converter for values that stand at `root` (`context`, `arguments`, `entities[0].attributes`).
    pub fn new(catalog: &'a Catalog, form: Form, root: &'a str) -> Self {
        Self { catalog, form, root: Place::root(root), references: Vec::new() }
    }

    /// Converts members to a record of the declared type.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the path of the first member that is undeclared, missing or of the wrong type.
    pub fn record(&mut self, members: &[(String, Datum)], ty: &RecordType) -> Converted<CedarRecord> {
        let root = self.root;
        self.record_at(&root, members, ty)
    }

    /// Converts one value.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the path.
    pub fn value(&mut self, datum: &Datum, ty: &Type) -> Converted<CedarValue> {
        let root = self.root;
        self.value_at(&root, datum, ty)
    }

    fn record_at(
        &mut self,
        at: &Place<'_>,
        members: &[(String, Datum)],
        ty: &RecordType,
    ) -> Converted<CedarRecord> {
        let mut converted = Vec::with_capacity(members.len());
        for (name, value) in members {
            let at = at.member(name);
            let Some((declared, attribute)) = ty.attributes.get_key_value(name.as_str()) else {
                return Err(undeclared(&at, name, ty));
            };
            // A null member is an absent one.
            if *value != Datum::Null {
                converted.push((declared.clone(), self.value_at(&at, value, &attribute.ty)?));
            }
        }
        let record = CedarRecord::of(converted);
        check_complete(at, &record, ty)?;
        Ok(record)
    }

    fn value_at(&mut self, at: &Place<'_>, datum: &Datum, ty: &Type) -> Converted<CedarValue> {
        if at.depth() > MAX_VALUE_DEPTH {
            return Err(at.invalid(format!("is nested deeper than {MAX_VALUE_DEPTH} levels")));
        }
        self.refuse_escapes(at, datum)?;
        match (ty, datum) {
            (Type::Json, _) => self.json(at, datum),
            (Type::Union(parts), _) => self.union(at, datum, parts),
            (Type::Bool, Datum::Bool(value)) => Ok(CedarValue::boolean(*value)),
            (Type::String, Datum::String(text)) => Ok(CedarValue::string(text)),
            (Type::Long, Datum::Long(_) | Datum::Number(_)) => self.long(at, datum),
            (Type::Set(element), Datum::List(elements)) => self.set(at, elements, element),
            (Type::Entity(name), _) => self.entity(at, datum, name),
            (Type::Record(ty), Datum::Record(members)) => {
                Ok(CedarValue::record(self.record_at(at, members, ty)?))
            }
            (Type::Decimal | Type::Ip | Type::Datetime | Type::Duration, _) => self.extension(at, datum, ty),
            _ => Err(mismatch(at, datum, ty)),
        }
    }

    fn long(&self, at: &Place<'_>, datum: &Datum) -> Converted<CedarValue> {
        let exact = matches!(self.form, Form::CedarJson | Form::Typed);
        let value = match datum {
            Datum::Long(value) if exact || value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => {
                Some(*value)
            }
            Datum::Number(value) if !exact => whole(*value),
            _ => None,
        };
        value.map(CedarValue::long).ok_or_else(|| {
            at.invalid(if exact {
                "must be a whole number of 64 bits"
            } else {
                "must be a whole number within ±(2^53−1), which is what JSON can say exactly"
            })
        })
    }

    fn set(&mut self, at: &Place<'_>, elements: &[Datum], ty: &Type) -> Converted<CedarValue> {
        let mut values = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let at = at.element(index);
            if *element == Datum::Null {
                return Err(at.invalid("is null: a set has no absent elements"));
            }
            values.push(self.value_at(&at, element, ty)?);
        }
        Ok(CedarValue::set(values))
    }

    fn entity(&mut self, at: &Place<'_>, datum: &Datum, name: &EntityTypeName) -> Converted<CedarValue> {
        let Some(reference) = self.reference(datum) else {
            return Err(self.not_a_reference(at, datum, name));
        };
        if self.catalog.entity_type(&reference.type_name) != Some(name) {
            let got = &reference.type_name;
            return Err(at.invalid(format!("refers to a `{got}`, but the schema declares `{name}`")));
        }
        check_length(&reference.id, MAX_ID_BYTES, at)?;
        let uid = EntityUid::from_type_name_and_id(name.clone(), EntityId::new(&reference.id));
        match self.catalog.entity_kind(name) {
            Some(EntityKind::Enum(ids)) if !ids.contains(reference.id.as_str()) => {
                let mut known: Vec<_> = ids.iter().map(SmolStr::as_str).collect();
                known.sort_unstable();
                return Err(at.invalid(format!("`{name}` is one of {}", known.join(", "))));
            }
            Some(EntityKind::Action) if self.catalog.action(&uid).is_none() => {
                return Err(at.invalid(format!("the schema declares no action {uid}")));
            }
            Some(EntityKind::Enum(_) | EntityKind::Action) => {}
            Some(EntityKind::Standard(..)) | None => self.references.push(uid.clone()),
        }
        Ok(CedarValue::entity(&uid))
    }

    /// The reference a value stands for in this form, if it is one.
    fn reference(&self, datum: &Datum) -> Option<Reference> {
        match (self.form, datum) {
            (_, Datum::Entity(reference)) => Some(reference.clone()),
            (Form::CedarJson, Datum::Record(members)) => match members.as_slice() {
                [(key, escaped)] if key == "__entity" => type_and_id(escaped),
                _ => type_and_id(datum),
            },
            (Form::Plain, Datum::Record(_)) => type_and_id(datum),
            _ => None,
        }
    }

    fn not_a_reference(&self, at: &Place<'_>, datum: &Datum, name: &EntityTypeName) -> InvalidRequest {
        match self.form {
            Form::Arguments => at.invalid(format!(
                "the schema declares entity `{name}`, but a tool's arguments never become entity references"
            )),
            _ => at.invalid(format!(
                "must be a reference to a `{name}`, written {{\"type\": \"{name}\", \"id\": …}}; it is {}",
                datum.kind()
            )),
        }
    }

    fn json(&self, at: &Place<'_>, datum: &Datum) -> Converted<CedarValue> {
        self.check_plain(at, datum, 0, MAX_VALUE_DEPTH)?;
        let text = serde_json_canonicalizer::to_string(&datum.to_json())
            .map_err(|error| at.invalid(error.to_string()))?;
        Ok(CedarValue::string(&text))
    }

    /// Fills every part the value fits: a policy that tests one part cannot be evaded by another.
    fn union(&mut self, at: &Place<'_>, datum: &Datum, parts: &RecordType) -> Converted<CedarValue> {
        let mut record = CedarRecord::default();
        let mut misfit = None;
        for (name, part) in &parts.attributes {
            let structured = matches!(datum, Datum::Record(_) | Datum::List(_));
            if part.ty == Type::Json && !structured {
                continue;
            }
            // A part that fails half way through leaves no trace in the references.
            let references = self.references.len();
            match self.value_at(at, datum, &part.ty) {
                Ok(value) => record.insert(name.clone(), value),
                Err(error) => {
                    self.references.truncate(references);
                    misfit = Some(error);
                }
            }
        }
        match misfit {
            Some(error) if record == CedarRecord::default() => Err(if parts.attributes.len() == 1 {
                error
            } else {
                mismatch(at, datum, &Type::Union(parts.clone()))
            }),
            None if record == CedarRecord::default() => Err(mismatch(at, datum, &Type::Union(parts.clone()))),
            _ => Ok(CedarValue::record(record)),
        }
    }

    /// Cedar JSON's escapes mean nothing outside Cedar JSON, and must not look as if they did.
    fn refuse_escapes(&self, at: &Place<'_>, datum: &Datum) -> Converted<()> {
        let Datum::Record(members) = datum else { return Ok(()) };
        let refused: &[&str] = match self.form {
            Form::Plain | Form::Arguments => &["__entity", "__extn", "__expr"],
            Form::CedarJson => &["__expr"],
            Form::Typed => &[],
        };
        match members.iter().find(|(key, _)| refused.contains(&key.as_str())) {
            Some((key, _)) => Err(at
                .member(key)
                .invalid("is an escape of Cedar JSON, which is accepted in `context_json` only")),
            None => Ok(()),
        }
    }

    /// Refuses what no plain value may hold at any depth: escapes, numbers JSON cannot say exactly, too much nesting.
    fn check_plain(&self, at: &Place<'_>, datum: &Datum, depth: usize, limit: usize) -> Converted<()> {
        if depth > limit {
            return Err(at.invalid(format!("is nested deeper than {limit} levels")));
        }
        self.refuse_escapes(at, datum)?;
        match datum {
            Datum::Number(number) if !number.is_finite() => Err(at.invalid("is a number that is not finite")),
            Datum::Number(number) if number.fract() == 0.0 && whole(*number).is_none() => {
                Err(at.invalid(BEYOND_JSON))
            }
            Datum::Long(number) if number.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs() => {
                Err(at.invalid(BEYOND_JSON))
            }
            Datum::Record(members) => members
                .iter()
                .try_for_each(|(name, value)| self.check_plain(&at.member(name), value, depth + 1, limit)),
            Datum::List(elements) => elements.iter().enumerate().try_for_each(|(index, element)| {
                self.check_plain(&at.element(index), element, depth + 1, limit)
            }),
            _ => Ok(()),
        }
    }

    /// Checks arguments before anything reads them: what could never be accepted is refused even for a tool whose
    /// arguments nobody types.
    ///
    /// # Errors
    /// [`InvalidRequest`] for anything but an object, for escapes, for numbers JSON cannot say exactly, and for nesting
    /// deeper than `limit`.
    pub fn check_arguments(&self, arguments: &Datum, limit: usize) -> Converted<()> {
        match arguments {
            Datum::Record(_) => self.check_plain(&self.root, arguments, 0, limit),
            other => Err(self.root.invalid(format!("must be an object; it is {}", other.kind()))),
        }
    }
}

fn check_complete(at: &Place<'_>, record: &CedarRecord, ty: &RecordType) -> Converted<()> {
    // Each member is declared.
    if record.count() == ty.attributes.len() {
        return Ok(());
    }
    let missing = ty
        .attributes
        .iter()
        .find(|(name, Attribute { required, .. })| *required && record.value(name).is_none());
    match missing {
        Some((name, attribute)) => {
            let declared = attribute.ty.describe();
            Err(at.member(name).invalid(format!("is required: the schema declares it as {declared}")))
        }
        None => Ok(()),
    }
}

fn undeclared(at: &Place<'_>, name: &str, ty: &RecordType) -> InvalidRequest {
    let known: Vec<_> = ty.attributes.keys().map(SmolStr::as_str).collect();
    let hint = match known.as_slice() {
        [] => "nothing is declared here".to_owned(),
        known => format!("declared are {}", known.join(", ")),
    };
    at.invalid(format!("`{name}` is not declared by the schema; {hint}"))
}

fn mismatch(at: &Place<'_>, datum: &Datum, ty: &Type) -> InvalidRequest {
    at.invalid(format!("must be {}; it is {}", ty.describe(), datum.kind()))
}

fn type_and_id(datum: &Datum) -> Option<Reference> {
    match (datum, datum.member("type"), datum.member("id")) {
        (Datum::Record(members), Some(Datum::String(type_name)), Some(Datum::String(id)))
            if members.len() == 2 =>
        {
            Some(Reference::new(type_name, id))
        }
        _ => None,
    }
}
