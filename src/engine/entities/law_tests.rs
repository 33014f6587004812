//! The law of stored entities: any sequence of edits comes to what storing the outcome afresh comes to, with Cedar's own
//! hierarchy above each; and whoever remembers something of the store can tell when it no longer holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cedar_policy::{Entities, Entity, EntityUid};
use proptest::prelude::*;

use super::*;
use crate::engine::cedar::CedarValue;
use crate::engine::compile::{Options, Sources, compile};
use crate::engine::generation::{PolicyIds, Strictness};
use crate::engine::prepared::Prepared;
use crate::engine::problem::SourceFile;
use crate::engine::world::World;

/// What may be stored: ids that are empty, not ASCII, long, or need escapes, and types in namespaces.
static UIDS: LazyLock<Vec<EntityUid>> = LazyLock::new(|| {
    let long = "x".repeat(40);
    let ids = ["", "a", "é\u{1F600}", "q\"\\\n", &long];
    let types = ["T", "N::T", "N::M::T"];
    let pairs = types.iter().flat_map(|name| ids.iter().map(move |id| (name, id)));
    pairs
        .map(|(name, id)| EntityUid::from_type_name_and_id(name.parse().unwrap(), id.parse().unwrap()))
        .collect()
});

/// An edit: whose, and the parents and the attribute it has then, if it is not deleted.
type Edit = (usize, Option<(BTreeSet<usize>, i64)>);
/// What should be stored.
type Model = BTreeMap<usize, (BTreeSet<usize>, i64)>;

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let any = 0..UIDS.len();
    let parents = proptest::collection::btree_set(any.clone(), 0..4);
    let content = proptest::option::weighted(0.75, (parents, 0_i64..3));
    proptest::collection::vec((any, content), 1..40)
}

fn stored(parents: &BTreeSet<usize>, level: i64) -> StoredEntity {
    let attributes = [("level".into(), CedarValue::long(level))];
    StoredEntity::new(parents.iter().map(|at| UIDS[*at].clone()), attributes, [])
}

/// Whether `from` leads to `to` over parents, stored or not.
fn leads(model: &Model, from: &BTreeSet<usize>, to: usize) -> bool {
    let mut seen = from.clone();
    let mut next: Vec<usize> = from.iter().copied().collect();
    while let Some(at) = next.pop() {
        let above = model.get(&at).map(|(parents, _)| parents).into_iter().flatten();
        next.extend(above.filter(|parent| seen.insert(**parent)));
    }
    seen.contains(&to)
}

/// Everything a stored entity is in, as Cedar computes it over all of them at once.
fn cedars(model: &Model) -> BTreeMap<usize, BTreeSet<EntityUid>> {
    let entities = model.iter().map(|(at, (parents, _))| {
        let parents = parents.iter().map(|at| UIDS[*at].clone()).collect();
        Entity::new_no_attrs(UIDS[*at].clone(), parents)
    });
    let entities = Entities::from_entities(entities, None).unwrap();
    let above = |at: &usize| entities.ancestors(&UIDS[*at]).unwrap().cloned().collect();
    model.keys().map(|at| (*at, above(at))).collect()
}

fn above(store: &EntityStore, at: usize) -> BTreeSet<EntityUid> {
    let found = store.ancestors(&UIDS[at]);
    let set: BTreeSet<_> = found.iter().map(|uid| (*uid).clone()).collect();
    assert_eq!(found.len(), set.len(), "each once");
    set
}

/// Holds a store to what should be in it.
fn check(store: &EntityStore, model: &Model) {
    let content = |entity: &StoredEntity| (entity.parents().to_vec(), entity.attribute("level").cloned());
    let have: BTreeMap<_, _> = store.iter().map(|(uid, entity)| (uid.clone(), content(entity))).collect();
    let want =
        model.iter().map(|(at, (parents, level))| (UIDS[*at].clone(), content(&stored(parents, *level))));
    assert_eq!(have, want.collect());
    assert_eq!((store.len(), store.is_empty()), (model.len(), model.is_empty()));
    for (at, ancestors) in cedars(model) {
        assert_eq!(above(store, at), ancestors, "{}", UIDS[at]);
    }
    let heights = Heights::of(store);
    for (at, uid) in UIDS.iter().enumerate() {
        assert_eq!(store.contains(uid), model.contains_key(&at));
        assert_eq!(store.get(uid).is_some(), store.contains(uid));
        assert_eq!(
            store.has_children(uid),
            model.values().any(|(parents, _)| parents.contains(&at)),
            "{uid}"
        );
        assert_eq!(heights.is_stored(uid), store.contains(uid) && store.has_children(uid), "{uid}");
        if let Some((parents, _)) = model.get(&at) {
            let measured = heights.below(store.get(uid).unwrap().parents());
            assert_eq!(measured, Some(height(model, parents)), "{uid}");
        }
    }
}

