//! What the log holds, read at the start.

use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::disk::{DiskError, ENTITIES, HISTORY, KNOWN, REVOKED, SUSPENDED, Sum, weight, written_sum};
use super::facts::{Batch, Names, Row};
use crate::engine::revocations::Revocations;
use crate::engine::suspensions::Suspensions;
use crate::store::grants::ServedGrants;

/// Everything that a log says.
#[derive(Debug, Default)]
pub(in crate::store) struct Contents {
    /// Entities as they are kept, one a line.
    pub(in crate::store) lines: Arc<str>,
    pub(in crate::store) revocations: Revocations,
    pub(in crate::store) suspensions: Suspensions,
    /// Delegations that were served, whoever owned them.
    pub(in crate::store) grants: ServedGrants,
    /// The last batches, oldest first.
    pub(super) history: Vec<Arc<Batch>>,
}

impl Contents {
    /// Reads everything.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(super) fn read(database: &Database) -> Result<Self, DiskError> {
        let (mut sum, written) = (Sum::default(), written_sum(database)?);
        let contents = Self::read_rows(database, &mut sum)?;
        if sum != written {
            return Err(DiskError::Damaged("the rows in it are not those that were written".to_owned()));
        }
        Ok(contents)
    }

    fn read_rows(database: &Database, sum: &mut Sum) -> Result<Self, DiskError> {
        let read = database.begin_read()?;
        let mut names = Names::default();
        let no_name = |what: &str| DiskError::Damaged(format!("`{}` in it is no name", what.escape_debug()));
        let mut lines = String::new();
        for row in read.open_table(ENTITIES)?.iter()? {
            let (name, text) = row?;
            let (type_name, id) = name.value();
            sum.add(weight("entities", type_name, id, text.value()));
            lines.push_str(text.value());
            lines.push('\n');
        }
        let mut contents = Self { lines: lines.into(), ..Self::default() };
        for row in read.open_table(REVOKED)?.iter()? {
            let (name, reason) = row?;
            let (type_name, id) = name.value();
            sum.add(weight("revoked", type_name, id, reason.value()));
            contents.revocations.revoke(names.uid(type_name, id).ok_or_else(|| no_name(type_name))?);
        }
        for row in read.open_table(SUSPENDED)?.iter()? {
            let (name, reason) = row?;
            let (type_name, id) = name.value();
            sum.add(weight("suspended", type_name, id, reason.value()));
            let suspended = names.party(type_name, id).ok_or_else(|| no_name(type_name))?;
            contents.suspensions.suspend(suspended, reason.value().into());
        }
        for row in read.open_table(KNOWN)?.iter()? {
            let (name, digest) = row?;
            sum.add(weight("known_grants", name.value(), "", digest.value()));
            contents.grants.learn(name.value().to_owned(), digest.value().to_owned());
        }
        for row in read.open_table(HISTORY)?.iter()? {
            let (sequence, row) = row?;
            sum.add(weight("history", &sequence.value().to_string(), "", row.value()));
            let kept: Row = serde_json::from_str(row.value())
                .map_err(|error| DiskError::Damaged(format!("a row of its history: {error}")))?;
            let batch = kept.batch(sequence.value(), &mut names).ok_or_else(|| no_name("history"))?;
            contents.history.push(Arc::new(batch));
        }
        Ok(contents)
    }
}
