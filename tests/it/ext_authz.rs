//! Envoy's `ext_authz`: what is decided of a request, what is refused undecided, and the real Envoy in front of it.

mod ask;
mod callers;
mod envoy;
mod failing;
mod http;
mod mcp;
mod proxied;
mod subjects;
mod upstream;

/// The configuration beside the Envoy of the documentation.
const EXAMPLE: &str = include_str!("../../examples/envoy/mandate.toml");

pub(crate) use ask::{Ask, Verdict};
