//! Prepared policies keep what their originals say.

use cedar_policy::{Context, Entities, EntityUid, PolicyId, PolicySet, Request, SlotId};
use cedar_policy_core::ast;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use super::policy::ScopePart;
use super::{CompiledPolicy, PolicyEffect, walk};

/// Policies put together again evaluate as the originals do, down to the words of errors.
pub(in crate::engine) fn check_rebuilt(policies: &PolicySet, entities: &Entities, request: &Request) {
    let evaluator = Evaluator::new(request.as_ref().clone(), entities.as_ref(), Extensions::all_available());
    let told = |policy: &ast::Policy| evaluator.evaluate(policy).map_err(|error| error.to_string());
    for policy in policies.policies() {
        let rebuilt = CompiledPolicy::new(policy, "").to_cedar();
        assert_eq!((rebuilt.id(), rebuilt.effect()), (policy.as_ref().id(), policy.as_ref().effect()));
        assert_eq!(told(&rebuilt), told(policy.as_ref()), "{policy}");
    }
}

fn entity(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

fn world() -> Entities {
    let entities = serde_json::json!([
        {"uid": {"type": "U", "id": "u0"}, "attrs": {"level": 1}, "parents": []},
        {"uid": {"type": "U", "id": "u1"}, "attrs": {"level": 2}, "parents": []},
        {"uid": {"type": "R", "id": "r0"}, "attrs": {}, "parents": [{"type": "G", "id": "g2"}]},
    ]);
    Entities::from_json_value(entities, None).unwrap()
}

const LINKED: &str = r#"@id("t") forbid(principal == ?principal, action, resource in ?resource)
    when { principal.level == 1 && context.count } unless { context  has
    flag };"#;

fn linked() -> PolicySet {
    let mut policies: PolicySet = LINKED.parse().unwrap();
    let template = policies.templates().next().unwrap().id().clone();
    for (id, principal, resource) in [("l0", "u0", "g2"), ("l1", "u1", "g2"), ("l2", "u0", "g1")] {
        let slots =
            [(SlotId::principal(), entity("U", principal)), (SlotId::resource(), entity("G", resource))];
        policies.link(template.clone(), PolicyId::new(id), slots.into()).unwrap();
    }
    policies
}

#[test]
fn links_and_what_is_not_a_boolean_are_put_together_again() {
    for (principal, resource) in [("u0", "r0"), ("u1", "r0"), ("u0", "r1"), ("u2", "r2")] {
        for context in
            [serde_json::json!({"count": true}), serde_json::json!({"count": 1}), serde_json::json!({})]
        {
            let context = Context::from_json_value(context, None).unwrap();
            let (p, a, r) = (entity("U", principal), entity("Action", "a0"), entity("R", resource));
            check_rebuilt(&linked(), &world(), &Request::new(p, a, r, context, None).unwrap());
        }
    }
}

#[test]
fn what_a_link_fills_in_is_among_what_it_names() {
    let policies = linked();
    let link = CompiledPolicy::new(policies.policy(&PolicyId::new("l0")).unwrap(), "");
    let named: Vec<_> = walk::literals(&link).iter().map(ToString::to_string).collect();
    assert_eq!(named, ["G::\"g2\"", "U::\"u0\""]);
    assert_eq!(link.scope_text(ScopePart::Principal), "principal == U::\"u0\"");
}

#[test]
fn conditions_read_as_they_were_written() {
    let policies = linked();
    let compiled = CompiledPolicy::new(policies.policy(&PolicyId::new("l1")).unwrap(), "");
    let texts = |policy: &CompiledPolicy| {
        policy.conditions.iter().map(|part| policy.condition_text(part)).collect::<Vec<_>>()
    };
    assert_eq!(texts(&compiled), ["principal.level == 1", "context.count", "unless { context has flag }"]);
    assert_eq!(&**compiled.text(), LINKED);
    // Among other policies, the text before a policy is not its own.
    let several = "permit(principal, action, resource);\n forbid(principal, action, resource) when { 1  < 2 && (3\n< 4) };";
    let several: PolicySet = several.parse().unwrap();
    let second = several
        .policies()
        .map(|policy| CompiledPolicy::new(policy, ""))
        .find(|policy| policy.effect == PolicyEffect::Forbid)
        .unwrap();
    assert_eq!(texts(&second), ["1 < 2", "3 < 4"]);
    assert!(second.text().starts_with("forbid("), "{}", second.text());
}
