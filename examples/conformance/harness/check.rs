//! One test through every surface.

use std::collections::BTreeSet;
use std::sync::Arc;

use mandate::audit::record::CacheUse;
use mandate::engine::authorize::authorize;
use mandate::engine::compile::{Loaded, Options, compile};
use mandate::engine::convert::{Converter, Form};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::{Decision, Effect};
use mandate::engine::generation::{OnPolicyError, Strictness};
use mandate::engine::question::Question;
use mandate::engine::request::AuthzRequest;
use mandate::engine::world::World;
use mandate::pdp;
use mandate::server::pb;
use mandate::store::Published;

use super::Attempt;
use super::bundle::{Bundle, Case, Expected};
use super::service::Service;
use super::tally::{Surface, Tally};

/// A running server, and what came of asking it.
#[derive(Debug)]
pub(crate) struct Harness {
    service: Service,
    /// What came of it so far.
    pub(crate) tally: Tally,
}

/// An answer, as the tests put it.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    allow: bool,
    reason: BTreeSet<String>,
    errors: BTreeSet<String>,
}

/// A world to ask, and one that has the test's schema, to hold questions to it.
struct Worlds {
    served: Arc<Published>,
    declared: Option<World>,
}

impl Harness {
    /// Starts a server, and keeps so many failures. On a runtime of `mandate::app::runtime`.
    ///
    /// # Errors
    /// The server does not start.
    pub(crate) async fn start(keep: usize) -> Attempt<Self> {
        Ok(Self { service: Service::start().await?, tally: Tally::new(keep) })
    }

    /// Stops the server.
    ///
    /// # Errors
    /// It did not end well.
    pub(crate) async fn stop(self) -> Attempt<Tally> {
        self.service.stop().await?;
        Ok(self.tally)
    }

    /// Runs one test.
    pub(crate) async fn check(&mut self, bundle: &Bundle) {
        match self.load(bundle) {
            Ok(worlds) => {
                for case in &bundle.cases {
                    self.check_case(bundle, case, &worlds).await;
                }
            }
            Err(refused) => {
                for case in &bundle.cases {
                    for surface in Surface::DECIDING {
                        self.tally.add(surface, Err(reproducible(bundle, case, &refused)));
                    }
                }
            }
        }
    }

    /// Compiles and publishes a test's sources, and compares what the validator says of them.
    fn load(&mut self, bundle: &Bundle) -> Result<Worlds, String> {
        let options = Options {
            on_policy_error: OnPolicyError::Cedar,
            strictness: Strictness::Language(bundle.ids),
            ..Options::default()
        };
        let compiled = |with_schema, with_entities| {
            compile(&bundle.sources(with_schema, with_entities), &options)
                .map_err(|report| format!("is not loaded:\n{}", errors(&report)))
        };
        match compiled(true, true) {
            Ok(loaded) => {
                self.check_validation(bundle, Ok(loaded.valid));
                let declared = bundle.schema.is_some().then(|| loaded.world.clone());
                Ok(Worlds { served: self.service.publish(loaded.world), declared })
            }
            Err(refused) => {
                // Without the entities the rest may still be looked at; without the schema the entities are whatever they are.
                let declared = compiled(true, false);
                self.check_validation(
                    bundle,
                    declared.as_ref().map(|loaded| loaded.valid).map_err(Clone::clone),
                );
                let Loaded { world, .. } = compiled(false, true).map_err(|_| refused)?;
                self.tally.without_schema.push(bundle.name.clone());
                let declared = declared.ok().map(|loaded| loaded.world);
                Ok(Worlds { served: self.service.publish(world), declared })
            }
        }
    }

    fn check_validation(&mut self, bundle: &Bundle, valid: Result<bool, String>) {
        let Some(expected) = bundle.valid.filter(|_| bundle.schema.is_some()) else {
            self.tally.unjudged += 1;
            return;
        };
        let outcome = match valid {
            Ok(valid) if valid == expected => Ok(()),
            Ok(valid) => Err(format!(
                "{}\nexpected valid: {expected}, got {valid}\npolicies:\n{}",
                bundle.name,
                beginning(&bundle.policies)
            )),
            Err(refused) => Err(format!("{}\nexpected valid: {expected}, but it {refused}", bundle.name)),
        };
        self.tally.add(Surface::Validation, outcome);
    }

    async fn check_case(&mut self, bundle: &Bundle, case: &Case, worlds: &Worlds) {
        let request = match request(case) {
            Ok(request) => request,
            Err(refused) => {
                for surface in Surface::DECIDING {
                    self.tally.add(surface, Err(reproducible(bundle, case, &refused)));
                }
                return;
            }
        };
        let mut outcomes = Vec::new();
        if let Some(declared) = worlds.declared.as_ref().filter(|_| case.fits) {
            outcomes.push((Surface::Fit, fits(declared, &request)));
        }
        let expected = &case.expected;
        let engine = authorize(&worlds.served.world, &request, pdp::now());
        let engine = engine.map(|decision| verdict(&decision)).map_err(|error| error.to_string());
        outcomes.push((Surface::Engine, engine.and_then(|got| expected.compare(&got))));
        // Another question may have been the same to the policies; what cannot be remembered cannot be the second time either.
        let first = self.ask(&request, expected, worlds, None).await;
        let again = match first {
            Ok(CacheUse::Bypass) => {
                self.tally.unremembered += 1;
                CacheUse::Bypass
            }
            _ => CacheUse::Hit,
        };
        outcomes.push((Surface::Miss, first.map(drop)));
        outcomes.push((Surface::Hit, self.ask(&request, expected, worlds, Some(again)).await.map(drop)));
        for (surface, part) in [(Surface::Grpc, CacheUse::Bypass), (Surface::GrpcHit, again)] {
            let bypass = surface == Surface::Grpc;
            outcomes.push((surface, self.call(case, worlds, bypass, part).await));
        }
        for (surface, outcome) in outcomes {
            self.tally.add(surface, outcome.map_err(|failure| reproducible(bundle, case, &failure)));
        }
    }

