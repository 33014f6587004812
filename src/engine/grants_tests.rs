//! Digests of stored delegations: whatever differs tells.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityUid};

use crate::engine::cedar::value::Extension;
use crate::engine::cedar::{CedarRecord, CedarValue};
use crate::engine::compile::{Options, compile};
use crate::engine::entities::StoredEntity;
use crate::engine::grants::digests;
use crate::engine::world::World;
use crate::store::directory::{Folders, read};

fn shipped() -> World {
    let folder = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let folders =
        Folders { policies: folder("policies"), schemas: folder("schemas"), entities: folder("entities") };
    compile(&read(&folders).unwrap(), &Options::default()).unwrap().world
}

/// The digest of a delegation that holds these.
fn digest_of(world: &World, attributes: Vec<(&str, CedarValue)>, parents: &[&str], tags: &[&str]) -> String {
    let named = |id: &&str| {
        let type_name = world.generation.catalog.delegation_type().unwrap().clone();
        EntityUid::from_type_name_and_id(type_name, EntityId::new(id))
    };
    let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value));
    let tags = tags.iter().map(|name| ((*name).into(), CedarValue::boolean(true)));
    let grant = StoredEntity::new(parents.iter().map(named), attributes, tags);
    let mut entities = world.entities.clone();
    entities.put(named(&"tried"), grant).unwrap();
    let world = World::new(Arc::clone(&world.generation), entities);
    digests(&world).find(|(uid, _)| **uid == named(&"tried")).unwrap().1
}

#[test]
fn only_delegations_have_one_and_each_its_own() {
    let world = shipped();
    let found: Vec<_> = digests(&world).collect();
    assert!(found.len() >= 2);
    assert!(found.iter().all(|(uid, _)| uid.type_name().basename() == "Delegation"));
    let mut distinct: Vec<_> = found.iter().map(|(_, digest)| digest).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), found.len());
}

#[test]
fn whatever_differs_tells_and_the_way_it_is_written_does_not() {
    let world = shipped();
    let datetime = |text: &str| CedarValue::extension(Extension::Datetime, text).unwrap();
    let set = |numbers: &[i64]| CedarValue::set(numbers.iter().map(|number| CedarValue::long(*number)));
    let record = |name: &str| {
        let mut record = CedarRecord::default();
        record.insert(name, CedarValue::string("x"));
        CedarValue::record(record)
    };
    let of = |value: CedarValue| digest_of(&world, vec![("a", value)], &[], &[]);
    assert_eq!(of(datetime("2026-09-01")), of(datetime("2026-09-01T02:00:00+0200")));
    assert_eq!(of(set(&[1, 2, 3])), of(set(&[3, 1, 2, 1])));
    let different = [
        of(datetime("2026-09-01")),
        of(datetime("2026-09-01T00:00:00.001Z")),
        of(CedarValue::extension(Extension::Duration, "1d").unwrap()),
        of(CedarValue::long(1)),
        of(CedarValue::boolean(true)),
        of(CedarValue::string("1")),
        of(CedarValue::string("")),
        of(set(&[1])),
        of(set(&[])),
        of(CedarValue::set([set(&[1])])),
        of(record("b")),
        of(record("c")),
        of(CedarValue::entity(&"Mandate::User::\"1\"".parse().unwrap())),
        of(CedarValue::entity(&"Mandate::Agent::\"1\"".parse().unwrap())),
        digest_of(&world, vec![], &[], &[]),
        digest_of(&world, vec![], &["p"], &[]),
        digest_of(&world, vec![], &["q"], &[]),
        digest_of(&world, vec![], &[], &["a"]),
        digest_of(&world, vec![("a", CedarValue::long(1)), ("b", CedarValue::long(1))], &[], &[]),
    ];
    let mut distinct = different.to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), different.len());
}
