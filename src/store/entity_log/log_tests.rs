//! The log over a world of its own: what it takes, what it refuses, and what of it is there afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::EntityUid;
use serde_json::json;
use tempfile::TempDir;

use super::disk_tests::Platter;
use super::*;
use crate::engine::compile::{Beside, Compiler, Options, Sources, Workers};
use crate::engine::edits::{EditProblem, Refusal};
use crate::engine::problem::SourceFile;
use crate::engine::suspensions::Suspended;
use crate::store::revision::RevisionError;

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long, owner?: User, at?: datetime } tags String;
  entity Delegation = { from_user?: User, from_agent?: User, to: User, parent?: Delegation,
    actions: Set<Action>, tools: Set<Doc>, toolsets: Set<Doc>, data: Set<Doc>, agents: Set<Doc>, servers: Set<Doc>,
    not_before: datetime, expires: datetime, max_depth: Long, purpose: String };
  action view appliesTo { principal: [User], resource: [Doc] };
}
"#;

fn sources() -> Sources {
    let file = |name: &str, text: &str| SourceFile { name: name.into(), bytes: text.as_bytes().into() };
    let seeds =
        json!([{"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 1}, "parents": []}]);
    Sources {
        policies: vec![file("p.cedar", "@id(\"p\")\npermit (principal, action, resource);")],
        schemas: vec![file("s.cedarschema", SCHEMA)],
        entities: vec![file("e.json", &seeds.to_string())],
        ..Sources::default()
    }
}

/// A log at work.
struct Running {
    log: EntityLogHandle,
    store: Arc<Store>,
}

impl Running {
    fn begin(mut log: EntityLog) -> Self {
        let mut compiler = Compiler::new(Options::default(), Workers::default());
        compiler.store_beside(Beside::Lines(Arc::clone(&log.contents().lines)));
        let world = compiler.compile(&sources()).unwrap().world;
        let store = Arc::new(log.store(world, [7; RevisionKey::BYTES].into(), None).unwrap());
        let log = log.spawn(&store).unwrap();
        Self { log, store }
    }

    fn open(path: &Path) -> Self {
        Self::begin(EntityLog::open(path, true, EntityLogConfig { history: 20 }).unwrap())
    }

    fn write(&self, write: Write) -> Result<Written, WriteError> {
        self.log.write_blocking(Order { write, if_revision: String::new(), by: "test".into() })
    }

    fn refuse(&self, write: Write) -> EditProblem {
        let before = self.store.current();
        match self.write(write) {
            Err(WriteError::Refused(Refusal { problem, .. })) => {
                assert_eq!(self.store.current().sequence, before.sequence, "nothing was written");
                problem
            }
            other => panic!("{other:?}"),
        }
    }

    fn stop(self) {
        self.log.stop(Duration::from_secs(60));
    }
}

fn doc(id: &str, level: u64, parents: &[&str]) -> String {
    let parents: Vec<_> = parents.iter().map(|id| json!({"type": "Mandate::Doc", "id": id})).collect();
    json!({"uid": {"type": "Mandate::Doc", "id": id}, "attrs": {"level": level}, "parents": parents})
        .to_string()
}

fn uid(type_name: &str, id: &str) -> EntityUid {
    format!("Mandate::{type_name}::{id:?}").parse().unwrap()
}

fn grant(id: &str) -> String {
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    json!({"uid": {"type": "Mandate::Delegation", "id": id}, "parents": [],
        "attrs": {"from_user": ana, "to": ana, "actions": [], "tools": [], "toolsets": [], "data": [], "agents": [],
            "servers": [], "not_before": "2026-01-01", "expires": "2030-01-01", "max_depth": 0, "purpose": "p"}})
    .to_string()
}

fn site() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entities.redb");
    (folder, path)
}

#[test]
fn what_was_written_is_served_at_once_and_after_a_restart() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    let rich = json!({"uid": {"type": "Mandate::Doc", "id": "é\"\n"}, "parents": [],
        "attrs": {"level": 3, "owner": {"type": "Mandate::User", "id": "ana"}, "at": "2026-11-26T20:00:00.001Z"},
        "tags": {"a": "b"}});
    let first = running.write(Write::Put(vec![doc("child", 1, &["plan"]), doc("plan", 2, &[])])).unwrap();
    let written = running.write(Write::Put(vec![rich.to_string(), doc("plan", 5, &[])])).unwrap();
    let change = written.changes.get(1).unwrap();
    assert_eq!(change.before, first.changes.get(1).unwrap().after, "a digest of what was there");
    running.write(Write::Delete(vec![uid("Doc", "child")])).unwrap();
    running.write(Write::Cut(grant("g"))).unwrap();
    running.write(Write::Revoke(uid("Delegation", "g"), "left".into())).unwrap();
    running.write(Write::Suspend(Suspended::Principal(uid("User", "ana")), "odd".into())).unwrap();
    running.write(Write::Suspend(Suspended::All, "fire".into())).unwrap();
    let last = running.write(Write::Lift(Suspended::All, String::new())).unwrap();
    let shown = |running: &Running| {
        let published = running.store.current();
        let world = &published.world;
        let mut stored: Vec<_> =
            world.entities.iter().map(|(uid, entity)| (uid.clone(), entity.members().clone())).collect();
        stored.sort_by(|one, other| one.0.cmp(&other.0));
        let suspended: Vec<_> =
            world.suspensions.principals().map(|(uid, why)| (uid.clone(), why.clone())).collect();
        let mut owned: Vec<_> = world.ownership.iter().cloned().collect();
        owned.sort();
        (stored, owned, world.revocations.clone(), suspended, world.suspensions.all().cloned())
    };
    let before = shown(&running);
    assert_eq!((before.0.len(), before.1.len()), (4, 3));
    assert!(before.2.revokes(&uid("Delegation", "g")));
    running.stop();
    let running = Running::open(&path);
    assert_eq!(shown(&running), before);
    let current = running.store.current();
    assert!(current.sequence > last.published.sequence);
    assert_eq!(running.store.check_minimum(&last.published.revision, &current), Ok(()));
    assert!(matches!(running.refuse(Write::Cut(grant("g"))), EditProblem::GrantUsed(_)));
    running.write(Write::Delete(vec![uid("Delegation", "g")])).unwrap();
    assert!(
        matches!(running.refuse(Write::Cut(grant("g"))), EditProblem::GrantUsed(_)),
        "and once it is gone"
    );
    assert!(running.store.current().world.revocations.revokes(&uid("Delegation", "g")));
    running.stop();
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    running.write(Write::Put(vec![doc("plan", 1, &[]), doc("child", 1, &["plan"])])).unwrap();
    let bad = r#"{"uid": {"type": "Mandate::Doc", "id": "x"}, "attrs": {"level": "high"}, "parents": []}"#;
    use EditProblem as P;
    let put = |texts: &[String]| running.refuse(Write::Put(texts.to_vec()));
    assert!(matches!(put(&[doc("good", 1, &[]), bad.into()]), P::Malformed(_)));
    assert!(matches!(put(&[doc("x", 1, &["nowhere"])]), P::ParentNotStored(..)));
    assert!(matches!(put(&[doc("plan", 1, &["child"])]), P::Cycle(_)));
    assert!(matches!(put(&[doc("plan", 1, &["plan"])]), P::Cycle(_)));
    assert!(matches!(put(&[doc("x", 1, &[]), doc("x", 2, &[])]), P::Repeated(_)));
    assert!(matches!(put(&[grant("h")]), P::IsDelegation(_)));
    let seed = r#"{"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 9}, "parents": []}"#;
    assert!(matches!(put(&[seed.into()]), P::FileOwned(_)));
    let delete = |id| running.refuse(Write::Delete(vec![uid("Doc", id)]));
    assert!(matches!(delete("plan"), P::StillParent(_)));
    assert!(matches!(delete("nowhere"), P::NotStored(_)));
    assert!(matches!(running.refuse(Write::Delete(vec![uid("User", "ana")])), P::FileOwned(_)));
    assert!(matches!(running.refuse(Write::Cut(doc("x", 1, &[]))), P::NoDelegation(_)));
    assert!(matches!(running.refuse(Write::Revoke(uid("Doc", "plan"), String::new())), P::NoDelegation(_)));
    let lift = Write::Lift(Suspended::Principal(uid("User", "ana")), String::new());
    assert!(matches!(running.write(lift), Err(WriteError::NotSuspended(_))));
    let large = Write::Put(vec![doc("x", 1, &[]); 1_001]);
    assert!(matches!(running.write(large), Err(WriteError::TooLarge { size: 1_001, limit: 1_000, .. })));
    // Together they fit: a parent comes later in the batch, and one is moved out of what is then deleted.
    running.write(Write::Put(vec![doc("a", 1, &["b"]), doc("b", 1, &[])])).unwrap();
    running.write(Write::Put(vec![doc("b", 1, &["a"]), doc("a", 1, &[])])).unwrap();
    running.write(Write::Delete(vec![uid("Doc", "a"), uid("Doc", "b")])).unwrap();
    running.stop();
}

#[test]
fn hierarchies_stay_as_shallow_as_files_may_have_them() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    let chain = |from: usize, to: usize| -> Vec<String> {
        let name = |at: usize| format!("d{at}");
        (from..to)
            .map(|at| if at == from { doc(&name(at), 1, &[]) } else { doc(&name(at), 1, &[&name(at - 1)]) })
            .collect()
    };
    running.write(Write::Put(chain(0, 101))).unwrap();
    assert!(matches!(running.refuse(Write::Put(vec![doc("e", 1, &["d100"])])), EditProblem::TooDeep(_)));
    // Moving what others are in moves them as well.
    running.write(Write::Put(vec![doc("top", 1, &[])])).unwrap();
    assert!(matches!(running.refuse(Write::Put(vec![doc("d0", 1, &["top"])])), EditProblem::TooDeep(_)));
    running.write(Write::Put(vec![doc("d50", 1, &["top"])])).unwrap();
    running.stop();
}

