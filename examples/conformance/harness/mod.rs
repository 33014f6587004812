//! Published tests of the Cedar language, run through every door that decides.
//!
//! In reading order: [`bundle`] is one test; [`published`], [`corpus`] and [`folders`] read them; [`service`] is the running
//! server, [`check`] asks it, [`tally`] counts.

pub(crate) mod bundle;
mod check;
mod corpus;
mod folders;
mod json_policies;
mod published;
mod service;
pub(crate) mod tally;

use std::error::Error;

pub(crate) use check::Harness;
pub(crate) use folders::read;

/// What comes of something, or why nothing can.
pub(crate) type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;
