//! `kind = "nats"`: a stream of NATS JetStream.

use std::collections::HashSet;
use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

use super::{Limits, Wrong, timeout};
use crate::audit::sinks::config::{NatsConfig, NatsCredentials};
use crate::config::written::Span;
use crate::outbound;

/// A sink of this kind, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Nats {
    /// How much is delivered at once.
    #[serde(default)]
    pub(super) batch: Limits,
    /// URLs of servers of one cluster: all `tls://`, or all `nats://` on this host.
    ///
    /// Required.
    servers: Vec<String>,
    /// The subject of messages, without wildcards.
    ///
    /// Required.
    subject: String,
    /// The JetStream stream that must take them. Not written: any that does.
    stream: Option<String>,
    /// File of credentials (`.creds`). Or `token_file`, or `user` and `password_file`.
    credentials_file: Option<PathBuf>,
    /// File of a token.
    token_file: Option<PathBuf>,
    /// A user's name.
    user: Option<String>,
    /// File of the user's password.
    password_file: Option<PathBuf>,
    /// Authorities to trust, in PEM, instead of the system's.
    ca_file: Option<PathBuf>,
    /// How long a delivery may take.
    ///
    /// Default `"10s"`, from `"100ms"` to `"5m"`.
    timeout: Option<Span>,
    /// Whether the log may cross a network unencrypted.
    ///
    /// Default `false`.
    #[serde(default)]
    insecure_plaintext: bool,
}

impl Nats {
    pub(super) fn meaning(self) -> Result<NatsConfig, Wrong> {
        let tls = self.tls()?;
        if self.ca_file.is_some() && !tls {
            return Err(("ca_file", "is for servers with TLS: write them as tls://host:4222".to_owned()));
        }
        let is_token = |text: &str| {
            !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !is_token(&self.subject) || self.subject.contains(['*', '>']) {
            return Err((
                "subject",
                "must be one subject without wildcards, such as mandate.decisions".to_owned(),
            ));
        }
        if self
            .stream
            .as_deref()
            .is_some_and(|stream| !is_token(stream) || stream.contains(['.', '*', '>', '/', '\\']))
        {
            return Err(("stream", "must be the name of a stream, such as MANDATE".to_owned()));
        }
        Ok(NatsConfig {
            tls,
            credentials: self.credentials()?,
            servers: self.servers,
            subject: self.subject,
            stream: self.stream,
            ca_file: self.ca_file,
            timeout: timeout(self.timeout)?,
        })
    }

    /// Whether connections are encrypted: all, or none.
    fn tls(&self) -> Result<bool, Wrong> {
        let wrong = |why: &str| Err(("servers", why.to_owned()));
        let mut secured = HashSet::new();
        for server in &self.servers {
            let url: Result<Uri, _> = server.parse();
            let Ok(url) = url else { return wrong("must be URLs, such as tls://nats.example:4222") };
            let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
                return wrong("must be whole URLs, such as tls://nats.example:4222");
            };
            if authority.as_str().contains('@') {
                return wrong("must not hold a user name, password or token: see `credentials_file`");
            }
            let local = outbound::is_this_host(authority.host());
            match scheme {
                "tls" => secured.insert(true),
                "nats" if local || self.insecure_plaintext => secured.insert(false),
                "nats" => return wrong(PLAINTEXT_NATS),
                _ => return wrong("must begin with tls:// or nats://"),
            };
        }
        match (secured.contains(&true), secured.contains(&false)) {
            (true, true) => wrong("must all have TLS, or none of them"),
            (false, false) => wrong("must name one server at least"),
            (tls, _) => Ok(tls),
        }
    }

    fn credentials(&self) -> Result<NatsCredentials, Wrong> {
        let given = (&self.credentials_file, &self.token_file, &self.user, &self.password_file);
        match given {
            (None, None, None, None) => Ok(NatsCredentials::None),
            (Some(file), None, None, None) => Ok(NatsCredentials::File(file.clone())),
            (None, Some(file), None, None) => Ok(NatsCredentials::Token(file.clone())),
            (None, None, Some(user), Some(file)) => Ok(NatsCredentials::Password(user.clone(), file.clone())),
            (None, None, _, _) => Err(("user", "and `password_file` go together".to_owned())),
            _ => Err((
                "credentials_file",
                "`token_file` and `user` are each a way to say who this is: set one of them".to_owned(),
            )),
        }
    }
}

const PLAINTEXT_NATS: &str = "must be tls://: over plain nats:// everybody on the way reads the decision log. \
     Plain is for this host alone, unless `insecure_plaintext = true` accepts the risk";
