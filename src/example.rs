//! A valid request for an action, made from what is stored: for people who see the API for the first time.

use std::collections::HashMap;

use cedar_policy::{EntityTypeName, EntityUid};
use serde_json::{Map, Value, json};

use crate::engine::asserted::{ASSERTED, PARTS};
use crate::engine::authorize::authorize;
use crate::engine::catalog::ActionType;
use crate::engine::cedar::{CedarValue, EntityKind, RecordType, Type};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::delegation::Hop;
use crate::engine::delegation::grant::Grant;
use crate::engine::request::AuthzRequest;
use crate::engine::world::World;
use crate::pdp;

/// Most combinations of principal and resource that are tried for one that is allowed.
const MAX_TRIES: usize = 200;

/// A request that its action's schema accepts.
#[derive(Debug, Clone)]
pub struct ExampleRequest {
    /// Who acts.
    pub principal: EntityUid,
    /// What it does.
    pub action: EntityUid,
    /// To what.
    pub resource: EntityUid,
    /// Every required member of the context.
    pub context: Map<String, Value>,
    /// Every required argument of the tool, for a typed action.
    pub arguments: Option<Value>,
    /// Delegations under which the principal acts, the leaf last.
    pub delegations: Vec<EntityUid>,
    /// Whether the world allows it now.
    pub allowed: bool,
}

/// Makes a request for an action; one that is allowed, if one is found soon. None if nothing stored can do it.
#[must_use]
pub fn of(world: &World, action: &ActionType) -> Option<ExampleRequest> {
    let mut principals = stored(world, |name| action.principals.contains(name));
    // Who may act alone first: the others need a delegation to be decided at all.
    principals.sort_by_key(|principal| !acts_alone(world, principal));
    find(world, action, principals.into_iter().map(|principal| (principal, Vec::new())))
}

/// Makes a request by somebody who acts under a stored delegation; the longest chains are tried first.
#[must_use]
pub fn delegated(world: &World, action: &ActionType) -> Option<ExampleRequest> {
    let delegation = world.generation.catalog.delegation_type()?;
    let leaves = stored(world, |name| name == delegation);
    let mut shown: Vec<_> = leaves.iter().filter_map(|leaf| Grant::stored(world, leaf)).collect();
    shown.sort_by_key(|grant| grant.parent.is_none());
    let actors = shown.into_iter().filter(|grant| action.principals.contains(grant.to.type_name()));
    find(world, action, actors.map(|grant| (grant.to, grant.name.stored().cloned().into_iter().collect())))
}

/// The first allowed request by one of these principals, each under its delegations; or the first at all.
fn find(
    world: &World,
    action: &ActionType,
    principals: impl Iterator<Item = (EntityUid, Vec<EntityUid>)>,
) -> Option<ExampleRequest> {
    let mut resources = match &action.tool {
        Some(tool) => vec![tool.uid.clone()],
        None => stored(world, |name| action.resources.contains(name)),
    };
    // A tool with an action of its own is not decided by this one.
    let typed = |resource: &EntityUid| world.generation.catalog.typed_action(resource);
    resources.retain(|resource| typed(resource).is_none_or(|typed| typed.uid == action.uid));
    let (context, arguments) = (record(world, &action.supplied), arguments(world, action));
    let pairs = principals.flat_map(|shown| resources.iter().map(move |resource| (shown.clone(), resource)));
    let mut first = None;
    for ((principal, delegations), resource) in pairs.take(MAX_TRIES) {
        let mut example = ExampleRequest {
            principal,
            action: action.uid.clone(),
            resource: resource.clone(),
            context: context.clone(),
            arguments: arguments.clone(),
            delegations,
            allowed: false,
        };
        if let Some(digest) = stored_digest(world, action, resource) {
            example.context.insert("digest".to_owned(), Value::from(digest));
        }
        example.allowed = allows(world, &example);
        if example.allowed {
            return Some(example);
        }
        first.get_or_insert(example);
    }
    first
}

/// Every stored entity of such a type, by name.
fn stored(world: &World, of: impl Fn(&EntityTypeName) -> bool) -> Vec<EntityUid> {
    let named = world.entities.iter().map(|(uid, _)| uid);
    let mut uids: Vec<_> = named.filter(|uid| of(uid.type_name())).cloned().collect();
    uids.sort();
    uids
}

fn stored_digest(world: &World, action: &ActionType, resource: &EntityUid) -> Option<String> {
    action.supplied.attributes.get("digest")?;
    world
        .entities
        .get(resource)
        .and_then(|stored| stored.attribute("digest"))
        .and_then(CedarValue::as_text)
        .map(str::to_owned)
}

fn arguments(world: &World, action: &ActionType) -> Option<Value> {
    let tool = action.tool.as_ref()?;
    if let Some(schema) = &tool.input_schema {
        return Some(instance(&schema.source));
    }
    match action.filled.attributes.get("input").map(|input| &input.ty) {
        Some(Type::Record(ty)) => Some(Value::Object(record(world, ty))),
        _ => None,
    }
}

fn record(world: &World, ty: &RecordType) -> Map<String, Value> {
    let required = ty.attributes.iter().filter(|(_, attribute)| attribute.required);
    required.map(|(name, attribute)| (name.to_string(), value(world, &attribute.ty))).collect()
}

