//! The pure core: worlds in, decisions out. Rules named C3, D7 and so on are in `docs/semantics.md`.
//!
//! No async, clock, I/O, logging or wire types here; time is data handed in. In reading order: what is asked
//! ([`request`], [`datum`]), what answers ([`world`], [`generation`], [`catalog`]), how ([`authorize`],
//! [`delegation`], [`convert`]), what comes out ([`decision`], [`explain`]), and how worlds are made ([`compile`],
//! [`guard`], [`problem`]).

pub mod asserted;
pub mod authorize;
pub mod brief;
pub mod catalog;
pub mod cedar;
pub mod check;
pub mod compile;
pub mod content;
pub mod convert;
pub mod datum;
pub mod decision;
pub mod delegation;
pub mod digest;
pub mod disclosure;
pub mod edits;
pub mod entities;
pub mod explain;
pub mod generation;
pub mod grants;
pub mod guard;
pub mod hearing;
pub mod hop_question;
pub mod index;
pub mod key;
pub mod key_plans;
pub mod map;
pub mod ownership;
pub mod parties;
pub mod plan;
pub mod prepared;
pub mod presence;
pub mod problem;
pub mod progress;
pub mod question;
pub mod remembered;
pub mod request;
pub mod revocations;
pub mod search;
pub mod slice;
pub mod stamps;
pub mod subject;
pub mod supplied;
pub mod suspensions;
mod tally;
pub mod terms;
mod token;
pub mod unknown;
pub mod validity;
pub mod version;
pub mod world;
pub mod written;

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod convert_tests;
#[cfg(test)]
mod decision_tests;
#[cfg(test)]
mod grants_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
pub mod mutants;
#[cfg(test)]
pub mod soak_for_tests;
#[cfg(test)]
mod validity_tests;
