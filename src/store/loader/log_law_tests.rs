//! The law of the log: after any sequence of writes, restarts and reloads, what is served is what a model says.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::super::entity_log::{Order, Write, WriteError, Written};
use super::super::support_tests::{Running, Site, permit};
use super::{Command, Outcome};
use crate::engine::cedar::CedarValue;
use crate::engine::suspensions::Suspended;

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long };
  entity Delegation = { from_user?: User, from_agent?: User, to: User, parent?: Delegation,
    actions: Set<Action>, tools: Set<Doc>, toolsets: Set<Doc>, data: Set<Doc>, agents: Set<Doc>, servers: Set<Doc>,
    not_before: datetime, expires: datetime, max_depth: Long, purpose: String };
  action view appliesTo { principal: [User], resource: [Doc] };
}
"#;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Documents, each with a level and perhaps a parent.
    Put(Vec<(u8, i64, Option<u8>)>),
    Delete(Vec<u8>),
    Cut(u8),
    Revoke(u8),
    Suspend(Option<u8>, bool),
    /// The files hold these documents from now on.
    Files(BTreeMap<u8, i64>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || 0..6_u8;
    let put = prop::collection::vec((id(), 0..100_i64, prop::option::of(id())), 1..4);
    let step = prop_oneof![
        6 => put.prop_map(Step::Put),
        3 => prop::collection::vec(id(), 1..3).prop_map(Step::Delete),
        1 => id().prop_map(Step::Cut),
        1 => id().prop_map(Step::Revoke),
        2 => (prop::option::of(id()), any::<bool>()).prop_map(|(id, lift)| Step::Suspend(id, lift)),
        2 => prop::collection::btree_map(id(), 0..100_i64, 0..3).prop_map(Step::Files),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..14)
}

/// What should be stored.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    files: BTreeMap<u8, i64>,
    written: BTreeMap<u8, (i64, Option<u8>)>,
    cut: BTreeSet<u8>,
    revoked: BTreeSet<u8>,
    suspended: BTreeSet<u8>,
    frozen: bool,
}

impl Model {
    fn holds(&self, id: u8) -> bool {
        self.files.contains_key(&id) || self.written.contains_key(&id)
    }

    /// Whether everything is in what is stored, and nothing in itself.
    fn is_sound(&self) -> bool {
        self.written.iter().all(|(id, (_, parent))| {
            let mut above = *parent;
            let mut steps = 0;
            while let Some(parent) = above {
                if parent == *id || !self.holds(parent) || steps > 10 {
                    return false;
                }
                steps += 1;
                above = self.written.get(&parent).and_then(|(_, parent)| *parent);
            }
            true
        })
    }

    fn try_put(&self, docs: &[(u8, i64, Option<u8>)]) -> Option<Self> {
        let mut next = self.clone();
        let names: BTreeSet<_> = docs.iter().map(|(id, ..)| id).collect();
        if names.len() < docs.len() || names.iter().any(|id| self.files.contains_key(id)) {
            return None;
        }
        next.written.extend(docs.iter().map(|(id, level, parent)| (*id, (*level, *parent))));
        next.is_sound().then_some(next)
    }

    fn try_delete(&self, ids: &[u8]) -> Option<Self> {
        let mut next = self.clone();
        ids.iter().all(|id| next.written.remove(id).is_some()).then_some(())?;
        next.is_sound().then_some(next)
    }

    fn try_files(&self, files: &BTreeMap<u8, i64>) -> Option<Self> {
        let next = Self { files: files.clone(), ..self.clone() };
        let both = files.keys().any(|id| self.written.contains_key(id));
        (!both && next.is_sound()).then_some(next)
    }
}

fn doc(id: u8, level: i64, parent: Option<u8>) -> Value {
    let parents: Vec<_> =
        parent.iter().map(|id| json!({"type": "Mandate::Doc", "id": id.to_string()})).collect();
    json!({"uid": {"type": "Mandate::Doc", "id": id.to_string()}, "attrs": {"level": level}, "parents": parents})
}

