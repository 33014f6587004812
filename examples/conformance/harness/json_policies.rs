//! A policy set in Cedar's JSON form, as the text and links that are loaded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cedar_policy::PolicySet;
use serde_json::{Value, json};

use super::Attempt;

/// The policies with their ids as `@id`, and the links of their templates.
///
/// # Errors
/// It is no policy set, or a policy's own `@id` says something else than its id.
pub(super) fn text_and_links(set: Value) -> Attempt<(String, Option<String>)> {
    let set = PolicySet::from_json_value(set)?;
    let mut text = String::new();
    let mut links = Vec::new();
    for policy in set.policies() {
        let id: &str = policy.id().as_ref();
        match (policy.template_id(), policy.template_links()) {
            (Some(template), Some(values)) => {
                let arguments: BTreeMap<_, _> =
                    values.iter().map(|(slot, uid)| (slot.to_string(), uid.to_string())).collect();
                links.push(
                    json!({"template_id": AsRef::<str>::as_ref(template), "link_id": id, "args": arguments}),
                );
            }
            _ => add(&mut text, id, policy.annotation("id"), policy.to_cedar())?,
        }
    }
    for template in set.templates() {
        add(&mut text, template.id().as_ref(), template.annotation("id"), Some(template.to_cedar()))?;
    }
    Ok((text, (!links.is_empty()).then(|| Value::from(links).to_string())))
}

fn add(text: &mut String, id: &str, annotated: Option<&str>, cedar: Option<String>) -> Attempt<()> {
    let cedar = cedar.ok_or_else(|| format!("policy `{id}` cannot be written in Cedar's syntax"))?;
    match annotated {
        None => writeln!(text, "@id(\"{}\")\n{cedar}", id.escape_debug())?,
        Some(annotated) if annotated == id => writeln!(text, "{cedar}")?,
        Some(other) => return Err(format!("policy `{id}` is annotated `@id(\"{other}\")`").into()),
    }
    Ok(())
}
