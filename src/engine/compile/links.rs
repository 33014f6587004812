//! Links of templates, from JSON.

use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, SlotId};
use serde::Deserialize;

use super::origin::Origin;
use super::place;
use super::policies::{LoadedPolicies, Member, reserved};
use crate::engine::datum::Datum;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

impl LoadedPolicies {
    pub(super) fn add_links(&mut self, file: &SourceFile, report: &mut Report) {
        let Some(place) = place(file, report) else { return };
        // A second member of the same name is an error before it can win.
        let parsed = serde_json::from_str::<Datum>(place.text());
        match parsed.and_then(|_unique| serde_json::from_str::<Vec<Link>>(place.text())) {
            Ok(links) => {
                for link in &links {
                    self.add_link(link, &place, report);
                }
            }
            Err(error) => report.push(Problem::error(&place, error.to_string()).help(
                "a link is {\"template_id\": …, \"link_id\": …, \"args\": {\"?principal\": \"Type::\\\"id\\\"\"}}",
            )),
        }
    }

    fn add_link(&mut self, link: &Link, place: &Place, report: &mut Report) {
        let offset = place.text().find(&format!("\"{}\"", link.link_id)).unwrap_or(0);
        let origin = Origin { place: place.clone(), offset };
        let problem = |message: String| Problem::error(place, message).at(origin.line_span(), None);
        let id = PolicyId::new(&link.link_id);
        if link.link_id.is_empty() || self.is_used(&id) {
            return report.push(problem(format!("link id `{}` is empty or used twice", link.link_id)));
        }
        if self.is_reserved(&link.link_id) {
            return report.push(problem(reserved(&link.link_id)));
        }
        let values = match link.values() {
            Ok(values) => values,
            Err(message) => return report.push(problem(message)),
        };
        match self.link(PolicyId::new(&link.template_id), id.clone(), values) {
            Ok(()) => {
                self.order.push(Member::Joint(id.clone()));
                self.place(&id, origin);
            }
            Err(message) => report.push(problem(format!("link `{}`: {message}", link.link_id))),
        }
    }

    fn link(
        &mut self,
        template: PolicyId,
        id: PolicyId,
        values: HashMap<SlotId, EntityUid>,
    ) -> Result<(), String> {
        let linked = if self.is_used(&template) && self.joint.template(&template).is_none() {
            // Cedar words that a policy is no template, of any policy of that name.
            let any = Policy::parse(Some(template.clone()), "permit (principal, action, resource);");
            match PolicySet::from_policies(any) {
                Ok(mut set) => set.link(template, id, values),
                Err(error) => Err(error),
            }
        } else {
            self.joint.link(template, id, values)
        };
        linked.map_err(|error| {
            let cause = std::error::Error::source(&error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        })
    }

    /// A forbid that is never linked forbids nothing.
    pub(super) fn check_unlinked(&self, report: &mut Report) {
        for template in self.joint.templates() {
            let linked = self
                .joint
                .get_linked_policies(template.id().clone())
                .is_ok_and(|mut links| links.next().is_some());
            let Some(origin) = Some(template.id()).filter(|_| !linked).and_then(|id| self.origin(id)) else {
                continue;
            };
            let message = format!("template `{}` has no link, so it decides nothing", template.id());
            let problem = match template.effect() {
                cedar_policy::Effect::Forbid => Problem::error(&origin.place, message),
                cedar_policy::Effect::Permit => Problem::warning(&origin.place, message),
            };
            report.push(problem.at(origin.line_span(), None).help("link it in a `*.links.json` file"));
        }
    }
}

/// One link of a template, in the form of Cedar's own command line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    template_id: String,
    link_id: String,
    args: HashMap<String, String>,
}

impl Link {
    fn values(&self) -> Result<HashMap<SlotId, EntityUid>, String> {
        let values = self.args.iter().map(|(slot, uid)| {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                other => return Err(format!("`{other}` is no slot; there are `?principal` and `?resource`")),
            };
            let uid = EntityUid::from_str(uid)
                .map_err(|_error| format!("`{uid}` is no entity; write `Type::\"id\"`"))?;
            Ok((slot, uid))
        });
        values.collect()
    }
}
