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

/// Reads every source file directly in the folders, by name.
///
/// # Errors
/// A [`Report`] naming each path that cannot be read.
pub fn read(folders: &Folders) -> Result<Sources, Report> {
    let mut report = Report::default();
    let mut sources = Sources::default();
    let Sources { policies, links, schemas, definitions, entities, unread } = &mut sources;
    read_folder(&folders.policies, &mut [(".cedar", policies), (".links.json", links)], unread, &mut report);
    // The longer suffix first: a definition is no entity, and a JSON schema no definition.
    let (mut cedar, mut json) = (Vec::new(), Vec::new());
    let kinds =
        &mut [(".tools.json", definitions), (".cedarschema.json", &mut json), (".cedarschema", &mut cedar)];
    read_folder(&folders.schemas, kinds, unread, &mut report);
    schemas.extend(cedar.into_iter().chain(json));
    if folders.entities.exists() {
        read_folder(&folders.entities, &mut [(".json", entities)], unread, &mut report);
    }
    if report.rejects() { Err(report) } else { Ok(sources) }
}

/// Reads a folder's files by name, each to the first kind whose suffix it has. Hidden names (`..data` of a mounted
/// ConfigMap, editors' temporary files), the folder `tests` and Markdown are meant for others; what else has no kind is
/// noted as unread.
fn read_folder(
    folder: &Path,
    kinds: &mut [(&str, &mut Vec<SourceFile>)],
    unread: &mut Vec<String>,
    report: &mut Report,
) {
    let paths = match list(folder) {
        Ok(paths) => paths,
        Err(error) => return report.push(unreadable(folder, &error)),
    };
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || name == "tests" || name.ends_with(".md") {
            continue;
        }
        let Some((_, files)) = kinds.iter_mut().find(|(suffix, _)| name.ends_with(suffix)) else {
            unread.push(path.display().to_string());
            continue;
        };
        match read_file(&path) {
            Ok(file) => files.push(file),
            Err(error) => report.push(unreadable(&path, &error)),
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    if paths.len() > MAX_FILES {
        return Err(io::Error::other(format!(
            "it holds {} files; at most {MAX_FILES} are read",
            paths.len()
        )));
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::error(&Place::new(&path.display().to_string(), ""), format!("cannot be read: {error}"))
}

/// Reads a regular file. Anything else that a name can stand for (a pipe, a device) might never end.
fn read_file(path: &Path) -> io::Result<SourceFile> {
    let metadata = fs::metadata(path)?;
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > limit {
        return Err(io::Error::other(format!("it is {} bytes long; the limit is {limit}", metadata.len())));
    }
    let bytes = fs::read(path)?;
    Ok(SourceFile { name: path.display().to_string(), bytes })
}
