//! How one hop is decided where decisions are kept: found and checked, or made and inserted.
//!
//! Its world was loaded once, by the request it is of, before anything else. What is found is held to that world, whoever made it
//! in whichever. What is made is made over that world, and is inserted with the stamps of that world, however many worlds
//! were published in the meantime: whoever finds it next checks them in its own. So nothing has to happen at once,
//! nothing is ever invalidated, and there is no race to lose.

use std::sync::Arc;

use crate::engine::decision::Decision;
use crate::engine::hop_question::HopQuestion;
use crate::engine::key::Key;
use crate::engine::remembered::{Part, Remembered, Unkept};
use crate::engine::request::InvalidRequest;

/// Decides one hop.
///
/// # Errors
/// [`InvalidRequest`] if what Mandate adds to the context cannot be built.
pub(super) fn decide(
    hop: &mut HopQuestion<'_>,
    find: impl FnOnce(&Key) -> Option<Arc<Remembered>>,
    insert: impl FnOnce(Key, Remembered),
) -> Result<(Decision, Part), InvalidRequest> {
    let Some(key) = hop.key() else {
        return Ok((hop.decide()?, Part::Unkept(None, Unkept::TooLong)));
    };
    let mut stale = None;
    if let Some(found) = find(&key) {
        match hop.check(&found) {
            Ok(()) => {
                if let Some(decision) = hop.recall(&found) {
                    return Ok((decision, Part::Hit));
                }
            }
            Err(changed) => stale = Some(changed),
        }
    }
    let (decision, kept) = hop.decide_and_keep()?;
    let part = match kept {
        Ok(remembered) => {
            insert(key, remembered);
            Part::Miss(stale)
        }
        Err(why) => Part::Unkept(stale, why),
    };
    Ok((decision, part))
}

#[cfg(test)]
#[path = "recall_tests.rs"]
mod tests;
