//! Types that the schema marks: of which a request, or a token, may bring entities that are not stored.

use std::sync::Arc;

use cedar_policy::{EntityTypeName, Schema};
use serde_json::Value;

use super::schema::LoadedSchema;
use crate::engine::catalog::{ActionType, Catalog};
use crate::engine::cedar::{Type, types};
use crate::engine::problem::{Place, Problem, Report};

impl LoadedSchema {
    /// Types marked `@request_scoped`, which may not be anything that carries authority (C4).
    pub(super) fn add_request_scoped(&self, catalog: &mut Catalog, report: &mut Report) {
        let names: Vec<EntityTypeName> = catalog.kinds.keys().cloned().collect();
        for name in names {
            let Some(place) = self.mark(&name, "request_scoped") else { continue };
            match authority(&self.schema, catalog, &name) {
                Some(what) => report.push(
                    Problem::error(place, format!("`{name}` cannot be `@request_scoped`: it is {what}"))
                        .help("a caller could grant itself authority"),
                ),
                None => {
                    catalog.request_scoped.insert(name);
                }
            }
        }
    }

    /// Types marked `@token_scoped`, of which a token may stand in for one that is not stored (D8).
    pub(super) fn add_token_scoped(&self, catalog: &mut Catalog, report: &mut Report) {
        let names: Vec<EntityTypeName> = catalog.kinds.keys().cloned().collect();
        for name in names {
            let Some(place) = self.mark(&name, "token_scoped") else { continue };
            if self.schema.principals().any(|principal| *principal == name) {
                catalog.token_scoped.insert(name);
            } else {
                let message = format!("`{name}` cannot be `@token_scoped`: no action has it as a principal");
                report.push(Problem::error(place, message));
            }
        }
    }

    /// Where a type is marked with an annotation, if it is.
    fn mark(&self, name: &EntityTypeName, annotation: &str) -> Option<&Place> {
        let (definition, place) = self.definition(name)?;
        definition.get("annotations")?.get(annotation).map(|_| place)
    }

    /// A type's definition in the schema's JSON form, and its file.
    fn definition(&self, name: &EntityTypeName) -> Option<(&Value, &Place)> {
        self.fragments.iter().find_map(|fragment| {
            let definition = fragment.json.get(name.namespace())?.get("entityTypes")?.get(name.basename())?;
            Some((definition, &fragment.place))
        })
    }

    /// The file that declares a type.
    pub(super) fn place_of_type(&self, name: &EntityTypeName) -> &Place {
        self.definition(name).map_or(self.first(), |(_, place)| place)
    }
}

/// What makes a type one that requests may not supply.
fn authority(schema: &Schema, catalog: &Catalog, name: &EntityTypeName) -> Option<&'static str> {
    let principals: Vec<_> = schema.principals().collect();
    let domain = &catalog.domain;
    let text = name.to_string();
    if principals.contains(&name) {
        Some("a principal")
    } else if principals.iter().any(|principal| types::may_be_in(schema, principal, name)) {
        Some("a group of principals")
    } else if text == domain.tool
        || type_in_delegation(catalog, name)
        || catalog.delegation_type() == Some(name)
    {
        Some("a tool or a delegation")
    } else if tool_group(schema, catalog, name) {
        Some("a group of tools")
    } else {
        None
    }
}

fn tool_group(schema: &Schema, catalog: &Catalog, name: &EntityTypeName) -> bool {
    catalog.types.get(catalog.domain.tool.as_str()).is_some_and(|tool| types::may_be_in(schema, tool, name))
}

/// Whether the type is the one that `context.delegation.grants` holds.
fn type_in_delegation(catalog: &Catalog, name: &EntityTypeName) -> bool {
    let holds = |action: &Arc<ActionType>| match action.filled.attributes.get("delegation").map(|a| &a.ty) {
        Some(Type::Record(chain)) => match chain.attributes.get("grants").map(|a| &a.ty) {
            Some(Type::Set(element)) => **element == Type::Entity(name.clone()),
            _ => false,
        },
        _ => false,
    };
    catalog.actions.values().any(holds)
}
