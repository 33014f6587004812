//! How far entities stand below their furthest ancestor, found without recursion.

use std::collections::HashMap;

use cedar_policy::EntityUid;

/// For every entity, the length of the longest path to an entity without parents. An entity in a cycle, or below one,
/// has none.
///
/// `parents` holds every entity, each with those of its parents that are keys too.
pub(super) fn heights(parents: &HashMap<EntityUid, Vec<EntityUid>>) -> HashMap<EntityUid, usize> {
    let mut children: HashMap<&EntityUid, Vec<&EntityUid>> = HashMap::new();
    let mut waiting: HashMap<&EntityUid, usize> = HashMap::new();
    for (uid, above) in parents {
        waiting.insert(uid, above.len());
        for parent in above {
            children.entry(parent).or_default().push(uid);
        }
    }
    // From the roots down: an entity is ready once all its parents are settled, so what is in a cycle never is.
    let mut ready: Vec<_> = waiting.iter().filter(|(_, left)| **left == 0).map(|(uid, _)| *uid).collect();
    let mut heights: HashMap<EntityUid, usize> = HashMap::new();
    while let Some(uid) = ready.pop() {
        let above = parents.get(uid).into_iter().flatten().filter_map(|parent| heights.get(parent)).max();
        heights.insert(uid.clone(), above.map_or(0, |above| above + 1));
        for child in children.get(uid).into_iter().flatten() {
            let left = waiting.entry(child).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.push(child);
            }
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(id: &str) -> EntityUid {
        format!("E::\"{id}\"").parse().unwrap()
    }

    fn graph(edges: &[(&str, &[&str])]) -> HashMap<EntityUid, Vec<EntityUid>> {
        edges.iter().map(|(id, parents)| (uid(id), parents.iter().map(|id| uid(id)).collect())).collect()
    }

    #[test]
    fn the_longest_path_counts() {
        let heights = heights(&graph(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"]), ("d", &[])]));
        assert_eq!(
            [heights[&uid("a")], heights[&uid("b")], heights[&uid("c")], heights[&uid("d")]],
            [0, 1, 2, 0]
        );
    }

    #[test]
    fn what_is_in_or_below_a_cycle_has_no_height() {
        let heights =
            heights(&graph(&[("a", &["b"]), ("b", &["a"]), ("c", &["a"]), ("d", &["d"]), ("e", &[])]));
        assert_eq!(heights.len(), 1);
        assert!(heights.contains_key(&uid("e")));
    }
}
