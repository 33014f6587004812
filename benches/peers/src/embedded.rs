//! Engines in process: one thread, one question after another, each answer checked.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cedar_policy::{
    Authorizer, Context, Decision as Effect, Entities, EntityId, EntityTypeName, EntityUid,
    Policy as CedarPolicy, PolicyId, PolicySet, Request, RestrictedExpression, Schema,
};
use cedarling::{
    AuthorizeOptions, BootstrapConfig, CedarEntityMapping, Cedarling, EntityData, HttpClientConfig,
    JwtConfig, LogConfig, LogLevel, LogTypeConfig, PolicyStoreConfig, PolicyStoreSource, RequestUnsigned,
};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision;
use mandate::engine::request::AuthzRequest;
use mandate::engine::world::World as MandateWorld;
use mandate::store::directory::{self, Folders};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Attempt;
use crate::process::resident;
use crate::scaling::{self, Size};
use crate::world::{Members, Question, World};

/// When everything is asked: 2026-11-22T10:00:00Z.
const NOW: Now = Now(1_795_341_600_000);

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Engine {
    /// Mandate's engine, without memory of earlier answers.
    Mandate,
    /// The cedar-policy crate's `Authorizer`, over all entities.
    Cedar,
    /// Cedarling, unsigned requests that bring their facts.
    Cedarling,
}

impl Engine {
    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mandate => "Mandate's engine, uncached",
            Self::Cedar => "cedar-policy 4.14.1",
            Self::Cedarling => "cedarling 2.6.0",
        }
    }
}

/// What deciding in process costs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) engine: Engine,
    pub(crate) policies: usize,
    pub(crate) load_ms: f64,
    /// What the process has grown by since before the world was loaded.
    pub(crate) resident_mib: f64,
    pub(crate) decisions: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Measures an engine for so long.
///
/// # Errors
/// It cannot load the world, or an answer is wrong.
pub(crate) fn measure(engine: Engine, policies: usize, time: Duration) -> Attempt<Figures> {
    let world = scaling::world(Size { policies, of_a_kind: 1 })?;
    let folder = tempfile::tempdir()?;
    world.write(folder.path())?;
    let before = resident("self")?;
    let begun = Instant::now();
    let loaded = Loaded::new(engine, &world, folder.path())?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let resident_mib = resident("self")?.saturating_sub(before) as f64 / f64::from(1 << 20);
    run(&loaded, &world, time / 2)?;
    let times = run(&loaded, &world, time)?;
    let micros = |nanos: u64| nanos as f64 / 1e3;
    Ok(Figures {
        engine,
        policies,
        load_ms,
        resident_mib,
        decisions: times.len(),
        per_second: 1e9 / times.mean(),
        p50_us: micros(times.value_at_quantile(0.5)),
        p99_us: micros(times.value_at_quantile(0.99)),
    })
}

fn run(loaded: &Loaded, world: &World, time: Duration) -> Attempt<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let end = Instant::now() + time;
    let mut number = 0;
    // Every question at least once, so that every answer is checked.
    while number < world.questions.len() || Instant::now() < end {
        let question = world.turn(number)?;
        let begun = Instant::now();
        let allowed = loaded.decide(question)?;
        times.record(u64::try_from(begun.elapsed().as_nanos())?)?;
        if allowed != question.allowed {
            return Err(format!("{question:?} is answered {allowed}").into());
        }
        number += 1;
    }
    Ok(times)
}

/// An engine that has its world.
enum Loaded {
    Mandate(Box<MandateWorld>),
    Cedar(Box<Plain>),
    Cedarling(Box<Embedded>),
}

impl Loaded {
    fn new(engine: Engine, world: &World, root: &Path) -> Attempt<Self> {
        Ok(match engine {
            Engine::Mandate => {
                let [policies, schemas, entities] =
                    ["policies", "schemas", "entities"].map(|name| root.join(name));
                let sources = directory::read(&Folders { policies, schemas, entities })?;
                Self::Mandate(Box::new(compile(&sources, &Options::default())?.world))
            }
            Engine::Cedar => Self::Cedar(Box::new(Plain::new(world)?)),
            Engine::Cedarling => Self::Cedarling(Box::new(Embedded::new(world, root)?)),
        })
    }

    /// Makes the engine's request of a question, and has it decided.
    fn decide(&self, question: &Question) -> Attempt<bool> {
        match self {
            Self::Mandate(world) => {
                Ok(authorize(world, &ours(question)?, NOW)?.effect == decision::Effect::Allow)
            }
            Self::Cedar(plain) => plain.decide(question),
            Self::Cedarling(embedded) => embedded.decide(question),
        }
    }
}

