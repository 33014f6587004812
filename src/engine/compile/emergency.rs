//! Emergency forbids: policies that join whatever is served, and may only deny.

use cedar_policy::{Effect, Policy};

use super::origin::Origin;
use super::parsing::{in_order, parse};
use super::policies::LoadedPolicies;
use super::{base_name, check_policies, place};
use crate::engine::cedar::walk;
use crate::engine::problem::{Place, Report, SourceFile};

/// What the ids of emergency forbids begin with, and no other policy's may.
pub const EMERGENCY: &str = "emergency:";

impl LoadedPolicies {
    /// Adds a file of forbids. What else it holds is refused: an emergency must not grant.
    pub(super) fn add_emergency(&mut self, file: &SourceFile, report: &mut Report) {
        let Some(place) = place(file, report) else { return };
        let checked = check_policies(&place, report);
        let Some(set) = checked.and_then(|_spans| parse(&place, self.strictness, report)) else { return };
        for template in set.templates() {
            let origin = Origin { place: place.clone(), offset: walk::template_offset(template) };
            let refused = origin.error("an emergency file holds forbids only; this is a template".to_owned());
            report.push(refused.help("write the forbid without slots"));
        }
        for (number, (offset, policy)) in (1_usize..).zip(in_order(&set)) {
            let origin = Origin { place: place.clone(), offset };
            self.add_forbid(policy, number, origin, report);
        }
    }

    fn add_forbid(&mut self, policy: &Policy, number: usize, origin: Origin, report: &mut Report) {
        if policy.effect() != Effect::Forbid {
            let refused = origin.error("an emergency file holds forbids only; this is a permit".to_owned());
            return report.push(refused.help("what permits belongs among the policies"));
        }
        if !origin.check_depth(walk::depth(policy), report) {
            return;
        }
        origin.check_annotations(&walk::heading(policy), report);
        let number = number.to_string();
        let id = policy.annotation("id").filter(|id| !id.is_empty()).unwrap_or(&number);
        let id = format!("{}{id}", prefix(&origin.place));
        if let Some(id) = self.unused(&id, &origin, report) {
            self.add(policy.new_id(id), origin, report);
        }
    }
}

/// What the ids of a file's forbids begin with. It names the file and ends at the first `#`, so that forbids of two files
/// never share an id; within the file comes the `@id`, or a number: whoever writes a forbid in a hurry should not fail
/// for want of a name.
fn prefix(place: &Place) -> String {
    let name = base_name(place.name()).replace('%', "%25").replace('#', "%23");
    format!("{EMERGENCY}{name}#")
}

/// Whether a file would be accepted, whatever schema it meets: it parses, and only forbids.
pub fn is_emergency(file: &SourceFile) -> bool {
    let mut report = Report::default();
    LoadedPolicies::default().add_emergency(file, &mut report);
    !report.rejects()
}
