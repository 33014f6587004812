//! Who may ask, as it is written: TLS, trust domains, callers that are principals themselves.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use super::issuers::{self, WrittenIssuer};
use super::tls::TlsConfig;
use crate::identity::issuer::IssuerConfig;
use crate::identity::own::{OwnPrincipal, OwnPrincipals};
use crate::identity::svid::spiffe_id;

/// A trust domain whose workloads may call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpiffeTrust {
    /// Whose: `example.org`.
    ///
    /// Required.
    pub trust_domain: String,
    /// The file of its authorities' certificates, in PEM. Not written: the Workload API gives them.
    pub bundle: Option<PathBuf>,
}

/// Who may ask, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallersConfig {
    /// Folder of the policies that say what callers may ask.
    pub policies: PathBuf,
    /// Trust domains whose workloads may call.
    pub spiffe: Vec<SpiffeTrust>,
    /// Issuers whose tokens name callers.
    pub issuers: Vec<IssuerConfig>,
    /// Callers that are principals themselves.
    pub own: OwnPrincipals,
    /// Whether administrators authenticate as callers do, rather than by the token of the data directory.
    pub control: bool,
}

impl CallersConfig {
    /// Whether callers are authenticated.
    #[must_use]
    pub fn authenticated(&self) -> bool {
        !(self.spiffe.is_empty() && self.issuers.is_empty())
    }
}

/// `[callers]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// Whether callers that nobody authenticates are served beyond loopback.
    ///
    /// Default `false`.
    pub(super) insecure_unauthenticated: bool,
    /// Trust domains whose workloads may call, by their X.509-SVIDs.
    spiffe: Vec<SpiffeTrust>,
    /// Issuers whose bearer tokens name callers.
    issuers: Vec<WrittenIssuer>,
    /// Callers that are principals themselves.
    #[serde(rename = "self")]
    own: Vec<Own>,
}

/// `[control]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Control {
    /// Whether administrators authenticate as callers do, over TLS, rather than by `control.token`.
    ///
    /// Default `false`.
    callers: bool,
}

/// `[[callers.self]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The caller's name; `*` at the end stands for one part of it.
    ///
    /// Required.
    caller: String,
    /// The principal's type.
    ///
    /// Required.
    principal_type: String,
    /// Its id, where `caller` does not end with `*`.
    principal_id: Option<String>,
}

impl Written {
    pub(super) fn meaning(self, policies: PathBuf, control: &Control) -> Result<CallersConfig, ConfigError> {
        let mut named = HashSet::new();
        for SpiffeTrust { trust_domain, .. } in &self.spiffe {
            let wrong = |why: &str| ConfigError::Callers(format!("`callers.spiffe`: `{trust_domain}` {why}"));
            let is_one = spiffe_id(&format!("spiffe://{trust_domain}"))
                .is_ok_and(|id| id.trust_domain_name() == trust_domain);
            if !is_one {
                return Err(wrong("is no trust domain; write it as `example.org`"));
            }
            if !named.insert(trust_domain.as_str()) {
                return Err(wrong("is there twice; put all its authorities into one bundle"));
            }
        }
        let own = self.own.iter().map(|Own { caller, principal_type, principal_id }| {
            OwnPrincipal::new(caller, principal_type, principal_id.as_deref())
                .map_err(|error| ConfigError::Callers(format!("`callers.self`: `{caller}`: {error}")))
        });
        let own = OwnPrincipals::new(own.collect::<Result<_, _>>()?);
        Ok(CallersConfig {
            policies,
            spiffe: self.spiffe,
            issuers: issuers::of_callers(self.issuers)?,
            own,
            control: control.callers,
        })
    }
}

/// What contradicts itself, or would be safe only by its name.
pub(super) fn check(
    tls: Option<&TlsConfig>,
    callers: &CallersConfig,
    insecure: bool,
) -> Result<(), ConfigError> {
    let refuse = |why: &str| Err(ConfigError::Callers(why.to_owned()));
    if tls.is_none() && !callers.spiffe.is_empty() {
        return refuse("`callers.spiffe` needs `[tls]`: certificates are shown in TLS and nowhere else");
    }
    let without = callers.spiffe.iter().find(|trust| trust.bundle.is_none());
    if let Some(SpiffeTrust { trust_domain, .. }) = without
        && !tls.is_some_and(TlsConfig::is_of_workload_api)
    {
        return refuse(&format!(
            "`callers.spiffe`: `{trust_domain}` has no `bundle`: name its file, or have the Workload API give it (`tls.workload_api`)"
        ));
    }
    if callers.authenticated() && insecure {
        return refuse(
            "callers are authenticated by `callers.spiffe` or `callers.issuers`, and `callers.insecure_unauthenticated` says that they are \
             not: write one of them",
        );
    }
    if callers.control && !(callers.authenticated() && tls.is_some()) {
        return refuse(
            "`control.callers` needs `[tls]` and callers that are authenticated: see `callers.spiffe` and `callers.issuers`",
        );
    }
    Ok(())
}
