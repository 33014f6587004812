//! The tables that come with Mandate.

/// Their names.
pub const NAMES: [&str; 4] = ["rfc8693", "transaction-token", "jwt-svid", "entra-agent"];

/// The table of that name.
pub(super) fn table(name: &str) -> Option<&'static str> {
    Some(match name {
        "rfc8693" => include_str!("../profiles/rfc8693.toml"),
        "transaction-token" => include_str!("../profiles/transaction-token.toml"),
        "jwt-svid" => include_str!("../profiles/jwt-svid.toml"),
        "entra-agent" => include_str!("../profiles/entra-agent.toml"),
        _ => return None,
    })
}
