//! A function for each parser of bytes that come from outside. None may panic, whatever the bytes; where something cheap can be said
//! of what comes out, it is: nothing here is ever allowed, nothing that was not signed is believed, what is printed is read again.
//!
//! `fuzz/parsers.rs` gives them to libFuzzer, `tests/it/fuzz_seeds.rs` the seeds of `fuzz/corpus` in every run of the tests.

mod doors;
mod evidence;
mod mcp;
mod sources;
mod stored;
mod tokens;

/// What is done with some bytes.
pub(crate) type Target = fn(&[u8]);

/// Every target, by its name, which is also the name of its folder in `fuzz/corpus`.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    // What callers send.
    ("authzen", doors::authzen),
    ("grpc", doors::grpc),
    ("ext_authz_mcp", doors::ext_authz_mcp),
    ("ext_authz_http", doors::ext_authz_http),
    ("context", doors::context),
    ("traceparent", doors::traceparent),
    ("page_token", stored::page_token),
    ("revision", stored::revision),
    ("token", tokens::token),
    ("jwks", tokens::jwks),
    ("mcp_message", mcp::message),
    // What operators and others' servers put into files.
    ("policies", sources::policies),
    ("schema", sources::schema),
    ("links", sources::links),
    ("entities", sources::entities),
    ("entity_lines", sources::entity_lines),
    ("definitions", sources::definitions),
    ("manifest", sources::manifest),
    ("revocations", sources::revocations),
    ("cases", sources::cases),
    ("profile", tokens::profile),
    ("tools_list", mcp::tools_list),
    // What was written, and may have been changed since.
    ("frames", evidence::frames),
    ("segment", evidence::segment),
    ("checkpoint", evidence::checkpoint),
    ("receipt", evidence::receipt),
    ("backup", stored::backup),
];

/// Some bytes as text, or none.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
