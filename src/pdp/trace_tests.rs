//! How often a trace of agents' calls is answered from memory, and what memory takes of the machine.

use cedar_policy::EntityUid;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};

use super::tests::{notes, pdp_over, reads_note, size};
use super::*;
use crate::engine::cedar::CedarValue;
use crate::engine::compile::{Options, compile};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::delegation::scene_for_tests::{NOW, uid};
use crate::engine::entities::{EntityStore, StoredEntity};
use crate::engine::request::AuthzRequest;
use crate::engine::world::World;
use crate::store::directory::{Folders, read};

/// Tools that each agent calls.
const TOOLS: usize = 12;

/// The entity, with other values of these attributes, and without those of which none is given.
fn like(model: &StoredEntity, changed: &[(&str, Option<CedarValue>)]) -> StoredEntity {
    let kept = model.attributes().iter().filter(|(name, _)| changed.iter().all(|(other, _)| name != other));
    let changed = changed.iter().filter_map(|(name, value)| Some(((*name).into(), value.clone()?)));
    StoredEntity::new(model.parents().to_vec(), kept.cloned().chain(changed), model.tags().to_vec())
}

/// The shipped world, with so many more agents, each sent by Ana, and tools like one that she may use.
fn world(agents: usize) -> World {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |name: &str| root.join(name);
    let folders =
        Folders { policies: folder("policies"), schemas: folder("schemas"), entities: folder("entities") };
    let shipped = compile(&read(&folders).unwrap(), &Options::default()).unwrap().world;
    let model = |kind: &str, id: &str| shipped.entities.get(&uid(kind, id)).unwrap().clone();
    let (agent, grant, tool) =
        (model("Agent", "planner"), model("Delegation", "ana-planner"), model("Tool", "github/list_issues"));
    let mut entities: EntityStore = shipped.entities.clone();
    for number in 0..agents {
        let name: EntityUid = uid("Agent", &format!("agent-{number}"));
        let ana = CedarValue::entity(&uid("User", "ana"));
        let sent = [
            ("from_user", Some(ana)),
            ("from_agent", None),
            ("parent", None),
            ("to", Some(CedarValue::entity(&name))),
        ];
        entities.put(uid("Delegation", &format!("sent-{number}")), like(&grant, &sent)).unwrap();
        entities.put(name, like(&agent, &[])).unwrap();
    }
    for number in 0..TOOLS {
        entities.put(uid("Tool", &format!("tool-{number}")), like(&tool, &[])).unwrap();
    }
    shipped.with_entities(entities)
}

fn text(text: impl Into<String>) -> Datum {
    Datum::String(text.into())
}

/// An agent's call of a tool, in a session whose id nobody has seen before.
fn call(agent: usize, tool: usize, trace: u64) -> AuthzRequest {
    let named = |kind: &str, id: String| Reference::new(format!("Mandate::{kind}"), id);
    let mut question = AuthzRequest::new(
        named("Agent", format!("agent-{agent}")),
        Reference::new("", "call_tool"),
        named("Tool", format!("tool-{tool}")),
    );
    let texts = [("purpose", text("p")), ("id", text(format!("{trace:032x}")))];
    let flags = [("attended", true), ("untrusted", false)].map(|(name, flag)| (name, Datum::Bool(flag)));
    let numbers = [("read_level", 0), ("calls", 1), ("spent_cents", 0)]
        .map(|(name, number)| (name, Datum::Long(number)));
    let session = texts.into_iter().chain(flags).chain(numbers);
    let session = session.map(|(name, value)| (name.to_owned(), value)).collect();
    let digest = "sha256:b602e5e96aa6d2677ed07ca875ae38986e658d94c671645024b205d9f04320a1";
    question.context = vec![
        ("session".to_owned(), Datum::Record(session)),
        ("digest".to_owned(), text(digest)),
        ("touches".to_owned(), Datum::List(Vec::new())),
    ];
    question.arguments = Some(Datum::Record(Vec::new()));
    question.delegations = vec![named("Delegation", format!("sent-{agent}"))];
    question
}