fn grant(id: u8) -> Value {
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    json!({"uid": {"type": "Mandate::Delegation", "id": id.to_string()}, "parents": [],
        "attrs": {"from_user": ana, "to": ana, "actions": [], "tools": [], "toolsets": [], "data": [], "agents": [],
            "servers": [], "not_before": "2026-01-01", "expires": "2030-01-01", "max_depth": 0, "purpose": "p"}})
}

fn uid(type_name: &str, id: u8) -> EntityUid {
    format!("Mandate::{type_name}::\"{id}\"").parse().unwrap()
}

struct Bench {
    site: Site,
    running: Option<Running>,
    model: Model,
    loads: u32,
}

impl Bench {
    fn new() -> Self {
        let site = Site::new();
        site.write("schemas/small.cedarschema", SCHEMA);
        let mut bench = Self { site, running: None, model: Model::default(), loads: 0 };
        bench.write_files(&BTreeMap::new());
        bench.start();
        bench
    }

    fn start(&mut self) {
        let mut config = self.site.config();
        config.poll = std::time::Duration::from_secs(3600);
        self.running = Some(self.site.try_start(config).unwrap());
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn write_files(&mut self, files: &BTreeMap<u8, i64>) {
        let ana =
            json!({"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 1}, "parents": []});
        let docs = files.iter().map(|(id, level)| doc(*id, *level, None));
        let all: Vec<_> = [ana].into_iter().chain(docs).collect();
        self.site.write("entities/base.json", json!(all).to_string());
    }

    fn write(&self, write: Write) -> Result<Written, WriteError> {
        let order = Order { write, if_revision: String::new(), by: "law".into() };
        self.running().handle.log.as_ref().unwrap().write_blocking(order)
    }

    /// Does a step to both, and holds one to the other.
    fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let expected = match step {
            Step::Put(docs) => self.model.try_put(docs),
            Step::Delete(ids) => self.model.try_delete(ids),
            Step::Cut(id) => {
                let known = self.model.cut.contains(id) || self.model.revoked.contains(id);
                let mut next = self.model.clone();
                next.cut.insert(*id);
                (!known).then_some(next)
            }
            Step::Revoke(id) => {
                let mut next = self.model.clone();
                next.revoked.insert(*id);
                Some(next)
            }
            Step::Suspend(id, lift) => {
                let mut next = self.model.clone();
                let was = match (id, lift) {
                    (Some(id), true) => next.suspended.remove(id),
                    (Some(id), false) => {
                        next.suspended.insert(*id);
                        true
                    }
                    (None, lift) => std::mem::replace(&mut next.frozen, !lift) || !lift,
                };
                was.then_some(next)
            }
            Step::Files(files) => self.model.try_files(files),
            Step::Restart => Some(self.model.clone()),
        };
        let done = self.act(step);
        prop_assert_eq!(done, expected.is_some(), "{:?} of {:?}", step, self.model);
        self.model = expected.unwrap_or_else(|| self.model.clone());
        self.check(step)
    }

    fn act(&mut self, step: &Step) -> bool {
        let parties = |id: &Option<u8>| id.map_or(Suspended::All, |id| Suspended::Principal(uid("User", id)));
        match step {
            Step::Put(docs) => {
                let texts = docs.iter().map(|(id, level, parent)| doc(*id, *level, *parent).to_string());
                self.write(Write::Put(texts.collect())).is_ok()
            }
            Step::Delete(ids) => {
                self.write(Write::Delete(ids.iter().map(|id| uid("Doc", *id)).collect())).is_ok()
            }
            Step::Cut(id) => self.write(Write::Cut(grant(*id).to_string())).is_ok(),
            Step::Revoke(id) => self.write(Write::Revoke(uid("Delegation", *id), String::new())).is_ok(),
            Step::Suspend(id, true) => self.write(Write::Lift(parties(id), String::new())).is_ok(),
            Step::Suspend(id, false) => self.write(Write::Suspend(parties(id), String::new())).is_ok(),
            Step::Files(files) => {
                self.loads += 1;
                self.write_files(files);
                self.site.write("policies/base.cedar", permit(&format!("p{}", self.loads)));
                let outcome = self.running().ask(Command::Reload).unwrap().outcome;
                if outcome == Outcome::Rejected {
                    let files = self.model.files.clone();
                    self.write_files(&files);
                }
                outcome != Outcome::Rejected
            }
            Step::Restart => {
                self.running.take().unwrap().stop();
                self.start();
                true
            }
        }
    }

    fn check(&self, step: &Step) -> Result<(), TestCaseError> {
        let published = self.running().store.current();
        let (world, model) = (&published.world, &self.model);
        for id in 0..6 {
            let name = uid("Doc", id);
            let stored = world
                .entities
                .get(&name)
                .map(|entity| (entity.attribute("level").cloned(), entity.parents().to_vec()));
            let written = model.written.get(&id).copied();
            let expected = written.or_else(|| model.files.get(&id).map(|level| (*level, None)));
            let expected = expected.map(|(level, parent)| {
                (Some(CedarValue::long(level)), parent.iter().map(|id| uid("Doc", *id)).collect::<Vec<_>>())
            });
            prop_assert_eq!(stored, expected, "{} after {:?}", name, step);
            prop_assert_eq!(world.ownership.is_api(&name), written.is_some(), "{} after {:?}", name, step);
            prop_assert_eq!(world.stores(&uid("Delegation", id)), model.cut.contains(&id), "{:?}", step);
            prop_assert_eq!(world.revocations.revokes(&uid("Delegation", id)), model.revoked.contains(&id));
            let suspended = world.suspensions.principals().any(|(name, _)| *name == uid("User", id));
            prop_assert_eq!(suspended, model.suspended.contains(&id), "{:?}", step);
        }
        prop_assert_eq!(world.suspensions.all().is_some(), model.frozen, "{:?}", step);
        Ok(())
    }
}

#[test]
fn whatever_happens_what_is_served_is_what_a_model_says() {
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let law = |steps: Vec<Step>| {
        let mut bench = Bench::new();
        steps.iter().try_for_each(|step| bench.apply(step))
    };
    if let Err(error) = runner.run(&steps(), law) {
        panic!("{error}");
    }
}

#[test]
fn what_is_written_while_files_load_is_in_what_they_publish() {
    let mut bench = Bench::new();
    let log = bench.running().handle.log.clone().unwrap();
    let written = std::sync::atomic::AtomicI64::new(0);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (written, ended) = (&written, &ended);
        scope.spawn(move || {
            // Fewer than take forever, should the test fail.
            for level in 1..5_000 {
                if ended.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let write = Write::Put(vec![doc(5, level, None).to_string()]);
                log.write_blocking(Order { write, if_revision: String::new(), by: "law".into() }).unwrap();
                written.store(level, std::sync::atomic::Ordering::SeqCst);
            }
        });
        for round in 0..12 {
            // The files change, so that the whole world is made anew.
            assert!(bench.act(&Step::Files(BTreeMap::from([(0, round)]))));
            let acknowledged = written.load(std::sync::atomic::Ordering::SeqCst);
            let served = bench.running().store.current();
            let stored = served
                .world
                .entities
                .get(&uid("Doc", 5))
                .and_then(|entity| entity.attribute("level").cloned());
            let least =
                (acknowledged..acknowledged + 1_000).map(CedarValue::long).any(|level| stored == Some(level));
            assert!(acknowledged == 0 || least, "round {round}: {stored:?} after {acknowledged}");
        }
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(written.load(std::sync::atomic::Ordering::SeqCst) > 12, "writes went on");
}