#[test]
fn a_write_may_ask_for_the_revision_it_was_made_for() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    let at = |write: Write, revision: &str| {
        running.log.write_blocking(Order { write, if_revision: revision.into(), by: "test".into() })
    };
    let first = running.store.current().revision.to_string();
    let written = at(Write::Put(vec![doc("a", 1, &[])]), &first).unwrap();
    assert!(matches!(at(Write::Put(vec![doc("a", 2, &[])]), &first), Err(WriteError::Moved)));
    at(Write::Put(vec![doc("a", 3, &[])]), &written.published.revision).unwrap();
    assert!(matches!(
        at(Write::Put(vec![doc("a", 3, &[])]), "x"),
        Err(WriteError::Revision(RevisionError::BadTag))
    ));
    running.stop();
}

#[test]
fn many_that_wait_share_a_sync_and_each_is_told_of_its_own() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    let before = running.store.current().sequence;
    let ids: Vec<String> = (0..200).map(|at| format!("d{at}")).collect();
    std::thread::scope(|scope| {
        for ids in ids.chunks(25) {
            let running = &running;
            scope.spawn(move || {
                for id in ids {
                    let written = running.write(Write::Put(vec![doc(id, 1, &[])])).unwrap();
                    assert!(written.published.world.stores(&uid("Doc", id)), "its world shows it");
                }
            });
        }
    });
    assert_eq!(running.store.current().sequence, before + 200, "each has a sequence of its own");
    running.stop();
}

