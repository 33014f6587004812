//! Which servers are measured, and which of their settings this build of Mandate knows.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Attempt;
use crate::process::mandate;
use crate::sources::Sources;

/// A key of the configuration, as the environment gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    key: &'static str,
    value: &'static str,
    /// A build without the key behaves as if it were set so.
    implied: bool,
}

const CACHE_ON: Setting = Setting { key: "MANDATE__CACHE__ENABLED", value: "true", implied: false };
const CACHE_OFF: Setting = Setting { key: "MANDATE__CACHE__ENABLED", value: "false", implied: true };
const LOG_ON: Setting = Setting { key: "MANDATE__LOG__MODE", value: "async", implied: false };
/// A record that is dropped costs nothing, and would flatter the log.
const LOG_ALL: Setting = Setting { key: "MANDATE__LOG__OVERFLOW", value: "block", implied: true };
const LOG_OFF: Setting = Setting { key: "MANDATE__LOG__MODE", value: "off", implied: true };

/// A configuration that is measured.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    settings: &'static [Setting],
}

/// Everything that is measured besides the echo. The first that this build knows also gives the echo its answers.
pub(crate) static CONFIGURATIONS: [Configuration; 4] = [
    Configuration { name: "uncached, no log", settings: &[CACHE_OFF, LOG_OFF] },
    Configuration { name: "uncached, with the log", settings: &[CACHE_OFF, LOG_ON, LOG_ALL] },
    Configuration { name: "cached, no log", settings: &[CACHE_ON, LOG_OFF] },
    Configuration { name: "cached, with the log", settings: &[CACHE_ON, LOG_ON, LOG_ALL] },
];

/// What keeps servers of a benchmark from each other's ports and from waiting for load balancers.
const HYGIENE: [Setting; 3] = [
    Setting { key: "MANDATE__LISTEN__OPS", value: "127.0.0.1:0", implied: true },
    Setting { key: "MANDATE__LISTEN__CONTROL", value: "127.0.0.1:0", implied: true },
    Setting { key: "MANDATE__SHUTDOWN__GRACE", value: "0s", implied: true },
];

/// Where a server that keeps anything keeps it; the folder is each server's own.
pub(crate) const DATA_DIRECTORY: &str = "MANDATE__DATA__DIRECTORY";

impl Configuration {
    /// Whether answers are expected to come from the cache.
    pub(crate) fn is_cached(&self) -> bool {
        self.settings.contains(&CACHE_ON)
    }

    /// The settings this build lacks, where lacking them means another behaviour.
    pub(crate) fn missing(&self, known: &Known) -> Vec<&'static str> {
        let missing = self.settings.iter().filter(|setting| !setting.implied && !known.contains(setting.key));
        missing.map(|setting| setting.key).collect()
    }

    /// The environment of a server, `data` being the folder it may write to.
    pub(crate) fn environment(&self, known: &Known, data: &Path) -> Vec<(&'static str, String)> {
        let settings = self.settings.iter().chain(&HYGIENE);
        let mut environment: Vec<_> = settings
            .filter(|setting| known.contains(setting.key))
            .map(|setting| (setting.key, setting.value.to_owned()))
            .collect();
        if known.contains(DATA_DIRECTORY) {
            environment.push((DATA_DIRECTORY, data.display().to_string()));
        }
        environment
    }
}

/// The keys that the binary under test knows.
#[derive(Debug)]
pub(crate) struct Known(Vec<&'static str>);

impl Known {
    /// Asks the binary, key by key: an unknown one is an error that names it.
    ///
    /// # Errors
    /// The binary rejects the sources, or a value.
    pub(crate) fn probe(sources: &Sources) -> Attempt<Self> {
        let measured = CONFIGURATIONS.iter().flat_map(|configuration| configuration.settings);
        let settings = measured.chain(&HYGIENE).map(|setting| (setting.key, setting.value));
        let mut known = Vec::new();
        let mut asked = Vec::new();
        for (key, value) in settings.chain([(DATA_DIRECTORY, "data")]) {
            if asked.contains(&key) {
                continue;
            }
            asked.push(key);
            if knows(sources, key, value)? {
                known.push(key);
            }
        }
        Ok(Self(known))
    }

    fn contains(&self, key: &str) -> bool {
        self.0.contains(&key)
    }
}

/// Whether the binary reads a configuration with this key. `validate` reads it and binds nothing.
fn knows(sources: &Sources, key: &str, value: &str) -> Attempt<bool> {
    let output = mandate(&mut Command::new(env!("CARGO_BIN_EXE_mandate")))
        .arg("validate")
        .args(sources.flags())
        .env(key, value)
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(true),
        false if said.contains("unknown field") => Ok(false),
        false => Err(format!("`mandate validate` with {key}={value} fails: {said}").into()),
    }
}
