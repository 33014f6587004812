//! The cache is invisible except for speed, under writes of every kind: what is answered is what the world that answers would
//! decide afresh, and no defect that was planted goes unnoticed.

use std::num::NonZeroU64;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cedar_policy::{EntityUid, Policy, PolicyId};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::audit::examples_for_tests::config;
use crate::audit::record::Surface;
use crate::audit::{AuditConfig, AuditLog, OpenLog, Overflow, Writer};
use crate::engine::cedar::{CedarValue, CompiledPolicy};
use crate::engine::compile::{Options, Sources, compile};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::delegation::scene_for_tests::{HOUR, NOW, Scene, uid};
use crate::engine::entities::{EntityStore, StoredEntity};
use crate::engine::mutants::{self, Mutant};
use crate::engine::problem::SourceFile;
use crate::engine::request::{AuthzRequest, RequestEntity};
use crate::engine::revocations::Revocations;
use crate::engine::suspensions::{Suspended, Suspensions};
use crate::engine::world::World;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::pdp::Call;
use crate::store::Store;
use crate::telemetry::metrics::{Metrics, Observed};

/// Beside what the scene has: policies that read the chain, the context, the time, and an entity that is not stored.
const POLICIES: [&str; 8] = [
    r#"permit (principal, action, resource);"#,
    r#"forbid (principal is Mandate::Agent, action, resource)
       unless { principal.status == Mandate::Status::"active" };"#,
    r#"forbid (principal is Mandate::User, action, resource) unless { principal.active };"#,
    r#"forbid (principal in Mandate::Team::"all", action, resource);"#,
    r#"forbid (principal, action, resource) when {
       Mandate::User::"ghost" has active && Mandate::User::"ghost".active };"#,
    r#"forbid (principal == Mandate::Agent::"a2", action, resource) when {
       context.delegation.role == Mandate::Role::"delegator" && context.touches.contains(Mandate::Data::"d9") };"#,
    r#"forbid (principal is Mandate::User, action, resource == Mandate::Tool::"t2") when {
       context.now >= datetime("2026-11-22T10:30:00Z") };"#,
    r#"forbid (principal, action, resource) when { resource.server.trusted == false };"#,
];

fn policies(texts: &[&str]) -> Vec<Arc<CompiledPolicy>> {
    let compiled = texts.iter().enumerate().map(|(place, text)| {
        let id = PolicyId::new(format!("p{place}"));
        Arc::new(CompiledPolicy::new(&Policy::parse(Some(id), text).unwrap(), ""))
    });
    compiled.collect()
}

/// The scene's world with these policies, and its delegations.
fn world() -> World {
    let scene = Scene::allowed().world();
    World::new(Arc::new(scene.generation.with_policies(policies(&POLICIES))), scene.entities)
}

pub(super) fn pdp_over(world: World) -> Pdp {
    recording(world, None).0
}

fn recording(world: World, audit: Option<&AuditConfig>) -> (Pdp, Writer) {
    // As much as is remembered unless the configuration says otherwise.
    let store = Store::remembering(world, Some(64 * 1024 * 1024));
    let OpenLog { log: audit, writer, .. } =
        audit.map_or_else(AuditLog::off, |config| AuditLog::open(config).unwrap());
    let callers = Arc::new(Callers::anonymous(Caller::anonymous("test")));
    (Pdp::new(Arc::new(store), audit, Arc::new(Metrics::new().unwrap()), callers), writer)
}

impl Pdp {
    fn count(&self, series: &str) -> u64 {
        let text = self.metrics.render(Observed::default).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }

    /// Decides as a request that has just loaded the world.
    fn now_decides(&self, question: &AuthzRequest, now: i64) -> (Arc<Decision>, Arc<Published>) {
        let published = self.current();
        let asked = Asked::from(question.clone());
        (self.decide_hops(&asked, &published, Now(now)).unwrap().0, published)
    }

    /// Publishes an edit of the entities of the world that is served.
    pub(super) fn write(&self, edit: impl FnOnce(&mut EntityStore)) {
        let world = &self.current().world;
        let mut entities = world.entities.clone();
        edit(&mut entities);
        self.store.publish(world.with_entities(entities));
    }
}

