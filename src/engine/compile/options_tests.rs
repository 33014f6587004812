//! What names a generation.

use super::{Options, content_hash};
use crate::engine::compile::Sources;
use crate::engine::generation::{PolicyIds, Strictness};

#[test]
fn options_that_are_served_name_a_generation_as_ever() {
    // What a derived `Debug` wrote before there was a strictness. A replica of an older build has the same.
    let shown = "Options { on_policy_error: Deny, domain: Domain { namespace: \"Mandate\", user: \"Mandate::User\", \
                 chain_required: [\"Mandate::Agent\"], autonomous: \"autonomous\", tool: \"Mandate::Tool\", \
                 call_tool: \"call_tool\" } }";
    assert_eq!(format!("{:?}", Options::default()), shown);
}

#[test]
fn what_asks_less_has_another_name() {
    let language = |ids| Options { strictness: Strictness::Language(ids), ..Options::default() };
    let all = [Options::default(), language(PolicyIds::Position), language(PolicyIds::Annotation)];
    let names = all.map(|options| content_hash(&Sources::default(), &options));
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}
