//! Schema types as conversion needs them: resolved, and marked where a tool's arguments are mapped by annotation.

use std::collections::BTreeMap;

use cedar_policy::{EntityTypeName, EntityUid, Schema};
use cedar_policy_core::ast;
use cedar_policy_core::validator::types::{Attributes, EntityKind as CoreEntityKind, Type as CoreType};
use cedar_policy_core::validator::{ValidatorEntityTypeKind, ValidatorSchema};
use serde_json::Value;
use smol_str::SmolStr;

use super::interned::type_name;
use crate::engine::map::Set;

/// The type of a value, as the schema declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `Bool`
    Bool,
    /// `Long`
    Long,
    /// `String`
    String,
    /// `decimal`
    Decimal,
    /// `ipaddr`
    Ip,
    /// `datetime`
    Datetime,
    /// `duration`
    Duration,
    /// A reference to an entity of one type.
    Entity(EntityTypeName),
    /// `Set<…>`
    Set(Box<Type>),
    /// A closed record.
    Record(RecordType),
    /// `@union`: a value fills every part it fits; a record of optional parts to Cedar.
    Union(RecordType),
    /// `@json`: any value, held as its canonical JSON text (RFC 8785).
    Json,
}

/// A closed record type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordType {
    /// Its attributes by name.
    pub attributes: BTreeMap<SmolStr, Attribute>,
}

impl RecordType {
    /// How many records stand within each other below this one.
    pub fn record_depth(&self) -> usize {
        self.attributes.values().map(|attribute| attribute.ty.record_depth()).max().unwrap_or(0)
    }
}

/// One attribute of a record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Whether a value must have it.
    pub required: bool,
}

/// What entities of a type are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityKind {
    /// Stored or supplied, with attributes.
    Standard(RecordType, Option<Type>),
    /// One of a closed set of ids; nothing is stored for it.
    Enum(Set<SmolStr>),
    /// An action; the schema declares which exist.
    Action,
}

impl Type {
    /// How many records stand within each other.
    pub fn record_depth(&self) -> usize {
        match self {
            Self::Record(record) | Self::Union(record) => 1 + record.record_depth(),
            Self::Set(element) => element.record_depth(),
            _ => 0,
        }
    }

    /// The type in Cedar's schema syntax, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "Bool".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::String => "String".to_owned(),
            Self::Decimal => "decimal".to_owned(),
            Self::Ip => "ipaddr".to_owned(),
            Self::Datetime => "datetime".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Entity(name) => format!("entity {name}"),
            Self::Set(element) => format!("Set<{}>", element.describe()),
            Self::Record(_) => "record".to_owned(),
            Self::Union(parts) => {
                let parts: Vec<_> = parts.attributes.values().map(|part| part.ty.describe()).collect();
                format!("one of {}", parts.join(", "))
            }
            Self::Json => "JSON".to_owned(),
        }
    }
}

/// The context type of an action.
pub fn context_type(schema: &Schema, action: &EntityUid) -> Option<RecordType> {
    let schema: &ValidatorSchema = schema.as_ref();
    match schema.context_type(action.as_ref())? {
        CoreType::Record { attrs, .. } => record(attrs),
        _ => None,
    }
}

/// What entities of a type are; none if the schema does not declare the type, or uses what Mandate cannot convert.
pub fn entity_kind(schema: &Schema, name: &EntityTypeName) -> Option<EntityKind> {
    let schema: &ValidatorSchema = schema.as_ref();
    let name: &ast::EntityType = name.as_ref();
    if name.is_action() {
        return Some(EntityKind::Action);
    }
    let entity_type = schema.get_entity_type(name)?;
    match &entity_type.kind {
        ValidatorEntityTypeKind::Enum(ids) => {
            Some(EntityKind::Enum(ids.iter().map(|id| SmolStr::new(AsRef::<str>::as_ref(id))).collect()))
        }
        ValidatorEntityTypeKind::Standard(_) => {
            let tags = match entity_type.tag_type() {
                Some(ty) => Some(convert(ty)?),
                None => None,
            };
            Some(EntityKind::Standard(record(entity_type.attributes())?, tags))
        }
        ValidatorEntityTypeKind::External => None,
    }
}

/// Whether entities of `child` may have a parent of type `parent`.
pub fn may_be_in(schema: &Schema, child: &EntityTypeName, parent: &EntityTypeName) -> bool {
    let schema: &ValidatorSchema = schema.as_ref();
    schema
        .get_entity_type(parent.as_ref())
        .is_some_and(|parent| parent.has_descendant_entity_type(child.as_ref()))
}

fn record(attributes: &Attributes) -> Option<RecordType> {
    let attributes = attributes.iter().map(|(name, attribute)| {
        let ty = convert(&attribute.attr_type)?;
        Some((name.clone(), Attribute { ty, required: attribute.is_required }))
    });
    Some(RecordType { attributes: attributes.collect::<Option<_>>()? })
}

fn convert(ty: &CoreType) -> Option<Type> {
    Some(match ty {
        CoreType::Bool(_) => Type::Bool,
        CoreType::Long => Type::Long,
        CoreType::String => Type::String,
        CoreType::Set { element_type } => Type::Set(Box::new(convert(element_type.as_deref()?)?)),
        CoreType::Record { attrs, .. } => Type::Record(record(attrs)?),
        CoreType::Entity(CoreEntityKind::Entity(lub)) => {
            Type::Entity(type_name(lub.get_single_entity()?).into())
        }
        CoreType::ExtensionType { name } => match name.to_string().as_str() {
            "decimal" => Type::Decimal,
            "ipaddr" => Type::Ip,
            "datetime" => Type::Datetime,
            "duration" => Type::Duration,
            _ => return None,
        },
        CoreType::Entity(CoreEntityKind::AnyEntity) | CoreType::Never => return None,
    })
}

/// Applies `@union` and `@json` to an action's `input` type, from the schema's JSON form (where annotations live).
///
/// An annotation speaks of the innermost type of its attribute that is not a set. `resolve` follows the names of common
/// types.
pub fn mark<'a>(ty: &mut Type, declared: &'a Value, resolve: &dyn Fn(&'a Value) -> &'a Value) {
    let declared = resolve(declared);
    match ty {
        Type::Set(element) => {
            if let Some(declared) = declared.get("element") {
                mark(element, declared, resolve);
            }
        }
        Type::Record(record) => {
            let attributes = declared.get("attributes");
            for (name, attribute) in &mut record.attributes {
                if let Some(declared) = attributes.and_then(|attributes| attributes.get(name.as_str())) {
                    mark(&mut attribute.ty, declared, resolve);
                    annotate(&mut attribute.ty, declared.get("annotations").unwrap_or(&Value::Null));
                }
            }
        }
        _ => {}
    }
}

fn annotate(ty: &mut Type, annotations: &Value) {
    if let Type::Set(element) = ty {
        return annotate(element, annotations);
    }
    match ty {
        Type::Record(parts) if annotations.get("union").is_some() => {
            *ty = Type::Union(std::mem::take(parts));
        }
        Type::String if annotations.get("json").is_some() => *ty = Type::Json,
        _ => {}
    }
}
