//! `[[issuers]]` that must not be accepted, and what is said of them.

use super::issuer::Issuer;
use crate::support::SigningKey;

/// The least an issuer needs, and its parts.
const LEAST: [(&str, &str); 4] = [
    ("issuer", "'https://a.example'"),
    ("audience", "'mandate'"),
    ("profile", "'rfc8693'"),
    ("jwks_url", "'https://a.example/keys'"),
];

/// An issuer, with these keys set, or taken away by an empty value.
fn written(changes: &[(&str, &str)]) -> String {
    let own = LEAST.iter().filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
    let lines = own.chain(changes).filter(|(_, value)| !value.is_empty());
    lines.fold("[[issuers]]\n".to_owned(), |text, (key, value)| text + &format!("{key} = {value}\n"))
}

#[test]
fn what_is_wrong_with_an_issuer_is_said_by_its_key() {
    let issuer = Issuer::new(SigningKey::p256());
    let refused = |toml: &str| issuer.sources.config_written(toml).unwrap_err().to_string();
    issuer.sources.config_written(&written(&[])).unwrap();
    for (changes, said) in [
        (vec![("colour", "'red'")], "colour"),
        (vec![("issuer", "")], "issuer"),
        (vec![("issuer", "''")], "`issuers[0].issuer` must be a text"),
        (vec![("audience", "")], "audience"),
        (vec![("audience", "[]")], "`issuers[0].audience` is empty"),
        (vec![("audience", "['a', '']")], "`issuers[0].audience` must be a text"),
        (vec![("profile", "")], "profile"),
        (vec![("profile", "'rfc9999'")], "`issuers[0].profile` cannot be used: `rfc9999` is neither"),
        (vec![("jwks_url", "")], "`issuers[0].jwks_url` or `jwks_file` must be set"),
        (vec![("jwks_file", "'keys.json'")], "`issuers[0].jwks_file` and `jwks_url` are both set"),
        (vec![("jwks_url", "'http://a.example/keys'")], "`issuers[0].jwks_url` must be https"),
        (vec![("jwks_url", "'keys'")], "`issuers[0].jwks_url` must be a whole URL"),
        (
            vec![("jwks_url", ""), ("jwks_file", "'k'"), ("ca_file", "'ca.pem'")],
            "`issuers[0].ca_file` is for",
        ),
        (vec![("algorithms", "['HS256']")], "`issuers[0].algorithms` names `HS256`"),
        (vec![("algorithms", "['none']")], "`issuers[0].algorithms` names `none`"),
        (vec![("algorithms", "[]")], "`issuers[0].algorithms` is empty"),
        (vec![("leeway", "'61s'")], "`issuers[0].leeway` is 61 s"),
        (vec![("max_age", "'32d'")], "issuers"),
        (vec![("max_age", "'0s'")], "`issuers[0].max_age` is 0 s"),
        (vec![("jwks_min_age", "'2h'")], "`issuers[0].jwks_max_age` is 3600 s"),
        (vec![("jwks_stale", "'200h'")], "`issuers[0].jwks_stale`"),
        (vec![("jwks_refetch", "'10ms'")], "`issuers[0].jwks_refetch`"),
        (vec![("profile", "'jwt-svid'")], "`issuers[0].issuer` must be a trust domain"),
        (vec![("profile", "'jwt-svid'"), ("issuer", "'spiffe://a.example/x'")], "must be a trust domain"),
    ] {
        let error = refused(&written(&changes));
        assert!(error.contains(said), "{changes:?}: {error}");
    }
}

#[test]
fn two_issuers_cannot_name_one_principal() {
    let issuer = Issuer::new(SigningKey::p256());
    let both = |other: &[(&str, &str)]| {
        let text = written(&[]) + &written(other);
        issuer.sources.config_written(&text).map_err(|error| error.to_string())
    };
    assert_eq!(both(&[("issuer", "'https://b.example'")]).unwrap().issuers.len(), 2);
    let svid = [("issuer", "'spiffe://example.org'"), ("profile", "'jwt-svid'")];
    assert_eq!(both(&svid).unwrap().issuers.len(), 2);
    assert!(both(&[]).unwrap_err().contains("configured twice"));
    for prefix in ["''", "'https://a.example#'", "'https://a.example#team/'", "'https://'"] {
        let error = both(&[("issuer", "'https://b.example'"), ("id_prefix", prefix)]).unwrap_err();
        assert!(error.contains("`issuers[1].id_prefix` lets"), "{prefix}: {error}");
    }
}

#[test]
fn a_file_that_holds_no_keys_is_a_mistake_to_start_with() {
    let issuer = Issuer::new(SigningKey::p256());
    let config = issuer.config("");
    let bind = |config: &mandate::config::Config| {
        let mut config = config.clone();
        crate::support::keep_in(&mut config, &issuer.sources.path("data"));
        config.listen = mandate::config::Listen::free();
        mandate::app::runtime().unwrap().block_on(mandate::app::bind(&config)).map(drop)
    };
    for (text, said) in [
        ("{", "is no JSON object"),
        ("{}", "has no list `keys`"),
        (r#"{"keys": []}"#, "has no key that can verify"),
        (r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#, "holds a private or shared key"),
        (r#"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}"#, "wrong length"),
        (r#"{"keys": [], "keys": []}"#, "is no JSON object"),
    ] {
        issuer.sources.put("keys.json", text);
        let error = bind(&config).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("jwks_file"), "{text}: {error}");
    }
    issuer.publish(&[issuer.key.jwk("k1")]);
    bind(&config).unwrap();
}