fn ours(question: &Question) -> Attempt<AuthzRequest> {
    let mut request = AuthzRequest::new(
        Reference::new(question.principal.type_name(), question.principal.id.as_str()),
        Reference::new("Mandate::Action", question.action.as_str()),
        Reference::new(question.resource.type_name(), question.resource.id.as_str()),
    );
    request.context = vec![("amount".to_owned(), Datum::Long(amount(&question.context)?))];
    Ok(request)
}

fn amount(context: &Members) -> Attempt<i64> {
    Ok(context.get("amount").and_then(Value::as_i64).ok_or("the question has no amount")?)
}

/// Cedar's own `Authorizer`, and what it is handed.
#[derive(Debug)]
struct Plain {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    types: [EntityTypeName; 3],
}

impl Plain {
    fn new(world: &World) -> Attempt<Self> {
        let (schema, _warnings) = Schema::from_cedarschema_str(&world.schema)?;
        let mut policies = PolicySet::new();
        for policy in &world.policies {
            policies.add(CedarPolicy::parse(Some(PolicyId::new(&policy.id)), &policy.text)?)?;
        }
        let entities = Entities::from_json_value(world.entities.iter().cloned().collect(), Some(&schema))?;
        let types = ["Mandate::User".parse()?, "Mandate::Action".parse()?, "Mandate::Item".parse()?];
        Ok(Self { authorizer: Authorizer::new(), policies, entities, types })
    }

    fn decide(&self, question: &Question) -> Attempt<bool> {
        let [user, action, item] = &self.types;
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let amount = RestrictedExpression::new_long(amount(&question.context)?);
        let request = Request::new(
            uid(user, &question.principal.id),
            uid(action, &question.action),
            uid(item, &question.resource.id),
            Context::from_pairs([("amount".to_owned(), amount)])?,
            None,
        )?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string().into());
        }
        Ok(response.decision() == Effect::Allow)
    }
}

/// Cedarling, and the runtime that its answers are waited for on.
struct Embedded {
    runtime: Runtime,
    cedarling: Cedarling,
}

impl Embedded {
    fn new(world: &World, root: &Path) -> Attempt<Self> {
        let ported = world.cedarling.as_ref().map_err(|why| *why)?;
        let store = root.join("cedarling");
        fs::create_dir_all(store.join("policies"))?;
        let metadata = json!({
            "cedar_version": "4.4.0",
            "policy_store": {"id": "0123456789ab", "name": "bench", "version": "1.0.0"},
        });
        fs::write(store.join("metadata.json"), metadata.to_string())?;
        fs::write(store.join("schema.cedarschema"), &ported.schema)?;
        crate::world::write_groups(&store.join("policies"), &ported.policies)?;
        let configuration = BootstrapConfig {
            application_name: "bench".to_owned(),
            log_config: LogConfig { log_type: LogTypeConfig::Off, log_level: LogLevel::ERROR },
            policy_store_config: PolicyStoreConfig {
                source: PolicyStoreSource::Directory(store),
                ..PolicyStoreConfig::default()
            },
            jwt_config: JwtConfig::new_without_validation(),
            authorization_config: cedarling::AuthorizationConfig::default(),
            lock_config: None,
            max_base64_size: None,
            max_default_entities: None,
            data_store_config: cedarling::DataStoreConfig::default(),
            http_client_config: HttpClientConfig::default(),
            trace_config: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cedarling = runtime.block_on(Cedarling::new(&configuration))?;
        Ok(Self { runtime, cedarling })
    }

    fn decide(&self, question: &Question) -> Attempt<bool> {
        let told = &question.told;
        let mut principal = told.principal.clone();
        principal.insert("name".to_owned(), question.principal.id.as_str().into());
        principal.insert("roles".to_owned(), told.roles.clone().into());
        let mut resource = told.resource.clone();
        resource.remove("amount");
        resource.insert("kind".to_owned(), told.kind.as_str().into());
        let entity = |name: &crate::world::Name, attributes: Members| EntityData {
            cedar_mapping: CedarEntityMapping { entity_type: name.type_name(), id: name.id.clone() },
            attributes: attributes.into_iter().collect(),
        };
        let request = RequestUnsigned {
            principal: Some(entity(&question.principal, principal)),
            action: format!("Mandate::Action::\"{}\"", question.action),
            resource: entity(&question.resource, resource),
            context: Value::Object(question.context.clone()),
            options: AuthorizeOptions::default(),
        };
        let answer = self.runtime.block_on(self.cedarling.authorize_unsigned(request))?;
        match answer.response.diagnostics().errors().next() {
            Some(error) => Err(error.to_string().into()),
            None => Ok(answer.decision),
        }
    }
}
