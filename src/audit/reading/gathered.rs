//! Many logs as one: the folders of many instances, gathered below one, in the order of time.

use std::io;
use std::path::PathBuf;

use super::query::Query;
use super::search::{Hit, Indexes, Search};
use crate::audit::spool::reader::ReadError;
use crate::audit::spool::segment;
use crate::audit::tree::verify;

/// The folders of logs at or directly below these, in order and each once.
///
/// # Errors
/// A folder cannot be read, with its path, or no log is there.
pub fn folders(given: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in given {
        let logs = verify::folders(folder)?;
        if !logs.iter().all(|log| log.join(segment::FOLDER).is_dir()) {
            let (folder, name) = (folder.display(), segment::FOLDER);
            let message =
                format!("{folder}: no decision log is here or directly below: none has a folder `{name}`");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        found.extend(logs);
    }
    found.sort();
    found.dedup();
    Ok(found)
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
        let next =
            self.logs.iter().enumerate().filter_map(|(at, (_, next))| Some((when(next.as_ref()?), at)));
        next.min().map(|(_, at)| at)
    }
}

impl Iterator for Gathered {
    type Item = Result<Hit, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let earliest = self.earliest()?;
            let (search, next) = self.logs.get_mut(earliest)?;
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
