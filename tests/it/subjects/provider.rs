//! A real OpenID provider, whose keys rotate while it serves.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::doors::check_refused;
use super::fetching::until;
use super::issuer::{AUDIENCE, Issuer, ask};
use crate::support::{SigningKey, TestServer, is_allow, reference, repository};

/// The provider's process.
#[derive(Debug)]
struct Provider {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Provider {
    /// Started on a free port; none where it is not installed, which continuous integration does not accept.
    fn start() -> Option<Self> {
        let folder = repository().join("target/tools/oidc");
        if !folder.join("node_modules/oauth2-mock-server").is_dir() {
            assert!(std::env::var_os("CI").is_none(), "no provider in {}: run `make oidc`", folder.display());
            eprintln!("SKIPPED: no OpenID provider; run `make oidc`");
            return None;
        }
        let script: PathBuf = repository().join("tests/oidc/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut provider = Self { child, commands, answers, url: String::new() };
        let port = provider.tell(&json!({"command": "start"}))["port"].clone();
        provider.url = format!("http://127.0.0.1:{port}");
        Some(provider)
    }

    fn tell(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").expect("the provider listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn generate(&mut self, alg: &str) -> String {
        let made = self.tell(&json!({"command": "generate", "alg": alg}));
        made["kid"].as_str().unwrap().to_owned()
    }

    /// A token of ana, who sends the bot.
    fn token(&mut self, kid: &str) -> String {
        let (url, sub) = (self.url.clone(), "ana");
        let claims =
            json!({"iss": url, "aud": [AUDIENCE], "sub": sub, "client_id": "console", "scope": "docs"});
        let made = self
            .tell(&json!({"command": "token", "kid": kid, "header": {"typ": "at+jwt"}, "claims": claims}));
        made["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn keys_rotate_while_a_real_provider_serves() {
    let Some(mut provider) = Provider::start() else { return };
    let first = provider.generate("RS256");
    let issuer = Issuer::new(SigningKey::p256());
    let url = provider.url.clone();
    let mut config = issuer.config_of(&format!(
        "[[issuers]]\nissuer = '{url}'\naudience = '{AUDIENCE}'\nprofile = 'rfc8693'\njwks_url = '{url}/jwks'\nid_prefix = ''\n"
    ));
    config.issuers[0].limits.refetch = Duration::from_millis(50);
    let server = TestServer::with_config(&config);
    let read =
        || server.metrics().value(&format!("pdp_jwks_looks_total{{issuer=\"{url}\",outcome=\"read\"}}"));
    let old = provider.token(&first);
    let answer = server.authorize(ask("view", &old)).unwrap();
    assert!(is_allow(&answer), "{answer:?}");
    assert_eq!(answer.principal, Some(reference("Mandate::User", "ana")));
    assert_eq!(read(), 1.0);
    let second = provider.generate("ES256");
    let new = provider.token(&second);
    assert!(is_allow(&server.authorize(ask("view", &new)).unwrap()));
    assert_eq!(read(), 2.0, "one look found the new key");
    assert!(is_allow(&server.authorize(ask("view", &old)).unwrap()), "both are published");
    provider.tell(&json!({"command": "remove", "kid": first}));
    let third = provider.generate("ES384");
    let newest = provider.token(&third);
    until("the newest key is found", || server.authorize(ask("view", &newest)).is_ok());
    check_refused(server.authorize(ask("view", &old)), "key");
    assert!(is_allow(&server.authorize(ask("view", &new)).unwrap()));
    let later = provider.token(&second);
    provider.tell(&json!({"command": "stop"}));
    assert!(is_allow(&server.authorize(ask("view", &later)).unwrap()), "down, and within the bound");
}
