//! What a replica makes of what it is told.

use std::time::Instant;

use tokio::runtime::Runtime;

use super::super::data_dir::DataDir;
use super::super::loader::{Ended, LoaderHandle};
use super::super::revision::Signer;
use super::*;
use crate::engine::compile::Options;
use crate::engine::problem::SourceFile;

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long };
  action view appliesTo { principal: [User], resource: [Doc] };
}
"#;
const LEASE: Duration = Duration::from_secs(600);

/// A primary made by hand, and its replica.
struct Told {
    runtime: Runtime,
    inbox: Inbox,
    replica: Option<Replica>,
    handle: Option<LoaderHandle>,
    signer: Signer,
    key: RevisionKey,
    hash: String,
    _data: (tempfile::TempDir, DataDir),
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), bytes: text.into() }
}

fn sources() -> Sources {
    Sources {
        schemas: vec![file("small.cedarschema", SCHEMA)],
        policies: vec![file("base.cedar", "@id(\"base\") permit (principal, action, resource);\n")],
        ..Sources::default()
    }
}

fn uid(type_name: &str, id: &str) -> EntityUid {
    format!("Mandate::{type_name}::{id:?}").parse().unwrap()
}

fn doc(id: &str, level: i64) -> (EntityUid, String) {
    let text = format!(
        r#"{{"uid":{{"type":"Mandate::Doc","id":"{id}"}},"attrs":{{"level":{level}}},"parents":[]}}"#
    );
    (uid("Doc", id), text)
}

impl Told {
    /// A replica that nobody keeps yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let config =
            ReplicaConfig { primary: "http://p".to_owned(), options: Options::default(), cache_bytes: None };
        let (replica, _store) = Replica::open(config, &data).unwrap();
        let key = RevisionKey::from([7; 32]);
        let hash = crate::engine::compile::compile(&sources(), &Options::default()).unwrap();
        Self {
            runtime: Runtime::new().unwrap(),
            inbox: replica.inbox(),
            replica: Some(replica),
            handle: None,
            signer: Signer::new(key.clone(), [1; LOG]),
            key,
            hash: hash.world.generation.hash.to_string(),
            _data: (folder, data),
        }
    }

    fn keep(&mut self) {
        self.handle = Some(self.replica.take().unwrap().spawn().unwrap());
    }

    fn greet(&self, process: u8) {
        let options = Options::default();
        let greeting = Greeting {
            version: String::new(),
            process: vec![process],
            log: [1; LOG],
            key: self.key.clone(),
            settings: settings(options.on_policy_error, &options.domain),
        };
        self.runtime.block_on(self.inbox.greet(greeting)).unwrap();
    }

    fn take(&self, sequence: u64, world: u64, entities: usize, step: Step) {
        let totals = Totals { entities, suspended: step.totals.suspended, revoked: step.totals.revoked };
        let revision = self.signer.sign(&self.hash, sequence);
        self.runtime.block_on(self.inbox.take(Step { revision, world, totals, ..step })).unwrap();
    }

    fn vouch(&self, process: u8, world: u64) {
        let vouched = Vouched { asked: Moment::now(), process: vec![process], world, lease: LEASE };
        self.runtime.block_on(self.inbox.vouched(vouched)).unwrap();
    }

    fn is_current(&self) -> bool {
        self.inbox.following().is_current()
    }

    #[track_caller]
    fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never comes to that");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn sequence(&self) -> u64 {
        self.inbox.store.current().sequence
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            assert_eq!(handle.stop(Duration::from_secs(60)), Some(Ended::Stopped));
        }
    }
}

fn whole(put: Vec<(EntityUid, String)>) -> Step {
    Step { whole: true, generation: Some(sources()), put, ..Step::default() }
}

#[test]
fn a_lease_is_for_the_world_that_was_vouched_for_and_its_process() {
    let mut told = Told::new();
    told.keep();
    told.greet(1);
    told.vouch(1, 5);
    told.take(10, 4, 1, whole(vec![doc("a", 1)]));
    told.until(|told| told.sequence() == 10);
    assert!(!told.is_current(), "the fifth world was vouched for, and the fourth is served");
    told.vouch(2, 4);
    told.take(11, 5, 2, Step { put: vec![doc("b", 1)], ..Step::default() });
    told.until(Told::is_current);
    let store = &told.inbox.store;
    assert!(store.current().world.stores(&uid("Doc", "b")) && told.sequence() == 11);
    assert_eq!(store.check_minimum(&told.signer.sign(&told.hash, 11), &store.current()), Ok(()));
}

