//! How far common types unfold.
//!
//! A name costs a few bytes and stands for a whole type: twenty lines that each use the one before twice unfold to a
//! million attributes, and a chain of names escapes the limit on nesting in the text.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::schema::Fragment;
use crate::engine::guard::{MAX_TYPE_NODES, MAX_VALUE_DEPTH};
use crate::engine::problem::{Problem, Report};

/// A common type: its namespace and name.
type Key<'a> = (&'a str, &'a str);
/// Where each is declared, and how.
type Types<'a> = HashMap<Key<'a>, (&'a Fragment, &'a Value)>;

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
    let mut types: Types<'_> = HashMap::new();
    for fragment in fragments {
        for (namespace, definition) in fragment.json.as_object().into_iter().flatten() {
            let common = definition.get("commonTypes").and_then(Value::as_object);
            let named = common.into_iter().flatten();
            types.extend(named.map(|(name, ty)| ((namespace.as_str(), name.as_str()), (fragment, ty))));
        }
    }
    let mut known: HashMap<Key<'_>, Extent> = HashMap::new();
    let mut sound = true;
    // Each round settles the types whose parts are settled: as many rounds as the longest chain, and no recursion.
    for _ in 0..=MAX_VALUE_DEPTH {
        let settled: Vec<_> = types
            .iter()
            .filter(|(key, _)| !known.contains_key(*key))
            .filter_map(|(key, (_, ty))| Some((*key, extent(key.0, ty, &types, &known)?)))
            .collect();
        known.extend(settled);
    }
    // A few suffice to say what is wrong.
    for (key, (fragment, _)) in types.iter().filter(|(key, _)| !fits(known.get(*key))).take(MAX_REPORTED) {
        let name = key.1;
        if !is_cyclic(*key, &types) {
            let message = format!(
                "common type `{name}` unfolds to more than {MAX_TYPE_NODES} parts or {MAX_VALUE_DEPTH} levels"
            );
            report.push(Problem::error(&fragment.place, message));
            sound = false;
        }
    }
    sound
}

/// The extent of a type declared in a namespace; none while a common type it names is not settled.
fn extent<'a>(
    namespace: &'a str,
    ty: &'a Value,
    types: &Types<'a>,
    known: &HashMap<Key<'a>, Extent>,
) -> Option<Extent> {
    let mut total = Extent::default();
    let mut pending = vec![(ty, 1_usize)];
    while let Some((value, depth)) = pending.pop() {
        let used = match named(namespace, value, types) {
            Some(key) => *known.get(&key)?,
            None => Extent::default(),
        };
        total.nodes = total.nodes.saturating_add(1).saturating_add(used.nodes);
        total.depth = total.depth.max(depth + used.depth);
        pending.extend(parts(value).map(|part| (part, depth + 1)));
    }
    Some(total)
}

/// What a declaration is made of.
fn parts(value: &Value) -> impl Iterator<Item = &Value> {
    let attributes = value.get("attributes").and_then(Value::as_object);
    value.get("element").into_iter().chain(attributes.into_iter().flat_map(|attributes| attributes.values()))
}

/// The common type a declaration names, if it names one: as it is written, or of its own namespace.
fn named<'a>(namespace: &'a str, value: &'a Value, types: &Types<'a>) -> Option<Key<'a>> {
    let ty = value.get("type").and_then(Value::as_str)?;
    let name = if ty == "EntityOrCommon" { value.get("name").and_then(Value::as_str)? } else { ty };
    let written = name.rsplit_once("::").unwrap_or(("", name));
    let candidates = [(namespace, name), written];
    candidates.into_iter().find_map(|key| types.get_key_value(&key).map(|(key, _)| *key))
}

/// Whether a type that never settled leads into a cycle, which Cedar reports, rather than to the end of a long chain.
fn is_cyclic<'a>(key: Key<'a>, types: &Types<'a>) -> bool {
    let mut seen = HashSet::new();
    let mut pending = vec![key];
    while let Some(current) = pending.pop() {
        if !seen.insert(current) {
            continue;
        }
        let Some((_, ty)) = types.get(&current) else { continue };
        let mut within = vec![*ty];
        while let Some(value) = within.pop() {
            if let Some(used) = named(current.0, value, types) {
                if used == key {
                    return true;
                }
                pending.push(used);
            }
            within.extend(parts(value));
        }
    }
    false
}
