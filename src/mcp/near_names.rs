//! Which names of a list a mistyped one may have meant.

use std::collections::HashSet;

use super::error::shown;

/// How many names are suggested.
const SUGGESTIONS: usize = 3;

/// Longer names are not compared: the work grows with the square of the length, and the list is foreign.
const MAX_COMPARED_CHARS: usize = 128;

/// The name, quoted, and those nearest to it: `"creat_issue" (near: "create_issue")`.
pub(super) fn with_nearest(name: &str, known: &HashSet<&str>) -> String {
    let near = nearest(name, known);
    if near.is_empty() {
        return shown(name);
    }
    let near: Vec<String> = near.into_iter().map(shown).collect();
    format!("{} (near: {})", shown(name), near.join(", "))
}

fn nearest<'a>(name: &str, known: &HashSet<&'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> =
        known.iter().filter_map(|candidate| Some((distance(name, candidate)?, *candidate))).collect();
    near.sort_unstable();
    near.truncate(SUGGESTIONS);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Edits between two names, ignoring case; none where they are too far apart to be a slip.
fn distance(one: &str, other: &str) -> Option<usize> {
    let one = folded(one)?;
    let other = folded(other)?;
    let tolerated = one.len().max(other.len()).div_ceil(3);
    if one.len().abs_diff(other.len()) > tolerated {
        return None;
    }
    let edits = edits(&one, &other);
    (edits <= tolerated).then_some(edits)
}

fn folded(name: &str) -> Option<Vec<char>> {
    let fits = name.chars().nth(MAX_COMPARED_CHARS).is_none();
    fits.then(|| name.chars().flat_map(char::to_lowercase).collect())
}

/// Levenshtein's distance, one row of the table at a time.
fn edits(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, from) in one.iter().enumerate() {
        let mut next = vec![index + 1];
        for (to, above) in other.iter().zip(row.windows(2)) {
            let [diagonal, up] = above else { continue };
            let replaced = diagonal + usize::from(from != to);
            let left = next.last().copied().unwrap_or_default();
            next.push(replaced.min(up + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let edits = |a: &str, b: &str| distance(a, b);
        assert_eq!(edits("create_issue", "creat_isue"), Some(2));
        assert_eq!(edits("Same", "same"), Some(0));
        assert_eq!(edits("abc", "xyz"), None);
        assert_eq!(edits("", "a"), Some(1));
    }

    #[test]
    fn suggests_the_nearest_first() {
        let known = HashSet::from(["create_issue", "create_issues", "delete_repo"]);
        let text = with_nearest("creat_issue", &known);
        let expected = r#""creat_issue" (near: "create_issue", "create_issues")"#;
        assert_eq!(text, expected);
        assert_eq!(with_nearest("zzz", &known), r#""zzz""#);
    }

    #[test]
    fn long_names_are_left_alone() {
        let long = "a".repeat(1000);
        assert_eq!(distance(&long, &long), None);
    }
}
