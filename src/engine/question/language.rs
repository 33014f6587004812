//! A request as the Cedar language alone understands it: nothing need be stored or declared, and the
//! limits that Mandate sets to ids and contexts do not hold.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityUid};

use super::Question;
use crate::engine::catalog::{ActionType, Catalog};
use crate::engine::cedar::CedarRecord;
use crate::engine::convert::{Converter, Form};
use crate::engine::datum::{Datum, Reference};
use crate::engine::delegation::shown::Shown;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::supplied::Supplied;
use crate::engine::unknown::Unknown;
use crate::engine::world::World;

impl Question {
    /// Understands a request in a world that asks no more than the language does.
    ///
    /// # Errors
    /// [`InvalidRequest`] for what the language has no words for: a name that is none, a context that is no record of
    /// values, and everything that Mandate adds.
    pub(super) fn in_language(world: &World, request: &AuthzRequest) -> Result<Self, InvalidRequest> {
        let catalog = &world.generation.catalog;
        let added = [
            ("arguments", request.arguments.is_some()),
            ("entities", !request.entities.is_empty()),
            ("delegations", !request.delegations.is_empty()),
            ("credentials", request.subject.is_some()),
        ];
        if let Some((field, _)) = added.into_iter().find(|(_, set)| *set) {
            return Err(InvalidRequest::field(field, "is nothing the Cedar language has"));
        }
        let uid = uid(catalog, &request.action, "action")?;
        let action = catalog.action(&uid).cloned().unwrap_or_else(|| Arc::new(ActionType::bare(uid)));
        Ok(Self {
            principal: self::uid(catalog, &request.principal, "principal")?,
            resource: self::uid(catalog, &request.resource, "resource")?,
            context: context(catalog, &action, request)?,
            action,
            references: Vec::new(),
            role: None,
            supplied: Supplied::default(),
            touched: Vec::new(),
            shown: Shown::default(),
            unknown: Unknown::default(),
        })
    }
}

fn uid(catalog: &Catalog, reference: &Reference, field: &str) -> Result<EntityUid, InvalidRequest> {
    let name = match catalog.entity_type(&reference.type_name) {
        Some(name) => name.clone(),
        None => reference.type_name.parse().map_err(|_error| {
            InvalidRequest::field(
                format!("{field}.type"),
                format!("`{}` is no type name", reference.type_name),
            )
        })?,
    };
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(&reference.id)))
}

/// The context as the schema directs where it fits the action, and else as Cedar's JSON says of itself.
fn context(
    catalog: &Catalog,
    action: &ActionType,
    request: &AuthzRequest,
) -> Result<CedarRecord, InvalidRequest> {
    let mut converter = Converter::new(catalog, request.context_form, "context");
    match converter.record(&request.context, &action.supplied) {
        Ok(context) => Ok(context),
        Err(misfit) if request.context_form != Form::CedarJson => Err(misfit),
        Err(_misfit) => CedarRecord::of_cedar_json(Datum::Record(request.context.clone()).to_json())
            .map_err(|message| InvalidRequest::field("context", message)),
    }
}
