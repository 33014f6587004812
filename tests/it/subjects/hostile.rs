//! Tokens that must not be believed. Each stands beside a twin that is, and differs from it in one property.

use serde_json::{Value, json};

use super::doors::check_refused;
use super::issuer::{AUDIENCE, ISSUER, Issuer, ask, claims, header};
use crate::support::{
    Conversation, Draft, Question as _, SigningKey, TestServer, base64url, hmac_sha256, is_allow, seconds,
};

/// What makes a bad token, or its twin.
struct Maker<'i> {
    issuer: &'i Issuer,
    rsa: &'i SigningKey,
    stranger: &'i SigningKey,
}

/// A token that is changed in one property.
struct Case {
    /// The property.
    name: String,
    /// The check that must notice.
    check: &'static str,
    /// The token with it.
    bad: String,
    /// The token without.
    twin: String,
}

impl Maker<'_> {
    fn sign(&self, header: &Value, claims: &Value) -> String {
        Draft::new(header, claims).sign(&self.issuer.key)
    }

    /// A good token, less or more one member of its header.
    fn header(&self, name: &str, value: Value) -> String {
        let mut header = header();
        set(&mut header, name, value);
        self.sign(&header, &claims())
    }

    /// A good token, less or more one claim.
    fn claim(&self, name: &str, value: Value) -> String {
        let mut claims = claims();
        set(&mut claims, name, value);
        self.sign(&header(), &claims)
    }

    /// A good token whose header or claims are this text.
    fn text(&self, change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = Draft::new(&header(), &claims());
        change(&mut draft);
        draft.sign(&self.issuer.key)
    }

    /// A good token whose text is changed after it was signed.
    fn mangled(&self, change: impl FnOnce(String) -> String) -> String {
        change(self.issuer.token())
    }
}

/// Sets a member; null takes it away.
fn set(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
}

/// Another text of the same bytes: the bits that base64url leaves over in its last letter are set.
fn with_leftover_bits(part: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "there are bits left over");
    let (rest, last) = part.split_at(part.len() - 1);
    let value = LETTERS.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", LETTERS[value | 1] as char)
}

/// A text of JSON whose base64url has bits left over.
fn padded(text: &str) -> String {
    let text = format!("{text} ");
    if text.len() % 3 == 0 { format!("{text} ") } else { text }
}

fn headers(maker: &Maker<'_>) -> Vec<Case> {
    let good = || maker.issuer.token();
    let jwk = maker.stranger.jwk("k1");
    let changed = [
        ("alg none", "algorithm", maker.header("alg", json!("none"))),
        ("alg None", "algorithm", maker.header("alg", json!("None"))),
        ("alg empty", "algorithm", maker.header("alg", json!(""))),
        ("alg absent", "algorithm", maker.header("alg", Value::Null)),
        ("alg a list", "algorithm", maker.header("alg", json!(["ES256"]))),
        ("alg in lower case", "algorithm", maker.header("alg", json!("es256"))),
        ("alg of another curve", "key", maker.header("alg", json!("ES384"))),
        ("alg of another family", "key", maker.header("alg", json!("RS256"))),
        ("alg nobody has", "algorithm", maker.header("alg", json!("ES256K"))),
        ("typ absent", "typ", maker.header("typ", Value::Null)),
        ("typ JWT", "typ", maker.header("typ", json!("JWT"))),
        ("typ of a transaction token", "typ", maker.header("typ", json!("txntoken+jwt"))),
        ("typ of an id token grant", "typ", maker.header("typ", json!("oauth-id-jag+jwt"))),
        ("typ a number", "typ", maker.header("typ", json!(1))),
        ("typ with a blank", "typ", maker.header("typ", json!("at+jwt "))),
        ("typ of another media type", "typ", maker.header("typ", json!("text/at+jwt"))),
        ("kid absent", "header", maker.header("kid", Value::Null)),
        ("kid empty", "header", maker.header("kid", json!(""))),
        ("kid a number", "header", maker.header("kid", json!(1))),
        ("kid unknown", "key", maker.header("kid", json!("k9"))),
        ("kid of another key", "signature", maker.header("kid", json!("k2"))),
        ("kid a path", "key", maker.header("kid", json!("../../keys.json"))),
        ("kid too long", "header", maker.header("kid", json!("k".repeat(513)))),
        ("crit", "header", maker.header("crit", json!(["exp"]))),
        ("crit empty", "header", maker.header("crit", json!([]))),
        ("b64 false", "header", maker.header("b64", json!(false))),
        ("b64 true", "header", maker.header("b64", json!(true))),
        ("jku", "header", maker.header("jku", json!("https://evil.example/keys"))),
        ("x5u", "header", maker.header("x5u", json!("https://evil.example/chain"))),
        ("x5c", "header", maker.header("x5c", json!(["MIIB"]))),
        ("jwk", "header", maker.header("jwk", jwk)),
    ];
    changed.map(|(name, check, bad)| Case { name: name.to_owned(), check, bad, twin: good() }).into()
}