/// Asks so often, and says how many of a thousand answers came from memory. An entity that nobody looks at is written after
/// so many requests each time.
fn hits_of_thousand(
    pdp: &Pdp,
    agents: usize,
    requests: usize,
    write_every: usize,
    dice: &mut StdRng,
) -> usize {
    let pairs = agents * TOOLS;
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
    let zipf = Zipf::new(pairs as f64, 1.0).unwrap();
    let mut hits = 0;
    for asked in 0..requests {
        if asked % write_every == write_every - 1 {
            let noise = uid("User", &format!("noise-{}", asked % 100));
            let active = [("active", Some(CedarValue::boolean(dice.random())))];
            let put = like(pdp.current().world.entities.get(&uid("User", "bea")).unwrap(), &active);
            pdp.write(|entities| entities.put(noise, put).unwrap());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let pair = zipf.sample(dice) as usize - 1;
        let question = call(pair / TOOLS, pair % TOOLS, dice.random());
        let asked = Asked::from(question);
        let (decision, part) = pdp.decide_hops(&asked, &pdp.current(), Now(NOW)).unwrap();
        assert_eq!(decision.effect, Effect::Allow, "{:?}", decision.denial);
        hits += usize::from(part == CacheUse::Hit);
    }
    hits * 1_000 / requests
}

#[test]
fn a_trace_of_agents_is_answered_from_memory_though_every_request_has_an_id_of_its_own() {
    let (agents, warm_up) = (size(100, 2_000), size(10_000, 1_000_000));
    let pdp = pdp_over(world(agents));
    let mut dice = StdRng::seed_from_u64(7);
    hits_of_thousand(&pdp, agents, warm_up, usize::MAX, &mut dice);
    let measured = size(4_000, 200_000);
    let quiet = hits_of_thousand(&pdp, agents, measured, usize::MAX, &mut dice);
    // As many as a hundred a second are to some ten thousand requests.
    let busy = hits_of_thousand(&pdp, agents, measured, 100, &mut dice);
    println!("of 1,000 answers {quiet} came from memory, and {busy} while others wrote");
    assert!(quiet >= 950 && busy >= 900, "{quiet} of 1,000, and {busy} while others wrote");
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn memory_is_bounded_and_a_scan_does_not_push_out_what_is_asked_often() {
    let (keys, generations) = (size(60_000, 10_000_000), size(6, 1_000));
    let bytes = size(4, 64) * 1024 * 1024;
    let store = crate::store::Store::remembering(notes(), Some(u64::try_from(bytes).unwrap()));
    let pdp = Pdp { store: Arc::new(store), ..pdp_over(notes()) };
    let ask = |level: usize| {
        let asked = Asked::from(reads_note(i64::try_from(level).unwrap()));
        pdp.decide_hops(&asked, &pdp.current(), Now(NOW)).unwrap().1
    };
    let before = resident();
    let (mut most, mut often) = (0, 0);
    for key in 1..=keys {
        ask(key);
        if key.is_multiple_of(10) {
            ask(0);
        }
        if key.is_multiple_of(keys / generations) {
            often += usize::from(ask(0) == CacheUse::Hit);
            let cache = pdp.current().cache.clone().unwrap();
            assert!(cache.size().bytes <= u64::try_from(bytes).unwrap(), "{:?}", cache.size());
            drop(cache);
            most = most.max(resident());
            let World { generation, entities, .. } = &pdp.current().world;
            pdp.store.publish(World::new(Arc::new(generation.as_ref().clone()), entities.clone()));
        }
    }
    println!(
        "{} bytes more than before, of {bytes}; {often} of {generations} times",
        most.saturating_sub(before)
    );
    assert_eq!(often, generations, "what is asked often stays");
    // The tests beside this one take memory too, where they run in the same process.
    if std::env::var_os("MANDATE_SOAK").is_some() {
        assert!(most - before <= bytes + bytes / 5, "{} bytes more than before, of {bytes}", most - before);
    }
}
