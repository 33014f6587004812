//! What a token of a subject says before anybody knows whose it is, the keys that would verify it, and the tables that read it.

use std::sync::LazyLock;

use mandate::identity::claims::Registered;
use mandate::identity::compact::Compact;
use mandate::identity::header::Header;
use mandate::identity::jwks::KeySet;
use mandate::identity::profile::Profile;
use mandate::identity::profile::principals::Namespace;

use super::text;

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let names = ["rfc8693", "transaction-token", "jwt-svid", "entra-agent"];
    names.map(|name| Profile::named(name).unwrap()).into()
});

const ISSUER: &str = "https://idp.example";

/// A token, and what each built-in profile makes of it. A chain is at most five long, and has nobody twice.
pub(super) fn token(bytes: &[u8]) {
    let Some(Ok(token)) = text(bytes).map(Compact::parse) else { return };
    for profile in PROFILES.iter() {
        let _algorithm = Header::read(&token.header, &profile.header, &profile.algorithms());
        let _registered = Registered::read(&token.claims, &profile.token.required);
        let space = Namespace { issuer: ISSUER, prefix: "https://idp.example#" };
        if let Ok(parties) = profile.parties(&token.claims, space) {
            assert!(parties.actors.len() <= 5, "{parties:?}");
            assert!(!parties.actors.contains(&parties.root), "{parties:?}");
        }
    }
}

/// An issuer's keys.
pub(super) fn jwks(bytes: &[u8]) {
    if let Ok(keys) = KeySet::parse(bytes, "sig") {
        assert!(keys.len() <= bytes.len(), "more keys than bytes");
    }
}

/// A profile, as an operator writes it.
pub(super) fn profile(bytes: &[u8]) {
    if let Some(Ok(profile)) = text(bytes).map(|table| Profile::parse("fuzz.toml", table)) {
        assert!(!profile.algorithms().is_empty(), "believes unsigned tokens, or none");
    }
}