fn claimed(maker: &Maker<'_>) -> Vec<Case> {
    let now = seconds();
    let far = now + 200 * 24 * 3600;
    let changed = [
        ("iss absent", "issuer", "iss", Value::Null),
        ("iss another's", "issuer", "iss", json!("https://other.example")),
        ("iss with a slash", "issuer", "iss", json!(format!("{ISSUER}/"))),
        ("iss in capitals", "issuer", "iss", json!(ISSUER.to_uppercase())),
        ("iss a list", "issuer", "iss", json!([ISSUER])),
        ("aud absent", "claims", "aud", Value::Null),
        ("aud another's", "audience", "aud", json!("another")),
        ("aud in capitals", "audience", "aud", json!(AUDIENCE.to_uppercase())),
        ("aud that begins so", "audience", "aud", json!(format!("{AUDIENCE}-staging"))),
        ("aud an empty list", "claims", "aud", json!([])),
        ("aud a list with a number", "claims", "aud", json!([AUDIENCE, 1])),
        ("aud an object", "claims", "aud", json!({"a": AUDIENCE})),
        ("aud many", "claims", "aud", json!(vec![AUDIENCE; 101])),
        ("exp absent", "claims", "exp", Value::Null),
        ("exp past", "expiry", "exp", json!(now - 31)),
        ("exp a text", "claims", "exp", json!((now + 600).to_string())),
        ("exp true", "claims", "exp", json!(true)),
        ("exp a list", "claims", "exp", json!([now + 600])),
        ("exp negative", "claims", "exp", json!(-1)),
        ("exp in milliseconds", "claims", "exp", json!((now + 600) * 1000)),
        ("exp beyond 64 bits", "claims", "exp", json!(1e300)),
        ("exp too far ahead", "age", "exp", json!(far)),
        ("nbf absent", "claims", "nbf", Value::Null),
        ("nbf to come", "not_before", "nbf", json!(now + 60)),
        ("nbf a text", "claims", "nbf", json!((now - 10).to_string())),
        ("nbf an object", "claims", "nbf", json!({})),
        ("iat absent", "claims", "iat", Value::Null),
        ("iat to come", "age", "iat", json!(now + 60)),
        ("iat long past", "age", "iat", json!(now - 25 * 3600)),
        ("iat a text", "claims", "iat", json!(now.to_string())),
        ("sub absent", "claims", "sub", Value::Null),
        ("sub empty", "profile", "sub", json!("")),
        ("sub a number", "profile", "sub", json!(7)),
        ("sub with a control character", "profile", "sub", json!("ana\n")),
        ("sub too long", "profile", "sub", json!("a".repeat(769))),
        ("scope a list", "profile", "scope", json!(["docs", "mail"])),
        ("scope without end", "profile", "scope", json!("a ".repeat(201))),
        ("act a text", "profile", "act", json!("bot")),
        ("act empty", "profile", "act", json!({})),
        ("act without sub", "profile", "act", json!({"iss": ISSUER})),
        ("act of another issuer", "profile", "act", json!({"sub": "bot", "iss": "https://other.example"})),
        ("act twice", "profile", "act", json!({"sub": "bot", "act": {"sub": "bot"}})),
        ("act too deep", "profile", "act", nested(6)),
        ("cnf with jkt", "confirmation", "cnf", json!({"jkt": base64url([7; 32])})),
        ("cnf with jwk", "confirmation", "cnf", json!({"jwk": maker.stranger.jwk("k")})),
        ("cnf empty", "confirmation", "cnf", json!({})),
        ("cnf a text", "confirmation", "cnf", json!("x5t#S256")),
        (
            "cnf of a certificate that is not shown",
            "confirmation",
            "cnf",
            json!({"x5t#S256": base64url([7; 32])}),
        ),
        ("cnf too short", "confirmation", "cnf", json!({"x5t#S256": base64url([7; 31])})),
        ("claims too deep", "form", "deep", deep(12)),
        ("claims too many", "form", "many", json!(vec![1; 1_000])),
        ("too long", "size", "long", json!("a".repeat(16 * 1024))),
    ];
    let case = |(name, check, claim, value): (&str, _, _, _)| {
        let bad = maker.claim(claim, value);
        Case { name: name.to_owned(), check, bad, twin: maker.issuer.token() }
    };
    changed.map(case).into()
}

