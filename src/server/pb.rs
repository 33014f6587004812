//! Types and services generated from `proto/`. They stay in `server` and the command line's client.
#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::too_many_lines,
    reason = "generated; the documentation is in proto/"
)]

tonic::include_proto!("mandate.v1");

/// Descriptors of the whole contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
