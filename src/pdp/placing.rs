//! What a question says in words of its own, put where the world that decides it has a place for it.

use super::Asked;
use crate::engine::asserted;
use crate::engine::request::InvalidRequest;
use crate::engine::world::World;

impl Asked {
    /// Puts the question's properties into it. Gives back the paths of what has no place.
    ///
    /// # Errors
    /// [`InvalidRequest`]; the question must not be decided then.
    pub(super) fn place(&mut self, world: &World) -> Result<Vec<String>, InvalidRequest> {
        match &self.properties {
            Some(properties) => asserted::place(world, &mut self.question, properties),
            None => Ok(Vec::new()),
        }
    }
}