/// So many actors within each other.
fn nested(actors: usize) -> Value {
    (0..actors).fold(Value::Null, |inner, at| {
        let mut act = json!({"sub": format!("agent-{at}")});
        set(&mut act, "act", inner);
        act
    })
}

/// A list so deep.
fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

fn texts(maker: &Maker<'_>) -> Vec<Case> {
    let good = || maker.issuer.token();
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let null_cnf = |draft: &mut Draft| draft.claims = twice(&draft.claims, "\"cnf\":null");
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap().to_owned();
    let replaced = |token: String, at: usize, with: &dyn Fn(&str) -> String| {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[at] = with(&parts[at]);
        parts.join(".")
    };
    let other = maker.claim("sub", json!("eve"));
    let changed = [
        ("alg twice", "form", maker.text(|draft| draft.header = twice(&draft.header, "\"alg\":\"ES256\""))),
        ("kid twice", "form", maker.text(|draft| draft.header = twice(&draft.header, "\"kid\":\"k1\""))),
        ("sub twice", "form", maker.text(|draft| draft.claims = twice(&draft.claims, "\"sub\":\"ana\""))),
        (
            "sub twice, escaped",
            "form",
            maker.text(|draft| draft.claims = twice(&draft.claims, "\"\\u0073ub\":\"ana\"")),
        ),
        (
            "a member twice, within",
            "form",
            maker.text(|draft| draft.claims = twice(&draft.claims, "\"x\":{\"a\":1,\"a\":1}")),
        ),
        ("cnf null", "confirmation", maker.text(null_cnf)),
        ("claims a list", "form", maker.text(|draft| draft.claims = format!("[{}]", draft.claims))),
        ("claims not JSON", "form", maker.text(|draft| draft.claims.push('}'))),
        ("claims not UTF-8", "form", maker.mangled(|token| replaced(token, 1, &|_| base64url([0xff, 0xfe])))),
        ("header a text", "form", maker.text(|draft| draft.header = "\"ES256\"".to_owned())),
        ("header empty", "form", maker.text(|draft| draft.header = String::new())),
        ("claims empty", "form", maker.text(|draft| draft.claims = String::new())),
        ("no signature", "form", maker.mangled(|token| replaced(token, 2, &|_| String::new()))),
        ("two parts", "form", maker.mangled(|token| token.rsplit_once('.').unwrap().0.to_owned())),
        ("four parts", "form", maker.mangled(|token| format!("{token}.{}", part(&token, 2)))),
        ("five parts", "form", maker.mangled(|token| format!("{token}.{0}.{0}", part(&token, 2)))),
        ("a scheme before it", "form", maker.mangled(|token| format!("Bearer {token}"))),
        ("a blank after it", "form", maker.mangled(|token| format!("{token} "))),
        ("a line after it", "form", maker.mangled(|token| format!("{token}\n"))),
        ("padding", "form", maker.mangled(|token| format!("{token}=="))),
        (
            "leftover bits in the signature",
            "form",
            maker.mangled(|token| replaced(token, 2, &with_leftover_bits)),
        ),
        ("signature in base64", "form", maker.mangled(|token| replaced(token, 2, &|_| "+/+/".to_owned()))),
        (
            "signature cut short",
            "signature",
            maker.mangled(|token| replaced(token, 2, &|part| part[..84].to_owned())),
        ),
        (
            "signature of nothing",
            "signature",
            maker.mangled(|token| replaced(token, 2, &|_| base64url([0; 64]))),
        ),
        (
            "signature of another token",
            "signature",
            maker.mangled(|token| replaced(token, 2, &|_| part(&other, 2))),
        ),
        (
            "claims of another token",
            "signature",
            maker.mangled(|token| replaced(token, 1, &|_| part(&other, 1))),
        ),
        (
            "a blank in the header after signing",
            "signature",
            maker.mangled(|token| replaced(token, 0, &|_| base64url(format!("{} ", header())))),
        ),
    ];
    changed.map(|(name, check, bad)| Case { name: name.to_owned(), check, bad, twin: good() }).into()
}