#[test]
fn what_denies_waits_for_nothing_and_is_not_taken_back_by_what_came_before() {
    let mut told = Told::new();
    told.greet(1);
    let suspended = vec![(Suspended::Principal(uid("User", "u")), "why".into())];
    let grant = uid("Delegation", "g");
    told.take(10, 1, 1, whole(vec![doc("a", 1)]));
    let denies = Step { revoked: vec![grant.clone()], suspended: suspended.clone(), ..Step::default() };
    let totals = Totals { revoked: 1, suspended: 1, entities: 0 };
    told.take(11, 2, 1, Step { totals, ..denies });
    let denied = |told: &Told| {
        let world = told.inbox.store.current().world.clone();
        (world.revocations.revokes(&grant), world.suspensions.has(&suspended[0].0))
    };
    // Nobody keeps the replica yet: as long as a generation takes to compile.
    assert_eq!((denied(&told), told.sequence()), ((true, true), 0));
    told.keep();
    told.until(|told| {
        assert_eq!(denied(told), (true, true));
        told.sequence() == 11
    });
    let lifted = Step { lifted: vec![suspended[0].0.clone()], ..Step::default() };
    told.take(12, 3, 1, Step { totals: Totals { revoked: 1, ..Totals::default() }, ..lifted });
    told.until(|told| told.sequence() == 12);
    assert_eq!(denied(&told), (true, false));
    // Another log that knows nothing of it, told whole.
    told.signer = Signer::new(told.key.clone(), [2; LOG]);
    let options = Options::default();
    let greeting = Greeting {
        version: String::new(),
        process: vec![2],
        log: [2; LOG],
        key: told.key.clone(),
        settings: settings(options.on_policy_error, &options.domain),
    };
    told.runtime.block_on(told.inbox.greet(greeting)).unwrap();
    told.take(1, 1, 1, whole(vec![doc("a", 1)]));
    told.until(|told| told.sequence() == 1);
    assert_eq!(denied(&told), (true, false), "a revocation is for good");
}

#[test]
fn what_does_not_add_up_is_refused_and_what_is_served_stays() {
    let mut told = Told::new();
    told.keep();
    let broken = Sources { policies: vec![file("x.cedar", "permit (")], ..sources() };
    let text = "@id(\"other\") permit (principal, action, resource);\n";
    let other = Sources { policies: vec![file("base.cedar", text)], ..sources() };
    let cases: Vec<(u64, usize, Step, &str)> = vec![
        (11, 3, Step { put: vec![doc("b", 1)], ..Step::default() }, "something was missed"),
        (11, 1, Step { generation: Some(broken), ..Step::default() }, "does not compile here"),
        (11, 1, Step { generation: Some(other), ..Step::default() }, "is another than its sources"),
        (11, 1, Step { put: vec![(uid("Doc", "b"), "{}".to_owned())], ..Step::default() }, "does not fit"),
        (9, 1, whole(vec![doc("a", 1)]), "older state"),
    ];
    for (sequence, entities, step, saying) in cases {
        told.greet(1);
        told.take(10, 1, 1, whole(vec![doc("a", 1)]));
        told.until(|told| told.sequence() == 10 && !told.inbox.resume().revision.is_empty());
        let mut inbox = told.inbox.begun();
        told.take(sequence, 2, entities, step);
        let problem = told.runtime.block_on(inbox.refused());
        assert!(problem.contains(saying), "{problem}");
        assert!(told.inbox.resume().revision.is_empty(), "everything is to be told anew");
        // Until it is, nothing counts.
        told.take(12, 3, 2, Step { put: vec![doc("c", 1)], ..Step::default() });
        told.vouch(1, 3);
        assert!(!told.inbox.store.current().world.stores(&uid("Doc", "c")));
        assert_eq!((told.sequence(), told.is_current()), (10, false), "{saying}");
    }
}
