//! What makes the log evidence: a Merkle tree over all records, and signed checkpoints of it.
//!
//! The tree is RFC 6962's, a checkpoint is a signed note as C2SP describes them (tlog-checkpoint, signed-note), the
//! signature Ed25519. In reading order: [`hash`], [`frontier`] (the tree, as far as it must be remembered), [`keys`] (who
//! signs, and who is believed), [`checkpoint`]; for the process that writes, [`retrace`] (is the log still what was signed?),
//! [`notary`] (signs it again and again) and [`witness`] (shows it to others); for whoever holds it to account, [`mod@verify`],
//! [`finding`] (what is found), [`receipt`] (one record, shown to somebody else). The format is described in
//! `docs/decision-log-format.md`.

pub mod checkpoint;
pub mod finding;
pub mod frontier;
pub mod hash;
pub mod keys;
pub mod notary;
mod path;
mod processes;
pub mod receipt;
pub mod retrace;
pub mod verify;
pub mod witness;

#[cfg(test)]
pub(crate) mod example_log_for_tests;
#[cfg(test)]
mod notary_tests;
#[cfg(test)]
mod receipt_tests;
#[cfg(test)]
mod trust_tests;
#[cfg(test)]
mod verify_tests;