    async fn ask(
        &self,
        request: &AuthzRequest,
        expected: &Expected,
        worlds: &Worlds,
        part: Option<CacheUse>,
    ) -> Result<CacheUse, String> {
        let answer = self.service.ask(request).await?;
        expected.compare(&verdict(&answer.decision))?;
        if let Some(part) = part.filter(|part| answer.cache != *part) {
            return Err(format!("expected the cache's part to be {part:?}, got {:?}", answer.cache));
        }
        same_world(&answer.published.revision, worlds).map(|()| answer.cache)
    }

    async fn call(&self, case: &Case, worlds: &Worlds, bypass: bool, part: CacheUse) -> Result<(), String> {
        let answer = self.service.call(case, bypass).await?;
        case.expected.compare(&wire_verdict(&answer)?)?;
        let expected = match part {
            CacheUse::Hit => pb::CacheStatus::Hit,
            CacheUse::Miss => pb::CacheStatus::Miss,
            CacheUse::Bypass => pb::CacheStatus::Bypass,
        };
        if answer.cache() != expected {
            return Err(format!("expected the cache's part to be {part:?}, got {:?}", answer.cache()));
        }
        same_world(&answer.revision, worlds)
    }
}

impl Expected {
    fn compare(&self, got: &Verdict) -> Result<(), String> {
        let same = match &self.policies {
            Some((reason, errors)) => (self.allow, reason, errors) == (got.allow, &got.reason, &got.errors),
            None => self.allow == got.allow,
        };
        if same { Ok(()) } else { Err(format!("expected {self:?}\ngot {got:?}")) }
    }
}

fn same_world(revision: &str, worlds: &Worlds) -> Result<(), String> {
    if revision == &*worlds.served.revision {
        return Ok(());
    }
    Err(format!("answered by revision {revision}, and {} is served", worlds.served.revision))
}

fn request(case: &Case) -> Result<AuthzRequest, String> {
    let mut request = AuthzRequest::new(case.principal.clone(), case.action.clone(), case.resource.clone());
    request.context_form = Form::CedarJson;
    match serde_json::from_str(&case.context) {
        Ok(Datum::Record(members)) => request.context = members,
        Ok(other) => return Err(format!("the context is {}", other.kind())),
        Err(error) => return Err(format!("the context: {error}")),
    }
    Ok(request)
}

/// Whether the action is declared, applies to such a principal and resource, and has a context of that type.
fn fits(declared: &World, request: &AuthzRequest) -> Result<(), String> {
    let question = Question::of(declared, request).map_err(|error| error.to_string())?;
    let catalog = &declared.generation.catalog;
    let action = catalog.action(&question.action.uid).ok_or("the action is not declared")?;
    if !action.applies_to(&question.principal, &question.resource) {
        return Err("the action does not apply to such a principal and resource".to_owned());
    }
    let mut converter = Converter::new(catalog, Form::CedarJson, "context");
    converter.record(&request.context, &action.supplied).map(drop).map_err(|error| error.to_string())
}

fn verdict(decision: &Decision) -> Verdict {
    Verdict {
        allow: decision.effect == Effect::Allow,
        reason: decision.determining.iter().map(|policy| policy.id.to_string()).collect(),
        errors: decision.errors.iter().map(|error| error.policy.id.to_string()).collect(),
    }
}

fn wire_verdict(answer: &pb::AuthorizeResponse) -> Result<Verdict, String> {
    Ok(Verdict {
        allow: match answer.decision() {
            pb::Decision::Allow => true,
            pb::Decision::Deny => false,
            pb::Decision::Unspecified => return Err("no decision".to_owned()),
        },
        reason: answer.determining_policies.iter().map(|policy| policy.policy_id.clone()).collect(),
        errors: answer.errors.iter().map(|error| error.policy_id.clone()).collect(),
    })
}

fn errors(report: &mandate::engine::problem::Report) -> String {
    report.errors().map(|problem| format!("  {problem}\n")).collect()
}

/// A failure, and what it takes to see it again.
fn reproducible(bundle: &Bundle, case: &Case, failure: &str) -> String {
    let Case { description, principal, action, resource, context, .. } = case;
    let uid = |one: &Reference| format!("{}::{:?}", one.type_name, one.id);
    format!(
        "{} ({description})\nprincipal {}\naction {}\nresource {}\ncontext {}\n{failure}\npolicies:\n{}",
        bundle.name,
        uid(principal),
        uid(action),
        uid(resource),
        beginning(context),
        beginning(&bundle.policies)
    )
}

/// As much of a text as anybody reads; its test holds the rest.
fn beginning(text: &str) -> String {
    const MOST: usize = 4000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… and so on, {} bytes", text.get(..end).unwrap_or_default(), text.len()),
        None => text.to_owned(),
    }
}
