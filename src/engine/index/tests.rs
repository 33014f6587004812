//! The law of keys that outlive an index: one joined from scopes that were told before, in whatever state, finds what one
//! made afresh finds.

use std::str::FromStr as _;

use cedar_policy::{EntityUid, Policy, PolicyId};
use proptest::prelude::*;

use super::*;

const TYPES: [&str; 2] = ["A", "B"];

fn scope(which: u8, name: &str, slot: &str) -> String {
    let ty = TYPES[usize::from(which % 2)];
    match which % 5 {
        0 => slot.to_owned(),
        1 => format!("{slot} is {ty}"),
        2 => format!("{slot} == {ty}::\"{name}\""),
        3 => format!("{slot} in {ty}::\"{name}\""),
        _ => format!("{slot} is {ty} in B::\"{name}\""),
    }
}

fn policies() -> impl Strategy<Value = Vec<Arc<CompiledPolicy>>> {
    let policy = (any::<u8>(), 0_u8..6, any::<u8>(), 0_u8..6, 0_u8..4).prop_map(|(p, pn, r, rn, a)| {
        let action = match a {
            0 => "action".to_owned(),
            1 => "action == Action::\"a\"".to_owned(),
            2 => "action in [Action::\"a\", Action::\"b\"]".to_owned(),
            _ => "action in Action::\"b\"".to_owned(),
        };
        let principal = scope(p, &pn.to_string(), "principal");
        let resource = scope(r, &rn.to_string(), "resource");
        let text = format!("permit ({principal}, {action}, {resource});");
        let policy = Policy::parse(Some(PolicyId::new("p")), text).unwrap();
        Arc::new(CompiledPolicy::new(&policy, ""))
    });
    proptest::collection::vec(policy, 0..60)
}

fn uid(text: &str) -> EntityUid {
    EntityUid::from_str(text).unwrap()
}

/// What an index finds for every question that can be asked of these names.
fn found(index: &ScopeIndex) -> Vec<Vec<u32>> {
    let parties: Vec<_> =
        TYPES.iter().flat_map(|ty| (0..6).map(move |id| uid(&format!("{ty}::\"{id}\"")))).collect();
    let mut found = Vec::new();
    for action in ["Action::\"a\"", "Action::\"b\"", "Action::\"c\""].map(uid) {
        for (principal, resource) in
            parties.iter().flat_map(|one| parties.iter().map(move |other| (one, other)))
        {
            let principal = index.principal_keys(principal, []);
            let resource = index.resource_keys(resource, []);
            found.push(index.candidates(&principal, (&action, None), &resource));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_of_scopes_told_before_is_one_made_afresh(
        parts in proptest::collection::vec(policies(), 1..5),
        joined in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..6),
    ) {
        // Two copies of the keys go different ways; scopes are told again wherever they do not mean the same.
        let mut ways: [Arc<ScopeKeys>; 2] = [Arc::default(), Arc::default()];
        ways[1] = Arc::clone(&ways[0]);
        let mut told: Vec<Option<Scopes>> = vec![None; parts.len()];
        let mut used: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for (part, way) in joined {
            let (part, way) = (part.index(parts.len()), usize::from(way));
            used[way].push(part);
            let mut first = 0;
            let mut scopes = Vec::new();
            for part in &used[way] {
                let known = told[*part].clone().filter(|scopes| ways[way].means(scopes));
                let policies = parts[*part].iter().map(|policy| &**policy);
                let known = known.unwrap_or_else(|| ScopeKeys::scopes(&mut ways[way], policies));
                told[*part] = Some(known.clone());
                scopes.push((first, known));
                first += u32::try_from(parts[*part].len()).unwrap();
            }
            let index = ScopeIndex::joined(
                Arc::clone(&ways[way]),
                scopes.iter().map(|(first, scopes)| (*first, scopes)),
            );
            let all: Vec<_> = used[way].iter().flat_map(|part| parts[*part].iter().cloned()).collect();
            prop_assert_eq!(found(&index), found(&ScopeIndex::of(&all)));
        }
    }
}

#[test]
fn keys_of_policies_that_are_gone_do_not_pile_up() {
    let mut keys = Arc::default();
    let policy = |id: usize| {
        let text = format!("permit (principal == A::\"{id}\", action, resource);");
        CompiledPolicy::new(&Policy::parse(Some(PolicyId::new("p")), text).unwrap(), "")
    };
    for id in 0..2_000 {
        ScopeKeys::scopes(&mut keys, [&policy(id)]);
    }
    assert!(keys.is_outgrown(10) && !keys.is_outgrown(2_000));
}
