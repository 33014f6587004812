//! How far common types unfold.
//!
//! A name costs a few bytes and stands for a whole type: twenty lines that each use the one before twice unfold to a
//! million attributes, and a chain of names escapes the limit on nesting in the text.

use std::collections::HashMap;

use serde_json::Value;

use super::schema::Fragment;
use crate::engine::guard::{MAX_TYPE_NODES, MAX_VALUE_DEPTH};
use crate::engine::problem::{Problem, Report};

/// Size and depth of a type, unfolded.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    nodes: usize,
    depth: usize,
}

/// Most types reported.
const MAX_REPORTED: usize = 10;

fn fits(extent: Option<&Extent>) -> bool {
    extent.is_some_and(|extent| extent.nodes <= MAX_TYPE_NODES && extent.depth <= MAX_VALUE_DEPTH)
}

/// Reports common types that unfold too far; false if there is one. Cycles are left to Cedar, which names them.
pub(super) fn check_common_types(fragments: &[Fragment], report: &mut Report) -> bool {
    let mut types: HashMap<&str, (&Fragment, &Value)> = HashMap::new();
    for fragment in fragments {
        for definition in fragment.json.as_object().into_iter().flat_map(|namespaces| namespaces.values()) {
            let common = definition.get("commonTypes").and_then(Value::as_object);
            types.extend(common.into_iter().flatten().map(|(name, ty)| (name.as_str(), (fragment, ty))));
        }
    }
    let mut known: HashMap<&str, Extent> = HashMap::new();
    let mut sound = true;
    // Each round settles the types whose parts are settled: as many rounds as the longest chain, and no recursion.
    for _ in 0..=MAX_VALUE_DEPTH {
        let settled: Vec<_> = types
            .iter()
            .filter(|(name, _)| !known.contains_key(**name))
            .filter_map(|(name, (_, ty))| Some((*name, extent(ty, &types, &known)?)))
            .collect();
        known.extend(settled);
    }
    // A few suffice to say what is wrong.
    for (name, (fragment, _)) in types.iter().filter(|(name, _)| !fits(known.get(**name))).take(MAX_REPORTED)
    {
        if !is_cyclic(name, &types, &known) {
            let message = format!(
                "common type `{name}` unfolds to more than {MAX_TYPE_NODES} parts or {MAX_VALUE_DEPTH} levels"
            );
            report.push(Problem::error(&fragment.place, message));
            sound = false;
        }
    }
    sound
}

/// The extent of a declared type; none while a common type it names is not settled.
fn extent<'a>(
    ty: &'a Value,
    types: &HashMap<&'a str, (&'a Fragment, &'a Value)>,
    known: &HashMap<&str, Extent>,
) -> Option<Extent> {
    let mut total = Extent::default();
    let mut pending = vec![(ty, 1_usize)];
    while let Some((value, depth)) = pending.pop() {
        let used = named(value, types).map(|name| known.get(name).copied().ok_or(())).transpose().ok()?;
        let used = used.unwrap_or_default();
        total.nodes = total.nodes.saturating_add(1).saturating_add(used.nodes);
        total.depth = total.depth.max(depth + used.depth);
        pending.extend(value.get("element").map(|element| (element, depth + 1)));
        let attributes = value.get("attributes").and_then(Value::as_object).into_iter().flatten();
        pending.extend(attributes.map(|(_, attribute)| (attribute, depth + 1)));
    }
    Some(total)
}

/// The common type a declaration names, if it names one.
fn named<'a>(value: &'a Value, types: &HashMap<&'a str, (&'a Fragment, &'a Value)>) -> Option<&'a str> {
    let ty = value.get("type").and_then(Value::as_str)?;
    let name = if ty == "EntityOrCommon" { value.get("name").and_then(Value::as_str)? } else { ty };
    let base = name.rsplit("::").next().unwrap_or(name);
    types.contains_key(base).then_some(base)
}

/// Whether a type that never settled is in a cycle, or leads into one, rather than at the end of a long chain.
fn is_cyclic(name: &str, types: &HashMap<&str, (&Fragment, &Value)>, known: &HashMap<&str, Extent>) -> bool {
    if known.contains_key(name) {
        return false;
    }
    let mut seen = std::collections::HashSet::new();
    let mut pending = vec![name];
    while let Some(current) = pending.pop() {
        if !seen.insert(current) {
            continue;
        }
        let Some((_, ty)) = types.get(current) else { continue };
        let mut parts = vec![*ty];
        while let Some(value) = parts.pop() {
            if let Some(used) = named(value, types) {
                if used == name {
                    return true;
                }
                pending.push(used);
            }
            parts.extend(value.get("element"));
            parts.extend(
                value.get("attributes").and_then(Value::as_object).into_iter().flat_map(|map| map.values()),
            );
        }
    }
    false
}
