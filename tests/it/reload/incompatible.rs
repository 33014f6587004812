//! Sets whose parts do not fit each other (F3): rejected as one.

use std::time::Duration;

use super::{PATIENCE, PERMIT, Pair, QUICK, entities, hide, hiding, start, status_where};
use crate::support::SMALL_SCHEMA;

/// A name, the files that are written, and the place that is named.
type Case = (&'static str, Vec<(&'static str, String)>, &'static str);

#[test]
fn a_set_that_does_not_fit_together_is_rejected_as_one() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    let policy = "policies/base.cedar";
    // What would turn every answer round if any part of the set were taken alone.
    let reversed = PERMIT.to_owned() + &hide("notes");
    let without_level = SMALL_SCHEMA.replace("entity User = { level: Long }", "entity User");
    let without_view = SMALL_SCHEMA.replace("action view", "action look");
    let forbid = "@id(\"look\")\nforbid (principal, action == Mandate::Action::\"view\", resource);\n";
    let odd = entities().to_string().replace("Mandate::User", "Mandate::Robot");
    let cases: [Case; 5] = [
        (
            "fails validation",
            vec![(
                policy,
                reversed.clone()
                    + "@id(\"v\")\npermit (principal, action, resource) when { principal.colour == 1 };\n",
            )],
            "base.cedar:6",
        ),
        (
            "a schema without an attribute that entities have",
            vec![(policy, reversed.clone()), ("schemas/small.cedarschema", without_level)],
            "base.json",
        ),
        (
            "a schema without the action of a forbid",
            vec![(policy, PERMIT.to_owned() + forbid), ("schemas/small.cedarschema", without_view)],
            "base.cedar:4",
        ),
        (
            "a forbid that can never apply",
            vec![(
                policy,
                PERMIT.to_owned()
                    + "@id(\"never\")\nforbid (principal is Mandate::Doc, action == Mandate::Action::\"view\", resource);\n",
            )],
            "base.cedar:3",
        ),
        ("entities of no declared type", vec![(policy, reversed), ("entities/base.json", odd)], "base.json"),
    ];
    for (name, files, place) in cases {
        let before: Vec<_> =
            files.iter().map(|(path, _)| (*path, std::fs::read(sources.path(path)).unwrap())).collect();
        files.iter().for_each(|(path, text)| sources.put(path, text));
        let status = status_where(&process, Duration::from_secs(2), |status| status["serving_stale"] == true);
        let told = status["last_load"]["problems"].to_string();
        assert!(told.contains(place), "{name}: no `{place}` in {told}");
        assert_eq!(status["generation"], pair.plan_hidden.as_str(), "{name}");
        before.iter().for_each(|(path, bytes)| sources.put(path, bytes));
        status_where(&process, PATIENCE, |status| status["serving_stale"] == false);
    }
    let answered = pair.truth().check(&load.finish());
    assert_eq!(answered.len(), 1, "nothing else was served: {answered:?}");
}
