use std::sync::Arc;

use cedar_policy::{EntityUid, Policy};

use super::cedar::CompiledPolicy;
use super::decision::{Decision, Denial, Effect, HopOutcome, ReasonCode};
use super::delegation::Role;
use super::validity::Validity;

const PLAIN: &str = "permit(principal, action, resource);";
const AUDITED: &str = "@audit(\"required\") permit(principal, action, resource);";

fn policies(texts: &[&str]) -> Vec<Arc<CompiledPolicy>> {
    let compiled = |(number, text): (usize, &&str)| {
        let policy =
            Policy::parse(Some(cedar_policy::PolicyId::new(format!("p{number}{text}"))), text).unwrap();
        Arc::new(CompiledPolicy::new(&policy, ""))
    };
    texts.iter().enumerate().map(compiled).collect()
}

fn who() -> (EntityUid, EntityUid) {
    (r#"User::"ana""#.parse().unwrap(), r#"Action::"read""#.parse().unwrap())
}

fn decided(effect: Effect, texts: &[&str]) -> Decision {
    let (principal, action) = who();
    let denial = Denial::new(ReasonCode::NoPermit, "");
    let denied = Decision::denied(principal, action, denial);
    let denial = denied.denial.clone().filter(|_| effect == Effect::Deny);
    Decision { effect, denial, determining: policies(texts), validity: Validity::ALWAYS, ..denied }
}

fn chain(hops: Vec<Decision>) -> Decision {
    let (principal, action) = who();
    let outcome = |(hop, decision)| HopOutcome { hop, role: Role::Delegator, grant: None, decision };
    Decision::of_hops(principal, action, hops.into_iter().enumerate().map(outcome).collect())
}

#[test]
fn an_allow_needs_a_record_where_one_of_its_permits_says_so() {
    assert!(!decided(Effect::Allow, &[PLAIN]).needs_record());
    assert!(decided(Effect::Allow, &[AUDITED]).needs_record());
    assert!(decided(Effect::Allow, &[PLAIN, AUDITED]).needs_record());
    assert!(!decided(Effect::Deny, &[]).needs_record());
    assert!(!decided(Effect::Deny, &[AUDITED]).needs_record(), "whatever determines it");
}

#[test]
fn along_a_chain_any_hop_asks_for_it() {
    let allow = |text| decided(Effect::Allow, &[text]);
    assert!(!chain(vec![allow(PLAIN), allow(PLAIN)]).needs_record());
    for audited in 0..3 {
        let hops = (0..3).map(|hop| allow(if hop == audited { AUDITED } else { PLAIN })).collect();
        assert!(chain(hops).needs_record(), "hop {audited}");
    }
    let denied = chain(vec![allow(AUDITED), decided(Effect::Deny, &[])]);
    assert_eq!((denied.effect, denied.needs_record()), (Effect::Deny, false));
}
