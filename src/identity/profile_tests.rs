//! Golden files: a token's claims in, a subject out, for every profile that is built in and one that is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{BUILTIN, Profile};
use crate::engine::datum::{Datum, Reference};
use crate::engine::subject::Subject;
use crate::identity::claims::Registered;
use crate::identity::issuer::{Issuer, IssuerConfig, KeyOrigin};
use crate::identity::keys::{KeyLimits, Keys};
use crate::identity::steps::Steps;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/identity/golden")
}

/// An issuer of a case.
fn issuer(profile: &Arc<Profile>, case: &Value) -> Issuer {
    let text = |name: &str| case.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text("issuer").unwrap_or_else(|| "https://idp.example".to_owned());
    let limits = KeyLimits {
        min_age: Duration::ZERO,
        max_age: Duration::ZERO,
        stale: Duration::ZERO,
        refetch: Duration::ZERO,
    };
    Issuer {
        keys: Arc::new(Keys::new(&name, "sig", limits)),
        config: IssuerConfig {
            audience: vec!["mandate".to_owned()],
            keys: KeyOrigin::File(PathBuf::new()),
            algorithms: profile.algorithms(),
            profile: Arc::clone(profile),
            id_prefix: text("id_prefix").unwrap_or_else(|| format!("{name}#")),
            issuer: name,
            grants: case.get("grants") == Some(&json!(true)),
            leeway: Duration::ZERO,
            max_age: Duration::ZERO,
            limits,
        },
    }
}

/// What the profile makes of a case's claims.
fn outcome(profile: &Arc<Profile>, case: &Value) -> Value {
    let issuer = issuer(profile, case);
    let mut claims = case["claims"].clone();
    for (name, value) in [("aud", json!("mandate")), ("exp", json!(1_800_000_600))] {
        claims.as_object_mut().unwrap().entry(name).or_insert(value);
    }
    let Datum::Record(members) = serde_json::from_value(claims).unwrap() else { panic!("an object") };
    let subject = Registered::read(&members, &profile.token.required).and_then(|registered| {
        issuer.subject(&members, &registered, "sha256:00".to_owned(), &mut Steps::default())
    });
    match subject {
        Ok(subject) => json!({"subject": told(&subject)}),
        Err(rejection) => json!({"refused": rejection.to_string()}),
    }
}

fn told(subject: &Subject) -> Value {
    let names = |names: &[Reference]| names.iter().map(name).collect::<Vec<_>>();
    let mut told = json!({
        "root": name(&subject.root),
        "actors": names(&subject.actors),
        "context": subject.facts.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<Value>(),
    });
    if let Some(grant) = &subject.grant {
        told["grant"] = json!({"actions": names(&grant.actions), "resources": names(&grant.scopes)});
    }
    if let Some(principal) = &subject.principal {
        let attributes = principal.attributes.iter().map(|(name, value)| (name.clone(), value.to_json()));
        told["principal"] = json!({
            "uid": name(&principal.uid),
            "attributes": attributes.collect::<Value>(),
            "parents": names(&principal.parents),
        });
    }
    told
}

fn name(Reference { type_name, id }: &Reference) -> String {
    format!("{type_name}::{id:?}")
}

#[test]
fn claims_mean_what_the_golden_files_say() {
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        files += 1;
        let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let named = golden["profile"].as_str().unwrap();
        let named = if BUILTIN.contains(&named) {
            named.to_owned()
        } else {
            folder().join(named).display().to_string()
        };
        let profile = Arc::new(Profile::named(&named).unwrap());
        for case in golden["cases"].as_array().unwrap() {
            let expected =
                ["subject", "refused"].map(|kind| case.get(kind).map(|value| json!({kind: value})));
            let expected = expected.into_iter().flatten().next().unwrap();
            let found = outcome(&profile, case);
            assert_eq!(found, expected, "{}: {}\n{found:#}", path.display(), case["name"]);
        }
    }
    assert!(files > BUILTIN.len(), "every profile has a file");
}

#[test]
fn a_table_that_says_too_much_or_too_little_is_refused_by_the_key() {
    let good = include_str!("profiles/rfc8693.toml");
    Profile::parse("good", good).unwrap();
    for (from, to, named) in [
        ("[header]", "[header]\ncolour = 1", "colour"),
        ("named_by = \"iss\"", "named_by = \"kid\"", "named_by"),
        ("typ = [\"at+jwt\"]", "typ = []", "header.typ"),
        ("[token]", "[token]\nalgorithms = [\"HS256\"]", "HS256"),
        ("claim = \"sub\"", "claims = \"sub\"", "claim"),
        ("issued = { claim = \"iat\", as = \"seconds\" }", "issued = { as = \"seconds\" }", "context.issued"),
        ("same_as = \"client_id\"", "is = \"a\", word = \"b\"", "sub"),
        ("scope = \"tool:\"", "scope = \"\"", "needs a scope"),
        ("from = \"act\"", "from = \"azp\"", "actor.from"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Profile::parse("p", &good.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains("`p`") && error.contains(named), "{error}");
    }
    let error = Profile::named("rfc9999").unwrap_err().to_string();
    assert!(error.contains("rfc8693") && error.contains("entra-agent"), "{error}");
}
