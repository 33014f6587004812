//! Reading the decision log: finding records in one folder or in many, and telling what they come to.
//!
//! In reading order: [`seen`] (what a reader looks at in a record), [`query`] (what is looked for), `contents` (what
//! a segment's records say), [`index`] (the same as a file, to look into), [`search`] (one log), [`gathered`] (many, as one), [`census`] (whose
//! records are there and whose are missing), [`story`] and [`reconcile`].
//!
//! An index is never believed: it says where to look, and the record says whether it is meant.

pub mod census;
pub(in crate::audit) mod contents;
pub mod decided;
pub mod gathered;
pub mod index;
mod index_file;
pub mod indexer;
mod pick;
pub mod query;
pub mod reconcile;
pub mod search;
pub mod seen;
pub mod source;
pub mod story;

#[cfg(test)]
pub(crate) mod example_logs_for_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod story_tests;
