//! Entities that callers wrote at run time, put beside those of the files (W4, W6).

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::element::{Named, Reader};
use super::stream::{Found, Text, each};
use super::{MAX_ALIKE, check_parents, problems_at};
use crate::engine::catalog::Catalog;
use crate::engine::compile::workers::Workers;
use crate::engine::entities::EntityStore;
use crate::engine::guard::StackUnavailable;
use crate::engine::ownership::Ownership;
use crate::engine::problem::{Place, Problem, Report, SourceFile};
use crate::engine::version::Version;
use crate::engine::world::World;
use crate::engine::written::Plain;

/// What problems call the place that such entities are kept in.
pub(super) const ENTITY_LOG: &str = "entity log";

/// What to do about a name that both have.
const BOTH: &str = "take it out of the file, or delete the other with `mandate entity delete`";

/// Entities that are stored whatever the files say.
#[derive(Debug, Clone, Default)]
pub enum Beside {
    /// None.
    #[default]
    Nothing,
    /// As they are kept, one a line, before any world holds them.
    Lines(Arc<str>),
    /// As a world holds them.
    Held(Held),
}

/// What a world holds of them, and of the files that it was compiled from.
#[derive(Debug, Clone)]
pub struct Held {
    entities: EntityStore,
    ownership: Ownership,
    catalog: Arc<Catalog>,
    files: Version,
}

/// The entities of a world: the files', and those beside.
#[derive(Debug, Clone)]
pub(in crate::engine::compile) struct Stored {
    pub(in crate::engine::compile) entities: EntityStore,
    pub(in crate::engine::compile) ownership: Ownership,
    /// Names what the files hold.
    pub(in crate::engine::compile) files: Version,
}

impl Beside {
    /// What a world holds beside its files.
    pub fn of(world: &World) -> Self {
        Self::Held(Held {
            entities: world.entities.clone(),
            ownership: world.ownership.clone(),
            catalog: Arc::clone(&world.generation.catalog),
            files: world.files,
        })
    }

    /// What the world holds that these are of, if it was compiled from the same files by the same schema.
    pub(super) fn as_served(&self, files: Version, catalog: &Arc<Catalog>) -> Option<Stored> {
        match self {
            Self::Held(held) if held.files == files && Arc::ptr_eq(&held.catalog, catalog) => {
                let Held { entities, ownership, .. } = held.clone();
                Some(Stored { entities, ownership, files })
            }
            _ => None,
        }
    }

    /// These, beside what files hold. What does not fit goes to `report`.
    ///
    /// # Errors
    /// [`StackUnavailable`].
    pub(super) fn join(
        &self,
        files: (&EntityStore, Version),
        sources: &[SourceFile],
        reader: &Reader<'_>,
        catalog: &Arc<Catalog>,
        workers: &Workers,
        report: &mut Report,
    ) -> Result<Stored, StackUnavailable> {
        let stored = Stored { entities: files.0.clone(), ownership: Ownership::default(), files: files.1 };
        let mut joining = Joining { files: files.0, stored, both: Vec::new(), refused: Vec::new() };
        match self {
            Self::Nothing => {}
            Self::Lines(lines) => joining.read(lines, reader, workers)?,
            Self::Held(held) if Arc::ptr_eq(&held.catalog, catalog) => {
                for uid in held.ownership.iter() {
                    if let Some(entity) = held.entities.get(uid) {
                        joining.take(Ok((uid.clone(), entity.clone())));
                    }
                }
            }
            Self::Held(held) => joining.read(&held.lines(), reader, workers)?,
        }
        joining.finish(sources, catalog, report)
    }
}

impl Held {
    /// As they are kept, for a schema that may read them otherwise.
    fn lines(&self) -> String {
        let mut lines = String::new();
        for uid in self.ownership.iter() {
            let plain = self.entities.get(uid).and_then(|entity| Plain::of(uid, entity.members()));
            // Every entity that was put has been written down once.
            if let Some(text) = plain.and_then(|plain| plain.text().ok()) {
                lines.push_str(&text);
                lines.push('\n');
            }
        }
        lines
    }
}

struct Joining<'f> {
    files: &'f EntityStore,
    stored: Stored,
    /// Names that the files have as well.
    both: Vec<EntityUid>,
    refused: Vec<String>,
}

impl Joining<'_> {
    fn read(&mut self, lines: &str, reader: &Reader<'_>, workers: &Workers) -> Result<(), StackUnavailable> {
        if lines.is_empty() {
            return Ok(());
        }
        let text = Text { name: "entity log.jsonl", text: lines };
        each(
            &[text],
            workers,
            |element| {
                let said = || reader.name(element.text).map_or_else(String::new, |uid| format!("{uid}: "));
                reader.read(element.text).map_err(|message| format!("{}{message}", said()))
            },
            |found| match found {
                Found::Element(_, read) => self.take(read),
                Found::Broken { message, .. } => self.refused.push(message),
            },
        )
    }

    fn take(&mut self, read: Result<Named, String>) {
        let checked = read.and_then(|(uid, entity)| check_parents(&uid, &entity).map(|()| (uid, entity)));
        match checked {
            Ok((uid, _)) if self.files.contains(&uid) => self.both.push(uid),
            Ok((uid, entity)) => {
                self.stored.ownership.insert(uid.clone());
                self.stored.entities.put_unchecked(uid, entity);
            }
            Err(message) => self.refused.push(message),
        }
    }

    fn finish(
        mut self,
        sources: &[SourceFile],
        catalog: &Catalog,
        report: &mut Report,
    ) -> Result<Stored, StackUnavailable> {
        let more = self.refused.len().saturating_sub(MAX_ALIKE) + self.both.len().saturating_sub(MAX_ALIKE);
        self.refused.sort();
        self.both.sort();
        self.refused.truncate(MAX_ALIKE);
        self.both.truncate(MAX_ALIKE);
        let place = Place::new(ENTITY_LOG, "");
        for message in self.refused {
            let message = format!("an entity that was written at run time does not fit: {message}");
            let help =
                "keep the schema so that it fits, or change the entity first with `mandate entity put`";
            report.push(Problem::error(&place, message).help(help));
        }
        if !self.both.is_empty() {
            let found = self.both.into_iter().map(|uid| {
                let message =
                    format!("{uid} is in this file, and was written at run time too: both would own it");
                (uid, message, BOTH)
            });
            report.problems.extend(problems_at(sources, catalog, found.collect())?);
        }
        if more > 0 {
            report.push(Problem::error(&place, format!("and {more} more like these")));
        }
        Ok(self.stored)
    }
}
