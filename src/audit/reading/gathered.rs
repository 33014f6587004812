//! Many logs as one: the folders of many instances, gathered below one, in the order of time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::query::Query;
use super::search::{Hit, Indexes, Search};
use crate::audit::spool::reader::ReadError;
use crate::audit::spool::segment;

/// How deep below a given folder logs are looked for.
const MAX_DEPTH: usize = 8;

/// The folders of logs at or below these, in order and each once.
///
/// # Errors
/// A folder cannot be read, with its path, or no log is there.
pub fn folders(given: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in given {
        let before = found.len();
        find(folder, MAX_DEPTH, &mut found)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        if found.len() == before {
            let message = format!("{}: no decision log is here or below: none has a folder `{}`", folder.display(), segment::FOLDER);
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if folder.join(segment::FOLDER).is_dir() {
        found.push(folder.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A link may lead round in a circle.
        if entry.file_type()?.is_dir() {
            find(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

/// What is found in many logs, in the order of time; of records of the same log, in its order.
#[derive(Debug)]
pub struct Gathered {
    logs: Vec<(Search, Option<Result<Hit, ReadError>>)>,
    last: Option<Hit>,
}

impl Gathered {
    /// Looks through the logs in these folders.
    ///
    /// # Errors
    /// [`ReadError::Folder`].
    pub fn new(folders: &[PathBuf], query: &Query, indexes: Indexes) -> Result<Self, ReadError> {
        let begin = |folder: &PathBuf| {
            let mut search = Search::new(folder, query.clone(), u64::MAX, indexes)?;
            let first = search.next();
            Ok((search, first))
        };
        let logs = folders.iter().map(begin).collect::<Result<_, _>>()?;
        Ok(Self { logs, last: None })
    }

    fn earliest(&self) -> Option<usize> {
        let when = |next: &Result<Hit, ReadError>| match next {
            Ok(hit) => (hit.micros, Some((hit.log, hit.sequence))),
            // What is missing is said at once.
            Err(_) => (i64::MIN, None),
        };
        let next = self.logs.iter().enumerate().filter_map(|(at, (_, next))| Some((when(next.as_ref()?), at)));
        next.min().map(|(_, at)| at)
    }
}

impl Iterator for Gathered {
    type Item = Result<Hit, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (search, next) = self.logs.get_mut(self.earliest()?)?;
            let found = std::mem::replace(next, search.next())?;
            match found {
                // Two copies of one log have the same records.
                Ok(hit) if self.last.as_ref() == Some(&hit) => {}
                Ok(hit) => {
                    if self.logs.len() > 1 {
                        self.last = Some(hit.clone());
                    }
                    return Some(Ok(hit));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
