//! On whose behalf a principal acts.
//!
//! A chain leads from a root (a person, or an agent that may act alone) over grants to the actor. It is read from stored
//! delegations ([`grant`], by the [`names`] that the schema gives them), walked from the leaf and checked grant by grant
//! ([`chain`], [`coverage`]), and every principal of it is decided as a [`hop`] of its own. Rules D1 to D12 are in
//! `docs/semantics.md`.

pub mod along;
pub mod chain;
pub mod check;
pub mod coverage;
pub mod grant;
pub mod hop;
pub mod names;
pub mod shown;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
pub mod scene_for_tests;
#[cfg(test)]
mod token_tests;

#[cfg(test)]
use super::mutants;
pub use hop::{Hop, Role, Seen};
