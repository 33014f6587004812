//! The law of searching: what is found is what asking about everything there is would allow.

use std::sync::{Arc, LazyLock};

use cedar_policy::{Entities, EntityUid, Policy, PolicyId, PolicySet};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::{Among, Bounds, Certainty, MAX_EXAMINED, Named, Page, Search, Sought, Through, search};
use crate::engine::authorize::{Now, authorize};
use crate::engine::catalog::Catalog;
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::delegation::scene_for_tests::{HOUR, NOW, Scene, Written, uid};
use crate::engine::generation::{Generation, Strictness};
use crate::engine::law_tests::{generated, world_of_schema};
use crate::engine::request::AuthzRequest;
use crate::engine::unknown::Unknown;
use crate::engine::world::World;

/// Everything at once.
pub(super) fn bounds() -> Bounds {
    Bounds { after: None, size: MAX_EXAMINED, examined: MAX_EXAMINED }
}

/// What is found, asked by somebody who may ask anything and has time.
pub(super) fn whole(world: &World, asked: &Search, now: Now) -> Page {
    search(world, asked, &bounds(), now, &mut |_question| true, &mut || true).unwrap()
}

fn found(page: &Page) -> Vec<&EntityUid> {
    page.found.iter().map(|found| &found.uid).collect()
}

/// What is allowed of these, asked one by one.
fn allowed<'u>(
    world: &World,
    asked: &Search,
    all: impl IntoIterator<Item = &'u EntityUid>,
    now: Now,
) -> Vec<&'u EntityUid> {
    let mut question = asked.question.clone();
    let is_allowed = |uid: &&EntityUid| {
        asked.place(world, uid, None, &mut question).unwrap();
        authorize(world, &question, now).is_ok_and(|decision| decision.effect == Effect::Allow)
    };
    let mut allowed: Vec<_> = all.into_iter().filter(is_allowed).collect();
    allowed.sort();
    allowed
}

/// Everything of the kind that is sought, whether or not anything could be said for it.
fn everything<'w>(world: &'w World, asked: &Search) -> Vec<&'w EntityUid> {
    let stored = |type_name: &str| {
        world
            .entities
            .iter()
            .map(|(uid, _)| uid)
            .filter(|uid| uid.type_name().to_string() == type_name)
            .collect()
    };
    match asked.sought {
        Sought::Actions => world.generation.catalog.actions().map(|action| &action.uid).collect(),
        Sought::Resources(_) => stored(&asked.question.resource.type_name),
        Sought::Principals(_) => stored(&asked.question.principal.type_name),
    }
}

