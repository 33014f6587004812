//! Source folders, written for one test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mandate::audit::ledger;
use mandate::config::{Config, ConfigError, Overrides};
use mandate::engine::compile::compile;
use mandate::store::directory;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::command::mandate;

/// The repository, whose folders are the shipped sources.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The configuration of the shipped sources.
pub(crate) fn repository_config() -> Config {
    config_of(repository())
}

fn config_of(folder: &Path) -> Config {
    patient(Config::load(None, overrides_of(folder)).expect("a configuration"))
}

/// Under which nobody is turned away for having to wait: builds with all checks are slow, and so is a machine that runs tests.
fn patient(mut config: Config) -> Config {
    config.limits.load.queue_delay = Duration::from_secs(60);
    config
}

fn overrides_of(folder: &Path) -> Overrides {
    Overrides {
        policies: Some(folder.join("policies")),
        schemas: Some(folder.join("schemas")),
        entities: Some(folder.join("entities")),
        emergency: Some(folder.join("emergency")),
        ..Overrides::default()
    }
}

/// A user, a document and one action: the least a question needs.
pub(crate) const SMALL_SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long, next?: Doc };
  action view appliesTo { principal: [User], resource: [Doc], context: { @log("clear") count?: Long, about?: Doc } };
}
"#;

/// Policies, schemas and entities in a folder of their own.
#[derive(Debug)]
pub(crate) struct Sources {
    folder: TempDir,
    counters: TempDir,
}

/// What `mandate validate` says.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) valid: bool,
    pub(crate) problems: Vec<Value>,
}

impl Verdict {
    /// The problems that stop the load, each as `file:line: message`, the file by its name alone.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.of_severity("error")
    }

    /// The problems that do not.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.of_severity("warning")
    }

    fn of_severity(&self, severity: &str) -> Vec<String> {
        self.problems.iter().filter(|problem| problem["severity"] == severity).map(described).collect()
    }
}

fn described(problem: &Value) -> String {
    let file = problem["file"].as_str().expect("every problem names its file");
    let name = file.rsplit('/').next().unwrap_or(file);
    let line = problem["line"].as_u64().map_or_else(|| "-".to_owned(), |line| line.to_string());
    format!("{name}:{line}: {}", problem["message"].as_str().expect("a message"))
}

impl Sources {
    /// Three empty folders.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for kind in ["policies", "schemas", "entities"] {
            fs::create_dir(folder.path().join(kind)).expect("a folder");
        }
        let counters = tempfile::tempdir_in(ledger::FOLDER).expect("memory");
        Self { folder, counters }
    }

    /// Sources that load: `ana` may view the document `plan`.
    pub(crate) fn small() -> Self {
        Self::empty()
            .schema("small.cedarschema", SMALL_SCHEMA)
            .policy("base.cedar", "@id(\"base\")\npermit (principal, action, resource);\n")
            .entities("base.json", &json!([user("ana"), doc("plan", &[])]))
    }

    pub(crate) fn policy(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(&format!("policies/{name}"), text)
    }

    pub(crate) fn schema(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(&format!("schemas/{name}"), text)
    }

    pub(crate) fn entities(self, name: &str, entities: &Value) -> Self {
        self.write(&format!("entities/{name}"), entities.to_string())
    }

    /// Writes any file of the folder.
    pub(crate) fn write(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(path), content).expect("written");
        self
    }

    /// Replaces a file at once: no reader sees a part of it.
    pub(crate) fn replace(&self, path: &str, content: impl AsRef<[u8]>) {
        let whole = self.path("replacement");
        fs::write(&whole, content).expect("written");
        fs::rename(whole, self.path(path)).expect("renamed");
    }

    /// The configuration of sources that a test changes: they are looked at all the time.
    pub(crate) fn restless_config(&self) -> Config {
        let mut config = self.config();
        config.reload.poll = Duration::from_millis(50);
        config.reload.settle = Duration::ZERO;
        config
    }

    /// Writes any file of the folder, under a running server.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(path), content).expect("written");
    }

    /// The generation that they compile to.
    pub(crate) fn generation(&self) -> String {
        let config = self.config();
        let sources = directory::read(&config.folders).unwrap_or_else(|report| panic!("{report}"));
        let loaded = compile(&sources, &config.options).unwrap_or_else(|report| panic!("{report}"));
        loaded.world.generation.hash.to_string()
    }

    /// What `sha256sum` says of their files.
    pub(crate) fn manifest(&self) -> String {
        let mut lines = String::new();
        for kind in ["policies", "schemas", "entities"] {
            let mut paths: Vec<_> = fs::read_dir(self.path(kind))
                .expect("a folder")
                .map(|entry| entry.expect("a file").path())
                .collect();
            paths.sort();
            for path in paths.iter().filter(|path| path.is_file()) {
                let name = path.file_name().expect("a name").to_string_lossy();
                let sum = Sha256::digest(fs::read(path).expect("a file"));
                let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
                lines += &format!("{digits}  {kind}/{name}\n");
            }
        }
        lines
    }

    /// Takes a file or folder away.
    pub(crate) fn without(self, path: &str) -> Self {
        let path = self.path(path);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.expect("it was there");
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Where servers of these sources count, over many starts: in memory, as everywhere, for on a disk each answer costs a call of the
    /// system more and wakes who watches the sources. In a folder of its own, for what is killed leaves its counters, and they are to
    /// go with the test.
    pub(crate) fn counters(&self) -> &Path {
        self.counters.path()
    }

    pub(crate) fn config(&self) -> Config {
        config_of(self.folder.path())
    }

    /// The configuration that a file says, or what is wrong with it.
    pub(crate) fn config_written(&self, toml: &str) -> Result<Config, ConfigError> {
        let file = self.path("mandate.toml");
        fs::write(&file, toml).expect("written");
        Config::load(Some(&file), overrides_of(self.folder.path())).map(patient)
    }

    /// The flags that point a command at these sources.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let kinds = ["policies", "schemas", "entities"];
        kinds.iter().flat_map(|kind| [format!("--{kind}").into(), self.path(kind).into()]).collect()
    }

    /// What `mandate validate --format json` says of them.
    #[track_caller]
    pub(crate) fn validate(&self) -> Verdict {
        let arguments = ["validate", "--format", "json"].map(OsString::from);
        let finished = mandate(arguments.into_iter().chain(self.flags()));
        let answer = finished.json();
        let valid = answer["valid"] == json!(true);
        finished.check_code(if valid { 0 } else { 3 });
        Verdict { valid, problems: answer["problems"].as_array().expect("a list").clone() }
    }
}

/// An entity of the small schema.
pub(crate) fn user(id: &str) -> Value {
    json!({"uid": {"type": "Mandate::User", "id": id}, "attrs": {"level": 1}, "parents": []})
}

/// An entity of the small schema, in others of its type.
pub(crate) fn doc(id: &str, parents: &[&str]) -> Value {
    let parents: Vec<_> = parents.iter().map(|id| json!({"type": "Mandate::Doc", "id": id})).collect();
    json!({"uid": {"type": "Mandate::Doc", "id": id}, "attrs": {"level": 1}, "parents": parents})
}