fn height(model: &Model, parents: &BTreeSet<usize>) -> usize {
    let stored = parents.iter().filter_map(|at| model.get(at));
    stored.map(|(parents, _)| 1 + height(model, parents)).max().unwrap_or(0)
}

/// Makes an edit to both, and says whether the store took it.
fn apply(store: &mut EntityStore, model: &mut Model, (at, content): &Edit) -> bool {
    let uid = &UIDS[*at];
    match content {
        Some((parents, level)) => {
            let cyclic = leads(model, parents, *at);
            let put = store.put(uid.clone(), stored(parents, *level));
            assert_eq!(put.is_err(), cyclic, "{uid} in {parents:?} of {model:?}");
            if !cyclic {
                model.insert(*at, (parents.clone(), *level));
            }
            !cyclic
        }
        None => {
            let children = model.values().filter(|(parents, _)| parents.contains(at)).count();
            let expected = match model.contains_key(at) {
                true if children > 0 => Err(StillParent(Box::new(uid.clone()), children.try_into().unwrap())),
                is_stored => Ok(is_stored),
            };
            assert_eq!(store.delete(uid), expected);
            if expected == Ok(true) {
                model.remove(at);
            }
            expected.is_ok()
        }
    }
}

fn versions(store: &EntityStore) -> BTreeMap<EntityUid, Version> {
    store.iter().map(|(uid, entity)| (uid.clone(), entity.version())).collect()
}

/// A world whose policies name everything that may be stored, so that keys in the index tell who is in what.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let options = Options { strictness: Strictness::Language(PolicyIds::Position), ..Options::default() };
    let policies = UIDS.iter().map(|uid| format!("permit(principal in {uid}, action, resource in {uid});\n"));
    let policies = policies.collect::<String>().into_bytes();
    let file = SourceFile { name: "all.cedar".into(), bytes: policies.into() };
    compile(&Sources { policies: vec![file], ..Sources::default() }, &options).unwrap().world
});