/// Searches whole and page by page, and asks about everything.
fn agrees(world: &World, asked: &Search, now: Now, size: usize) -> usize {
    let page = whole(world, asked, now);
    assert!(page.last.is_none());
    assert!(page.found.iter().all(|found| found.certainty == Certainty::Certain), "nothing is unknown");
    let all = everything(world, asked);
    assert_eq!(found(&page), allowed(world, asked, all.iter().copied(), now), "{asked:?}");
    let (mut turned, mut after) = (Vec::new(), None);
    loop {
        let bounds = Bounds { after, size, examined: 3 };
        let page = search(world, asked, &bounds, now, &mut |_question| true, &mut || true).unwrap();
        assert!(page.found.len() <= size && page.examined <= 3);
        turned.extend(page.found);
        after = page.last;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(turned, page.found, "page by page");
    turned.len()
}

fn reference(uid: &EntityUid) -> Reference {
    Reference::new(uid.type_name().to_string(), uid.id().unescaped())
}

fn sought(asked: &AuthzRequest) -> impl Iterator<Item = Search> + use<> {
    let named = |type_name: &str| {
        let named = ["d1", "d7", "🦀", "ana", "", "nobody", "t1", "t3"]
            .map(|id| Named { id: id.to_owned(), context: Vec::new() });
        (!type_name.is_empty()).then(|| Among::Named(named.to_vec()))
    };
    let sought = [
        Some(Sought::Actions),
        Some(Sought::Resources(Among::Stored)),
        Some(Sought::Principals(Among::Stored)),
        named(&asked.resource.type_name).map(Sought::Resources),
    ];
    let question = asked.clone();
    sought.into_iter().flatten().map(move |sought| {
        let question = question.clone();
        Search { question, sought, unknown: Unknown::default(), properties: None, any_delegation: false }
    })
}

/// Worlds as the language's law has them, held to everything that a service holds its worlds to.
fn strict(policies: &PolicySet, stored: &Entities) -> World {
    static BESIDE: LazyLock<World> = LazyLock::new(|| world_of_schema(generated::SCHEMA));
    let world = crate::engine::law_tests::world_beside(&BESIDE, policies, stored);
    let catalog = Catalog { strictness: Strictness::Full, ..world.generation.catalog.as_ref().clone() };
    let generation = Generation { catalog: Arc::new(catalog), ..world.generation.as_ref().clone() };
    World::new(Arc::new(generation), world.entities)
}

fn policies(texts: &[String]) -> PolicySet {
    let policy = |(place, text): (usize, &String)| {
        Policy::parse(Some(PolicyId::new(format!("policy{place}"))), text).unwrap()
    };
    PolicySet::from_policies(texts.iter().enumerate().map(policy)).unwrap()
}

fn request(
    (principal, action, resource, context): &(EntityUid, EntityUid, EntityUid, Value),
) -> AuthzRequest {
    let mut request = AuthzRequest::new(reference(principal), reference(action), reference(resource));
    request.context_form = Form::CedarJson;
    let Datum::Record(context) = serde_json::from_value(context.clone()).unwrap() else { panic!("a record") };
    request.context = context;
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_is_allowed(
        texts in vec(generated::policy(), 1..40),
        stored in generated::entities(),
        asked in vec(generated::request(), 1..4),
    ) {
        let world = strict(&policies(&texts), &stored);
        for asked in asked.iter().map(request) {
            for asked in sought(&asked) {
                if matches!(asked.sought, Sought::Resources(Among::Named(_))) {
                    let page = whole(&world, &asked, Now(NOW));
                    let named: Vec<_> = everything(&world, &asked);
                    let ids = ["d1", "d7", ""];
                    let named = named.into_iter().filter(|uid| ids.contains(&uid.id().unescaped()));
                    prop_assert_eq!(found(&page), allowed(&world, &asked, named, Now(NOW)));
                } else {
                    agrees(&world, &asked, Now(NOW), 2);
                }
            }
        }
    }

    #[test]
    fn along_a_chain_is_found_what_all_of_it_may(
        depth in 0_usize..4,
        toolsets in vec(proptest::sample::subsequence(&["some", "all", "other"][..], 0..3), 3),
        revoked in proptest::option::weighted(0.2, 0_usize..3),
        late in proptest::option::weighted(0.2, 0_usize..3),
        touches in proptest::sample::select(&["d0", "d1", "d9"][..]),
        ill in any::<bool>(),
    ) {
        let mut scene = Scene::allowed();
        scene.grants.iter_mut().zip(toolsets).for_each(|(grant, toolsets)| grant.toolsets = toolsets);
        if let Some(late) = late {
            scene.grants[late].expires = NOW - HOUR / 2;
        }
        if let Some(revoked) = revoked {
            scene.revoked = vec![["g1", "g2", "g3"][revoked]];
        }
        if ill {
            scene.grants[0] = Written { toolsets: vec!["all"], ..Written::new("g1", ("User", "gone"), "a1", None) };
        }
        scene.touches = vec![touches];
        (scene.principal, scene.shown) = match depth {
            0 => (("User", "ana"), vec![]),
            1 => (("Agent", "a1"), vec![("Delegation", "g1")]),
            2 => (("Agent", "a2"), vec![("Delegation", "g2")]),
            _ => (("Agent", "a3"), vec![("Delegation", "g3")]),
        };
        let world = scene.world();
        for asked in sought(&scene.request()).take(3) {
            agrees(&world, &asked, Now(scene.now), 1);
        }
    }
}

#[test]
fn tools_of_a_chain_are_those_that_grants_and_policies_leave() {
    let scene = Scene::allowed();
    let [_, tools, _, _] = sought(&scene.request()).collect::<Vec<_>>().try_into().unwrap();
    let page = whole(&scene.world(), &tools, Now(scene.now));
    assert_eq!(
        found(&page),
        [&uid("Tool", "t1"), &uid("Tool", "t2")],
        "t3 is in no toolset that was granted"
    );
    let revoked = Scene { revoked: vec!["g1"], ..scene };
    assert!(whole(&revoked.world(), &tools, Now(revoked.now)).found.is_empty());
}

#[test]
fn whoever_may_not_ask_is_told_nothing_and_a_page_ends_when_time_does() {
    let scene = Scene::allowed();
    let world = scene.world();
    let tools = sought(&scene.request()).nth(1).unwrap();
    let search = |may: bool, goes_on: bool| {
        let (mut may_ask, mut goes_on) = (|_: &AuthzRequest| may, || goes_on);
        search(&world, &tools, &bounds(), Now(scene.now), &mut may_ask, &mut goes_on).unwrap()
    };
    let untold = search(false, true);
    assert_eq!((untold.found.len(), untold.asked, untold.examined), (0, 0, 3));
    let cut = search(true, false);
    assert_eq!((cut.found.len(), cut.examined, cut.last), (1, 1, Some(uid("Tool", "t1"))));
}

#[test]
fn under_any_delegation_is_found_through_whom() {
    let mut scene = Scene::allowed();
    // a3 was sent by a2, by Eve for t3 alone, and by Ana until an hour ago; and nobody is asked about it by itself.
    let eves = Written { toolsets: vec!["other"], ..Written::new("e1", ("User", "eve"), "a3", None) };
    let old = Written { expires: NOW - 1, ..Written::new("old", ("User", "ana"), "a3", None) };
    scene.grants.extend([eves, old]);
    scene.shown.clear();
    let world = scene.world();
    let [actions, tools, principals, _] = sought(&scene.request())
        .map(|asked| Search { any_delegation: true, ..asked })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let told = |page: &Page| -> Vec<(String, Vec<(String, usize)>)> {
        let through = |through: &Through| {
            let leaf = through.delegation.as_ref().map_or("", |uid| uid.id().unescaped());
            (leaf.to_owned(), through.chain.len())
        };
        let found = page.found.iter().map(|found| {
            (found.uid.id().unescaped().to_owned(), found.through.iter().map(through).collect())
        });
        found.collect()
    };
    let named = |id: &str, leaf: &str, length: usize| (id.to_owned(), vec![(leaf.to_owned(), length)]);
    let page = whole(&world, &tools, Now(NOW));
    assert_eq!(told(&page), [named("t1", "g3", 4), named("t2", "g3", 4), named("t3", "e1", 2)]);
    assert_eq!(told(&whole(&world, &actions, Now(NOW))), [named("call_tool", "g3", 4)]);
    let principals = told(&whole(&world, &principals, Now(NOW)));
    assert!(
        principals.contains(&named("a1", "g1", 2)) && principals.contains(&named("free", "", 0)),
        "{principals:?}"
    );
    let revoked = Scene { revoked: vec!["g1"], ..scene.clone() };
    assert_eq!(told(&whole(&revoked.world(), &tools, Now(NOW))), [named("t3", "e1", 2)]);
    let mut shows = tools.clone();
    shows.question.delegations = vec![reference(&uid("Delegation", "g3"))];
    let mut may_ask = |_: &AuthzRequest| true;
    let refused = search(&world, &shows, &bounds(), Now(NOW), &mut may_ask, &mut || true).unwrap_err();
    assert_eq!(refused.field, "any_delegation");
    (0..40).for_each(|at| scene.grants.push(Written::new(&format!("m{at}"), ("User", "ana"), "a3", None)));
    let page = whole(&scene.world(), &tools, Now(NOW));
    assert_eq!((page.found.len(), page.refused), (0, 3));
}
