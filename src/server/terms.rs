//! On which terms a decision was given, as the wires carry it: obligations, advice, and until when it holds.

use serde_json::json;

use super::{pb, structs};
use crate::engine::authorize::Now;
use crate::engine::cedar::CompiledPolicy;
use crate::engine::convert::datetime;
use crate::engine::datum::Datum;
use crate::engine::decision::Decision;
use crate::engine::terms::Obligation;

/// Type of the advice that says for how many `seconds` an Allow may be reused.
pub const REUSE: &str = "mandate.reuse";

/// What whoever acts on the decision must do.
pub fn obligations(decision: &Decision) -> Vec<pb::Obligation> {
    let wire = |(_, Obligation { id, kind, properties }): (&CompiledPolicy, &Obligation)| pb::Obligation {
        id: id.to_string(),
        r#type: kind.to_string(),
        properties: Some(structs::of_members(properties)),
    };
    decision.obligations().map(wire).collect()
}

/// What whoever asked may do with the decision.
pub fn advice(decision: &Decision, now: Now) -> Vec<pb::Advice> {
    let reuse = decision.reuse_seconds(now).map(|seconds| pb::Advice {
        r#type: REUSE.to_owned(),
        properties: Some(structs::of_members(&[("seconds".to_owned(), number(seconds))])),
    });
    reuse.into_iter().collect()
}

fn number(seconds: u64) -> Datum {
    Datum::Long(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Until when the decision holds, if that is promised. What ends later than a timestamp can say is said to end with it.
pub fn valid_until(decision: &Decision, now: Now) -> Option<prost_types::Timestamp> {
    decision.validity.ends_after(now).map(|Now(millis)| {
        let millis = millis.min(LATEST_MILLIS);
        let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0);
        prost_types::Timestamp { seconds: millis.div_euclid(1000), nanos }
    })
}

/// 9999-12-31T23:59:59.999Z, the last that `google.protobuf.Timestamp` holds.
const LATEST_MILLIS: i64 = 253_402_300_799_999;

/// The same terms as members of AuthZEN's `context`; absent where there is nothing to say.
pub fn members(decision: &Decision, now: Now) -> Vec<(&'static str, serde_json::Value)> {
    let obligation = |(_, Obligation { id, kind, properties }): (&CompiledPolicy, &Obligation)| {
        let properties = Datum::Record(properties.clone()).to_json();
        json!({"id": id.as_str(), "type": kind.as_str(), "properties": properties})
    };
    let obligations: Vec<_> = decision.obligations().map(obligation).collect();
    let reuse = decision
        .reuse_seconds(now)
        .map(|seconds| json!([{"type": REUSE, "properties": {"seconds": seconds}}]));
    let until = decision.validity.ends_after(now);
    let until = until.and_then(|Now(millis)| datetime(millis.min(LATEST_MILLIS))).map(|text| json!(text));
    let obligations = (!obligations.is_empty()).then(|| json!(obligations));
    let members = [("obligations", obligations), ("advice", reuse), ("valid_until", until)];
    members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
