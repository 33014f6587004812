//! Calls that met the end of a connection on their way out.

use tonic::Status;

/// Whether nobody has looked at a call, so that asking again asks once (RFC 9113 §6.8). gRPC has clients do so by themselves
/// ("transparent retry"); those of Rust say what they saw instead.
pub(crate) fn is_unprocessed(status: &Status) -> bool {
    let seen = format!("{status:?}");
    seen.contains("hyper::Error(Canceled") || seen.contains("GoAway(b\"\", NO_ERROR, Remote)")
}