/// What was told, in short.
fn told(watcher: &mut Watcher) -> Vec<String> {
    let said = |event| match event {
        Event::Batch(batch, _) => {
            format!("{} {} {}", batch.changed.len(), batch.deleted.len(), batch.revoked.len())
        }
        Event::Generation(_) => "generation".to_owned(),
        Event::Reset(_) => "reset".to_owned(),
    };
    watcher.ready().into_iter().map(said).collect()
}

#[test]
fn who_watches_is_told_every_batch_once_and_can_come_back() {
    let (_folder, path) = site();
    let running = Running::open(&path);
    let mut watcher = running.log.watch("").unwrap();
    assert!(told(&mut watcher).is_empty());
    let first = running.write(Write::Put(vec![doc("a", 1, &[]), doc("b", 1, &[])])).unwrap();
    running.write(Write::Delete(vec![uid("Doc", "a")])).unwrap();
    running.write(Write::Revoke(uid("Delegation", "g"), String::new())).unwrap();
    assert_eq!(told(&mut watcher), ["2 0 0", "0 1 0", "0 0 1"]);
    assert!(told(&mut watcher).is_empty());
    let mut back = running.log.watch(&first.published.revision).unwrap();
    assert_eq!(told(&mut back), ["0 1 0", "0 0 1"]);
    // More than are remembered.
    (0..25_u64).for_each(|at| drop(running.write(Write::Put(vec![doc("b", at, &[])])).unwrap()));
    assert_eq!(told(&mut running.log.watch(&first.published.revision).unwrap()), ["reset"]);
    assert_eq!(told(&mut watcher), ["reset"], "one that is slow as well");
    assert!(running.log.watch("x").is_err());
    running.stop();
}

