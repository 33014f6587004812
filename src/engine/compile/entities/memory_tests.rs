//! The law of loading one set of entities after another: it comes to what loading afresh comes to, and what did not change
//! keeps its version. And large sets: on several threads, as on one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::authorize::{Now, authorize};
use crate::engine::compile::{Compiler, Loaded, Options, Sources};
use crate::engine::datum::Reference;
use crate::engine::decision::Effect;
use crate::engine::entities::Heights;
use crate::engine::request::AuthzRequest;
use crate::engine::version::Version;

const SCHEMA: &str = r#"
namespace Mandate {
  entity Team in [Team];
  entity User in [Team] = { level: Long, next?: User };
  action view appliesTo { principal: [User], resource: [Team], context: {} };
}
"#;

const POLICY: &str =
    r#"@id("a") permit(principal is Mandate::User in Mandate::Team::"0", action, resource);"#;

fn file(name: &str, text: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { name: name.into(), bytes: text.into().into() }
}

fn sources(entities: Vec<SourceFile>) -> Sources {
    Sources {
        schemas: vec![file("s.cedarschema", SCHEMA)],
        policies: vec![file("p.cedar", POLICY)],
        entities,
        ..Sources::default()
    }
}

fn compiler(threads: usize) -> Compiler {
    let workers = Workers { threads: NonZeroUsize::new(threads).unwrap() };
    Compiler::new(Options::default(), workers)
}

fn fresh(sources: &Sources) -> Result<Loaded, Report> {
    compiler(1).compile(sources)
}

fn team(id: impl std::fmt::Display, parents: &[String]) -> Value {
    let parents: Vec<_> = parents.iter().map(|id| json!({"type": "Mandate::Team", "id": id})).collect();
    json!({"uid": {"type": "Mandate::Team", "id": id.to_string()}, "attrs": {}, "parents": parents})
}

fn user(id: impl std::fmt::Display, level: i64, parents: &[String]) -> Value {
    let mut user = team(id, parents);
    user["uid"]["type"] = json!("Mandate::User");
    user["attrs"]["level"] = json!(level);
    user
}

