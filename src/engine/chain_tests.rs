//! What policies see of a chain and of the time.

use std::path::Path;
use std::sync::LazyLock;

use super::cedar::CompiledPolicy;
use super::compile::{Options, compile};
use super::convert::{Converter, Form};
use super::delegation::{Hop, Role};
use super::world::World;
use crate::store::directory::{self, Folders};

static SHIPPED: LazyLock<World> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    };
    compile(&directory::read(&folders).unwrap(), &Options::default()).unwrap().world
});

#[test]
fn a_chain_built_directly_is_the_one_the_schema_would_convert() {
    let catalog = &SHIPPED.generation.catalog;
    let uid = |text: &str| text.parse().unwrap();
    let hop = |role, user, agents: &[&str], grants: &[&str], length| Hop {
        role,
        hop: length,
        length,
        user,
        agents: agents.iter().map(|text| uid(text)).collect(),
        grants: grants.iter().map(|text| uid(text)).collect(),
        purposes: vec!["look \"around\"".into(), "".into()],
    };
    let (first, second) = (r#"Mandate::Agent::"a""#, r#"Mandate::Agent::"b\0""#);
    let grant = r#"Mandate::Delegation::"g""#;
    let hops = [
        hop(Role::Itself, Some(uid(r#"Mandate::User::"ana""#)), &[], &[], 0),
        hop(Role::Autonomous, None, &[first], &[], 0),
        hop(Role::Actor, Some(uid(r#"Mandate::User::"ana""#)), &[first, second], &[grant], 2),
        hop(Role::Delegator, None, &[], &[grant, grant], 1),
    ];
    let mut compared = 0;
    for action in catalog.actions() {
        let Some(chain) = &action.delegation else { continue };
        for hop in &hops {
            let mut converter = Converter::new(catalog, Form::Typed, "context.delegation");
            let converted = converter.record(&hop.written(chain), chain).unwrap();
            assert_eq!(hop.record(chain), converted);
            let mut referred = converter.references;
            // Conversion leaves out members of closed sets, which the shipped roles are.
            let mut entities = hop.members().collect::<Vec<_>>();
            entities.retain(|uid| uid.type_name().basename() != "Role");
            referred.sort();
            entities.sort();
            assert_eq!(entities, referred);
            compared += 1;
        }
    }
    assert!(compared >= 4 * 10, "only {compared} were compared");
}

#[test]
fn whatever_may_read_the_time_is_known_to() {
    let timed = |condition: &str| {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policy = cedar_policy::Policy::parse(None, text).unwrap();
        CompiledPolicy::new(&policy, "").reads_now
    };
    for condition in [
        "context.now < datetime(\"2030-01-01\")",
        "context[\"now\"] == context.at",
        "principal.active && !(context.now > principal.expires)",
        "context has now",
        "context has now.x",
        "context.session has x && context.now.toTime() < duration(\"8h\")",
        "(if principal.active then context else context).now == context.at",
        "{x: context}.x.now == context.at",
        "[context].contains(context)",
        "context == {now: context.at}",
        "principal.seen.contains(context)",
    ] {
        assert!(timed(condition), "{condition}");
    }
    for condition in [
        "context.session.now == 1",
        "principal.now == 1 && resource.now == 2",
        "context has session && context.session.calls < 3",
        "context has session.now",
        "context.nowhere || context[\"now \"]",
        "principal.name like \"*context.now*\"",
    ] {
        assert!(!timed(condition), "{condition}");
    }
}

#[test]
fn only_the_shipped_policies_that_name_the_time_read_it() {
    let policies = SHIPPED.generation.policies.iter();
    let timed: Vec<_> = policies.filter(|policy| policy.reads_now).map(|policy| policy.id.as_str()).collect();
    assert_eq!(timed, ["grant-ceiling", "agent-in-good-standing"]);
}