/// What only shows beside a twin of its own.
fn pairs(maker: &Maker<'_>) -> Vec<Case> {
    let pair = |name: &str, check, bad, twin| Case { name: name.to_owned(), check, bad, twin };
    let draft = Draft::new(&header(), &claims());
    let secret = maker.issuer.key.jwk("k1")["x"].as_str().unwrap().to_owned();
    let keyed = Draft::new(&json!({"typ": "at+jwt", "alg": "HS256", "kid": "k1"}), &claims());
    let hmac = hmac_sha256(secret.as_bytes(), keyed.signed_part().as_bytes());
    let rsa = |algorithm: &str, as_if: &str| {
        let header = json!({"typ": "at+jwt", "alg": algorithm, "kid": "rsa"});
        Draft::new(&header, &claims()).sign_as(maker.rsa, as_if)
    };
    let bound = |alg: &str| Draft::new(&json!({"typ": "at+jwt", "alg": alg, "kid": "rs"}), &claims());
    let loose = Draft { header: header().to_string(), claims: padded(&claims().to_string()) };
    let loose = loose.sign(&maker.issuer.key);
    let leftover = {
        let mut parts: Vec<_> = loose.split('.').map(str::to_owned).collect();
        parts[1] = with_leftover_bits(&parts[1]);
        let signed = format!("{}.{}", parts[0], parts[1]);
        format!("{signed}.{}", base64url(maker.issuer.key.sign("ES256", signed.as_bytes())))
    };
    let deepest = |actors| maker.claim("act", nested(actors));
    vec![
        pair("signed by a stranger", "signature", draft.sign(maker.stranger), draft.sign(&maker.issuer.key)),
        pair(
            "a code with the public key as secret",
            "algorithm",
            format!("{}.{}", keyed.signed_part(), base64url(hmac)),
            draft.sign(&maker.issuer.key),
        ),
        pair("PS256 that says RS256", "signature", rsa("RS256", "PS256"), rsa("PS256", "PS256")),
        pair("RS512 that says RS256", "signature", rsa("RS256", "RS512"), rsa("RS512", "RS512")),
        pair(
            "a key for another algorithm",
            "key",
            bound("PS256").sign_as(maker.rsa, "PS256"),
            bound("RS256").sign_as(maker.rsa, "RS256"),
        ),
        pair(
            "a key that encrypts",
            "key",
            Draft::new(&json!({"typ": "at+jwt", "alg": "RS256", "kid": "enc"}), &claims()).sign(maker.rsa),
            rsa("RS256", "RS256"),
        ),
        pair(
            "a key that does not verify",
            "key",
            Draft::new(&json!({"typ": "at+jwt", "alg": "RS256", "kid": "ops"}), &claims()).sign(maker.rsa),
            rsa("RS256", "RS256"),
        ),
        pair(
            "a key whose name two have",
            "key",
            Draft::new(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "two"}), &claims())
                .sign(&maker.issuer.key),
            draft.sign(&maker.issuer.key),
        ),
        pair("leftover bits in the claims", "form", leftover, loose),
        pair(
            "act of somebody in it already",
            "profile",
            maker.claim("act", nested_with("agent-1")),
            deepest(3),
        ),
        pair("act deeper by one", "profile", deepest(6), deepest(5)),
        pair(
            "exp just past",
            "expiry",
            maker.claim("exp", json!(seconds() - 60)),
            maker.claim("exp", json!(seconds() - 5)),
        ),
        pair(
            "nbf just too far ahead",
            "not_before",
            maker.claim("nbf", json!(seconds() + 90)),
            maker.claim("nbf", json!(seconds() + 5)),
        ),
        pair(
            "aud in a list of others",
            "audience",
            maker.claim("aud", json!(["a", "b"])),
            maker.claim("aud", json!(["a", AUDIENCE])),
        ),
    ]
}