fn array(entities: &[Value]) -> String {
    let lines: Vec<_> = entities.iter().map(Value::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

/// Everything that a store says, less versions.
fn shown(store: &EntityStore) -> BTreeMap<EntityUid, (String, BTreeSet<EntityUid>, bool, Option<usize>)> {
    let heights = Heights::of(store);
    let one = |(uid, entity): (&EntityUid, &StoredEntity)| {
        let content = format!("{:?} {:?} {:?}", entity.parents(), entity.attributes(), entity.tags());
        let above = store.ancestors(uid).into_iter().cloned().collect();
        (uid.clone(), (content, above, store.has_children(uid), heights.below(entity.parents())))
    };
    store.iter().map(one).collect()
}

fn versions(store: &EntityStore) -> BTreeMap<EntityUid, Version> {
    store.iter().map(|(uid, entity)| (uid.clone(), entity.version())).collect()
}

/// A set of teams, each with its number of parents below it and in which file it stands, and users.
fn set() -> impl Strategy<Value = Vec<SourceFile>> {
    let teams = proptest::collection::btree_map(
        0..6_usize,
        (proptest::collection::btree_set(0..6_usize, 0..3), any::<bool>()),
        0..6,
    );
    let users = proptest::collection::btree_map(0..6_usize, (0_i64..3, 0..8_usize, any::<bool>()), 0..6);
    (teams, users, 0..30).prop_map(|(teams, users, odd)| {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut add =
            |first: &bool, entity: Value| if *first { one.push(entity) } else { other.push(entity) };
        for (id, (parents, first)) in &teams {
            // Mostly downwards, and stored: sometimes a cycle, or a parent that is not there.
            let fits = |parent: &&usize| odd == 0 || (*parent < id && teams.contains_key(*parent));
            let parents: Vec<_> = parents.iter().filter(fits).map(usize::to_string).collect();
            add(first, team(id, &parents));
        }
        for (id, (level, next, first)) in &users {
            let parents: Vec<_> = teams.keys().take(*next).map(usize::to_string).collect();
            let mut entity = user(id, *level, &parents);
            if *next > 2 {
                entity["attrs"]["next"] = json!({"type": "Mandate::User", "id": next.to_string()});
            }
            if odd == 1 {
                entity["attrs"]["level"] = json!("x");
            }
            if odd == 2 {
                add(first, entity.clone());
            }
            add(first, entity);
        }
        let lines: String = other.iter().map(|entity| format!("{entity}\n")).collect();
        let lines = (!other.is_empty()).then(|| file("b.jsonl", lines));
        [file("a.json", array(&one))].into_iter().chain(lines).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_load_after_another_comes_to_what_a_fresh_one_does(sets in proptest::collection::vec(set(), 1..8)) {
        let mut compiler = compiler(2);
        let mut last: Option<EntityStore> = None;
        for files in sets {
            let sources = sources(files);
            match (compiler.compile(&sources), fresh(&sources)) {
                (Ok(after), Ok(afresh)) => {
                    let (store, expected) = (&after.world.entities, &afresh.world.entities);
                    prop_assert_eq!(shown(store), shown(expected));
                    prop_assert_eq!(after.warnings.to_string(), afresh.warnings.to_string());
                    for (uid, entity) in store.iter() {
                        if let Some(before) = last.as_ref().and_then(|last| last.get(uid)) {
                            let kept = before.version() == entity.version();
                            prop_assert_eq!(kept, before.holds_same(entity), "{}", uid);
                        }
                    }
                    last = Some(store.clone());
                }
                (Err(report), Err(expected)) => prop_assert_eq!(report.to_string(), expected.to_string()),
                (after, afresh) => prop_assert!(false, "{:?}\n{:?}", after, afresh),
            }
        }
    }
}

#[test]
fn the_same_files_are_taken_over_as_they_are_warnings_included() {
    let mut pointing = user("a", 1, &[]);
    pointing["attrs"]["next"] = json!({"type": "Mandate::User", "id": "gone"});
    let sources = sources(vec![file("a.json", array(&[team(0, &[]), pointing]))]);
    let mut compiler = compiler(1);
    let progress = Arc::new(Progress::default());
    compiler.report_to(Arc::clone(&progress));
    let first = compiler.compile(&sources).unwrap();
    assert_eq!((progress.entities(), progress.total()), (2, sources.entities[0].bytes.len() as u64));
    let again = compiler.compile(&sources).unwrap();
    assert_eq!(progress.entities(), 0, "nothing is read");
    assert_eq!(versions(&again.world.entities), versions(&first.world.entities));
    assert_eq!(again.world.entities.edges(), first.world.entities.edges());
    assert!(
        again.warnings.to_string().contains("a.json:3: Mandate::User::\"a\".next refers to"),
        "{}",
        again.warnings
    );
    assert_eq!(again.warnings.to_string(), first.warnings.to_string());
}

#[test]
fn another_schema_is_asked_again_about_the_same_entities() {
    let mut set = sources(vec![file("a.json", array(&[team(0, &[]), user("a", 1, &[])]))]);
    let mut compiler = compiler(1);
    let first = compiler.compile(&set).unwrap();
    set.schemas[0].bytes = SCHEMA.replace("level: Long", "level: Long, name?: String").into();
    let second = compiler.compile(&set).unwrap();
    assert_eq!(versions(&second.world.entities), versions(&first.world.entities));
    set.schemas[0].bytes = SCHEMA.replace("level: Long", "level: String").into();
    let report = compiler.compile(&set).unwrap_err().to_string();
    assert!(report.contains("a.json:3:") && report.contains("level"), "{report}");
    set.schemas[0].bytes = SCHEMA.into();
    assert_eq!(versions(&compiler.compile(&set).unwrap().world.entities), versions(&first.world.entities));
}

/// Two thousand users and their teams: several chunks.
fn many() -> Vec<Value> {
    let teams = (0..40).map(|at| team(at, &if at == 0 { vec![] } else { vec![(at / 2).to_string()] }));
    teams.chain((0..2_000).map(|at| user(at, at, &[(at % 40).to_string()]))).collect()
}

#[test]
fn several_threads_load_what_one_does() {
    let lines: String = many().iter().map(|entity| format!("  {entity} \r\n\r\n")).collect();
    assert!(lines.len() > 3 * 64 * 1024);
    let expected = fresh(&sources(vec![file("a.json", array(&many()))])).unwrap().world.entities;
    assert_eq!(expected.len(), 2_040);
    let all = many();
    let (first, second) = all.split_at(1_000);
    for files in [
        vec![file("a.json", array(&many()))],
        vec![file("a.jsonl", lines)],
        vec![file("a.json", array(first)), file("b.json", array(second))],
    ] {
        let loaded = compiler(4).compile(&sources(files)).unwrap();
        assert_eq!(shown(&loaded.world.entities), shown(&expected));
    }
}

#[test]
fn problems_of_large_files_name_their_lines_in_the_order_of_the_files() {
    let mut entities = many();
    entities[1_000]["attrs"]["odd"] = json!(1);
    entities[1_500]["attrs"]["level"] = json!("x");
    entities[1_700] = entities[50].clone();
    entities[1_800]["parents"] = json!([{"type": "Mandate::Team", "id": "gone"}]);
    entities[1_900]["attrs"]["next"] = json!({"type": "Mandate::User", "id": "gone"});
    let broken = array(&entities).replace("\n]\n", ",\n{}}\n");
    let files = vec![
        file("a.json", array(&entities)),
        file("b.json", "{}"),
        file("c.jsonl", "\n"),
        file("d.json", broken),
    ];
    let report = compiler(3).compile(&sources(files)).unwrap_err();
    let texts: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    let expected = [
        ("a.json:1002: ", "odd"),
        ("a.json:1502: ", "level"),
        ("a.json:1702: ", "given twice, first at a.json:52"),
        ("b.json: ", "invalid type: map, expected a sequence"),
        ("c.jsonl: ", "holds no entity"),
        ("d.json:2: ", "given twice, first at a.json:2"),
    ];
    for (text, (place, saying)) in texts.iter().zip(expected) {
        assert!(text.starts_with(place) && text.contains(saying), "{text} / {saying}");
    }
    let has =
        |place: &str, saying: &str| texts.iter().any(|text| text.starts_with(place) && text.contains(saying));
    assert!(has("entities: ", " more beyond these 1000"), "{texts:#?}");
    assert!(has("d.json: ", "expected"), "{texts:#?}");
    assert!(has("a.json:1802: ", "which is not stored"), "{texts:#?}");
    assert!(has("a.json:1902: ", "which is not stored"), "{texts:#?}");
    let mut shown = String::new();
    let problem =
        report.problems.iter().find(|problem| problem.to_string().starts_with("a.json:1502")).unwrap();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none())
        .render_report(&mut shown, problem)
        .unwrap();
    assert!(shown.contains("a.json:1502:1") && shown.contains("1502 |"), "{shown}");
}

#[test]
fn a_defect_while_reading_is_an_error_and_ends() {
    let text = array(&many());
    let texts = [Text { name: "a.json", text: &text }];
    let workers = Workers { threads: NonZeroUsize::new(3).unwrap() };
    assert!(each(&texts, &workers, |_| -> () { panic!("a defect") }, |_| ()).is_err());
}

#[test]
fn deep_wide_and_manifold_hierarchies_load_and_decide() {
    let chain = (0..=99).map(|at| team(at, &if at == 0 { vec![] } else { vec![(at - 1).to_string()] }));
    let wide = (0..10_000).map(|at| team(format!("w{at}"), &["99".to_owned()]));
    let below: Vec<String> = (0..10_000).map(|at| format!("w{at}")).collect();
    // A hundred levels: 0 to 98 in a chain, one of the ten thousand below, and the users.
    let wide = wide.map(|mut team| {
        team["parents"][0]["id"] = json!("98");
        team
    });
    let users = [user("all", 1, &below), user("one", 1, &["w7".to_owned()]), user("none", 1, &[])];
    let entities: Vec<_> = chain.chain(wide).chain(users).collect();
    let loaded = compiler(2).compile(&sources(vec![file("a.json", array(&entities))])).unwrap();
    let world = &loaded.world;
    assert_eq!(world.entities.ancestors(&uid("Mandate::User::\"all\"")).len(), 10_000 + 99);
    for (id, expected) in [("all", true), ("one", true), ("none", false)] {
        let named = |name: &str, id: &str| Reference::new(format!("Mandate::{name}"), id);
        let request = AuthzRequest::new(named("User", id), named("Action", "view"), named("Team", "w1"));
        let decision = authorize(world, &request, Now(0)).unwrap();
        assert_eq!(decision.effect == Effect::Allow, expected, "{id}");
    }
}