/// What answers and records tell of a decision.
fn told(decision: &Decision) -> String {
    let hops: Vec<_> = decision.hops.iter().map(|hop| (hop.hop, hop.role, told(&hop.decision))).collect();
    let ids: Vec<_> = decision.determining.iter().map(|policy| &policy.id).collect();
    let errors: Vec<_> =
        decision.errors.iter().map(|error| (&error.policy.id, error.failure.summary)).collect();
    let Decision { effect, denial, principal, action, .. } = decision;
    format!("{effect:?} {denial:?} {principal} {action} {ids:?} {errors:?} {hops:?}")
}

fn user(active: bool, team: Option<&str>) -> StoredEntity {
    let attributes =
        [("active".into(), CedarValue::boolean(active)), ("clearance".into(), CedarValue::long(3))];
    StoredEntity::new(team.map(|team| uid("Team", team)), attributes, [])
}

/// The entity with another value of one attribute.
fn with(entities: &EntityStore, uid: &EntityUid, name: &str, value: CedarValue) -> StoredEntity {
    let stored = entities.get(uid).unwrap();
    let others = stored.attributes().iter().filter(|(other, _)| other != name).cloned();
    let attributes: Vec<_> = others.chain([(name.into(), value)]).collect();
    StoredEntity::new(stored.parents().to_vec(), attributes, stored.tags().to_vec())
}

fn status(name: &str) -> CedarValue {
    CedarValue::entity(&uid("Status", name))
}

/// A write of some kind, somewhere.
fn random_edit(entities: &mut EntityStore, dice: &mut StdRng) {
    let teams = [None, Some("all"), Some("eng")];
    match dice.random_range(0..8) {
        0 => {
            let put = user(dice.random_bool(0.7), teams[dice.random_range(0..3)]);
            entities.put(uid("User", ["ana", "eve"][dice.random_range(0..2)]), put).unwrap();
        }
        1 => {
            let agent = uid("Agent", ["a1", "a2", "a3"][dice.random_range(0..3)]);
            let put = with(
                entities,
                &agent,
                "status",
                status(["active", "quarantined"][usize::from(dice.random_bool(0.2))]),
            );
            entities.put(agent, put).unwrap();
        }
        2 => {
            let parents = dice.random_bool(0.5).then(|| uid("Team", "all"));
            entities.put(uid("Team", "eng"), StoredEntity::new(parents, [], [])).unwrap();
        }
        3 => entities.put(uid("User", "ghost"), user(dice.random_bool(0.3), None)).unwrap(),
        4 => drop(entities.delete(&uid("User", "ghost")).unwrap()),
        5 => {
            let server = uid("ToolServer", "srv");
            let put = with(entities, &server, "trusted", CedarValue::boolean(dice.random_bool(0.8)));
            entities.put(server, put).unwrap();
        }
        6 => {
            let data = uid("Data", "d1");
            let stored = entities.get(&data).unwrap();
            let parents = dice.random_bool(0.6).then(|| uid("Data", "d0"));
            let put = StoredEntity::new(parents, stored.attributes().to_vec(), []);
            entities.put(data, put).unwrap();
        }
        // Of nobody who asks.
        _ => entities.put(uid("User", "gone"), user(dice.random_bool(0.5), None)).unwrap(),
    }
}

/// A question of somebody, with a trace of its own, and an instant.
fn random_question(dice: &mut StdRng) -> (AuthzRequest, i64) {
    let mut scene = Scene::allowed();
    scene.tool = ["t1", "t2"][dice.random_range(0..2)];
    scene.touches = [vec![], vec!["d1"], vec!["d9"]][dice.random_range(0..3)].clone();
    match dice.random_range(0..6) {
        0 => (scene.principal, scene.shown) = (("User", "ana"), Vec::new()),
        1 => (scene.principal, scene.shown) = (("User", "eve"), Vec::new()),
        2 => (scene.principal, scene.shown) = (("User", "ghost"), Vec::new()),
        3 => (scene.principal, scene.shown) = (("Agent", "a1"), vec![("Delegation", "g1")]),
        _ => {}
    }
    let mut question = scene.request();
    let session = question.context.iter_mut().find(|(name, _)| name == "session");
    if let Some((_, Datum::Record(members))) = session {
        members.iter_mut().filter(|(name, _)| name == "id").for_each(|(_, id)| {
            *id = Datum::String(format!("trace-{}", dice.random::<u64>()));
        });
    }
    (question, NOW + [0, HOUR / 4, 3 * HOUR / 4][dice.random_range(0..3)])
}