fn value(world: &World, ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::from(false),
        Type::Long | Type::Decimal => Value::from(0),
        Type::String => Value::from("example"),
        Type::Ip => Value::from("127.0.0.1"),
        Type::Datetime => Value::from("2026-11-22T10:00:00Z"),
        Type::Duration => Value::from("1h"),
        Type::Set(_) => Value::from(Vec::<Value>::new()),
        Type::Record(ty) => Value::Object(record(world, ty)),
        Type::Union(parts) => {
            parts.attributes.values().next().map_or(Value::Null, |part| value(world, &part.ty))
        }
        Type::Json => json!({}),
        Type::Entity(name) => json!({"type": name.to_string(), "id": some_id(world, name)}),
    }
}

fn some_id(world: &World, name: &EntityTypeName) -> String {
    let closed = match world.generation.catalog.entity_kind(name) {
        Some(EntityKind::Enum(ids)) => ids.iter().min().map(ToString::to_string),
        _ => None,
    };
    let stored =
        || world.entities.iter().map(|(uid, _)| uid.clone()).filter(|uid| uid.type_name() == name).min();
    closed.or_else(|| stored().map(|uid| uid.id().unescaped().to_owned())).unwrap_or_default()
}

/// The smallest instance of the JSON Schemas that tools have: enough for an example, not for every schema.
fn instance(schema: &Value) -> Value {
    let own = ["const", "default"].iter().find_map(|name| schema.get(name));
    let listed = ["enum", "examples"].iter().find_map(|name| schema.get(name)?.get(0));
    if let Some(value) = own.or(listed) {
        return value.clone();
    }
    if let Some(branch) = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)?.get(0)) {
        return instance(branch);
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind));
    match kind.and_then(Value::as_str) {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(1)),
        Some("boolean") => Value::from(false),
        Some("array") => items(schema),
        Some("object") => Value::Object(properties(schema)),
        Some("null") => Value::Null,
        _ => Value::from("example"),
    }
}

fn items(schema: &Value) -> Value {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(1);
    let item = schema.get("items").map_or(Value::Null, instance);
    Value::from(if least == 0 { Vec::new() } else { vec![item] })
}

fn properties(schema: &Value) -> Map<String, Value> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let named = required.filter_map(Value::as_str);
    let member =
        |name: &str| schema.get("properties").and_then(|all| all.get(name)).map_or(Value::Null, instance);
    named.map(|name| (name.to_owned(), member(name))).collect()
}

fn allows(world: &World, example: &ExampleRequest) -> bool {
    let Ok(request) = example.request() else { return false };
    authorize(world, &request, pdp::now()).is_ok_and(|decision| decision.effect == Effect::Allow)
}

impl ExampleRequest {
    fn request(&self) -> Result<AuthzRequest, serde_json::Error> {
        let reference = |uid: &EntityUid| Reference::new(uid.type_name().to_string(), uid.id().unescaped());
        let mut request =
            AuthzRequest::new(reference(&self.principal), reference(&self.action), reference(&self.resource));
        if let Datum::Record(members) = serde_json::from_value(Value::Object(self.context.clone()))? {
            request.context = members;
        }
        request.arguments = self.arguments.clone().map(serde_json::from_value).transpose()?;
        request.delegations = self.delegations.iter().map(reference).collect();
        Ok(request)
    }

    /// The request in the contract's JSON form.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut request = json!({
            "principal": named(&self.principal),
            "action": named(&self.action),
            "resource": named(&self.resource),
            "context": self.context,
        });
        if let Some(members) = request.as_object_mut() {
            members.extend(self.arguments.clone().map(|arguments| ("arguments".to_owned(), arguments)));
            members.extend(self.shown().map(|shown| ("delegations".to_owned(), shown)));
        }
        request
    }

    /// The request as AuthZEN 1.0 says it.
    #[must_use]
    pub fn authzen(&self) -> Value {
        let mut context = self.context.clone();
        let mut properties = asserted(&mut context);
        let mut also = |part: &'static str, name: &str, value: Option<Value>| {
            let own = value.map(|value| (name.to_owned(), value));
            properties.entry(part).or_default().extend(own);
        };
        also("action", "arguments", self.arguments.clone());
        also("subject", "delegations", self.shown());
        let mut part = |part: &str, mut named: Value| {
            let properties = properties.remove(part).filter(|properties| !properties.is_empty());
            if let (Some(members), Some(properties)) = (named.as_object_mut(), properties) {
                members.insert("properties".to_owned(), Value::Object(properties));
            }
            named
        };
        json!({
            "subject": part("subject", named(&self.principal)),
            "action": part("action", json!({"name": self.action.id().unescaped()})),
            "resource": part("resource", named(&self.resource)),
            "context": context,
        })
    }

    fn shown(&self) -> Option<Value> {
        (!self.delegations.is_empty()).then(|| self.delegations.iter().map(named).collect())
    }
}

/// Takes out of a context what AuthZEN says as properties, by the part they are of.
fn asserted(context: &mut Map<String, Value>) -> HashMap<&'static str, Map<String, Value>> {
    let Some(Value::Object(mut asserted)) = context.get(ASSERTED).cloned() else { return HashMap::new() };
    let taken = PARTS.into_iter().filter_map(|part| match asserted.remove(part) {
        Some(Value::Object(members)) => Some((part, members)),
        _ => None,
    });
    let taken = taken.collect();
    if asserted.is_empty() {
        context.remove(ASSERTED);
    }
    taken
}

fn named(uid: &EntityUid) -> Value {
    json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()})
}

fn acts_alone(world: &World, principal: &EntityUid) -> bool {
    Hop::alone(&world.generation.catalog, principal, world.built(principal).as_ref()).is_ok()
}
