//! What a search asks about, in the order of names.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use super::within::Within;
use super::{Among, Bounds, MAX_NAMED, Named, Search, Sought};
use crate::engine::catalog::{ActionType, Catalog, MAX_ID_BYTES, check_length};
use crate::engine::cedar::CompiledPolicy;
use crate::engine::datum::Reference;
use crate::engine::delegation::shown::Shown;
use crate::engine::question::deciding_action;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;

/// Some of what could be found.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The next ones, in order.
    pub(super) next: Vec<EntityUid>,
    /// Whether there are others behind them.
    pub(super) more: bool,
}

impl Candidates {
    /// The first of those behind `bounds.after`, in order, each once. Of many, few are put in order.
    fn first(
        mut known: Vec<&EntityUid>,
        others: impl IntoIterator<Item = EntityUid>,
        bounds: &Bounds,
    ) -> Self {
        let Bounds { after, examined, .. } = bounds;
        let behind = |uid: &EntityUid| after.as_ref().is_none_or(|after| uid > after);
        known.retain(|uid| behind(uid));
        if known.len() > *examined {
            known.select_nth_unstable(*examined);
            known.truncate(examined.saturating_add(1));
        }
        let mut next: Vec<_> = known.into_iter().cloned().collect();
        next.extend(others.into_iter().filter(behind));
        next.sort_unstable();
        next.dedup();
        let more = next.len() > *examined;
        next.truncate(*examined);
        Self { next, more }
    }
}

/// What a search asks about.
///
/// # Errors
/// [`InvalidRequest`] for a part of the question that names nothing the schema declares.
pub(super) fn of(world: &World, search: &Search, bounds: &Bounds) -> Result<Candidates, InvalidRequest> {
    let question = &search.question;
    let catalog = &world.generation.catalog;
    match &search.sought {
        Sought::Actions => Ok(Candidates::first(actions(world, question)?, [], bounds)),
        Sought::Resources(Among::Stored) => {
            let of_type = declared(catalog, &question.resource, "resource")?;
            let supplied = supplied(catalog, question, of_type)?;
            Ok(Candidates::first(resources(world, question, of_type)?, supplied, bounds))
        }
        Sought::Principals(Among::Stored) => {
            let of_type = declared(catalog, &question.principal, "principal")?;
            Ok(Candidates::first(principals(world, question, of_type)?, [], bounds))
        }
        Sought::Resources(Among::Named(those)) => {
            let named = named(declared(catalog, &question.resource, "resource")?, those)?;
            Ok(Candidates::first(Vec::new(), named, bounds))
        }
        Sought::Principals(Among::Named(those)) => {
            let named = named(declared(catalog, &question.principal, "principal")?, those)?;
            Ok(Candidates::first(Vec::new(), named, bounds))
        }
    }
}

fn declared<'c>(
    catalog: &'c Catalog,
    named: &Reference,
    field: &str,
) -> Result<&'c EntityTypeName, InvalidRequest> {
    // Whatever is no type name is refused for that.
    let uid = catalog.uid(named, field)?;
    catalog.entity_type(&uid.type_name().to_string()).ok_or_else(|| {
        let message = format!("the schema declares no entity type `{}`", uid.type_name());
        InvalidRequest::field(format!("{field}.type"), message)
    })
}

fn named(of_type: &EntityTypeName, named: &[Named]) -> Result<Vec<EntityUid>, InvalidRequest> {
    if named.len() > MAX_NAMED {
        let message = format!("has {} members; the limit is {MAX_NAMED}", named.len());
        return Err(InvalidRequest::field("candidates", message));
    }
    let mut known = HashSet::with_capacity(named.len());
    let uid = |(place, Named { id, .. }): (usize, &'_ Named)| {
        let field = format!("candidates[{place}].id");
        check_length(id, MAX_ID_BYTES, &field)?;
        let uid = EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id));
        if known.insert(uid.clone()) { Ok(uid) } else { Err(InvalidRequest::field(field, "is named before")) }
    };
    named.iter().enumerate().map(uid).collect()
}

/// The actions that apply to principal and resource, less those of other tools.
fn actions<'w>(world: &'w World, question: &AuthzRequest) -> Result<Vec<&'w EntityUid>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    let principal = actor(catalog, question)?;
    let resource = catalog.uid(&question.resource, "resource")?;
    let applies = |action: &&Arc<ActionType>| {
        action.applies_to(&principal, &resource)
            && action.tool.as_ref().is_none_or(|tool| tool.uid == resource)
    };
    Ok(catalog.actions().filter(applies).map(|action| &action.uid).collect())
}

/// The resources that permits of the principal and the action could cover, and every tool that has an action of its own in
/// that: what is in an action is covered by other permits too.
fn resources<'w>(
    world: &'w World,
    question: &AuthzRequest,
    of_type: &EntityTypeName,
) -> Result<Vec<&'w EntityUid>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    let asked = catalog.action_named(&question.action)?;
    let principal = actor(catalog, question)?;
    let index = &world.generation.index;
    let within = match (&asked.tool, world.prepared(&principal)) {
        // Its tool is the one it is decided for.
        (Some(_), _) => Within::default(),
        (None, Some(prepared)) => {
            let built = world.action(&asked.uid);
            let action = (&asked.uid, built.as_ref());
            let places = index.covering_principal(prepared.principal(index), action);
            Within::of(world, places, CompiledPolicy::resource_scope, of_type)
        }
        (None, None) => Within::everything(),
    };
    let typed = catalog.typed_tools().filter(|(tool, action)| {
        let is_in = |typed: &Arc<ActionType>| typed.uid == asked.uid || typed.ancestors.contains(&asked.uid);
        tool.type_name() == of_type && catalog.action(action).is_some_and(is_in) && world.stores(tool)
    });
    let mut found = within.stored(&world.entities, of_type);
    found.extend(typed.map(|(tool, _)| tool));
    Ok(found)
}

/// The principals that permits of the action and the resource could cover.
fn principals<'w>(
    world: &'w World,
    question: &AuthzRequest,
    of_type: &EntityTypeName,
) -> Result<Vec<&'w EntityUid>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    let resource = catalog.uid(&question.resource, "resource")?;
    let action = deciding_action(catalog, catalog.action_named(&question.action)?, &resource)?;
    let index = &world.generation.index;
    let within = world.prepared(&resource).map_or_else(Within::everything, |prepared| {
        let built = world.action(&action.uid);
        let places = index.covering_resource((&action.uid, built.as_ref()), prepared.resource(index));
        Within::of(world, places, CompiledPolicy::principal_scope, of_type)
    });
    Ok(within.stored(&world.entities, of_type))
}

/// Who acts: whom a token names, where there is one.
fn actor(catalog: &Catalog, question: &AuthzRequest) -> Result<EntityUid, InvalidRequest> {
    Shown::of(catalog, question)?.actor(catalog, &question.principal)
}

/// What exists for this request only.
fn supplied(
    catalog: &Catalog,
    question: &AuthzRequest,
    of_type: &EntityTypeName,
) -> Result<Vec<EntityUid>, InvalidRequest> {
    let uids = question.entities.iter().enumerate();
    let uids = uids.map(|(place, entity)| catalog.uid(&entity.uid, &format!("entities[{place}].uid")));
    let mut uids = uids.collect::<Result<Vec<_>, _>>()?;
    uids.retain(|uid| uid.type_name() == of_type);
    Ok(uids)
}
