//! A set of policies without some of them.

use std::fs;
use std::path::Path;

use cedar_policy::PolicySet;

use crate::Attempt;

/// Copies a folder's policies, leaving out each whose text mentions `word`; comments and everything else stay. Returns
/// the `@id` of what was left out.
///
/// # Errors
/// A file cannot be read, written or parsed.
pub(crate) fn copy_without(from: &Path, to: &Path, word: &str) -> Attempt<Vec<String>> {
    fs::create_dir_all(to)?;
    let mut left_out = Vec::new();
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|kind| kind == "cedar"))
        else {
            continue;
        };
        let mut text = fs::read_to_string(&path)?;
        let parsed: PolicySet = text.parse()?;
        for policy in parsed.policies() {
            let source = policy.to_cedar().unwrap_or_default();
            if source.contains(word) {
                left_out.push(policy.annotation("id").unwrap_or_default().to_owned());
                text = text.replace(&source, "");
            }
        }
        fs::write(to.join(name), text)?;
    }
    left_out.sort();
    Ok(left_out)
}
