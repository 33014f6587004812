//! Configuration: what was written (file, environment, flags), and what it means.
//!
//! A later source wins: built-in defaults, the TOML file, `MANDATE__SECTION__KEY` in the environment, flags. An
//! unknown key is an error wherever it stands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use serde::Deserialize;

use crate::engine::catalog::Domain;
use crate::engine::compile::Options;
use crate::engine::generation::OnPolicyError;
use crate::store::directory::Folders;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the sources are.
    pub folders: Folders,
    /// How they compile.
    pub options: Options,
    /// Where to listen.
    pub listen: Listen,
    /// Serve callers that have not authenticated on addresses other hosts can reach.
    pub insecure_unauthenticated_callers: bool,
}

/// Addresses to listen on; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// gRPC.
    pub data: SocketAddr,
    /// AuthZEN.
    pub http: SocketAddr,
}

/// Flags that override what files and environment say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Folder of policies.
    pub policies: Option<PathBuf>,
    /// Folder of schemas.
    pub schemas: Option<PathBuf>,
    /// Folder of entities.
    pub entities: Option<PathBuf>,
    /// gRPC address.
    pub data: Option<SocketAddr>,
    /// HTTP address.
    pub http: Option<SocketAddr>,
    /// See [`Config::insecure_unauthenticated_callers`].
    pub insecure_unauthenticated_callers: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist.
    #[error("configuration file `{0}` does not exist")]
    Missing(PathBuf),
    /// A key or value is wrong; the message names it and where it stands.
    #[error("{0}")]
    Invalid(Box<figment::Error>),
    /// Others could reach a listener that authenticates nobody.
    #[error(
        "`{listener}` would listen on {address}, which other hosts can reach, and callers are not authenticated: \
         listen on loopback, or accept the risk with --insecure-unauthenticated-callers"
    )]
    Exposed {
        /// The listener's name in the configuration.
        listener: &'static str,
        /// Its address.
        address: SocketAddr,
    },
}

/// What was written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    sources: WrittenSources,
    listen: WrittenListen,
    decisions: WrittenDecisions,
    domain: WrittenDomain,
    callers: WrittenCallers,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenSources {
    policies: Option<PathBuf>,
    schemas: Option<PathBuf>,
    entities: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenListen {
    data: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenDecisions {
    on_policy_error: OnPolicyError,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenDomain {
    namespace: Option<String>,
    user: Option<String>,
    chain_required: Option<Vec<String>>,
    autonomous: Option<String>,
    tool: Option<String>,
    call_tool: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenCallers {
    insecure_unauthenticated: bool,
}

impl Config {
    /// Reads a configuration file, the environment and flags.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and where it was written.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::Missing(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let written: Written = figment
            .merge(Env::prefixed("MANDATE__").split("__"))
            .extract()
            .map_err(|error| ConfigError::Invalid(Box::new(error)))?;
        written.meaning(overrides)
    }
}

impl Written {
    fn meaning(self, flags: Overrides) -> Result<Config, ConfigError> {
        let folder = |flag: Option<PathBuf>, written: Option<PathBuf>, default: &str| {
            flag.or(written).unwrap_or_else(|| PathBuf::from(default))
        };
        let config = Config {
            folders: Folders {
                policies: folder(flags.policies, self.sources.policies, "policies"),
                schemas: folder(flags.schemas, self.sources.schemas, "schemas"),
                entities: folder(flags.entities, self.sources.entities, "entities"),
            },
            options: Options {
                on_policy_error: self.decisions.on_policy_error,
                domain: self.domain.meaning(),
            },
            listen: Listen {
                data: flags.data.or(self.listen.data).unwrap_or(loopback(4466)),
                http: flags.http.or(self.listen.http).unwrap_or(loopback(4467)),
            },
            insecure_unauthenticated_callers: flags.insecure_unauthenticated_callers
                || self.callers.insecure_unauthenticated,
        };
        config.check_exposure().map(|()| config)
    }
}

impl WrittenDomain {
    fn meaning(self) -> Domain {
        let defaults = Domain::in_namespace(self.namespace.as_deref().unwrap_or("Mandate"));
        Domain {
            namespace: defaults.namespace,
            user: self.user.unwrap_or(defaults.user),
            chain_required: self.chain_required.unwrap_or(defaults.chain_required),
            autonomous: self.autonomous.unwrap_or(defaults.autonomous),
            tool: self.tool.unwrap_or(defaults.tool),
            call_tool: self.call_tool.unwrap_or(defaults.call_tool),
        }
    }
}

impl Config {
    /// Without caller authentication only this host may ask (C2).
    fn check_exposure(&self) -> Result<(), ConfigError> {
        let listeners = [("listen.data", self.listen.data), ("listen.http", self.listen.http)];
        let exposed = listeners.into_iter().find(|(_, address)| !address.ip().is_loopback());
        match exposed {
            Some((listener, address)) if !self.insecure_unauthenticated_callers => {
                Err(ConfigError::Exposed { listener, address })
            }
            _ => Ok(()),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, overrides: Overrides) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mandate.toml");
        std::fs::write(&file, toml).unwrap();
        Config::load(Some(&file), overrides)
    }

    #[test]
    fn a_file_and_flags_override_defaults_in_that_order() {
        let flags = Overrides { policies: Some("elsewhere".into()), ..Overrides::default() };
        let written = "[sources]\npolicies = 'a'\nschemas = 'b'\n[decisions]\non_policy_error = 'strict'\n";
        let config = load(written, flags).unwrap();
        assert_eq!(config.folders.policies, PathBuf::from("elsewhere"));
        assert_eq!(config.folders.schemas, PathBuf::from("b"));
        assert_eq!(config.folders.entities, PathBuf::from("entities"));
        assert_eq!(config.options.on_policy_error, OnPolicyError::Strict);
        assert_eq!(config.listen.data, loopback(4466));
    }

    #[test]
    fn an_unknown_key_or_value_is_refused_and_named() {
        for (written, named) in [
            ("[listen]\nprot = 1\n", "prot"),
            ("colour = 'red'\n", "colour"),
            ("[decisions]\non_policy_error = 'allow'\n", "allow"),
            ("[listen]\ndata = 'somewhere'\n", "listen.data"),
        ] {
            let error = load(written, Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn listening_beyond_loopback_must_be_asked_for_by_its_name() {
        let data = Some(SocketAddr::from(([0, 0, 0, 0], 4466)));
        let exposed = Overrides { data, ..Overrides::default() };
        assert!(matches!(
            load("", exposed.clone()),
            Err(ConfigError::Exposed { listener: "listen.data", .. })
        ));
        let accepted = Overrides { insecure_unauthenticated_callers: true, ..exposed };
        assert!(load("", accepted).unwrap().insecure_unauthenticated_callers);
    }

    #[test]
    fn a_domain_takes_its_names_from_its_namespace() {
        let config =
            load("[domain]\nnamespace = 'Acme'\ncall_tool = 'invoke'\n", Overrides::default()).unwrap();
        assert_eq!(config.options.domain.user, "Acme::User");
        assert_eq!(config.options.domain.chain_required, ["Acme::Agent"]);
        assert_eq!(config.options.domain.call_tool, "invoke");
    }
}