/// `MANDATE_SOAK=1` asks for as much as takes minutes, in a release build.
pub(super) fn size(usual: usize, soak: usize) -> usize {
    if std::env::var_os("MANDATE_SOAK").is_some() { soak } else { usual }
}

#[test]
fn under_writes_by_many_every_answer_is_what_its_world_would_decide_afresh() {
    let pdp = pdp_over(world());
    let (threads, each) = (4_u64, size(6_000, 250_000));
    let writing = std::sync::Mutex::new(());
    let differing: usize = std::thread::scope(|scope| {
        let asking = (0..threads).map(|seed| {
            let (pdp, writing) = (&pdp, &writing);
            scope.spawn(move || {
                let mut dice = StdRng::seed_from_u64(seed);
                let mut differing = 0;
                for asked in 0..each {
                    if asked % 40 == 0 {
                        let _one_at_a_time = writing.lock().unwrap();
                        pdp.write(|entities| random_edit(entities, &mut dice));
                    }
                    let (question, now) = random_question(&mut dice);
                    let (decision, published) = pdp.now_decides(&question, now);
                    let afresh = authorize(&published.world, &question, Now(now)).unwrap();
                    differing += usize::from(told(&decision) != told(&afresh));
                }
                differing
            })
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(differing, 0);
    let (hits, misses) = (pdp.count("pdp_cache_hits_total"), pdp.count("pdp_cache_misses_total"));
    println!("{hits} hits, {misses} misses");
    assert!(hits * 10 > 3 * (hits + misses), "{hits} hits, {misses} misses");
    for stamp in ["attributes", "edges", "presence", "time"] {
        let stale = pdp.count(&format!("pdp_cache_stale_total{{stamp=\"{stamp}\"}}"));
        assert!(stale > 0, "no stamp of {stamp} was stale");
    }
}

/// Something that takes an Allow away, and how to give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taking {
    Attribute,
    Parent,
    Ancestor,
    Appearance,
    Revocation,
    Suspension,
    Bundle,
}

const TAKING: [Taking; 7] = [
    Taking::Attribute,
    Taking::Parent,
    Taking::Ancestor,
    Taking::Appearance,
    Taking::Revocation,
    Taking::Suspension,
    Taking::Bundle,
];

impl Taking {
    fn take(self, pdp: &Pdp) {
        let put = |kind: &str, id: &str, entity: StoredEntity| {
            pdp.write(|entities| entities.put(uid(kind, id), entity).unwrap());
        };
        match self {
            Self::Attribute => put("User", "ana", user(false, Some("eng"))),
            Self::Parent => put("User", "ana", user(true, Some("all"))),
            Self::Ancestor => put("Team", "eng", StoredEntity::new([uid("Team", "all")], [], [])),
            Self::Appearance => put("User", "ghost", user(true, None)),
            Self::Revocation => {
                let world = &pdp.current().world;
                pdp.store.publish(world.with_revocations(Revocations::of([uid("Delegation", "g1")])));
            }
            Self::Suspension => {
                let world = &pdp.current().world;
                let mut suspensions = Suspensions::default();
                suspensions.suspend(Suspended::Principal(uid("Agent", "a2")), "test".into());
                pdp.store.publish(world.with_suspensions(suspensions));
            }
            Self::Bundle => {
                let World { generation, entities, .. } = &pdp.current().world;
                let forbidding =
                    generation.with_policies(policies(&["forbid (principal, action, resource);"]));
                pdp.store.publish(World::new(Arc::new(forbidding), entities.clone()));
            }
        }
    }
}

/// Ana is in a team that is in no other.
fn quiet_world() -> World {
    let world = world();
    let mut entities = world.entities.clone();
    entities.put(uid("Team", "eng"), StoredEntity::new([], [], [])).unwrap();
    entities.put(uid("User", "ana"), user(true, Some("eng"))).unwrap();
    world.with_entities(entities)
}

/// Warms the cache, lets an evaluation be under way while an Allow is taken away, and asks 50 times after that. Gives back how
/// many stale Allows there were, and in how many rounds one was under way.
fn stale_allows(rounds: usize) -> (usize, usize) {
    let quiet = quiet_world();
    let pdp = pdp_over(quiet.clone());
    let question = Scene::allowed().request();
    let (mut stale, mut under_way) = (0, 0);
    for round in 0..rounds {
        pdp.store.publish(quiet.clone());
        let (warm, _) = pdp.now_decides(&question, NOW);
        assert_eq!(warm.effect, Effect::Allow);
        // Somebody writes what takes nothing away: the next to ask decides anew, slowly.
        let clearance = i64::try_from(round).unwrap();
        for (kind, id) in [("User", "ana"), ("Agent", "a1"), ("Agent", "a2"), ("Agent", "a3")] {
            let uid = uid(kind, id);
            pdp.write(|entities| {
                let put = with(entities, &uid, "clearance", CedarValue::long(clearance));
                entities.put(uid.clone(), put).unwrap();
            });
        }
        let captured = pdp.current();
        let cache = captured.cache.as_deref().unwrap();
        let taking = TAKING[round % TAKING.len()];
        let mut taken = false;
        let slow = authorize_by(&captured.world, &question, Now(NOW), &mut |hop| {
            let insert = |key, remembered| {
                if !std::mem::replace(&mut taken, true) {
                    taking.take(&pdp);
                }
                cache.insert(key, remembered);
            };
            recall::decide(hop, |key| cache.find(key), insert).map(|(decision, _)| decision)
        });
        assert_eq!(slow.unwrap().effect, Effect::Allow, "it was under way before");
        under_way += usize::from(taken);
        if !taken {
            taking.take(&pdp);
        }
        let after = (0..50).filter(|_| pdp.now_decides(&question, NOW).0.effect == Effect::Allow);
        stale += after.count();
    }
    (stale, under_way)
}

#[test]
fn what_was_under_way_when_an_allow_was_taken_away_is_never_answered_again() {
    let rounds = size(1_000, 100_000);
    assert_eq!(stale_allows(rounds), (0, rounds));
}

#[test]
fn stamps_that_leave_something_out_answer_what_was_taken_away() {
    for mutant in [Mutant::AncestorNotStamped, Mutant::AbsentNotStamped, Mutant::CheckedWhereTaken] {
        let (stale, _) = mutants::with(mutant, || stale_allows(2 * TAKING.len()));
        assert!(stale > 0, "{mutant:?}");
    }
}

/// A world in which notes are the request's own, and may be read from level 1 on.
pub(super) fn notes() -> World {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.as_bytes().into() };
    let schema = "namespace Mandate { entity User; @request_scoped entity Note = { level: Long };
        action read appliesTo { principal: [User], resource: [Note], context: {} }; }";
    let sources = Sources {
        policies: vec![file(
            "p.cedar",
            "@id(\"p\") permit (principal, action, resource) when { resource.level > 0 };",
        )],
        schemas: vec![file("s.cedarschema", schema)],
        entities: vec![file(
            "e.json",
            r#"[{"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {}, "parents": []}]"#,
        )],
        ..Sources::default()
    };
    compile(&sources, &Options::default()).unwrap().world
}

pub(super) fn reads_note(level: i64) -> AuthzRequest {
    let note = Reference::new("Mandate::Note", "n");
    let mut question =
        AuthzRequest::new(Reference::new("Mandate::User", "ana"), Reference::new("", "read"), note.clone());
    let attributes = vec![("level".to_owned(), Datum::Long(level))];
    let (form, tags, parents) = (crate::engine::convert::Form::Plain, Vec::new(), Vec::new());
    question.entities = vec![RequestEntity { uid: note, form, attributes, tags, parents }];
    question
}

#[test]
fn what_a_request_brings_along_is_part_of_its_key() {
    let allowed = || {
        let pdp = pdp_over(notes());
        [1, 0, 1, 0].map(|level| pdp.now_decides(&reads_note(level), NOW).0.effect == Effect::Allow)
    };
    assert_eq!(allowed(), [true, false, true, false]);
    assert_ne!(mutants::with(Mutant::SuppliedNotInKey, allowed), [true, false, true, false]);
}

/// Asks while there is no room for the record, publishes, makes room; gives back which world answered, and which was published.
fn answered_by() -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let log = config(folder.path(), 1, Overflow::Block);
    let (pdp, _writer) = recording(world(), Some(&log));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(room)) = pin!(pdp.audit.reserve(1)).poll(&mut context) else {
        panic!("there is room")
    };
    let call = Call {
        caller: Arc::new(Caller::anonymous("test")),
        surface: Surface::Grpc,
        request_id: String::new(),
        deadline: Instant::now() + Duration::from_secs(60),
        origin: None,
        trace: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut asking = pin!(pdp.authorize(&call, Ok(Asked::from(Scene::allowed().request()))));
        assert!(asking.as_mut().poll(&mut context).is_pending(), "there is no room");
        pdp.write(|entities| entities.put(uid("User", "ana"), user(false, None)).unwrap());
        drop(room);
        (asking.await.unwrap().published.sequence, pdp.current().sequence)
    })
}