/// Everything of a prepared entity that a decision reads.
fn shown(prepared: &Prepared) -> impl PartialEq + std::fmt::Debug + use<> {
    let (built, index) = (&prepared.built, &WORLD.generation.index);
    let (principal, resource) = (prepared.principal(index), prepared.resource(index));
    let ancestors: BTreeSet<_> = built.ancestors().cloned().collect();
    let level = built.members().attribute("level").cloned();
    (built.uid().clone(), level, ancestors, format!("{principal:?}"), format!("{resource:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_edit_leaves_what_storing_afresh_would(edits in edits()) {
        let (mut store, mut model) = (EntityStore::default(), Model::new());
        let mut before = Vec::new();
        for edit in &edits {
            let (seen, edges) = (versions(&store), store.edges());
            before.push((store.clone(), model.clone()));
            if !apply(&mut store, &mut model, edit) {
                prop_assert_eq!((versions(&store), store.edges()), (seen, edges), "refused, and changed");
            }
            check(&store, &model);
        }
        for (store, model) in before {
            check(&store, &model);
        }
    }

    #[test]
    fn whoever_remembers_ancestors_can_tell_when_they_change(edits in edits()) {
        let (mut store, mut model) = (EntityStore::default(), Model::new());
        for edit in &edits {
            let before = store.clone();
            apply(&mut store, &mut model, edit);
            for (at, uid) in UIDS.iter().enumerate() {
                let version = |store: &EntityStore| store.get(uid).map(StoredEntity::version);
                let is_same = version(&before) == version(&store) && before.edges() == store.edges();
                prop_assert!(!is_same || above(&before, at) == above(&store, at), "{} after {:?}", uid, edit);
            }
        }
    }

    #[test]
    fn edits_without_questions_keep_the_same_account(edits in edits()) {
        let (mut store, mut model) = (EntityStore::default(), Model::new());
        for (at, content) in edits {
            let before = store.clone();
            match content {
                Some((parents, level)) if !leads(&model, &parents, at) => {
                    store.put_unchecked(UIDS[at].clone(), stored(&parents, level));
                    model.insert(at, (parents, level));
                }
                Some(_) => continue,
                None => {
                    store.delete_unchecked(&UIDS[at]);
                    model.remove(&at);
                }
            }
            check(&store, &model);
            for (at, uid) in UIDS.iter().enumerate() {
                let version = |store: &EntityStore| store.get(uid).map(StoredEntity::version);
                let is_same = version(&before) == version(&store) && before.edges() == store.edges();
                prop_assert!(!is_same || above(&before, at) == above(&store, at), "{}", uid);
            }
        }
    }

    #[test]
    fn what_was_prepared_of_late_is_what_would_be_prepared_now(edits in edits()) {
        let (mut world, mut model) = (WORLD.clone(), Model::new());
        for edit in &edits {
            let mut store = world.entities.clone();
            apply(&mut store, &mut model, edit);
            world = world.with_entities(store.clone());
            let fresh = World::new(world.generation.clone(), store);
            for uid in UIDS.iter() {
                let of = |world: &World| world.prepared(uid).map(|prepared| shown(&prepared));
                prop_assert_eq!(of(&world), of(&fresh), "{} after {:?}", uid, edit);
            }
        }
    }
}

fn uid(id: impl std::fmt::Display) -> EntityUid {
    EntityUid::from_type_name_and_id("T".parse().unwrap(), id.to_string().parse().unwrap())
}

fn bare(parents: impl IntoIterator<Item = EntityUid>) -> StoredEntity {
    StoredEntity::new(parents, [], [])
}

#[test]
fn cycles_are_measured_as_cycles_and_whatever_is_below_them() {
    let mut store = EntityStore::default();
    for (child, parent) in
        [("a", "b"), ("b", "c"), ("c", "a"), ("below", "c"), ("lower", "below"), ("d", "gone")]
    {
        store.put_unchecked(uid(child), bare([uid(parent)]));
    }
    let heights = Heights::of(&store);
    for (id, expected) in
        [("a", None), ("b", None), ("c", None), ("below", None), ("lower", None), ("d", Some(0))]
    {
        assert_eq!(heights.below(store.get(&uid(id)).unwrap().parents()), expected, "{id}");
    }
    assert_eq!(store.ancestors(&uid("lower")).len(), 4, "and walks end");
}

#[test]
fn deep_and_wide_hierarchies_are_walked_without_recursion() {
    let mut store = EntityStore::default();
    let depth = 20_000;
    store.put(uid(0), bare([])).unwrap();
    (1..depth).for_each(|at| store.put(uid(at), bare([uid(at - 1)])).unwrap());
    assert_eq!(store.ancestors(&uid(depth - 1)).len(), depth - 1);
    assert!(!Heights::of(&store).is_stored(&uid(depth - 1)), "nobody is in it");
    assert_eq!(Heights::of(&store).below(store.get(&uid(depth - 1)).unwrap().parents()), Some(depth - 1));
    let wide = 10_000;
    store.put(uid("wide"), bare((0..wide).map(|at| uid(format!("p{at}"))))).unwrap();
    (0..wide).for_each(|at| store.put(uid(format!("p{at}")), bare([uid("root")])).unwrap());
    assert_eq!(store.ancestors(&uid("wide")).len(), wide + 1);
    assert_eq!(store.put(uid("root"), bare([uid("wide")])), Err(Cycle(uid("root"))));
    (0..wide).for_each(|at| store.put(uid(format!("c{at}")), bare([uid("root")])).unwrap());
    store.put(uid("root"), bare([])).unwrap();
    assert_eq!(store.delete(&uid("root")), Err(StillParent(Box::new(uid("root")), 20_000)));
}
