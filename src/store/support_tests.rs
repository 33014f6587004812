//! Folders and running loaders for the tests of this module.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Store;
use super::data_dir::{DataDir, DataDirError};
use super::directory::Folders;
use super::entity_log::EntityLogConfig;
use super::loader::{
    Command, CommandError, Ended, Loader, LoaderConfig, LoaderHandle, LoaderStatus, OpenError, Served,
};
use super::provenance::Signers;
use crate::engine::compile::Options;
use crate::engine::digest;
use crate::engine::problem::Report;

/// Long enough for anything that must happen, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long };
  action read;
  action view in [read] appliesTo { principal: [User], resource: [Doc] };
}
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 1}, "parents": []},
  {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {"level": 1}, "parents": []}
]"#;

/// A permit with that id.
pub(super) fn permit(id: &str) -> String {
    format!("@id(\"{id}\")\npermit (principal, action, resource);\n")
}

/// A forbid with that id.
pub(super) fn forbid(id: &str) -> String {
    format!("@id(\"{id}\")\nforbid (principal, action, resource);\n")
}

/// Sources that load, and a data directory, in a folder of their own.
#[derive(Debug)]
pub(super) struct Site {
    root: TempDir,
}

impl Site {
    pub(super) fn new() -> Self {
        let site = Self { root: tempfile::tempdir().unwrap() };
        site.write("policies/base.cedar", permit("base"));
        site.write("schemas/small.cedarschema", SCHEMA);
        site.write("entities/base.json", ENTITIES);
        site
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes beside the file and renames, as editors do.
    pub(super) fn rename_in(&self, path: &str, content: &str) {
        let temporary = self.path(&format!("{path}~"));
        fs::write(&temporary, content).unwrap();
        fs::rename(temporary, self.path(path)).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.path(path);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Makes a folder a mounted ConfigMap, with files of that name and text, and swaps it if it is one already.
    pub(super) fn mount(&self, folder: &str, version: &str, files: &[(&str, &str)]) {
        let folder = self.path(folder);
        fs::create_dir_all(folder.join(version)).unwrap();
        for (name, text) in files {
            fs::write(folder.join(version).join(name), text).unwrap();
            if fs::symlink_metadata(folder.join(name)).is_err() {
                symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
            }
        }
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    /// Writes the manifest of all folders, of the files as they are.
    pub(super) fn seal(&self) {
        let lines =
            ["policies", "schemas", "entities"].map(|folder| self.sums(folder, &format!("{folder}/")));
        self.write("mandate.sum", lines.concat());
    }

    /// The lines `sha256sum` writes of a folder's files.
    pub(super) fn sums(&self, folder: &str, prefix: &str) -> String {
        let mut lines: Vec<_> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file() && entry.file_name() != "mandate.sum")
            .map(|entry| {
                let sum = digest::of_bytes(&fs::read(entry.path()).unwrap());
                let sum = sum.strip_prefix("sha256:").unwrap().to_owned();
                format!("{sum}  {prefix}{}\n", entry.file_name().to_string_lossy())
            })
            .collect();
        lines.sort();
        lines.concat()
    }

    pub(super) fn folders(&self) -> Folders {
        Folders {
            policies: self.path("policies"),
            schemas: self.path("schemas"),
            entities: self.path("entities"),
        }
    }

    pub(super) fn config(&self) -> LoaderConfig {
        LoaderConfig {
            folders: self.folders(),
            emergency: self.path("emergency"),
            revocations: self.path("revocations.json"),
            options: Options::default(),
            watch: false,
            poll: Duration::from_millis(10),
            settle: Duration::from_millis(40),
            serve_last_known_good: true,
            signers: Signers::default(),
            cache_bytes: None,
            entity_log: EntityLogConfig::default(),
            progress: Arc::default(),
        }
    }

    pub(super) fn start(&self) -> Running {
        self.try_start(self.config()).unwrap()
    }

    pub(super) fn try_start(&self, config: LoaderConfig) -> Result<Running, OpenError> {
        let data = open_data(&self.path("data"));
        let (loader, store, found) = Loader::open(config, &data)?;
        Ok(Running { handle: loader.spawn().unwrap(), store, found, _data: data })
    }
}

/// A loader at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) handle: LoaderHandle,
    pub(super) store: Arc<Store>,
    pub(super) found: Report,
    _data: DataDir,
}

impl Running {
    /// Ids of the policies that are served.
    pub(super) fn ids(&self) -> Vec<String> {
        ids(&self.store)
    }

    pub(super) fn generation(&self) -> String {
        self.store.current().world.generation.hash.to_string()
    }

    pub(super) fn status(&self) -> Arc<LoaderStatus> {
        self.handle.status()
    }

    pub(super) fn ask(&self, command: Command) -> Result<Served, CommandError> {
        self.handle.commands.send(command).blocking_recv().unwrap()
    }

    pub(super) fn roll_back(&self, generation: &str) -> Result<Served, CommandError> {
        self.ask(Command::Rollback { generation: generation.to_owned() })
    }

    /// Waits until something holds.
    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "{what}: never; {:#?}", self.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub(super) fn until_serving(&self, ids: &[&str]) {
        self.until(&format!("serving {ids:?}"), |running| {
            running.ids() == ids && running.status().generation == running.generation()
        });
    }

    #[track_caller]
    pub(super) fn until_rejected(&self, saying: &str) {
        self.until(&format!("rejected for `{saying}`"), |running| {
            running.status().last_load.problems.iter().any(|text| text.contains(saying))
        });
    }

    /// Fails if anything else than now is served within a time in which the loader would have loaded many times.
    #[track_caller]
    pub(super) fn stays(&self, what: &str) {
        let served = self.store.current().sequence;
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self.store.current().sequence, served, "{what}: {:?}", self.ids());
    }

    /// Stops, and gives the data directory free.
    pub(super) fn stop(self) {
        assert_eq!(self.handle.stop(PATIENCE), Some(Ended::Stopped));
    }
}

pub(super) fn ids(store: &Store) -> Vec<String> {
    store.current().world.generation.policies.iter().map(|policy| policy.id.to_string()).collect()
}

/// Opens a data directory that was given free. A process that another test is about to start may still have its lock.
pub(super) fn open_data(path: &Path) -> DataDir {
    let start = Instant::now();
    loop {
        match DataDir::open(path) {
            Err(DataDirError::Held(_)) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Texts of the errors of a report.
pub(super) fn errors(report: &Report) -> Vec<String> {
    report.errors().map(ToString::to_string).collect()
}