#[test]
fn a_copy_makes_another_log_and_takes_back_no_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let data = crate::store::data_dir::DataDir::open(&folder.path().join("data")).unwrap();
    let path = data.entity_log();
    let running = Running::open(&path);
    running.write(Write::Put(vec![doc("a", 1, &[])])).unwrap();
    running.write(Write::Cut(grant("g"))).unwrap();
    let mut copy = Vec::new();
    running
        .log
        .backup()
        .unwrap()
        .write(|piece| {
            copy.extend(piece);
            true
        })
        .unwrap();
    let last = running.write(Write::Delete(vec![uid("Doc", "a")])).unwrap();
    running.write(Write::Revoke(uid("Delegation", "g"), "left".into())).unwrap();
    running.write(Write::Suspend(Suspended::Principal(uid("User", "ana")), String::new())).unwrap();
    running.write(Write::Cut(grant("later"))).unwrap();
    running.stop();
    for cut in [0, 10, copy.len() / 2, copy.len() - 3] {
        let error = restore(&data, copy.get(..cut).unwrap(), false, |_| {}).unwrap_err();
        assert!(matches!(error, RestoreError::Copy { .. }), "{cut}: {error}");
    }
    let mut altered = String::from_utf8(copy.clone()).unwrap();
    altered = altered.replacen("\\\"level\\\":1", "\\\"level\\\":2", 1);
    assert!(restore(&data, altered.as_bytes(), false, |_| {}).unwrap_err().to_string().contains("damaged"));
    let restored = restore(&data, &*copy, false, |_| {}).unwrap();
    assert_eq!((restored.entities, restored.facts, restored.kept), (2, 1, 4));
    let running = Running::open(&path);
    let current = running.store.current();
    let world = &current.world;
    assert!(world.stores(&uid("Doc", "a")) && world.stores(&uid("Delegation", "g")));
    assert!(!world.stores(&uid("Delegation", "later")));
    assert!(world.revocations.revokes(&uid("Delegation", "g")), "what was revoked since stays so");
    assert_eq!(world.suspensions.len(), 1);
    assert_eq!(running.store.check_minimum(&last.published.revision, &current), Err(RevisionError::OtherLog));
    assert!(matches!(running.refuse(Write::Cut(grant("later"))), EditProblem::GrantUsed(_)));
    running.stop();
    std::fs::write(&path, "nonsense").unwrap();
    assert!(matches!(restore(&data, &*copy, false, |_| {}), Err(RestoreError::Present(_))));
    restore(&data, &*copy, true, |_| {}).unwrap();
    Running::open(&path).stop();
}

/// A full disk refuses writes and nothing else; what a failed sync wrote after all counts, and is served.
#[test]
fn a_disk_that_fails_loses_nothing_and_is_used_again_when_it_recovers() {
    for lying in [false, true] {
        for left in [0, 1, 2, 3, 5] {
            let platter = Platter::default();
            let config = EntityLogConfig::default();
            let running =
                Running::begin(EntityLog::open_at(platter.opening(), Some([1; 16]), config).unwrap());
            running.write(Write::Put(vec![doc("a", 1, &[])])).unwrap();
            platter.fail_after(left, lying);
            let failed = running.write(Write::Put(vec![doc("b", 1, &[])]));
            let b = uid("Doc", "b");
            assert_eq!(running.store.current().world.stores(&b), failed.is_ok(), "{failed:?}");
            // A file's revocation is in force all the same.
            running.log.keep(Vec::new(), vec![uid("Delegation", "r")]);
            let refused = running.write(Write::Put(vec![doc("c", 1, &[])]));
            assert!(
                failed.is_ok() || matches!(refused, Err(WriteError::Disk(_) | WriteError::Unknown(_))),
                "{refused:?}"
            );
            assert!(running.log.status().error.is_some());
            platter.recover();
            let start = std::time::Instant::now();
            while running.log.status().error.is_some() {
                assert!(start.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(5));
            }
            running.write(Write::Put(vec![doc("d", 1, &[])])).unwrap();
            let served = running.store.current();
            running.stop();
            let again = Running::begin(
                EntityLog::open_at(platter.after_power_loss(1).opening(), None, config).unwrap(),
            );
            let current = again.store.current();
            for id in ["a", "b", "c", "d"] {
                let uid = uid("Doc", id);
                assert_eq!(current.world.stores(&uid), served.world.stores(&uid), "{id}, {left}, {lying}");
            }
            assert!(current.world.revocations.revokes(&uid("Delegation", "r")), "{left}, {lying}");
            again.stop();
        }
    }
}
