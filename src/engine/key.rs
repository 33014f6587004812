//! A question to the policies as bytes, by which a decision that was made of it is found again (K4, K5).
//!
//! The bytes hold everything that decides a hop besides the stored entities and the time: who, what, to what, as much of the
//! context as the policies may read, and the entities that the request brings along. They are tagged and their lengths are
//! told, so that different questions never have the same; they may tell equal ones apart.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, canonical};
use super::generation::Generation;
#[cfg(test)]
use super::mutants::{Mutant, planted};
use super::plan::ContextPlan;
use super::question::Question;
use super::supplied::Supplied;

/// Questions with longer keys are not remembered: they would push out hundreds of others.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// What a usual key takes.
const USUAL_BYTES: usize = 512;

/// One hop's question as bytes, to the policies of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The key of a question whose chain is filled in, and whose time is not. None if it would be too long, or not all of it
    /// is known.
    pub fn of(generation: &Generation, question: &Question) -> Option<Self> {
        // Taken apart, so that a new field cannot be forgotten here.
        let Question {
            principal,
            action,
            resource,
            context,
            supplied,
            // That they exist is checked whenever the question is asked.
            references: _,
            // So is that it exists; policies see it in the context.
            role: _,
            // Grants are held to what is touched whenever the question is asked.
            touched: _,
            // Of whom it shows, policies see what is in the context.
            shown: _,
            unknown,
        } = question;
        // What is taken for granted of such a question was never decided.
        if !unknown.is_nothing() {
            return None;
        }
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        let plan = generation.key_plans.get(&action.uid, principal.type_name(), resource.type_name());
        match plan {
            Some(plan) => {
                bytes.extend(plan.number.to_be_bytes());
                id(principal, &mut bytes);
                id(resource, &mut bytes);
                canonical::project(context, &plan.context, &mut bytes);
            }
            // Nothing is known of such questions, so anything may be read.
            None => {
                bytes.extend(0_u32.to_be_bytes());
                [principal, &action.uid, resource].iter().for_each(|uid| canonical::name(uid, &mut bytes));
                canonical::project(context, &ContextPlan::Whole, &mut bytes);
            }
        }
        add_supplied(supplied, &mut bytes);
        (bytes.len() <= MAX_KEY_BYTES).then(|| Self(Arc::from(bytes)))
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// An id whose type the plan's number tells.
fn id(uid: &EntityUid, bytes: &mut Vec<u8>) {
    let id = uid.id().unescaped();
    bytes.extend(u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes());
    bytes.extend(id.as_bytes());
}

/// The entities that exist for the request alone, whole, by name.
fn add_supplied(supplied: &Supplied, bytes: &mut Vec<u8>) {
    #[cfg(test)]
    if planted(Mutant::SuppliedNotInKey) {
        return;
    }
    let mut entities: Vec<&BuiltEntity> = supplied.entities().collect();
    entities.sort_unstable_by_key(|entity| entity.uid());
    for entity in entities {
        canonical::name(entity.uid(), bytes);
        bytes.extend(canonical::bytes_of(entity.members()));
    }
}
