//! Reading sources from folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::compile::Sources;
use crate::engine::guard::MAX_FILE_BYTES;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// Most files of one kind.
const MAX_FILES: usize = 10_000;

/// Where the sources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `*.cedar` and `*.links.json`.
    pub policies: PathBuf,
    /// `*.cedarschema`, `*.cedarschema.json` and `*.tools.json`.
    pub schemas: PathBuf,
    /// `*.json`. A folder that does not exist holds no entities.
    pub entities: PathBuf,
}

/// Reads every source file directly in the folders, by name. Other files are left alone.
///
/// # Errors
/// A [`Report`] naming each path that cannot be read.
pub fn read(folders: &Folders) -> Result<Sources, Report> {
    let mut report = Report::default();
    let mut sources = Sources::default();
    for file in files(&folders.policies, &mut report) {
        let kind = if file.name.ends_with(".cedar") {
            &mut sources.policies
        } else if file.name.ends_with(".links.json") {
            &mut sources.links
        } else {
            continue;
        };
        kind.push(file);
    }
    for file in files(&folders.schemas, &mut report) {
        let kind = if file.name.ends_with(".tools.json") {
            &mut sources.definitions
        } else if file.name.ends_with(".cedarschema") || file.name.ends_with(".cedarschema.json") {
            &mut sources.schemas
        } else {
            continue;
        };
        kind.push(file);
    }
    if folders.entities.exists() {
        let entities = files(&folders.entities, &mut report);
        sources.entities.extend(entities.into_iter().filter(|file| file.name.ends_with(".json")));
    }
    if report.rejects() { Err(report) } else { Ok(sources) }
}

/// Every readable regular file of a folder, sorted by name. Hidden names (`..data` of a mounted ConfigMap, editors'
/// temporary files) are not sources.
fn files(folder: &Path, report: &mut Report) -> Vec<SourceFile> {
    let unreadable = |path: &Path, error: &io::Error| {
        Problem::error(&Place::new(&path.display().to_string(), ""), format!("cannot be read: {error}"))
    };
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => {
            report.push(unreadable(folder, &error));
            return Vec::new();
        }
    };
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(|path| is_source(path)).collect();
    paths.sort();
    if paths.len() > MAX_FILES {
        let place = Place::new(&folder.display().to_string(), "");
        let message = format!("holds {} source files; at most {MAX_FILES} are read", paths.len());
        report.push(Problem::error(&place, message));
        return Vec::new();
    }
    let read = paths.iter().filter_map(|path| match read_file(path) {
        Ok(file) => file,
        Err(error) => {
            report.push(unreadable(path, &error));
            None
        }
    });
    read.collect()
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let suffixes = [".cedar", ".links.json", ".cedarschema", ".cedarschema.json", ".tools.json", ".json"];
    !name.starts_with('.') && suffixes.iter().any(|suffix| name.ends_with(suffix))
}

/// Reads a regular file; none for a folder. Anything else that a name can stand for (a pipe, a device) might never
/// end, and is an error.
fn read_file(path: &Path) -> io::Result<Option<SourceFile>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(None);
    }
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > limit {
        return Err(io::Error::other(format!("it is {} bytes long; the limit is {limit}", metadata.len())));
    }
    let bytes = fs::read(path)?;
    Ok(Some(SourceFile { name: path.display().to_string(), bytes }))
}
