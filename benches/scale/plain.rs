//! Cedar's own `Authorizer` over the same texts: what to compare answers and times with.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as Effect, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Policy, PolicySet, Request, Response, Schema,
};
use mandate::engine::authorize::authorize;
use mandate::engine::decision::{self, Decision};
use mandate::engine::world::World;

use crate::Attempt;
use crate::requests::{NOW, Wire};
use crate::workload::{SCHEMA, Workload};

/// Policies as Cedar holds them.
#[derive(Debug)]
pub(crate) struct Plain {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
}

/// A request as Cedar takes it, and what it can reach.
#[derive(Debug)]
pub(crate) struct PlainRequest {
    request: Request,
    entities: Entities,
}

/// The `Authorizer`'s answer, which the engine's was equal to.
#[derive(Debug)]
pub(crate) struct Compared {
    /// How long the `Authorizer` took.
    pub(crate) took: Duration,
    /// Whether a policy could not be evaluated.
    pub(crate) erring: bool,
}

impl Plain {
    /// The workload's policies, named by their `@id`.
    ///
    /// # Errors
    /// A defect of the workload.
    pub(crate) fn of(workload: &Workload) -> Attempt<Self> {
        let mut policies = PolicySet::new();
        for file in workload.policy_files()? {
            let parsed = PolicySet::from_str(std::str::from_utf8(&file.bytes)?)?;
            for policy in parsed.policies() {
                policies.add(named(policy)?)?;
            }
        }
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA)?;
        Ok(Self { authorizer: Authorizer::new(), schema, policies })
    }

    /// The request, with what is stored of principal, resource and owner and of all that they are in: nothing else can
    /// change the answer, and a million entities need not be held twice.
    ///
    /// # Errors
    /// A defect of the workload.
    pub(crate) fn request(&self, workload: &Workload, wire: &Wire) -> Attempt<PlainRequest> {
        let population = &workload.population;
        let (user, resource) = wire.about();
        let owner = population.resources.get(resource).map_or(user, |resource| resource.owner);
        let mut stored = BTreeSet::from([user, owner])
            .into_iter()
            .filter_map(|user| population.user(user))
            .collect::<Vec<_>>();
        stored.extend(population.resource(resource));
        stored.extend(population.above(&[user, owner], resource));
        let mut entities = Vec::new();
        for entity in stored {
            entities.push(Entity::from_json_value(entity, Some(&self.schema))?);
        }
        let action = uid("Mandate::Action", wire.action)?;
        let context = Context::from_json_value(wire.cedar_context(), Some((&self.schema, &action)))?;
        let principal = uid(wire.principal.type_name, &wire.principal.id)?;
        let resource = uid(wire.resource.type_name, &wire.resource.id)?;
        Ok(PlainRequest {
            request: Request::new(principal, action, resource, context, Some(&self.schema))?,
            entities: Entities::from_entities(entities, Some(&self.schema))?,
        })
    }

    /// The answer, and how long it took.
    pub(crate) fn decide(&self, asked: &PlainRequest) -> (Response, Duration) {
        let start = Instant::now();
        let response = self.authorizer.is_authorized(&asked.request, &self.policies, &asked.entities);
        (response, start.elapsed())
    }

    /// Compares the engine's answer with the `Authorizer`'s.
    ///
    /// # Errors
    /// They differ in the decision, in the determining or in the erroring policies.
    pub(crate) fn compare(&self, workload: &Workload, world: &World, wire: &Wire) -> Attempt<Compared> {
        let decision = authorize(world, &wire.request(), NOW)?;
        let (response, took) = self.decide(&self.request(workload, wire)?);
        let (ours, theirs) = (Answer::ours(&decision), Answer::theirs(&response));
        if ours == theirs {
            return Ok(Compared { took, erring: !theirs.erring.is_empty() });
        }
        Err(format!("a different answer to {wire:?}: {ours:?}, and the Authorizer's: {theirs:?}").into())
    }
}

/// What must be the same. The workload's forbids never err, so that what an erring one means makes no difference.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    allowed: bool,
    determining: BTreeSet<String>,
    erring: BTreeSet<String>,
}

impl Answer {
    fn ours(decision: &Decision) -> Self {
        Self {
            allowed: decision.effect == decision::Effect::Allow,
            determining: decision.determining.iter().map(|policy| policy.id.to_string()).collect(),
            erring: decision.errors.iter().map(|error| error.policy.id.to_string()).collect(),
        }
    }

    fn theirs(response: &Response) -> Self {
        let diagnostics = response.diagnostics();
        Self {
            allowed: response.decision() == Effect::Allow,
            determining: diagnostics.reason().map(ToString::to_string).collect(),
            erring: diagnostics.errors().map(erring).collect(),
        }
    }
}

fn erring(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

fn named(policy: &Policy) -> Attempt<Policy> {
    let id = policy.annotation("id").ok_or("a policy has no `@id`")?;
    Ok(policy.new_id(id.parse()?))
}

fn uid(type_name: &str, id: &str) -> Attempt<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(type_name)?, EntityId::new(id)))
}