/// Three actors, of whom the innermost is this one.
fn nested_with(last: &str) -> Value {
    json!({"sub": "agent-2", "act": {"sub": "agent-1", "act": {"sub": last}}})
}

#[test]
fn no_hostile_token_is_believed_and_its_twin_is() {
    let (issuer, rsa, stranger) = (Issuer::new(SigningKey::p256()), SigningKey::rsa(), SigningKey::p256());
    publish(&issuer, &rsa);
    let server = TestServer::with_config(&issuer.config(""));
    let maker = Maker { issuer: &issuer, rsa: &rsa, stranger: &stranger };
    let cases: Vec<_> =
        [headers(&maker), claimed(&maker), texts(&maker), pairs(&maker)].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    for Case { name, check, bad, twin } in &cases {
        assert_ne!(bad, twin, "{name}");
        server
            .authorize(ask("view", twin))
            .unwrap_or_else(|status| panic!("the twin of `{name}`: {status:?}"));
        match server.authorize(ask("view", bad)) {
            Ok(_) => wrong.push(format!("{name}: believed")),
            Err(status) if status.message().contains(&format!("not accepted: {check}: ")) => {
                check_refused::<()>(Err(status), check);
            }
            Err(status) => wrong.push(format!("{name}: {}", status.message())),
        }
    }
    assert!(wrong.is_empty(), "of {} hostile tokens:\n{}", cases.len(), wrong.join("\n"));
}

/// Keys that verify, and keys that must not.
fn publish(issuer: &Issuer, rsa: &SigningKey) {
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let keys = [
        issuer.key.jwk("k1"),
        SigningKey::p256().jwk("k2"),
        rsa.jwk("rsa"),
        with(rsa.jwk("rs"), "alg", json!("RS256")),
        with(rsa.jwk("enc"), "use", json!("enc")),
        with(rsa.jwk("ops"), "key_ops", json!(["encrypt"])),
        issuer.key.jwk("two"),
        SigningKey::p256().jwk("two"),
    ];
    issuer.publish(&keys);
}

#[test]
fn hostile_tokens_fare_no_better_in_batches_and_streams() {
    let (issuer, rsa, stranger) = (Issuer::new(SigningKey::p256()), SigningKey::rsa(), SigningKey::p256());
    publish(&issuer, &rsa);
    let server = TestServer::with_config(&issuer.config(""));
    let maker = Maker { issuer: &issuer, rsa: &rsa, stranger: &stranger };
    let mut stream = Conversation::open(server.client(), &[]);
    let cases = [headers(&maker), claimed(&maker), texts(&maker), pairs(&maker)].into_iter().flatten();
    for Case { name, check, bad, .. } in cases.step_by(7) {
        let defaults = Some(ask("view", bad.clone()));
        let batch = mandate::server::pb::AuthorizeBatchRequest { defaults, requests: vec![ask("view", "")] };
        check_refused(server.client().batch(batch), check);
        match stream.ask(&ask("view", bad).named(&name)) {
            mandate::server::pb::authorize_stream_response::Outcome::Status(status) => {
                assert!(status.message.contains(check), "{name}: {status:?}");
            }
            answered => panic!("{name}: {answered:?}"),
        }
    }
    assert!(is_allow(&stream.decide(&ask("view", issuer.token()).named("good"))));
}
