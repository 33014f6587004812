//! Whether the schema declares delegations as the engine reads them: under the names that the configuration gives.

use cedar_policy::EntityTypeName;

use super::schema::LoadedSchema;
use crate::engine::catalog::{Catalog, Domain};
use crate::engine::cedar::{EntityKind, RecordType, Type};
use crate::engine::delegation::names::DelegationNames;
use crate::engine::problem::{Problem, Report};

/// What an attribute of a delegation must be.
#[derive(Debug, Clone, Copy)]
enum Shape<'a> {
    Entity,
    OptionalEntity,
    OptionalOf(&'a EntityTypeName),
    EntitySet,
    ActionSet,
    Datetime,
    Long,
    Text,
}

impl LoadedSchema {
    /// The type of delegations, if the schema declares one, reporting what this build could not read of it: a delegation
    /// that cannot be read would deny every request that shows it.
    pub(super) fn delegation_type(&self, catalog: &Catalog, report: &mut Report) -> Option<EntityTypeName> {
        let names = &catalog.domain.delegation;
        let Some(ty) = catalog.types.get(names.type_name.as_str()) else {
            if names.type_name != Domain::in_namespace(&catalog.domain.namespace).delegation.type_name {
                let message = format!(
                    "`domain.delegation.type` names `{}`, which the schema does not declare",
                    names.type_name
                );
                report.push(Problem::error(self.first(), message));
            }
            return None;
        };
        let place = self.place_of_type(ty);
        match catalog.kinds.get(ty) {
            Some(EntityKind::Standard(record, _)) => {
                for message in misfits(catalog, names, ty, record) {
                    report.push(Problem::error(place, message).help(
                        "delegations are read by the names in `domain.delegation`: correct these, or the schema",
                    ));
                }
            }
            _ => {
                report.push(Problem::error(place, format!("`{ty}` cannot be what delegations are stored as")))
            }
        }
        Some(ty.clone())
    }
}

fn misfits(
    catalog: &Catalog,
    names: &DelegationNames,
    ty: &EntityTypeName,
    record: &RecordType,
) -> Vec<String> {
    let DelegationNames {
        type_name: _,
        from,
        to,
        parent,
        actions,
        scopes,
        data,
        not_before,
        expires,
        max_depth,
        purpose,
    } = names;
    let giver = if from.len() > 1 { Shape::OptionalEntity } else { Shape::Entity };
    let named = [
        ("to", to, Shape::Entity),
        ("parent", parent, Shape::OptionalOf(ty)),
        ("actions", actions, Shape::ActionSet),
        ("not_before", not_before, Shape::Datetime),
        ("expires", expires, Shape::Datetime),
        ("max_depth", max_depth, Shape::Long),
        ("purpose", purpose, Shape::Text),
    ];
    let givers = from.iter().map(|name| ("from", name, giver));
    let sets = scopes.iter().map(|name| ("scopes", name, Shape::EntitySet));
    let mut misfits: Vec<_> = givers
        .chain(sets)
        .chain(named)
        .filter_map(|(key, name, shape)| misfit(catalog, ty, record, key, name, shape))
        .collect();
    if from.is_empty() {
        misfits.push("`domain.delegation.from` names no attribute: nobody could delegate".to_owned());
    }
    if !scopes.contains(data) {
        misfits.push(format!(
            "`domain.delegation.data` names `{data}`, which is none of `domain.delegation.scopes`"
        ));
    }
    misfits
}

fn misfit(
    catalog: &Catalog,
    ty: &EntityTypeName,
    record: &RecordType,
    key: &str,
    name: &str,
    shape: Shape<'_>,
) -> Option<String> {
    let Some(attribute) = record.attributes.get(name) else {
        return Some(format!("`{ty}` has no attribute `{name}`, which `domain.delegation.{key}` names"));
    };
    let is_action = |name: &EntityTypeName| matches!(catalog.kinds.get(name), Some(EntityKind::Action));
    let (fits, wanted) = match (shape, &attribute.ty) {
        (Shape::Entity, ty) => (attribute.required && matches!(ty, Type::Entity(_)), "an entity, required"),
        (Shape::OptionalEntity, ty) => (
            !attribute.required && matches!(ty, Type::Entity(_)),
            "an entity, optional: each has one of them",
        ),
        (Shape::OptionalOf(of), ty) => {
            (!attribute.required && *ty == Type::Entity(of.clone()), "a delegation, optional")
        }
        (Shape::EntitySet, Type::Set(element)) => {
            (attribute.required && matches!(**element, Type::Entity(_)), "a set of entities, required")
        }
        (Shape::ActionSet, Type::Set(element)) => {
            let actions = matches!(&**element, Type::Entity(name) if is_action(name));
            (attribute.required && actions, "a set of actions, required")
        }
        (Shape::EntitySet, _) => (false, "a set of entities, required"),
        (Shape::ActionSet, _) => (false, "a set of actions, required"),
        (Shape::Datetime, ty) => (attribute.required && *ty == Type::Datetime, "a datetime, required"),
        (Shape::Long, ty) => (attribute.required && *ty == Type::Long, "a Long, required"),
        (Shape::Text, ty) => (attribute.required && *ty == Type::String, "a String, required"),
    };
    (!fits).then(|| format!("attribute `{name}` of `{ty}` must be {wanted}"))
}