#[test]
fn a_request_that_waited_is_answered_by_the_world_of_when_it_has_waited() {
    let (answered, published) = answered_by();
    assert_eq!(answered, published);
    let (answered, published) = mutants::with(Mutant::WorldBeforeRoom, answered_by);
    assert!(answered < published, "it is the test that sees it");
}

#[test]
fn a_sample_of_hits_is_made_once_more_and_a_difference_is_an_alarm_and_no_answer() {
    let one = NonZeroU64::new(1);
    let pdp = pdp_over(quiet_world()).verifying(one);
    let question = Scene::allowed().request();
    for _ in 0..10 {
        pdp.now_decides(&question, NOW);
    }
    // Four hops, of which the first request's were no hits.
    assert_eq!(pdp.count("pdp_cache_verified_total{outcome=\"same\"}"), 9 * 4);
    assert_eq!(pdp.count("pdp_cache_verified_total{outcome=\"different\"}"), 0);
    let effect = mutants::with(Mutant::CheckedWhereTaken, || {
        Taking::Attribute.take(&pdp);
        pdp.now_decides(&question, NOW).0.effect
    });
    assert_eq!(effect, Effect::Allow, "the defect is answered, whatever is found out of it");
    assert!(pdp.count("pdp_cache_verified_total{outcome=\"different\"}") > 0);
}

#[test]
fn a_generation_begins_with_nothing_and_entities_leave_what_they_do_not_touch() {
    let pdp = pdp_over(quiet_world());
    let question = Scene::allowed().request();
    let part =
        |pdp: &Pdp| pdp.decide_hops(&Asked::from(question.clone()), &pdp.current(), Now(NOW)).unwrap().1;
    assert_eq!([part(&pdp), part(&pdp)], [CacheUse::Miss, CacheUse::Hit]);
    pdp.write(|entities| entities.put(uid("User", "eve"), user(false, None)).unwrap());
    assert_eq!(part(&pdp), CacheUse::Hit, "of somebody else");
    pdp.write(|entities| entities.put(uid("User", "ana"), user(true, None)).unwrap());
    assert_eq!([part(&pdp), part(&pdp)], [CacheUse::Miss, CacheUse::Hit], "of one of the chain");
    let World { generation, entities, .. } = &pdp.current().world;
    let same = generation.with_policies(policies(&POLICIES));
    pdp.store.publish(World::new(Arc::new(same), entities.clone()));
    assert_eq!([part(&pdp), part(&pdp)], [CacheUse::Miss, CacheUse::Hit], "of other policies");
}
